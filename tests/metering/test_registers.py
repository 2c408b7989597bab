"""Open registers: the same half-hours whatever the order, resets told, gaps kept, both clock-change days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering import halfhours, registers
from metering.intake_models import Register
from metering.models import HalfHour
from metering.registers import Ends, Sample, take_in
from tests.metering.meters import undone
from tests.metering.samples import AUTUMN

NIGHT = datetime(2026, 1, 5, 2, tzinfo=UTC)
NEXT_SPRING = datetime(2026, 3, 29, tzinfo=UTC)
LATER = NIGHT + timedelta(days=1)
TEN = timedelta(seconds=10)
LOAD_W = 1200


def steady(
    stream: UUID, *, start: datetime = NIGHT, minutes: int = 90, at_wh: int = 5_000_000
) -> list[Sample]:
    """Ten-second readings of a register under a steady load."""
    return [
        Sample(stream, "cad", registers.IMPORT, start + number * TEN, at_wh + LOAD_W * number * 10 // 3600)
        for number in range(minutes * 6 + 1)
    ]


def stored(stream: UUID) -> dict[datetime, tuple[int, int]]:
    """Wh and quality believed of each half-hour."""
    rows = HalfHour.objects.filter(stream_id=stream).order_by("starts_at", "revision")
    return {row.starts_at: (row.import_wh, row.quality) for row in rows}


def convert(at: datetime = LATER) -> None:
    while registers.convert(at=at):
        pass


@pytest.mark.django_db
def test_readings_every_ten_seconds_become_half_hours(ash):
    take_in(steady(ash))
    convert()

    half = timedelta(minutes=30)
    assert stored(ash) == {NIGHT + n * half: (600, 0) for n in range(3)}
    assert Register.objects.filter(stream_id=ash).count() == 4
    assert not Register.objects.filter(is_pending=True).exists()


@pytest.mark.django_db
def test_a_half_hour_waits_for_its_end(ash):
    take_in(steady(ash, minutes=45))

    convert(NIGHT + timedelta(minutes=30))
    assert list(stored(ash)) == [NIGHT]
    convert(NIGHT + timedelta(minutes=61))
    assert list(stored(ash)) == [NIGHT]
    convert(NIGHT + timedelta(minutes=76))
    assert list(stored(ash)) == [NIGHT, NIGHT + timedelta(minutes=30)]
    assert stored(ash)[NIGHT + timedelta(minutes=30)][1] == 1  # half of it was seen: an estimate


@pytest.mark.django_db
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_any_repeats_and_any_batches_lead_to_the_same(ash, data):
    samples = steady(ash)[:: data.draw(st.integers(3, 40))]
    shuffled = data.draw(st.permutations(samples)) + data.draw(st.lists(st.sampled_from(samples), max_size=5))
    cut = data.draw(st.integers(0, len(shuffled)))
    with undone():
        take_in(samples)
        rows = set(Register.objects.values_list("slot", "earliest", "latest", "highest", "lowest"))
        convert()
        wanted = stored(ash)
    with undone():
        take_in(shuffled[:cut])
        if data.draw(st.booleans()):
            convert()
        take_in(shuffled[cut:])
        assert set(Register.objects.values_list("slot", "earliest", "latest", "highest", "lowest")) == rows
        convert()
        assert stored(ash) == wanted


@pytest.mark.django_db
def test_a_register_that_starts_again_loses_only_what_nobody_saw(ash):
    before = steady(ash, minutes=15, at_wh=9_000_000)
    after = steady(ash, start=NIGHT + timedelta(minutes=16), minutes=50, at_wh=0)
    take_in(before + after)
    convert()

    wh, quality = stored(ash)[NIGHT]
    assert 590 <= wh <= 610  # 29 of 30 minutes seen, scaled up
    assert quality == 0


@pytest.mark.django_db
def test_a_gap_stays_a_gap(ash):
    hours = [
        *steady(ash, minutes=30),
        *steady(ash, start=NIGHT + timedelta(hours=2), minutes=31, at_wh=6_000_000),
    ]
    take_in(hours)
    convert()

    assert set(stored(ash)) == {NIGHT, NIGHT + timedelta(hours=2)}


@pytest.mark.django_db
def test_export_stands_beside_import(ash):
    exported = [Sample(ash, "cad", registers.EXPORT, each.at, each.wh // 2) for each in steady(ash)]
    take_in(steady(ash) + exported)
    convert()

    row = HalfHour.objects.get(stream_id=ash, starts_at=NIGHT)
    assert (row.import_wh, row.export_wh) == (600, 300)


@pytest.mark.django_db
@pytest.mark.parametrize(("day", "periods"), [(NEXT_SPRING, 46), (AUTUMN, 50)])
def test_both_clock_change_days_have_all_their_half_hours(ash, day, periods):
    start = day if periods == 46 else day - timedelta(hours=1)
    take_in(steady(ash, start=start, minutes=periods * 30)[::6])
    convert(start + timedelta(days=3))

    assert len(stored(ash)) == periods
    assert {wh for wh, _ in stored(ash).values()} == {600}


@pytest.mark.django_db
def test_late_samples_correct_their_half_hour_and_its_neighbour(ash):
    everything = steady(ash)
    missing = [each for each in everything if not NIGHT + 25 * 6 * TEN <= each.at < NIGHT + 35 * 6 * TEN]
    take_in(missing)
    convert()
    assert {quality for _, quality in stored(ash).values()} == {0, 1}

    take_in(everything)
    convert()
    assert set(stored(ash).values()) == {(600, 0)}


@pytest.mark.django_db
def test_what_is_too_old_is_dropped_and_nothing_of_it_comes_back(ash):
    take_in(steady(ash))
    convert()
    registers.forget(at=NIGHT + timedelta(days=9))

    assert not Register.objects.exists()
    assert not registers.is_timely(NIGHT, NIGHT + timedelta(days=7))
    assert not registers.is_timely(NIGHT + timedelta(minutes=6), NIGHT)


@given(st.lists(st.tuples(st.integers(0, 1799), st.integers(0, registers.MOST_WH)), min_size=1, max_size=12))
def test_the_four_samples_are_the_extremes(pairs):
    ends = Ends.of(*pairs[0])
    for pair in pairs[1:]:
        ends.join(Ends.of(*pair))

    kept = ends.samples()
    assert kept <= set(pairs)
    assert {min(kept)[0], max(kept)[0]} == {min(pairs)[0], max(pairs)[0]}
    assert {min(wh for _, wh in kept), max(wh for _, wh in kept)} == {
        min(p[1] for p in pairs),
        max(p[1] for p in pairs),
    }


def test_what_the_ends_keep_is_enough_for_the_energy():
    rng = np.random.default_rng(4)
    at = np.arange(0, 5400, 10)
    wh = np.cumsum(rng.integers(0, 9, len(at)))
    whole = halfhours.from_registers(np.zeros(len(at), int), at * 1_000_000, wh)
    rows: dict[int, Ends] = {}
    for offset, value in zip(at.tolist(), wh.tolist(), strict=True):
        ends = Ends.of(offset % 1800, value)
        known = rows.setdefault(offset // 1800, ends)
        known.join(ends)
    pairs = sorted(
        (slot * 1800 + offset, value) for slot, ends in rows.items() for offset, value in ends.samples()
    )
    few = halfhours.from_registers(
        np.zeros(len(pairs), int),
        np.array([at for at, _ in pairs]) * 1_000_000,
        np.array([wh for _, wh in pairs]),
    )

    assert few.import_wh.tolist() == whole.import_wh.tolist()
