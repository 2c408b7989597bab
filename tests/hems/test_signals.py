"""Signals to orders, by name and type."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hems.signals import SignalUnsupported, slices_of
from oadr.messages import Signal, SignalInterval, Unit
from tests.hems.conftest import make_event


def event(*signals: tuple[str, str, float, str]):
    made = tuple(
        Signal(name, kind, "s", (SignalInterval(5400, value),), unit=Unit("powerReal", scale=scale))
        for name, kind, value, scale in signals
    )
    return replace(make_event(), signals=made)


@pytest.mark.parametrize(
    ("signal", "direction", "limit_w"),
    [
        (("SIMPLE", "level", 1, ""), "down", 0),
        (("simple", "level", 3, ""), "down", 0),
        (("LOAD_CONTROL", "x-loadControlCapacity", 0.5, ""), "down", 3680),
        (("LOAD_CONTROL", "x-loadControlCapacity", 1.5, ""), "up", 7360),
        (("LOAD_CONTROL", "x-loadControlPercentOffset", -75, ""), "down", 1840),
        (("LOAD_CONTROL", "x-loadControlPercentOffset", 10, ""), "up", 7360),
        (("LOAD_DISPATCH", "setpoint", 2.3, "k"), "down", 2300),
        (("LOAD_DISPATCH", "setpoint", -5, "none"), "down", 0),
        (("LOAD_DISPATCH", "delta", -3, "k"), "down", 4360),
        (("LOAD_DISPATCH", "delta", -30, "k"), "down", 0),
        (("LOAD_DISPATCH", "delta", 1.38, "k"), "up", 1380),
    ],
)
def test_what_a_signal_asks(signal, direction, limit_w):
    (part,) = slices_of(event(signal))

    assert part.action.direction == direction
    assert part.action.limit_w(7360, together_w=7360) == limit_w


@pytest.mark.parametrize(
    "signal",
    [
        ("SIMPLE", "level", 0, ""),
        ("LOAD_CONTROL", "x-loadControlCapacity", 1, ""),
        ("LOAD_DISPATCH", "delta", 0, "k"),
    ],
)
def test_a_signal_that_asks_for_nothing_orders_nothing(signal):
    assert slices_of(event(signal)) == ()


@pytest.mark.parametrize("signal", [("ELECTRICITY_PRICE", "price", 0.3, ""), ("SIMPLE", "delta", 1, "")])
def test_a_signal_without_meaning_here_is_refused(signal):
    with pytest.raises(SignalUnsupported):
        slices_of(event(signal))


def test_the_finer_signal_is_followed():
    (part,) = slices_of(
        event(("SIMPLE", "level", 3, ""), ("LOAD_CONTROL", "x-loadControlCapacity", 0.25, ""))
    )

    assert part.action.limit_w(7360, together_w=7360) == 1840


@pytest.mark.parametrize("kilowatts", [2, -2])
def test_assets_carry_the_hubs_watts_by_their_rating(kilowatts):
    (part,) = slices_of(event(("LOAD_DISPATCH", "delta", kilowatts, "k")))

    rated_w = (7360, 3000)
    limits_w = [part.action.limit_w(each, together_w=sum(rated_w)) for each in rated_w]

    changed_w = sum(limits_w) if kilowatts > 0 else sum(limits_w) - sum(rated_w)
    assert abs(changed_w - 1000 * kilowatts) <= len(rated_w)
    assert limits_w[0] > limits_w[1]
