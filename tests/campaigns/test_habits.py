"""Habits: what homes usually use and how often they come, worked out nightly and read at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import habits, tasks
from campaigns.models import HomeHabit, Participation
from members import consenting, moving
from members.models import Consent, Purpose
from opendsr.kernel import outbox
from opendsr.kernel.interval import Interval
from tests.campaigns.staging import NOON, PaperVtn, make_dispatched, make_history, make_ready_home
from tests.factories import make_resident

pytestmark = pytest.mark.django_db
HALF_HOUR = timedelta(minutes=30)


def test_even_use_is_found_in_every_half_hour_of_both_kinds_of_day() -> None:
    resident = make_resident()
    make_history({resident.stream_id: 1_500})

    assert habits.work_out(at=NOON) == 1

    habit = HomeHabit.objects.get()
    assert habit.occupancy == resident.occupancy
    assert set(habit.working_day_w) == set(habit.other_day_w) == {1_500}
    assert not habits.is_due(at=NOON)
    assert habits.is_due(at=NOON + timedelta(days=1))


def test_a_home_without_readings_is_unknown() -> None:
    resident = make_resident()
    habits.work_out(at=NOON)

    found = habits.habits_of([resident.occupancy.pk], Interval(NOON, NOON + HALF_HOUR))

    assert found[resident.occupancy.pk].usual_w == habits.UNKNOWN


@pytest.mark.parametrize(
    ("starts_at", "minutes", "expected_w"),
    [
        (datetime(2026, 1, 14, 12, tzinfo=UTC), 30, 24),
        (datetime(2026, 1, 14, 12, 10, tzinfo=UTC), 30, 24),
        (datetime(2026, 1, 14, 12, tzinfo=UTC), 60, 24),
        (datetime(2026, 1, 14, 23, 30, tzinfo=UTC), 60, 23),
        (datetime(2026, 7, 15, 12, tzinfo=UTC), 30, 26),
        (datetime(2026, 1, 17, 12, tzinfo=UTC), 30, 1_024),
    ],
    ids=["noon", "within", "hour", "over midnight", "summer time", "weekend"],
)
def test_an_interval_finds_its_half_hours(starts_at: datetime, minutes: int, expected_w: int) -> None:
    resident = make_resident()
    HomeHabit.objects.create(
        occupancy=resident.occupancy,
        working_day_w=list(range(48)),
        other_day_w=list(range(1_000, 1_048)),
        worked_out_at=NOON,
    )

    found = habits.habits_of(
        [resident.occupancy.pk], Interval(starts_at, starts_at + timedelta(minutes=minutes))
    )

    assert found[resident.occupancy.pk].usual_w == expected_w


def test_a_campaign_counts_once_and_a_no_is_a_miss(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    make_dispatched(kit.assets)
    Participation.objects.update(outcome=Participation.Outcome.UNRESPONSIVE)
    later = NOON + timedelta(days=1)

    habits.work_out(at=later)

    habit = HomeHabit.objects.get()
    assert (habit.asked, habit.missed) == (1, 1)
    assert habits.chances_of([resident.occupancy.pk], at=later) == {resident.occupancy.pk: 2 / 11}


def test_what_was_worked_out_goes_with_the_consent_and_with_the_household() -> None:
    one, two, three = (make_resident() for _ in range(3))
    make_history(dict.fromkeys([one.stream_id, two.stream_id, three.stream_id], 1_000))
    habits.work_out(at=NOON)
    outbox.drain()
    consent = Consent.objects.get(occupancy=one.occupancy, purpose=Purpose.SETTLEMENT)
    consenting.withdraw_consent(consent_id=consent.pk, member=one.member, at=NOON)
    moving.move_out(occupancy=two.occupancy, at=NOON)

    outbox.drain()

    assert [habit.occupancy for habit in HomeHabit.objects.all()] == [three.occupancy]


def test_the_task_works_out_once_a_day(it_is: object) -> None:
    it_is(NOON)  # type: ignore[operator]
    resident = make_resident()
    tasks.work_out_habits()
    HomeHabit.objects.update(asked=7)

    tasks.work_out_habits()

    assert HomeHabit.objects.get(occupancy=resident.occupancy).asked == 7


@given(asked=st.integers(0, 1_000), missed=st.integers(0, 1_000))
def test_a_chance_is_never_sure_and_grows_with_what_was_missed(asked: int, missed: int) -> None:
    missed = min(asked, missed)
    chance = habits.chance_out(asked=asked, missed=missed)

    assert 0 < chance < 1
    assert chance < habits.chance_out(asked=asked + 1, missed=missed + 1)
    assert chance > habits.chance_out(asked=asked + 1, missed=missed)
