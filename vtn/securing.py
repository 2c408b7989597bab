"""High security at the edge of any transport: what a VEN signed is verified, what it is told is signed.

Read with `read`, answer with `write`; both decide from the VEN's own setting and from how
the message came. A signature must be by a certificate that speaks for the VEN, fresh, and
seen for the first time by any process of this site.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from oadr import codec, signing
from oadr.messages import Message
from opendsr.kernel import clock, ids
from opendsr.kernel.errors import NotAllowed
from vtn import pki
from vtn.models import Security, SeenNonce, Ven

WINDOW: Final = timedelta(minutes=5)
"""How far a signature's timestamp may lie from this clock, either way."""


class SignatureRefused(NotAllowed):
    """A message that is not shown to be this VEN's, or not shown to be new: `reason`."""


def read(body: bytes, *, ven: Ven, certificates: Collection[bytes], wall: datetime) -> codec.Parsed:
    """Return the message a VEN sent; raises a WireError or SignatureRefused, both before anything is done.

    `certificates` (DER) are those that speak for the VEN: over TLS the one that ended the
    handshake. A VEN of high security must sign; whoever signs is held to it. Once read,
    the same signature is refused for as long as its timestamp would pass.
    """
    parsed = codec.parse_body(body, certificates=certificates)
    if parsed.replay_protect is not None:
        take_once(ven, parsed.replay_protect, wall=wall)
    elif ven.security == Security.HIGH:
        raise SignatureRefused(reason="unsigned")
    return parsed


def write(message: Message, *, ven: Ven, answers: codec.Parsed | None = None) -> bytes:
    """Return the message for a VEN, signed when it signs: by its setting, or as the message answered was.

    An answer goes back in the envelope, or without one, as its question came.
    """
    is_signed = ven.security == Security.HIGH or (answers is not None and answers.is_signed)
    is_enveloped = is_signed or answers is None or answers.is_enveloped
    body = codec.serialise(message, is_enveloped=is_enveloped)
    return signed(body) if is_signed else body


def signed(body: bytes) -> bytes:
    """Return an unsigned envelope with this VTN's signature, good once and from now."""
    protect = signing.ReplayProtect(clock.wall_now(), ids.random_token())
    return signing.sign(body, identity=vtn_identity(), replay_protect=protect)


def take_once(ven: Ven, protect: signing.ReplayProtect, *, wall: datetime) -> None:
    """Remember a nonce; raises SignatureRefused for one that is stale, early or known.

    Committed at once and before the message is acted on, so that neither a crash nor a
    second process lets the same one through again.
    """
    if protect.timestamp < wall - WINDOW:
        raise SignatureRefused(reason="signed_too_long_ago")
    if protect.timestamp > wall + WINDOW:
        raise SignatureRefused(reason="signed_in_the_future")
    digest = hashlib.sha256(protect.nonce.encode()).hexdigest()
    row = SeenNonce(ven=ven, nonce_sha256=digest, expires_wall_at=protect.timestamp + 2 * WINDOW)
    if not _is_new(row):
        raise SignatureRefused(reason="replayed")


def _is_new(row: SeenNonce) -> bool:
    """Insert unless it is there: one statement, so that of two at once exactly one is told yes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO vtn_seen_nonce (ven_id, nonce_sha256, expires_wall_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (ven_id, nonce_sha256) DO NOTHING",
            [row.ven_id, row.nonce_sha256, row.expires_wall_at],
        )
        return cursor.rowcount == 1


def forget_nonces(*, wall: datetime) -> int:
    """Drop the nonces whose timestamps would be refused by now; returns how many."""
    return SeenNonce.objects.filter(expires_wall_at__lt=wall).delete()[0]


def vtn_identity() -> signing.Identity:
    """Return the key and certificate of the listener, which also sign; read anew when they are renewed."""
    files = pki.authority().server_files(host=settings.VTN_HOST, at=clock.wall_now())
    return _identity(files.certificate, files.key, files.certificate.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _identity(certificate: Path, key: Path, _mtime_ns: int) -> signing.Identity:
    return signing.load_identity(key_pem=key.read_bytes(), certificate_pem=certificate.read_bytes())
