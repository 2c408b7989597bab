"""A Tasmota relay (Sonoff Pow, TH and others) over MQTT.

Switching off arms rule timer 8 on the device, whose rule switches on again: a hub that dies costs a quarter
of an hour of warmth. Rule 3 is the hub's. `Time` in messages is device-local without a zone and is not read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from hems.devices import DeviceState
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.real_device import AssetSettings, SwitchedDevice, object_of
from hems.drivers.relay import Command
from hems.instants import second_of

FULL_TOPIC: Final = "%prefix%/%topic%/"
"""As the firmware comes; a home with another order says so in `full_topic`."""


class Tasmota(SwitchedDevice):
    """`options`: `topic`; `channel` (1 on); `full_topic`; `is_on_when_free`."""

    make: Final = "tasmota"

    def __init__(self, settings: AssetSettings, broker: LocalBroker, *, hub: str) -> None:
        super().__init__(settings, self._say_so)
        self._channel = int(settings.options.get("channel", 1))
        self._bus = Bus(broker, name=f"{hub}-{self.resource_id}"[:60])
        self._bus.listen(self.topic_of("tele", "LWT"), self._lives)
        for prefix, name in (("stat", "RESULT"), ("tele", "STATE"), ("tele", "SENSOR"), ("stat", "STATUS8")):
            self._bus.listen(self.topic_of(prefix, name), self._told)
        self._bus.listen(self.topic_of("stat", "STATUS2"), self._told_firmware)
        self._bus.greet(self._ask)
        self._is_online: bool | None = None
        self._power_w: float | None = None
        self._energy_wh: float | None = None
        self.firmware = ""
        self.temperature_c: float | None = None
        self._bus.start()

    def topic_of(self, prefix: str, name: str) -> str:
        return full_topic(self.settings, prefix) + name

    @property
    def available(self) -> bool:
        return self._bus.is_connected and bool(self._is_online)

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._bus.take()
        self.settle(at, temperature_c=self.temperature_c)

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(at, power_w=self._power_w, energy_wh=self._energy_wh, is_available=self.available)

    def take_firmware(self, url: str) -> bool:
        """Have the device fetch firmware from an address; it starts anew and then tells its version."""
        told = self._bus.say(self.topic_of("cmnd", "Backlog"), f"OtaUrl {url}; Upgrade 1")
        return self.note(f"firmware from {url}", is_said=told)

    def close(self) -> None:
        self.safe_state()
        self._bus.close()

    def _told_firmware(self, _topic: str, payload: bytes, is_retained: bool) -> None:
        if not is_retained:
            self.firmware = str(object_of(payload)["StatusFWR"]["Version"])

    def _ask(self) -> None:
        self._bus.say(self.topic_of("cmnd", f"Power{self._channel}"), "")
        self._bus.say(self.topic_of("cmnd", "Status"), "8")
        self._bus.say(self.topic_of("cmnd", "Status"), "2")

    def _say_so(self, command: Command) -> bool:
        power = f"Power{self._channel}"
        if command.is_on:
            said = f"RuleTimer8 0; {power} ON"
        else:
            rule = f"Rule3 ON Rules#Timer=8 DO {power} ON ENDON; Rule3 1"
            said = f"{rule}; RuleTimer8 {command.flips_after_seconds}; {power} OFF"
        return self._bus.say(self.topic_of("cmnd", "Backlog"), said)

    def _lives(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        self._is_online = payload == b"Online"
        if self._is_online:
            self._ask()

    def _told(self, _topic: str, payload: bytes, is_retained: bool) -> None:
        told = object_of(payload)
        told = told.get("StatusSNS", told)
        names = (f"POWER{self._channel}", *(("POWER",) if self._channel == 1 else ()))
        for name in names:
            if told.get(name) in ("ON", "OFF") and not is_retained:
                self._is_online = self._is_online is not False  # its own word, or last will, counts
                self.relay.hear(told[name] == "ON", self.at_s)
        energy = told.get("ENERGY")
        if isinstance(energy, dict):
            self._power_w = _of_channel(energy.get("Power"), self._channel)
            total_kwh = _of_channel(energy.get("Total"), self._channel)
            self._energy_wh = None if total_kwh is None else total_kwh * 1000
        for sensor in told.values():
            if isinstance(sensor, dict) and isinstance(sensor.get("Temperature"), int | float):
                self.temperature_c = _celsius(sensor["Temperature"], str(told.get("TempUnit", "C")))


def full_topic(settings: AssetSettings, prefix: str) -> str:
    """Return where a board speaks (`stat`, `tele`) or is told (`cmnd`), up to the last level."""
    pattern = str(settings.options.get("full_topic", FULL_TOPIC))
    return pattern.replace("%prefix%", prefix).replace("%topic%", str(settings.options["topic"]))


def _of_channel(value: Any, channel: int) -> float | None:
    """Return a figure that meters of several channels give as a list."""
    if isinstance(value, list):
        value = value[channel - 1] if channel <= len(value) else None
    return float(value) if isinstance(value, int | float) else None


def _celsius(value: float, unit: str) -> float:
    return (value - 32) * 5 / 9 if unit == "F" else float(value)
