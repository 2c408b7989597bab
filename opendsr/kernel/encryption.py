"""Field encryption with one data key per person, so that erasing a person is shredding one key.

The person's key (AES-256-GCM) is stored wrapped by the installation's key, which lives in the environment:
OPENDSR_KEK (or OPENDSR_KEK_FILE) is a comma separated ring of base64 keys of 32 bytes, the first one current.
Rotation adds a new first key, runs `rewrap`, then drops the old one; sealed values never change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from opendsr.kernel import clock, reads
from opendsr.kernel.env import env_secret
from opendsr.kernel.errors import DomainError
from opendsr.kernel.lookups import among
from opendsr.kernel.models import DataKey

VARIABLE: Final = "OPENDSR_KEK"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FORMAT_1: Final = b"\x01"
KIND: Final = re.compile(r"[ |.]")
"""Between the parts of a context, of which the first two say what is sealed."""
WRAP_CONTEXT: Final = b"opendsr data key "
NEW_KEY_COMMAND: Final = 'python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'


class NotSealedHere(ValueError):
    """The bytes were changed, or sealed for another purpose or under a key that is no longer in the ring."""


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


@dataclass(slots=True)
class _Remembered:
    """Keys unwrapped in a block (None: shredded), and whose rows were read and may be asked for next."""

    keys: dict[UUID, bytes | None] = field(default_factory=dict)
    expected: set[UUID] = field(default_factory=set)


_remembered: ContextVar[_Remembered | None] = ContextVar("remembered", default=None)
_sealing: ContextVar[dict[UUID, bytes] | None] = ContextVar("sealing", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Keep the keys that reading needs for the length of the block (a request, a file), and no longer.

    Rows read inside announce themselves (`expect`), so that the keys of a whole page come in one statement.
    A block within a block is part of it.
    """
    if _remembered.get() is not None:
        yield
        return
    token = _remembered.set(_Remembered())
    try:
        yield
    finally:
        _remembered.reset(token)


@contextmanager
def sealing_for(subject_ids: Iterable[UUID]) -> Iterator[None]:
    """Make or read these people's keys at once, for writing many rows inside one transaction.

    Not kept beyond the block: a key made in a transaction that is rolled back must never seal anything after.
    Raises KeyShredded.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("seal many rows inside one transaction")
    token = _sealing.set(_data_keys(set(subject_ids)))
    try:
        yield
    finally:
        _sealing.reset(token)


def expect(subject_id: UUID) -> None:
    """Say that a row of this person was read: its key is fetched along with the first that is needed."""
    kept = _remembered.get()
    if kept is not None and subject_id not in kept.keys:
        kept.expected.add(subject_id)


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
    return seal_bytes(subject_id, plaintext.encode(), context)


def seal_bytes(subject_id: UUID, plain: bytes, context: str) -> bytes:
    """`seal` of bytes, such as a file."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    many = _sealing.get()
    key = many.get(subject_id) if many is not None else None
    sealed = AESGCM(key or _data_key(subject_id)).encrypt(nonce, plain, context.encode())
    return FORMAT_1 + nonce + sealed


def unseal(subject_id: UUID, sealed: bytes, context: str) -> str:
    """The text that `seal` was given; raises SealBroken or KeyShredded."""
    try:
        return unseal_bytes(subject_id, sealed, context).decode()
    except ValueError as error:
        raise SealBroken(subject_id=subject_id, context=context) from error


def unseal_bytes(subject_id: UUID, sealed: bytes, context: str) -> bytes:
    """The bytes that `seal_bytes` was given; raises SealBroken or KeyShredded."""
    if sealed[:1] != FORMAT_1:
        raise SealBroken(subject_id=subject_id, context=context)
    key = _key_to_read(subject_id, context)
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        plain = AESGCM(key).decrypt(nonce, body, context.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(subject_id=subject_id, context=context) from error
    if reads.are_collected():
        reads.note(".".join(KIND.split(context, 2)[:2]), {subject_id})
    return plain


def seal_for_a_while(plain: bytes, purpose: str) -> bytes:
    """Encrypt what is nobody's and lasts for days, such as a session, under the installation's key itself.

    Read as long as that key is in the ring: it takes no statement, and `rewrap` knows nothing of it.
    """
    ring, nonce = key_ring(), secrets.token_bytes(NONCE_BYTES)
    key = _key_for(ring.keys[ring.current_id], purpose)
    return bytes.fromhex(ring.current_id) + nonce + AESGCM(key).encrypt(nonce, plain, None)


def unseal_for_a_while(sealed: bytes, purpose: str) -> bytes:
    """The bytes that `seal_for_a_while` was given; raises NotSealedHere."""
    key_id, nonce, body = sealed[:8].hex(), sealed[8 : 8 + NONCE_BYTES], sealed[8 + NONCE_BYTES :]
    kek = key_ring().keys.get(key_id)
    if kek is None:
        raise NotSealedHere(purpose)
    try:
        return AESGCM(_key_for(kek, purpose)).decrypt(nonce, body, None)
    except (InvalidTag, ValueError) as error:
        raise NotSealedHere(purpose) from error


@lru_cache(maxsize=16)
def _key_for(kek: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"opendsr {purpose}".encode()).derive(kek)


def shred(subject_id: UUID) -> None:
    """Destroy the person's key for good; a person who never had one cannot get one afterwards either."""
    wall = clock.wall_now()
    if (kept := _remembered.get()) is not None:
        kept.keys[subject_id] = None
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
        key = _unwrap(ring, row.subject_id, bytes(row.wrapped or b""), row.kek_id)
        row.wrapped = _wrap(ring, row.subject_id, key)
        row.kek_id = ring.current_id
    DataKey.objects.bulk_update(rows, ["wrapped", "kek_id"])
    return len(rows)


def _data_key(subject_id: UUID) -> bytes:
    return _data_keys({subject_id})[subject_id]


def _data_keys(subject_ids: set[UUID]) -> dict[UUID, bytes]:
    """Everybody's key, made where there was none."""
    held = _held_keys(subject_ids)
    missing = subject_ids - held.keys()
    if missing:
        ring, wall = key_ring(), clock.wall_now()
        DataKey.objects.bulk_create(
            (
                DataKey(
                    subject_id=subject_id,
                    wrapped=_wrap(ring, subject_id, secrets.token_bytes(KEY_BYTES)),
                    kek_id=ring.current_id,
                    created_wall_at=wall,
                )
                for subject_id in sorted(missing)
            ),
            ignore_conflicts=True,
        )
        held |= _held_keys(missing)
    keys: dict[UUID, bytes] = {}
    for subject_id in subject_ids:
        key = held[subject_id]
        if key is None:
            raise KeyShredded(subject_id=subject_id)
        keys[subject_id] = key
    return keys


def _held_keys(subject_ids: set[UUID]) -> dict[UUID, bytes | None]:
    """The keys there are of these people, from one statement; None where it was destroyed."""
    ring = key_ring()
    rows = DataKey.objects.filter(pk__in=among(subject_ids)).values_list("pk", "wrapped", "kek_id")
    return {
        subject_id: None if wrapped is None else _unwrap(ring, subject_id, bytes(wrapped), kek_id)
        for subject_id, wrapped, kek_id in rows
    }


def _key_to_read(subject_id: UUID, context: str) -> bytes:
    kept = _remembered.get() or _Remembered()
    key = kept.keys.get(subject_id)
    if key is None:
        kept.keys.update(_held_keys(kept.expected | {subject_id}))
        kept.expected.clear()
        if subject_id not in kept.keys:
            raise SealBroken(subject_id=subject_id, context=context)
        key = kept.keys[subject_id]
    if key is None:
        raise KeyShredded(subject_id=subject_id)
    return key


@lru_cache(maxsize=8)
def _cipher(kek: bytes) -> AESGCM:
    return AESGCM(kek)


def _wrap(ring: KeyRing, subject_id: UUID, key: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(ring.keys[ring.current_id]).encrypt(nonce, key, WRAP_CONTEXT + subject_id.bytes)


def _unwrap(ring: KeyRing, subject_id: UUID, wrapped: bytes, kek_id: str) -> bytes:
    context = WRAP_CONTEXT + subject_id.bytes
    try:
        return _cipher(ring.key(kek_id)).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
    except InvalidTag as error:
        raise SealBroken(subject_id=subject_id, context="data key") from error


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
