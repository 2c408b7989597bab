"""Totals over homes: never of a few, never of one that stands out, never by the difference of two."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from metering import aggregates
from metering.aggregates import OneHomeStandsOut, TooAlike, TooFewHomes, group_total
from metering.ingest import store_readings
from opendsr.kernel.periods import period_starts
from tests.factories import make_resident

pytestmark = pytest.mark.django_db

DAY = date(2026, 1, 6)
LATER = datetime(2026, 1, 20, tzinfo=UTC)


@pytest.fixture
def streams(db: None) -> list[UUID]:
    """Thirty homes with a reading in every half-hour of the day: 100 Wh and their number."""
    homes = [make_resident(f"Home {n}").stream_id for n in range(30)]
    store_readings(
        source="supplier",
        name="x",
        at=LATER,
        stream_ids=homes,
        starts_at=period_starts(DAY),
        import_wh=[[100 + n] * 48 for n in range(30)],
    )
    return homes


def test_fifteen_homes_have_a_total_in_tenths_of_a_kwh_and_fourteen_have_none(streams):
    told = group_total(streams[:15], [DAY])

    exact = sum((100 + n) * 48 for n in range(15))
    assert (told.homes, told.missing_homes, told.export_wh) == (15, 0, 0)
    assert told.import_wh == round(exact / 100) * 100
    with pytest.raises(TooFewHomes):
        group_total(streams[:14], [DAY])
    with pytest.raises(TooFewHomes):
        group_total([streams[0]] * 20, [DAY])


def test_homes_without_every_half_hour_do_not_count_towards_fifteen(streams):
    other = make_resident("Gappy").stream_id
    store_readings(
        source="supplier", name="y", at=LATER, stream_ids=[other],
        starts_at=period_starts(DAY)[:47], import_wh=[[100] * 47],
    )  # fmt: skip

    assert group_total([*streams[:15], other], [DAY]).missing_homes == 1
    with pytest.raises(TooFewHomes):
        group_total([*streams[:14], other], [DAY])


def test_a_home_that_makes_up_most_of_it_is_not_told_by_it(streams):
    store_readings(
        source="supplier", name="big", at=LATER, stream_ids=streams[:1],
        starts_at=period_starts(DAY), import_wh=[[9_000] * 48],
    )  # fmt: skip

    with pytest.raises(OneHomeStandsOut):
        group_total(streams[:20], [DAY])


def test_export_of_a_few_is_withheld_and_the_rest_told(streams):
    store_readings(
        source="supplier", name="sun", at=LATER, stream_ids=streams[:1],
        starts_at=period_starts(DAY), import_wh=[[100] * 48], export_wh=[[50] * 48],
    )  # fmt: skip

    told = group_total(streams[:20], [DAY])

    assert told.export_wh is None
    assert told.import_wh > 0


def test_two_groups_that_differ_by_one_home_are_not_both_told(streams):
    published = [frozenset(streams[:20])]

    assert group_total(streams[:20], [DAY], published=published).homes == 20
    with pytest.raises(TooAlike):
        group_total(streams[:21], [DAY], published=published)
    with pytest.raises(TooAlike):
        group_total(streams[1:20], [DAY], published=published)
    assert group_total(streams[15:], [DAY], published=[frozenset(streams[:15])]).homes == 15
    assert aggregates.LEAST_HOMES == 15
