"""Both days of a clock change through every adapter of files: 46 and 50 half-hours, each in its place."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest

from metering.adapters import ADAPTERS, generic_csv, power_csv, rate_files
from metering.adapters.documents import KINDS
from metering.adapters.formats import CsvFormat, Role, Stamp, Unit
from metering.adapters.reading import open_reading
from metering.checking import Refusals
from metering.ingest import readings_in
from metering.slots import slot_of
from opendsr.kernel.periods import LONDON, period_starts

SPRING, AUTUMN = date(2025, 3, 30), date(2025, 10, 26)
HALF_HOUR: Final = timedelta(minutes=30)
TABLES: Final = [name for name in ADAPTERS if name not in ("power_csv", "n3rgy_json", "glowmarkt_json")]
GENERIC: Final = {"columns": {"stamp": "stamp", "import": "import"}, "tz": "Europe/London"}


def slots_in(contents: bytes, adapter: str | None = None, **options: Any) -> list[int]:
    """Slots of the readings in the file, every row of which has to be one."""
    refusals = Refusals()
    readings = readings_in(open_reading(io.BytesIO(contents), name="f", adapter=adapter, **options), refusals)
    assert not refusals.kept
    return sorted(readings.slot.tolist())


def stamps(format: CsvFormat, starts: list[datetime]) -> list[str]:
    """The half-hours as the format writes them: start or end, in UTC or with London's offset."""
    shift = HALF_HOUR if format.stamp == Stamp.END else timedelta()
    if format.tz == "UTC":
        return [f"{start + shift:%Y-%m-%d %H:%M:%S}" for start in starts]
    return [(start + shift).astimezone(LONDON).isoformat() for start in starts]


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_46_or_50_half_hours(name, day):
    starts = period_starts(day)
    options = GENERIC if name == generic_csv.FORMAT.name else {}
    format = ADAPTERS[name].FORMAT.with_options(**options)
    columns = {role: format.columns[role][0] for role in format.needed} | (
        {Role.IMPORT: "X1"} if format.is_wide else {}
    )
    value = "100" if format.unit == Unit.WH else "0.1"
    cells = {Role.METER: "A", Role.IMPORT: value, Role.EXPORT: "0"}
    rows = [",".join(columns.values())]
    rows += [
        ",".join(stamp if role == Role.STAMP else cells[role] for role in columns)
        for stamp in stamps(format, starts)
    ]

    told = slots_in("\n".join(rows).encode(), name, **options)

    assert told == [slot_of(start) for start in starts]


DOCUMENTS: Final[dict[str, Callable[[list[datetime]], object]]] = {
    "octopus": lambda starts: {
        "count": len(starts),
        "results": [
            {
                "consumption": 0.1,
                "interval_start": start.astimezone(LONDON).isoformat(),
                "interval_end": (start + HALF_HOUR).astimezone(LONDON).isoformat(),
            }
            for start in reversed(starts)
        ],
    },
    "n3rgy_json": lambda starts: {
        "resource": "x",
        "values": [{"timestamp": f"{start + HALF_HOUR:%Y-%m-%d %H:%M}", "value": 0.1} for start in starts],
    },
    "glowmarkt_json": lambda starts: {
        "units": "kWh",
        "data": [[int(start.timestamp()), 0.1] for start in starts],
    },
}


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("name", KINDS)
def test_every_document_has_46_or_50_half_hours(name, day):
    starts = period_starts(day)

    assert slots_in(json.dumps(DOCUMENTS[name](starts)).encode()) == [slot_of(start) for start in starts]


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_a_power_log_has_46_or_50_half_hours(day):
    starts = period_starts(day)
    minutes = [start + timedelta(minutes=number) for start in starts for number in range(30)]
    rows = [f"{at:%Y-%m-%d %H:%M:%S},200" for at in minutes]

    told = slots_in("\n".join(["time_utc,power_w", *rows]).encode(), power_csv.FORMAT.name)

    assert told == [slot_of(start) for start in starts]


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_prices_of_local_time_and_carbon_of_utc_have_46_or_50_half_hours(day):
    starts = period_starts(day)
    prices = [f"{start.astimezone(LONDON):%d/%m/%Y %H:%M},,1,2" for start in starts]
    carbon = [f"{start.astimezone(UTC):%Y-%m-%d %H:%M}Z,,90,80," for start in starts]
    header = "period_from_local,period_to_local,import_p_per_kwh,export_p_per_kwh"
    for lines, kinds in (([header, *prices], 2), (["from,to,forecast,actual,index", *carbon], 1)):
        table = rate_files.open_table(io.BytesIO("\n".join(lines).encode()), name="f")
        found, rejects = rate_files.read(table)

        assert not rejects
        assert sorted(rate.slot for rate in found) == sorted(slot_of(start) for start in starts * kinds)
