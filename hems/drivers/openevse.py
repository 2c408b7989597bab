"""OpenEVSE and emonEVSE (firmware 4 and later) by claims over MQTT.

A claim of an API client has priority 500, a manual override 1000: whoever presses the button at the charger,
or in its app, wins over the hub, and the hub sees it on the retained topic `override`. The claim is given
back (`release`) when the order ends, when the hub stops, and by the broker (last will) when the hub dies.
Amperes below 6 are no charging current (IEC 61851): the charger is then disabled instead.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from hems.devices import DeviceState
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.manners import Seen, Wish
from hems.drivers.real_device import AssetSettings, RealDevice, number_of, object_of
from hems.drivers.relay import RESEND_SECONDS

LEAST_AMPERES: Final = 6
NOMINAL_VOLTS: Final = 230
RELEASE: Final = "release"
NO_CLAIM: Final = "null"
CHARGING: Final = 3
STATES: Final = {1: "ready", 2: "connected", 3: "charging", 254: "sleeping", 255: "disabled"}


class OpenEvse(RealDevice):
    """`options`: `base`, the charger's MQTT topic; `phases`; `charge_topic`: the car's per cent."""

    def __init__(self, settings: AssetSettings, broker: LocalBroker, *, hub: str) -> None:
        super().__init__(settings)
        self._base = str(settings.options["base"])
        self._phases = int(settings.options.get("phases", 1))
        self._bus = Bus(
            broker, name=f"{hub}-{self.resource_id}"[:60], will=(f"{self._base}/claim/set", RELEASE)
        )
        self._bus.listen("openevse/announce/+", self._announced)
        self._bus.listen(f"{self._base}/+", self._told)
        if charge_topic := settings.options.get("charge_topic"):
            self._bus.listen(str(charge_topic), self._charged)
        self._values: dict[str, float] = {}
        self._is_away = False
        self._is_heard = False
        self._claim: dict[str, Any] | None = None
        self._is_overridden = False
        self._charge_pct: float | None = None
        self._said: dict[str, Any] | None = None
        self._said_s = -RESEND_SECONDS
        self._bus.start()

    @property
    def available(self) -> bool:
        return self._bus.is_connected and self._is_heard and not self._is_away

    def apply(self, at: datetime) -> None:
        self._bus.take()
        seen = Seen(
            charge_pct=self._charge_pct,
            charged_wh=int(self._values.get("session_energy", 0)),
            is_overridden=self._is_overridden,
        )
        wanted = claim_of(self.wish_at(at, seen), phases=self._phases)
        # What it shows may be older than what was said last: news is said whatever it shows.
        is_late = not _says_the_same(wanted, self._claim) and self.at_s - self._said_s >= RESEND_SECONDS
        if wanted != self._said or is_late:
            self._say(wanted)

    def safe_state(self) -> None:
        self._holds = ()
        if self._claim is not None or self._said is not None:
            self._say(None)

    def telemetry(self, at: datetime) -> DeviceState:
        amperes, volts = self._values.get("amp"), self._values.get("voltage", NOMINAL_VOLTS)
        is_charging = self._values.get("state") == CHARGING
        power_w = None if amperes is None else amperes / 1000 * volts * self._phases * is_charging
        total_kwh = self._values.get("total_energy")
        code = int(self._values.get("state", 0))
        detail = STATES.get(code, f"fault {code}" if 4 <= code <= 11 else "")
        return self.state(
            at,
            power_w=power_w,
            energy_wh=None if total_kwh is None else total_kwh * 1000,
            detail=detail,
            is_available=self.available,
        )

    def close(self) -> None:
        self.safe_state()
        self._bus.close()

    def _say(self, claim: dict[str, Any] | None) -> None:
        payload = RELEASE if claim is None else json.dumps(claim)
        if self.note(payload, is_said=self._bus.say(f"{self._base}/claim/set", payload)):
            self._said, self._said_s = claim, self.at_s

    def _announced(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        told = object_of(payload)
        if self._base in (told.get("mqtt"), told.get("name")):
            self._is_away = told.get("state") != "connected"

    def _told(self, topic: str, payload: bytes, _is_retained: bool) -> None:
        name = topic.rpartition("/")[2]
        self._is_heard = True
        if name == "claim":
            told = object_of(payload)
            self._claim = None if told.get("state") == NO_CLAIM or not told else told
        elif name == "override":
            told = object_of(payload)
            self._is_overridden = bool(told) and told.get("state") != NO_CLAIM
        elif name in ("amp", "voltage", "session_energy", "total_energy", "state"):
            self._values[name] = number_of(payload)

    def _charged(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        percent = number_of(payload)
        self._charge_pct = percent if 0 <= percent <= 100 else None


def claim_of(wanted: Wish, *, phases: int) -> dict[str, Any] | None:
    """Return the claim that carries out a wish; None to hold none."""
    if wanted.limit_w is None:
        return None
    amperes = wanted.limit_w // (NOMINAL_VOLTS * phases)
    if wanted.is_raised:
        is_less = wanted.is_exact and amperes >= LEAST_AMPERES
        return {"state": "active", "charge_current": amperes} if is_less else {"state": "active"}
    if amperes < LEAST_AMPERES:
        return {"state": "disabled"}
    return {"max_current": amperes}


def _says_the_same(wanted: dict[str, Any] | None, shown: dict[str, Any] | None) -> bool:
    if wanted is None or shown is None:
        return wanted is shown
    return all(shown.get(name) == value for name, value in wanted.items())
