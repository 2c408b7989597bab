"""CPU milliseconds an idle poll, polls a second, p95, over kept mutual TLS, beside openleadr's own VTN.

Run it as `python benchmarks/vtn_poll.py [--vens 10000] [--connections 64] [--seconds 5] [--rounds 3]`. The
servers take turns in each round on the same load: hubs of `hems.fleet` that poll without a pause over one
kept connection each, every hub with a certificate of its own. CPU counts every process: for OpenDSR nginx,
gunicorn's master and worker, and all of PostgreSQL; for openleadr its one process (mutual TLS with
certificate fingerprints checked, XML signatures off, XSD validation on as it always is).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _vtn_world as w

GOALS = {"production": 5.0, "embedded": 1.0}


def main() -> None:
    """Measure, print a table, then a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vens", type=int, default=10_000, help="registered VENs")
    parser.add_argument("--connections", type=int, default=64, help="VENs that poll at once")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with w.world(options.vens) as made, ExitStack() as stack:
        servers = [stack.enter_context(w.embedded(made))]
        production = stack.enter_context(w.production(made, vens=options.connections))
        peer = stack.enter_context(w.openleadr(made))
        servers += [server for server in (production, peer) if server is not None]
        seen: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                seen[server.name].append(measure(made, server, options))
    tell(seen, options)


def measure(made: w.World, server: w.Server, options: argparse.Namespace) -> dict[str, float]:
    """Let the hubs poll for a while; their handshakes are over before the count begins."""
    process = w.fleet(
        made,
        *("--vtn", server.url, "--processes", "1", "--poll-seconds", "0", "--ramp-seconds", "0.5"),
        *("--warm-seconds", "2", "--seconds", str(options.seconds)),
        homes=options.connections,
    )
    w.wait_for_word(process, "warm")
    before = [w.cpu_seconds([pid]) for pid in server.pids]
    database = w.database_cpu_seconds() if server.has_database else 0.0
    w.wait_for_word(process, "over")
    parts = [w.cpu_seconds([pid]) - spent for pid, spent in zip(server.pids, before, strict=True)]
    if server.has_database:
        parts.append(w.database_cpu_seconds() - database)
    figures = w.figures_of(process)
    counts = figures["counts"]
    polls = counts.get("polls", 0)
    bad = sum(count for name, count in counts.items() if name.startswith(("http_", "no_contact", "poll_err")))
    if not polls or bad > polls / 100:
        raise SystemExit(f"{server.name}: polls failed: {counts}")
    return {
        "cpu_ms": 1000 * sum(parts) / polls,
        "polls_per_second": polls / figures["seconds"],
        "p95_ms": figures["poll_ms"]["p95"],
        "memory_mib": w.memory_mib(server.pids),
        **{f"part_{number}": 1000 * part / polls for number, part in enumerate(parts)},
    }


def tell(seen: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    write = sys.stdout.write
    write(
        f"{options.vens} registered VENs, {options.connections} polling over kept mutual TLS 1.3,"
        f" {options.seconds:g} s a turn, {options.rounds} rounds; one worker each\n"
    )
    head = f"{'':12}{'CPU ms a poll least/median/most':>34}{'polls/s':>10}{'p95 ms':>9}{'MiB':>7}"
    write(f"{head}   CPU ms by process (nginx, listener, PostgreSQL)\n")
    middle: dict[str, dict[str, float]] = {}
    for name, rounds in seen.items():
        middle[name] = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        costs = [each["cpu_ms"] for each in rounds]
        spread = f"{min(costs):.4f} / {middle[name]['cpu_ms']:.4f} / {max(costs):.4f}"
        rest = middle[name]
        write(
            f"{name:12}{spread:>34}{rest['polls_per_second']:10,.0f}{rest['p95_ms']:9.1f}"
            f"{rest['memory_mib']:7.0f}   "
            + " + ".join(f"{rest[key]:.4f}" for key in sorted(rest) if key.startswith("part_"))
            + "\n"
        )
    for name, rest in middle.items():
        write(f"BENCH vtn_poll_{name}_cpu_ms {rest['cpu_ms']:.4f} ms\n")
        write(f"BENCH vtn_poll_{name}_per_second {rest['polls_per_second']:.0f} polls/s\n")
        write(f"BENCH vtn_poll_{name}_p95_ms {rest['p95_ms']:.1f} ms\n")
    if "openleadr" in middle:
        for name, goal in GOALS.items():
            if name in middle:
                times = middle["openleadr"]["cpu_ms"] / middle[name]["cpu_ms"]
                write(f"BENCH vtn_poll_{name}_times_openleadr {times:.2f} x goal {goal:g}\n")


if __name__ == "__main__":
    main()
