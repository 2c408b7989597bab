"""What an adapter of the servicing door does, and the values that pass through it.

An adapter is one module with three functions: `verify` says who sent the message and what makes it unlike any
other, `parse` reads what is asked, `answer` writes what came of it. A network operator with a scheme of its
own is one more such module in `ADAPTERS`; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from campaigns.models import ServicingSignal
from campaigns.servicing.signatures import Message
from opendsr.kernel.errors import Invalid

KeyOf = Callable[[str], bytes]
"""The public key (32 bytes) by its id; raises SignatureRefused for one unknown or ended."""


class RequestInvalid(Invalid):
    """What is asked cannot be read: `field`, `value`, `reason` says what to send instead."""

    field: str
    value: object
    reason: str


@dataclass(frozen=True, slots=True)
class Credential:
    """Who signed a message, and what tells this signing from any other."""

    key_id: str
    nonce: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """A signal as it was understood.

    START names `zone`, `direction`, `size_w`, `minutes` and perhaps `starts_at` (None: at once);
    `is_rehearsal`: it is planned and answered, and nothing is sent, as for a sandbox. STOP names
    the signal it ends by `of`; EMERGENCY_STOP a `zone`, or "" for everything of the client. CAP names `zone`,
    `direction` ("import" or "export"), the cap as `size_w` and a `sequence` that rises.
    """

    kind: ServicingSignal.Kind
    zone: str = ""
    direction: str = ""
    size_w: int = 0
    minutes: int = 0
    starts_at: datetime | None = None
    of: str = ""
    reference: str = ""
    sequence: int = 0
    is_rehearsal: bool = False

    def shown(self) -> dict[str, Any]:
        """As it is kept on record."""
        return {
            "kind": self.kind.value,
            "zone": self.zone,
            "direction": self.direction,
            "size_w": self.size_w,
            "minutes": self.minutes,
            "starts_at": self.starts_at.isoformat() if self.starts_at else None,
            "of": self.of,
            "reference": self.reference,
            "sequence": self.sequence,
            "is_rehearsal": self.is_rehearsal,
        }


def ask_from(shown: Mapping[str, Any]) -> Ask:
    """The ask kept by `Ask.shown`."""
    starts_at = shown["starts_at"]
    return Ask(
        kind=ServicingSignal.Kind(shown["kind"]),
        zone=shown["zone"],
        direction=shown["direction"],
        size_w=shown["size_w"],
        minutes=shown["minutes"],
        starts_at=datetime.fromisoformat(starts_at) if starts_at else None,
        of=shown["of"],
        reference=shown["reference"],
        sequence=shown.get("sequence", 0),
        is_rehearsal=shown.get("is_rehearsal", False),
    )


class Adapter(Protocol):
    """One operator's way of speaking to the door."""

    def verify(self, message: Message, *, key_of: KeyOf, wall: datetime) -> Credential:
        """Who signed it; raises SignatureRefused."""

    def parse(self, message: Message) -> Ask:
        """What is asked; raises RequestInvalid."""

    def answer(self, signal: ServicingSignal) -> dict[str, Any]:
        """What the client is told of its signal."""
