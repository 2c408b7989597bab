"""The documented adapter: Ed25519 message signatures (RFC 9421) over JSON.

A signature covers `@method`, `@target-uri`, `content-digest` where there is a body and `idempotency-key`
where there is one, and has `created`, `keyid` and `nonce`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from campaigns.models import Direction, ServicingSignal
from campaigns.servicing import signatures
from campaigns.servicing.port import Ask, Credential, KeyOf, RequestInvalid
from campaigns.servicing.signatures import Message, SignatureRefused

CLOCK_SECONDS: Final = 60
LONGEST_NONCE: Final = 120
LARGEST_W: Final = 2_000_000_000
LONGEST_MINUTES: Final = 240
LARGEST_SEQUENCE: Final = 2**53 - 1
CAPS: Final = ("import", "export")
Kind = ServicingSignal.Kind
_PLAIN: Final = re.compile(r"[\x21-\x7e]{8,120}")


def verify(message: Message, *, key_of: KeyOf, wall: datetime) -> Credential:
    """Who signed it; raises SignatureRefused."""
    signed = signatures.read(message)
    signed.require(["@method", "@target-uri"])
    if message.body:
        signed.require(["content-digest"])
        signatures.require_digest(message)
    if "idempotency-key" in message.headers:
        signed.require(["idempotency-key"])
    signed.require_current(wall=wall, seconds=CLOCK_SECONDS)
    if not _PLAIN.fullmatch(signed.nonce):
        raise SignatureRefused(reason=f"the nonce has to be 8 to {LONGEST_NONCE} printable letters")
    signed.require_by(key_of(signed.key_id))
    return Credential(signed.key_id, signed.nonce, signed.created_at)


def parse(message: Message) -> Ask:
    """What is asked; raises RequestInvalid."""
    try:
        data = json.loads(message.body or b"null")
    except (ValueError, RecursionError):
        raise RequestInvalid(field="body", value=None, reason="send a JSON object") from None
    if not isinstance(data, dict):
        raise RequestInvalid(field="body", value=None, reason="send a JSON object")
    kind = data.get("signal")
    if not isinstance(kind, str) or kind not in Kind.values:
        raise _wrong(data, "signal", f"one of {', '.join(Kind.values)}")
    unknown = sorted(set(data) - FIELDS[Kind(kind)] - {"signal", "reference"})
    if unknown:
        raise RequestInvalid(
            field=unknown[0][:60], value=None, reason=f"leave it out: a {kind} takes no such field"
        )
    reference = _text(data, "reference", longest=80, may_be_absent=True)
    if kind == Kind.STOP:
        return Ask(Kind.STOP, of=_signal_id(data), reference=reference)
    zone = _text(data, "zone", longest=60, may_be_absent=kind == Kind.EMERGENCY_STOP)
    if kind == Kind.EMERGENCY_STOP:
        return Ask(Kind.EMERGENCY_STOP, zone=zone, reference=reference)
    if kind == Kind.CAP:
        cap = data.get("cap")
        if not isinstance(cap, str) or cap not in CAPS:
            raise _wrong(data, "cap", f"one of {', '.join(CAPS)}")
        return Ask(
            Kind.CAP,
            zone=zone,
            direction=cap,
            size_w=_whole(data, "cap_w", least=0, most=LARGEST_W),
            sequence=_whole(data, "sequence", least=0, most=LARGEST_SEQUENCE),
            reference=reference,
        )
    direction = data.get("direction", Direction.TURN_DOWN.value)
    if not isinstance(direction, str) or direction not in Direction.values:
        raise _wrong(data, "direction", f"one of {', '.join(Direction.values)}")
    return Ask(
        Kind.START,
        zone=zone,
        direction=direction,
        size_w=_whole(data, "size_w", least=1, most=LARGEST_W),
        minutes=_whole(data, "minutes", least=1, most=LONGEST_MINUTES),
        starts_at=_instant(data),
        reference=reference,
    )


def answer(signal: ServicingSignal) -> dict[str, Any]:
    """What the client is told of its signal."""
    return {"signal_id": str(signal.pk), "state": signal.state, **signal.answer}


FIELDS: Final = {
    Kind.START: {"zone", "direction", "size_w", "minutes", "starts_at"},
    Kind.STOP: {"of"},
    Kind.EMERGENCY_STOP: {"zone"},
    Kind.CAP: {"zone", "cap", "cap_w", "sequence"},
}


def _wrong(data: dict[str, Any], field: str, reason: str) -> RequestInvalid:
    value = data.get(field)
    return RequestInvalid(field=field, value=str(value)[:80] if value is not None else None, reason=reason)


def _text(data: dict[str, Any], field: str, *, longest: int, may_be_absent: bool = False) -> str:
    value = data.get(field)
    if value is None and may_be_absent:
        return ""
    if not isinstance(value, str) or not 0 < len(value.strip()) <= longest or not value.isprintable():
        raise _wrong(data, field, f"1 to {longest} printable letters")
    return value.strip()


def _whole(data: dict[str, Any], field: str, *, least: int, most: int) -> int:
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong(data, field, f"a whole number, {least} to {most}")
    return value


def _instant(data: dict[str, Any]) -> datetime | None:
    value = data.get("starts_at")
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.utcoffset() is None or not 2000 <= at.year <= 2100:
            raise ValueError
        return at.astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError):
        raise _wrong(
            data, "starts_at", "an ISO 8601 time with its zone, such as 2026-01-14T17:00:00Z"
        ) from None


def _signal_id(data: dict[str, Any]) -> str:
    try:
        return str(UUID(data.get("of")))
    except (TypeError, ValueError, AttributeError):
        raise _wrong(data, "of", "the signal_id that the start was answered with") from None
