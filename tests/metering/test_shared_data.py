"""Every real file beside the checkout: what a format covers is imported, bad rows told; the rest refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from metering import import_jobs, rejects
from metering.adapters import devices, documents, glow, rate_files
from metering.adapters.emoncms import read_bulk, read_post
from metering.adapters.reading import FileUnusable, open_reading
from metering.checking import Refusals
from metering.ingest import readings_in
from metering.observations import MessageRefused
from opendsr.kernel.ids import new_uuid
from tests.factories import make_resident
from tests.metering.samples import AT
from tests.samples import shared_data, shared_sample

LONG_AGO = datetime(2008, 1, 1, tzinfo=UTC)
NOT_READINGS: Final = {"acn_ev_sessions.csv.gz", "README.md"}


@pytest.mark.parametrize(
    ("name", "adapter", "rows", "codes"),
    [
        ("lcl_4homes_halfhourly.csv.gz", None, 85_055, {"null"}),
        ("powershaper_export_1home_halfhourly_2022-09_2023-12.csv.gz", None, 22_810, set()),
        ("edrp_60homes_halfhourly_2009-03_05.csv.gz", "wide_csv", 4_416 * 60, set()),
    ],
)
def test_files_of_readings_are_read_whole(name, adapter, rows, codes):
    contents = open_reading(shared_data(name), name=name, adapter=adapter)
    refusals = Refusals()

    readings = readings_in(contents, refusals)

    assert len(readings) + refusals.rows == rows + len(codes)
    assert len(readings) >= rows - 1
    assert {reject.code for reject in refusals.in_order()} <= codes | {"off_grid"}


@pytest.mark.parametrize(
    ("name", "adapter", "values", "codes"),
    [
        ("agile_halfhourly_2022-11_2023-12.csv.gz", "agile_prices", 39_832, {"ambiguous_time"}),
        ("gb_carbon_intensity_2023.csv.gz", "carbon_intensity", 17_430, set()),
    ],
)
def test_files_of_rates_are_read_whole(name, adapter, values, codes):
    table = rate_files.open_table(shared_data(name), name=name)
    found, rejects = rate_files.read(table)

    assert (table.adapter, len(found), {reject.code for reject in rejects}) == (adapter, values, codes)


@pytest.mark.parametrize(
    "name",
    [
        "acn_ev_sessions.csv.gz",
        "agile_halfhourly_2022-11_2023-12.csv.gz",
        "gb_carbon_intensity_2023.csv.gz",
    ],
)
def test_files_of_other_things_are_refused_with_what_is_known(name):
    with pytest.raises(FileUnusable) as unusable:
        open_reading(shared_data(name), name=name, adapter=None)

    assert "lcl_csv" in unusable.value.expected


@pytest.mark.parametrize(
    ("name", "days", "empty"),
    [
        ("gjw_home_10s_2013-12-09_15.csv.gz", 7, 3_369),
        ("gjw_home_1min_2013-11_2014-01.csv.gz", 60, 5_034),
        ("gjw_home_power_events_2013-11_2014-01.csv.gz", 60, 0),
    ],
)
def test_files_of_power_become_half_hours(name, days, empty):
    contents = open_reading(shared_data(name), name=name, adapter=None)
    refusals = Refusals()

    readings = readings_in(contents, refusals)

    assert contents.format.name == "power_csv"
    assert 0.9 * days * 48 < len(readings) <= days * 48
    assert {reject.code for reject in refusals.in_order()} == ({"null"} if empty else set())
    assert refusals.rows == empty
    assert 19_000 < readings.import_wh.sum() * 48 / len(readings) < 23_000  # Wh a day


def files() -> list[str]:
    """Every file of data, whatever is put there."""
    folder = shared_data("README.md").parent
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
@pytest.mark.django_db
def test_every_file_is_imported_twice_and_counts_once_or_is_refused_in_words():
    told = {}
    for name in files():
        contents = shared_data(name).read_bytes()
        options = {"adapter": "wide_csv"} if name.startswith("edrp") else {}
        meters = {}
        if not name.startswith(("agile", "gb_carbon", *NOT_READINGS)):
            reading = open_reading(shared_data(name), name=name, **{"adapter": None, **options})
            readings_in(reading, Refusals())
            meters = {meter: str(make_resident(at=LONG_AGO).stream_id) for meter in reading.meters}
        outcomes = []
        for _ in range(2):
            job = import_jobs.upload(job_id=new_uuid(), name=name, chunks=[contents], at=AT, by=None)
            import_jobs.choose(job_id=job.pk, options=options, meters=meters, is_for_real=True)
            job = import_jobs.run(job_id=job.pk, at=AT)
            outcomes.append({**job.outcome, "rejects": job.rejects})
        if name in NOT_READINGS:
            assert (job.state, "expected" in job.error) == ("failed", True), name
            continue
        first, again = outcomes
        assert job.state == "done", (name, job.error)
        assert first["rows_read"] == first["rows_landed"] + first["rows_unchanged"] + first["rows_rejected"]
        assert (again["rows_landed"], again["rows_unchanged"]) == (
            0,
            first["rows_read"] - first["rows_rejected"],
        )
        assert all(each["line"] and each["reason"] for each in first["rejects"])
        assert len(list(import_jobs.reject_lines(job))) == 1 + len(first["rejects"])
        assert {rejects.fix_for(each["code"]) for each in first["rejects"]}.isdisjoint({""})
        told[name] = first["rows_landed"]

    assert told["edrp_60homes_halfhourly_2009-03_05.csv.gz"] == 4_416 * 60
    assert told["agile_halfhourly_2022-11_2023-12.csv.gz"] == 39_832
    assert len(told) >= 8


def _state(kind: str, tail: str = "status", key: str = "") -> Callable[[Any], object]:
    def read(body: Any) -> object:
        payload = json.dumps(body[key] if key else body).encode()
        return devices.read(kind, tail, payload, tz="Europe/London", received_at=AT)

    return read


def _frames(body: Any) -> object:
    fulljson = body["post"]["url"].partition("fulljson=")[2]
    bulk = read_bulk({"data": json.dumps(body["bulk"]["body_form"]["data"]), "time": "0"}, b"", now=AT)
    return read_post({"node": "emontx", "fulljson": fulljson}, now=AT), bulk.frames


def _glow(topic: str) -> Callable[[Any], object]:
    return lambda body: glow.read(topic, json.dumps(body).encode()).observations


SAMPLES: Final[dict[str, Callable[[Any], object] | None]] = {
    "demandshaper_schedule": None,
    "emoncms_input_post": _frames,
    "emonesp_relay": lambda body: _state("emonesp", "out/state", "emon/<device>/out/state")(body["out"]),
    "glow_cloud_zigbee": _glow("SMART/HILD/0123456789ABCDEF"),
    "glow_local_electricitymeter": _glow("glow/BCDDC2C6A91C/SENSOR/electricitymeter"),
    "glow_local_gasmeter": _glow("glow/BCDDC2C6A91C/SENSOR/gasmeter"),
    "glow_local_state": _glow("glow/BCDDC2C6A91C/STATE"),
    "glowmarkt_readings": lambda body: documents.recode(json.dumps(body["readings"]["reply_shape"])),
    "myenergi_jstatus_all": _state("myenergi", "jstatus"),
    "octopus_agile_rates": lambda body: rate_files.open_table(_sample("octopus_agile_rates"), name="o"),
    "openadr3_ven_ha_opt_report": None,
    "openevse_announce": None,
    "openevse_commands": None,
    "openevse_status": _state("openevse"),
    "powershaper_api": None,
    "shelly_gen1_plugs_status": _state("shelly_1"),
    "shelly_gen2_plus1pm_status": _state("shelly_2"),
    "tasmota_pow": _state("tasmota", "SENSOR", "tele/pow1/SENSOR"),
    "tasmota_th": _state("tasmota", "SENSOR", "tele/TH16/SENSOR"),
}
"""What reads each sample of a device or service; None for what holds no reading."""


def _sample(name: str) -> Any:
    return shared_sample(f"device-samples/{name}.json")


def test_every_sample_of_a_device_is_in_the_table():
    folder = _sample("tasmota_pow").parent

    assert {path.stem for path in folder.glob("*.json")} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_of_a_device_is_read_or_refused_by_name(name):
    body, read = json.loads(_sample(name).read_bytes()), SAMPLES[name]

    if read is not None:
        assert read(body)
        return
    for kind in devices.READERS:
        with suppress(MessageRefused):
            assert _state(kind)(body)
