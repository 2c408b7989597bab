"""Every VEN comes back within a second; and how few polls need a new TLS handshake, over a proxy's restart.

Run it as `python benchmarks/vtn_storm.py [--vens 10000]`. Real hubs of `hems.fleet`, each with its own
certificate, through nginx and the listener of the production shape.

1. The storm: registered hubs, no TLS session among them, connect over one second and poll. Who was served,
   and when the last was, is read from `last_seen` in the database; whatever was refused has to be 503 with
   Retry-After. Server and fleet share the machine: their CPU is told apart.
2. The same with hubs that register, offer a report and ask for their events first (`--joining` of them).
3. Resumption: polls at `--poll-seconds`, a fifth of the hubs hanging up now and then, nginx restarted
   half-way.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _vtn_world as w

SERVED_WITHIN_SECONDS = 60
KEPT_OR_RESUMED_PERCENT = 95
NUMBERS, WHO = re.compile(r"\*?\d+"), re.compile(r", client: |, server: ")


def main() -> None:
    """Measure all three, then print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vens", type=int, default=10_000)
    parser.add_argument("--joining", type=int, default=2_000)
    parser.add_argument("--poll-seconds", type=float, default=8.0)
    parts = ["storm", "join", "resume"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    options = parser.parse_args()
    write = sys.stdout.write
    with w.world(options.vens) as made, ExitStack() as stack:
        server = stack.enter_context(w.production(made, vens=options.vens, workers=1))
        if server is None:
            raise SystemExit("nginx is not installed")
        if "storm" in options.parts:
            counts, served, last = storm(made, server, homes=options.vens, is_registered=True)
            told("storm", counts, served, last, homes=options.vens, write=write)
            complained(server.log, write=write)
        if "join" in options.parts:
            homes = min(options.joining, options.vens)
            counts, served, last = storm(made, server, homes=homes, is_registered=False)
            told("join", counts, served, last, homes=homes, write=write)
            complained(server.log, write=write)
        if "resume" in options.parts:
            counts = resume(made, server, stack, options)
            polls, handshakes = counts.get("polls", 0), counts.get("handshakes", 0)
            share = 100 * (1 - handshakes / max(polls, 1))
            write(f"resume: {polls} polls, {counts.get('resumed', 0)} resumed, {handshakes} new handshakes\n")
            write(f"BENCH vtn_storm_kept_or_resumed {share:.1f} percent goal {KEPT_OR_RESUMED_PERCENT}\n")


def storm(
    made: w.World, server: Any, *, homes: int, is_registered: bool
) -> tuple[dict[str, int], int, float]:
    """Have so many hubs connect over one second; return the fleet's counts, who was served, and the last."""
    from django.db.models import Max, Min

    from vtn.models import Ven

    Ven.objects.update(last_seen_wall_at=None)
    began = datetime.now(UTC)
    words = ["--vtn", server.url, "--poll-seconds", "600", "--ramp-seconds", "1", "--override", "0"]
    words += ["--seconds", str(SERVED_WITHIN_SECONDS + 15)]
    command = [sys.executable, "-m", "hems.fleet", "--json", "--dir", str(made.fleet), "--homes", str(homes)]
    command += [*(["--registered"] if is_registered else []), *words]
    before = spent(server)
    process = subprocess.Popen(command, cwd=w.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    figures = w.figures_of(process)
    parts = {name: round(seconds - before[name], 1) for name, seconds in spent(server).items()}
    counts = {**figures["counts"], **parts, "fleet_cpu_s": round(figures["cpu_seconds"], 1)}
    time.sleep(12)  # what the listener saw is written down every ten seconds
    seen = Ven.objects.filter(last_seen_wall_at__gte=began)
    times = seen.aggregate(first=Min("last_seen_wall_at"), last=Max("last_seen_wall_at"))
    lasting = (times["last"] - times["first"]).total_seconds() if times["last"] else float("inf")
    return counts, seen.count(), lasting


def spent(server: Any) -> dict[str, float]:
    """Return the CPU that each part of the server has taken so far."""
    front, behind = server.pids
    return {
        "nginx_cpu_s": w.cpu_seconds([front]),
        "listener_cpu_s": w.cpu_seconds([behind]),
        "postgresql_cpu_s": w.database_cpu_seconds(),
    }


def told(name: str, counts: dict[str, int], served: int, last: float, *, homes: int, write: Any) -> None:
    """Print one storm's figures."""
    refused = sum(
        number for what, number in counts.items() if what.startswith("http_") and what != "http_503"
    )
    write(f"{name}: {homes} hubs, " + ", ".join(f"{what} {n}" for what, n in sorted(counts.items())) + "\n")
    write(f"BENCH vtn_storm_{name}_served_last {last:.1f} s goal {SERVED_WITHIN_SECONDS}\n")
    write(f"BENCH vtn_storm_{name}_not_served {homes - served} VENs goal 0\n")
    write(f"BENCH vtn_storm_{name}_told_503 {counts.get('http_503', 0)} answers\n")
    write(f"BENCH vtn_storm_{name}_refused_otherwise {refused} answers goal 0\n")


def complained(log: Path | None, *, write: Any) -> None:
    """Print what nginx has logged, alike lines together: where a hub that was not served got stuck."""
    if log is None:
        return
    kinds = Counter(
        NUMBERS.sub("N", WHO.split(line.split(": ", 1)[-1], maxsplit=1)[0])
        for line in log.read_text().splitlines()
    )
    for kind, number in kinds.most_common(10):
        write(f"  nginx said {number} times: {kind}\n")


def resume(made: w.World, server: Any, stack: ExitStack, options: argparse.Namespace) -> dict[str, int]:
    """Poll over a restart of nginx; return the counts after everybody has connected once."""
    ramp = max(options.poll_seconds, options.vens / 200)
    warm = ramp + 2 * options.poll_seconds
    lasting = 6 * options.poll_seconds
    words = ["--vtn", server.url, "--poll-seconds", str(options.poll_seconds), "--ramp-seconds", str(ramp)]
    words += [
        "--warm-seconds",
        str(warm),
        "--seconds",
        str(warm + lasting),
        "--offline",
        "0.2",
        "--override",
        "0",
    ]
    process = w.fleet(made, *words, homes=options.vens)
    time.sleep(warm + lasting / 2)
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    os.kill(server.pids[0], signal.SIGTERM)
    while w.answers(port):
        time.sleep(0.05)
    log = made.folder / "nginx-again.log"
    stack.enter_context(w.running(server.front, ready=lambda: w.answers(port), log=log))
    return dict(w.figures_of(process)["counts"])


if __name__ == "__main__":
    main()
