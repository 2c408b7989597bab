"""Who stands at the door: the key, the clock, the nonce, the rate and what the client may do.

All that is refused here is logged and counted by the hour, and writes nothing else: without a key nobody can
fill anything. A nonce is spent in a transaction of its own, whatever becomes of its request.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from campaigns.models import ServicingClient, ServicingKey, ServicingNonce
from campaigns.servicing.port import Adapter, Credential
from campaigns.servicing.signatures import Message, SignatureRefused
from opendsr.kernel.errors import DomainError, NotAllowed

logger = logging.getLogger(__name__)
NONCE_KEPT: Final = timedelta(seconds=180)
"""Longer than a signature may be old and early together."""
MINUTE: Final = timedelta(minutes=1)
COUNT: Final = """
    INSERT INTO campaigns_servicingrefusal AS held (client_id, reason, hour_wall_at, count, latest_wall_at)
    VALUES (%s, %s, date_trunc('hour', %s::timestamptz), 1, %s)
    ON CONFLICT (client_id, reason, hour_wall_at)
    DO UPDATE SET count = held.count + 1, latest_wall_at = excluded.latest_wall_at
"""
SPEND: Final = """
    INSERT INTO campaigns_servicingnonce (client_id, nonce, used_wall_at, forget_wall_at)
    VALUES (%s, %s, %s, %s) ON CONFLICT (client_id, nonce) DO NOTHING
"""


class Replayed(DomainError):
    """The nonce came before: the same message again, by whomever."""

    status = 401
    nonce: str


class TooManyRequests(DomainError):
    """More requests in a minute than the client may send: `per_minute`."""

    status = 429
    per_minute: int


class ScopeMissing(NotAllowed):
    """The client may not do this: `needs`, a scope."""

    needs: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A client whose message was verified, and the key that it used."""

    client: ServicingClient
    key_id: str


def admit(adapter: Adapter, message: Message, *, wall: datetime) -> Admitted:
    """Verify the message and spend its nonce; raises SignatureRefused, Replayed, TooManyRequests."""
    client: ServicingClient | None = None

    def key_of(key_id: str) -> bytes:
        nonlocal client
        key = _key(key_id, wall=wall)
        client = key.client
        return base64.b64decode(key.public_key)

    try:
        credential = adapter.verify(message, key_of=key_of, wall=wall)
        if client is None:
            raise SignatureRefused(reason="the adapter asked for no key")
        spend(client, credential, wall=wall)
    except DomainError as error:
        count_refusal(client, error, wall=wall)
        raise
    return Admitted(client, credential.key_id)


def require_scope(admitted: Admitted, scope: str, *, wall: datetime) -> None:
    """Raise ScopeMissing unless the client may."""
    if scope not in admitted.client.scopes:
        error = ScopeMissing(needs=scope)
        count_refusal(admitted.client, error, wall=wall)
        raise error


@transaction.atomic
def spend(client: ServicingClient, credential: Credential, *, wall: datetime) -> None:
    """Use the nonce up; raises Replayed for one used, TooManyRequests beyond the client's rate.

    The store holds what came in the last three minutes, and the rate bounds what comes in a minute.
    """
    ServicingNonce.objects.filter(client=client, forget_wall_at__lte=wall).delete()
    lately = ServicingNonce.objects.filter(client=client, used_wall_at__gt=wall - MINUTE).count()
    if lately >= client.requests_per_minute:
        raise TooManyRequests(per_minute=client.requests_per_minute)
    forget = max(wall, credential.created_at) + NONCE_KEPT
    with connection.cursor() as cursor:
        cursor.execute(SPEND, [client.pk, credential.nonce, wall, forget])
        if not cursor.rowcount:
            raise Replayed(nonce=credential.nonce)


@transaction.atomic
def count_refusal(client: ServicingClient | None, error: DomainError, *, wall: datetime) -> None:
    """Log what was refused and count it."""
    logger.warning("servicing: refused %s: %s", client or "somebody unknown", error)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [client.pk if client else None, error.code[:60], wall, wall])


def _key(key_id: str, *, wall: datetime) -> ServicingKey:
    found = None
    if len(key_id) <= 80 and key_id.isprintable():
        found = ServicingKey.objects.select_related("client").filter(key_id=key_id).first()
    if found is None:
        raise SignatureRefused(reason="no such keyid")
    if found.ends_wall_at is not None and found.ends_wall_at <= wall:
        raise SignatureRefused(reason="this key has ended")
    if found.client.closed_at is not None:
        raise SignatureRefused(reason="this client is closed")
    return found
