"""The log of what a buyer told and was told: one row each time, in the transaction that did it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from campaigns.models import MarketParty, MarketRequest, MarketTold

if TYPE_CHECKING:
    from members.models import User


def note(
    what: str,
    *,
    party: MarketParty,
    request: MarketRequest | None = None,
    is_ours: bool,
    at: datetime,
    by: User | None,
    body: Mapping[str, Any] | None = None,
) -> None:
    """Write down what was told; `by` is the staff member who told it or took it in, None: by itself."""
    MarketTold.objects.create(
        party=party,
        request=request,
        is_ours=is_ours,
        what=what,
        body=dict(body or {}),
        at=at,
        actor=f"user:{by.pk}" if by is not None else "system",
    )
