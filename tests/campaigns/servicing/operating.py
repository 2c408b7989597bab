"""A network operator of the tests: a client with a key and a contract, that signs what it sends."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.http import HttpResponse
from django.test import Client

from campaigns.models import HomeHabit, Programme, ServicingClient, ServicingContract, UseCase
from campaigns.servicing import contracting, signatures
from campaigns.servicing.signatures import Message
from campaigns.servicing_models import Scope
from members.models import Role
from opendsr.kernel import clock
from tests.campaigns.staging import NOON
from tests.factories import Resident, make_staff

HOST = "http://testserver"
PREFIX = "/api/servicing/v1"
_numbers = itertools.count(1)


@dataclass
class Operator:
    """A client at the door, with the key that it signs with."""

    client: ServicingClient
    key: Ed25519PrivateKey
    key_id: str
    contract: ServicingContract

    def send(
        self, path: str, body: Any = None, *, wall: datetime | None = None, **fields: Any
    ) -> HttpResponse:
        """A signed request: POST with a body, GET without. `fields`: nonce, idempotency_key, change."""
        raw = b"" if body is None else json.dumps(body).encode()
        url = f"{HOST}{PREFIX}{path}"
        method = "GET" if body is None else "POST"
        headers: dict[str, str] = {}
        if method == "POST" and fields.get("idempotency_key", "") is not None:
            headers["idempotency-key"] = fields.get("idempotency_key") or f"key-{next(_numbers)}"
        headers |= signatures.sign(
            Message(method, url, headers, raw),
            key=fields.get("key", self.key),
            key_id=fields.get("key_id", self.key_id),
            created_at=wall or clock.wall_now(),
            nonce=fields.get("nonce") or f"nonce-{next(_numbers):08d}",
        )
        return repeat(method, path, raw, headers)

    def start(self, **fields: Any) -> dict[str, Any]:
        """A start of 2 kW for half an hour, unless told otherwise; the answer, with its HTTP status."""
        sending = {name: fields.pop(name) for name in ("idempotency_key", "nonce") if name in fields}
        wanted = {"signal": "start", "zone": self.contract.zone, "size_w": 2_000, "minutes": 30, **fields}
        return told(self.send("/signals/", wanted, **sending))


def repeat(method: str, path: str, raw: bytes, headers: dict[str, str]) -> HttpResponse:
    """The very same request, byte for byte."""
    response: HttpResponse = Client().generic(
        method, f"{PREFIX}{path}", raw, content_type="application/json", headers=headers
    )
    return response


def told(response: HttpResponse) -> dict[str, Any]:
    """The JSON of an answer with `http`, its status."""
    return {**json.loads(response.content), "http": response.status_code}


def make_operator(
    *, is_sandbox: bool = False, scopes: Iterable[str] = Scope.values, is_confirmed: bool = True, **terms: Any
) -> Operator:
    """A client with a contract about CMZ Calder: 10 kW, half of it approved in advance."""
    number = next(_numbers)
    agreeing = make_staff(f"ann{number}@example.org", Role.ADMINISTRATOR)
    client = contracting.add_client(
        name=f"Northern Networks {number}", is_sandbox=is_sandbox, scopes=list(scopes), at=NOON, by=agreeing
    )
    key = Ed25519PrivateKey.generate()
    key_id = f"nn-{number}"
    contracting.add_key(
        client_id=client.pk,
        key_id=key_id,
        public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        is_rotation=False,
        at=NOON,
        wall=clock.wall_now() - timedelta(days=1),
        by=agreeing,
    )
    wanted = {
        "programme": make_first_programme(),
        "zone_kind": "cmz",
        "zone": "Calder",
        "max_w": 10_000,
        "approved_w": 5_000,
        "longest_minutes": 120,
        "notice_seconds": 0,
        "stagger_seconds": 0,
        **terms,
    }
    contract = contracting.agree(client_id=client.pk, at=NOON - timedelta(days=1), by=agreeing, **wanted)
    if is_confirmed:
        confirming = make_staff(f"bea{number}@example.org", Role.ADMINISTRATOR)
        contract = contracting.confirm(contract_id=contract.pk, at=NOON, by=confirming)
    return Operator(client, key, key_id, contract)


def make_first_programme() -> Programme:
    """The programme of direct load control."""
    programme, _ = Programme.objects.update_or_create(
        code="dlc",
        defaults={
            "name": "Direct load control",
            "use_case": UseCase.LOAD_CONTROL,
            "market_context": "http://coop.example/dlc",
            "settlement_terms_id": UUID(int=7),
            "notification_seconds": 0,
            "start_tolerance_seconds": 300,
        },
    )
    return programme


def make_habits(*residents: Resident, usual_w: int = 3_000, asked: int = 90, missed: int = 0) -> None:
    """What was worked out of the residents' readings last night."""
    HomeHabit.objects.bulk_create(
        HomeHabit(
            occupancy=resident.occupancy,
            working_day_w=[usual_w] * 48,
            other_day_w=[usual_w] * 48,
            asked=asked,
            missed=missed,
            worked_out_at=NOON,
        )
        for resident in residents
    )
