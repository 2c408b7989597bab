"""Packing at any moment changes nothing that can be asked; arrivals in any order end in the same store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering import ingest, packing, store
from metering.models import HalfHour, PackedWeek, Quality, SupersededHalfHour
from metering.sources import PRECEDENCE
from metering.store import Flow
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import civil_date, day_interval, period_starts
from tests.metering.meters import undone
from tests.metering.samples import AT

pytestmark = pytest.mark.django_db

# The two days around the end of one packed week, so that histories cross it.
FIRST = datetime(2026, 1, 7, 21, tzinfo=UTC)
SLOTS = 12
DAYS = [date(2026, 1, 7), date(2026, 1, 8)]
SOURCES = ("n3rgy_csv", "cad", "a new gadget")
steady = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Arrival:
    """One batch: source, hour of learning, and readings by slot: (import, export, quality)."""

    source: str
    hour: int
    readings: dict[int, tuple[int, int, int]] = field(default_factory=dict)


@dataclass
class Model:
    """The store as a dict of lists: what was told, in order."""

    told: dict[tuple[str, int], list[tuple[int, tuple[int, int, int]]]] = field(default_factory=dict)

    def take(self, arrival: Arrival) -> None:
        for slot, values in arrival.readings.items():
            history = self.told.setdefault((arrival.source, slot), [])
            if history and (history[-1][1] == values or arrival.hour < history[-1][0]):
                continue
            history.append((arrival.hour, values))

    def believed(self, hour: int) -> dict[int, tuple[int, int, int, str]]:
        found: dict[int, tuple[int, int, int, str]] = {}
        for slot in range(SLOTS):
            speaking = []
            for source in SOURCES:
                known = [values for at, values in self.told.get((source, slot), []) if at <= hour]
                if known:
                    place = PRECEDENCE.index(source) if source in PRECEDENCE else len(PRECEDENCE)
                    speaking.append((known[-1][2], place, (*known[-1], source)))
            if speaking:
                found[slot] = min(speaking)[2]
        return found


def starts(slot: int) -> datetime:
    return FIRST + slot * HALF_HOUR


def learned(hour: int) -> datetime:
    return AT + timedelta(hours=hour)


def offer(stream_id, arrival: Arrival, *, name: str) -> None:
    slots = list(arrival.readings)
    columns = list(zip(*arrival.readings.values(), strict=True)) or [(), (), ()]
    ingest.store_readings(
        source=arrival.source,
        name=name,
        at=learned(arrival.hour),
        stream_ids=[stream_id] * len(slots),
        starts_at=[starts(slot) for slot in slots],
        import_wh=list(columns[0]),
        export_wh=list(columns[1]),
        quality=list(columns[2]) if slots else None,
    )


def recalled(stream_id, hour: int | None) -> dict[int, tuple[int, int, int, str]]:
    rows = store.half_hours(
        stream_id, Interval(FIRST, starts(SLOTS)), known_at=None if hour is None else learned(hour)
    )
    return {
        (row.starts_at - FIRST) // HALF_HOUR: (row.import_wh, row.export_wh, row.quality, row.source)
        for row in rows
    }


def cubes(stream_id, hour: int | None) -> dict[Flow, dict[int, int]]:
    found = {}
    for flow in Flow:
        cube = store.day_cube([stream_id], DAYS, known_at=None if hour is None else learned(hour), flow=flow)
        values = {}
        for number, day in enumerate(DAYS):
            for place, start in enumerate(period_starts(day)):
                if cube.present[0, number, place]:
                    values[(start - FIRST) // HALF_HOUR] = int(cube.wh[0, number, place])
        assert not cube.wh[~cube.present].any()
        found[flow] = values
    return found


wh = st.integers(0, 4) | st.sampled_from([65_534, 65_535, 70_000, 2**31 - 1])
reading = st.tuples(wh, st.just(0) | wh, st.sampled_from(Quality.values))
steps = st.lists(
    st.one_of(
        st.builds(
            Arrival,
            st.sampled_from(SOURCES),
            st.integers(0, 6),
            st.dictionaries(st.integers(0, SLOTS - 1), reading, max_size=6),
        ),
        st.sampled_from([datetime(2026, 1, 8, 3, tzinfo=UTC), datetime(2026, 1, 9, 3, tzinfo=UTC)]),
    ),
    max_size=12,
)


@given(steps)
@steady
def test_whatever_comes_and_whenever_it_is_packed_the_store_answers_as_the_model(ash, history):
    model = Model()
    with undone():
        for number, step in enumerate(history):
            if isinstance(step, Arrival):
                offer(ash, step, name=f"batch {number}")
                model.take(step)
            else:
                packing.pack_closed(at=step)
        for days in (DAYS[:1], DAYS[1:], DAYS):
            is_there = bool(store.day_cube([ash], days).present.any())
            assert store.streams_without_any([ash], days) == ([] if is_there else [ash])
        for hour in (0, 2, 5, None):
            expected = model.believed(99 if hour is None else hour)
            assert recalled(ash, hour) == expected
            assert cubes(ash, hour) == {
                Flow.IMPORT: {slot: value[0] for slot, value in expected.items()},
                Flow.EXPORT: {slot: value[1] for slot, value in expected.items()},
                Flow.NET: {slot: value[0] - value[1] for slot, value in expected.items()},
            }


arrivals = st.lists(
    st.builds(
        Arrival,
        st.sampled_from(SOURCES[:2]),
        st.integers(0, 6),
        st.dictionaries(st.integers(0, SLOTS - 1), reading, min_size=1, max_size=6),
    ),
    max_size=6,
    unique_by=lambda arrival: (arrival.source, arrival.hour),
)


@given(arrivals, st.randoms(use_true_random=False))
@steady
def test_arrivals_converge_whatever_their_order_repeats_and_packing(ash, batches, dice):
    """What was learned later stands, even when what was learned earlier is handed in after it."""
    in_order = sorted(batches, key=lambda arrival: arrival.hour)
    shuffled = [*batches, *(batch for batch in batches if dice.random() < 0.5)]
    dice.shuffle(shuffled)
    ends = []
    for order in (in_order, shuffled):
        with undone():
            for arrival in order:
                offer(ash, arrival, name=f"{arrival.source} {arrival.hour}")
                if dice.random() < 0.4:
                    packing.pack_closed(at=AT)
            ends.append((recalled(ash, None), cubes(ash, None)))
    assert ends[0] == ends[1]


def put(stream_id, when, values, **options):
    ingest.store_readings(
        source=options.pop("source", "supplier"),
        name=f"{values}",
        at=options.pop("at", AT),
        stream_ids=[stream_id] * len(when),
        starts_at=when,
        import_wh=values,
        **options,
    )


def test_closed_days_leave_the_rows_and_open_ones_stay(ash):
    day = day_interval(date(2026, 1, 7))
    put(ash, list(day.half_hours()), [7] * 48)
    put(ash, [day.ends_at], [9])

    assert packing.pack_closed(at=day.ends_at + timedelta(hours=2)) == packing.PackReport()
    report = packing.pack_closed(at=day.ends_at + timedelta(hours=3))

    assert (report.streams, report.half_hours, report.superseded, report.weeks) == (1, 48, 0, 1)
    assert list(HalfHour.objects.values_list("import_wh", flat=True)) == [9]
    (week,) = PackedWeek.objects.all()
    assert (len(bytes(week.payload)), bytes(week.detail), week.past_slot - week.first_slot) == (672, b"", 48)
    assert len(store.half_hours(ash, Interval(day.starts_at, day.ends_at + HALF_HOUR))) == 49
    assert packing.pack_closed(at=day.ends_at + timedelta(hours=3)) == packing.PackReport()


def test_a_correction_of_a_packed_day_supersedes_and_the_past_is_recalled(ash):
    start = [FIRST]
    put(ash, start, [100], at=AT)
    packing.pack_closed(at=AT)
    put(ash, start, [120], at=AT + timedelta(hours=1))
    packing.pack_closed(at=AT)
    put(ash, start, [110], at=AT + timedelta(hours=2))

    def known(hours: int) -> list[tuple[int, int]]:
        rows = store.half_hours(ash, Interval(FIRST, starts(1)), known_at=AT + timedelta(hours=hours))
        return [(row.import_wh, row.revision) for row in rows]

    assert [known(hours) for hours in (-1, 0, 1, 2)] == [[], [(100, 0)], [(120, 1)], [(110, 2)]]
    packing.pack_closed(at=AT)
    assert [known(hours) for hours in (-1, 0, 1, 2)] == [[], [(100, 0)], [(120, 1)], [(110, 2)]]
    assert SupersededHalfHour.objects.count() == 2
    assert store.latest_known_at([ash], Interval(FIRST, starts(1))) == AT + timedelta(hours=2)


def test_an_import_of_what_is_packed_already_changes_nothing(ash):
    when = [starts(slot) for slot in range(SLOTS)]
    put(ash, when, list(range(SLOTS)))
    packing.pack_closed(at=AT)

    put(ash, when, list(range(SLOTS)), at=AT + timedelta(hours=1))

    assert not HalfHour.objects.exists()
    assert store.day_span([ash]) == (civil_date(FIRST), civil_date(starts(SLOTS - 1)))


@pytest.mark.parametrize(("day", "periods"), [(date(2026, 3, 29), 46), (date(2025, 10, 26), 50)])
def test_packed_days_on_which_the_clocks_change_have_their_periods(ash, day, periods):
    at = datetime(2026, 4, 2, tzinfo=UTC)
    put(ash, period_starts(day), list(range(1, periods + 1)), at=at)
    packing.pack_closed(at=at)

    cube = store.day_cube([ash], [day])

    assert cube.wh[0, 0, :periods].tolist() == list(range(1, periods + 1))
    assert cube.present[0, 0].tolist() == [True] * periods + [False] * (50 - periods)
    assert not HalfHour.objects.exists()


def test_a_series_is_the_half_hours_of_any_interval_for_many_streams(ash, birch):
    put(ash, [starts(slot) for slot in range(4)], [1, 2, 3, 4])
    packing.pack_closed(at=AT)
    put(birch, [starts(1)], [9], export_wh=[4])

    found = store.series([birch, ash], Interval(starts(1), starts(5)), flow=Flow.NET)

    assert found.wh.tolist() == [[5, 0, 0, 0], [2, 3, 4, 0]]
    assert found.present.tolist() == [[True, False, False, False], [True, True, True, False]]
    assert found.wh.dtype == np.int64
    with pytest.raises(ValueError, match="twice"):
        store.series([ash, ash], Interval(starts(1), starts(5)))


def test_a_cube_of_another_flow_is_not_net(ash):
    cube = store.day_cube([ash], DAYS, flow=Flow.EXPORT)
    with pytest.raises(ValueError, match="not net"):
        assert cube.net_wh.any()
