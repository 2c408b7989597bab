"""Device states: the makers' own samples in our units, each trap, and nonsense; then on to the asset."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import asset_states
from metering.adapters import devices
from metering.adapters.devices import Said, local_instant
from metering.intake import Arrival, Intake
from metering.intake_models import AssetDevice, AssetState, Message
from metering.observations import MessageRefused
from tests.factories import Resident, make_hub
from tests.samples import shared_sample

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def sample(name: str) -> Any:
    return json.loads(shared_sample(f"device-samples/{name}.json").read_text())


def read(kind: str, body: Any, tail: str = "status", tz: str = "Europe/London", at: datetime = NOW) -> Said:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    (said,) = devices.read(kind, tail, payload, tz=tz, received_at=at)
    return said


def test_openevse():
    said = read("openevse", sample("openevse_status"))

    assert said == Said(
        at=datetime(2020, 5, 12, 17, 53, 48, tzinfo=UTC), energy_wh=998_000, session_wh=25_034, current_ma=0,
        temperature_dc=282, is_on=False, state="sleeping",
    )  # fmt: skip
    assert read("openevse", {"amp": 16_000, "temp1": False, "state": 3}).temperature_dc is None
    assert read("openevse", {"temp1": -2560, "state": 6}) == Said(state="fault", is_on=False)
    assert read("openevse", b"15800", "openevse-7b2c/amp") == Said(current_ma=15_800)


@pytest.mark.parametrize("huge", ["9e999999", "-9e999999", "1e400"])
def test_a_number_beyond_measure_is_refused_not_multiplied(huge):
    with pytest.raises(MessageRefused) as caught:
        read("openevse", {"wattsec": huge, "total_energy": huge, "amp": huge, "state": 3})
    assert caught.value.reason_code == "implausible"


def test_tasmota():
    messages = sample("tasmota_pow")

    said = read("tasmota", messages["tele/pow1/SENSOR"], "SENSOR", at=datetime(2018, 2, 15, 18, tzinfo=UTC))
    assert said == Said(
        at=datetime(2018, 2, 15, 17, 37, 10, tzinfo=UTC), power_w=2635, energy_wh=6294, current_ma=11_661,
        voltage_mv=227_000,
    )  # fmt: skip
    assert read("tasmota", messages["stat/pow1/STATUS8"], "STATUS8").energy_wh == 6404
    assert read("tasmota", b"ON", "POWER") == Said(is_on=True)
    assert read("tasmota", b"Offline", "LWT") == Said(state="offline")
    heat = sample("tasmota_th")["tele/TH16/SENSOR"]
    assert read("tasmota", heat, "SENSOR").temperature_dc == 226
    assert read("tasmota", {**heat, "TempUnit": "F", "AM2301": {"Temperature": 68}}).temperature_dc == 200
    many = {"ENERGY": {"Power": [100, 50], "Total": [1.5, 2.5], "Voltage": [230, 231]}}
    assert read("tasmota", many) == Said(power_w=150, energy_wh=4000, voltage_mv=230_000)


def test_shelly_generations():
    first = read("shelly_1", sample("shelly_gen1_plugs_status"))
    assert first == Said(
        at=datetime.fromtimestamp(1_707_332_241, UTC),
        power_w=0,
        energy_wh=44,
        temperature_dc=241,
        is_on=False,
    )
    assert read("shelly_1", b"6000", "relay/0/energy") == Said(energy_wh=100)
    assert read("shelly_1", b"on", "relay/0") == Said(is_on=True)
    second = read("shelly_2", sample("shelly_gen2_plus1pm_status"))
    assert second == Said(
        at=datetime.fromtimestamp(1_707_326_936, UTC), power_w=0, energy_wh=110, current_ma=0,
        voltage_mv=232_800, temperature_dc=303, is_on=False,
    )  # fmt: skip
    told = {"method": "NotifyStatus", "params": {"ts": 1_707_326_936.5, "switch:0": {"id": 0, "apower": 8.9}}}
    assert read("shelly_2", told, "events/rpc").power_w == 9


def test_emonesp_and_myenergi():
    relay = {"time": 0, "ctrlmode": "On", "vout": 500}
    assert read("emonesp", relay, "out/state") == Said(state="on", is_on=True, temperature_dc=257)
    eddi, zappi = devices.read(
        "myenergi", "jstatus", json.dumps(sample("myenergi_jstatus_all")).encode(), tz="UTC", received_at=NOW
    )
    assert (eddi.device, eddi.session_wh, eddi.temperature_dc, eddi.power_w) == ("10088888", 1000, None, 0)
    assert (zappi.device, zappi.power_w, zappi.voltage_mv, zappi.state) == (
        "10077777",
        3596,
        240_200,
        "boosting",
    )
    assert zappi.at == datetime(2019, 9, 9, 16, 55, 50, tzinfo=UTC)
    assert read("myenergi", [{"zappi": [{"sno": 1, "vol": 2402, "sta": 3}]}]).voltage_mv == 240_200


@pytest.mark.parametrize(
    ("received", "utc"), [("2025-10-26T00:40:00", "00:30"), ("2025-10-26T01:31:00", "01:30")]
)
def test_the_hour_that_happens_twice_is_told_by_when_it_came(received, utc):
    at = local_instant(
        "2025-10-26T01:30:00", "Europe/London", datetime.fromisoformat(received).replace(tzinfo=UTC)
    )

    assert f"{at:%H:%M}" == utc
    assert local_instant("2026-03-29T02:30:00", "Europe/London", NOW) == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["time", "Time", "ENERGY", "Power", "Total", "meters", "relays", "switch:0", "aenergy", "total",
             "apower", "eddi", "zappi", "dat", "tim", "sno", "vol", "sta", "che",
             "tp1", "amp", "state", "vout",
             "ts",
             "unixtime", "StatusSNS", "params", "temp1", "Voltage", "Temperature", "offset"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@given(
    st.sampled_from(list(devices.READERS)),
    values,
    st.sampled_from(["", "relay/0/energy", "amp", "POWER", "SENSOR"]),
)
def test_anything_is_read_or_refused_by_name(kind, body, tail):
    for payload in (json.dumps(body).encode(), str(body).encode("utf-8", "replace")):
        with contextlib.suppress(MessageRefused):
            devices.read(kind, tail, payload, tz="Europe/London", received_at=NOW)


@pytest.mark.django_db
def test_states_reach_their_asset_once_and_strangers_do_not(alice: Resident):
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    (asset,) = kit.assets
    AssetDevice.objects.create(asset=asset, kind="shelly_2", name="plus1pm-aabb")
    topic = f"homes/{kit.ven_id}/shelly_2/plus1pm-aabb/status/switch:0"
    power = json.dumps(
        {"apower": 2900.4, "output": True, "aenergy": {"total": 12.6, "minute_ts": int(NOW.timestamp())}}
    )
    other = topic.replace(kit.ven_id, "another-hub")
    ahead = power.replace(str(int(NOW.timestamp())), str(int((NOW + timedelta(hours=1)).timestamp())))
    arrivals = [
        Arrival(topic, power.encode(), NOW), Arrival(topic, power.encode(), NOW),
        Arrival(other, power.encode(), NOW), Arrival(topic, b"{", NOW),
        Arrival(topic, ahead.encode(), NOW), Arrival("homes/", b"", NOW),
    ]  # fmt: skip

    taken = Intake().take(arrivals, at=NOW)
    Intake().take(arrivals[:1], at=NOW)

    state = AssetState.objects.get()
    assert (state.asset_id, state.power_w, state.energy_wh, state.is_on) == (asset.pk, 2900, 13, True)
    assert taken.letters == {"unknown_device": 1, "not_json": 1, "clock_ahead": 1, "unknown_kind": 1}
    assert set(Message.objects.values_list("source", flat=True)) == {"device"}
    assert asset_states.latest(asset.pk) == state
    assert asset_states.forget(at=NOW + timedelta(days=91)) == 1
