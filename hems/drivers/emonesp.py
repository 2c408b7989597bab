"""OpenEnergyMonitor's WiFi MQTT relay (EmonESP, Sonoff S20): for homes that have one, last released in 2023.

It knows no timer of its own that ends a switch-off: the broker's last will gives it back when the hub dies.
It is given back in the mode it was found in: Off, On or Timer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from hems.devices import DeviceState
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.real_device import AssetSettings, SwitchedDevice, object_of
from hems.drivers.relay import Command
from hems.instants import second_of

MODES: Final = ("On", "Off", "Timer")
ASK_SECONDS: Final = 60


class EmonEsp(SwitchedDevice):
    """`options`: `device`, its name under `emon/`; `free_mode`: how it is left when nobody remembers."""

    has_timer = False

    def __init__(self, settings: AssetSettings, broker: LocalBroker, *, hub: str) -> None:
        super().__init__(settings, self._say_so)
        self._device = str(settings.options["device"])
        self._free_mode = str(settings.options.get("free_mode", "On"))
        self._found_mode = ""
        self._is_held = False
        self._bus = Bus(
            broker,
            name=f"{hub}-{self.resource_id}"[:60],
            will=(f"emon/{self._device}/in/ctrlmode", self._free_mode),
        )
        self._bus.listen(f"emon/{self._device}/out/state", self._told)
        self._bus.greet(self._ask)
        self._asked_s = self._heard_s = -ASK_SECONDS
        self._bus.start()

    @property
    def available(self) -> bool:
        return self._bus.is_connected and self.at_s - self._heard_s < 3 * ASK_SECONDS

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._bus.take()
        if not 0 <= self.at_s - self._asked_s < ASK_SECONDS:
            self._ask()
        self.settle(at)

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(at, power_w=None, is_available=self.available)

    def close(self) -> None:
        self.safe_state()
        self._bus.close()

    def _ask(self) -> None:
        if self._bus.say(f"emon/{self._device}/in/state", ""):
            self._asked_s = self.at_s

    def _say_so(self, command: Command) -> bool:
        if not command.flips_after_seconds and command.is_on and self._is_held:
            mode = self._found_mode or self._free_mode
        else:
            mode = "On" if command.is_on else "Off"
        self._is_held = not command.is_on
        is_said = self._bus.say(f"emon/{self._device}/in/ctrlmode", mode)
        self._ask()
        return is_said

    def _told(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        mode = object_of(payload).get("ctrlmode")
        if mode not in MODES:
            return
        self._heard_s = self.at_s
        if not self._is_held:
            self._found_mode = str(mode)
        # In Timer mode it may be on or off: it is its owner's, and free, so it counts as on.
        self.relay.hear(mode != "Off", self.at_s)
