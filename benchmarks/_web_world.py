"""A co-op of many members with a year behind it, for measuring pages: a scene, multiplied by bulk inserts.

A few households, a settled, a dispatched and a planned campaign are made by the services themselves
(`tests/web/scene.py`); the other rows are theirs over and over, for other members, homes and weeks.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from django.db.models import Model

    from members.models import User
    from tests.web.scene import Scene

WEEKS, MONTHS = 50, 12
TOLD, ASKERS = 12, 300  # campaigns of which everybody was told; enquiries, visits and requests
READ_DAYS, YEAR_DAYS = 3, 365
BEGAN = time.perf_counter()


@dataclass(frozen=True, slots=True)
class World:
    """Who walks, and something for every argument of an address."""

    scene: Scene
    things: dict[str, Any]
    walkers: dict[str, User | None]


def tell(words: str) -> None:
    """A line of progress, with the seconds since the start."""
    sys.stderr.write(f"{time.perf_counter() - BEGAN:6.0f} s  {words}\n")
    sys.stderr.flush()


def settle_in(members: int) -> World:
    """Make the co-op; the world clock stands still afterwards."""
    from django.core.management import call_command
    from django.db import connection, transaction

    from opendsr.kernel import outbox
    from tests.web.scene import freeze, set_scene
    from tests.web.things import things_of

    call_command("createcachetable")
    tell("the scene")
    scene = set_scene()
    outbox.drain(max_rounds=1_000)
    things = things_of(scene)
    tell(f"{members} members and homes")
    with transaction.atomic():
        enlist(members)
        fit(scene)
    tell(f"{WEEKS} weeks of campaigns")
    big = run_campaigns(scene)
    tell(f"{MONTHS} months of settlement")
    with transaction.atomic():
        round_id = settle(scene, big)
    tell("readings")
    read(scene)
    tell("notices")
    notify(big)
    tell("enquiries, visits, requests")
    ask()
    outbox.drain(max_rounds=10_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    freeze()
    things |= {
        "campaign_id": big[-1],
        "event_report.campaign_id": big[-2],
        "round_id": round_id,
        "answer_event.campaign_id": scene.next.pk,
    }
    for form in ("csv", "json", "pdf"):
        things[f"event_evidence_{form}.campaign_id"] = big[-2]
    tell("made")
    return World(scene, things, walkers_of(scene))


def walkers_of(scene: Scene) -> dict[str, User | None]:
    """One of each kind of visitor; the first who is let in walks a page."""
    from members import partnering
    from members.models import Role, User
    from tests.factories import make_staff
    from tests.web.scene import NOW

    partner = partnering.make_partner(name="Bench Homes", by="bench", at=NOW)
    robot = make_staff("robot@bench.example", Role.API_APPLICATION)
    User.objects.filter(pk=robot.pk).update(is_staff=False)
    staff = (Role.ADMINISTRATOR, Role.DISPATCHER, Role.FINANCE, Role.MEMBER_SERVICES, Role.DEVICE_MANAGER)
    return {
        "member": scene.alice.user,
        **{str(role.value): make_staff(f"{role.value}@bench.example", role) for role in staff},
        "installer": make_staff("ivan@bench.example", Role.INSTALLER),
        "landlord": partnering.open_account(partner=partner, email="pat@bench.example", by="bench", at=NOW),
        "robot": User.objects.get(pk=robot.pk),
        "nobody": None,
    }


def clone(model: type[Model], like: Any, rows: str, **values: str) -> int:
    """Insert a copy of one row for each of `rows` (SQL of a FROM clause), with columns put to expressions."""
    from django.db import connection, models

    meta = model._meta
    columns = [
        each.column
        for each in meta.concrete_fields
        if not (isinstance(each, models.AutoField) and each.column not in values)
    ]
    quote = connection.ops.quote_name
    taken = ", ".join(values.get(each, f"l.{quote(each)}") for each in columns)
    names = ", ".join(map(quote, columns))
    table, key = quote(meta.db_table), quote(meta.pk.column)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {taken} FROM {table} l, {rows} WHERE l.{key} = %s",  # noqa: S608
            [like],
        )
        return int(cursor.rowcount)


def enlist(members: int) -> None:
    """The register, by the service that takes one in."""
    from members import enlisting
    from members.models import Member
    from tests.factories import new_mpan
    from tests.web.scene import NOW

    areas = ("M15", "OL14", "HX7")
    first = 1 + max(int(number[2:]) for number in Member.objects.values_list("number", flat=True))
    lines = [",".join(enlisting.COLUMNS)]
    lines += [
        f"{n},Bench Member {n},member{n}@example.org,2025-01-01,Bench Home {n},{n} Weir Lane,"
        f"{areas[n % 3]} {n % 10}AB,{new_mpan()},{'GMN'[n % 3]},Primary {n % 40},Zone {n % 10},2025-01-02"
        for n in range(first, first + members)
    ]
    report = enlisting.enlist("\n".join(lines), at=NOW, by="bench")
    if report.members != members:
        raise SystemExit(f"not all was taken in: {report}")


def fit(scene: Scene) -> None:
    """A hub with its VEN, a charger and an immersion heater in every home; everybody's consents."""
    from assets.models import Asset, Hub
    from assets.registry_models import RelayCount
    from members.models import Consent
    from vtn.models import Ven

    alice, kit = scene.alice, scene.homes[0].hub
    others = (
        "(SELECT o.id AS stay, o.home_id AS home, m.id AS member, row_number() OVER () AS n"
        " FROM members_occupancy o JOIN members_member m ON m.household_id = o.household_id"
        " WHERE NOT EXISTS (SELECT FROM assets_hub h WHERE h.home_id = o.home_id)"
        " AND NOT EXISTS (SELECT FROM members_consent c WHERE c.occupancy_id = o.id)) x"
    )
    for consent in alice.occupancy.consents.all():
        stays = others.replace("c.occupancy_id", f"c.purpose = '{consent.purpose}' AND c.occupancy_id")
        clone(Consent, consent.pk, stays, id="gen_random_uuid()", occupancy_id="x.stay", member_id="x.member")
    homes = (
        "(SELECT p.id AS home, row_number() OVER () AS n FROM members_home p WHERE NOT EXISTS"
        " (SELECT FROM assets_hub h WHERE h.home_id = p.id)) x"
    )
    clone(
        Hub,
        kit.hub.pk,
        homes,
        id="gen_random_uuid()",
        home_id="x.home",
        serial="'BENCH-' || x.n",
        ven_id="'BENCH-VEN-' || x.n",
    )
    ven = Ven.objects.get(ven_id=kit.ven_id)
    clone(
        Ven,
        ven.pk,
        "(SELECT ven_id, serial FROM assets_hub WHERE serial LIKE 'BENCH-%%') x",
        ven_id="x.ven_id",
        ven_name="x.serial",
        registration_id="''",
        last_seen_wall_at="now() - interval '1 minute' * (random() * 3)",
        told_poll_seconds="l.told_poll_seconds",
    )
    for asset in kit.assets:
        clone(
            Asset,
            asset.pk,
            "(SELECT id AS hub FROM assets_hub WHERE serial LIKE 'BENCH-%%') x",
            id="gen_random_uuid()",
            hub_id="x.hub",
            resource_id="l.kind_id || '-' || x.hub",
        )
    fitted = Asset.objects.filter(hub__serial__startswith="BENCH-").values_list("pk", flat=True)
    RelayCount.objects.bulk_create(
        RelayCount(
            asset_id=each, cycles=number % 3_000, told=number % 3_000, told_by="bench",
            counted_from_at=kit.hub.commissioned_at, told_at=kit.hub.commissioned_at,
        )
        for number, each in enumerate(fitted)
    )  # fmt: skip


def run_campaigns(scene: Scene) -> list[UUID]:
    """A completed campaign a week over every home, then one that is still to come; the newest last."""
    from campaigns.models import Campaign, OptRecord, Participation, PlanLine
    from vtn.models import Event

    part = Participation.objects.filter(campaign=scene.past, occupancy=scene.alice.occupancy).first()
    line = PlanLine.objects.filter(campaign=scene.past, occupancy=scene.alice.occupancy).first()
    asked = Participation.objects.filter(campaign=scene.next, occupancy=scene.alice.occupancy).first()
    if part is None or line is None or asked is None:
        raise SystemExit("Alice took no part in the scene")
    event = Event.objects.get(event_id=part.vtn_event_id)
    opt = part.opts.first()
    made = []
    for week in range(WEEKS, -1, -1):
        past = week > 0
        like, mine = (scene.past, part) if past else (scene.next, asked)
        moved = timedelta(weeks=-week) if past else timedelta(days=2)
        fresh = Campaign.objects.get(pk=like.pk)
        fresh._state.adding = True
        fresh.pk = None
        fresh.pk = Campaign._meta.pk.get_default()
        fresh.name = f"Week {week} tea-time" if past else "Saturday tea-time"
        for name in ("starts_at", "ends_at", "created_at", "planned_at", "approved_at", "dispatched_at",
                     "completed_at"):  # fmt: skip
            if getattr(fresh, name) and (past or name in ("starts_at", "ends_at")):
                setattr(fresh, name, getattr(fresh, name) + moved)
        fresh.save(force_insert=True)
        made.append(fresh.pk)
        stays = (
            "(SELECT a.id AS asset, h.ven_id, o.id AS stay, v.id AS ven FROM assets_asset a"
            " JOIN assets_hub h ON h.id = a.hub_id JOIN members_occupancy o ON o.home_id = h.home_id"
            " JOIN ven v ON v.ven_id = h.ven_id WHERE a.kind_id = 'ev_charger') x"
        )
        key = f"bench-{week}"
        shift = f" + interval '{moved.total_seconds():.0f} seconds'"
        of_event = shift if past else " + interval '3 days'"
        times = {
            name: f"l.{name}{shift}"
            for name in ("starts_at", "ends_at", "sent_at", "delivered_at", "responded_at")
            if past or name in ("starts_at", "ends_at")
        }
        if week < 5:  # what was said to the VTN and planned is kept of the last month
            clone(PlanLine, line.pk, stays, campaign_id=f"'{fresh.pk}'", asset_id="x.asset",
                  occupancy_id="x.stay")  # fmt: skip
            clone(Event, event.pk, stays, event_id=f"'{key}-' || x.ven_id", key=f"'{key}:' || x.ven_id",
                  ven_id="x.ven", starts_at=f"l.starts_at{of_event}", closes_at=f"l.closes_at{of_event}",
                  )  # fmt: skip
        clone(
            Participation, mine.pk, stays, id="gen_random_uuid()", campaign_id=f"'{fresh.pk}'",
            asset_id="x.asset", occupancy_id="x.stay", ven_id="x.ven_id",
            vtn_event_id=f"'{key}-' || x.ven_id", **times,
        )  # fmt: skip
        if opt is not None and 0 < week < 5:
            parts = f"(SELECT id AS part FROM campaigns_participation WHERE campaign_id = '{fresh.pk}') x"  # noqa: S608
            clone(OptRecord, opt.pk, parts, participation_id="x.part")
    return made


def settle(scene: Scene, campaigns: list[UUID]) -> UUID:
    """A round a month, each with its runs, lines, statements and postings to every household's account."""
    from settlement.models import (
        Account,
        Entry,
        HomeDelivery,
        Posting,
        RoundDecision,
        SettlementRound,
        SettlementRun,
        Statement,
    )

    run, round = scene.run, scene.run.round
    line, statement = scene.line_of(scene.alice), scene.statement_of(scene.alice)
    account = Account.objects.get(occupancy=scene.alice.occupancy)
    coop = Account.objects.filter(kind="coop").first()
    entry = Entry.objects.filter(round=round).first()
    if coop is None or entry is None:
        raise SystemExit("nothing was posted in the scene")
    clone(
        Account, account.pk,
        "(SELECT o.id AS stay FROM members_occupancy o LEFT JOIN settlement_account a"
        " ON a.occupancy_id = o.id WHERE a.id IS NULL) x",
        id="gen_random_uuid()", code="'household:' || x.stay", occupancy_id="x.stay",
    )  # fmt: skip
    stays = (
        "(SELECT o.id AS stay, m.id AS member FROM members_occupancy o"
        " JOIN members_member m ON m.household_id = o.household_id) x"
    )
    past = campaigns[:-1]
    size = -(-len(past) // MONTHS)
    fresh = round
    for month in range(MONTHS):
        of = past[month * size : (month + 1) * size]
        if not of:
            break
        back = timedelta(days=30 * (MONTHS - month))
        fresh = SettlementRound.objects.create(
            programme=round.programme, number=1_000 + month, kind=round.kind,
            campaign_ids=[str(each) for each in of], campaign_count=len(of),
            as_known_at=round.as_known_at - back, proposed_by=round.proposed_by,
            proposed_at=round.proposed_at - back,
        )  # fmt: skip
        decision = RoundDecision.objects.get(round=round)
        RoundDecision.objects.create(
            round=fresh,
            verdict=decision.verdict,
            by=decision.by,
            reason=decision.reason,
            at=decision.at - back,
        )
        for campaign in of:
            copy = SettlementRun.objects.get(pk=run.pk)
            copy.pk = SettlementRun._meta.pk.get_default()
            copy.round, copy.campaign_id, copy.replaces, copy.sequence = fresh, campaign, None, 1
            copy.run_at -= back
            copy.save(force_insert=True)
            clone(
                HomeDelivery, line.pk,
                "(SELECT id AS stay, row_number() OVER () AS n FROM members_occupancy) x",
                run_id=f"'{copy.pk}'", occupancy_id="x.stay", row="x.n",
            )  # fmt: skip
        clone(
            Statement, statement.pk, stays, id="gen_random_uuid()", round_id=f"'{fresh.pk}'",
            occupancy_id="x.stay", member_id="x.member",
            issued_at=f"l.issued_at - interval '{back.days} days'", previous_mp="0", posted_mp="l.earned_mp",
        )  # fmt: skip
        posted = Entry.objects.create(
            key=f"round:{fresh.pk}", memo=entry.memo, round=fresh, posted_at=entry.posted_at - back
        )
        posting = Posting.objects.filter(account=account).first()
        if posting is None:
            raise SystemExit("Alice earned nothing in the scene")
        n = clone(
            Posting, posting.pk, "(SELECT id AS acct FROM settlement_account WHERE kind = 'household') x",
            entry_id=f"'{posted.pk}'", account_id="x.acct",
        )  # fmt: skip
        Posting.objects.create(entry=posted, account=coop, amount_mp=-n * posting.amount_mp)
    return UUID(str(fresh.pk))


def read(scene: Scene) -> None:
    """A year of half-hours of Alice's, and the last days of everybody's."""
    import numpy as np

    from members.models import MeterStream
    from metering import ingest
    from tests.web.scene import NOW

    end = NOW.replace(hour=0, minute=0)
    random = np.random.default_rng(20260115)
    of_scene = [home.resident.occupancy for home in scene.homes]
    others = MeterStream.objects.exclude(occupancy__in=of_scene)
    everybody = sorted(others.values_list("stream_id", flat=True))
    for name, streams, days in (("year", [scene.alice.stream_id], YEAR_DAYS), ("days", everybody, READ_DAYS)):
        starts = [end - timedelta(minutes=30 * back) for back in range(48 * days, 0, -1)]
        for at in range(0, len(streams), 2_000):
            some = streams[at : at + 2_000]
            ingest.store_readings(
                source="generated",
                name=f"bench {name} {at}",
                at=NOW,
                stream_ids=some,
                starts_at=starts,
                import_wh=random.gamma(1.2, 220, (len(some), len(starts))).astype(np.int64),
            )


def notify(campaigns: list[UUID]) -> None:
    """Everybody was told of the last campaigns, and one notice in fifty did not arrive."""
    from campaigns.models import Campaign
    from members.models import Member
    from notices import queueing
    from notices.kinds import Kind
    from notices.models import Notice
    from notices.queueing import ToTell

    stays = dict(Member.objects.values_list("pk", "household__occupancies__pk"))
    for each in Campaign.objects.filter(pk__in=campaigns[-TOLD:]):
        facts = {
            "name": each.name, "direction": each.direction, "starts_at": each.starts_at,
            "ends_at": each.ends_at, "campaign_id": each.pk,
        }  # fmt: skip
        queueing.queue_many(
            kind=Kind.EVENT_SCHEDULED,
            people=[ToTell(member, {**facts, "occupancy_id": stay}) for member, stay in stays.items()],
            key=f"bench-{each.pk}",
            at=each.starts_at - timedelta(days=1),
            about=each.pk,
            before=each.starts_at,
        )
    queued = Notice.objects.filter(state="queued")
    bounced = queued.filter(member__number__endswith="77")
    bounced.update(state="bounced", reason="undeliverable", attempts=3)
    queued.update(state="delivered", sent_at=scene_now(), attempts=1)


def scene_now() -> Any:
    """The moment at which the world stands still."""
    from tests.web.scene import NOW

    return NOW


def ask() -> None:
    """Enquiries, visits to plan and requests about data, by the services."""
    from assets import jobs
    from members import applying, asking
    from members.models import Home, Member
    from tests.factories import new_mpan
    from tests.web.scene import NOW

    for n in range(ASKERS):
        enquiry = applying.start(full_name=f"Nia {n}", email=f"nia{n}@example.org", at=NOW)
        told = {"address": f"{n} Road", "postcode": "OL4 1AA", "mpan": new_mpan(), "tenure": "owner",
                "smart_meter": "yes"}  # fmt: skip
        applying.answer(application_id=enquiry.pk, given=told, at=NOW)
        if n % 2:
            applying.submit(application_id=enquiry.pk, at=NOW)
    for home in Home.objects.filter(install_jobs=None).order_by("pk")[:ASKERS]:
        jobs.plan_job(home=home, at=NOW, by="bench")
    for member in Member.objects.order_by("-pk")[:ASKERS]:
        asking.open_request(
            member=member, kind="complaint", at=NOW, channel="web", by="bench", words="Nobody came."
        )
