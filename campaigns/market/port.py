"""What an adapter of the market's door does, and the values that pass through it.

An adapter is one module with three functions: `verify` says who sent the message and what makes it unlike any
other, `parse` reads what it says, `answer` writes what came of it. A market with a scheme of its own is one
more such module in `ADAPTERS` (`api.py`); nothing else changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from campaigns.market.receiving import Asked
from campaigns.models import MarketRequest
from campaigns.servicing.port import Credential, KeyOf
from campaigns.servicing.signatures import Message


class Kind(StrEnum):
    """What a buyer's message may say."""

    REQUEST = "request"
    ORDER = "order"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class Said:
    """A message as it was understood.

    `reference` is of the buyer's request. A REQUEST has `asked`; an ORDER `order_reference` and perhaps
    `ordered_w` (None: all that was offered).
    """

    kind: Kind
    reference: str
    asked: Asked | None = None
    order_reference: str = ""
    ordered_w: tuple[int, ...] | None = None


class MarketAdapter(Protocol):
    """One market's way of speaking to the door."""

    def verify(self, message: Message, *, key_of: KeyOf, wall: datetime) -> Credential:
        """Who signed it; raises SignatureRefused."""

    def parse(self, message: Message) -> Said:
        """What it says; raises RequestInvalid."""

    def answer(self, request: MarketRequest) -> dict[str, Any]:
        """What the buyer is told of its request."""
