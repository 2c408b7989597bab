"""A settlement round of 10,000 homes and 30 events, from stored readings to the posted ledger.

Run it as `python benchmarks/settlement_rounds.py`; BENCH_HOMES=200 BENCH_EVENTS=3 makes a smoke test of it.
In a scratch database it loads generated half-hours and packs the closed days as the nightly task does, which
is not timed, computes and approves one final round, shows some statements and writes the files of all of them
by the job in the background, in BENCH_WORKERS processes (0 leaves them out). Before that the same round is
computed by every other preset that readings alone can answer (BENCH_RULES names fewer) and withdrawn.
Beside it, in the same run: the ledger's postings, proved to balance, against a bare COPY into a table with
the same foreign keys, checks and indexes and no proof; and against django-hordak in a database of its own,
where its environment is there (`.venv-bench`).
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
from typing import TYPE_CHECKING
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import settle_1000_homes as single
from benchmarks.import_rows import empty_database, make_streams, scratch_database

if TYPE_CHECKING:
    from members.models import User
    from settlement.models import SettlementRound, SettlementTerms

HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "30"))
TURNS = int(os.environ.get("BENCH_ROUNDS", "3"))
RULE = "dfs_2023_domestic"
RULES = [name for name in os.environ.get("BENCH_RULES", "all").split(",") if name]
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
BENCH_PYTHON = Path(__file__).resolve().parent.parent / ".venv-bench" / "bin" / "python"
HORDAK = Path(__file__).with_name("_hordak.py")
# Its balance trigger sums a whole transaction once for each leg, so the peer is measured with fewer members.
PEERS = min(HOMES, 2000)
BEGAN = time.perf_counter()
BARE = """
    CREATE TABLE money.bench_posting (LIKE money.settlement_posting INCLUDING ALL);
    ALTER TABLE money.bench_posting
        ADD FOREIGN KEY (entry_id) REFERENCES money.settlement_entry (id) DEFERRABLE INITIALLY DEFERRED,
        ADD FOREIGN KEY (account_id) REFERENCES money.settlement_account (id) DEFERRABLE INITIALLY DEFERRED
"""
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
    figures, by_rule = Figures(), Figures()
    with scratch_database():
        counts = measure_round(figures, by_rule)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        measure_ledger(figures)
        ours, hordak = measure_beside_hordak()
    write = sys.stdout.write
    write(
        f"{HOMES} homes x {EVENTS} events of {single.HALF_HOURS} half-hours, {counts['postings']} postings\n"
    )
    write(f"{'':40}{'wall s':>10}{'CPU s':>10}\n")
    for name in figures.wall:
        write(f"{name:40}{statistics.median(figures.wall[name]):10.3f}")
        write(f"{statistics.median(figures.cpu[name]):10.3f}\n")
    goal = 10 * HOMES * EVENTS / 300_000
    total = figures.wall["compute"][0] + figures.wall["approve"][0]
    write(f"BENCH settlement_round_seconds {total:.2f} s goal {goal:g}\n")
    cpu = figures.cpu["compute"][0] + figures.cpu["approve"][0]
    write(f"BENCH settlement_round_cpu_seconds {cpu:.2f} s\n")
    for name in by_rule.wall:
        rule_total = by_rule.wall[name][0] + figures.wall["approve"][0]
        write(f"BENCH settlement_round_{name}_seconds {rule_total:.2f} s goal {goal:g}\n")
    write(f"BENCH settlement_round_imbalance {counts['imbalance_mp']} mp goal 0\n")
    write(f"BENCH settlement_round_peak_memory {peak_mb:.0f} MB goal 2000\n")
    page = 1000 * statistics.median(figures.wall["statement page"])
    write(f"BENCH settlement_statement_page_ms {page:.0f} ms goal 200\n")
    if counts["files"]:
        took = figures.wall["statement files"][0]
        write(f"BENCH settlement_statement_files_seconds {took:.0f} s\n")
        write(f"BENCH settlement_statement_files_ms_each {1000 * took / counts['files']:.1f} ms\n")
        write(f"BENCH settlement_statement_files_zip {counts['zip_mb']} MB\n")
        write(f"BENCH settlement_statement_files_worker_memory {counts['worker_mb']} MB\n")
    ratio = statistics.median(figures.wall["bare COPY, no proof"]) / statistics.median(
        figures.wall["ledger with balance proof"]
    )
    write(f"BENCH settlement_ledger_share_of_copy {100 * ratio:.0f} % goal 70\n")
    for name, rate in ours.items():
        write(f"BENCH settlement_ledger_{name}_legs_per_second {rate:.0f} /s\n")
    for name, rate in hordak.items():
        write(f"BENCH hordak_{name}_legs_per_second {rate:.0f} /s\n")
        write(f"BENCH settlement_ledger_{name}_over_hordak {ours[name] / rate:.1f} times\n")
    if not hordak:
        write("django-hordak not measured: `make bench-settlement` sets its environment up\n")


def tell(words: str) -> None:
    """A line of progress, with the seconds since the start."""
    sys.stderr.write(f"{time.perf_counter() - BEGAN:6.0f} s  {words}\n")
    sys.stderr.flush()


def measure_round(figures: Figures, by_rule: Figures) -> dict[str, int]:
    """Load, compute, approve, show; `by_rule` is the computing by other presets."""
    from django.db import connection

    from members.models import User
    from settlement import ledger, rounds
    from settlement.models import Posting, Statement

    streams = make_streams(HOMES)
    load_readings(streams)
    tell(f"making {EVENTS} campaigns")
    published = publish(RULE)
    assets = single.make_assets()
    campaigns = [single.make_campaign(assets, day, published.pk) for day in event_days()]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    fay, ada = (User.objects.create_user(f"{name}@example.org") for name in ("fay", "ada"))
    for name in other_rules():
        tell(f"computing the round by {name}")
        compute_by(name, [campaign.pk for campaign in campaigns], by=fay, figures=by_rule)
    round = propose([campaign.pk for campaign in campaigns], by=fay)
    tell("computing the round")
    with figures.timed("compute"):
        progress = rounds.compute_round(round_id=round.pk, at=AT)
    single.require(progress.done == EVENTS, f"not computed: {progress}")
    tell("approving and posting it")
    with figures.timed("approve"):
        done = rounds.approve_round(round_id=round.pk, at=AT, by=ada)
    single.require(done.statements == HOMES, "a statement is missing")
    found = Statement.objects.select_related("round__programme", "member", "occupancy__home")
    page = render_page()
    for statement in found.order_by("pk")[: 2 * TURNS + 1]:
        with figures.timed("statement page"):
            page(statement)
    postings = Posting.objects.filter(entry=done.entry).count()
    return {
        "postings": postings,
        "imbalance_mp": ledger.trial_balance().total_mp,
        **(write_files(figures, round.pk, ada) if WORKERS else {"files": 0}),
    }


def publish(rule: str) -> SettlementTerms:
    """Terms that measure by the rule."""
    from settlement import terms

    return terms.publish_terms(
        name=f"Benchmark, {rule}",
        baseline_rule=rule,
        utilisation_pence_per_kwh=Decimal(300),
        coop_share_pct=Decimal(35),
        at=AT,
    )


def propose(campaign_ids: list[UUID], *, by: User) -> SettlementRound:
    """A final round of the campaigns."""
    from settlement import rounds

    return rounds.propose_round(
        programme_code="benchmark",
        kind="final",
        campaign_ids=campaign_ids,
        at=AT,
        by=by,
        is_forced=True,
    )


def other_rules() -> list[str]:
    """Presets that need nothing but readings, without the one the posted round goes by."""
    from settlement.baselines.placebo import NEEDS_MORE
    from settlement.baselines.presets import PRESETS

    wanted = RULES if RULES != ["all"] else list(PRESETS)
    return [name for name in wanted if name != RULE and PRESETS[name].method not in NEEDS_MORE]


def compute_by(name: str, campaign_ids: list[UUID], *, by: User, figures: Figures) -> None:
    """Compute a round of the campaigns under terms of that rule, and withdraw it."""
    from campaigns.models import Programme
    from settlement import rounds

    programme = Programme.objects.filter(code="benchmark")
    before = programme.get().settlement_terms_id
    programme.update(settlement_terms_id=publish(name).pk)
    round = propose(campaign_ids, by=by)
    with figures.timed(name):
        progress = rounds.compute_round(round_id=round.pk, at=AT)
    single.require(progress.done == EVENTS, f"not computed by {name}: {progress}")
    rounds.withdraw_round(round_id=round.pk, at=AT, by=by)
    programme.update(settlement_terms_id=before)


def write_files(figures: Figures, round_id: UUID, by: User) -> dict[str, int]:
    """Every statement's HTML, CSV and JSON, as finance gets them: asked for, written by workers, one ZIP."""
    from opendsr.kernel import installation, outbox
    from settlement import statement_files

    installation.found(coop_name="Benchmark Co-op", is_demo=False, at=AT)
    tell("telling the campaigns what their homes delivered")
    with figures.timed("campaigns told"):
        outbox.drain()
    tell(f"writing the files of {HOMES} statements in {WORKERS} processes")
    with figures.timed("statement files"):
        statement_files.ask_files(round_id=round_id, at=AT, by=by)
        workers = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), "worker"], stdout=subprocess.PIPE, text=True
            )
            for _ in range(WORKERS)
        ]
        told = 0
        while any(worker.poll() is None for worker in workers):
            time.sleep(0.5)
            progress = statement_files.progress_of(round_id)
            if progress.done - told >= progress.of / 20:
                told = progress.done
                tell(f"{progress.done} of {progress.of}")
        size = sum(len(piece) for piece in statement_files.open_files(round_id=round_id, at=AT, by=by))
    progress = statement_files.progress_of(round_id)
    single.require(progress.is_over, f"the files are not all written: {progress}")
    worker_mb = max(int(worker.communicate()[0]) for worker in workers)
    return {"files": progress.of, "zip_mb": size // 2**20, "worker_mb": worker_mb}


def work() -> None:
    """What a worker of `write_files` does until there is no more to do; it says how much memory it took."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
    django.setup()
    from opendsr.kernel import outbox

    while outbox.sweep(queue="settlement"):
        pass
    # The kernel's ru_maxrss of a process begins with that of whoever started it; this one is its own.
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    sys.stdout.write(f"{int(peak.split()[1]) // 1024}\n")


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
    """The readings of all homes, a thousand homes a batch, each packed as the nightly task does."""
    from django.db import connection

    from metering import packing

    for start in range(0, len(streams), 1000):
        tell(f"loading the readings of homes {start} to {min(start + 1000, len(streams))}")
        single.load_readings(streams[start : start + 1000])
        packing.pack_closed(at=AT)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE metering_half_hour, metering_packed")


def measure_ledger(figures: Figures) -> None:
    """One entry with two legs a household: the ledger's own door, and the same rows by COPY without proof."""
    from django.db import connection

    from opendsr.kernel.ids import new_uuid
    from settlement import ledger
    from settlement.models import Account

    accounts = list(Account.objects.filter(kind="household").values_list("pk", flat=True)[:HOMES])
    coop = ledger.coop_account(at=AT).pk
    legs = {
        (account, component): 100 + place
        for place, account in enumerate(accounts)
        for component in ("energy", "availability")
    }
    legs[coop, "coop"] = -sum(legs.values())
    with connection.cursor() as cursor:
        cursor.execute(BARE)
    columns = "entry_id, account_id, component, amount_mp"
    for turn in range(max(TURNS, 5)):
        tell(f"ledger, turn {turn + 1}")
        with figures.timed("ledger with balance proof"):
            entry = ledger.post_legs(key=f"bench:{new_uuid()}", memo="benchmark", legs=legs, at=AT)
        if entry is None:
            raise SystemExit("The benchmark measured something else: the ledger posted nothing")
        rows = "".join(
            f"{entry.pk}\t{account}\t{component}\t{mp}\n" for (account, component), mp in sorted(legs.items())
        ).encode()
        with (
            figures.timed("bare COPY, no proof"),
            connection.cursor() as cursor,
            cursor.copy(f"COPY money.bench_posting ({columns}) FROM STDIN") as copy,
        ):
            copy.write(rows)


def measure_beside_hordak() -> tuple[dict[str, float], dict[str, float]]:
    """Legs a second of ours and django-hordak's, by one entry for all members and by one for each."""
    from django.db import transaction

    from opendsr.kernel.ids import new_uuid
    from settlement import ledger
    from settlement.models import Account

    members = list(Account.objects.filter(kind="household").values_list("pk", flat=True)[:PEERS])
    coop = ledger.coop_account(at=AT).pk
    pence = {member: 100 + place % 900 for place, member in enumerate(members)}

    def one_entry() -> None:
        amounts = {member: 1000 * amount for member, amount in pence.items()}
        amounts[coop] = -sum(amounts.values())
        ledger.post(key=f"bench:{new_uuid()}", memo="benchmark", amounts_mp=amounts, at=AT)

    def entry_each() -> None:
        with transaction.atomic():
            for member, amount in pence.items():
                amounts = {member: 1000 * amount, coop: -1000 * amount}
                ledger.post(key=f"bench:{new_uuid()}", memo="benchmark", amounts_mp=amounts, at=AT)

    tell(f"ledger of {len(members)} members, as django-hordak is measured")
    ours = {
        name: legs / statistics.median(seconds(work) for _ in range(TURNS))
        for name, work, legs in (
            ("one_entry", one_entry, len(members) + 1),
            ("entry_each", entry_each, 2 * len(members)),
        )
    }
    if not BENCH_PYTHON.exists():
        return ours, {}
    tell("django-hordak")
    with empty_database("hordak") as url:
        done = subprocess.run(
            [str(BENCH_PYTHON), str(HORDAK), str(len(members)), str(TURNS)],
            env={**os.environ, "DATABASE_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return ours, {}
    return ours, json.loads(done.stdout)


def seconds(work: Callable[[], None]) -> float:
    """How long the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    work() if sys.argv[1:] == ["worker"] else main()
