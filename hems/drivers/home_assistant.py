"""Whatever Home Assistant can drive, by its REST interface: an on/off entity, or a battery's power.

Home Assistant is in the same home and has no timer for what it is told: give such an asset an automation of
its own where it must not stay off when the hub is gone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from hems.devices import DeviceState
from hems.drivers.calling import Caller
from hems.drivers.manners import Seen
from hems.drivers.real_device import AssetSettings, RealDevice, SwitchedDevice
from hems.drivers.relay import RESEND_SECONDS, Command
from hems.instants import second_of

LOOK_SECONDS: Final = 10
STALE_SECONDS: Final = 60
_SCALES: Final = {"W": 1.0, "kW": 1000.0}


class HomeAssistantSwitch(SwitchedDevice):
    """`options`: `url`, http://HOST:8123; `entity`, such as switch.immersion; `power_entity` in W or kW."""

    has_timer = False

    def __init__(self, settings: AssetSettings, *, token: str) -> None:
        super().__init__(settings, self._say_so)
        self._home = _Entities(settings, token)
        self._entity = str(settings.options["entity"])
        self._heard_s = -STALE_SECONDS

    @property
    def available(self) -> bool:
        return not self._home.caller.failure and self.at_s - self._heard_s < STALE_SECONDS

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._home.caller.take()
        self.settle(at)
        self._home.look(self._entity, self._shown, self.at_s)

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(
            at,
            power_w=self._home.power_w,
            detail=self._home.caller.failure,
            is_available=self.available,
        )

    def close(self) -> None:
        self._home.caller.close(self.safe_state)

    def _say_so(self, command: Command) -> bool:
        domain = self._entity.partition(".")[0]
        service = "turn_on" if command.is_on else "turn_off"
        return self._home.call(domain, service, {"entity_id": self._entity})

    def _shown(self, answer: Any) -> None:
        if answer["state"] in ("on", "off"):
            self._heard_s = self.at_s
            self.relay.hear(answer["state"] == "on", self.at_s)


class HomeAssistantNumber(RealDevice):
    """A power in W that an entity takes: a battery's charging limit.

    `options`: `url`, `entity`, `power_entity`; `free_w`, what it is set to without orders (its rating).
    """

    def __init__(self, settings: AssetSettings, *, token: str) -> None:
        super().__init__(settings)
        self._home = _Entities(settings, token)
        self._entity = str(settings.options["entity"])
        self._free_w = int(settings.options.get("free_w", settings.rated_w))
        self._shown_w: int | None = None
        self._is_held = False
        self._said_w, self._said_s = -1, -RESEND_SECONDS
        self._heard_s = -STALE_SECONDS

    @property
    def available(self) -> bool:
        return not self._home.caller.failure and self.at_s - self._heard_s < STALE_SECONDS

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._home.caller.take()
        wanted = self.wish_at(at, Seen())
        if wanted.limit_w is not None:
            self._is_held = True
            self._set(wanted.limit_w)
        elif self._is_held:
            self._set(self._free_w)
            self._is_held = self._shown_w != self._free_w
        self._home.look(self._entity, self._shown, self.at_s)

    def safe_state(self) -> None:
        self._holds = ()
        if self._is_held:
            self._said_s = -RESEND_SECONDS
            self._set(self._free_w)

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(
            at,
            power_w=self._home.power_w,
            detail=self._home.caller.failure,
            is_available=self.available,
        )

    def close(self) -> None:
        self._home.caller.close(self.safe_state)

    def _set(self, power_w: int) -> None:
        is_just_said = power_w == self._said_w and 0 <= self.at_s - self._said_s < RESEND_SECONDS
        if power_w == self._shown_w or is_just_said:
            return
        is_said = self._home.call("number", "set_value", {"entity_id": self._entity, "value": power_w})
        if is_said:
            self.note(f"{power_w} W")
            self._said_w, self._said_s = power_w, self.at_s

    def _shown(self, answer: Any) -> None:
        self._shown_w = round(float(answer["state"]))
        self._heard_s = self.at_s


class _Entities:
    """Home Assistant's states and services, one request at a time."""

    def __init__(self, settings: AssetSettings, token: str) -> None:
        self._url = str(settings.options["url"]).rstrip("/")
        self._power_entity = str(settings.options.get("power_entity", ""))
        self._headers = {"Authorization": f"Bearer {token}"}
        self.caller = Caller()
        self.power_w: float | None = None
        self._looked_s = self._power_looked_s = -LOOK_SECONDS

    def call(self, domain: str, service: str, data: dict[str, Any]) -> bool:
        is_asked = self.caller.ask(
            f"{self._url}/api/services/{domain}/{service}", _nothing, body=data, headers=self._headers
        )
        if is_asked:
            self._looked_s = -LOOK_SECONDS  # look at once what became of it
        return is_asked

    def look(self, entity: str, then: Any, at_s: int) -> None:
        if not 0 <= at_s - self._looked_s < LOOK_SECONDS:
            if self.caller.ask(f"{self._url}/api/states/{entity}", then, headers=self._headers):
                self._looked_s = at_s
        elif self._power_entity and not 0 <= at_s - self._power_looked_s < LOOK_SECONDS:
            url = f"{self._url}/api/states/{self._power_entity}"
            if self.caller.ask(url, self._powered, headers=self._headers):
                self._power_looked_s = at_s

    def _powered(self, answer: Any) -> None:
        unit = str(answer.get("attributes", {}).get("unit_of_measurement", "W"))
        self.power_w = float(answer["state"]) * _SCALES[unit]


def _nothing(answer: Any) -> None:
    """A service's answer lists what changed; the state is asked for anyway."""
