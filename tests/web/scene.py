"""Sets the scene for page tests: a co-op with one settled campaign, one under way today and one planned.

Everything is made by the services the site itself uses, against the real embedded VTN. The world stands still
at `NOW`, the day after the settled event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import numpy as np
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from campaigns import approving, completing, creating, dispatching, monitoring, opting, planning
from campaigns.models import Campaign, Participation, Programme, UseCase
from members.models import Member, Purpose, Role, User
from metering import ingest
from opendsr.kernel import clock, installation
from opendsr.kernel.periods import day_interval
from settlement import settling
from settlement.models import HomeDelivery, SettlementRun, Statement
from settlement.terms import publish_terms
from tests.factories import HubKit, Resident, make_hub, make_member, make_resident, make_staff

Made = TypeVar("Made")
JOINED_AT = datetime(2025, 11, 3, 9, tzinfo=UTC)
EVENT_DAY = date(2026, 1, 14)
NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
STARTS_AT = datetime(2026, 1, 14, 17, tzinfo=UTC)
ENDS_AT = datetime(2026, 1, 14, 19, tzinfo=UTC)
NOW = datetime(2026, 1, 15, 13, tzinfo=UTC)
NEXT_STARTS_AT = datetime(2026, 1, 15, 17, tzinfo=UTC)
HISTORY_DAYS = 40
ASLEEP_WH, AWAKE_WH, PEAK_WH, SAVED_WH = 110, 240, 1_150, 870
PEAK = range(33, 42)  # half-hours from 16:30 to 21:00


@dataclass(frozen=True, slots=True)
class Household:
    """A resident with the hub at home; `does` says what the home does in the settled event."""

    resident: Resident
    hub: HubKit
    does: str = "in"


@dataclass(frozen=True, slots=True)
class Scene:
    """The people, the three campaigns and the money, as the services returned them."""

    alice: Resident
    bob: Member
    carol: Resident
    sam: User
    fay: User
    homes: tuple[Household, ...]
    past: Campaign
    next: Campaign
    planned: Campaign
    run: SettlementRun

    def statement_of(self, resident: Resident) -> Statement:
        """The member's statement of the settled campaign."""
        return Statement.objects.get(member=resident.member, round=self.run.round)

    def line_of(self, resident: Resident) -> HomeDelivery:
        """The resident's household in the settled campaign."""
        return HomeDelivery.objects.get(run=self.run, occupancy=resident.occupancy)

    def part_of(self, resident: Resident) -> Participation:
        """The first of the resident's parts in the next campaign."""
        return Participation.objects.filter(campaign=self.next, occupancy=resident.occupancy).order_by("id")[
            0
        ]


def freeze(at: datetime = NOW) -> None:
    """Stop the world clock; `tests/conftest.py` lets it go again."""
    clock.configure(at, speed=0)


def set_scene(*, neighbours: Sequence[tuple[str, str]] = (), is_demo: bool = True) -> Scene:
    """The whole scene, clock frozen at NOW; `neighbours` are further (name, what their home does)."""
    freeze(NOON)
    installation.found(coop_name="Calder Bank Energy Co-op", is_demo=is_demo, at=JOINED_AT)
    sam = make_staff("sam@example.org", Role.DISPATCHER)
    fay = make_staff("fay@example.org", Role.FINANCE)
    alice = make_resident("Alice Ash", at=JOINED_AT, email="alice@example.org")
    bob = make_member("Bob Ash", at=JOINED_AT, household=alice.household, email="bob@example.org")
    carol = make_resident("Carol Birch", at=JOINED_AT, email="carol@example.org")
    residents = [(alice, "in"), (carol, "out")]
    residents += [(make_resident(name, at=JOINED_AT), does) for name, does in neighbours]
    homes = tuple(Household(each, _hub(each, number), does) for number, (each, does) in enumerate(residents))
    make_resident("Nora Nettle", at=JOINED_AT, consents=(Purpose.SETTLEMENT,))
    store_history(homes)
    past = _play_event(homes, by=sam)
    freeze(NOW)
    store_event_day(homes)
    run = settling.settle_campaign(campaign_id=past.pk, at=NOW).run
    upcoming = _dispatched("Thursday tea-time", NEXT_STARTS_AT, at=NOW, by=sam)
    planned = _planned("Friday tea-time", NEXT_STARTS_AT + timedelta(days=1), at=NOW, by=sam)
    return Scene(alice, bob, carol, sam, fay, homes, past, upcoming, planned, run)


def scene_of_the_file(blocker: DjangoDbBlocker) -> Iterator[Scene]:
    """For a fixture of a file: the scene, in a transaction around those of the tests."""
    return held(set_scene, blocker)


def held(make: Callable[[], Made], blocker: DjangoDbBlocker) -> Iterator[Made]:
    """What `make` makes, in a transaction around those of a file's tests."""
    with blocker.unblock():
        around = transaction.atomic()
        around._from_testcase = True  # type: ignore[attr-defined]
        around.__enter__()
        try:
            made = make()
            clock.reset()
            yield made
        finally:
            transaction.set_rollback(True)
            around.__exit__(None, None, None)


def make_programme() -> Programme:
    """The programme of every campaign here, with its settlement terms."""
    found = Programme.objects.filter(code="fast-dr").first()
    if found is not None:
        return found
    terms = publish_terms(
        name="Flexibility share",
        baseline_rule="dfs_2023_domestic",
        utilisation_pence_per_kwh=Decimal("225.5"),
        coop_share_pct=Decimal(35),
        at=JOINED_AT,
    )
    return Programme.objects.create(
        code="fast-dr",
        name="Fast DR Dispatch",
        use_case=UseCase.MARKET,
        market_context="http://coop.example/fast-dr",
        settlement_terms_id=terms.pk,
        start_tolerance_seconds=0,
    )


def make_campaign(
    name: str = "Evening peak",
    *,
    starts_at: datetime = STARTS_AT,
    ends_at: datetime | None = None,
    at: datetime = NOON,
    by: User | None = None,
    size_w: int = 40_000,
) -> Campaign:
    """A draft over two hours that turns down everywhere."""
    return creating.create_campaign(
        programme=make_programme(),
        name=name,
        direction="turn_down",
        zone_kind="everywhere",
        zone="",
        size_w=size_w,
        starts_at=starts_at,
        ends_at=ends_at or starts_at + timedelta(hours=2),
        at=at,
        by=by,
        reason="The substation is near its limit in the early evening.",
    )


def store_history(homes: Sequence[Household]) -> None:
    """Half-hourly readings of the days before the event day, peaks in the evening."""
    _store(homes, [EVENT_DAY - timedelta(days=back) for back in range(HISTORY_DAYS, 0, -1)], at=NOON)


def store_event_day(homes: Sequence[Household]) -> None:
    """The event day's readings, lower in the event where the home took part."""
    _store(homes, [EVENT_DAY], at=NOW)


def _store(homes: Sequence[Household], days: Sequence[date], *, at: datetime) -> None:
    starts = [start for day in days for start in day_interval(day).half_hours()]
    table = np.array([[_used_wh(home, row, start) for start in starts] for row, home in enumerate(homes)])
    report = ingest.store_readings(
        source="generated",
        name=f"scene {days[0]}..{days[-1]}",
        at=at,
        stream_ids=[home.resident.stream_id for home in homes],
        starts_at=starts,
        import_wh=table,
    )
    assert report.rows_rejected == 0, report


def _used_wh(home: Household, row: int, start: datetime) -> int:
    slot = start.hour * 2 + start.minute // 30
    usual_wh = PEAK_WH if slot in PEAK else AWAKE_WH if slot >= 13 else ASLEEP_WH
    noise_wh = (start.toordinal() * 13 + slot * 7 + row * 29) % 83
    took_part = home.does == "in" and STARTS_AT <= start < ENDS_AT
    return usual_wh + noise_wh - (SAVED_WH - 30 * row % 200 if took_part else 0)


def _hub(resident: Resident, number: int) -> HubKit:
    kinds = ("ev_charger", "immersion_heater") if number % 2 == 0 else ("immersion_heater",)
    return make_hub(resident.home, at=JOINED_AT, kinds=kinds)


def _play_event(homes: Sequence[Household], *, by: User) -> Campaign:
    campaign = _dispatched("Wednesday tea-time", STARTS_AT, at=NOON, by=by)
    for number, home in enumerate(homes):
        parts = Participation.objects.filter(campaign=campaign, occupancy=home.resident.occupancy)
        if home.does == "out":
            user = home.resident.member.user
            opting.skip_home(
                campaign_id=campaign.pk, occupancy_id=home.resident.occupancy.pk, at=NOON, by=user
            )
        elif home.does == "in":
            for event_id in set(parts.values_list("vtn_event_id", flat=True)):
                answer(event_id, sequence=number + 1)
    freeze(ENDS_AT)
    completing.complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)
    campaign.refresh_from_db()
    return campaign


def answer(event_id: str, *, opt: str = "in", sequence: int, at: datetime = NOON) -> None:
    """The hub's answer, as the VTN passes it on."""
    monitoring.receive_delivery(event_id=event_id, at=at)
    monitoring.receive_opt(event_id=event_id, opt=opt, reason="", sequence=sequence, received_at=at)


def _planned(name: str, starts_at: datetime, *, at: datetime, by: User) -> Campaign:
    campaign = make_campaign(name, starts_at=starts_at, at=at, by=by)
    planning.plan_campaign(campaign_id=campaign.pk, at=at)
    campaign.refresh_from_db()
    return campaign


def _dispatched(name: str, starts_at: datetime, *, at: datetime, by: User) -> Campaign:
    campaign = _planned(name, starts_at, at=at, by=by)
    approving.approve_campaign(campaign_id=campaign.pk, at=at, by=by)
    dispatching.dispatch_campaign(campaign_id=campaign.pk, at=at)
    campaign.refresh_from_db()
    return campaign


def occupancy_of(resident: Resident) -> UUID:
    """The resident's stay."""
    return resident.occupancy.pk
