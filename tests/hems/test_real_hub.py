"""A hub with real devices: an event, a cut line, a stopped hub, a household's word, a look at everything."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.agent import Agent
from hems.discovery import entities
from hems.doctor import examine
from hems.drivers.bus import LocalBroker
from oadr.messages import CreateOpt
from tests.hems.conftest import FIVE, NAME, HandClock, make_event
from tests.hems.local_broker import (
    PASSWORD,
    FakeDevice,
    FakeEvse,
    FakeShelly,
    mosquitto,
    wait_for,
)
from tests.hems.small_vtn import Authority, SmallVtn
from tests.redises import free_port

pytestmark = pytest.mark.process

SECOND = timedelta(seconds=1)
MAC = "BCDDC2C6A91C"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


def furnish(folder: Path, broker: LocalBroker, *, evse: str = "openevse-7b2c") -> Path:
    """Make the hub's folder a real home: charger, immersion heater, meter, Home Assistant."""
    (folder / "home.json").unlink()
    (folder / "broker.password").write_text(PASSWORD)
    (folder / "broker.password").chmod(0o600)
    (folder / "hub.toml").write_text(
        f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\nusername = "hub"\n'
        f'password_file = "broker.password"\n'
        f'[meter]\nname = "CAD-1"\nglow = "{MAC}"\n[home_assistant]\n'
        f'[[assets]]\nresource_id = "res-ev"\nkind = "ev_charger"\ndriver = "openevse"\nbase = "{evse}"\n'
        f'[[assets]]\nresource_id = "res-water"\nkind = "immersion_heater"\ndriver = "shelly_gen2"\n'
        f'prefix = "shellyplus1pm-aabb"\n[status_page]\nhost = "127.0.0.1"\nport = 0\n'
    )
    return folder


@pytest.fixture
def hub(
    make_folder: Callable[..., Path], vtn: SmallVtn, clock: HandClock, broker: LocalBroker
) -> Iterator[Agent]:
    folder = furnish(make_folder(), broker)
    agent = Agent(folder, vtn=vtn.url, clock=clock)
    yield agent
    agent.close()


@pytest.fixture
def evse(broker: LocalBroker) -> Iterator[FakeEvse]:
    with FakeEvse(broker) as device:
        yield device


@pytest.fixture
def shelly(broker: LocalBroker) -> Iterator[FakeShelly]:
    with FakeShelly(broker) as device:
        yield device


def until(what: str, agent: Agent, clock: HandClock, look: Callable[[], object]) -> None:
    def looks() -> object:
        agent.step(clock.now())
        return look()

    wait_for(what, looks)


def is_all_there(agent: Agent) -> bool:
    return all(driver.available for driver in agent.place.drivers)


def test_an_event_reaches_the_devices_and_they_are_given_back(
    hub: Agent, vtn: SmallVtn, clock: HandClock, evse: FakeEvse, shelly: FakeShelly
):
    until("the devices", hub, clock, lambda: is_all_there(hub))
    vtn.put(NAME, make_event())
    hub.contact()
    hub.step(clock.now())
    assert shelly.is_on

    clock.at = FIVE
    until("off", hub, clock, lambda: not shelly.is_on and evse.claim == {"state": "disabled"})
    clock.at = FIVE + timedelta(minutes=90)
    until("on", hub, clock, lambda: shelly.is_on and evse.claim == {"state": "null"})
    assert set(vtn.answers(NAME)) == {("E1", 0, "optIn", 200)}


def test_a_line_cut_in_the_event_changes_nothing_in_the_home_and_is_reconciled_later(
    make_folder: Callable[..., Path],
    authority: Authority,
    tmp_path: Path,
    clock: HandClock,
    broker: LocalBroker,
    evse: FakeEvse,
    shelly: FakeShelly,
):
    folder = furnish(make_folder(), broker)
    with SmallVtn(authority, tmp_path) as vtn:
        hub = Agent(folder, vtn=vtn.url, clock=clock)
        until("the devices", hub, clock, lambda: is_all_there(hub))
        vtn.put(NAME, make_event())
        hub.contact()
        clock.at = FIVE
        until("off", hub, clock, lambda: not shelly.is_on)
    hub._link.close()  # the listener is gone; what is left of the old connection goes too
    try:
        clock.at = FIVE + timedelta(minutes=60)
        hub.contact()
        until("off still", hub, clock, lambda: not shelly.is_on and evse.claim == {"state": "disabled"})
        assert hub.status(clock.now())["state"] == "no_contact"
        clock.at = FIVE + timedelta(minutes=90)
        until("its own schedule", hub, clock, lambda: shelly.is_on and evse.claim == {"state": "null"})

        with SmallVtn(authority, tmp_path, port=vtn.port) as back:
            back.registrations, back.events = vtn.registrations, vtn.events
            back.put(NAME, make_event("E2", starts_at=clock.at + timedelta(hours=1)))
            hub.contact()
            assert ("E2", 0, "optIn", 200) in back.answers(NAME)
            assert hub.status(clock.now())["state"] == "online"
    finally:
        hub.close()


def test_an_event_cancelled_while_the_line_was_cut_ends_when_it_is_heard(
    hub: Agent, vtn: SmallVtn, clock: HandClock, evse: FakeEvse, shelly: FakeShelly
):
    until("the devices", hub, clock, lambda: is_all_there(hub))
    vtn.put(NAME, make_event())
    hub.contact()
    clock.at = FIVE
    until("off", hub, clock, lambda: not shelly.is_on)
    vtn.put(NAME, make_event(number=1, status="cancelled"))
    hub.contact()
    until("on", hub, clock, lambda: shelly.is_on and evse.claim == {"state": "null"})


def test_a_hub_that_is_closed_in_the_event_holds_nothing(
    make_folder: Callable[..., Path],
    vtn: SmallVtn,
    clock: HandClock,
    broker: LocalBroker,
    evse: FakeEvse,
    shelly: FakeShelly,
):
    folder = furnish(make_folder(), broker)
    vtn.put(NAME, make_event())
    clock.at = FIVE - SECOND
    with Agent(folder, vtn=vtn.url, clock=clock) as first:
        until("the devices", first, clock, lambda: is_all_there(first))
        first.contact()
        clock.at = FIVE
        until("off", first, clock, lambda: not shelly.is_on and evse.claim == {"state": "disabled"})
    wait_for("on", lambda: shelly.is_on and evse.claim == {"state": "null"})
    with Agent(folder, vtn=vtn.url, clock=clock) as second:
        until("off again", second, clock, lambda: not shelly.is_on and evse.claim == {"state": "disabled"})


def test_a_device_that_is_away_at_the_start_is_told_when_it_comes(
    hub: Agent, vtn: SmallVtn, clock: HandClock, evse: FakeEvse, broker: LocalBroker
):
    vtn.put(NAME, make_event())
    hub.contact()
    clock.at = FIVE
    until("the charger", hub, clock, lambda: evse.claim == {"state": "disabled"})
    seen = {each["resource_id"]: each for each in hub.status(clock.now())["assets"]}
    assert not seen["res-water"]["is_available"]
    with FakeShelly(broker) as late:
        clock.at += 20 * SECOND
        until("off", hub, clock, lambda: not late.is_on)


def test_the_household_says_no_in_home_assistant_and_yes_again(
    hub: Agent, vtn: SmallVtn, clock: HandClock, evse: FakeEvse, shelly: FakeShelly, broker: LocalBroker
):
    root = f"opendsr/{NAME}"
    with FakeDevice(broker, (f"{root}/#", "homeassistant/#"), lambda *_: None) as home:
        until("the devices", hub, clock, lambda: is_all_there(hub))
        vtn.put(NAME, make_event())
        hub.contact()
        clock.at = FIVE

        def state() -> dict[str, Any]:
            hub._show(clock.now())
            told = home.told(f"{root}/state")
            return dict(json.loads(told[-1])) if told else {}

        shown = {
            "event_in_progress": True,
            "next_event": None,
            "asks": "use less",
            "taking_part": True,
            "contact": "online",
        }
        until("the event to be shown", hub, clock, lambda: state() == shown)
        until("off", hub, clock, lambda: not shelly.is_on)
        home.says(f"{root}/part/set", "OFF")
        until("on", hub, clock, lambda: shelly.is_on and evse.claim == {"state": "null"})
        until("no", hub, clock, lambda: not state()["taking_part"] and state()["asks"] == "as usual")
        hub.contact()
        assert any(isinstance(message, CreateOpt) for message in vtn.heard[NAME])
        clock.at += timedelta(minutes=1)
        home.says(f"{root}/part/set", "ON")
        until("off again", hub, clock, lambda: not shelly.is_on)
        home.says(f"{root}/boost", "PRESS")
        until("boost", hub, clock, lambda: shelly.is_on)
        announced = set(entities(NAME, root=root, prefix="homeassistant", earnings_url=""))

        def told() -> set[str]:
            return {topic for topic, _ in home.heard if topic.startswith("homeassistant/")}

        wait_for("every entity to be announced", lambda: told() >= announced)
        assert told() == announced


def test_every_word_said_to_a_device_is_written_down(
    hub: Agent, vtn: SmallVtn, clock: HandClock, evse: FakeEvse, shelly: FakeShelly
):
    until("the devices", hub, clock, lambda: is_all_there(hub))
    vtn.put(NAME, make_event())
    hub.contact()
    clock.at = FIVE
    until("off", hub, clock, lambda: not shelly.is_on and evse.claim == {"state": "disabled"})
    lines = (hub.folder / "commands.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in sorted(lines, key=lambda line: line.split(" ", 2)[2])] == [
        'res-ev order: {"state": "disabled"}',
        "res-water order: off, back after 900 s",
    ]


def test_the_status_page_shows_the_event_and_the_devices_and_takes_no_orders(
    hub: Agent, vtn: SmallVtn, clock: HandClock, evse: FakeEvse, broker: LocalBroker
):
    page = hub.place.status_page  # type: ignore[attr-defined]

    def fetched(path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
        connection.request(method, path)
        response = connection.getresponse()
        answer = response.status, response.read().decode()
        connection.close()
        return answer

    assert "Starting" in fetched("/")[1]
    vtn.put(NAME, make_event("<script>"))
    hub.contact()
    clock.at = FIVE
    until("the charger", hub, clock, lambda: evse.claim == {"state": "disabled"})
    hub._show(clock.now())
    status, shown = fetched("/")
    assert status == 200
    for words in (
        "use less",
        "In contact",
        "EV charger",
        "in the event",
        "away: is it plugged in?",
        "running",
    ):
        assert words in shown
    assert "<script>" not in shown
    assert json.loads(fetched("/status.json")[1])["serial"] == NAME
    assert fetched("/anything")[0] == 404
    assert fetched("/", "POST")[0] == 501


def test_discovery_is_what_home_assistant_asks_for():
    found = entities(
        "HUB-1", root="opendsr/HUB-1", prefix="homeassistant", earnings_url="https://coop.example"
    )
    for topic, config in found.items():
        prefix, component, node, name, last = topic.split("/")
        assert (prefix, node, last) == ("homeassistant", "HUB-1", "config")
        assert config["unique_id"] == f"opendsr-HUB-1-{name}"
        assert config["availability_topic"] == "opendsr/HUB-1/available"
        assert config["device"]["identifiers"]
        assert config["device"]["configuration_url"] == "https://coop.example"
        assert ("command_topic" in config) == (component in ("switch", "button"))
        assert ("state_topic" in config) == (component != "button")
    assert len({config["unique_id"] for config in found.values()}) == len(found)


def test_the_meter_is_logged_from_the_display(hub: Agent, clock: HandClock, broker: LocalBroker):
    with FakeDevice(broker, ("none",), lambda *_: None) as cad:
        topic = f"glow/{MAC}/SENSOR/electricitymeter"
        wh = 1_000_000
        for number in range(3 * 31):
            at = FIVE - 2 * SECOND + timedelta(seconds=60 * number)
            clock.at = at + SECOND
            energy = {"import": {"cumulative": wh / 1000, "units": "kWh", "mpan": "a"}}
            told = {"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", "energy": energy}
            seen = hub.place._meter._newest  # type: ignore[attr-defined]
            cad.says(topic, {"electricitymeter": told})
            until("it to be read", hub, clock, lambda seen=seen: hub.place._meter._newest != seen)  # type: ignore[attr-defined]
            wh += 30
        hub.step(clock.now())
    rows = (hub.folder / "readings.csv").read_text().splitlines()
    assert rows[1:] == [
        f"CAD-1,{FIVE + timedelta(minutes=30 * number):%Y-%m-%dT%H:%M:%SZ},900,0" for number in range(3)
    ]


class TestDoctor:
    def test_everything_is_there(
        self, make_folder: Callable[..., Path], vtn: SmallVtn, broker: LocalBroker, evse: FakeEvse,
        shelly: FakeShelly
    ):  # fmt: skip
        folder = furnish(make_folder(), broker)
        findings = examine(folder, vtn=vtn.url, device_seconds=60)
        bad = [str(finding) for finding in findings if not finding.is_good]
        assert bad == []
        assert [finding.what for finding in findings] == [
            "folder", "key", "certificate", "software",
            "update key",
            "VTN", "clock", "hub.toml", "broker", "broker's door", "res-ev",
            "res-water",
        ]  # fmt: skip

    def test_what_is_wrong_is_said_with_its_fix(
        self, make_folder: Callable[..., Path], broker: LocalBroker, evse: FakeEvse, tmp_path: Path
    ):
        folder = furnish(make_folder(), broker)
        (folder / "key.pem").chmod(0o644)
        findings = {
            finding.what: finding
            for finding in examine(folder, vtn=f"https://localhost:{free_port()}/x", device_seconds=5)
        }
        assert not findings["key"].is_good
        assert "chmod 600" in str(findings["key"])
        assert not findings["VTN"].is_good
        assert findings["res-ev"].is_good
        assert not findings["res-water"].is_good
        assert "plugged in" in str(findings["res-water"])

    def test_an_open_door_is_found(self, make_folder: Callable[..., Path], tmp_path: Path):
        with mosquitto(tmp_path / "open", is_open=True) as broker, FakeEvse(broker), FakeShelly(broker):
            findings = {finding.what: finding for finding in examine(furnish(make_folder(), broker))}
            assert findings["broker"].is_good
            assert not findings["broker's door"].is_good

    def test_from_the_command_line(self, make_folder: Callable[..., Path], tmp_path: Path):
        folder = make_folder()
        words = [sys.executable, "-m", "hems", "doctor", "--dir"]
        done = subprocess.run([*words, str(folder)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "nothing real is driven" in done.stdout
        done = subprocess.run(
            [*words, str(tmp_path / "nowhere")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "python -m hems enrol" in done.stdout


def test_one_agent_is_small_and_idle(
    make_folder: Callable[..., Path], vtn: SmallVtn, broker: LocalBroker, evse: FakeEvse, shelly: FakeShelly
):
    """Its memory is a bar of the house; its CPU is in benchmarks/hems_idle.py."""
    folder = furnish(make_folder(), broker)
    process = subprocess.Popen([sys.executable, "-m", "hems", "run", "--dir", str(folder), "--vtn", vtn.url])
    try:
        status = folder / "status.json"
        wait_for("contact", lambda: status.exists() and json.loads(status.read_text())["state"] == "online")
        rss_mib = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert rss_mib / 2**20 < 60
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert json.loads(status.read_text())["state"] == "stopped"
    finally:
        process.kill()
        process.wait()
