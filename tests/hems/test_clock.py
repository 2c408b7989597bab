"""A hub whose clock is off goes by the VTN's: an event begins when the co-op means it to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.clock import MOST_SKEW_SECONDS, SteadiedClock, skew_seconds
from hems.status_page import page_of
from tests.hems.conftest import FIVE, NAME, HandClock, make_event

TRUE = datetime(2026, 11, 20, 12, tzinfo=UTC)


def stamped(at: datetime) -> str:
    return format_datetime(at.replace(microsecond=0), usegmt=True)


@given(
    ahead=st.floats(-86_400, 86_400),
    delays=st.lists(st.floats(0, 1.9), min_size=3, max_size=20),
    speed=st.sampled_from([0.0, 1.0, 60.0]),
)
def test_it_is_never_further_off_than_the_bound(ahead, delays, speed):
    """`ahead`: of the machine's clock; the answer is stamped somewhere within the delay."""
    hand = HandClock(TRUE + timedelta(seconds=ahead * speed), speed)
    clock = SteadiedClock(hand)
    for number, delay in enumerate(delays):
        asked = TRUE + timedelta(seconds=10 * number)
        clock.look(
            stamped(asked + timedelta(seconds=delay / 2)),
            asked_at=asked.timestamp() + ahead,
            heard_at=asked.timestamp() + delay + ahead,
        )

    off = abs((clock.now() - TRUE).total_seconds())
    bound = MOST_SKEW_SECONDS + 0.6 if abs(ahead) < MOST_SKEW_SECONDS + 0.6 else 0.6
    assert off <= bound * speed + 1e-3
    until = clock.wall_seconds_until(TRUE + timedelta(hours=1))
    assert until == pytest.approx(max(0.0, (TRUE + timedelta(hours=1) - clock.now()).total_seconds()))


def test_a_clock_put_right_is_believed_again():
    clock = SteadiedClock(HandClock(TRUE))
    for ahead in (400, 400, 400):
        clock.look(stamped(TRUE), asked_at=TRUE.timestamp() + ahead, heard_at=TRUE.timestamp() + ahead)
    assert clock.ahead_seconds == pytest.approx(400, abs=1)
    for _ in range(3):
        clock.look(stamped(TRUE), asked_at=TRUE.timestamp(), heard_at=TRUE.timestamp())
    assert clock.ahead_seconds == 0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Nov 2026 12:00:00 GMT", "\x00"])
def test_no_time_in_an_answer_moves_nothing(date):
    clock = SteadiedClock(HandClock(TRUE))
    for _ in range(5):
        clock.look(date, asked_at=0.0, heard_at=0.1)
    assert clock.now() == TRUE
    assert skew_seconds(date, asked_at=0.0, heard_at=0.1) is None


def test_one_late_answer_and_one_slow_one_move_nothing():
    clock = SteadiedClock(HandClock(TRUE))
    wall = TRUE.timestamp()
    for asked_at, heard_at in ((wall, wall), (wall, wall), (wall + 60, wall + 60), (wall, wall + 90)):
        clock.look(stamped(TRUE), asked_at=asked_at, heard_at=heard_at)
    assert clock.now() == TRUE


def test_a_slow_hub_begins_the_event_with_everybody_else(start, vtn, clock):
    agent = start()
    vtn.ahead_seconds = 420.0
    vtn.put(NAME, make_event())
    for _ in range(3):
        agent.contact()
    clock.at = FIVE - timedelta(seconds=430)
    agent.step(agent.clock.now())
    assert not agent.status(agent.clock.now())["asks"]

    clock.at = FIVE - timedelta(seconds=410)
    agent.step(agent.clock.now())

    status = agent.status(agent.clock.now())
    assert status["asks"] == "down"
    assert status["clock_ahead_seconds"] == pytest.approx(-420, abs=2)
    assert "behind the co-op" in page_of(status)
