"""Thermometers and power meters on the home's broker: the newest figure of a topic, while it is fresh."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from hems.drivers.bus import Bus
from hems.drivers.real_device import number_of

_CELSIUS_NAMES: Final = ("temperature", "Temperature")
_WATT_NAMES: Final = ("power", "Power", "apower", "act_power")


class Sensor:
    """One topic. Its payload is a number, or JSON that holds one, as Tasmota or zigbee2mqtt send it."""

    def __init__(
        self, topic: str, *, names: Sequence[str], least: float, most: float, fresh_seconds: int
    ) -> None:
        self.topic, self._names = topic, names
        self._least, self._most, self._fresh_seconds = least, most, fresh_seconds
        self._value: float | None = None
        self._heard_s = 0
        self.at_s = 0

    def listen(self, bus: Bus) -> None:
        bus.listen(self.topic, self._told)

    def value_at(self, at_s: int) -> float | None:
        """Return what it showed last; None when that is too long ago."""
        is_fresh = 0 <= at_s - self._heard_s < self._fresh_seconds
        return self._value if is_fresh else None

    def _told(self, _topic: str, payload: bytes, is_retained: bool) -> None:
        if is_retained:
            return  # nobody knows how old it is
        value = figure_in(payload, self._names)
        if not self._least <= value <= self._most:
            raise ValueError(f"{value} is outside {self._least} to {self._most}")
        self._value, self._heard_s = value, self.at_s


def thermometer(topic: str) -> Sensor:
    """In C; those on batteries speak only when it changes, or every hour."""
    return Sensor(topic, names=_CELSIUS_NAMES, least=-30.0, most=60.0, fresh_seconds=7_200)


def power_meter(topic: str) -> Sensor:
    """In W at the home's connection, above 0 bought, below 0 sold."""
    return Sensor(topic, names=_WATT_NAMES, least=-100_000.0, most=100_000.0, fresh_seconds=60)


def figure_in(payload: bytes, names: Sequence[str]) -> float:
    """Return the one figure a payload holds; ValueError when there is none."""
    try:
        return number_of(payload)
    except ValueError:
        figure = _found(json.loads(payload), names)
    if figure is None:
        raise ValueError(f"{payload!r:.60} holds none of {', '.join(names)}")
    return figure


def _found(document: Any, names: Sequence[str]) -> float | None:
    if not isinstance(document, dict):
        return None
    for name in names:
        value = document.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    inner = (_found(value, names) for value in document.values())
    return next((value for value in inner if value is not None), None)
