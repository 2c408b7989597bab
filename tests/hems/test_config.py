"""`hub.toml`: what a home needs, and a clear word about everything that is wrong in it."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from hems.config import read_config
from hems.drivers.catalogue import KINDS
from hems.drivers.manners import WeeklyCycle
from hems.errors import BadHome
from hems.lines import Way

WHOLE = """
[broker]
host = "localhost"
username = "hub"
password_file = "broker.password"

[vtn]
transport = "mqtt"
broker = "mqtts://vtn.coop.example"
vtn_id = "COOP-VTN"

[meter]
name = "CAD-0001"
glow = "bc:dd:c2:c6:a9:1c"

[home_assistant]
earnings_url = "https://coop.example/earnings"

[[assets]]
resource_id = "r1"
kind = "ev_charger"
driver = "openevse"
base = "openevse-7b2c"
[assets.needs]
ready_by = "07:00"
charge_wh = 10000

[[assets]]
resource_id = "r2"
kind = "immersion_heater"
rated_w = 2750
driver = "shelly_gen2"
prefix = "shellyplus1pm-aabb"
[assets.needs]
weekly_cycle = "Sunday 03:00"

[[assets]]
resource_id = "r3"
kind = "heat_pump"
driver = "sg_ready"
topic = "pump"

[[assets]]
resource_id = "r4"
kind = "battery"
driver = "home_assistant_number"
url = "http://localhost:8123"
entity = "number.battery"
token_file = "token"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, secret in (("broker.password", "a-long-one"), ("token", "another")):
        (tmp_path / name).write_text(secret + "\n")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "hub.toml").write_text(WHOLE)
    return tmp_path


def test_a_whole_home_is_read(folder: Path):
    config = read_config(folder)
    assert config.broker is not None
    assert (config.broker.port, config.broker.password) == (1883, "a-long-one")
    assert (config.meter, config.glow) == ("CAD-0001", "BCDDC2C6A91C")
    assert (config.discovery_prefix, config.earnings_url) == (
        "homeassistant",
        "https://coop.example/earnings",
    )
    ev, immersion, pump, battery = (each.settings for each in config.assets)
    assert (ev.rated_w, ev.manners.ready_by, ev.manners.charge_wh) == (7360, time(7), 10_000)
    assert (immersion.rated_w, immersion.manners.weekly_cycle) == (2750, WeeklyCycle(6, time(3)))
    assert (pump.kind, pump.rated_w, battery.kind, battery.rated_w) == ("heat_pump", 3000, "battery", 5000)
    assert config.assets[3].secret == "another"
    assert config.way == Way("mqtt", "mqtts://vtn.coop.example", "COOP-VTN")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[broker]", "[brokers]", "'brokers' means nothing here"),
        ('host = "localhost"\nuser', "host = 3\nuser", "broker.host: text is expected, not 3"),
        ('username = "hub"', 'username = "hub"\nport = 99999', "broker.port: 99999 is no whole number"),
        ('"broker.password"', '"nothing"', "broker.password_file"),
        ('username = "hub"', 'username = "hub"\nca = "no.pem"', "broker.ca"),
        ('kind = "ev_charger"', 'kind = "kettle"', "assets[0].kind: 'kettle' is none of ev_charger"),
        ('driver = "openevse"', 'driver = "magic"', "assets[0].driver: 'magic' is none of openevse"),
        ('base = "openevse-7b2c"', "", "assets[0].base: openevse has to be told"),
        ('base = "openevse-7b2c"', 'base = "x"\ncolour = "red"', "assets[0]: 'colour' means nothing here"),
        ('ready_by = "07:00"', 'ready_by = "7 o\'clock"', "assets[0].needs.ready_by"),
        ('ready_by = "07:00"\n', "", "ready_by and charge_wh go together"),
        ('"Sunday 03:00"', '"Funday 03:00"', "assets[1].needs.weekly_cycle"),
        ("rated_w = 2750", "rated_w = 0", "assets[1].rated_w: 0 is no whole number from 1"),
        ("rated_w = 2750", "rated_w = true", "assets[1].rated_w: True is no whole number"),
        ('resource_id = "r2"', 'resource_id = "r1"', "a resource_id is given twice"),
        ('token_file = "token"', "", "assets[3].token_file: text is expected"),
        ('"mqtt"', '"xmpp"', 'vtn.transport: \'xmpp\': write "https" or "mqtt"'),
        ('vtn_id = "COOP-VTN"', "", "broker and vtn_id go together"),
        ("mqtts://vtn", "mqtt://vtn", "vtn.broker: 'mqtt://vtn.coop.example': give mqtts://"),
        ("[[assets]]", "[assets]", "hub.toml"),
        ("[meter]", "[meter", "hub.toml"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, old: str, new: str, said: str):
    assert old in WHOLE
    (folder / "hub.toml").write_text(WHOLE.replace(old, new))
    with pytest.raises(BadHome) as raised:
        read_config(folder)
    assert said in str(raised.value)


def test_no_file_no_assets_no_broker(tmp_path: Path):
    with pytest.raises(BadHome, match="is missing"):
        read_config(tmp_path)
    (tmp_path / "hub.toml").write_text("")
    with pytest.raises(BadHome, match="at least one"):
        read_config(tmp_path)
    asset = '[[assets]]\nresource_id = "r"\nkind = "immersion_heater"\ndriver = "tasmota"\ntopic = "t"\n'
    (tmp_path / "hub.toml").write_text(asset)
    with pytest.raises(BadHome, match=r"give \[broker\]"):
        read_config(tmp_path)


def test_a_secret_that_others_may_read_is_refused(folder: Path):
    (folder / "token").chmod(0o644)
    with pytest.raises(BadHome, match="others may read"):
        read_config(folder)


@pytest.mark.parametrize("password", ["emonpimqtt2016", "admin", "PASSWORD", ""])
def test_a_public_password_is_refused(folder: Path, password: str):
    (folder / "broker.password").write_text(password)
    with pytest.raises(BadHome, match=r"broker\.password_file|is empty"):
        read_config(folder)


def test_every_kind_has_a_rating():
    assert all(rated_w > 0 for rated_w in KINDS.values())
