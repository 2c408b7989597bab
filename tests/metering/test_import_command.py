"""`manage.py import_readings`: what a person at a terminal sees."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from metering.models import HalfHour, ImportRun
from opendsr.kernel import clock
from tests.metering.meters import HEADER, lcl_lines
from tests.metering.samples import AT

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now():
    clock.configure(AT, speed=0)


@pytest.fixture
def export(tmp_path):
    lines = [HEADER, *lcl_lines(["0.1", "Null", "0.3"]), *lcl_lines(["0.1"] * 40, meter="ELSE")]
    path = tmp_path / "export.csv"
    path.write_text("\n".join(lines))
    return path


def run(*arguments: object) -> str:
    out = io.StringIO()
    call_command("import_readings", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_report_accounts_for_every_row(ash, export):
    printed = run(export, "--map", f"ASH={ash}")

    assert "export.csv as lcl_csv: stamps are the end of the half-hour in UTC" in printed
    assert [line.split()[-1] for line in printed.splitlines()[1:7]] == ["43", "2", "0", "0", "41", "1"]
    assert "line 3: energy_kWh 'Null': no value" in printed
    assert "line 5: meter 'ELSE': meter not known: 40 rows not stored" in printed
    assert "after line 2: ASH: 1 from 2026-01-05 00:30Z" in printed
    assert HalfHour.objects.count() == 2
    assert ImportRun.objects.get().imported_at == AT


def test_the_same_again_says_unchanged(ash, export):
    run(export, "--map", f"ASH={ash}")

    assert "Unchanged" in run(export, "--map", f"ASH={ash}")


def test_a_file_without_a_good_row_says_so(ash, export):
    printed = run(export, "--map", f"NOBODY={ash}")

    assert "Nothing was stored: there was no good row." in printed
    assert "Unchanged" not in printed


def test_a_dry_run_stores_nothing(ash, export):
    printed = run(export, "--map", f"ASH={ash}", "--dry-run")

    assert "would land" in printed
    assert "nothing was stored" in printed
    assert not HalfHour.objects.exists()


def test_conventions_are_overridden(ash, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("Site;When;Used\nA;05/01/2026 00:30;1,5\n")

    run(
        *(path, "--adapter", "generic_csv", "--map", f"A={ash}", "--decimal", ",", "--stamp", "end"),
        *("--tz", "UTC", "--column", "meter=Site", "--column", "stamp=When", "--column", "import=Used"),
        *("--source", "supplier"),
    )

    row = HalfHour.objects.get()
    assert (row.import_wh, row.source.code) == (1500, "supplier")
    assert row.starts_at + timedelta(minutes=30) == row.starts_at.replace(hour=0, minute=30)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", [], "an empty file"),
        ("a,b\n1,2\n", [], "found='a,b'"),
        (HEADER, ["--map", "ASH"], "NAME=VALUE"),
        (HEADER, ["--map", "ASH=12"], "not a stream id"),
        (HEADER, ["--tz", "Mars/Olympus"], "IANA zone"),
        (HEADER, ["--column", "stamp=x"], "columns"),
    ],
)
def test_a_file_or_option_that_cannot_be_used_ends_with_a_reason(db, tmp_path, text, arguments, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)

    with pytest.raises(CommandError, match=message):
        run(path, *arguments)


def test_a_file_that_is_not_there_ends_with_a_reason(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "gone.csv")


@pytest.mark.django_db
def test_the_refused_rows_are_written_to_a_file(tmp_path, ash):
    path = tmp_path / "lcl.csv"
    path.write_text("LCLid,tstp,energy_kWh\nASH,2026-01-05 00:30:00,0.1\nASH,2026-01-05 01:00:00,much\n")
    out = tmp_path / "rejects.csv"

    run(path, f"--map=ASH={ash}", f"--rejects={out}")

    header, line = out.read_text().splitlines()
    assert header.startswith("LCLid,tstp,energy_kWh,reject_line")
    assert line.startswith("ASH,2026-01-05 01:00:00,much,3,energy_kWh,much,not a number,")
