"""Pages of the registry over 10,000 homes: server time of each way to narrow, the map, files, one change.

    python benchmarks/registry_pages.py [--homes 10000]

A scratch database, thrown away. Homes lie over three GSP groups, 40 substations and 10 zones; each has a hub
and two assets, a tenth are silent, one in twenty is faulty. Pages are asked through Django's own client, with
the whole middleware; the figure is the server's, without a network.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

GOAL_MS, ROUNDS = 150, 20
CHANGE_GOAL_SECONDS = 60
AREAS = ("OL14", "M15", "HX7", "EH1")
PAGES = {
    "all": {},
    "page_200": {"page": "200"},
    "serial": {"q": "HUB-4321"},
    "words": {"q": "4321 bench street"},
    "silent": {"health": "silent"},
    "worn": {"health": "worn"},
    "well": {"health": "well"},
    "kind": {"kind": "ev_charger"},
    "substation": {"substation": "Primary 7"},
    "area": {"area": "OL"},
    "firmware": {"firmware": "1.4.0"},
    "many": {"gsp_group": "G", "kind": "ev_charger", "health": "silent", "area": "OL"},
}


def main() -> None:
    """Make the homes, ask for each page, and print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=10_000)
    homes = parser.parse_args().homes
    os.environ.setdefault("OPENDSR_ENV", "test")
    from _vtn_world import scratch_database

    with scratch_database():
        settle_in(homes)
        ask()
        change()


def settle_in(homes: int) -> None:
    """Write the homes and what is fitted in them, in bulk."""
    from assets.models import Asset, Cad, Hub
    from assets.registry_models import RelayCount
    from members.models import Home
    from opendsr.kernel import clock
    from tests.factories import make_asset_kinds, make_coop, new_mpan
    from vtn.models import Ven

    make_coop()
    make_asset_kinds()
    at, wall = clock.now(), clock.wall_now()
    since = at - timedelta(days=400)
    numbers = range(homes)
    places = Home.objects.bulk_create(
        Home(
            name=f"{n} Bench Street",
            postcode=f"{AREAS[n % 4]} {n % 10}AB",
            mpan=new_mpan(),
            gsp_group="GGMN"[n % 4],
            primary_substation=f"Primary {n % 40}",
            cmz=f"Zone {n % 10}",
        )
        for n in numbers
    )
    hubs = Hub.objects.bulk_create(
        Hub(
            home=places[n],
            serial=f"HUB-{n}",
            state="commissioned",
            ven_id=f"VEN-{n}",
            firmware=f"1.{n % 6}.0",
            commissioned_at=since,
        )
        for n in numbers
    )
    heard = (wall - timedelta(minutes=1), wall - timedelta(hours=2))
    Ven.objects.bulk_create(
        Ven(ven_id=f"VEN-{n}", ven_name=f"HUB-{n}", enrolled_at=since, last_seen_wall_at=heard[n % 10 == 3])
        for n in numbers
    )
    Cad.objects.bulk_create(Cad(home=places[n], serial=f"CAD-{n}", paired_at=since) for n in numbers)
    fitted = Asset.objects.bulk_create(
        Asset(
            hub=hubs[n],
            kind_id=kind,
            resource_id=f"{kind}-{n}",
            name=kind,
            rated_w=3_000,
            flexible_w=1_000,
            state="faulty" if n % 20 == 5 else "active",
            installed_at=since,
        )
        for n in numbers
        for kind in ("ev_charger", "immersion_heater")
    )
    RelayCount.objects.bulk_create(
        RelayCount(
            asset=asset,
            cycles=number % 3_000,
            told=number % 3_000,
            told_by="VEN",
            counted_from_at=since,
            told_at=at,
        )
        for number, asset in enumerate(fitted)
    )


def ask() -> None:
    """Each page twenty times, the map, and both files once."""
    from django.db import connection
    from django.test import Client, override_settings
    from django.urls import reverse

    from members.models import Role
    from tests.factories import make_staff

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client()
    client.force_login(
        make_staff("bench@example.org", Role.DEVICE_MANAGER),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        for name, query in PAGES.items():
            _time(f"registry_{name}", lambda query=query: client.get(reverse("home_list"), query))
        for level in ("gsp_group", "substation", "cmz", "area"):
            _time(f"map_{level}", lambda level=level: client.get(reverse("place_map"), {"level": level}))
        for form in ("csv", "xlsx"):
            began = time.perf_counter()
            size = len(b"".join(client.get(reverse("home_export", args=[form])).streaming_content))
            seconds = time.perf_counter() - began
            sys.stdout.write(f"BENCH registry_export_{form} {seconds:.1f} s {size / 1e6:.1f} MB\n")


def change() -> None:
    """Preview, apply and take back a zone for every home."""
    from assets import change_fields, changing
    from members.models import Home
    from opendsr.kernel import outbox

    at = datetime.now(UTC)
    kind = change_fields.FIELDS["cmz"]
    began = time.perf_counter()
    targets = change_fields.within(kind, Home.objects.order_by("pk"))
    made = changing.preview(
        field="cmz", value="New zone", chosen="all", why="bench", at=at, by="bench", targets=targets
    )
    told = {"preview": time.perf_counter() - began}
    for verb, deed in (("apply", changing.apply_change), ("undo", changing.undo_change)):
        began = time.perf_counter()
        deed(change_id=made.pk, at=at, by="bench")
        outbox.drain(max_rounds=1_000)
        told[verb] = time.perf_counter() - began
    if Home.objects.filter(cmz="New zone").exists():
        raise SystemExit("the change was not taken back")
    for verb, seconds in told.items():
        sys.stdout.write(f"BENCH change_{verb}_{len(targets)} {seconds:.1f} s goal {CHANGE_GOAL_SECONDS}\n")


def _time(name: str, visit: Callable[[], object]) -> None:
    taken, of_python = [], []
    for _ in range(ROUNDS):
        began, at_work = time.perf_counter(), time.process_time()
        answer = visit()
        taken.append(1_000 * (time.perf_counter() - began))
        of_python.append(1_000 * (time.process_time() - at_work))
        if getattr(answer, "status_code", 0) != 200:
            raise SystemExit(f"{name}: {answer}")
    p95 = quantiles(taken, n=20)[-1]
    sys.stdout.write(
        f"BENCH {name} p50 {median(taken):.0f} ms p95 {p95:.0f} ms goal {GOAL_MS},"
        f" Python's own {median(of_python):.0f} ms, load {os.getloadavg()[0]:.1f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
