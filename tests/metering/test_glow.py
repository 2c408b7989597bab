"""Glow messages: the real samples, every value that is no reading, and nonsense."""

from __future__ import annotations

import contextlib
import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.adapters import glow
from metering.observations import Health, Heard, MessageRefused, Power, Register
from tests.samples import shared_sample

MAC = "BCDDC2C6A91C"
TOPIC = f"glow/{MAC}/SENSOR/electricitymeter"
AT = datetime(2022, 11, 7, 9, 20, 8, tzinfo=UTC)
MESSAGE: dict[str, Any] = {
    "electricitymeter": {
        "timestamp": "2022-11-07T09:20:08Z",
        "energy": {
            "export": {"cumulative": 0.0, "units": "kWh"},
            "import": {
                "cumulative": 15254.827,
                "day": 3.7,
                "units": "kWh",
                "mpan": "abcd",
                "supplier": "---",
            },
        },
        "power": {"value": 0.425, "units": "kW"},
    }
}


def read(message: object, topic: str = TOPIC) -> Heard:
    return glow.read(topic, json.dumps(message).encode())


def changed(path: str, value: object) -> dict[str, Any]:
    """The message with one field otherwise."""
    message = deepcopy(MESSAGE)
    *way, name = path.split(".")
    holder = message["electricitymeter"]
    for part in way:
        holder = holder[part]
    holder[name] = value
    return message


def codes(heard: Heard) -> list[str]:
    return [passed.code for passed in heard.passed_over]


def test_the_local_sample_is_a_register_and_a_power():
    heard = glow.read(TOPIC, shared_sample("device-samples/glow_local_electricitymeter.json").read_bytes())

    assert heard == Heard(MAC, (Register(AT, 15_254_827), Power(AT, 425)))


def test_the_gas_sample_is_a_register_of_the_gas_meter():
    payload = shared_sample("device-samples/glow_local_gasmeter.json").read_bytes()

    heard = glow.read(f"glow/{MAC}/SENSOR/gasmeter", payload)

    at = datetime(2022, 11, 7, 9, 35, 38, tzinfo=UTC)
    assert heard.observations == (Register(at, 66_589_570, "import", "gas"),)


def test_the_state_sample_is_health():
    heard = glow.read(f"glow/{MAC}/STATE", shared_sample("device-samples/glow_local_state.json").read_bytes())

    assert heard.observations == (
        Health(datetime(2026, 1, 19, 20, 55, 38, tzinfo=UTC), -88, 48, "joined", "v2.0.2"),
    )


def test_the_cloud_sample_is_raw_zigbee():
    payload = shared_sample("device-samples/glow_cloud_zigbee.json").read_bytes()

    heard = glow.read("SMART/HILD/0123456789ABCDEF", payload)

    at = datetime(2020, 10, 6, 20, 53, 16, tzinfo=UTC)
    assert heard.sender == "0123456789ABCDEF"
    assert heard.observations == (
        Register(at, 0x4D64CC),
        Power(at, 0x9F3),
        Health(at, -65, 0x8C, "joined", "1.2.5"),
    )
    assert codes(heard) == ["unit"]  # gas in cubic metres


@pytest.mark.parametrize(
    ("demand", "power_w"),
    [
        ("000009F3", 2547),
        ("FFFFFF38", -200),
        ("FFFF38", -200),
        ("00", 0),
        ("FF800000", None),
        ("800000", None),
    ],
)
def test_cloud_demand_is_signed(demand, power_w):
    message = {
        "gmtime": 1602017596,
        "elecMtr": {"0702": {"03": {"00": "00", "01": "01", "02": "03E8"}, "04": {"00": demand}}},
    }

    heard = read(message, "SMART/HILD/0123456789ABCDEF")

    powers = [each.power_w for each in heard.observations if isinstance(each, Power)]
    assert powers == ([] if power_w is None else [power_w])
    assert codes(heard) == (["power_unknown"] if power_w is None else [])


def test_nothing_is_believed_while_the_read_is_pending():
    heard = read(changed("energy.import.mpan", "read pending"))

    assert (heard.observations, codes(heard)) == ((), ["read_pending"])


def test_the_error_power_is_passed_over_and_the_register_kept():
    heard = read(changed("power.value", -8388.608))

    assert (heard.observations, codes(heard)) == ((Register(AT, 15_254_827),), ["power_unknown"])


def test_a_register_of_zero_is_a_glitch_and_an_export_of_zero_is_none():
    heard = read(changed("energy.import.cumulative", 0.0))

    assert (heard.observations, codes(heard)) == ((Power(AT, 425),), ["zero_register"])


def test_export_counts_in_its_own_channel():
    heard = read(changed("energy.export.cumulative", 12.5))

    assert heard.observations[1] == Register(AT, 12_500, "export")


def test_a_broken_power_does_not_cost_the_register():
    heard = read(changed("power.value", "lots"))

    assert (heard.observations, codes(heard)) == ((Register(AT, 15_254_827),), ["not_a_number"])


def test_units_are_as_written():
    assert read(changed("power", {"value": 425, "units": "W"})).observations[1] == Power(AT, 425)
    with pytest.raises(MessageRefused) as error:
        read(changed("energy.import.units", "m3"))
    assert (error.value.reason_code, error.value.field) == ("unit", "electricitymeter.energy.import.units")


@pytest.mark.parametrize(
    ("stamp", "code"),
    [
        (None, "not_a_time"),
        ("", "not_a_time"),
        ("soon", "not_a_time"),
        (1667812808, "not_a_time"),
        ("2022-11-07T09:20:08", "no_zone"),
        ("2000-01-01T00:00:00Z", "clock_not_set"),
        ("0001-01-01T00:00:00+14:00", "clock_not_set"),
    ],
)
def test_a_time_that_is_none_is_refused_by_name(stamp, code):
    with pytest.raises(MessageRefused) as error:
        read(changed("timestamp", stamp))

    assert (error.value.reason_code, error.value.field) == (code, "electricitymeter.timestamp")


def test_an_offset_is_honoured():
    heard = read(changed("timestamp", "2022-11-07T10:20:08+01:00"))

    assert heard.observations[0].at == AT


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (TOPIC, b"", "not_json"),
        (TOPIC, b"{", "not_json"),
        (TOPIC, b"[1]", "not_json"),
        (TOPIC, b"[" * 10_000, "not_json"),
        (TOPIC, b"\xff\xfe", "not_json"),
        (TOPIC, b'{"a": "' + b"x" * 20_000 + b'"}', "too_large"),
        (TOPIC, b"{}", "missing"),
        (TOPIC, b'{"electricitymeter": {"energy": 5}}', "missing"),
        ("glow/xyz/STATE", b"{}", "unknown_topic"),
        (f"glow/{MAC}/SENSOR/water", b"{}", "unknown_topic"),
        ("SMART/HILD/0123456789ABCDEF", b'{"gmtime": 1602017596}', "no_reading"),
    ],
)
def test_what_is_no_message_is_refused_by_name(topic, payload, code):
    with pytest.raises(MessageRefused) as error:
        glow.read(topic, payload)

    assert error.value.reason_code == code
    assert error.value.fix


values = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6) | st.just({}) | st.just([])
)
PATHS = [
    "timestamp", "energy", "energy.export", "energy.import", "power", "energy.import.cumulative",
    "energy.import.units", "energy.import.mpan", "energy.export.cumulative", "power.value", "power.units",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(PATHS), values, max_size=3))
def test_any_field_may_hold_anything(changes):
    message = deepcopy(MESSAGE)
    for path in sorted(changes, reverse=True):
        *way, name = path.split(".")
        holder: Any = message["electricitymeter"]
        for part in way:
            holder = holder.get(part) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder[name] = changes[path]

    with contextlib.suppress(MessageRefused):
        for each in read(message).observations:
            assert not isinstance(each, Register) or 0 < each.wh < 2**50


@given(st.binary(max_size=200), st.sampled_from([TOPIC, f"glow/{MAC}/STATE", "SMART/HILD/0123456789ABCDEF"]))
def test_any_bytes_are_read_or_refused_by_name(payload, topic):
    with contextlib.suppress(MessageRefused):
        glow.read(topic, payload)
