"""A settlement round of 10,000 homes and 30 events, from stored readings to the posted ledger.

Run it as `python benchmarks/settlement_rounds.py` (BENCH_HOMES, BENCH_EVENTS scale it). It makes a scratch
database, loads generated half-hours, which is not timed, then computes and approves one final round, shows
one statement and writes some statement files. Beside it, in the same run: the ledger's postings by COPY with
its deferred balance constraint, against the same tables, foreign keys and checks without it, and against
django-hordak where its environment is there (`.venv-bench`).
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import settle_1000_homes as single
from benchmarks.import_rows import make_streams, scratch_database

HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "30"))
TURNS = int(os.environ.get("BENCH_ROUNDS", "3"))
FILES = int(os.environ.get("BENCH_FILES", "250"))
BENCH_PYTHON = Path(__file__).resolve().parent.parent / ".venv-bench" / "bin" / "python"
AT = single.AT


@dataclass
class Figures:
    """Wall and CPU seconds by name; CPU is this process's, the database's own work comes on top."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long the block took."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall.setdefault(name, []).append(time.perf_counter() - wall)
        self.cpu.setdefault(name, []).append(time.process_time() - cpu)


def main() -> None:
    """Measure and print a table, then a line a figure for scripts."""
    figures = Figures()
    with scratch_database():
        counts = measure_round(figures)
        ratio = measure_ledger(figures)
    hordak = measure_hordak()
    write = sys.stdout.write
    write(f"{HOMES} homes x {EVENTS} events of {single.HALF_HOURS} half-hours; {counts}\n")
    write(f"{'':40}{'wall s':>10}{'CPU s':>10}\n")
    for name in figures.wall:
        write(f"{name:40}{statistics.median(figures.wall[name]):10.3f}")
        write(f"{statistics.median(figures.cpu[name]):10.3f}\n")
    goal = 10 * HOMES * EVENTS / 300_000
    total = figures.wall["compute"][0] + figures.wall["approve"][0]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write(f"BENCH settlement_round_seconds {total:.2f} s goal {goal:g}\n")
    cpu = figures.cpu["compute"][0] + figures.cpu["approve"][0]
    write(f"BENCH settlement_round_cpu_seconds {cpu:.2f} s\n")
    write(f"BENCH settlement_round_imbalance {counts['imbalance_mp']} mp goal 0\n")
    write(f"BENCH settlement_round_peak_memory {peak_mb:.0f} MB goal 2000\n")
    page = 1000 * statistics.median(figures.wall["statement page"])
    write(f"BENCH settlement_statement_page_ms {page:.0f} ms goal 200\n")
    each = 1000 * figures.wall["statement files"][0] / max(counts["files"], 1)
    write(f"BENCH settlement_statement_file_ms {each:.1f} ms\n")
    write(f"BENCH settlement_ledger_share_of_copy {100 * ratio:.0f} % goal 70\n")
    if hordak is None:
        write("django-hordak: .venv-bench has no django-hordak (make bench-settlement installs it)\n")
    else:
        ours = counts["postings_per_second"]
        write(f"BENCH settlement_ledger_postings_per_second {ours:.0f} /s\n")
        write(f"BENCH hordak_legs_per_second {hordak:.0f} /s\n")


def measure_round(figures: Figures) -> dict[str, float]:
    """Load, compute, approve, show."""
    from django.db import connection

    from members.models import User
    from settlement import ledger, rounds, statement_csv, statement_json, statements, terms
    from settlement.models import Posting, Statement

    streams = make_streams(HOMES)
    load_readings(streams)
    published = terms.publish_terms(
        name="Benchmark",
        baseline_rule="dfs_2023_domestic",
        utilisation_pence_per_kwh=Decimal(300),
        coop_share_pct=Decimal(35),
        at=AT,
    )
    assets = single.make_assets()
    campaigns = [single.make_campaign(assets, day, published.pk) for day in event_days()]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    fay, ada = (User.objects.create_user(f"{name}@example.org") for name in ("fay", "ada"))
    round = rounds.propose_round(
        programme_code="benchmark",
        kind="final",
        campaign_ids=[campaign.pk for campaign in campaigns],
        at=AT,
        by=fay,
        is_forced=True,
    )
    with figures.timed("compute"):
        progress = rounds.compute_round(round_id=round.pk, at=AT)
    single.require(progress.done == EVENTS, f"not computed: {progress}")
    with figures.timed("approve"):
        done = rounds.approve_round(round_id=round.pk, at=AT, by=ada)
    single.require(done.statements == HOMES, "a statement is missing")
    found = Statement.objects.select_related("round__programme", "member", "occupancy__home")
    page = render_page()
    for statement in found.order_by("pk")[: 2 * TURNS + 1]:
        with figures.timed("statement page"):
            page(statement)
    some = list(found.order_by("occupancy_id")[:FILES])
    with figures.timed("statement files"):
        for view in statements.statement_views(some):
            statement_json.render(view)
            statement_csv.render(view)
    postings = Posting.objects.filter(entry=done.entry).count()
    return {
        "postings": postings,
        "files": len(some),
        "imbalance_mp": ledger.trial_balance().total_mp,
        "postings_per_second": 0.0,
    }


def render_page() -> Callable[[object], str]:
    """The statement's page as the site answers it, without the HTTP around it."""
    from django.contrib.auth.models import AnonymousUser
    from django.template.loader import render_to_string
    from django.test import RequestFactory

    from opendsr.web import statement_page
    from settlement import statements

    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    def render(statement: object) -> str:
        page = statement_page.in_words(statements.statement_view(statement))  # type: ignore[arg-type]
        return render_to_string("settlement/statement.html", {"statement": page}, request=request)

    return render


def event_days() -> list[date]:
    """Weekdays up to the last day loaded, an event on each."""
    day, found = single.LATEST_DAY, []
    while len(found) < EVENTS:
        if day.weekday() < 5:
            found.append(day)
        day -= timedelta(days=1)
    return sorted(found)


def load_readings(streams: list) -> None:
    """The readings of all homes, a thousand homes a batch."""
    for start in range(0, len(streams), 1000):
        single.load_readings(streams[start : start + 1000])


def measure_ledger(figures: Figures) -> float:
    """Entries of 10,000 members: COPY with the deferred constraint against COPY without; ratio of rates."""
    from django.db import connection, transaction

    from opendsr.kernel.ids import new_uuid
    from settlement import ledger
    from settlement.models import Account

    homes = min(HOMES, 10_000)
    accounts = list(Account.objects.filter(kind="household").values_list("pk", flat=True)[:homes])
    coop = ledger.coop_account(at=AT).pk

    def legs() -> dict:
        found = {(account, component): 100 + place for place, account in enumerate(accounts) for component in
                 ("energy", "availability")}  # fmt: skip
        found[coop, "coop"] = -sum(found.values())
        return found

    def run(name: str) -> None:
        made = legs()
        with figures.timed(name):
            ledger.post_legs(key=f"bench:{new_uuid()}", memo="benchmark", legs=made, at=AT)

    def switch(on: bool) -> None:
        verb = "ENABLE" if on else "DISABLE"
        with transaction.atomic(), connection.cursor() as cursor:
            for table, trigger in (
                ("settlement_entry", "settlement_entry_queue"),
                ("settlement_posting", "settlement_posting_queue"),
            ):
                cursor.execute(f"ALTER TABLE money.{table} {verb} TRIGGER {trigger}")

    for _ in range(max(TURNS, 5)):
        run("ledger with balance proof")
        switch(on=False)
        run("ledger without balance proof")
        switch(on=True)
    return statistics.median(figures.wall["ledger without balance proof"]) / statistics.median(
        figures.wall["ledger with balance proof"]
    )


def measure_hordak() -> float | None:
    """Legs a second of django-hordak for as many transactions; None without its environment."""
    script = Path(__file__).with_name("_hordak.py")
    if not BENCH_PYTHON.exists() or not os.environ.get("DATABASE_URL", ""):
        return None
    done = subprocess.run(
        [str(BENCH_PYTHON), str(script), str(min(HOMES, 2000))], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stdout.write(done.stderr[-500:])
        return None
    return float(json.loads(done.stdout)["legs_per_second"])


if __name__ == "__main__":
    main()
