"""Ten thousand random histories: nothing is stored, read or sent beyond what was agreed to at that moment.

Households move in and out, consent to one purpose and another, take it back at any second, restrict the use
of what is held, and opt out. What the site then keeps of their meters, reads for a purpose and would send is
held against an oracle that looks at each history by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from assets.models import Asset, Hub
from assets.queries import zone_assets
from campaigns import approving, dispatching
from campaigns.eligibility import may_take_part
from campaigns.models import Campaign, PlanLine
from members import consenting, moving, opting_out, restricting
from members.models import (
    Consent,
    ConsentText,
    Home,
    Household,
    Member,
    MeterStream,
    Occupancy,
    Purpose,
    StandingOptOut,
)
from metering import purposes, store
from metering.ingest import store_readings
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import civil_date
from tests.campaigns.staging import PaperVtn, make_campaign
from tests.factories import make_asset_kinds, make_consent_texts, new_mpan

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

HISTORIES = 10_000
BEGINS = datetime(2026, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SLOTS = 144
ENDS = BEGINS + SLOTS * HALF_HOUR
Window = tuple[datetime, datetime | None]
READ_FOR = (Purpose.SETTLEMENT, Purpose.ADVICE)
EVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Stay:
    """One household's time in the home, and what it agreed to."""

    window: Window
    consents: dict[Purpose, list[Window]]
    opt_outs: list[Window]
    is_restricted: bool
    occupancy_id: UUID | None = None
    stream_id: UUID | None = None
    member: Member | None = None


@dataclass
class History:
    """One home's."""

    stays: list[Stay]
    home_id: UUID | None = None
    asset_id: UUID | None = None


def moment(dice: Random) -> datetime:
    """Some second of the three days or around them; often on a half-hour, to try the edges."""
    if dice.random() < 0.5:
        return BEGINS + dice.randrange(-10, SLOTS + 10) * HALF_HOUR
    return BEGINS + timedelta(seconds=dice.randrange(-18_000, SLOTS * 1800 + 18_000))


def windows(dice: Random, most: int) -> list[Window]:
    """Up to so many, in order, sometimes touching; the latest may be open."""
    cuts = sorted({moment(dice) for _ in range(2 * dice.randint(0, most))})
    pairs: list[Window] = list(zip(cuts[0::2], cuts[1::2], strict=False))
    if len(pairs) > 1 and dice.random() < 0.3:
        pairs[1] = (pairs[0][1] or BEGINS, pairs[1][1])
    if pairs and dice.random() < 0.5:
        pairs[-1] = (pairs[-1][0], None)
    if dice.random() < 0.3:
        return [(BEGINS - timedelta(days=9), None)]
    return pairs


def history(dice: Random) -> History:
    """A home with up to three households one after the other."""
    cuts = sorted({moment(dice) for _ in range(dice.choice([0, 0, 1, 2]))})
    edges = [BEGINS - timedelta(days=10), *cuts, None]
    stays = [
        Stay(
            window=(start, end),
            consents={
                purpose: windows(dice, 2)
                for purpose in (Purpose.FLEXIBILITY, Purpose.SETTLEMENT, Purpose.ADVICE)
            },
            opt_outs=windows(dice, 1) if dice.random() < 0.3 else [],
            is_restricted=dice.random() < 0.05,
        )
        for start, end in pairwise(edges)
        if start is not None and dice.random() < 0.9
    ]
    return History(stays)


def settle(histories: list[History]) -> None:
    """Write them all down."""
    make_asset_kinds()
    make_consent_texts(at=BEGINS - timedelta(days=300))
    texts = {text.purpose: text for text in ConsentText.objects.all()}
    since = BEGINS - timedelta(days=10)
    homes = Home.objects.bulk_create(
        Home(name=f"Home {n}", postcode="M15 5RF", mpan=new_mpan(), gsp_group="G")
        for n in range(len(histories))
    )
    hubs = Hub.objects.bulk_create(
        Hub(home=home, serial=f"H-{n}", state="commissioned", ven_id=f"VEN-{n}", commissioned_at=since)
        for n, home in enumerate(homes)
    )
    things = Asset.objects.bulk_create(
        Asset(
            hub=hub, kind_id="ev_charger", resource_id=f"ev-{n}", name="car", rated_w=7360, flexible_w=2000,
            installed_at=since,
        )
        for n, hub in enumerate(hubs)
    )  # fmt: skip
    stays = [stay for each in histories for stay in each.stays]
    households = Household.objects.bulk_create(Household(name=f"Household {n}") for n in range(len(stays)))
    people = Member.objects.bulk_create(
        Member(number=f"M-{n + 10_000:05d}", household=household, full_name=f"P {n}", joined_at=since)
        for n, household in enumerate(households)
    )
    rows = []
    number = 0
    for each, home, thing in zip(histories, homes, things, strict=True):
        each.home_id, each.asset_id = home.pk, thing.pk
        for stay in each.stays:
            stay.member = people[number]
            rows.append(
                Occupancy(
                    home=home,
                    household=households[number],
                    starts_at=stay.window[0],
                    ends_at=stay.window[1],
                )
            )
            number += 1
    occupancies = Occupancy.objects.bulk_create(rows)
    streams = MeterStream.objects.bulk_create(
        MeterStream(occupancy=each, starts_at=each.starts_at, ends_at=each.ends_at) for each in occupancies
    )
    for stay, occupancy, stream in zip(stays, occupancies, streams, strict=True):
        stay.occupancy_id, stay.stream_id = occupancy.pk, stream.pk
    Consent.objects.bulk_create(
        Consent(
            occupancy_id=stay.occupancy_id,
            member=stay.member,
            text=texts[purpose],
            purpose=purpose,
            granularity="none" if purpose == Purpose.FLEXIBILITY else "half_hourly",
            channel="web",
            starts_at=start,
            ends_at=end,
            end_reason="requested" if end else "",
        )
        for stay in stays
        for purpose, held in stay.consents.items()
        for start, end in held
    )
    StandingOptOut.objects.bulk_create(
        StandingOptOut(occupancy_id=stay.occupancy_id, starts_at=start, ends_at=end)
        for stay in stays
        for start, end in stay.opt_outs
    )
    for stay in stays:
        if stay.is_restricted and stay.member is not None:
            restricting.restrict(member=stay.member, at=since + HALF_HOUR, channel="web", by="member:1")


def within(windows: list[Window], bounds: Window) -> list[tuple[datetime, datetime]]:
    """The windows cut to the bounds, those that touch made one."""
    cut = sorted(
        (max(start, bounds[0]), min(end or EVER, bounds[1] or EVER))
        for start, end in windows
        if max(start, bounds[0]) < min(end or EVER, bounds[1] or EVER)
    )
    joined: list[tuple[datetime, datetime]] = []
    for start, end in cut:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def slots_of(windows: list[Window], bounds: Window) -> np.ndarray:
    """Which half-hours lie wholly within."""
    mask = np.zeros(SLOTS, dtype=bool)
    for start, end in within(windows, bounds):
        first = max(0, -((BEGINS - start) // HALF_HOUR))
        past = min(SLOTS, (min(end, ENDS) - BEGINS) // HALF_HOUR)
        mask[first : max(first, past)] = True
    return mask


def is_live(windows: list[Window], at: datetime) -> bool:
    return any(start <= at and (end is None or at < end) for start, end in windows)


def may_be_sent(each: History, interval: Interval, at: datetime) -> bool:
    start = max(at, interval.starts_at)
    for stay in each.stays:
        if not is_live([stay.window], start):
            continue
        stays_on = stay.window[1] is None or stay.window[1] >= interval.ends_at
        flexible = stay.consents[Purpose.FLEXIBILITY]
        agrees = is_live(flexible, start) and is_live(flexible, interval.ends_at - timedelta(microseconds=1))
        is_out = any(
            begins < interval.ends_at and (end is None or (end > start and end > begins))
            for begins, end in stay.opt_outs
        )
        return stays_on and agrees and not is_out and not stay.is_restricted
    return False


@pytest.fixture
def histories(db: None) -> list[History]:
    dice = Random(20_261_129)
    made = [history(dice) for _ in range(HISTORIES)]
    settle(made)
    return made


def test_nothing_is_stored_read_or_sent_beyond_what_held(
    histories: list[History], paper_vtn: PaperVtn
) -> None:
    stays = [stay for each in histories for stay in each.stays]
    check_readings(stays)
    check_asking(histories)
    check_sending(histories, paper_vtn)


def check_readings(stays: list[Stay]) -> None:
    """Offer every half-hour of every meter; look at what is kept, and at what each purpose may read."""
    stream_ids = [stay.stream_id for stay in stays]
    times = [BEGINS + number * HALF_HOUR for number in range(SLOTS)]
    report = store_readings(
        source="opendsr_csv",
        name="all of it",
        at=ENDS + timedelta(days=1),
        stream_ids=stream_ids,
        starts_at=times,
        import_wh=np.full((len(stream_ids), SLOTS), 100, dtype=np.int64),
    )
    days = sorted({civil_date(at) for at in times})
    kept = store.day_cube(stream_ids, days).present[:, :, :48].reshape(len(stays), SLOTS)
    wanted = np.array(
        [
            slots_of([each for purpose in READ_FOR for each in stay.consents[purpose]], stay.window)
            for stay in stays
        ]
    )
    assert (kept == wanted).all(), np.argwhere(kept != wanted)[:5]
    assert report.rows_landed == wanted.sum()
    assert 0.2 < wanted.mean() < 0.8, "the histories try both"
    for purpose in READ_FOR:
        cube = purposes.day_cube(purpose, stream_ids, days, reader="tests")
        read = cube.present[:, :, :48].reshape(len(stays), SLOTS)
        allowed = np.array(
            [slots_of([] if stay.is_restricted else stay.consents[purpose], stay.window) for stay in stays]
        )
        assert (read == allowed).all(), (purpose, np.argwhere(read != allowed)[:5])
        assert not cube.wh[~cube.present].any(), "what may not be read is not there"


def check_asking(histories: list[History]) -> None:
    """Ask of all, for a dozen times of day."""
    dice = Random(7)
    rows = zone_assets(Asset.objects.all())
    allowed = 0
    for _ in range(12):
        starts_at = BEGINS + dice.randrange(SLOTS) * HALF_HOUR
        interval = Interval(starts_at, starts_at + dice.choice([1, 2, 3, 4]) * HALF_HOUR)
        at = starts_at + timedelta(minutes=dice.choice([-600, -1, 0, 10]))
        verdicts = may_take_part(rows, interval, direction="turn_down", at=at)
        for each in histories:
            may = may_be_sent(each, interval, at)
            assert verdicts[each.asset_id].may == may, (each, interval, at)  # type: ignore[index]
            allowed += may
    assert 0.1 < allowed / (12 * len(histories)) < 0.9, "the histories try both"


def check_sending(histories: list[History], paper_vtn: PaperVtn) -> None:
    """Approve a campaign for hundreds, let them change their minds, and look at who is sent to."""
    starts_at = BEGINS + timedelta(hours=40)
    interval, at = Interval(starts_at, starts_at + timedelta(hours=1)), starts_at - timedelta(hours=6)
    living = {
        number: stay
        for number, each in enumerate(histories)
        for stay in each.stays
        if is_live([stay.window], at) and is_live([stay.window], starts_at)
    }
    asked = [
        (histories[number], stay)
        for number, stay in living.items()
        if may_be_sent(histories[number], interval, at)
    ][:600]
    campaign = make_campaign(starts_at=interval.starts_at, ends_at=interval.ends_at, at=at)
    PlanLine.objects.bulk_create(
        PlanLine(campaign=campaign, asset_id=each.asset_id, occupancy_id=stay.occupancy_id, expected_w=1000)
        for each, stay in asked
    )
    Campaign.objects.filter(pk=campaign.pk).update(state=Campaign.State.PLANNED, planned_at=at)
    approving.approve_campaign(campaign_id=campaign.pk, at=at, by=None)
    later = at + timedelta(hours=1)
    for number, (each, stay) in enumerate(asked):
        occupancy = Occupancy.objects.get(pk=stay.occupancy_id)
        if number % 5 == 0:
            running = Consent.objects.filter(occupancy=occupancy, purpose=Purpose.FLEXIBILITY)
            running = running.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=later))
            if running.filter(starts_at__gt=later).exists():
                continue
            assert stay.member is not None
            for consent in running:
                consenting.withdraw_consent(consent_id=consent.pk, member=stay.member, at=later)
        elif number % 5 == 1 and stay.window[1] is None:
            moving.move_out(occupancy=occupancy, at=later)
        elif number % 5 == 2:
            opting_out.start_standing_opt_out(occupancy=occupancy, at=later, starts_at=later)
        else:
            continue
        each.stays.clear()
    dispatching.dispatch_campaign(campaign_id=campaign.pk, at=later + timedelta(minutes=1))
    sent = {event.notice.ven_id for event in paper_vtn.live()}
    serials = dict(Hub.objects.values_list("home_id", "ven_id"))
    wanted = {
        serials[each.home_id]  # type: ignore[index]
        for each, _ in asked
        if may_be_sent(each, interval, later + timedelta(minutes=1))
    }
    assert sent == wanted
    assert 100 < len(sent) < len(asked) - 100
