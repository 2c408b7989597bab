"""Field encryption with one data key per person, so that erasing a person is shredding one key.

The person's key (AES-256-GCM) is stored wrapped by the installation's key, which lives in the environment:
OPENDSR_KEK (or OPENDSR_KEK_FILE) is a comma separated ring of base64 keys of 32 bytes, the first one current.
Rotation adds a new first key, runs `rewrap`, then drops the old one; sealed values never change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from opendsr.kernel import clock
from opendsr.kernel.env import env_secret
from opendsr.kernel.errors import DomainError
from opendsr.kernel.models import DataKey

VARIABLE: Final = "OPENDSR_KEK"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FORMAT_1: Final = b"\x01"
WRAP_CONTEXT: Final = b"opendsr data key "
NEW_KEY_COMMAND: Final = 'python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'


class KeyShredded(DomainError):
    """The person's key was destroyed: nothing of theirs can be read or sealed again."""

    status = 410
    subject_id: UUID


class SealBroken(DomainError):
    """The sealed value was changed, belongs to somebody else, or was sealed for another context."""

    subject_id: UUID
    context: str


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Installation keys by id, and the id of the current one."""

    current_id: str
    keys: dict[str, bytes]

    def key(self, kek_id: str) -> bytes:
        if kek_id not in self.keys:
            raise ImproperlyConfigured(
                f"{VARIABLE} holds keys {', '.join(self.keys)} but stored data needs key {kek_id}: "
                f"add that key after the first one, comma separated."
            )
        return self.keys[kek_id]


def new_kek() -> str:
    """A fresh installation key as OPENDSR_KEK takes it."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_ring() -> KeyRing:
    """The ring in the environment; ImproperlyConfigured when it is absent or malformed."""
    return _parse_ring(env_secret(VARIABLE))


def seal(subject_id: UUID, plaintext: str, context: str) -> bytes:
    """Encrypt text under the person's key, made on first use; `context` names the table, column and row.

    The same text seals to different bytes each time. Raises KeyShredded.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(_data_key(subject_id)).encrypt(nonce, plaintext.encode(), context.encode())
    return FORMAT_1 + nonce + sealed


def unseal(subject_id: UUID, sealed: bytes, context: str) -> str:
    """The text that `seal` was given; raises SealBroken or KeyShredded."""
    sealed = bytes(sealed)
    row = DataKey.objects.filter(pk=subject_id).first()
    if row is None or sealed[:1] != FORMAT_1:
        raise SealBroken(subject_id=subject_id, context=context)
    key = _unwrap(row)
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, context.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise SealBroken(subject_id=subject_id, context=context) from error


def shred(subject_id: UUID) -> None:
    """Destroy the person's key for good; a person who never had one cannot get one afterwards either."""
    wall = clock.wall_now()
    DataKey.objects.bulk_create(
        [DataKey(subject_id=subject_id, wrapped=None, created_wall_at=wall, shredded_wall_at=wall)],
        ignore_conflicts=True,
    )
    DataKey.objects.filter(pk=subject_id, wrapped__isnull=False).update(
        wrapped=None, kek_id="", shredded_wall_at=wall
    )


@transaction.atomic
def rewrap(*, limit: int = 1000) -> int:
    """Wrap with the current installation key up to `limit` data keys still under an older one; how many."""
    ring = key_ring()
    stale = (
        DataKey.objects.select_for_update(skip_locked=True)
        .filter(wrapped__isnull=False)
        .exclude(kek_id=ring.current_id)
        .order_by("pk")[:limit]
    )
    rows = list(stale)
    for row in rows:
        row.wrapped = _wrap(ring, row.subject_id, _unwrap(row))
        row.kek_id = ring.current_id
    DataKey.objects.bulk_update(rows, ["wrapped", "kek_id"])
    return len(rows)


def _data_key(subject_id: UUID) -> bytes:
    row = DataKey.objects.filter(pk=subject_id).first()
    if row is None:
        ring = key_ring()
        fresh = DataKey(
            subject_id=subject_id,
            wrapped=_wrap(ring, subject_id, secrets.token_bytes(KEY_BYTES)),
            kek_id=ring.current_id,
            created_wall_at=clock.wall_now(),
        )
        DataKey.objects.bulk_create([fresh], ignore_conflicts=True)
        row = DataKey.objects.get(pk=subject_id)
    return _unwrap(row)


def _wrap(ring: KeyRing, subject_id: UUID, key: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(ring.keys[ring.current_id]).encrypt(nonce, key, WRAP_CONTEXT + subject_id.bytes)


def _unwrap(row: DataKey) -> bytes:
    if row.wrapped is None:
        raise KeyShredded(subject_id=row.subject_id)
    wrapped = bytes(row.wrapped)
    try:
        return AESGCM(key_ring().key(row.kek_id)).decrypt(
            wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], WRAP_CONTEXT + row.subject_id.bytes
        )
    except InvalidTag as error:
        raise SealBroken(subject_id=row.subject_id, context="data key") from error


@lru_cache(maxsize=4)
def _parse_ring(text: str) -> KeyRing:
    keys: dict[str, bytes] = {}
    for position, item in enumerate(text.split(","), start=1):
        try:
            key = base64.b64decode(item.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise _bad_key(position, "is not base64") from error
        if len(key) != KEY_BYTES:
            raise _bad_key(position, f"is {len(key)} bytes long")
        keys[hashlib.sha256(key).hexdigest()[:16]] = key
    return KeyRing(current_id=next(iter(keys)), keys=keys)


def _bad_key(position: int, fault: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{VARIABLE}: key {position} {fault}; each must be base64 of {KEY_BYTES} bytes: {NEW_KEY_COMMAND}"
    )
