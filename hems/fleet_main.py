"""`python -m hems.fleet`: a fleet of virtual hubs against a VTN, and what became of it, as figures."""

from __future__ import annotations

import argparse
import gc
import json
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hems.errors import HubError
from hems.fleet_files import CA, identities_of, request_identities
from hems.fleet_life import Hub, Manners, Tally, listening, pulling
from hems.fleet_loop import Carrier, HttpCarrier, Loop

HOMES_A_PROCESS: Final = 5_000
SHARES = ("opt_out", "override", "offline", "slow_clock", "garbage")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 done, 2 something must be put right first (said on stderr)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "enrol":
            path = request_identities(options.dir, homes=options.homes)
            sys.stdout.write(f"{path}: have it signed with `manage.py vtn_enrol_fleet {options.dir}`\n")
            return 0
        return _play(options)
    except HubError as error:
        sys.stderr.write(f"hems.fleet: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hems.fleet", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "enrol"), default="run")
    parser.add_argument("--dir", type=Path, required=True, help="the fleet's keys and certificates")
    parser.add_argument("--homes", type=int, required=True, help="how many hubs")
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--vtn", default="https://localhost:8443/OpenADR2/Simple/2.0b", help="the VTN's URL")
    parser.add_argument("--mqtt", default="", help="mqtts://HOST:PORT: over MQTT instead")
    parser.add_argument("--vtn-id", default="COOP-VTN", help="the VTN's id, part of MQTT's topics")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to live; 0: until stopped")
    parser.add_argument("--processes", type=int, default=0, help=f"one for {HOMES_A_PROCESS} hubs when 0")
    parser.add_argument("--poll-seconds", type=float, help="in place of what the VTN asks for")
    parser.add_argument("--ramp-seconds", type=float, default=1.0, help="connect over this time")
    parser.add_argument("--connecting", type=int, default=0, help="at most so many at a time; 0: any number")
    parser.add_argument("--warm-seconds", type=float, default=0.0, help="live so long before counting")
    parser.add_argument("--telemetry-seconds", type=float, default=0.0, help="report this often, when asked")
    parser.add_argument("--registered", action="store_true", help="the hubs are registered already")
    for share in SHARES:
        word = share.replace("_", "-")
        default = getattr(Manners(), share)
        meaning = f"share of hubs or answers ({default:g})"
        parser.add_argument(f"--{word}", type=float, default=default, help=meaning)
    parser.add_argument("--json", action="store_true", help="figures as one line of JSON")
    return parser


def _play(options: argparse.Namespace) -> int:
    processes = options.processes or max(1, -(-options.homes // HOMES_A_PROCESS))
    figures = _live(options) if processes == 1 else _together(options, processes)
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for line in told(figures):
            sys.stdout.write(line + "\n")
    return 0


def _live(options: argparse.Namespace) -> dict[str, Any]:
    """Be the hubs of this process; return the figures."""
    _allow_open_files(options.homes)
    manners = Manners(
        poll_seconds=options.poll_seconds,
        ramp_seconds=options.ramp_seconds,
        telemetry_seconds=options.telemetry_seconds,
        is_registered=options.registered,
        **{share: getattr(options, share) for share in SHARES},
    )
    tally = Tally()
    identities = identities_of(options.dir, first=options.first, count=options.homes)
    loop = Loop(options.mqtt or options.vtn, options.dir / CA, most_connecting=options.connecting)
    carriers: list[Carrier] = []
    for number, identity in enumerate(identities, options.first):
        hub = Hub(identity.ven_id, manners, tally, seed=number)
        if options.mqtt:
            from hems.fleet_mqtt import MqttCarrier

            carriers.append(MqttCarrier(loop, hub, listening(hub), identity, vtn_id=options.vtn_id))
        else:
            carriers.append(HttpCarrier(loop, hub, pulling(hub), identity))
    is_stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_stopped.append(True))
    _collect_rarely()
    _say("ready")
    began = time.monotonic()
    if options.warm_seconds:
        loop.run(carriers, until=lambda: bool(is_stopped) or time.monotonic() >= began + options.warm_seconds)
        tally.counts.clear()
        tally.poll_seconds.clear()
        began = time.monotonic()
        _say("warm")
    end = began + options.seconds if options.seconds else float("inf")
    loop.run(
        carriers,
        until=lambda: bool(is_stopped) or time.monotonic() >= end or tally.met == len(carriers),
        is_begun=bool(options.warm_seconds),
    )
    if tally.met == len(carriers):
        _collect_rarely()
        _say("met")
        loop.run(carriers, until=lambda: bool(is_stopped) or time.monotonic() >= end, is_begun=True)
    _say("over")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "homes": len(identities),
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mib": _peak_mib(),
        "counts": dict(tally.counts),
        "poll_ms": _quantiles(tally.poll_seconds),
        "deliveries": _spans(tally.deliveries),
        "answers": _spans(tally.answers),
    }


def _collect_rarely() -> None:
    """Leave what makes up the hubs out of the search for garbage: it took a quarter of their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _peak_mib() -> float:
    """Return the most memory this process has held.

    The kernel's ru_maxrss begins with that of whoever started the process; VmHWM is its own.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def _say(word: str) -> None:
    """Tell whoever started this how far it is."""
    sys.stderr.write(f"{word}\n")
    sys.stderr.flush()


def _spans(times_by_event: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return how many, the first and the last, by event and version."""
    return {name: [len(times), min(times), max(times)] for name, times in times_by_event.items()}


def _together(options: argparse.Namespace, processes: int) -> dict[str, Any]:
    """Share the hubs out among processes of this same program; return the figures of all."""
    words = [sys.executable, "-m", "hems.fleet", "--json", "--processes", "1", "--dir", str(options.dir)]
    words += ["--vtn", options.vtn, "--vtn-id", options.vtn_id, "--seconds", str(options.seconds)]
    words += ["--mqtt", options.mqtt] if options.mqtt else []
    words += ["--ramp-seconds", str(options.ramp_seconds), "--warm-seconds", str(options.warm_seconds)]
    words += ["--connecting", str(-(-options.connecting // processes))]
    words += ["--telemetry-seconds", str(options.telemetry_seconds)]
    words += ["--poll-seconds", str(options.poll_seconds)] if options.poll_seconds is not None else []
    words += ["--registered"] if options.registered else []
    for share in SHARES:
        words += [f"--{share.replace('_', '-')}", str(getattr(options, share))]
    each = -(-options.homes // processes)
    parts = []
    for first in range(0, options.homes, each):
        homes = min(each, options.homes - first)
        part = [*words, "--first", str(options.first + first), "--homes", str(homes)]
        parts.append(subprocess.Popen(part, stdout=subprocess.PIPE))  # noqa: S603 - our own program
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(parts))
    said = [part.communicate()[0] for part in parts]
    return merged([json.loads(line) for line in said if line.strip()])


def _stop(parts: Sequence[subprocess.Popen[bytes]]) -> None:
    for part in parts:
        part.terminate()


def merged(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of several processes as one's; quantiles are the worst of them."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part["counts"])
    result: dict[str, Any] = {
        "homes": sum(part["homes"] for part in parts),
        "seconds": max((part["seconds"] for part in parts), default=0.0),
        "cpu_seconds": sum(part["cpu_seconds"] for part in parts),
        "memory_mib": sum(part["memory_mib"] for part in parts),
        "counts": dict(counts),
        "poll_ms": {
            name: max(part["poll_ms"].get(name, 0.0) for part in parts) for name in ("p50", "p95", "p99")
        }
        if parts
        else {},
    }
    for kind in ("deliveries", "answers"):
        names = {name for part in parts for name in part[kind]}
        result[kind] = {
            name: [
                sum(part[kind][name][0] for part in parts if name in part[kind]),
                min(part[kind][name][1] for part in parts if name in part[kind]),
                max(part[kind][name][2] for part in parts if name in part[kind]),
            ]
            for name in sorted(names)
        }
    return result


def told(figures: dict[str, Any]) -> list[str]:
    """Return the figures as lines for people."""
    lines = [
        f"{figures['homes']} hubs for {figures['seconds']:.1f} s, {figures['cpu_seconds']:.1f} s of CPU,"
        f" {figures['memory_mib']:.0f} MiB"
    ]
    lines += [f"  {name:24} {count:>10}" for name, count in sorted(figures["counts"].items())]
    lines += [f"  poll {name:19} {value:>10.2f} ms" for name, value in figures["poll_ms"].items()]
    for kind in ("deliveries", "answers"):
        for name, (count, first, last) in figures[kind].items():
            lines.append(f"  {kind} of {name}: {count} within {last - first:.2f} s")
    return lines


def _quantiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {
        name: 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def _allow_open_files(homes: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = homes + 200
    if soft < wanted:
        limit = hard if hard != resource.RLIM_INFINITY and hard < wanted else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
