"""One campaign to every VEN: from publishing to the last delivery and durable answer, by pull and MQTT.

Run it as `python benchmarks/vtn_campaign.py [--vens 10000] [--poll-seconds 8]`. Real hubs of
`hems.fleet`, each with its own certificate over mutual TLS: through nginx they poll once in
`--poll-seconds`, over Mosquitto they wait. The server's own part is the CPU that nginx, listener, bridge,
broker and PostgreSQL took from publishing on, idle polls of the same time taken off; who took it is told
apart; `hubs_cpu_s` is what the hubs took on the same processors. An answer is recorded when it is
committed, and a little later the hub hears so (`last_answer_s`). After the first campaign, in which
processes take the memory that they need and VENs are met, comes one `again`, as in a site in use. What is
written seconds later (hand-overs, message log) counts as the server's part. Every answer that a hub heard
acknowledged is looked for in the database afterwards.
With `--ways pull openleadr` the same is asked of openleadr's own VTN, which keeps nothing on disk, for
1,000 VENs; the figures to compare are CPU milliseconds a VEN.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _vtn_world as w

PATIENCE_SECONDS = 180.0
PEER_VENS = 1_000
PEER_SECONDS = 60.0
LOOK_SECONDS = 0.05
WRITTEN_BEHIND_SECONDS = 6.0
"""Until what is written a few seconds later is written."""
COMING = ("--ramp-seconds", "8", "--connecting", "64")
"""How hubs come at first: a few at a time, for storms are `vtn_storm`'s."""


def main() -> None:
    """Measure both ways, and print a line a figure as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vens", type=int, default=10_000)
    parser.add_argument("--poll-seconds", type=float, default=8.0)
    parser.add_argument("--campaigns", type=int, default=2)
    parser.add_argument("--intervals", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=["pull", "mqtt"], choices=list(WAYS))
    options = parser.parse_args()
    write = sys.stdout.write
    write(f"{options.vens} VENs, one event each of {options.intervals} interval(s)\n")
    with w.world(options.vens) as made:
        a_ven: dict[str, float] = {}
        for way in options.ways:
            for number, figures in enumerate(WAYS[way](made, options)):
                if "cpu_ms_a_ven" in figures:
                    a_ven[way] = figures["cpu_ms_a_ven"]
                for name, value in figures.items():
                    goal = GOALS.get((way, name))
                    unit = UNITS.get(name) or ("s" if name.endswith("_s") else "answers")
                    wanted = "" if goal is None else f" goal {goal:g}"
                    full_name = f"{way}_{'again_' if number else ''}{name}"
                    write(f"BENCH vtn_campaign_{full_name} {value:.2f} {unit}{wanted}\n")
            sys.stdout.flush()
        if {"pull", "openleadr"} <= a_ven.keys():
            write(f"BENCH vtn_campaign_pull_times_openleadr {a_ven['openleadr'] / a_ven['pull']:.1f} x\n")


def pull(made: w.World, options: argparse.Namespace) -> list[dict[str, float]]:
    """Every hub polls through nginx."""
    with ExitStack() as stack:
        server = stack.enter_context(w.production(made, vens=options.vens, workers=1))
        if server is None:
            server = stack.enter_context(w.embedded(made, workers=1))
        words = ["--vtn", server.url, "--poll-seconds", str(options.poll_seconds), "--override", "0"]
        process = w.fleet(made, *words, *COMING, "--seconds", "0", homes=options.vens)
        w.wait_for_everybody(process, homes=options.vens)
        time.sleep(2 * options.poll_seconds)
        idle_seconds = 2 * options.poll_seconds
        before = spent(server.pids)
        time.sleep(idle_seconds)
        idle = {name: value - before[name] for name, value in spent(server.pids).items()}
        results = campaigns(made, server.pids, process, options)
        for result in results:
            share = result.pop("lasting_s") / idle_seconds
            for name, value in idle.items():
                result[name] -= value * share
            result["server_cpu_s"] = sum(result[name] for name in idle)
            result["server_s_on_all_cores"] = result["server_cpu_s"] / len(os.sched_getaffinity(0))
            result["idle_cpu_taken_off_s"] = sum(idle.values()) * share
            result["cpu_ms_a_ven"] = result["server_cpu_s"] / options.vens * 1000
        return results


def openleadr(made: w.World, options: argparse.Namespace) -> list[dict[str, float]]:
    """The peer, over the same mutual TLS, which it ends itself."""
    signal = made.folder / "publish"
    vens = min(options.vens, PEER_VENS)
    with w.openleadr(made, event_after=signal, intervals=options.intervals) as server:
        if server is None:
            return []
        words = ["--vtn", server.url, "--poll-seconds", str(options.poll_seconds), "--override", "0"]
        process = w.fleet(made, *words, *COMING, "--seconds", "0", homes=vens)
        w.wait_for_everybody(process, homes=vens)
        time.sleep(options.poll_seconds)
        before, began = w.cpu_seconds(server.pids), time.time()
        time.sleep(2 * options.poll_seconds)
        idle_a_second = (w.cpu_seconds(server.pids) - before) / (time.time() - began)
        before, published = w.cpu_seconds(server.pids), time.time()
        signal.touch()
        in_a_round, latest = 2 * idle_a_second * options.poll_seconds, before
        while time.time() < published + PEER_SECONDS:  # until a round of polls costs what it cost before
            time.sleep(options.poll_seconds)
            so_far = w.cpu_seconds(server.pids)
            if so_far > before + in_a_round and so_far < latest + in_a_round * 0.6:
                break
            latest = so_far
        spent_s = w.cpu_seconds(server.pids) - before - idle_a_second * (time.time() - published)
        process.terminate()
        answered = [last for _, _, last in w.figures_of(process)["answers"].values()]
    return [
        {
            "vens": float(vens),
            "missing": float(vens - len(answered)),
            "last_answer_s": max(answered, default=published) - published,
            "server_cpu_s": spent_s,
            "cpu_ms_a_ven": spent_s / vens * 1000,
        }
    ]


def mqtt(made: w.World, options: argparse.Namespace) -> list[dict[str, float]]:
    """Every hub waits at the broker."""
    from django.db.models import F, Value
    from django.db.models.functions import Concat

    from vtn import pki
    from vtn.models import Ven
    from vtn.transports import broker

    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        return []
    Ven.objects.update(transport_name="xmpp", transport_address=Concat(Value("mqtt:"), F("ven_id")))
    folder = made.folder / "broker"
    site = broker.Site(pki.authority(), "COOP-VTN", folder, "localhost", w.free_port(), w.free_port(), "root")
    path = broker.write(site, at=datetime.now(UTC))
    url = f"mqtts://localhost:{site.own_port}"
    log = made.folder / "mqtt.log"
    with ExitStack() as stack:
        raised = f"ulimit -n 65536 2>/dev/null || true; exec {program} -c {path}"
        words = ["/bin/sh", "-c", raised]
        broker_pid = stack.enter_context(
            w.running(words, ready=lambda: w.answers(site.port), log=made.folder / "broker.log")
        )
        bridge = stack.enter_context(
            w.running(
                [sys.executable, "manage.py", "vtn_mqtt"],
                ready=lambda: log.exists() and "ready." in log.read_text(),
                log=log,
                env={"MQTT_URL": url},
            )
        )
        words = ["--mqtt", f"mqtts://localhost:{site.port}", "--override", "0"]
        process = w.fleet(made, *words, *COMING, "--seconds", "0", homes=options.vens)
        w.wait_for_everybody(process, homes=options.vens)
        time.sleep(5)
        pids = (broker_pid, bridge)
        results = campaigns(made, pids, process, options)
        for result in results:
            result.pop("lasting_s")
            result["server_cpu_s"] = sum(result[name] for name in spent(pids))
        return results


@dataclass(slots=True)
class Campaign:
    """One that is over: its figures, its events, those whose opt is in the database, and when it began."""

    figures: dict[str, float]
    event_ids: list[str]
    kept: set[str]
    published: float


def campaigns(
    made: w.World, pids: tuple[int, ...], process: subprocess.Popen[str], options: argparse.Namespace
) -> list[dict[str, float]]:
    """Play them, end the fleet, and hold its word against the database."""
    played = [campaign(made, pids, process, options) for _ in range(options.campaigns)]
    process.terminate()
    said = w.figures_of(process)
    for each in played:
        names = [f"{event_id}:0" for event_id in each.event_ids]
        delivered = [said["deliveries"][name][1] for name in names if name in said["deliveries"]]
        answered = [said["answers"][name][2] for name in names if name in said["answers"]]
        heard = {name.removesuffix(":0") for name in names if name in said["answers"]}
        each.figures |= {
            "first_delivery_s": min(delivered) - each.published,
            "last_delivery_s": max(delivered) - each.published,
            "last_answer_s": max(answered) - each.published,
            "missing": float(options.vens - len(each.kept)),
            "acknowledged_and_lost": float(len(heard - each.kept)),
        }
    return [each.figures for each in played]


def campaign(
    made: w.World, pids: tuple[int, ...], process: subprocess.Popen[str], options: argparse.Namespace
) -> Campaign:
    """Publish an event to every VEN and wait for the answers; afterwards the event is of yesterday."""
    from django.db import connection
    from django.db.models import F

    from opendsr.kernel.interval import Interval
    from vtn.models import Event, EventOpt
    from vtn.port import EventNotice, Signal, SignalInterval, VenId
    from vtn.service import EmbeddedVtn

    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    each = 1800
    intervals = tuple(SignalInterval(each, 1.0 + number % 2) for number in range(options.intervals))
    ends_at = starts_at + timedelta(seconds=each * options.intervals)
    market = f"https://coop.example/{time.time()}"
    notices = {
        f"{market} {ven_id}": EventNotice(
            VenId(ven_id), market, Interval(starts_at, ends_at), (Signal("SIMPLE", "level", intervals),)
        )
        for ven_id in made.ven_ids
    }
    newest, memory = latest_opt(), w.memory_mib(pids)
    before_publishing = w.database_cpu_seconds()
    began = time.time()
    EmbeddedVtn().publish_many(notices, at=datetime.now(UTC))
    published = time.time()
    before, hubs_before = spent(pids), w.cpu_seconds([process.pid])
    recorded = last_opt_recorded(newest, options.vens, until=published + PATIENCE_SECONDS)
    hubs_after = w.cpu_seconds([process.pid])
    time.sleep(WRITTEN_BEHIND_SECONDS)
    lasting, after = time.time() - published, spent(pids)
    figures = {
        "publish_s": published - began,
        "last_answer_recorded_s": recorded - published,
        "publishing_postgresql_cpu_s": before["postgresql_cpu_s"] - before_publishing,
        **{name: value - before[name] for name, value in after.items()},
        "hubs_cpu_s": hubs_after - hubs_before,
        "lasting_s": lasting,
        "memory_grown_mib": w.memory_mib(pids) - memory,
    }
    mine = Event.objects.filter(market_context=market)
    kept = set(EventOpt.objects.filter(event__in=mine).values_list("event__event_id", flat=True))
    event_ids = list(mine.values_list("event_id", flat=True))
    day = timedelta(days=1)
    mine.update(starts_at=F("starts_at") - day, closes_at=F("closes_at") - day)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # autovacuum's work, which would fall somewhere into the next
    return Campaign(figures, event_ids, kept, published)


def latest_opt() -> int:
    """Return the newest opt's number: cheap enough to be asked often."""
    from django.db.models import Max

    from vtn.models import EventOpt

    return int(EventOpt.objects.aggregate(newest=Max("pk"))["newest"] or 0)


def last_opt_recorded(newest: int, vens: int, *, until: float) -> float:
    """Wait for as many opts after the `newest` as there are VENs; return when the last was committed."""
    from vtn.models import EventOpt

    while time.time() < until:
        if latest_opt() >= newest + vens and EventOpt.objects.filter(pk__gt=newest).count() >= vens:
            break
        time.sleep(LOOK_SECONDS)
    return time.time()


def spent(pids: tuple[int, ...]) -> dict[str, float]:
    """CPU so far of what stands in front (nginx, broker), of the listener or bridge, and of PostgreSQL."""
    *front, behind = pids
    return {
        "front_cpu_s": w.cpu_seconds(front),
        "vtn_cpu_s": w.cpu_seconds([behind]),
        "postgresql_cpu_s": w.database_cpu_seconds(),
    }


WAYS: dict[str, Any] = {"pull": pull, "mqtt": mqtt, "openleadr": openleadr}
UNITS = {"memory_grown_mib": "MiB", "cpu_ms_a_ven": "ms", "vens": "VENs", "server_s_on_all_cores": "s"}
GOALS = {
    ("pull", "server_s_on_all_cores"): 2.0,
    ("pull", "last_delivery_s"): 10.0,
    ("pull", "acknowledged_and_lost"): 0.0,
    ("pull", "missing"): 0.0,
    ("mqtt", "last_delivery_s"): 1.0,
    ("mqtt", "last_answer_recorded_s"): 2.0,
    ("mqtt", "acknowledged_and_lost"): 0.0,
    ("mqtt", "missing"): 0.0,
}

if __name__ == "__main__":
    main()
