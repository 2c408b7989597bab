"""Half-hourly prices and carbon intensity: read as written, stored once, refused in words."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO, StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from metering import rates
from metering.adapters import rate_files
from metering.adapters.formats import Reject
from metering.adapters.rate_files import Rate, RatesUnusable
from metering.models import HalfHourlyRate
from metering.slots import slot_of, start_of

AT = datetime(2026, 4, 8, 12, tzinfo=UTC)
AGILE = "period_from_local,period_to_local,import_p_per_kwh,export_p_per_kwh\n"
CARBON = "from,to,forecast,actual,index\n"
Kind = HalfHourlyRate.Kind


def agile(*rows: str) -> bytes:
    return (AGILE + "\n".join(rows) + "\n").encode()


def read(contents: bytes, *, name: str = "r") -> tuple[str, list[Rate], list[Reject]]:
    table = rate_files.open_table(BytesIO(contents), name=name)
    return table.adapter, *rate_files.read(table)


def of(found: list[Rate], kind: str) -> dict[datetime, Decimal]:
    return {start_of(rate.slot): rate.value for rate in found if rate.kind == kind}


def test_agile_is_wall_clock_and_below_zero_too():
    adapter, found, rejects = read(
        agile("01/07/2023 00:00,01/07/2023 00:30,-19.94,6.5", "01/01/2023 00:00,01/01/2023 00:30,82.14,"),
        name="agile.csv",
    )

    assert (adapter, rejects) == ("agile_prices", [])
    assert of(found, Kind.IMPORT_PRICE) == {
        datetime(2023, 6, 30, 23, tzinfo=UTC): Decimal("-19.94"),
        datetime(2023, 1, 1, tzinfo=UTC): Decimal("82.14"),
    }
    assert list(of(found, Kind.EXPORT_PRICE).values()) == [Decimal("6.5")]


def test_both_days_on_which_the_clocks_change():
    _, found, rejects = read(
        agile(
            "26/03/2023 00:30,,1,", "26/03/2023 01:00,,9,", "26/03/2023 02:00,,2,",
            "29/10/2023 00:30,,3,", "29/10/2023 01:00,,4,", "29/10/2023 01:30,,5,",
            "29/10/2023 01:00,,6,", "29/10/2023 01:30,,7,", "29/10/2023 02:00,,8,",
        ),
        name="agile.csv",
    )  # fmt: skip

    spring, autumn = datetime(2023, 3, 26, 0, 30, tzinfo=UTC), datetime(2023, 10, 28, 23, 30, tzinfo=UTC)
    half = timedelta(minutes=30)
    assert [(reject.line, reject.code) for reject in rejects] == [(3, "no_such_time")]
    assert of(found, Kind.IMPORT_PRICE) == {
        spring: 1, spring + half: 2,
        autumn: 3, autumn + half: 4, autumn + 2 * half: 5, autumn + 3 * half: 6, autumn + 4 * half: 7,
        autumn + 5 * half: 8,
    }  # fmt: skip


def test_an_hour_that_is_told_once_but_happened_twice_is_refused():
    _, found, rejects = read(agile("29/10/2023 01:00,,4,4", "29/10/2023 02:00,,8,8"), name="a")

    assert [(reject.line, reject.code) for reject in rejects] == [(2, "ambiguous_time")]
    assert len(found) == 2


def test_carbon_takes_the_forecast_where_nothing_was_measured():
    rows = [
        "2023-01-01 00:00:00+00:00,,75,65.0,low",
        "2023-01-01 00:30:00+00:00,,73,,low",
        "2023-01-01 01:00:00+00:00,,63,0.0,low",
        "2023-01-01 01:30:00+00:00,,,,low",
        "2023-01-01 02:00:00+00:00,,-4,,low",
        "2023-01-01 02:10:00+00:00,,4,,low",
        "2023-01-01 02:30:00+00:00,,much,,low",
        "2023-01-01 03:00:00+00:00,,4000,,low",
    ]

    adapter, found, rejects = read((CARBON + "\n".join(rows)).encode(), name="c.csv")

    assert adapter == "carbon_intensity"
    assert list(of(found, Kind.CARBON).values()) == [65, 73, 63]
    codes = ["null", "negative", "off_grid", "not_a_number", "implausible"]
    assert [reject.code for reject in rejects] == codes


def test_answers_of_both_services_are_read():
    octopus = {"count": 1, "results": [{"value_inc_vat": 21.35, "valid_from": "2026-04-01T16:00:00Z"}]}
    carbon = {
        "data": [
            {"from": "2026-04-01T16:00Z", "to": "", "intensity": {"forecast": 120, "actual": None}},
            {"from": "2026-04-01T16:30Z", "to": "", "intensity": {"forecast": 120, "actual": 99}},
        ]
    }

    prices = read(json.dumps(octopus).encode(), name="o.json")[1]
    grams = read(gzip.compress(json.dumps(carbon).encode()), name="c.json.gz")[1]

    assert of(prices, Kind.IMPORT_PRICE) == {datetime(2026, 4, 1, 16, tzinfo=UTC): Decimal("21.35")}
    assert list(of(grams, Kind.CARBON).values()) == [120, 99]


def test_two_values_for_one_half_hour_are_told():
    rows = ("01/01/2023 00:00,,5,", "01/01/2023 00:00,,5,", "01/01/2023 00:00,,6,")

    _, found, rejects = read(agile(*rows), name="a")

    assert [rate.value for rate in found] == [5]
    assert [(reject.line, reject.code) for reject in rejects] == [(4, "conflict")]


@given(st.binary(max_size=300))
def test_no_file_is_a_fault(contents):
    for head in (b"", AGILE.encode(), CARBON.encode(), b'{"results": [', b'{"data": ', b"\x1f\x8b"):
        with suppress(RatesUnusable):
            read(head + contents, name="x")


@pytest.mark.django_db
def test_again_changes_nothing_and_a_later_value_counts(tmp_path):
    first, past = slot_of(datetime(2023, 1, 1, tzinfo=UTC)), slot_of(datetime(2023, 1, 1, 2, tzinfo=UTC))
    text = agile("01/01/2023 00:00,,5.5,", "01/01/2023 01:00,,-6,")

    told = rates.import_rates(file=BytesIO(text), name="a", at=AT, dry_run=True)
    assert (told.values_stored, HalfHourlyRate.objects.count()) == (2, 0)
    assert rates.import_rates(file=BytesIO(text), name="a", at=AT).values_stored == 2
    assert rates.import_rates(file=BytesIO(text), name="a", at=AT).values_stored == 0
    corrected = agile("01/01/2023 01:00,,7,")
    assert rates.import_rates(file=BytesIO(corrected), name="b", at=AT + timedelta(days=1)).values_stored == 1
    assert rates.import_rates(file=BytesIO(text), name="a", at=AT).values_stored == 0

    value, known = rates.of_slots(Kind.IMPORT_PRICE, first, past)
    assert value.tolist() == [55_000, 0, 70_000, 0]
    assert known.tolist() == [True, False, True, False]
    assert not rates.of_slots(Kind.CARBON, first, past)[1].any()
    assert value.dtype == np.int64

    path = tmp_path / "rates.csv"
    path.write_bytes(text)
    out = StringIO()
    call_command("import_rates", str(path), "--dry-run", stdout=out)
    assert "as agile_prices" in out.getvalue()
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CommandError, match="period_from_local"):
        call_command("import_rates", str(path))
