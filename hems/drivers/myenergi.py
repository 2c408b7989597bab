"""myenergi eddi and zappi, read only, from the maker's cloud (unofficial): what they draw, nothing is asked.

Fields that are missing are zero; voltage comes as V or as tenths of a volt.
"""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from hems.devices import DeviceState
from hems.drivers.calling import Caller
from hems.drivers.real_device import AssetSettings, RealDevice
from hems.instants import second_of

DIRECTOR: Final = "https://director.myenergi.net"
LOOK_SECONDS: Final = 60
STALE_SECONDS: Final = 300
MOST_VOLTS: Final = 1000
EDDI_STATES: Final = {1: "paused", 3: "diverting", 4: "boost", 5: "hot enough", 6: "stopped"}
UNREAD: Final = "read only: it cannot be asked to follow"


class MyEnergi(RealDevice):
    """`options`: `serial` of the device, `hub_serial`; `url` in place of the maker's director."""

    def __init__(self, settings: AssetSettings, *, api_key: str) -> None:
        super().__init__(settings)
        self._url = str(settings.options.get("url", DIRECTOR)).rstrip("/")
        self._serial = int(settings.options["serial"])
        self._account = str(settings.options["hub_serial"]), api_key
        self._passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        self._passwords.add_password(None, self._url, *self._account)
        self._is_led = self._url == DIRECTOR
        self._caller = Caller(
            urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPDigestAuthHandler(self._passwords)
            )
        )
        self._asked_s, self._heard_s = -LOOK_SECONDS, -STALE_SECONDS
        self._power_w: float | None = None
        self._detail = ""

    @property
    def available(self) -> bool:
        return not self._caller.failure and self.at_s - self._heard_s < STALE_SECONDS

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._caller.take()
        if not 0 <= self.at_s - self._asked_s < LOOK_SECONDS and self._caller.ask(
            f"{self._url}/cgi-jstatus-*", self._shown
        ):
            self._asked_s = self.at_s

    def safe_state(self) -> None:
        """It never left its owner's schedule."""

    def telemetry(self, at: datetime) -> DeviceState:
        state = self.state(
            at,
            power_w=self._power_w,
            detail=self._caller.failure or self._detail,
            is_available=self.available,
        )
        if not state.is_ordered:
            return state
        return replace(state, interlock=UNREAD)

    def close(self) -> None:
        self._caller.close()

    def _shown(self, answer: Any) -> None:
        if self._is_led and (server := server_of(answer)):
            self._url = f"https://{server}"
            self._passwords.add_password(None, self._url, *self._account)
        found = device_of(answer, self._serial)
        self._power_w, self._detail = power_of(found), EDDI_STATES.get(int(found.get("sta", 0)), "")
        self._heard_s = self.at_s


def server_of(answer: Any) -> str:
    """Return the maker's server that answers for this hub, "" when it is not named."""
    names = [str(group["asn"]) for group in answer if "asn" in group]
    return names[0] if names and names[0].endswith(".myenergi.net") else ""


def device_of(answer: Any, serial: int) -> dict[str, Any]:
    """Return the device's entry of a `jstatus` answer; ValueError when it is not there."""
    for group in answer:
        for devices in group.values():
            for device in devices if isinstance(devices, list) else ():
                if device.get("sno") == serial:
                    return dict(device)
    raise ValueError(f"no device with serial {serial}")


def power_of(device: dict[str, Any]) -> float:
    """Return what it diverts now, in watts; a field left out is zero."""
    return float(device.get("div", 0))


def volts_of(device: dict[str, Any]) -> float:
    """Return its voltage: newer firmware gives tenths of a volt."""
    volts = float(device.get("vol", 0))
    return volts / 10 if volts > MOST_VOLTS else volts
