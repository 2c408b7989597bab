"""A network operator's start, from its verified signal to 10,000 published events, through the real VTN.

Run it as `python manage.py bench campaigns_dno`, or as a program with `--homes`. The homes are those of
`take_part.py`, each with a certificate on record and habits worked out. What is timed is the answer to one
signed request: signature, nonce, planning, participations, events and the commit; then a stop.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
MOST_SECONDS, ROUNDS = 1.0, 5
PATH = "/api/servicing/v1/signals/"
_numbers = itertools.count(1)


def main() -> None:
    """Make the homes in a scratch database, send starts and stops, print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=10_000)
    homes = parser.parse_args().homes
    import take_part
    from _vtn_world import scratch_database

    with scratch_database():
        from opendsr.kernel import clock

        clock.configure(take_part.AT, speed=0)
        take_part.settle_in(homes)
        key = make_ready(homes)
        from opendsr.web.warming import warm

        warm()  # as a process of the site does before its first request
        measure(key, homes)


def make_ready(homes: int) -> Any:
    """Certificates, habits, and an operator with a contract about the whole of the homes."""
    import take_part
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from django.db import connection

    from assets.models import Asset
    from campaigns.models import HomeHabit, Programme, UseCase
    from campaigns.servicing import contracting
    from members.models import Occupancy, StandingOptOut, User
    from vtn.models import Ven, VenCertificate

    wall = datetime.now(UTC)
    StandingOptOut.objects.all().delete()  # everybody willing: as many events as homes
    Asset.objects.exclude(kind="ev_charger").delete()
    vens = Ven.objects.bulk_create(
        Ven(
            ven_id=f"VEN-{n}",
            ven_name=f"HUB-{n}",
            registration_id=f"R{n}",
            enrolled_at=wall,
            registered_at=wall,
        )
        for n in range(homes)
    )
    VenCertificate.objects.bulk_create(
        VenCertificate(
            ven=ven,
            fingerprint=f"{ven.pk:064x}",
            serial=f"{ven.pk:x}",
            issuer="bench",
            not_before=wall - timedelta(days=1),
            not_after=wall + timedelta(days=300),
            issued_at=wall,
            first_used_wall_at=wall,
        )
        for ven in vens
    )
    HomeHabit.objects.bulk_create(
        HomeHabit(
            occupancy_id=pk,
            working_day_w=[2_500] * 48,
            other_day_w=[2_500] * 48,
            asked=20,
            missed=n % 4,
            worked_out_at=take_part.AT,
        )
        for n, pk in enumerate(Occupancy.objects.values_list("pk", flat=True))
    )
    people = [User.objects.create_user(f"{name}@example.org", "x" * 16) for name in ("ann", "bea")]
    programme = Programme.objects.create(
        code="dlc",
        name="Direct load control",
        use_case=UseCase.LOAD_CONTROL,
        market_context="http://coop.example/dlc",
        settlement_terms_id=UUID(int=7),
    )
    at = take_part.AT - timedelta(days=1)
    client = contracting.add_client(
        name="Operator",
        is_sandbox=False,
        scopes=["signal", "read"],
        requests_per_minute=6_000,
        at=at,
        by=people[0],
    )
    key = Ed25519PrivateKey.generate()
    contracting.add_key(
        client_id=client.pk,
        key_id="bench",
        public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        is_rotation=False,
        at=at,
        wall=wall,
        by=people[0],
    )
    contract = contracting.agree(
        client_id=client.pk,
        programme=programme,
        zone_kind="gsp_group",
        zone="G",
        max_w=2_000_000_000,
        approved_w=2_000_000_000,
        longest_minutes=120,
        notice_seconds=0,
        stagger_seconds=0,
        at=at,
        by=people[0],
    )
    contracting.confirm(contract_id=contract.pk, at=at, by=people[1])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return key


def send(key: Any, body: dict[str, object]) -> tuple[dict[str, Any], float]:
    """One signed request through Django; the answer, and the seconds it took."""
    from django.test import Client

    from campaigns.servicing import signatures
    from campaigns.servicing.signatures import Message

    raw = json.dumps(body).encode()
    headers = {"idempotency-key": f"key-{next(_numbers)}"}
    headers |= signatures.sign(
        Message("POST", f"http://localhost{PATH}", headers, raw),
        key=key,
        key_id="bench",
        created_at=datetime.now(UTC),
        nonce=f"nonce-{next(_numbers):08d}",
    )
    began = time.perf_counter()
    response = Client(headers={"host": "localhost"}).generic(
        "POST", PATH, raw, content_type="application/json", headers=headers
    )
    took = time.perf_counter() - began
    return json.loads(response.content), took


def measure(key: Any, homes: int) -> None:
    """Start and stop, some times; every start is held against what the VTN has."""
    from _vtn_world import database_cpu_seconds
    from django.db import connection

    from vtn.models import Event

    began_cpu = time.process_time() + database_cpu_seconds()
    starts, stops = [], []
    for _ in range(ROUNDS):
        before = Event.objects.count()
        ask = {"signal": "start", "zone": "G", "size_w": 1_900_000_000, "minutes": 30}
        answer, took = send(key, ask)
        if answer.get("state") != "dispatched":
            raise SystemExit(f"not sent: {answer}")
        if Event.objects.count() - before != answer["events"]:
            raise SystemExit(f"{answer['events']} told, {Event.objects.count() - before} there")
        starts.append(took)
        stopped, took = send(key, {"signal": "stop", "of": answer["signal_id"]})
        if stopped.get("state") != "stopped":
            raise SystemExit(f"not stopped: {stopped}")
        stops.append(took)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE campaigns_participation, campaigns_planline, vtn_event, vtn_queue")
    sys.stdout.write(f"{homes} homes, {answer['events']} events, {answer['assets']} assets each time\n")
    cpu = (time.process_time() + database_cpu_seconds() - began_cpu) / ROUNDS
    sys.stdout.write(f"BENCH campaigns_dno_start_and_stop_cpu {cpu:.2f} s\n")
    sys.stdout.write(f"BENCH campaigns_dno_first_start {starts[0]:.2f} s goal {MOST_SECONDS:g}\n")
    sys.stdout.write(f"BENCH campaigns_dno_start {median(starts):.2f} s goal {MOST_SECONDS:g}\n")
    sys.stdout.write(f"BENCH campaigns_dno_stop {median(stops):.2f} s goal {MOST_SECONDS:g}\n")


if __name__ == "__main__":
    main()
