"""Devices over HTTP, against real servers in their shapes: Shelly Gen1, Home Assistant, myenergi."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hems.devices import Order
from hems.drivers.catalogue import MAKES, Around, RealDriver
from hems.drivers.manners import Manners
from hems.drivers.myenergi import UNREAD, device_of, power_of, server_of, volts_of
from hems.drivers.real_device import AssetSettings
from hems.drivers.relay import DEAD_MAN_SECONDS
from tests.hems.local_broker import wait_for
from tests.samples import shared_sample

FIVE = datetime(2026, 11, 20, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOKEN = "a-long-lived-token"

Answer = Callable[[BaseHTTPRequestHandler, str, Any], tuple[int, Any]]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server whose `answer(handler, target, body)` returns a status and what to say in JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(None)

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: Any) -> None:
            status, said = answer(self, self.path, body)
            text = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth"')
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make(driver: str, *, secret: str = "", rated_w: int = 3000, **options: Any) -> RealDriver:
    settings = AssetSettings("r1", "immersion_heater", rated_w, Manners(), options)
    return MAKES[driver].build(settings, Around("HUB-0001", None, secret))


def order(direction: Any = "down", limit_w: int = 0) -> Order:
    return Order("E1", "r1", FIVE, FIVE + HOUR, FIVE + HOUR, direction, limit_w)


class Clock:
    """World time that moves on at every look, as the devices are asked every few seconds."""

    def __init__(self, driver: RealDriver, at: datetime) -> None:
        self.driver, self.at = driver, at

    def until(self, what: str, look: Callable[[], object]) -> None:
        def looks() -> object:
            self.driver.apply(self.at)
            self.at += timedelta(seconds=1)
            return look()

        wait_for(what, looks)


class Gen1:
    """A Shelly plug: /relay/0 and /status."""

    def __init__(self) -> None:
        self.is_on, self.timers = True, [0]

    def __call__(self, handler: BaseHTTPRequestHandler, target: str, _body: Any) -> tuple[int, Any]:
        parts = urlsplit(target)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/relay/0":
            self.timers.append(int(asked.get("timer", 0)))
            self.is_on = asked["turn"] == "on"
            return 200, {"ison": self.is_on, "has_timer": "timer" in asked}
        meter = {"is_valid": True, "power": 2900.5 if self.is_on else 0.0, "total": 2632 * 60}
        return 200, {"relays": [{"ison": self.is_on}], "meters": [meter], "unixtime": 1707332241}


def test_shelly_gen1_is_off_with_a_timer_and_given_back():
    plug = Gen1()
    with serving(plug) as url:
        driver = make("shelly_gen1", url=url)
        clock = Clock(driver, FIVE - timedelta(minutes=5))
        clock.until("the plug", lambda: driver.available)
        assert driver.telemetry(clock.at).power_w == 2900
        assert driver.telemetry(clock.at).energy_wh == 2632, "watt-minutes"
        driver.plan([order()])
        clock.at = FIVE
        clock.until("off", lambda: not plug.is_on)
        assert plug.timers[-1] == DEAD_MAN_SECONDS
        clock.at = FIVE + HOUR
        clock.until("on", lambda: plug.is_on)
        assert plug.timers[-1] == 0
        driver.close()


def test_shelly_gen1_that_is_stopped_in_an_event_is_given_back():
    plug = Gen1()
    with serving(plug) as url:
        driver = make("shelly_gen1", url=url)
        driver.plan([order()])
        clock = Clock(driver, FIVE)
        clock.until("off", lambda: not plug.is_on)
        clock.until("it is seen", lambda: driver.relay.shown is False)  # type: ignore[attr-defined]
        driver.close()
        assert plug.is_on


def test_a_device_that_is_away_says_so_and_delays_nobody():
    driver = make("shelly_gen1", url="http://127.0.0.1:9")
    clock = Clock(driver, FIVE)
    clock.until("the failure", lambda: "refused" in driver.telemetry(clock.at).detail)
    assert not driver.available
    driver.close()


def test_shelly_gen1s_recorded_status_is_read():
    recorded = json.loads(shared_sample("device-samples/shelly_gen1_plugs_status.json").read_text())
    with serving(lambda *_: (200, recorded)) as url:
        driver = make("shelly_gen1", url=url)
        Clock(driver, FIVE).until("the plug", lambda: driver.available)
        assert driver.telemetry(FIVE).energy_wh == round(2632 / 60)
        driver.close()


class HomeAssistant:
    """Its REST interface: states, services, a bearer token."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {
            "switch.immersion": {"state": "on", "attributes": {}},
            "sensor.immersion_power": {"state": "2.95", "attributes": {"unit_of_measurement": "kW"}},
            "number.battery_power": {"state": "5000", "attributes": {"unit_of_measurement": "W"}},
        }
        self.calls: list[tuple[str, Any]] = []

    def __call__(self, handler: BaseHTTPRequestHandler, target: str, body: Any) -> tuple[int, Any]:
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 403, {"message": "no"}
        kind, _, rest = target.removeprefix("/api/").partition("/")
        if kind == "states":
            return (
                (200, self.states[rest]) if rest in self.states else (404, {"message": "Entity not found."})
            )
        self.calls.append((rest, body))
        state = {"switch/turn_on": "on", "switch/turn_off": "off"}.get(rest) or str(body.get("value"))
        self.states[body["entity_id"]]["state"] = state
        return 200, []


def test_home_assistants_switch_follows_and_tells_kilowatts_as_watts():
    home = HomeAssistant()
    with serving(home) as url:
        driver = make("home_assistant", secret=TOKEN, url=url, entity="switch.immersion",
                      power_entity="sensor.immersion_power")  # fmt: skip
        clock = Clock(driver, FIVE - timedelta(minutes=5))
        clock.until("its power", lambda: driver.telemetry(clock.at).power_w == 2950)
        driver.plan([order()])
        clock.at = FIVE
        clock.until("off", lambda: home.states["switch.immersion"]["state"] == "off")
        clock.at = FIVE + HOUR
        clock.until("on", lambda: home.states["switch.immersion"]["state"] == "on")
        clock.until("it is seen", lambda: driver.relay.shown is True)  # type: ignore[attr-defined]
        driver.plan([replace(order(), starts_at=clock.at, ends_at=clock.at + HOUR)])
        clock.until("off again", lambda: home.states["switch.immersion"]["state"] == "off")
        clock.until("it is seen", lambda: driver.relay.shown is False)  # type: ignore[attr-defined]
        driver.close()
        assert home.states["switch.immersion"]["state"] == "on", "given back at the end"


def test_a_battery_is_a_number_and_given_its_own_back():
    home = HomeAssistant()
    with serving(home) as url:
        driver = make("home_assistant_number", secret=TOKEN, rated_w=5000, url=url,
                      entity="number.battery_power")  # fmt: skip
        driver.plan([order("down", 1500)])
        clock = Clock(driver, FIVE)
        clock.until("the limit", lambda: home.states["number.battery_power"]["state"] == "1500")
        clock.at = FIVE + HOUR
        clock.until("its own", lambda: home.states["number.battery_power"]["state"] == "5000")
        clock.until("it is seen", lambda: driver._shown_w == 5000)  # type: ignore[attr-defined]
        count = len(home.calls)
        for _ in range(30):
            clock.until("nothing", lambda: True)
        assert len(home.calls) == count, "said once is enough"
        driver.close()


def test_another_power_is_said_at_once_though_one_has_just_been_said():
    home = HomeAssistant()
    with serving(home) as url:
        driver = make("home_assistant_number", secret=TOKEN, rated_w=5000, url=url,
                      entity="number.battery_power")  # fmt: skip
        driver.plan([order("down", 1500)])
        clock = Clock(driver, FIVE)
        clock.until("the limit", lambda: home.states["number.battery_power"]["state"] == "1500")
        driver.plan([])  # the member's word

        def is_free() -> bool:
            driver.apply(clock.at)
            return str(home.states["number.battery_power"]["state"]) == "5000"

        wait_for("its own, in the same second", is_free)
        driver.close()


def test_a_wrong_token_is_told():
    with serving(HomeAssistant()) as url:
        driver = make("home_assistant", secret="another", url=url, entity="switch.immersion")
        clock = Clock(driver, FIVE)
        clock.until("the refusal", lambda: "403" in driver.telemetry(clock.at).detail)
        assert not driver.available
        driver.close()


REALM, NONCE = "MyEnergi Telemetry", "abc123"


def digest_of(header: str, method: str, user: str, password: str) -> bool:
    """Check an RFC 7616 answer, qop auth, MD5 as the maker has it."""
    fields = dict(part.strip().split("=", 1) for part in header.removeprefix("Digest ").split(","))
    given = {name: value.strip('"') for name, value in fields.items()}

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    one, two = md5(f"{user}:{REALM}:{password}"), md5(f"{method}:{given['uri']}")
    wanted = md5(f"{one}:{NONCE}:{given['nc']}:{given['cnonce']}:auth:{two}")
    return given["response"] == wanted


ZAPPI = {"sno": 10077777, "sta": 4, "div": 3596, "vol": 2402, "zmo": 3, "pst": "C2"}
EDDI = {"sno": 10088888, "sta": 5, "vol": 240.2}  # no div: zero


def test_myenergi_is_read_with_digest_and_never_told_anything():
    asked: list[tuple[str, str]] = []

    def cloud(handler: BaseHTTPRequestHandler, target: str, _body: Any) -> tuple[int, Any]:
        asked.append((handler.command, target))
        header = handler.headers.get("Authorization", "")
        if not header or not digest_of(header, handler.command, "12345678", "key"):
            return 401, {}
        return 200, [{"eddi": [EDDI]}, {"zappi": [ZAPPI]}, {"harvi": []}, {"asn": "s7.myenergi.net"}]

    with serving(cloud) as url:
        driver = make("myenergi", secret="key", serial=10077777, hub_serial="12345678", url=url)
        driver.plan([order()])
        clock = Clock(driver, FIVE)
        clock.until("the zappi", lambda: driver.available)
        seen = driver.telemetry(clock.at)
        assert (seen.power_w, seen.is_ordered, seen.interlock) == (3596, True, UNREAD)
        driver.safe_state()
        driver.close()
    assert {(method, target) for method, target in asked} == {("GET", "/cgi-jstatus-*")}


def test_myenergis_missing_fields_tenths_of_volts_and_servers():
    assert power_of(EDDI) == 0
    assert (volts_of(ZAPPI), volts_of(EDDI)) == (240.2, 240.2)
    assert server_of([{"asn": "s7.myenergi.net"}]) == "s7.myenergi.net"
    assert server_of([{"asn": "evil.example"}]) == ""
    assert server_of([{"eddi": []}]) == ""
    with pytest.raises(ValueError, match="no device with serial 5"):
        device_of([{"eddi": [EDDI]}, {"asn": "s7.myenergi.net"}], 5)


def test_myenergis_recorded_status_is_read():
    recorded = json.loads(shared_sample("device-samples/myenergi_jstatus_all.json").read_text())
    assert power_of(device_of(recorded, 10077777)) == 3596
    assert power_of(device_of(recorded, 10088888)) == 0
    assert server_of(recorded) == "s7.myenergi.net"
