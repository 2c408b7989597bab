"""Each make over a real Mosquitto: its own message shapes in, the right commands out, and never left held."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import pytest

from hems.devices import Order
from hems.drivers.bus import LocalBroker
from hems.drivers.catalogue import MAKES, Around, RealDriver
from hems.drivers.manners import MEMBERS_OVERRIDE, Manners, Wish
from hems.drivers.openevse import STATES, claim_of
from hems.drivers.real_device import AssetSettings
from hems.drivers.relay import DEAD_MAN_SECONDS
from hems.drivers.sg_ready import BLOCKED_LONG_ENOUGH
from hems.ev_charger import NEEDED_BY_DEPARTURE
from tests.hems.local_broker import (
    FakeEmonEsp,
    FakeEvse,
    FakeShelly,
    FakeTasmota,
    mosquitto,
    wait_for,
)
from tests.samples import shared_sample

pytestmark = pytest.mark.process

FIVE = datetime(2026, 11, 20, 17, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def make(broker: LocalBroker) -> Iterator[Callable[..., RealDriver]]:
    """Make a driver of a make; closed at the end."""
    made: list[RealDriver] = []

    def one(driver: str, *, kind: str = "immersion_heater", rated_w: int = 3000,
            manners: Manners | None = None, **options: Any) -> RealDriver:  # fmt: skip
        settings = AssetSettings("r1", kind, rated_w, manners or Manners(), options)
        made.append(MAKES[driver].build(settings, Around("HUB-0001", broker, "")))
        return made[-1]

    yield one
    for driver in made:
        driver.close()


def order(direction: Any = "down", limit_w: int = 0, *, minutes: int = 60) -> Order:
    ends_at = FIVE + timedelta(minutes=minutes)
    return Order("E1", "r1", FIVE, ends_at, ends_at, direction, limit_w)


def until(what: str, driver: RealDriver, at: datetime, look: Callable[[], object]) -> None:
    """Have the driver act at one world time until it is so."""

    def looks() -> object:
        driver.apply(at)
        return look()

    wait_for(what, looks)


def there(driver: RealDriver, at: datetime = FIVE - SECOND) -> RealDriver:
    until("the device", driver, at, lambda: driver.available)
    return driver


class TestOpenEvse:
    def test_disabled_for_the_order_and_released_after_it(self, broker, make):
        with FakeEvse(broker) as evse:
            driver = there(make("openevse", kind="ev_charger", rated_w=7360, base=evse.base))
            driver.plan([order()])
            until("the claim", driver, FIVE, lambda: evse.claim == {"state": "disabled"})
            end = FIVE + timedelta(hours=1)
            until("the release", driver, end, lambda: evse.claim == {"state": "null"})
            assert evse.device.told(f"{evse.base}/claim/set") == ['{"state": "disabled"}', "release"]

    @pytest.mark.parametrize(
        ("limit_w", "phases", "claim"),
        [
            (0, 1, {"state": "disabled"}),
            (1379, 1, {"state": "disabled"}),
            (1380, 1, {"max_current": 6}),
            (3700, 1, {"max_current": 16}),
            (4139, 3, {"state": "disabled"}),
            (11_040, 3, {"max_current": 16}),
        ],
    )
    def test_watts_are_whole_amperes_never_below_six(self, limit_w, phases, claim):
        assert claim_of(Wish(limit_w), phases=phases) == claim

    def test_the_members_override_at_the_charger_wins_and_is_seen(self, broker, make):
        with FakeEvse(broker) as evse:
            driver = there(make("openevse", kind="ev_charger", rated_w=7360, base=evse.base))
            driver.plan([order()])
            until("the claim", driver, FIVE, lambda: evse.claim == {"state": "disabled"})
            evse.is_pressed({"state": "active", "charge_current": 16})
            until("the release", driver, FIVE + SECOND, lambda: evse.claim == {"state": "null"})
            seen = driver.telemetry(FIVE + SECOND)
            assert (seen.is_ordered, seen.interlock) == (True, MEMBERS_OVERRIDE)
            evse.is_pressed(None)
            until("the claim again", driver, FIVE + 2 * SECOND, lambda: evse.claim == {"state": "disabled"})

    def test_it_tells_milliamperes_kilowatt_hours_and_faults(self, broker, make):
        with FakeEvse(broker) as evse:
            driver = there(make("openevse", kind="ev_charger", rated_w=7360, base=evse.base))
            evse.charges(amperes=30)
            until("its register", driver, FIVE, lambda: driver.telemetry(FIVE).energy_wh == 998_000)
            assert driver.telemetry(FIVE).power_w == 7200, "it tells its register last"
            assert driver.telemetry(FIVE).detail == "charging"
            evse.device.says(f"{evse.base}/state", "6")
            until("the fault", driver, FIVE, lambda: driver.telemetry(FIVE).detail == "fault 6")
            assert driver.telemetry(FIVE).power_w == 0
            evse.device.says(f"{evse.base}/amp", "false")  # not fitted
            until("what follows", driver, FIVE, lambda: driver.available)

    def test_the_car_is_let_charge_once_it_has_to(self, broker, make):
        manners = Manners(ready_by=(FIVE + timedelta(hours=1)).time(), charge_wh=7360)
        with FakeEvse(broker) as evse:
            driver = there(make("openevse", kind="ev_charger", rated_w=7360, manners=manners, base=evse.base))
            driver.plan([order()])
            evse.charges(amperes=30, session_wh=3680)
            until("what it has", driver, FIVE, lambda: evse.claim == {"state": "disabled"})
            half = FIVE + timedelta(minutes=30)
            until("the release", driver, half, lambda: evse.claim == {"state": "null"})
            assert driver.telemetry(half).interlock == NEEDED_BY_DEPARTURE

    def test_a_hub_that_dies_is_let_go_of_by_the_broker(self, broker, make):
        with FakeEvse(broker) as evse:
            driver: Any = there(make("openevse", kind="ev_charger", rated_w=7360, base=evse.base))
            driver.plan([order()])
            until("the claim", driver, FIVE, lambda: evse.claim == {"state": "disabled"})
            driver._bus._client.socket().shutdown(SHUT_RDWR)  # no goodbye
            wait_for("the last will", lambda: evse.claim == {"state": "null"})

    def test_its_recorded_commands_are_ours(self):
        recorded = json.loads(shared_sample("device-samples/openevse_commands.json").read_text())
        assert recorded["claim_stop"]["payload"] == claim_of(Wish(0), phases=1)
        assert set(recorded["claim_cap"]["payload"]) == set(claim_of(Wish(4600), phases=1) or ())
        assert recorded["claim_release"]["payload"] == "release"

    def test_its_recorded_state_and_announcements_are_read(self, broker, make):
        recorded = json.loads(shared_sample("device-samples/openevse_status.json").read_text())
        announced = json.loads(shared_sample("device-samples/openevse_announce.json").read_text())
        with FakeEvse(broker) as evse:
            driver = there(make("openevse", base=evse.base))
            for name, value in recorded.items():  # it publishes each by itself
                evse.device.says(f"{evse.base}/{name}", str(value))

            def told() -> tuple[Any, ...]:
                seen = driver.telemetry(FIVE)
                return seen.energy_wh, seen.power_w, seen.detail

            until("all of it", driver, FIVE, lambda: told() == (998_000, 0, STATES[254]))
            topic = announced["topic"].replace("xxxx", "7b2c")
            evse.device.says(topic, announced["last_will"])
            until("its end", driver, FIVE, lambda: not driver.available)
            evse.device.says(topic, announced["connected"], is_retained=announced["retained"])
            until("its return", driver, FIVE, lambda: driver.available)


class TestTasmota:
    def test_off_with_a_timer_that_brings_it_back_and_on_without(self, broker, make):
        held, free = (False, DEAD_MAN_SECONDS), (True, 0)
        with FakeTasmota(broker) as relay:
            driver = there(make("tasmota", topic=relay.topic))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: (relay.is_on[1], relay.timer_seconds) == held)
            until(
                "on", driver, FIVE + timedelta(hours=1), lambda: (relay.is_on[1], relay.timer_seconds) == free
            )

    def test_a_hub_that_dies_leaves_it_to_its_timer(self, broker, make):
        with FakeTasmota(broker) as relay:
            driver = there(make("tasmota", topic=relay.topic))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: not relay.is_on[1] and relay.timer_seconds)
            relay.runs_out()
            assert relay.is_on[1]

    def test_the_members_hand_stands(self, broker, make):
        with FakeTasmota(broker) as relay:
            driver = there(make("tasmota", topic=relay.topic))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: not relay.is_on[1])
            until("it is seen", driver, FIVE + SECOND, lambda: driver.relay.shown is False)
            relay.is_pressed(is_on=True)
            later = FIVE + 60 * SECOND
            until(
                "the hand to be seen",
                driver,
                later,
                lambda: driver.telemetry(later).interlock == MEMBERS_OVERRIDE,
            )
            time.sleep(0.2)
            driver.apply(later + 60 * SECOND)
            time.sleep(0.2)
            assert relay.is_on[1]

    def test_it_tells_power_energy_and_going_away(self, broker, make):
        with FakeTasmota(broker) as relay:
            driver = there(make("tasmota", topic=relay.topic))
            relay.measures(watts=2635, kwh=6.294)
            until("its power", driver, FIVE, lambda: driver.telemetry(FIVE).power_w == 2635)
            assert driver.telemetry(FIVE).energy_wh == 6294
            relay.device.says(f"tele/{relay.topic}/LWT", "Offline", is_retained=True)
            until("its end", driver, FIVE, lambda: not driver.available)

    def test_recorded_messages_are_read(self, broker, make):
        with FakeTasmota(broker, topic="TH16") as relay:
            relay.is_on[1] = False
            driver = there(make("tasmota", topic="TH16"))
            recorded = json.loads(shared_sample("device-samples/tasmota_th.json").read_text())
            for topic, message in recorded.items():
                relay.device.says(topic, message)
            until("the temperature", driver, FIVE, lambda: driver.temperature_c == 22.6)
            until("the relay", driver, FIVE, lambda: driver.relay.shown is False)

    def test_a_recorded_pow_is_read(self, broker, make):
        recorded = json.loads(shared_sample("device-samples/tasmota_pow.json").read_text())
        with FakeTasmota(broker, topic="pow1") as relay:
            relay.watts, relay.kwh = 2635, 6.294  # what it answers when the driver asks meanwhile
            driver = there(make("tasmota", topic="pow1"))
            relay.device.says("tele/pow1/SENSOR", recorded["tele/pow1/SENSOR"])
            until("its power", driver, FIVE, lambda: driver.telemetry(FIVE).power_w == 2635)
            assert driver.telemetry(FIVE).energy_wh == 6294
            relay.watts, relay.kwh = 2629, 6.404
            relay.device.says("stat/pow1/STATUS8", recorded["stat/pow1/STATUS8"])
            until("what it answers", driver, FIVE, lambda: driver.telemetry(FIVE).power_w == 2629)
            relay.device.says("stat/pow1/RESULT", {"POWER": "OFF"})
            until("off", driver, FIVE, lambda: driver.relay.shown is False)
            relay.device.says("stat/pow1/RESULT", recorded["stat/pow1/RESULT"])
            until("on", driver, FIVE, lambda: driver.relay.shown is True)

    @pytest.mark.parametrize("rubbish", ["", "null", "[]", '{"ENERGY": 3}', '{"POWER": 7}', "\x00", "{"])
    def test_rubbish_changes_nothing(self, broker, make, rubbish):
        with FakeTasmota(broker) as relay:
            driver = there(make("tasmota", topic=relay.topic))
            relay.device.says(f"tele/{relay.topic}/SENSOR", rubbish)
            relay.measures(watts=100, kwh=1)
            until("what follows", driver, FIVE, lambda: driver.telemetry(FIVE).power_w == 100)


class TestShellyGen2:
    def test_every_switch_off_flips_back_by_itself(self, broker, make):
        with FakeShelly(broker) as shelly:
            driver = there(make("shelly_gen2", prefix=shelly.prefix))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: not shelly.is_on)
            assert shelly.toggle_after == DEAD_MAN_SECONDS
            until("its power", driver, FIVE, lambda: driver.telemetry(FIVE).power_w == 0)
            until("on", driver, FIVE + timedelta(hours=1), lambda: shelly.is_on)
            assert shelly.toggle_after is None
            sets = [json.loads(said) for said in shelly.device.told(f"{shelly.prefix}/rpc")]
            assert all(
                frame["params"].get("toggle_after") or frame["params"]["on"]
                for frame in sets
                if frame["method"] == "Switch.Set"
            )

    def test_stopping_gives_it_back(self, broker, make):
        with FakeShelly(broker) as shelly:
            driver = there(make("shelly_gen2", prefix=shelly.prefix))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: not shelly.is_on)
            driver.safe_state()
            wait_for("on", lambda: shelly.is_on)

    def test_a_press_is_told_by_notify_status(self, broker, make):
        with FakeShelly(broker) as shelly:
            driver = there(make("shelly_gen2", prefix=shelly.prefix))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: driver.relay.shown is False)
            shelly.is_pressed(is_on=True)
            until("the hand", driver, FIVE + SECOND, lambda: driver.relay.is_overridden)

    def test_recorded_status_is_read(self, broker, make):
        recorded = json.loads(shared_sample("device-samples/shelly_gen2_plus1pm_status.json").read_text())
        with FakeShelly(broker) as shelly:
            shelly.is_on = False
            driver = there(make("shelly_gen2", prefix=shelly.prefix))
            shelly.device.says(f"{shelly.prefix}/status/switch:0", recorded["switch:0"])
            until("its state", driver, FIVE, lambda: driver.relay.shown is False)
            assert driver.telemetry(FIVE).energy_wh == 110


class TestEmonEsp:
    def test_given_back_in_the_mode_it_was_found_in(self, broker, make):
        with FakeEmonEsp(broker, mode="Timer") as relay:
            driver = there(make("emonesp", device=relay.name))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: relay.mode == "Off")
            until("the timer", driver, FIVE + timedelta(hours=1), lambda: relay.mode == "Timer")

    def test_a_hub_that_dies_is_let_go_of_by_the_broker(self, broker, make):
        with FakeEmonEsp(broker) as relay:
            driver: Any = there(make("emonesp", device=relay.name, free_mode="Timer"))
            driver.plan([order()])
            until("off", driver, FIVE, lambda: relay.mode == "Off")
            driver._bus._client.socket().shutdown(SHUT_RDWR)
            wait_for("the last will", lambda: relay.mode == "Timer")

    def test_its_recorded_state_is_read(self, broker, make):
        recorded = json.loads(shared_sample("device-samples/emonesp_relay.json").read_text())
        with FakeEmonEsp(broker, mode="Off") as relay:
            driver = there(make("emonesp", device=relay.name))
            for topic, message in recorded["out"].items():
                relay.device.says(topic.replace("<device>", relay.name), message)
            until("off", driver, FIVE, lambda: driver.relay.shown is False)
        asked = {topic.replace("<device>", relay.name) for topic in recorded["in"]}
        assert {topic for topic, _ in relay.device.heard} <= asked, (
            "the hub asks what is recorded, and no more"
        )


class TestSgReady:
    def test_blocked_as_usual_and_encouraged_by_its_contacts(self, broker, make):
        blocked, usual = ({1: True, 2: False}, DEAD_MAN_SECONDS), ({1: False, 2: False}, 0)
        with FakeTasmota(broker, topic="pump", channels=2) as board:
            driver = there(make("sg_ready", kind="heat_pump", topic="pump"))
            driver.plan([order()])
            until("blocked", driver, FIVE, lambda: (board.is_on, board.timer_seconds) == blocked)
            driver.plan([order("up", 3000)])
            until("encouraged", driver, FIVE + SECOND, lambda: board.is_on == {1: False, 2: True})
            end = FIVE + timedelta(hours=1)
            until("usual", driver, end, lambda: (board.is_on, board.timer_seconds) == usual)

    def test_a_hub_that_dies_opens_both(self, broker, make):
        with FakeTasmota(broker, topic="pump", channels=2) as board:
            driver = there(make("sg_ready", kind="heat_pump", topic="pump"))
            driver.plan([order()])
            until("blocked", driver, FIVE, lambda: board.is_on[1] and board.timer_seconds)
            board.runs_out()
            assert board.is_on == {1: False, 2: False}

    def test_no_longer_than_two_hours(self, broker, make):
        with FakeTasmota(broker, topic="pump", channels=2) as board:
            driver = there(make("sg_ready", kind="heat_pump", topic="pump"))
            driver.plan([order(minutes=180)])
            until("blocked", driver, FIVE, lambda: board.is_on[1])
            late = FIVE + timedelta(hours=2)
            until("usual", driver, late, lambda: not board.is_on[1])
            assert driver.telemetry(late).interlock == BLOCKED_LONG_ENOUGH


@pytest.mark.slow
def test_a_broker_that_is_away_is_waited_for_and_nothing_late_is_said(tmp_path: Path, make: Any) -> None:
    with mosquitto(tmp_path / "broker") as first:
        port = first.port
    settings = AssetSettings("r1", "immersion_heater", 3000, Manners(), {"prefix": "shellyplus1pm-aabb"})
    driver: Any = MAKES["shelly_gen2"].build(settings, Around("HUB-2", first, ""))
    try:
        driver.plan([order(minutes=1)])
        driver.apply(FIVE)
        assert not driver.available
        with mosquitto(tmp_path / "broker", port=port) as again, FakeShelly(again) as shelly:
            after = FIVE + timedelta(minutes=2)
            until("the device", driver, after, lambda: driver.available)
            assert shelly.is_on
            assert all("Switch.Set" not in said for said in shelly.device.told(f"{shelly.prefix}/rpc"))
    finally:
        driver.close()


def test_a_wrong_password_is_told(broker: LocalBroker) -> None:
    from dataclasses import replace

    from hems.drivers.bus import Bus

    bus = Bus(replace(broker, password="another"), name="stranger")
    bus.start()
    try:
        wait_for("the refusal", lambda: bus.refusal)
        assert not bus.is_connected
        assert not bus.say("a/b", "c")
    finally:
        bus.close()
