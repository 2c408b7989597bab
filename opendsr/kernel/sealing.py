"""The audit trail sealed: batches of entries, each hash over its entries' and the hash before it.

Who writes an entry waits for nobody: entries are sealed afterwards, in the order in which they are found,
every minute. A seal names its entries one by one with their own hashes, so that `verify` says which one was
edited, taken away or moved. Whoever holds the hash of any seal outside this machine can tell that nothing
before it was rewritten: `manage.py verify_audit --head HASH`.

    entry   SHA-256 of the JSON [id, at, recorded_wall_at, actor, verb, target, detail], sorted, no blanks
    seal    SHA-256 of the hash before it (32 zero bytes at first), its number, its entries' hashes in order
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from django.db import connection, transaction

from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry, AuditSeal, SealedEntry

BATCH: Final = 5_000
GENESIS: Final = bytes(32)
SEALER_LOCK: Final = 0x5EA1
LATE: Final = timedelta(minutes=15)
"""An entry not sealed by then is a finding: the sealer does not run, or somebody put it in by hand."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    what: str
    seal: int | None = None
    entry_id: int | None = None

    def __str__(self) -> str:
        where = [
            f"seal {self.seal}" if self.seal is not None else "",
            f"entry {self.entry_id}" if self.entry_id is not None else "",
        ]
        return ", ".join(part for part in (*where, self.what) if part)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`head` is the newest seal's hash; `findings` is empty when nothing was touched."""

    seals: int
    entries: int
    unsealed: int
    head: str
    findings: tuple[Finding, ...]


def seal_all() -> int:
    """Seal every entry that can be seen, oldest ids first; return how many. One sealer at a time."""
    total = 0
    while done := _seal_batch():
        total += done
    return total


def verify(*, head: str = "") -> Verdict:
    """Recompute every hash from the first entry on. `head`: a seal's hash that is known from elsewhere."""
    findings: list[Finding] = []
    before, number, entries, was_met = GENESIS, 0, 0, not head
    for seal in AuditSeal.objects.order_by("number").iterator(chunk_size=1_000):
        number += 1
        if seal.number != number:
            missing = "one seal is" if seal.number == number + 1 else "seals are"
            findings.append(Finding(f"{missing} missing before it", seal=seal.number))
            number = seal.number
        sealed = list(SealedEntry.objects.filter(seal=seal).order_by("position"))
        entries += len(sealed)
        findings += _entry_findings(seal, sealed)
        computed = seal_hash(before, seal.number, [bytes(each.sha256) for each in sealed])
        if bytes(seal.sha256) != computed:
            findings.append(Finding("its hash does not follow from what it names", seal=seal.number))
        before = bytes(seal.sha256)
        was_met = was_met or before.hex() == head
    if not was_met:
        findings.append(Finding(f"no seal has the hash {head[:16]}…: what came before it was rewritten"))
    unsealed = AuditEntry.objects.filter(sealed=None)
    late = unsealed.filter(recorded_wall_at__lt=clock.wall_now() - LATE).order_by("pk")
    findings += [Finding("was never sealed", entry_id=pk) for pk in late.values_list("pk", flat=True)[:100]]
    return Verdict(number, entries, unsealed.count(), before.hex() if number else "", tuple(findings))


def entry_hash(entry: AuditEntry) -> bytes:
    """Return the hash of one entry."""
    values = [
        entry.pk,
        entry.at.isoformat(),
        entry.recorded_wall_at.isoformat(),
        entry.actor,
        entry.verb,
        entry.target,
        entry.detail,
    ]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def seal_hash(before: bytes, number: int, hashes: Sequence[bytes]) -> bytes:
    """Return the hash of a seal over the one before it and its entries."""
    return sha256(before + number.to_bytes(8, "big") + b"".join(hashes)).digest()


@transaction.atomic
def _seal_batch() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALER_LOCK])
        if not cursor.fetchone()[0]:
            return 0  # another sealer is at it
    entries = list(AuditEntry.objects.filter(sealed=None).order_by("pk")[:BATCH])
    if not entries:
        return 0
    last = AuditSeal.objects.order_by("-number").first()
    number, before = (1, GENESIS) if last is None else (last.number + 1, bytes(last.sha256))
    hashes = [entry_hash(entry) for entry in entries]
    seal = AuditSeal.objects.create(
        number=number, sha256=seal_hash(before, number, hashes), sealed_wall_at=clock.wall_now()
    )
    SealedEntry.objects.bulk_create(
        SealedEntry(entry=entry, seal=seal, position=position, sha256=each)
        for position, (entry, each) in enumerate(zip(entries, hashes, strict=True))
    )
    return len(entries)


def _entry_findings(seal: AuditSeal, sealed: Sequence[SealedEntry]) -> Iterator[Finding]:
    if not sealed:
        yield Finding("it names no entry", seal=seal.number)
    entries = AuditEntry.objects.in_bulk([each.entry_id for each in sealed])
    for position, each in enumerate(sealed):
        if each.position != position:
            yield Finding(f"place {position} is empty", seal=seal.number)
            return
        entry = entries.get(each.entry_id)
        if entry is None:
            yield Finding("is gone", seal=seal.number, entry_id=each.entry_id)
        elif entry_hash(entry) != bytes(each.sha256):
            yield Finding("was edited", seal=seal.number, entry_id=each.entry_id)
