"""Readings out of the store: cubes of civil days, what was known when, who is believed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from metering import copying, store
from metering.ingest import store_readings
from metering.models import Quality
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import day_interval, period_starts
from tests.metering.samples import AT

pytestmark = pytest.mark.django_db

WINTER, SHORT, LONG = date(2026, 1, 6), date(2026, 3, 29), date(2025, 10, 26)
LATER = datetime(2026, 4, 2, tzinfo=UTC)


def put(
    stream_id: UUID,
    starts: Sequence[datetime],
    wh: Sequence[int],
    *,
    source: str = "supplier",
    at: datetime = LATER,
    quality: Quality | None = None,
    export_wh: Sequence[int] | None = None,
) -> None:
    store_readings(
        source=source,
        name=f"{source} {at} {wh}",
        at=at,
        stream_ids=[stream_id] * len(starts),
        starts_at=starts,
        import_wh=wh,
        export_wh=export_wh,
        quality=quality,
    )


@pytest.mark.parametrize(("day", "periods"), [(WINTER, 48), (SHORT, 46), (LONG, 50)])
def test_a_civil_day_has_46_48_or_50_places_and_no_more(ash, day, periods):
    starts = period_starts(day)
    around = [starts[0] - timedelta(minutes=30), *starts, starts[-1] + timedelta(minutes=30)]
    put(ash, around, [999, *range(1, periods + 1), 999])

    cube = store.day_cube([ash], [day])

    assert cube.net_wh.shape == cube.present.shape == (1, 1, 50)
    assert cube.net_wh.dtype == np.int64
    assert cube.present[0, 0].tolist() == [True] * periods + [False] * (50 - periods)
    assert cube.net_wh[0, 0, :periods].tolist() == list(range(1, periods + 1))
    assert not cube.net_wh[0, 0, periods:].any()


def test_streams_and_days_come_back_in_the_order_asked(ash, birch):
    days = [LONG, WINTER, date(2026, 1, 7), SHORT]
    for number, day in enumerate(days, start=1):
        put(ash, period_starts(day)[:2], [number, number])
    put(birch, period_starts(SHORT)[:1], [7])

    cube = store.day_cube([birch, ash], days)

    assert (cube.stream_ids, cube.days) == ((birch, ash), tuple(days))
    assert cube.net_wh[1, :, 0].tolist() == [1, 2, 3, 4]
    assert cube.net_wh[0, :, 0].tolist() == [0, 0, 0, 7]
    assert cube.present.sum(axis=2).tolist() == [[0, 0, 0, 1], [2, 2, 2, 2]]


def test_a_missing_reading_is_missing_and_a_zero_is_not(ash):
    put(ash, period_starts(WINTER)[:3:2], [0, 5])

    cube = store.day_cube([ash], [WINTER])

    assert cube.present[0, 0, :4].tolist() == [True, False, True, False]


def test_net_is_import_less_export(ash):
    put(ash, period_starts(WINTER)[:1], [10], export_wh=[250])

    assert store.day_cube([ash], [WINTER]).net_wh[0, 0, 0] == -240


def test_a_cube_of_nothing_has_the_shape_asked_for(ash):
    assert store.day_cube([], [WINTER]).net_wh.shape == (0, 1, 50)
    assert store.day_cube([ash], []).net_wh.shape == (1, 0, 50)
    assert not store.day_cube([ash], [WINTER]).present.any()


def test_asking_twice_for_a_stream_or_a_day_is_a_callers_mistake(ash):
    with pytest.raises(ValueError, match="twice"):
        store.day_cube([ash, ash], [WINTER])
    with pytest.raises(ValueError, match="twice"):
        store.day_cube([ash], [WINTER, WINTER])


def test_the_store_tells_what_it_knew_at_any_time(ash):
    start = period_starts(WINTER)[:1]
    for day, wh in ((0, 100), (1, 120), (2, 110)):
        put(ash, start, [wh], at=AT + timedelta(days=day))

    def known(at: datetime | None) -> tuple[bool, int]:
        cube = store.day_cube([ash], [WINTER], known_at=at)
        return bool(cube.present[0, 0, 0]), int(cube.net_wh[0, 0, 0])

    assert known(AT - timedelta(seconds=1)) == (False, 0)
    assert known(AT) == (True, 100)
    assert known(AT + timedelta(days=1, hours=5)) == (True, 120)
    assert known(AT + timedelta(days=2)) == known(None) == (True, 110)


def test_the_better_source_is_believed_and_the_other_fills_its_gaps(ash):
    starts = period_starts(WINTER)[:3]
    put(ash, starts, [1, 2, 3], source="n3rgy_csv", at=AT)
    put(ash, starts[:2], [91, 92], source="cad")
    put(ash, [starts[2] + timedelta(minutes=30)], [94], source="cad")
    put(ash, starts[:1], [70], source="a new gadget")

    cube = store.day_cube([ash], [WINTER])

    assert cube.net_wh[0, 0, :4].tolist() == [1, 2, 3, 94]


def test_a_measured_reading_beats_an_estimate_of_a_better_source(ash):
    start = period_starts(WINTER)[:1]
    put(ash, start, [300], source="n3rgy_csv", quality=Quality.ESTIMATED)
    put(ash, start, [250], source="cad")

    assert store.day_cube([ash], [WINTER]).net_wh[0, 0, 0] == 250


def test_a_source_speaks_by_its_newest_revision_even_when_that_is_an_estimate(ash):
    start = period_starts(WINTER)[:1]
    put(ash, start, [300], at=AT)
    put(ash, start, [250], at=AT + timedelta(days=1), quality=Quality.ESTIMATED)

    assert store.day_cube([ash], [WINTER]).net_wh[0, 0, 0] == 250


def test_each_source_speaks_by_its_own_newest_revision(ash):
    start = period_starts(WINTER)[:1]
    for day, (source, wh) in enumerate(
        [("cad", 1), ("n3rgy_csv", 10), ("cad", 2), ("n3rgy_csv", 11), ("cad", 3)]
    ):
        put(ash, start, [wh], source=source, at=AT + timedelta(days=day))

    def believed(day: int) -> int:
        return int(store.day_cube([ash], [WINTER], known_at=AT + timedelta(days=day)).net_wh[0, 0, 0])

    assert [believed(day) for day in range(5)] == [1, 10, 10, 11, 11]


def test_a_revision_that_was_replaced_speaks_no_more_whatever_its_quality(ash):
    start = period_starts(WINTER)[:1]
    put(ash, start, [1], source="cad", at=AT)
    put(ash, start, [10], source="n3rgy_csv", at=AT)
    put(ash, start, [2], source="cad", at=LATER)
    put(ash, start, [11], source="n3rgy_csv", at=LATER, quality=Quality.ESTIMATED)

    assert store.day_cube([ash], [WINTER]).net_wh[0, 0, 0] == 2


def test_pages_get_the_believed_half_hours_in_order(ash):
    starts = period_starts(WINTER)[:4]
    put(ash, starts[::-1][:2], [4, 3], at=AT)
    put(ash, starts[2:3], [33], at=LATER, export_wh=[1])
    put(ash, starts[:1], [1], source="cad", at=AT, quality=Quality.ESTIMATED)

    rows = store.half_hours(ash, day_interval(WINTER))

    assert [(row.starts_at, row.import_wh, row.export_wh, row.source, row.revision) for row in rows] == [
        (starts[0], 1, 0, "cad", 0),
        (starts[2], 33, 1, "supplier", 1),
        (starts[3], 4, 0, "supplier", 0),
    ]
    assert (rows[0].quality, rows[1].known_at) == (Quality.ESTIMATED, LATER)
    assert [row.import_wh for row in store.half_hours(ash, day_interval(WINTER), known_at=AT)] == [1, 3, 4]
    assert store.half_hours(ash, day_interval(SHORT)) == []


def test_the_newest_knowledge_of_an_interval_is_told(ash, birch):
    put(ash, period_starts(WINTER)[:1], [1], at=AT)
    put(birch, period_starts(WINTER)[:1], [1], at=LATER)

    assert store.latest_known_at([ash], day_interval(WINTER)) == AT
    assert store.latest_known_at([ash, birch], day_interval(WINTER)) == LATER
    assert store.latest_known_at([ash], day_interval(SHORT)) is None
    assert store.latest_known_at([], day_interval(WINTER)) is None


def test_the_days_with_readings_are_london_days(ash, birch):
    assert store.day_span([ash]) is None
    put(ash, [datetime(2025, 7, 1, 23, 30, tzinfo=UTC)], [1])
    put(birch, [datetime(2026, 1, 31, 23, 30, tzinfo=UTC)], [1])

    assert store.day_span([ash]) == (date(2025, 7, 2), date(2025, 7, 2))
    assert store.day_span([birch, ash]) == (date(2025, 7, 2), date(2026, 1, 31))


def test_the_content_hash_follows_the_believed_values_and_nothing_else(ash, birch):
    starts = period_starts(WINTER)[:2]
    put(ash, starts, [1, 2], at=AT)
    put(birch, starts, [3, 4], at=AT)
    days = [WINTER, SHORT]
    before = store.content_hash([ash, birch], days)

    put(ash, starts, [91, 92], source="a new gadget")
    assert store.content_hash([birch, ash], days[::-1]) == before
    put(ash, starts, [1, 5])
    assert store.content_hash([ash, birch], days) != before
    assert store.content_hash([ash, birch], days, known_at=AT) == before
    assert store.content_hash([ash], days) != store.content_hash([birch], days)


def test_a_cube_of_many_streams_takes_two_queries_for_a_few_hundred(ash, birch, monkeypatch):
    put(ash, period_starts(WINTER), [1] * 48)
    put(birch, period_starts(WINTER)[:1], [2])
    asked: list[int] = []

    def read_groups(query: str, parameters: Any, *, kinds: Any) -> Any:
        asked.append(parameters[0].count(",") + 1)
        return copying.read_groups(query, parameters, kinds=kinds)

    kinds = {name: getattr(copying, name) for name in ("BYTES", "INT4", "INT8")}
    monkeypatch.setattr(store, "copying", SimpleNamespace(read_groups=read_groups, **kinds))
    strangers = [uuid4() for _ in range(300)]

    cube = store.day_cube([ash, *strangers, birch], [WINTER])

    assert asked == [250, 250, 52, 52]
    assert (cube.net_wh[0].sum(), cube.net_wh[-1].sum(), cube.present.sum()) == (48, 2, 49)


def test_large_and_negative_values_survive_the_journey(ash):
    starts = period_starts(WINTER)[:3]
    put(ash, starts, [2**31 - 1, 0, 0], export_wh=[0, 2**31 - 1, 0])

    assert store.day_cube([ash], [WINTER]).net_wh[0, 0, :3].tolist() == [2**31 - 1, 1 - 2**31, 0]


def test_the_interval_of_rows_is_half_open(ash):
    starts = period_starts(WINTER)[:3]
    put(ash, starts, [1, 2, 3])

    rows = store.half_hours(ash, Interval(starts[0], starts[2]))

    assert [row.import_wh for row in rows] == [1, 2]
