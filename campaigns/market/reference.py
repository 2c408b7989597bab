"""The documented adapter: JSON, signed as a network operator's signals are (RFC 9421).

Power in W, prices in pence a kWh as text or number with at most three decimals, times ISO 8601 with a zone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from campaigns.market.port import Kind, Said
from campaigns.market.receiving import Asked
from campaigns.market_models import MOST_HALF_HOURS
from campaigns.models import MarketOffer, MarketOrder, MarketRequest
from campaigns.servicing import reference as servicing
from campaigns.servicing.port import RequestInvalid
from campaigns.servicing.signatures import Message
from opendsr.kernel.money import MP_PER_PENNY

verify = servicing.verify
LARGEST: Final = 2_000_000_000
FIELDS: Final = {
    Kind.REQUEST: {
        "kind",
        "direction",
        "zone_kind",
        "zone",
        "starts_at",
        "profile_w",
        "price_pence_per_kwh",
        "penalty_pence_per_kwh",
        "deadline_at",
    },
    Kind.ORDER: {"order_reference", "ordered_w"},
    Kind.WITHDRAWAL: set(),
}


def parse(message: Message) -> Said:
    """What it says; raises RequestInvalid."""
    try:
        data = json.loads(message.body or b"null", parse_float=Decimal)
    except (ValueError, RecursionError):
        raise RequestInvalid(field="body", value=None, reason="send a JSON object") from None
    if not isinstance(data, dict):
        raise RequestInvalid(field="body", value=None, reason="send a JSON object")
    what = data.get("message")
    if not isinstance(what, str) or what not in list(Kind):
        raise _wrong(data, "message", f"one of {', '.join(Kind)}")
    kind = Kind(what)
    unknown = sorted(set(data) - FIELDS[kind] - {"message", "reference"})
    if unknown:
        raise RequestInvalid(
            field=unknown[0][:60], value=None, reason=f"leave it out: a message of {kind} takes no such field"
        )
    reference = _text(data, "reference", longest=80)
    if kind == Kind.WITHDRAWAL:
        return Said(kind, reference)
    if kind == Kind.ORDER:
        ordered_w = _powers(data, "ordered_w") if data.get("ordered_w") is not None else None
        order_reference = _text(data, "order_reference", longest=80)
        return Said(kind, reference, order_reference=order_reference, ordered_w=ordered_w)
    has_zone = data.get("zone") is not None
    asked = Asked(
        reference=reference,
        preset=_text(data, "kind", longest=20),
        direction=_text(data, "direction", longest=12),
        zone_kind=_text(data, "zone_kind", longest=16),
        zone=_text(data, "zone", longest=60) if has_zone else "",
        starts_at=_instant(data, "starts_at"),
        profile_w=_powers(data, "profile_w"),
        price_mp_per_kwh=_mp(data, "price_pence_per_kwh"),
        penalty_mp_per_kwh=_mp(data, "penalty_pence_per_kwh") if "penalty_pence_per_kwh" in data else 0,
        deadline_at=_instant(data, "deadline_at"),
    )
    return Said(kind, reference, asked=asked)


def answer(request: MarketRequest) -> dict[str, Any]:
    """How the request stands, with what is offered and was ordered."""
    offer = request.offers.order_by("-made_at").first()
    order = MarketOrder.objects.filter(offer__request=request).first()
    return {
        "request_id": str(request.pk),
        "reference": request.reference,
        "state": request.state,
        "reason": request.reason,
        "deadline_at": request.deadline_at.isoformat(),
        "offer": None if offer is None else _offer(offer),
        "order": None
        if order is None
        else {"order_reference": order.reference, "ordered_w": order.ordered_w, "price_pence": _pence(order)},
    }


def _offer(offer: MarketOffer) -> dict[str, Any]:
    return {
        "offer_id": str(offer.pk),
        "state": offer.state,
        "starts_at": offer.request.starts_at.isoformat(),
        "offered_w": offer.offered_w,
        "price_pence": _pence(offer),
        "good_until": offer.good_until.isoformat(),
    }


def _pence(row: MarketOffer | MarketOrder) -> str:
    return f"{Decimal(row.price_mp) / MP_PER_PENNY:.3f}"


def _wrong(data: dict[str, Any], field: str, reason: str) -> RequestInvalid:
    value = data.get(field)
    return RequestInvalid(field=field, value=str(value)[:80] if value is not None else None, reason=reason)


def _text(data: dict[str, Any], field: str, *, longest: int) -> str:
    value = data.get(field)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= longest or not value.isprintable():
        raise _wrong(data, field, f"1 to {longest} printable letters")
    return value.strip()


def _powers(data: dict[str, Any], field: str) -> tuple[int, ...]:
    value = data.get(field)
    is_list = isinstance(value, list) and 1 <= len(value) <= MOST_HALF_HOURS
    if not is_list or not all(type(each) is int and 0 <= each <= LARGEST for each in value or ()):
        raise _wrong(data, field, f"a list of 1 to {MOST_HALF_HOURS} whole numbers, W by half-hour")
    return tuple(value or ())


def _mp(data: dict[str, Any], field: str) -> int:
    value = data.get(field)
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal) or len(str(value)) > 12:
            raise InvalidOperation
        pence = Decimal(value)
        # The bound first: what is far beyond it cannot even be multiplied.
        if not pence.is_finite() or not 0 <= pence <= LARGEST or pence * MP_PER_PENNY > LARGEST:
            raise InvalidOperation
        mp = pence * MP_PER_PENNY
        if mp != int(mp):
            raise InvalidOperation
    except InvalidOperation:
        raise _wrong(data, field, "pence a kWh, with at most three decimals") from None
    return int(mp)


def _instant(data: dict[str, Any], field: str) -> datetime:
    value = data.get(field)
    try:
        at = datetime.fromisoformat(value)  # type: ignore[arg-type]
        if at.utcoffset() is None or not 2000 <= at.year <= 2100:
            raise ValueError
        return at.astimezone(UTC)
    except (TypeError, ValueError):
        reason = "an ISO 8601 time with its zone, such as 2026-01-14T17:00:00Z"
        raise _wrong(data, field, reason) from None
