"""Readings in and out of the store: rows a second through the whole path, beside plain COPY and bulk_create.

Run it as `python benchmarks/import_rows.py` (BENCH_HOMES, BENCH_DAYS, BENCH_ROUNDS change its size). It makes
a scratch database in the cluster of DATABASE_URL, or in this clone's private one, fills it with generated
homes that consent, and drops it at the end. Each figure is the median of the rounds; the yardsticks run in
the same rounds on the same table.
"""

from __future__ import annotations

import gzip
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

HOMES = int(os.environ.get("BENCH_HOMES", "1000"))
DAYS = int(os.environ.get("BENCH_DAYS", "28"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CSV_HOMES = max(1, HOMES // 4)
TICKS = 6
BULK_ROWS = 20_000
FIRST_DAY = date(2025, 1, 6)
JOINED_AT = datetime(2024, 1, 1, tzinfo=UTC)
AT = datetime(2026, 1, 1, tzinfo=UTC)
GOALS = {"import_rows_per_second": 150_000, "import_csv_rows_per_second": 150_000}

T = TypeVar("T")


def main() -> None:
    """Measure, then print a table and a line a figure for scripts."""
    with scratch_database():
        rates = Measurement().run()
    write = sys.stdout.write
    write(f"{HOMES} homes x {DAYS} days x 48 half-hours, {ROUNDS} rounds\n")
    write(f"{'':34}{'least':>12}{'median':>12}{'most':>12}\n")
    for name, seen in rates.items():
        write(f"{name:34}{min(seen):12,.0f}{statistics.median(seen):12,.0f}{max(seen):12,.0f}\n")
    for name, seen in rates.items():
        unit = "values/s" if "values" in name else "rows/s"
        goal = f" goal {GOALS[name]}" if name in GOALS else ""
        write(f"BENCH {name} {statistics.median(seen):.0f} {unit}{goal}\n")
    imported, copied, bulk = (
        statistics.median(rates[name])
        for name in ("import_rows_per_second", "plain_copy_rows_per_second", "bulk_create_rows_per_second")
    )
    write(f"BENCH import_share_of_plain_copy {100 * imported / copied:.0f} % goal 50\n")
    write(f"BENCH import_times_bulk_create {imported / bulk:.0f} x goal 10\n")


class Measurement:
    """One database of homes, measured round by round; `rates` are items a second by name."""

    def __init__(self) -> None:
        generator = np.random.default_rng(20260101)
        start = np.datetime64(FIRST_DAY.isoformat(), "us")
        self.rates: dict[str, list[float]] = {}
        self.streams = make_streams(HOMES)
        self.times = start + np.arange(DAYS * 48 + TICKS) * np.timedelta64(30, "m")
        self.wh = generator.gamma(1.2, 220, size=(HOMES, DAYS * 48 + TICKS)).astype(np.int64)
        self.spoilt_rows = generator.random(CSV_HOMES * DAYS * 48) < 0.01
        self.corrected_wh = np.where(generator.random(self.wh.shape) < 0.01, self.wh + 1, self.wh)

    def run(self) -> dict[str, list[float]]:
        """All rounds."""
        lcl = self.lcl_lines()
        clean = "\n".join(lcl).encode() + b"\n"
        dirty = gzip.compress("\n".join(self.spoilt(lcl)).encode(), 1)
        for _ in range(ROUNDS):
            self.arrays()
            self.files(clean, dirty)
            self.ticks()
            self.reading()
            self.yardsticks()
        return self.rates

    def arrays(self) -> None:
        """A table of streams by half-hours: new, the same again, then one value in a hundred corrected."""
        from metering import ingest

        empty_the_store()
        size = HOMES * DAYS * 48
        for figure, name, wh in (
            ("import_rows_per_second", "first", self.wh),
            ("reimport_rows_per_second", "first", self.wh),
            ("correct_rows_per_second", "second", self.corrected_wh),
        ):
            report = self.timed(
                figure,
                size,
                ingest.store_readings,
                source="simulated",
                name=name,
                at=AT,
                stream_ids=self.streams,
                starts_at=self.times[: DAYS * 48],
                import_wh=wh[:, : DAYS * 48],
            )
            corrections = int((self.corrected_wh != self.wh)[:, : DAYS * 48].sum())
            landed = {"first": (size, 0), "second": (corrections, corrections)}[name]
            expect(report.rows_landed in landed, f"{figure}: {report}")

    def files(self, clean: bytes, dirty: bytes) -> None:
        """A file in the Low Carbon London form: clean, then compressed with one row in a hundred bad."""
        from metering import ingest

        meters = {f"MAC{number:06d}": stream for number, stream in enumerate(self.streams[:CSV_HOMES])}
        size = len(self.spoilt_rows)
        for figure, text, landed in (
            ("import_csv_rows_per_second", clean, size),
            ("import_dirty_csv_rows_per_second", dirty, size - int(self.spoilt_rows.sum())),
        ):
            if text is dirty:
                empty_the_store()
            report = self.timed(
                figure, size, ingest.import_file, file=io.BytesIO(text), name="lcl", streams=meters, at=AT
            )
            expect(report.rows_landed == landed, f"{figure}: {report}")

    def ticks(self) -> None:
        """Half-hours as they arrive: one reading of every home at a time."""
        from metering import ingest

        def store_each() -> None:
            for tick in range(DAYS * 48, DAYS * 48 + TICKS):
                ingest.store_readings(
                    source="cad",
                    name=f"tick {tick}",
                    at=AT,
                    stream_ids=self.streams,
                    starts_at=self.times[tick : tick + 1],
                    import_wh=self.wh[:, tick : tick + 1],
                )

        self.timed("import_tick_rows_per_second", HOMES * TICKS, store_each)

    def reading(self) -> None:
        """A day cube of everything, from table to array; a quarter of the homes have two sources."""
        from django.db import connection

        from metering import ingest, store

        ingest.store_readings(
            source="simulated",
            name="for reading",
            at=AT,
            stream_ids=self.streams,
            starts_at=self.times[: DAYS * 48],
            import_wh=self.wh[:, : DAYS * 48],
        )
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE metering_half_hour")  # autovacuum's part, a minute later
        days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
        size = HOMES * DAYS * 48
        cube = self.timed("day_cube_values_per_second", size, store.day_cube, self.streams, days)
        expect(int(cube.present.sum()) == size, "the cube lost readings")

    def yardsticks(self) -> None:
        """The same rows into the same table without any check, and Django's own way."""
        from metering import revising
        from metering.checking import Readings
        from metering.models import HalfHour, ImportRun
        from metering.slots import from_times

        empty_the_store()
        run = ImportRun.objects.create(source="bench", name="yardstick", imported_at=AT)
        slots, _ = from_times(self.times[: DAYS * 48])
        size = HOMES * len(slots)
        nought = np.zeros(size, dtype=np.int64)
        stream, slot = np.repeat(np.arange(HOMES), len(slots)), np.tile(slots, HOMES)
        wh = self.wh[:, : DAYS * 48].ravel()
        rows = Readings(nought, stream, slot, wh, nought, nought, nought)
        decision = revising.Decision(np.ones(size, dtype=bool), nought)
        self.timed(
            "plain_copy_rows_per_second",
            size,
            revising.write,
            rows,
            decision,
            self.streams,
            run_id=run.pk,
            source_id=1,
            at=AT,
        )
        objects = [
            HalfHour(
                stream_id=self.streams[number % HOMES],
                starts_at=AT + timedelta(minutes=30 * (number // HOMES)),
                known_at=AT,
                run=run,
                source_id=1,
                import_wh=number % 999,
            )
            for number in range(BULK_ROWS)
        ]
        figure = "bulk_create_rows_per_second"
        self.timed(figure, BULK_ROWS, HalfHour.objects.bulk_create, objects, batch_size=5_000)

    def timed(
        self, figure: str, items: int, work: Callable[..., T], *arguments: object, **named: object
    ) -> T:
        """Do the work once and note its rate."""
        began = time.perf_counter()
        result = work(*arguments, **named)
        self.rates.setdefault(figure, []).append(items / (time.perf_counter() - began))
        return result

    def lcl_lines(self) -> list[str]:
        """A file whose stamps name the end of the half-hour."""
        starts: list[datetime] = self.times[: DAYS * 48].tolist()
        ends = [f"{at + timedelta(minutes=30):%Y-%m-%d %H:%M:%S}" for at in starts]
        lines = ["LCLid,tstp,energy_kWh"]
        for number, row in enumerate(self.wh[:CSV_HOMES, : DAYS * 48].tolist()):
            lines += [f"MAC{number:06d},{end},{wh / 1000}" for end, wh in zip(ends, row, strict=True)]
        return lines

    def spoilt(self, lines: Sequence[str]) -> Iterator[str]:
        """The same with some rows made bad, each in its way."""
        yield lines[0]
        for number, (line, is_spoilt) in enumerate(zip(lines[1:], self.spoilt_rows, strict=True)):
            yield line.rpartition(",")[0] + (",Null", ",-1", ",text", "")[number % 4] if is_spoilt else line


def make_streams(count: int) -> list[UUID]:
    """Consenting households with a meter stream each, by bulk insert: services are not measured here."""
    from members import consenting
    from members.models import Consent, Granularity, Home, Household, Member, MeterStream, Occupancy, Purpose

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


def empty_the_store() -> None:
    """Forget every reading and import."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE metering_half_hour, metering_packed, metering_superseded, metering_importrun CASCADE"
        )


def expect(is_right: bool, what: str) -> None:
    """Stop when a measured path did not do its work."""
    if not is_right:
        raise SystemExit(f"The benchmark measured something else: {what}")


@contextmanager
def scratch_database() -> Iterator[None]:
    """Point DATABASE_URL at a new database, migrated; drop it afterwards."""
    from opendsr.run.bootstrap import local_environment

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
    with local_environment():
        given = os.environ["DATABASE_URL"]
        with empty_database("bench") as url:
            os.environ["DATABASE_URL"] = url
            try:
                _set_up_django()
                yield
            finally:
                os.environ["DATABASE_URL"] = given


@contextmanager
def empty_database(kind: str) -> Iterator[str]:
    """The URL of a new database in the cluster of DATABASE_URL; drop it afterwards."""
    import psycopg

    given = os.environ["DATABASE_URL"]
    name = f"opendsr_{kind}_{os.getpid()}"
    with psycopg.connect(given, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(given, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _set_up_django() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    main()
