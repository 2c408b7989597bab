"""Readings in and out of the store: rows a second through the whole path, beside plain COPY and bulk_create.

Run it as `python benchmarks/import_rows.py`. It makes a scratch database in the cluster of DATABASE_URL (or in
this clone's private one), fills it with generated homes that consent, and drops it at the end. Each figure is the
median of the rounds; the yardsticks run in the same rounds on the same table.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

HOMES = int(os.environ.get("BENCH_HOMES", "1000"))
DAYS = int(os.environ.get("BENCH_DAYS", "28"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CSV_HOMES = HOMES // 4
TICKS = 6
FIRST_DAY = date(2025, 1, 6)
JOINED_AT = datetime(2024, 1, 1, tzinfo=UTC)
AT = datetime(2026, 1, 1, tzinfo=UTC)

Figures = dict[str, list[float]]


@contextmanager
def scratch_database() -> Iterator[None]:
    """Point DATABASE_URL at a new database, migrated; drop it afterwards."""
    import psycopg

    from opendsr.run.bootstrap import local_environment

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
    with local_environment():
        given = os.environ["DATABASE_URL"]
        name = f"opendsr_bench_{os.getpid()}"
        with psycopg.connect(given, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"')
        os.environ["DATABASE_URL"] = urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
        try:
            import django
            from django.core.management import call_command
            from django.db import connections

            django.setup()
            call_command("migrate", verbosity=0)
            yield
            connections.close_all()
        finally:
            os.environ["DATABASE_URL"] = given
            with psycopg.connect(given, autocommit=True) as server:
                server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def make_streams(count: int) -> list[UUID]:
    """Consenting households with a meter stream each, by bulk insert: the services are not what is measured."""
    from members import consenting
    from members.models import (
        Consent,
        Granularity,
        Home,
        Household,
        Member,
        MeterStream,
        Occupancy,
        Purpose,
    )

    text = consenting.publish_text(purpose=Purpose.SETTLEMENT, body="Words for a benchmark", at=JOINED_AT)
    households = Household.objects.bulk_create(Household(name=f"Household {n}") for n in range(count))
    homes = Home.objects.bulk_create(
        Home(name=f"Home {n}", postcode="M1 1AA", mpan=f"{n:013d}", gsp_group="G") for n in range(count)
    )
    members = Member.objects.bulk_create(
        Member(number=f"M-{n:05d}", household=household, full_name="Bench", joined_at=JOINED_AT)
        for n, household in enumerate(households)
    )
    stays = Occupancy.objects.bulk_create(
        Occupancy(home=home, household=household, starts_at=JOINED_AT)
        for home, household in zip(homes, households, strict=True)
    )
    Consent.objects.bulk_create(
        Consent(
            occupancy=stay,
            member=member,
            text=text,
            purpose=Purpose.SETTLEMENT,
            granularity=Granularity.HALF_HOURLY,
            channel="paper",
            starts_at=JOINED_AT,
        )
        for stay, member in zip(stays, members, strict=True)
    )
    streams = MeterStream.objects.bulk_create(
        MeterStream(occupancy=stay, starts_at=JOINED_AT) for stay in stays
    )
    return sorted(stream.stream_id for stream in streams)


def run() -> Figures:
    """All rounds; seconds are turned into rows a second."""
    import numpy as np
    from django.db import connection

    from metering import copying, ingest, revising, store
    from metering.models import HalfHour, ImportRun
    from metering.slots import from_times

    generator = np.random.default_rng(20260101)
    streams = make_streams(HOMES)
    start = np.datetime64(FIRST_DAY.isoformat(), "m")
    times = (start + np.arange(DAYS * 48) * np.timedelta64(30, "m")).astype("datetime64[us]")
    later = (times[-1] + np.arange(1, TICKS + 1) * np.timedelta64(30, "m")).astype("datetime64[us]")
    values = generator.gamma(1.2, 220, size=(HOMES, DAYS * 48)).astype(np.int64)
    rows = values.size
    csv_rows = CSV_HOMES * DAYS * 48
    lcl = lcl_text(streams[:CSV_HOMES], times, values[:CSV_HOMES])
    figures: Figures = {}

    def note(name: str, count: int, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = work()
        figures.setdefault(name, []).append(count / (time.perf_counter() - began))
        return result

    def import_lcl(data: bytes) -> object:
        names = {f"MAC{number:06d}": stream for number, stream in enumerate(streams[:CSV_HOMES])}
        return ingest.import_file(file=io.BytesIO(data), name="lcl.csv", streams=names, at=AT)

    def store_table(name: str, table: object) -> object:
        return ingest.store_readings(
            source="simulated", name=name, at=AT, stream_ids=streams, starts_at=times, import_wh=table
        )

    for turn in range(ROUNDS):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE metering_half_hour, metering_importrun CASCADE")
        report = note("import_rows_per_second", rows, lambda: store_table("first", values))
        assert report.rows_landed == rows, report
        report = note("reimport_rows_per_second", rows, lambda: store_table("first", values))
        assert report.rows_unchanged == rows, report
        mixed = np.where(generator.random(values.shape) < 0.01, values + 1, values)
        report = note("correct_rows_per_second", rows, lambda: store_table("second", mixed))
        assert report.rows_corrected == int((mixed != values).sum()), report
        report = note("import_csv_rows_per_second", csv_rows, lambda: import_lcl(lcl))
        assert report.rows_landed == csv_rows, report
        dirty = spoilt(lcl, turn)
        note("import_dirty_csv_rows_per_second", csv_rows, lambda: import_lcl(dirty))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE metering_half_hour")

        def ticks() -> None:
            for tick, at in enumerate(later):
                ingest.store_readings(
                    source="cad",
                    name=f"tick {tick}",
                    at=AT,
                    stream_ids=streams,
                    starts_at=later[tick : tick + 1],
                    import_wh=values[:, tick : tick + 1],
                )

        note("import_tick_rows_per_second", HOMES * TICKS, ticks)
        days = [FIRST_DAY + timedelta(days=n) for n in range(DAYS)]
        cube = note("day_cube_values_per_second", rows, lambda: store.day_cube(streams, days))
        assert int(cube.present.sum()) == rows, "the cube lost readings"

        # Yardsticks: the same rows into the same table without checks, then Django's own way.
        run_row = ImportRun.objects.create(source="bench", name="yardstick", imported_at=AT)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE metering_half_hour")
        slots, _ = from_times(times)
        plain = revising.Readings(
            *(np.zeros(rows, dtype=np.int64), np.repeat(np.arange(HOMES), len(slots)), np.tile(slots, HOMES)),
            *(values.ravel(), np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)),
            np.zeros(rows, dtype=np.int64),
        )
        nothing = revising.Known(*(np.zeros(0, dtype=np.int64) for _ in range(6)))
        decision = revising.decide(plain, nothing, at=AT, is_replay=False)
        note(
            "plain_copy_rows_per_second",
            rows,
            lambda: revising.write(plain, decision, streams, run_id=run_row.pk, source_id=99),
        )
        few = min(20_000, rows)
        objects = [
            HalfHour(
                stream_id=streams[n % HOMES],
                starts_at=AT + timedelta(minutes=30 * (n // HOMES)),
                known_at=AT,
                run=run_row,
                source_id=98,
                import_wh=n % 999,
            )
            for n in range(few)
        ]
        note(
            "bulk_create_rows_per_second",
            few,
            lambda: HalfHour.objects.bulk_create(objects, batch_size=5_000),
        )
    _ = copying
    return figures


def lcl_text(streams: list[UUID], times: object, values: object) -> bytes:
    """A file in the Low Carbon London form: stamps name the end of the half-hour."""
    ends = [f"{at + timedelta(minutes=30):%Y-%m-%d %H:%M:%S}" for at in times.tolist()]
    lines = ["LCLid,tstp,energy_kWh"]
    for number, row in enumerate(values.tolist()):
        lines += [f"MAC{number:06d},{end},{wh / 1000}" for end, wh in zip(ends, row, strict=True)]
    return "\n".join(lines).encode() + b"\n"


def spoilt(text: bytes, seed: int) -> bytes:
    """The file with one row in a hundred made bad, compressed."""
    dice = random.Random(seed)
    lines = text.decode().split("\n")
    for number in range(1, len(lines) - 1):
        if dice.random() < 0.01:
            lines[number] = lines[number].rpartition(",")[0] + dice.choice([",Null", ",-1", ",text", ""])
    return gzip.compress("\n".join(lines).encode(), 1)


GOALS = {"import_rows_per_second": 150_000, "import_csv_rows_per_second": 150_000}


def main() -> None:
    """Measure and print a table, then a line a figure for scripts."""
    with scratch_database():
        figures = run()
    print(f"{HOMES} homes x {DAYS} days x 48 half-hours, {ROUNDS} rounds")
    print(f"{'':34}{'least':>12}{'median':>12}{'most':>12}")
    for name, rates in figures.items():
        print(f"{name:34}{min(rates):12,.0f}{statistics.median(rates):12,.0f}{max(rates):12,.0f}")
    for name, rates in figures.items():
        unit = "values/s" if "values" in name else "rows/s"
        goal = f" goal {GOALS[name]}" if name in GOALS else ""
        print(f"BENCH {name} {statistics.median(rates):.0f} {unit}{goal}")
    share = statistics.median(figures["import_rows_per_second"]) / statistics.median(
        figures["plain_copy_rows_per_second"]
    )
    print(f"BENCH import_share_of_plain_copy {100 * share:.0f} % goal 50")


if __name__ == "__main__":
    main()
