"""Clients, their keys and contracts, by staff: each change is a row or the end of one, and is audited."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import IntegrityError, transaction
from django.db.models import Q

from campaigns import rules
from campaigns.models import Programme, ServicingClient, ServicingContract, ServicingKey, UseCase
from campaigns.servicing_models import (
    DEFAULT_RATE,
    HOLD_MINUTES,
    LONGEST_MINUTES,
    MOST_STAGGER_SECONDS,
    SILENCE_MINUTES,
    ZONE_KINDS,
    Scope,
)
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid, NotFound

if TYPE_CHECKING:
    from members.models import User

_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{3,80}")
MOST_NOTICE_SECONDS: Final = 86_400
OVERLAP: Final = timedelta(days=7)
"""How long a key that is rotated out stays good beside the new one."""


class FieldInvalid(Invalid):
    """A client, key or contract that cannot be: `field`, `reason`."""

    field: str
    reason: str


class ClientNotFound(NotFound):
    """No such client: `client_id`."""

    client_id: str


class ContractNotFound(NotFound):
    """No such contract: `contract_id`."""

    contract_id: str


class KeyNotFound(NotFound):
    """No such key: `key_id`."""

    key_id: str


class ConfirmByAnother(DomainError):
    """The one who agreed to a contract cannot be the one who confirms its approval in advance."""

    contract_id: UUID


@transaction.atomic
def add_client(
    *,
    name: str,
    is_sandbox: bool,
    scopes: Collection[str],
    at: datetime,
    by: User,
    requests_per_minute: int = DEFAULT_RATE,
) -> ServicingClient:
    """Let a network operator in, or its trial; raises FieldInvalid."""
    if not name.strip() or len(name) > 80:
        raise FieldInvalid(field="name", reason="1 to 80 letters")
    if not scopes or set(scopes) - set(Scope.values):
        raise FieldInvalid(field="scopes", reason=f"one or more of {', '.join(Scope.values)}")
    if not 1 <= requests_per_minute <= 6_000:
        raise FieldInvalid(field="requests_per_minute", reason="1 to 6000")
    if ServicingClient.objects.filter(name=name.strip()).exists():
        raise FieldInvalid(field="name", reason="there is a client of this name")
    client = ServicingClient.objects.create(
        name=name.strip(),
        is_sandbox=is_sandbox,
        scopes=sorted(set(scopes)),
        requests_per_minute=requests_per_minute,
        created_at=at,
    )
    _note("client.added", client, at=at, by=by, detail={"sandbox": is_sandbox, "scopes": client.scopes})
    return client


@transaction.atomic
def close_client(*, client_id: UUID, at: datetime, by: User) -> None:
    """Refuse the client from its next request on; again, nothing changes."""
    client = locked_client(client_id)
    if client.closed_at is None:
        client.closed_at = at
        client.save(update_fields=["closed_at"])
        _note("client.closed", client, at=at, by=by)


@transaction.atomic
def add_key(
    *,
    client_id: UUID,
    key_id: str,
    public_key: str,
    is_rotation: bool,
    at: datetime,
    wall: datetime,
    by: User,
) -> ServicingKey:
    """Take in a public key, as PEM or 32 bytes in base64; a rotation ends the others a week on."""
    client = locked_client(client_id)
    if not _KEY_ID.fullmatch(key_id):
        raise FieldInvalid(field="key_id", reason="3 to 80 of A-Z a-z 0-9 . _ -")
    raw = _raw_key(public_key)
    if ServicingKey.objects.filter(key_id=key_id).exists():
        raise FieldInvalid(field="key_id", reason="this key id is taken")
    if is_rotation:
        good = client.keys.filter(Q(ends_wall_at=None) | Q(ends_wall_at__gt=wall + OVERLAP))
        good.update(ends_wall_at=wall + OVERLAP)
    made = ServicingKey.objects.create(
        client=client, key_id=key_id, public_key=base64.b64encode(raw).decode(), added_wall_at=wall
    )
    _note("key.added", client, at=at, by=by, detail={"key_id": key_id, "rotation": is_rotation})
    return made


@transaction.atomic
def revoke_key(*, client_id: UUID, key_id: str, at: datetime, wall: datetime, by: User) -> None:
    """End the key with the next request; again, nothing changes."""
    client = locked_client(client_id)
    key = client.keys.filter(key_id=key_id).first()
    if key is None:
        raise KeyNotFound(key_id=key_id)
    if key.ends_wall_at is None or key.ends_wall_at > wall:
        key.ends_wall_at = wall
        key.save(update_fields=["ends_wall_at"])
        _note("key.revoked", client, at=at, by=by, detail={"key_id": key_id})


@transaction.atomic
def agree(
    *,
    client_id: UUID,
    programme: Programme,
    zone_kind: str,
    zone: str,
    max_w: int,
    approved_w: int,
    longest_minutes: int,
    notice_seconds: int,
    stagger_seconds: int,
    at: datetime,
    by: User,
    import_cap_w: int | None = None,
    export_cap_w: int | None = None,
    silence_minutes: int = SILENCE_MINUTES,
    hold_minutes: int = HOLD_MINUTES,
) -> ServicingContract:
    """Put a contract about a zone in force, in place of the one before; raises FieldInvalid.

    What is approved in advance holds once another person has confirmed it. The caps are those that hold on
    silence, in W; None lets the client set none of that kind.
    """
    client = locked_client(client_id)
    zone = zone.strip()
    for field, is_good, reason in (
        ("programme", programme.use_case == UseCase.LOAD_CONTROL, "choose one of direct load control"),
        ("zone_kind", zone_kind in dict(ZONE_KINDS), "choose one of what is offered"),
        ("zone", 0 < len(zone) <= 60 and zone.isprintable(), "1 to 60 letters"),
        ("max_w", 0 < max_w <= rules.LARGEST_W, "above zero"),
        ("approved_w", 0 <= approved_w <= max_w, "from zero to the contract's most"),
        ("longest_minutes", 0 < longest_minutes <= LONGEST_MINUTES, f"1 to {LONGEST_MINUTES}"),
        ("notice_seconds", 0 <= notice_seconds <= MOST_NOTICE_SECONDS, f"0 to {MOST_NOTICE_SECONDS}"),
        ("stagger_seconds", 0 <= stagger_seconds <= MOST_STAGGER_SECONDS, f"0 to {MOST_STAGGER_SECONDS}"),
        ("import_cap_w", 0 <= (import_cap_w or 0) <= rules.LARGEST_W, "zero or more"),
        ("export_cap_w", 0 <= (export_cap_w or 0) <= rules.LARGEST_W, "zero or more"),
        ("silence_minutes", 0 < silence_minutes <= LONGEST_MINUTES, f"1 to {LONGEST_MINUTES}"),
        ("hold_minutes", 0 < hold_minutes <= LONGEST_MINUTES, f"1 to {LONGEST_MINUTES}"),
    ):
        if not is_good:
            raise FieldInvalid(field=field, reason=reason)
    caps = {
        "import_cap_w": import_cap_w,
        "export_cap_w": export_cap_w,
        "silence_minutes": silence_minutes,
        "hold_minutes": hold_minutes,
    }
    client.contracts.filter(Q(ends_at=None) | Q(ends_at__gt=at), zone=zone).update(ends_at=at)
    try:
        with transaction.atomic():
            made = ServicingContract.objects.create(
                client=client,
                programme=programme,
                zone_kind=zone_kind,
                zone=zone,
                max_w=max_w,
                approved_w=approved_w,
                longest_minutes=longest_minutes,
                notice_seconds=notice_seconds,
                stagger_seconds=stagger_seconds,
                starts_at=at,
                agreed_by=by,
                **caps,
            )
    except IntegrityError as error:
        raise FieldInvalid(field="zone", reason="another contract about it holds then") from error
    terms: dict[str, object] = {
        "zone": zone,
        "max_w": max_w,
        "approved_w": approved_w,
        "stagger_seconds": stagger_seconds,
    }
    if import_cap_w is not None or export_cap_w is not None:
        terms |= caps
    _note("contract.agreed", client, at=at, by=by, detail={"contract": str(made.pk), **terms})
    return made


@transaction.atomic
def confirm(*, contract_id: UUID, at: datetime, by: User) -> ServicingContract:
    """Confirm as a second person what a contract approves in advance; again, nothing changes."""
    contract = _locked_contract(contract_id)
    if contract.confirmed_at is not None:
        return contract
    if contract.agreed_by_id == by.pk:
        raise ConfirmByAnother(contract_id=contract_id)
    contract.confirmed_by, contract.confirmed_at = by, at
    contract.save(update_fields=["confirmed_by", "confirmed_at"])
    _note("contract.confirmed", contract.client, at=at, by=by, detail={"contract": str(contract.pk)})
    return contract


@transaction.atomic
def end_contract(*, contract_id: UUID, at: datetime, by: User) -> None:
    """End a contract now: nothing new is taken under it; what runs goes on to its end."""
    contract = _locked_contract(contract_id)
    if contract.ends_at is None or contract.ends_at > at:
        contract.ends_at = max(at, contract.starts_at)
        contract.save(update_fields=["ends_at"])
        _note("contract.ended", contract.client, at=at, by=by, detail={"contract": str(contract.pk)})


def locked_client(client_id: UUID) -> ServicingClient:
    """The client under its row lock; raises ClientNotFound."""
    found = ServicingClient.objects.select_for_update().filter(pk=client_id).first()
    if found is None:
        raise ClientNotFound(client_id=str(client_id))
    return found


def _locked_contract(contract_id: UUID) -> ServicingContract:
    found = (
        ServicingContract.objects.select_for_update(of=("self",))
        .select_related("client")
        .filter(pk=contract_id)
        .first()
    )
    if found is None:
        raise ContractNotFound(contract_id=str(contract_id))
    return found


def _raw_key(text: str) -> bytes:
    wrong = FieldInvalid(field="public_key", reason="an Ed25519 public key, as PEM or as 32 bytes in base64")
    if "BEGIN" in text:
        try:
            loaded = load_pem_public_key(text.strip().encode("ascii", "replace"))
        except (ValueError, UnsupportedAlgorithm):
            raise wrong from None
        if not isinstance(loaded, Ed25519PublicKey):
            raise wrong
        return loaded.public_bytes_raw()
    try:
        raw = base64.b64decode(text.strip(), validate=True)
        Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError):
        raise wrong from None
    return raw


def _note(
    verb: str, client: ServicingClient, *, at: datetime, by: User, detail: dict[str, object] | None = None
) -> None:
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb=f"campaigns.servicing.{verb}",
        target=f"servicing_client:{client.pk}",
        detail=detail or {},
    )
