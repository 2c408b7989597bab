"""One cause for each missing half-hour: ours first, what hubs told, then what is inferred; or unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.installing import pair_cad
from assets.models import Hub
from assets.registry_models import HubSpell, UpSpell
from members.models import Home, Purpose
from metering import health, ingest, missing
from metering.causes import HALF_HOUR, Cause, Known, cause_of, covered, dark_spans, union
from metering.models import Completeness, MissingDay
from opendsr.kernel.periods import day_interval, period_starts
from tests.factories import make_hub, make_resident

AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
DAY = date(2026, 4, 5)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
AROUND = (AT - HOUR, AT + HOUR)
ELSEWHERE = (AT + 5 * HOUR, AT + 6 * HOUR)

moments = st.integers(-90, 90).map(lambda minutes: AT + minutes * MINUTE)
spans = st.builds(lambda at, minutes: (at, at + minutes * MINUTE), moments, st.integers(1, 120))
many = st.lists(spans, max_size=4)
KINDS = ("no_power", "crashed", "stopped", "no_lan", "no_internet", "refused", "silent")
everything = st.builds(
    Known,
    site_down=many,
    dark=many,
    spells=st.dictionaries(st.sampled_from(KINDS), many),
    away=many,
    watched=many,
    is_by_cad=st.booleans(),
)


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        (Known(), Cause.UNKNOWN),
        (Known(site_down=[AROUND], spells={"no_lan": [AROUND]}), Cause.US),
        (Known(spells={"refused": [AROUND]}), Cause.US),
        (Known(spells={"no_power": [AROUND]}), Cause.HUB),
        (Known(spells={"no_power": [AROUND]}, dark=[AROUND]), Cause.POWER),
        (Known(spells={"silent": [AROUND]}, dark=[AROUND]), Cause.POWER),
        (Known(spells={"silent": [AROUND]}, is_by_cad=True, watched=[AROUND]), Cause.UNKNOWN),
        (Known(spells={"crashed": [AROUND]}, dark=[AROUND]), Cause.HUB),
        (Known(spells={"stopped": [AROUND]}), Cause.HUB),
        (Known(spells={"no_lan": [AROUND], "silent": [AROUND]}), Cause.LAN),
        (Known(spells={"no_internet": [AROUND], "silent": [AROUND]}, dark=[AROUND]), Cause.ISP),
        (Known(away=[AROUND], watched=[AROUND]), Cause.DEVICE),
        (Known(watched=[AROUND], is_by_cad=True), Cause.CAD),
        (Known(watched=[AROUND]), Cause.UNKNOWN),
        (Known(watched=[(AT, AT + 20 * MINUTE)], is_by_cad=True), Cause.UNKNOWN),
        (Known(spells={"no_lan": [(AT, AT + 4 * MINUTE)]}), Cause.UNKNOWN),
        (Known(spells={"no_lan": [(AT, AT + 6 * MINUTE)]}), Cause.LAN),
        (
            Known(spells={"no_lan": [(AT, AT + 6 * MINUTE)], "crashed": [(AT, AT + 9 * MINUTE)]}),
            Cause.HUB,
        ),
        (Known(spells={"no_lan": [ELSEWHERE]}, site_down=[ELSEWHERE], dark=[ELSEWHERE]), Cause.UNKNOWN),
    ],
    ids=str,
)
def test_what_is_known_settles_it(known, cause):
    assert cause_of(AT, known) == cause


@given(known=everything)
def test_there_is_always_one_cause_and_it_rests_on_something(known):
    cause = cause_of(AT, known)
    half_hour = (AT, AT + HALF_HOUR)
    told = [each for kind in KINDS[:-1] for each in known.spells.get(kind, ())]
    if cause == Cause.US:
        assert covered(half_hour, [*known.site_down, *known.spells.get("refused", ())])
    if cause in (Cause.HUB, Cause.LAN, Cause.ISP):
        assert covered(half_hour, told)
    if cause == Cause.POWER:
        assert covered(half_hour, known.dark)
    if cause == Cause.DEVICE:
        assert covered(half_hour, known.away)
    if cause == Cause.CAD:
        assert covered(half_hour, known.watched) == HALF_HOUR


@given(known=everything)
def test_our_own_outage_is_never_anybody_elses(known):
    ours = Known(
        site_down=[AROUND],
        dark=known.dark,
        spells=known.spells,
        away=known.away,
        watched=known.watched,
        is_by_cad=known.is_by_cad,
    )
    assert cause_of(AT, ours) == Cause.US


@given(outages=st.lists(st.tuples(st.integers(0, 5), spans), max_size=20), homes=st.integers(3, 12))
def test_a_place_is_dark_exactly_while_enough_homes_are_off(outages, homes):
    found = dark_spans(outages, homes=homes)
    assert found == union(found)
    for minutes in range(-90, 90):
        at = AT + minutes * MINUTE
        off = len({home for home, (since, until) in outages if since <= at < until})
        assert any(since <= at < until for since, until in found) == (off >= max(3, homes / 2))


@given(spans_=many, around=spans)
def test_what_covers_is_measured_once(spans_, around):
    lasting = covered(around, spans_)
    assert timedelta() <= lasting <= around[1] - around[0]
    assert covered(around, [*spans_, *spans_]) == lasting
    minutes = sum(
        any(since <= around[0] + number * MINUTE < until for since, until in spans_)
        for number in range((around[1] - around[0]) // MINUTE)
    )
    assert lasting == minutes * MINUTE


# ---- with the store and the hubs


@pytest.fixture
def home(db):
    """A home with readings of all but four hours of the day, and a CAD."""
    joined = AT - timedelta(days=30)
    resident = make_resident(at=joined, primary_substation="Weir", consents=(Purpose.SETTLEMENT,))
    kit = make_hub(resident.home, at=joined, through_vtn=False)
    pair_cad(home=resident.home, serial="CAD-1", at=joined)
    starts = [start for start in period_starts(DAY) if not 8 <= start.hour < 12]
    ingest.store_readings(
        source="generated",
        name="x",
        at=AT,
        stream_ids=[resident.stream_id],
        starts_at=starts,
        import_wh=np.full((1, len(starts)), 100),
    )
    UpSpell.objects.create(starts_at=joined, seen_at=AT, seen_wall_at=AT)
    return resident, kit.hub


def spell(hub: Hub, cause: str, since: int, until: int | None) -> None:
    HubSpell.objects.create(
        hub=hub,
        cause=cause,
        starts_at=datetime(2026, 4, 5, since, tzinfo=UTC),
        ends_at=None if until is None else datetime(2026, 4, 5, until, tzinfo=UTC),
    )


def of_day(home_id, at: datetime = AT) -> dict[str, int]:
    days = {each.day: each for each in missing.of_home(home_id, at=at)}
    return {cause.value: count for cause, count in days[DAY].causes.items()}


def test_a_homes_missing_half_hours_each_have_their_cause(home):
    resident, hub = home
    spell(hub, "no_lan", 8, 9)
    spell(hub, "crashed", 9, 10)
    assert of_day(resident.home.pk) == {"lan": 2, "hub": 2, "cad": 4}
    days = missing.of_home(resident.home.pk, at=AT)
    assert len(days) == missing.DAYS_SHOWN
    assert (days[0].expected, days[0].missing) == (48, 8)


def test_neighbours_off_at_once_make_it_a_power_cut(home):
    resident, hub = home
    spell(hub, "no_power", 8, 12)
    assert of_day(resident.home.pk) == {"hub": 8}
    for _ in range(2):
        other = make_resident(at=AT - timedelta(days=30), primary_substation="Weir")
        spell(make_hub(other.home, at=AT - timedelta(days=30), through_vtn=False).hub, "silent", 9, 11)
    assert of_day(resident.home.pk) == {"hub": 4, "power": 4}


def test_of_few_homes_the_same_is_known_as_of_all(home, monkeypatch):
    _resident, hub = home
    spell(hub, "no_power", 8, 12)
    for place in ("Weir", "Weir", "Mill", ""):
        other = make_resident(at=AT - timedelta(days=30), primary_substation=place)
        spell(make_hub(other.home, at=AT - timedelta(days=30), through_vtn=False).hub, "silent", 9, 11)
    homes, day = list(Home.objects.values_list("pk", flat=True)), day_interval(DAY)
    few = {each: missing.known_of({each}, day.starts_at, day.ends_at)[each] for each in homes}
    monkeypatch.setattr(missing, "FEW", 0)
    assert few == missing.known_of(homes, day.starts_at, day.ends_at)
    assert any(each.dark for each in few.values())


def test_while_a_hub_is_silent_nobody_knows(home):
    resident, hub = home
    spell(hub, "silent", 8, None)
    assert of_day(resident.home.pk) == {"unknown": 8}


def test_before_the_site_watched_nothing_is_inferred(home):
    resident, _hub = home
    UpSpell.objects.update(starts_at=AT)
    assert of_day(resident.home.pk) == {"unknown": 8}


def test_what_may_not_be_kept_is_not_missing(db):
    resident = make_resident(at=AT - timedelta(days=30), consents=(Purpose.FLEXIBILITY,))
    assert missing.of_home(resident.home.pk, at=AT) == []


def test_totals_are_noted_once_with_d_plus_three(home, django_assert_max_num_queries):
    _resident, hub = home
    spell(hub, "no_lan", 8, 10)
    later = day_interval(DAY).ends_at + timedelta(days=3)
    health.measure(at=later)
    health.measure(at=later)
    row = Completeness.objects.get(day=DAY)
    noted = dict(MissingDay.objects.filter(day=DAY).values_list("cause", "half_hours"))
    assert {cause: count for cause, count in noted.items() if count} == {"lan": 4, "cad": 4}
    assert set(noted) == {cause.value for cause in Cause}
    assert sum(noted.values()) == row.expected - row.by_d3
    totals = {each.day: each for each in missing.totals(at=later)}
    assert totals[DAY].missing == 8
    with django_assert_max_num_queries(1):
        missing.totals(at=later)
