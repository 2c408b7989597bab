"""Every page of the site over a co-op of 10,000 members and a year: server time, queries and size of each.

    python benchmarks/web_pages.py [--members 10000] [--rounds 20] [--only NAME ...]

A scratch database, thrown away. Every address of the URL map that answers a GET is asked for as the first
visitor who is let in, through Django's own client with the whole middleware; the figure is the server's,
without a network. What is quick in a few rounds is not asked again; what is near the goal gets all rounds.
Half-hours are there for a few days of everybody and a year of one member: reading more of them is measured
by `metering_store.py`.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

if TYPE_CHECKING:
    from django.test import Client

GOAL_MS, GOAL_KB = 150, 200
FEW = 5
NEAR = 0.5  # of the goal, from which on a page is asked all the rounds
CHARTED = b"data-figure"


@dataclass(slots=True)
class Page:
    """What was seen of one page."""

    name: str
    who: str
    path: str
    queries: int
    size: int
    packed: int
    has_chart: bool
    is_page: bool
    taken_ms: list[float] = field(default_factory=list)
    python_ms: list[float] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """The goal's figure."""
        return quantiles(self.taken_ms, n=20, method="inclusive")[-1]

    @property
    def is_heavy(self) -> bool:
        """A page without a chart that is larger than the goal."""
        return self.is_page and not self.has_chart and self.size > 1_000 * GOAL_KB


def main() -> None:
    """Make the co-op, walk it, and print a line a page, the slowest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=[], help="names of URLs, or beginnings of them")
    asked = parser.parse_args()
    os.environ.setdefault("OPENDSR_ENV", "test")
    from _vtn_world import scratch_database

    with scratch_database(), tempfile.TemporaryDirectory(prefix="opendsr-web-") as folder:
        from _web_world import settle_in, tell
        from django.test import override_settings

        with override_settings(ALLOWED_HOSTS=["testserver"], VTN_PKI_DIR=Path(folder)):
            world = settle_in(asked.members)
            pages = list(walk(world, asked.rounds, tuple(asked.only)))
        tell("walked")
    report(pages)


def walk(world: Any, rounds: int, only: tuple[str, ...]) -> Iterator[Page]:
    """Each address by whoever is let in first; what answers nobody with a page is left out."""
    from django.test import Client

    from tests.web.url_map import addresses

    clients: dict[str, Client] = {}
    for who, user in world.walkers.items():
        clients[who] = Client(raise_request_exception=False)
        if user is not None:
            clients[who].force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    seen = set()
    logging.disable(logging.CRITICAL)  # refusals are part of the walk
    for address in addresses():
        path = address.path(world.things)
        if path in seen or (only and not address.name.startswith(only)) or "logout" in address.name:
            continue
        if address.is_of_records and not address.name.endswith("_changelist"):
            continue
        seen.add(path)
        for who in whoever(address.name, list(clients)):
            client = clients[who]
            page = look(client, address.name, who, path)
            if page is not None:
                measure(client, page, rounds)
                yield page
                break


def whoever(name: str, walkers: list[str]) -> list[str]:
    """Who tries the door, in turn: of their own pages a member, of the records an administrator alone."""
    from opendsr.web.purposes import OWN, OWN_PREFIXES

    if name.startswith("admin:"):
        return ["administrator"]
    is_own = name in OWN or name.startswith(OWN_PREFIXES)
    return walkers if is_own else [*(each for each in walkers if each != "member"), "member"]


def look(client: Client, name: str, who: str, path: str) -> Page | None:
    """The page as it first answers, with what it asks of the database; None where it is not for them."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    answer: Any = client.get(path)
    if answer.status_code >= 500:
        raise SystemExit(f"{path} as {who}: {answer.status_code}")
    if answer.status_code != 200:
        return None
    body_of(answer)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path)
        body = body_of(answer)
    return Page(
        name, who, path, len(asked), len(body), len(gzip.compress(body, 6)), CHARTED in body,
        answer.get("Content-Type", "").startswith("text/html"),
    )  # fmt: skip


def measure(client: Client, page: Page, rounds: int) -> None:
    """A few rounds, and all of them where it may be near the goal."""
    while len(page.taken_ms) < rounds:
        began, at_work = time.perf_counter(), time.process_time()
        body_of(client.get(page.path))
        page.taken_ms.append(1_000 * (time.perf_counter() - began))
        page.python_ms.append(1_000 * (time.process_time() - at_work))
        if len(page.taken_ms) == FEW and max(page.taken_ms) < NEAR * GOAL_MS:
            return


def body_of(answer: Any) -> bytes:
    """All of it, also where it streams."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def report(pages: list[Page]) -> None:
    """A line a page, then how many are over."""
    write = sys.stdout.write
    for page in sorted(pages, key=lambda each: -each.p95_ms):
        words = " chart" if page.has_chart else ""
        words += "" if page.is_page else " file"
        words += " TOO LARGE" if page.is_heavy else ""
        words += " TOO SLOW" if page.is_page and page.p95_ms > GOAL_MS else ""
        write(
            f"BENCH page_{page.name} p95 {page.p95_ms:.0f} ms goal {GOAL_MS}"
            f" p50 {median(page.taken_ms):.0f} ms python {median(page.python_ms):.0f} ms"
            f" queries {page.queries} {page.size / 1_000:.0f} kB gzip {page.packed / 1_000:.0f} kB"
            f" as {page.who}{words}\n"
        )
    shown = [page for page in pages if page.is_page]
    slow = [page for page in shown if page.p95_ms > GOAL_MS]
    heavy = [page for page in shown if page.is_heavy]
    write(f"BENCH pages_walked {len(shown)} pages, {len(pages) - len(shown)} files\n")
    write(f"BENCH pages_over_{GOAL_MS}_ms {len(slow)} goal 0\n")
    write(f"BENCH pages_over_{GOAL_KB}_kb {len(heavy)} goal 0\n")
    write(f"BENCH pages_p95_median {median(page.p95_ms for page in shown):.0f} ms\n")
    write(f"load {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    main()
