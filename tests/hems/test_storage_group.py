"""Storage heaters as one asset: real relays over a real broker, thermometers, the house above them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hems.config import read_config
from hems.devices import Order
from hems.drivers.bus import LocalBroker
from hems.drivers.catalogue import Around
from hems.drivers.manners import MEMBERS_OVERRIDE
from hems.drivers.sensors import figure_in
from hems.drivers.storage_group import StorageGroup
from hems.errors import BadHome
from hems.house import COMFORT_FIRST, NO_TEMPERATURE
from hems.real_home import built
from tests.hems.local_broker import PASSWORD, FakeDevice, FakeTasmota, mosquitto, wait_for

NIGHT = datetime(2027, 1, 14, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def written(folder: Path, broker: LocalBroker, *, house: str = "", heater: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "broker.password").write_text(PASSWORD)
    (folder / "broker.password").chmod(0o600)
    (folder / "hub.toml").write_text(
        f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\nusername = "hub"\n'
        'password_file = "broker.password"\n'
        '[[assets]]\nresource_id = "r3"\nkind = "storage_heater"\ndriver = "storage_group"\n'
        '[[assets.heaters]]\nname = "lounge"\ndriver = "tasmota"\ntopic = "lounge"\nrated_w = 2500\n'
        'room_topic = "zigbee2mqtt/lounge"\n'
        f'[[assets.heaters]]\nname = "hall"\ndriver = "tasmota"\ntopic = "hall"\nrated_w = 1700\n{heater}\n'
        f'room_topic = "zigbee2mqtt/hall"\n[assets.house]\noutdoor_topic = "zigbee2mqtt/garden"\n{house}\n'
    )
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


class House:
    """Two heaters and three thermometers, and the group that drives them."""

    def __init__(self, broker: LocalBroker, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        self.stack = ExitStack()
        self.lounge = self.stack.enter_context(FakeTasmota(broker, "lounge"))
        self.hall = self.stack.enter_context(FakeTasmota(broker, "hall"))
        self.thermometers = self.stack.enter_context(FakeDevice(broker, ("nobody/asks",), lambda *_: None))
        config = read_config(folder)
        self.group = built(config.assets[0], Around("HUB-0001", config.broker, "", None, folder))
        assert isinstance(self.group, StorageGroup)
        self.until("the heaters", NIGHT, lambda: all(each.available for each in self.group.heaters))

    def until(self, what: str, at: datetime, look: Callable[[], object]) -> None:
        def looks() -> object:
            self.group.apply(at)
            return look()

        wait_for(what, looks)

    def is_felt(self, at: datetime, *, lounge: float, hall: float, garden: float) -> None:
        for room, celsius in (("lounge", lounge), ("hall", hall), ("garden", garden)):
            self.thermometers.says(f"zigbee2mqtt/{room}", {"temperature": celsius, "battery": 91})

        def is_known() -> bool:
            known = self.group.warmth(self.group.at_s)
            return (
                known is not None
                and abs(known.room_c - (lounge + hall) / 2) < 0.01
                and self.group.outdoor_c == garden
            )

        self.until("the thermometers", at, is_known)

    @property
    def are_on(self) -> tuple[bool, bool]:
        return self.lounge.is_on[1], self.hall.is_on[1]

    def close(self) -> None:
        self.group.close()
        self.stack.close()


@pytest.fixture
def house(broker: LocalBroker, tmp_path: Path) -> Iterator[House]:
    made = House(broker, written(tmp_path / "hub", broker))
    yield made
    made.close()


def order(minutes: int = 60, *, limit_w: int = 0, direction="down") -> Order:
    ends_at = NIGHT + minutes * MINUTE
    return Order("E1", "r3", NIGHT, ends_at, ends_at, direction, limit_w)


class TestGroup:
    def test_one_asset_upstream(self, house):
        assert (house.group.resource_id, house.group.kind, house.group.rated_w) == (
            "r3",
            "storage_heater",
            4200,
        )
        house.is_felt(NIGHT, lounge=18.0, hall=17.0, garden=2.0)
        house.lounge.measures(watts=2_480, kwh=100.0)
        house.hall.measures(watts=1_690, kwh=50.5)
        house.until("the power", NIGHT, lambda: house.group.telemetry(NIGHT).power_w == 4_170)
        state = house.group.telemetry(NIGHT)
        assert state.energy_wh == 150_500
        assert state.detail.startswith("17.5 C in the rooms, ")
        assert not state.is_ordered

    def test_held_one_after_the_other_and_given_back_after_the_order(self, house):
        house.is_felt(NIGHT, lounge=19.5, hall=19.5, garden=11.0)
        house.group.plan([order()])
        house.until("the first", NIGHT, lambda: house.are_on == (False, True))
        house.until("the second", NIGHT + timedelta(seconds=6), lambda: house.are_on == (False, False))
        assert house.group.telemetry(NIGHT + timedelta(seconds=6)).is_ordered
        # Should the hub die now, the relay comes back by itself.
        house.until("the timer", NIGHT + timedelta(seconds=6), lambda: house.lounge.timer_seconds > 0)
        # The house would be warm enough without it, so a colder room is what brings them back at the end.
        end = NIGHT + 60 * MINUTE
        house.is_felt(end - MINUTE, lounge=15.0, hall=15.0, garden=-6.0)
        house.until("the first", end, lambda: house.are_on == (True, False))
        house.until("the second", end + timedelta(seconds=6), lambda: house.are_on == (True, True))

    def test_a_house_that_would_grow_cold_is_not_held(self, house):
        house.is_felt(NIGHT, lounge=15.5, hall=15.0, garden=-12.0)
        house.group.core_wh = [500.0, 500.0]
        house.group.plan([order(240)])
        house.until("the word", NIGHT, lambda: house.group.telemetry(NIGHT).interlock == COMFORT_FIRST)
        house.group.apply(NIGHT + timedelta(seconds=30))
        assert house.are_on == (True, True)
        # Let go of once, it is not held again by the same order when it has warmed a little.
        house.is_felt(NIGHT + 2 * MINUTE, lounge=21.0, hall=21.0, garden=10.0)
        house.group.apply(NIGHT + 4 * MINUTE)
        assert house.group.telemetry(NIGHT + 4 * MINUTE).interlock == COMFORT_FIRST

    def test_what_a_limit_leaves_goes_to_the_coldest_room(self, house):
        house.is_felt(NIGHT, lounge=20.5, hall=18.5, garden=11.0)
        house.group.plan([order(limit_w=2_000)])
        house.group.apply(NIGHT)
        house.until("the lounge off", NIGHT + timedelta(seconds=8), lambda: house.are_on == (False, True))

    def test_no_thermometer_no_event(self, house):
        house.group.plan([order()])
        house.until("the word", NIGHT, lambda: house.group.telemetry(NIGHT).interlock == NO_TEMPERATURE)
        assert house.are_on == (True, True)

    def test_a_thermometer_that_fell_silent_does_not_count(self, house):
        house.is_felt(NIGHT - 3 * 60 * MINUTE, lounge=20.0, hall=20.0, garden=8.0)
        house.group.plan([order()])
        house.until("the word", NIGHT, lambda: house.group.telemetry(NIGHT).interlock == NO_TEMPERATURE)

    def test_the_members_switch_wins_and_is_seen(self, house):
        house.is_felt(NIGHT, lounge=19.5, hall=19.5, garden=11.0)
        house.group.plan([order()])
        house.group.apply(NIGHT)
        at = NIGHT + timedelta(seconds=6)
        house.until("both off", at, lambda: house.are_on == (False, False))
        house.until("both heard", at, lambda: not any(each.relay.shown for each in house.group.heaters))
        house.hall.is_pressed(is_on=True)
        at += timedelta(seconds=20)
        house.until("it is seen", at, lambda: house.group.telemetry(at).interlock == MEMBERS_OVERRIDE)
        for minute in range(1, 20):
            house.group.apply(at + minute * MINUTE)
        assert house.are_on == (False, True)

    def test_a_full_core_is_seen_by_what_it_no_longer_draws(self, house):
        house.is_felt(NIGHT, lounge=15.0, hall=15.0, garden=-6.0)
        house.lounge.measures(watts=0, kwh=100.0)
        house.hall.measures(watts=1_700, kwh=50.0)

        def told() -> tuple[float | None, float | None]:
            seen = house.group.telemetry(NIGHT)
            return seen.power_w, seen.energy_wh

        house.until("both", NIGHT, lambda: told() == (1_700, 150_000))
        house.group.apply(NIGHT + MINUTE)
        full, filling = house.group.core_wh
        assert full == 2_500 * 7
        assert filling < 1_700 * 7

    def test_what_is_known_of_the_house_survives_a_restart(self, house):
        house.is_felt(NIGHT, lounge=18.0, hall=18.0, garden=5.0)
        house.group.core_wh, house.group.gains_w = [9_000.0, 4_000.0], 310.0
        house.group.close()
        kept = json.loads((house.folder / "heat-r3.json").read_text())
        assert kept == {"core_wh": [9000, 4000], "gains_w": 310.0}
        again = House(house.broker, house.folder)
        assert (again.group.core_wh, again.group.gains_w) == ([9_000.0, 4_000.0], 310.0)
        again.close()


class TestConfig:
    @pytest.mark.parametrize(
        ("house", "heater", "said"),
        [
            ("wanted_c = 35", "", "wanted_c: 35 is no number from 5 to 30"),
            ("wanted_c = 12", "", "least_c, wanted_c and most_c go up"),
            ('charge_hours = [["00:30"]]', "", "is no pair of times"),
            ('charge_hours = [["07:30", "07:30"]]', "", "ends when it begins"),
            ('charge_hours = "night"', "", 'write it as [["00:30", "07:30"]]'),
            ("warmth = 3", "", "'warmth' means nothing here"),
            ("", "core_wh = 0", "core_wh: 0 is no whole number"),
            ("", 'colour = "white"', "'colour' means nothing here"),
        ],
    )
    def test_faults_are_named(self, broker, tmp_path, house, heater, said):
        folder = written(tmp_path / "hub", broker, house=house, heater=heater)
        with pytest.raises(BadHome) as caught:
            read_config(folder)
        assert said in str(caught.value)

    def test_only_relays_are_heaters(self, broker, tmp_path):
        folder = written(tmp_path / "hub", broker)
        text = (folder / "hub.toml").read_text().replace('driver = "tasmota"', 'driver = "openevse"', 1)
        (folder / "hub.toml").write_text(text)
        with pytest.raises(BadHome, match="'openevse' is none of tasmota, "):
            read_config(folder)

    def test_no_thermometer_no_group(self, broker, tmp_path):
        folder = written(tmp_path / "hub", broker)
        lines = (folder / "hub.toml").read_text().splitlines()
        (folder / "hub.toml").write_text("\n".join(line for line in lines if "room_topic" not in line))
        with pytest.raises(BadHome, match="need a thermometer"):
            read_config(folder)


@pytest.mark.parametrize(
    ("payload", "figure"),
    [
        (b"21.5", 21.5),
        (b'{"temperature":21.4,"humidity":48}', 21.4),
        (b'{"Time":"2027-01-14T01:00:00","DS18B20":{"Id":"0316","Temperature":18.9},"TempUnit":"C"}', 18.9),
    ],
)
def test_thermometers_of_many_makes(payload, figure):
    assert figure_in(payload, ("temperature", "Temperature")) == figure


@pytest.mark.parametrize("payload", [b"", b"warm", b"nan", b"[]", b"{}", b'{"temperature":true}', b"\xff"])
def test_what_is_no_figure_is_none(payload):
    with pytest.raises(ValueError, match=r"none of|no number|Expecting|decode"):
        figure_in(payload, ("temperature",))
