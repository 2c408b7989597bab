"""The memory behind a switch: off with a way back, the member's hand, given back as found."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from hems.drivers.relay import DEAD_MAN_SECONDS, REFRESH_SECONDS, RESEND_SECONDS, Command, Relay

NOW = 1_795_000_000
OFF = Command(False, DEAD_MAN_SECONDS)


def found(*, is_on: bool) -> Relay:
    relay = Relay()
    relay.hear(is_on, NOW - 1000)
    return relay


def test_off_is_said_once_with_a_way_back_and_again_before_that_runs_out():
    relay = found(is_on=True)
    assert relay.step(False, NOW) == OFF
    assert relay.step(False, NOW + 1) is None
    relay.hear(False, NOW + 2)
    assert relay.step(False, NOW + REFRESH_SECONDS - 1) is None
    assert relay.step(False, NOW + REFRESH_SECONDS) == OFF


def test_what_is_not_followed_is_said_again():
    relay = found(is_on=True)
    assert relay.step(False, NOW) == OFF
    assert relay.step(False, NOW + RESEND_SECONDS - 1) is None
    assert relay.step(False, NOW + RESEND_SECONDS) == OFF


def test_it_is_given_back_on_and_the_timer_is_ended():
    relay = found(is_on=True)
    relay.step(False, NOW)
    relay.hear(False, NOW + 1)
    assert relay.step(None, NOW + 60) == Command(True)
    relay.hear(True, NOW + 61)
    assert relay.step(None, NOW + 62) is None
    assert relay.step(None, NOW + 600) is None


def test_what_was_off_already_is_left_alone_and_stays_off_afterwards():
    relay = found(is_on=False)
    assert relay.step(False, NOW) is None
    assert relay.step(None, NOW + 60) is None


def test_what_was_off_and_raised_is_off_again_afterwards():
    relay = found(is_on=False)
    assert relay.step(True, NOW) == Command(True)
    relay.hear(True, NOW + 1)
    assert relay.step(True, NOW + 5000) is None
    assert relay.step(None, NOW + 60) == Command(False)


def test_the_members_hand_stands_until_the_order_is_over():
    relay = found(is_on=True)
    relay.step(False, NOW)
    relay.hear(False, NOW + 1)
    relay.hear(True, NOW + 100)
    assert relay.is_overridden
    assert relay.step(False, NOW + 200) is None
    assert relay.step(None, NOW + 300) is None, "it is as the member left it"
    assert not relay.is_overridden
    assert relay.step(False, NOW + 400) == OFF


def test_the_members_hand_on_what_was_off_before_is_seen_too():
    relay = found(is_on=False)
    relay.step(False, NOW)
    relay.hear(True, NOW + 100)
    assert relay.is_overridden


def test_what_flipped_back_because_the_hub_was_away_is_no_hand():
    relay = found(is_on=True)
    relay.step(False, NOW)
    relay.hear(False, NOW + 1)
    relay.hear(True, NOW + DEAD_MAN_SECONDS + 200)
    assert not relay.is_overridden
    assert relay.step(False, NOW + DEAD_MAN_SECONDS + 201) == OFF


def test_of_orders_end_to_end_what_was_found_first_is_given_back():
    relay = found(is_on=True)
    relay.step(False, NOW)
    relay.hear(False, NOW + 1)
    assert relay.step(None, NOW + 10) == Command(True)
    assert relay.step(False, NOW + 11) == OFF, "before the device had followed"
    assert relay.step(None, NOW + 30) == Command(True)


def test_nobody_remembers_how_it_was_found():
    relay = Relay(is_on_when_free=True)
    assert relay.step(False, NOW) == OFF
    assert relay.step(None, NOW + 20) == Command(True)


@dataclass
class Switch:
    """A device with a timer of its own; some of what it is told and shows is lost."""

    is_on: bool = True
    flips_at_s: int | None = None

    def obey(self, command: Command, at_s: int) -> None:
        self.is_on = command.is_on
        self.flips_at_s = at_s + command.flips_after_seconds if command.flips_after_seconds else None

    def passes(self, at_s: int) -> None:
        if self.flips_at_s is not None and at_s >= self.flips_at_s:
            self.is_on, self.flips_at_s = not self.is_on, None


@given(
    lost=st.lists(st.booleans(), min_size=400, max_size=400),
    starts=st.integers(5, 50),
    lasts=st.integers(5, 200),
    dies_at=st.none() | st.integers(10, 300),
)
def test_a_bad_line_or_a_dead_hub_never_leaves_it_off(
    lost: list[bool], starts: int, lasts: int, dies_at: int | None
):
    relay, switch = found(is_on=True), Switch()
    for tick, is_lost in enumerate(lost):
        at_s = NOW + tick * 10
        switch.passes(at_s)
        if dies_at is not None and tick >= dies_at:
            continue
        if not is_lost:
            relay.hear(switch.is_on, at_s)
        target = False if starts <= tick < starts + lasts else None
        command = relay.step(target, at_s)
        if command is not None and not is_lost:
            switch.obey(command, at_s)
    switch.passes(NOW + 4000 + DEAD_MAN_SECONDS)
    if dies_at is not None or not any(lost[-20:]):
        assert switch.is_on
    assert switch.is_on or switch.flips_at_s is not None
    assert not relay.is_overridden or any(lost) or dies_at is not None


@given(starts=st.integers(1, 100), lasts=st.integers(1, 2000))
def test_on_a_good_line_it_is_off_for_exactly_the_order(starts: int, lasts: int):
    relay, switch = found(is_on=True), Switch()
    for tick in range(starts + lasts + 5):
        at_s = NOW + tick
        switch.passes(at_s)
        relay.hear(switch.is_on, at_s)
        command = relay.step(False if starts <= tick < starts + lasts else None, at_s)
        if command is not None:
            switch.obey(command, at_s)
        assert switch.is_on is not (starts <= tick < starts + lasts)
    assert not relay.is_overridden
    assert switch.flips_at_s is None
