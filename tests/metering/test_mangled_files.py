"""Files of every format, mangled in every way files are: read, or each bad row named; never a fault."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Role
from metering import rates, rejects
from metering.adapters import rate_files
from metering.adapters.formats import Reject
from metering.adapters.reading import FileUnusable, open_reading
from metering.checking import Refusals
from metering.import_jobs import ImportJob
from metering.ingest import readings_in
from opendsr.kernel.errors import DomainError
from tests.factories import make_coop, make_staff

SPRING, AUTUMN = "2025-03-30", "2025-10-26"


@dataclass(frozen=True, slots=True)
class Example:
    """A good file: its text, what an import of it is told, and how many readings or rates it has."""

    text: str
    count: int
    options: dict[str, Any] = field(default_factory=dict)
    delimiter: str = ","

    @property
    def is_of_rates(self) -> bool:
        return str(self.options.get("adapter", "")) in rate_files.ADAPTERS


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


OCTOPUS_ITEM: Final = {
    "consumption": 0.063,
    "interval_start": f"{AUTUMN}T01:30:00+01:00",
    "interval_end": f"{AUTUMN}T01:00:00+00:00",
}
EXAMPLES: Final = {
    "lcl_csv": Example(
        table("LCLid,tstp,energy_kWh", f"A,{SPRING} 01:30:00,0.1", f"A,{AUTUMN} 01:30:00,0.2"), 2
    ),
    "powershaper_csv": Example(
        table("halfhour ending at,usage", f"{AUTUMN} 01:30:00+00:00,0.2", f"{SPRING} 01:30:00+00:00,0.1"), 2
    ),
    "n3rgy_csv": Example(
        table("timestamp (UTC),energyConsumption (kWh)", f"{SPRING} 01:30,0.1", f"{AUTUMN} 01:30,0.2"), 2
    ),
    "opendsr_csv": Example(
        table(
            "meter,starts_at,import_wh,export_wh,quality",
            f"A,{SPRING}T01:30:00+00:00,100,0,measured",
            f"A,{AUTUMN}T01:30:00+00:00,200,50,",
        ),
        2,
    ),
    "octopus": Example(
        table(
            "Consumption (kwh), Start, End",
            f"0.1, {AUTUMN}T01:00:00+01:00, {AUTUMN}T01:30:00+01:00",
            f"0.2, {AUTUMN}T01:00:00+00:00, {AUTUMN}T01:30:00+00:00",
        ),
        2,
    ),
    "power_csv": Example(
        table("time_utc,power_w", *(f"{AUTUMN} 01:{minute:02d}:00,{400 + minute}" for minute in range(60))), 2
    ),
    "generic_csv": Example(
        table("When;kWh in;kWh out", f"{SPRING} 00:30;0,5;0", f"{AUTUMN} 03:00;1,5;0,25"),
        2,
        {
            "adapter": "generic_csv",
            "columns": {"stamp": "When", "import": "kWh in", "export": "kWh out"},
            "decimal": ",",
        },
        ";",
    ),
    "wide_csv": Example(
        table("ts,X1,X2", f"{SPRING} 01:30,0.1,0.2", f"{AUTUMN} 01:30,0.3,0.4"), 4, {"adapter": "wide_csv"}
    ),
    "octopus json": Example(json.dumps({"count": 1, "results": [OCTOPUS_ITEM]}), 1),
    "n3rgy json": Example(
        json.dumps({"resource": "x", "values": [{"timestamp": f"{SPRING} 01:30", "value": 0.1}]}), 1
    ),
    "glowmarkt json": Example(
        json.dumps({"units": "kWh", "data": [[1767225600, 0.123], [1767227400, None]]}), 1
    ),
    "agile": Example(
        table(
            "period_from_local,period_to_local,import_p_per_kwh,export_p_per_kwh",
            "26/10/2025 01:00,,1.5,2",
            "26/10/2025 01:30,,2,2",
            "26/10/2025 01:00,,3,2",
            "26/10/2025 01:30,,4,2",
        ),
        8,
        {"adapter": "agile_prices"},
    ),
    "agile json": Example(
        json.dumps({"results": [{"value_inc_vat": 7.2975, "valid_from": f"{SPRING}T01:30:00Z"}]}),
        1,
        {"adapter": "agile_prices"},
    ),
    "carbon": Example(
        table("from,to,forecast,actual,index", f"{SPRING} 01:30:00+00:00,,75,65.0,low"),
        1,
        {"adapter": "carbon_intensity"},
    ),
    "carbon json": Example(
        json.dumps({"data": [{"from": f"{AUTUMN}T01:00Z", "intensity": {"forecast": 120, "actual": 99}}]}),
        1,
        {"adapter": "carbon_intensity"},
    ),
}
TABLES: Final = [name for name, example in EXAMPLES.items() if not example.text.startswith("{")]
DRESSES: Final[dict[str, Callable[[str], bytes]]] = {
    "as it is": str.encode,
    "UTF-8 mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16 LE": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "two gzips": lambda text: gzip.compress(text[:9].encode()) + gzip.compress(text[9:].encode()),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "blank lines": lambda text: ("\n \n" + text.replace("\n", "\n\n") + "\n\n").encode(),
}
ODDITIES: Final = (
    *",;\t|\"'\n\r\x00é-{}[] ٣", "\ufeff", "\u2028", "e9", "NaN", "inf", "null", "1" * 30, "x" * 140_000,
    "=cmd|' /C'!A0", "\x1f\x8b", "\udcff",
)  # fmt: skip
CHECKS: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)


def taken(example: Example, contents: bytes) -> tuple[list[Any], Sequence[Reject]]:
    """What the file comes to: readings or rates, and refusals; its reject file is written too."""
    options = {"adapter": None, **example.options}
    if example.is_of_rates:
        found, refused = rate_files.read(rate_files.open_table(io.BytesIO(contents), name="f", **options))
        told = [(rate.kind, rate.slot, rate.value) for rate in found]
        file = rates.reject_file(io.BytesIO(contents), refused, name="f", **options)
    else:
        refusals = Refusals()
        readings = readings_in(open_reading(io.BytesIO(contents), name="f", **options), refusals)
        columns = (readings.slot, readings.import_wh, readings.export_wh)
        told = list(zip(*(column.tolist() for column in columns), strict=True))
        refused = refusals.in_order()
        file = rejects.reject_file(io.BytesIO(contents), refused, name="f", **options)
    assert len(list(file)) == 1 + len(refused)
    for reject in refused:
        assert all((reject.line >= 0, reject.field, reject.code, reject.reason)), reject
    return sorted(told), refused


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("dress", DRESSES)
def test_a_good_file_is_the_same_in_every_dress(name, dress):
    example = EXAMPLES[name]

    told, refused = taken(example, DRESSES[dress](example.text))

    assert len(told) == example.count
    assert told == taken(example, example.text.encode())[0]
    assert {reject.code for reject in refused} <= {"null"}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_good_table_is_the_same_with_every_delimiter_and_in_capitals(name, delimiter):
    example = EXAMPLES[name]
    if delimiter in example.text and delimiter != example.delimiter:
        pytest.skip("a comma cannot part numbers with commas")
    header, rest = example.text.split("\n", 1)

    told, refused = taken(example, f"{header.upper()}\n{rest}".replace(example.delimiter, delimiter).encode())

    assert told == taken(example, example.text.encode())[0]
    assert not refused


@pytest.mark.parametrize("name", TABLES)
def test_a_column_named_twice_is_told(name):
    example = EXAMPLES[name]
    doubled = [line + example.delimiter + line for line in example.text.splitlines()]

    with pytest.raises((FileUnusable, rate_files.RatesUnusable), match=r"the column .* twice"):
        taken(example, table(*doubled).encode())


def mangled(text: str, data: st.DataObject) -> bytes:
    """The text with some things put in, taken out, recoded or cut off."""
    pieces = list(text)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(pieces)))
        pieces[at : at + data.draw(st.integers(0, 8))] = [data.draw(st.sampled_from(ODDITIES))]
    whole = "".join(pieces).encode("utf-8", "surrogatepass")
    dress = data.draw(st.sampled_from(["none", "gzip", "utf-16", "latin-1"]))
    if dress == "gzip":
        whole = gzip.compress(whole)
    elif dress != "none":
        whole = whole.decode("utf-8", "replace").encode(dress, "replace")
    return whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole


@settings(max_examples=400, suppress_health_check=CHECKS)
@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_a_mangled_file_is_read_or_refused_by_name(name, data):
    example = EXAMPLES[name]

    with suppress(DomainError):
        taken(example, mangled(example.text, data))


@pytest.fixture
def dan(db: None) -> Client:
    """Staff who import, signed in."""
    make_coop()
    client = Client()
    user = make_staff("dan@example.org", Role.DEVICE_MANAGER)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@settings(max_examples=40, suppress_health_check=CHECKS)
@given(name=st.sampled_from(sorted(EXAMPLES)), data=st.data())
def test_the_page_of_a_mangled_file_is_never_a_fault(dan, name, data):
    example = EXAMPLES[name]
    file = SimpleUploadedFile("f.csv", mangled(example.text, data) or b" ")
    page = dan.post(reverse("import_list"), {"key": uuid4(), "file": file})["Location"]
    columns = "\n".join(f"{role}={column}" for role, column in example.options.get("columns", {}).items())
    choices = {"adapter": example.options.get("adapter", ""), "columns": columns, "do": "import"}

    statuses = [dan.get(page).status_code, dan.post(page, choices, follow=True).status_code]
    statuses.append(dan.get(page + "rejects.csv").status_code)

    assert statuses[:2] == [200, 200]
    assert statuses[2] in (200, 422)
    job = ImportJob.objects.get(pk=page.strip("/").rpartition("/")[2])
    assert job.state == "failed" if job.error else job.outcome["rows_read"] >= job.outcome["rows_rejected"]
