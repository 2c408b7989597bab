"""The hub and a real Home Assistant, in an environment of its own: `make try-home-assistant`.

Not collected by `make test`, for what it installs takes minutes. Home Assistant is set up as a household does
it, over its own interfaces: an owner, a token, the MQTT integration with the broker's password. The hub shows
itself by discovery; it is then told by Home Assistant's switch and button, and drives two of its entities.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.agent import Agent
from hems.drivers.bus import LocalBroker
from oadr.messages import CreateOpt, Target
from tests.hems.conftest import NAME, make_event
from tests.hems.conftest import authority as authority
from tests.hems.conftest import make_folder as make_folder
from tests.hems.conftest import vtn as vtn
from tests.hems.local_broker import PASSWORD, USER, mosquitto, wait_for
from tests.hems.small_vtn import SmallVtn
from tests.interop.test_hub import WallClock
from tests.redises import free_port

ROOT = Path(__file__).resolve().parents[2]
HASS = ROOT / ".venv-home-assistant" / "bin" / "hass"
START_SECONDS = 120
ENTITIES = "energy_co_op_hub_"
CONFIGURATION = """
homeassistant:
  name: Home
  time_zone: Europe/London
  country: GB
  unit_system: metric
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
onboarding:
input_boolean:
  immersion:
    name: Immersion
    initial: true
input_number:
  charging:
    name: Charging
    min: 0
    max: 5000
    initial: 5000
template:
  - number:
      - name: Battery charging
        state: "{{{{ states('input_number.charging') }}}}"
        min: 0
        max: 5000
        step: 1
        set_value:
          - service: input_number.set_value
            target:
              entity_id: input_number.charging
            data:
              value: "{{{{ value }}}}"
  - sensor:
      - name: Immersion power
        unit_of_measurement: kW
        state: "{{{{ 2.75 if is_state('input_boolean.immersion', 'on') else 0 }}}}"
"""
HUB = """
[broker]
host = "{host}"
port = {port}
username = "hub"
password_file = "broker.password"
[home_assistant]
earnings_url = "https://coop.example/earnings"
[[assets]]
resource_id = "res-water"
kind = "immersion_heater"
driver = "home_assistant"
url = "{url}"
entity = "input_boolean.immersion"
power_entity = "sensor.immersion_power"
token_file = "token"
[[assets]]
resource_id = "res-battery"
kind = "battery"
driver = "home_assistant_number"
url = "{url}"
entity = "number.battery_charging"
token_file = "token"
"""


@dataclass(slots=True)
class HomeAssistant:
    """Its REST interface."""

    url: str
    token: str = ""

    def asks(self, path: str, body: Any = None, *, is_form: bool = False) -> Any:
        data, kind = None, "application/json"
        if body is not None:
            data = json.dumps(body).encode()
        if is_form:
            data, kind = urllib.parse.urlencode(body).encode(), "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 - this machine
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - this machine
            return json.loads(response.read())

    def state(self, entity: str) -> str:
        """Return an entity's state, "" while there is no such entity."""
        try:
            return str(self.asks(f"/api/states/{entity}")["state"])
        except urllib.error.HTTPError:
            return ""

    def calls(self, service: str, entity: str) -> None:
        self.asks(f"/api/services/{service.replace('.', '/')}", {"entity_id": entity})


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def home(broker: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    """A Home Assistant with an owner and the MQTT integration, set up by its own steps."""
    folder, port = tmp_path_factory.mktemp("home-assistant"), free_port()
    (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
    log_path = folder / "log"
    with log_path.open("wb") as log:
        words = [str(HASS), "--config", str(folder), "--skip-pip"]
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
    running = HomeAssistant(f"http://127.0.0.1:{port}")
    try:
        wait_for("Home Assistant", lambda: answers(running), seconds=START_SECONDS)
        set_up(running, broker)
        yield running
    except BaseException:
        sys.stderr.write(log_path.read_text()[-6000:])
        raise
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


def answers(home: HomeAssistant) -> bool:
    try:
        return isinstance(home.asks("/api/onboarding"), list)
    except (OSError, ValueError):
        return False


def set_up(home: HomeAssistant, broker: LocalBroker) -> None:
    """Be the household on its first evening: make the owner, and the MQTT integration."""
    client_id = home.url + "/"
    owner = {
        "client_id": client_id,
        "name": "Alice",
        "username": "alice",
        "password": "a-long-one",
        "language": "en",
    }
    code = home.asks("/api/onboarding/users", owner)["auth_code"]
    grant = {"grant_type": "authorization_code", "code": code, "client_id": client_id}
    home.token = home.asks("/auth/token", grant, is_form=True)["access_token"]
    flow = home.asks("/api/config/config_entries/flow", {"handler": "mqtt", "show_advanced_options": False})
    assert flow["step_id"] == "broker", flow
    given = {"broker": broker.host, "port": broker.port, "username": USER, "password": PASSWORD}
    made = home.asks(f"/api/config/config_entries/flow/{flow['flow_id']}", given)
    assert made["type"] == "create_entry", made


@pytest.fixture
def folder(home: HomeAssistant, broker: LocalBroker, make_folder: Callable[..., Path]) -> Path:
    """A hub whose two assets are Home Assistant's."""
    made: Path = make_folder()
    (made / "home.json").unlink()
    for name, secret in (("broker.password", PASSWORD), ("token", home.token)):
        (made / name).write_text(secret)
        (made / name).chmod(0o600)
    (made / "hub.toml").write_text(HUB.format(host=broker.host, port=broker.port, url=home.url))
    return made


@contextmanager
def living(folder: Path, url: str) -> Iterator[Agent]:
    with Agent(folder, vtn=url, clock=WallClock(), poll_seconds=0.3) as agent:
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            yield agent
        finally:
            agent.stop()
            thread.join(20)


def test_the_household_sees_the_event_and_has_the_last_word(
    home: HomeAssistant, folder: Path, vtn: SmallVtn
) -> None:
    def shows(**wanted: str) -> None:
        for name, state in wanted.items():
            domain, _, rest = name.partition("__")
            entity = f"{domain}.{ENTITIES}{rest}"
            wait_for(f"{entity} {state}", lambda: home.state(entity) == state, seconds=20)  # noqa: B023

    def drives(immersion: str, charging_w: float) -> None:
        wait_for(
            f"immersion {immersion}", lambda: home.state("input_boolean.immersion") == immersion, seconds=30
        )
        wait_for(
            f"battery {charging_w}",
            lambda: float(home.state("input_number.charging")) == charging_w,
            seconds=30,
        )

    def opts() -> list[str]:
        return [message.opt_type for message in vtn.heard_of(NAME, CreateOpt)]

    with living(folder, vtn.url) as agent:
        shows(
            binary_sensor__event_in_progress="off",
            sensor__next_event="unknown",
            sensor__what_is_asked="as usual",
        )
        shows(switch__taking_part="on")
        wait_for("the button", lambda: home.state(f"button.{ENTITIES}boost_as_usual_now") != "")
        drives("on", 5000)
        immersion = next(each for each in agent.place.drivers if each.resource_id == "res-water")
        wait_for(
            "the immersion's power",
            lambda: immersion.telemetry(datetime.now(UTC)).power_w == 2750,
            seconds=30,
        )

        starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
        vtn.put(NAME, make_event(starts_at=starts_at, minutes=60, target=Target()))
        shows(sensor__next_event=starts_at.isoformat())
        shows(binary_sensor__event_in_progress="on", sensor__what_is_asked="use less")
        drives("off", 0)

        home.calls("switch.turn_off", f"switch.{ENTITIES}taking_part")
        wait_for("the opt out", lambda: opts() == ["optOut"])
        shows(
            switch__taking_part="off",
            binary_sensor__event_in_progress="off",
            sensor__what_is_asked="as usual",
        )
        drives("on", 5000)

        home.calls("switch.turn_on", f"switch.{ENTITIES}taking_part")
        wait_for("the opt in", lambda: opts() == ["optOut", "optIn"])
        shows(switch__taking_part="on", binary_sensor__event_in_progress="on")
        drives("off", 0)

        home.calls("button.press", f"button.{ENTITIES}boost_as_usual_now")
        wait_for("the boost", lambda: opts() == ["optOut", "optIn", "optOut"])
        drives("on", 5000)

        home.calls("switch.turn_on", f"switch.{ENTITIES}taking_part")
        drives("off", 0)

    # stopped in the middle of the event: everything is given back, and the household sees that it is gone
    shows(switch__taking_part="unavailable")
    drives("on", 5000)
