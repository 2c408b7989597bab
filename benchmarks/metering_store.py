"""The reading store at fleet size: ingest beside plain COPY and bulk_create, weeks on disk, the cube, pages.

Run it as `python benchmarks/metering_store.py`; BENCH_HOMES, BENCH_DAYS and BENCH_ROUNDS change its size (a
smoke test: `BENCH_HOMES=200 BENCH_DAYS=14 BENCH_ROUNDS=1`). It works in a scratch database of its own. The
homes are of three kinds: half learn each day from a supplier's file, a quarter learned all in one import, a
quarter close each half-hour from live power; one in five exports, and one in a hundred readings of a quarter
of the homes is an estimate.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from import_rows import AT, JOINED_AT, expect, make_streams, scratch_database

HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
DAYS = int(os.environ.get("BENCH_DAYS", "70"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
TICKS = 5
BULK_ROWS = 10_000
STREAMS_A_WRITE = 250
PAGES = 60
DAYS_SHOWN = 400
FIRST_DAY = datetime(2025, 9, 1, tzinfo=UTC).date()
NOON = datetime(2025, 12, 31, 12, tzinfo=UTC)
DAY_US = 86_400_000_000


def main() -> None:
    """Measure, then print a table and a line a figure for scripts."""
    with scratch_database():
        figures = Measurement().run()
    write = sys.stdout.write
    write(f"{HOMES} homes x {DAYS} days x 48 half-hours, {ROUNDS} rounds\n")
    write(f"{'':40}{'least':>12}{'median':>12}{'most':>12}\n")
    for name, (seen, _, _) in figures.items():
        write(f"{name:40}{min(seen):12,.2f}{statistics.median(seen):12,.2f}{max(seen):12,.2f}\n")
    for name, (seen, unit, goal) in figures.items():
        write(f"BENCH {name} {statistics.median(seen):.4g} {unit}{f' goal {goal}' if goal else ''}\n")


class Measurement:
    """One database of homes; `figures` are (what was seen, unit, goal) by name."""

    def __init__(self) -> None:
        self.figures: dict[str, tuple[list[float], str, str]] = {}
        self.streams = make_streams(HOMES)
        self.dice = np.random.default_rng(20260101)
        let_live_power_be_kept()

    def run(self) -> dict[str, tuple[list[float], str, str]]:
        """All parts."""
        for turn in range(ROUNDS):
            self.live(turn)
            self.half_hourly(turn)
        self.weeks()
        self.load()
        self.pages()
        return self.figures

    def live(self, turn: int) -> None:
        """Ticks of every home: the whole path, plain COPY of the same rows, Django's bulk_create."""
        from metering import copying, live, partitions, rosters
        from metering.models import LivePower
        from metering.slots import POSTGRES_EPOCH, micros

        partitions.make_partitions(at=NOON)
        empty("metering_live", "metering_open_half_hour")
        power = self.dice.integers(0, 9_000, size=HOMES)
        ids = rosters.uuids(self.streams)
        began = NOON + timedelta(hours=turn, minutes=5)

        def whole_path() -> None:
            for tick in range(TICKS):
                at = began + timedelta(seconds=10 * tick)
                report = live.store_power(
                    source="cad",
                    at=at,
                    stream_ids=self.streams,
                    measured_at=np.full(HOMES, np.datetime64(at.replace(tzinfo=None), "us")),
                    power_w=power,
                )
                expect(report.rows_stored == HOMES, f"live: {report}")

        def plain_copy() -> None:
            from django.db import transaction

            for tick in range(TICKS):
                at = began + timedelta(minutes=10, seconds=10 * tick)
                with transaction.atomic():
                    copying.write_columns(
                        "metering_live",
                        {
                            "at": (copying.INT8, np.full(HOMES, int(micros([at])[0]) - POSTGRES_EPOCH)),
                            "stream_id": (copying.UUID16, ids),
                            "power_w": (copying.INT4, power),
                            "source_id": (copying.INT2, 1),
                        },
                        count=HOMES,
                    )

        def bulk_create() -> None:
            at = began + timedelta(minutes=20)
            LivePower.objects.bulk_create(
                [
                    LivePower(at=at + timedelta(seconds=n // HOMES), stream_id=self.streams[n % HOMES],
                              power_w=100, source_id=1)
                    for n in range(BULK_ROWS)
                ],
                batch_size=5_000,
            )  # fmt: skip

        # Once a half-hour a process notes each stream's half-hour, and asks for consents when any changed.
        before = began - timedelta(seconds=10)
        live.store_power(
            source="cad",
            at=before,
            stream_ids=self.streams,
            measured_at=np.full(HOMES, np.datetime64(before.replace(tzinfo=None), "us")),
            power_w=power,
        )
        self.beside("live", whole_path, plain_copy, bulk_create, rows=HOMES * TICKS)

    def half_hourly(self, turn: int) -> None:
        """Half-hours of every home as they close, one at a time and a day at a time."""
        from metering import ingest
        from metering.checking import Readings
        from metering.models import HalfHour, ImportRun
        from metering.revising import Decision, write
        from metering.slots import from_times

        empty("metering_half_hour", "metering_packed", "metering_superseded")
        wh = self.dice.gamma(1.2, 220, size=(HOMES, 48)).astype(np.int64)
        first = np.datetime64("2025-12-30T00:00", "us")
        times = first + np.arange(48) * np.timedelta64(30, "m")
        run = ImportRun.objects.create(source="bench", name=f"yardstick {turn}", imported_at=AT)
        slots, _ = from_times(times)

        def offered(columns: slice, name: str) -> None:
            report = ingest.store_readings(
                source="cad",
                name=f"{name} {turn}",
                at=AT,
                stream_ids=self.streams,
                starts_at=times[columns],
                import_wh=wh[:, columns],
            )
            expect(report.rows_landed == wh[:, columns].size, f"half-hourly: {report}")

        def copied(columns: slice, source_id: int) -> None:
            from django.db import transaction

            some = slots[columns]
            nought = np.zeros(HOMES * len(some), dtype=np.int64)
            stream, slot = np.repeat(np.arange(HOMES), len(some)), np.tile(some, HOMES)
            rows = Readings(nought, stream, slot, wh[:, columns].ravel(), nought, nought, nought)
            with transaction.atomic():
                write(
                    rows,
                    Decision(np.ones(len(nought), dtype=bool), nought),
                    self.streams,
                    run_id=run.pk,
                    source_id=source_id,
                    at=AT,
                )

        def bulk_create() -> None:
            HalfHour.objects.bulk_create(
                [
                    HalfHour(
                        stream_id=self.streams[n % HOMES],
                        starts_at=AT + timedelta(minutes=30 * (n // HOMES)),
                        known_at=AT,
                        run=run,
                        source_id=30_001,
                        import_wh=n % 999,
                    )
                    for n in range(BULK_ROWS)
                ],
                batch_size=5_000,
            )

        self.beside(
            "half_hourly_day",
            lambda: offered(slice(4, 28), "day"),
            lambda: copied(slice(4, 28), 30_000),
            bulk_create,
            rows=HOMES * 24,
        )
        self.beside(
            "half_hourly_tick",
            lambda: [offered(slice(at, at + 1), f"tick {at}") for at in range(28, 32)],
            lambda: [copied(slice(at, at + 1), 30_000) for at in range(28, 32)],
            None,
            rows=HOMES * 4,
        )

    def beside(
        self,
        name: str,
        ours: Callable[[], object],
        plain: Callable[[], object],
        bulk: Callable[[], object] | None,
        *,
        rows: int,
    ) -> None:
        """Rows a second of each, in turn, and the two ratios."""
        own = rows / seconds(ours)
        copied = rows / seconds(plain)
        self.note(f"{name}_rows_per_second", own, "rows/s")
        self.note(f"{name}_plain_copy_rows_per_second", copied, "rows/s")
        self.note(f"{name}_share_of_plain_copy", 100 * own / copied, "%", "50")
        if bulk is not None:
            created = BULK_ROWS / seconds(bulk)
            self.note(f"{name}_bulk_create_rows_per_second", created, "rows/s")
            self.note(f"{name}_times_bulk_create", own / created, "x", "10")

    def weeks(self) -> None:
        """Closed days of every home, packed by the store's own writer; bytes a reading on disk by kind."""
        from django.db import connection, transaction

        from metering import packing, sources
        from metering.held import Held
        from metering.slots import civil_day_slots, timestamp, timestamps

        empty("metering_half_hour", "metering_packed", "metering_superseded")
        source = {code: sources.source_id(code) for code in ("n3rgy_csv", "lcl_csv", "cad")}
        days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
        first, count = civil_day_slots(days)
        slots = np.arange(first[0], first[-1] + count[-1])
        began = time.perf_counter()
        sizes: dict[str, tuple[int, int]] = {}
        kinds = ["n3rgy_csv", "n3rgy_csv", "lcl_csv", "cad"]
        order = sorted(range(HOMES), key=lambda number: kinds[number % 4])
        for start in range(0, HOMES, STREAMS_A_WRITE):
            some = order[start : start + STREAMS_A_WRITE]
            shape = (len(some), len(slots))
            wh = np.minimum(self.dice.gamma(1.2, 220, size=shape).astype(np.int64), 11_000)
            export = np.where((np.array(some) % 5 == 0)[:, None], self.dice.integers(0, 900, size=shape), 0)
            estimated = (np.array(some) % 4 == 1)[:, None] & (self.dice.random(shape) < 0.01)
            kind = np.array([kinds[number % 4] for number in some])
            ended = timestamps(slots + 1)
            by_day = ended // DAY_US * DAY_US + DAY_US + 6 * 3_600_000_000
            told = {"n3rgy_csv": by_day, "cad": ended + 180_000_000}
            known_at = np.empty(shape, dtype=np.int64)
            run_id = np.empty(shape, dtype=np.int64)
            for code in set(kind):
                rows = kind == code
                known_at[rows] = told.get(code, np.full(len(slots), timestamp(AT)))
                run_id[rows] = 1 + (known_at[rows] - known_at[rows][0, 0]) // 1_800_000_000 * 3
            held = Held(
                stream=np.repeat(np.arange(len(some)), len(slots)),
                slot=np.tile(slots, len(some)),
                import_wh=wh.ravel(),
                export_wh=export.ravel(),
                quality=estimated.astype(np.int64).ravel(),
                source_id=np.repeat([source[code] for code in kind], len(slots)),
                revision=np.zeros(wh.size, dtype=np.int64),
                known_at=known_at.ravel(),
                run_id=run_id.ravel(),
            )
            with transaction.atomic():
                packing.write_weeks(held, [self.streams[number] for number in some])
        size = HOMES * len(slots)
        self.note("pack_values_per_second", size / (time.perf_counter() - began), "values/s")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE metering_packed")
            cursor.execute("SELECT pg_total_relation_size('metering_packed')")
            (total,) = cursor.fetchone()
            cursor.execute(
                "SELECT source.code, avg(pg_column_size(held.*) + 4), count(*) FROM metering_packed AS held"
                " JOIN metering_source AS source ON source.id = source_id GROUP BY source.code"
            )
            for code, row_bytes, rows in cursor.fetchall():
                sizes[code] = (float(row_bytes), rows)
        self.note("bytes_a_reading_on_disk", total / size, "B", "4")
        for code, (row_bytes, rows) in sorted(sizes.items()):
            share = {"n3rgy_csv": 2, "lcl_csv": 1, "cad": 1}[code] / 4
            self.note(f"row_bytes_a_reading_{code}", row_bytes * rows / (size * share), "B")
        self.days, self.size = days, size

    def load(self) -> None:
        """The whole fleet from table to array; then the same with today's rows not packed yet."""
        from metering import ingest, store

        before = peak_megabytes()
        for _ in range(ROUNDS):
            began, cpu = time.perf_counter(), time.process_time()
            cube = store.day_cube(self.streams, self.days)
            self.note("load_fleet_seconds", time.perf_counter() - began, "s", "1")
            self.note("load_fleet_client_cpu_seconds", time.process_time() - cpu, "s")
            expect(int(cube.present.sum()) == self.size, "the cube lost readings")
            expect(int(cube.wh.sum()) > 0, "the cube is empty")
            del cube
        self.note("load_fleet_peak_memory", peak_megabytes(), "MB", "1000")
        self.note("load_fleet_memory_before", before, "MB")
        began = time.perf_counter()
        store.day_cube(self.streams, self.days, known_at=AT + timedelta(days=1))
        self.note("load_fleet_as_known_seconds", time.perf_counter() - began, "s")
        times = np.datetime64(self.days[-1].isoformat(), "us") + np.arange(46, 62) * np.timedelta64(30, "m")
        ingest.store_readings(
            source="n3rgy_csv",
            name="today",
            at=AT,
            stream_ids=self.streams,
            starts_at=times[4:],
            import_wh=np.full((HOMES, len(times) - 4), 7),
        )
        self.settle()
        days = [*self.days[1:], self.days[-1] + timedelta(days=1)]
        for _ in range(ROUNDS):
            began = time.perf_counter()
            store.day_cube(self.streams, days)
            self.note("load_fleet_with_rows_of_today_seconds", time.perf_counter() - began, "s")
        began = time.perf_counter()
        store.day_cube(self.streams[:100], self.days)
        self.note("load_100_homes_milliseconds", 1_000 * (time.perf_counter() - began), "ms")

    def settle(self) -> None:
        """What autovacuum does a minute later."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE metering_half_hour")

    def pages(self) -> None:
        """Pages of one home with DAYS_SHOWN days, among all, signed in, through the whole of Django."""
        from django.test import Client
        from django.urls import reverse

        from members.models import Member, MeterStream, User
        from opendsr.kernel import clock, installation

        clock.configure(
            datetime.combine(self.days[-1], datetime.min.time(), UTC) + timedelta(days=2), speed=0
        )
        installation.found(coop_name="Benchbury Energy Co-op", is_demo=False, at=JOINED_AT)
        stream = MeterStream.objects.select_related("occupancy").get(stream_id=self.streams[HOMES // 2])
        user = User.objects.create_user("bench@example.org", "a long enough password")
        Member.objects.filter(household=stream.occupancy.household_id).update(user=user)
        self.tell_past(stream.stream_id)
        first_day = min(self.days[0], self.days[-1] - timedelta(days=DAYS_SHOWN))
        put_rates(first_day, (self.days[-1] - first_day).days + 1)
        browser = Client()
        browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        for name, address in (
            ("page_usage_day", reverse("home")),
            ("page_usage_week", reverse("usage") + "?view=week"),
            ("page_usage_half_hours", reverse("usage") + "?view=halves"),
            ("page_usage_year", reverse("usage") + "?view=year"),
        ):
            seen = []
            for _ in range(PAGES):
                began = time.perf_counter()
                answer = browser.get(address, headers={"host": "localhost"})
                seen.append(1_000 * (time.perf_counter() - began))
                expect(answer.status_code == 200, f"{name}: {answer.status_code}")
            self.note(f"{name}_median", statistics.median(seen[1:]), "ms")
            self.note(f"{name}_p95", sorted(seen[1:])[round(0.95 * len(seen)) - 2], "ms", "100")
        self.feeds(stream.occupancy_id)

    def tell_past(self, stream_id: object) -> None:
        """Readings of the one home back to DAYS_SHOWN days, as a supplier's file would bring them."""
        from metering import ingest, packing
        from opendsr.kernel.periods import period_starts

        days = [self.days[-1] - timedelta(days=back) for back in range(len(self.days), DAYS_SHOWN)]
        starts = [start for day in days for start in period_starts(day)]
        told = ingest.store_readings(
            source="n3rgy_csv",
            name="the past",
            at=AT,
            stream_ids=[stream_id] * len(starts),
            starts_at=starts,
            import_wh=np.full(len(starts), 250),
        )
        expect(told.rows_landed == len(starts), f"the past: {told}")
        packing.pack_closed(at=AT)

    def feeds(self, occupancy_id: object) -> None:
        """`/feed/data` of a year by day, through the emoncms door with a device's key."""
        from django.test import Client

        from members.models import Occupancy
        from metering import emoncms

        home = Occupancy.objects.select_related("home").get(pk=occupancy_id).home
        _, secret = emoncms.issue_key(home=home, name="bench", at=AT)
        browser, host = Client(), {"host": "localhost", "authorization": f"Bearer {secret}"}
        feed = browser.get("/feed/list.json", headers=host).json()[0]["id"]
        end = int(datetime.combine(self.days[-1], datetime.min.time(), UTC).timestamp())
        asked = {"id": feed, "start": end - 365 * 86_400, "end": end, "interval": "daily", "delta": 1}
        seen = []
        for _ in range(PAGES):
            began = time.perf_counter()
            answer = browser.get("/feed/data.json", asked, headers=host)
            seen.append(1_000 * (time.perf_counter() - began))
            expect(answer.status_code == 200 and len(answer.json()) > 300, f"feed: {answer.content[:200]!r}")
        self.note("feed_data_year_daily_median", statistics.median(seen[1:]), "ms")
        self.note("feed_data_year_daily_p95", sorted(seen[1:])[round(0.95 * len(seen)) - 2], "ms", "100")

    def note(self, name: str, value: float, unit: str, goal: str = "") -> None:
        """Keep a figure."""
        self.figures.setdefault(name, ([], unit, goal))[0].append(value)


def put_rates(first_day: date, days: int) -> None:
    """A price and a carbon intensity for every half-hour, for the pages to show."""
    from metering.models import HalfHourlyRate

    start = datetime.combine(first_day, datetime.min.time(), UTC)
    HalfHourlyRate.objects.bulk_create(
        HalfHourlyRate(
            kind=kind,
            starts_at=start + timedelta(minutes=30 * number),
            value=value,
            source="bench",
            known_at=NOON,
        )
        for kind, value in (("import_price", 21), ("carbon", 150))
        for number in range(48 * days)
    )


def let_live_power_be_kept() -> None:
    """Every household consents to live readings as well."""
    from members import consenting
    from members.models import Consent, Granularity, Purpose

    text = consenting.publish_text(purpose=Purpose.ADVICE, body="Words for a benchmark", at=JOINED_AT)
    Consent.objects.bulk_create(
        Consent(
            occupancy_id=consent.occupancy_id,
            member_id=consent.member_id,
            text=text,
            purpose=Purpose.ADVICE,
            granularity=Granularity.LIVE,
            channel="paper",
            starts_at=JOINED_AT,
        )
        for consent in Consent.objects.filter(purpose=Purpose.SETTLEMENT)
    )


def empty(*tables: str) -> None:
    """Forget what the tables hold."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)}")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, on the wall."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_megabytes() -> float:
    """The most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
