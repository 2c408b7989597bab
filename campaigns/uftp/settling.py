"""A buyer's FlexSettlement against our own figures: each order accepted, or disputed with the reason.

What homes delivered is measured by a room above this one: it is told which campaigns a settlement names
(`campaigns_of`) and hands back Wh by half-hour (`answer`). Orders that are not measured yet are waited for, a
week at most. A difference beyond the buyer's tolerance is disputed whichever side it favours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction

from campaigns.market import telling
from campaigns.models import MarketOrder, MarketStretch, UftpMessage, UftpTerms
from campaigns.uftp import reading, sending, wire
from campaigns.uftp.reading import Rejected
from campaigns.uftp.wire import Element, Payload
from opendsr.kernel import outbox
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.money import MP_PER_POUND
from opendsr.kernel.periods import period_of

RECEIVED: Final = "campaigns.uftp.settlement_received"
WAIT: Final = timedelta(days=7)
AGAIN: Final = timedelta(days=1)
PENNY: Final = Decimal("0.01")
LEAST_TOLERANCE_W: Final = 100
MOST_REASONS: Final = 3
MOST_ORDERS: Final = 2_000
State = UftpMessage.State
Measured = Mapping[UUID, Mapping[datetime, int]]
"""Wh delivered by the start of the half-hour, of each campaign that is measured."""


@dataclass(frozen=True, slots=True)
class Line:
    """A half-hour of a buyer's settlement, W; `delivered_w` counts towards what was ordered."""

    ordered_w: int
    delivered_w: int
    deficiency_w: int


@dataclass(frozen=True, slots=True)
class Figures:
    """An order as one side has it: pounds, and by half-hour what was ordered and delivered."""

    day: date
    congestion_point: str
    price: Decimal
    penalty: Decimal
    net: Decimal
    lines: Mapping[int, Line]


@dataclass(frozen=True, slots=True)
class Own:
    """Our figures of an order; `delivered_w` None: there is nothing to measure (a trial)."""

    day: date
    congestion_point: str
    price: Decimal
    penalty_mp_per_kwh: int
    ordered_w: Mapping[int, int]
    delivered_w: Mapping[int, int] | None


def take_settlement(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None:
    """Read it whole and put it in line to be compared; raises Rejected, NotUftp."""
    root = payload.root
    if wire.text(root, "Currency") != wire.CURRENCY:
        raise Rejected(reason="Invalid Message", detail=f"Currency is {wire.CURRENCY}")
    if wire.day(root, "PeriodStart") > wire.day(root, "PeriodEnd"):
        raise Rejected(reason="Period Out Of Bounds", detail="PeriodStart is after PeriodEnd")
    found = said_of(root)
    if not found:
        raise Rejected(reason="Invalid Message", detail="it settles no order")
    row.state = State.WAITING
    orders = {"orders": sorted(found)[:50]}
    telling.note("FlexSettlement", party=terms.party, is_ours=False, at=at, by=None, body=orders)
    outbox.record(RECEIVED, at=at, key=f"{row.pk}:0", message_pk=row.pk, tries=0)


def said_of(root: Element) -> dict[str, Figures]:
    """The orders that a FlexSettlement has, by reference; raises Rejected, NotUftp."""
    found: dict[str, Figures] = {}
    for element in root.findall("FlexOrderSettlement")[: MOST_ORDERS + 1]:
        reference, day = wire.text(element, "OrderReference"), wire.day(element, "Period")
        if reference in found or len(found) == MOST_ORDERS:
            detail = f"order {reference[:80]} comes twice" if reference in found else "too many orders"
            raise Rejected(reason="Invalid Message", detail=detail)
        if not wire.day(root, "PeriodStart") <= day <= wire.day(root, "PeriodEnd"):
            raise Rejected(reason="Period Out Of Bounds", detail=f"order {reference[:80]} is of {day}")
        found[reference] = Figures(
            day=day,
            congestion_point=wire.text(element, "CongestionPoint", wire.POINT),
            price=wire.number(element, "Price"),
            penalty=wire.number(element, "Penalty", otherwise=Decimal(0)),
            net=wire.number(element, "NetSettlement"),
            lines=reading.by_isp(element.findall("ISP"), day, _line),
        )
    return found


def campaigns_of(*, message_pk: int) -> set[UUID]:
    """The campaigns of the orders that a settlement names, to be measured."""
    row = UftpMessage.objects.get(pk=message_pk)
    orders = _orders(row, said_of(wire.tree(row.xml.encode())))
    stretches = MarketStretch.objects.filter(order__in=[order.pk for order in orders.values()])
    return set(stretches.values_list("campaign", flat=True))


@transaction.atomic
def answer(*, message_pk: int, tries: int, measured: Measured, at: datetime) -> UftpMessage | None:
    """Compare a settlement and answer it; None where it is answered already, or waits for figures."""
    row = UftpMessage.objects.select_for_update(of=("self",)).select_related("party").get(pk=message_pk)
    if row.state != State.WAITING:
        return None
    if campaigns_of(message_pk=row.pk) - measured.keys() and at < row.at + WAIT:
        outbox.record(
            RECEIVED,
            at=at,
            due_at=at + AGAIN,
            key=f"{row.pk}:{tries + 1}",
            message_pk=row.pk,
            tries=tries + 1,
        )
        return None
    terms = UftpTerms.objects.get(party=row.party_id)
    said = said_of(wire.tree(row.xml.encode()))
    orders = _orders(row, said)
    disputes = {
        reference: dispute(
            figures,
            _own(orders[reference], measured) if reference in orders else None,
            tolerance_pct=terms.tolerance_pct,
        )
        for reference, figures in said.items()
    }
    UftpMessage.objects.filter(pk=row.pk).update(state=State.ACCEPTED)
    disputed = {reference: words for reference, words in disputes.items() if words}
    what = "FlexSettlement disputed" if disputed else "FlexSettlement accepted"
    telling.note(what, party=row.party, is_ours=True, at=at, by=None, body=_reasons(disputed))
    return sending.compose(
        "FlexSettlementResponse",
        terms=terms,
        fields={"Result": "Accepted", "FlexSettlementMessageID": str(row.message_id)},
        parts=[_status(reference, words) for reference, words in disputes.items()],
        conversation_id=row.conversation_id,
        answers=row,
        at=at,
    )


def dispute(said: Figures, own: Own | None, *, tolerance_pct: int) -> str:
    """Why an order's settlement is disputed, "" where it is accepted. Pure."""
    if own is None:
        return "no such order was taken"
    reasons = []
    if (said.day, said.congestion_point) != (own.day, own.congestion_point):
        reasons.append(f"the order is of {own.day} at {own.congestion_point}")
    if abs(said.price - own.price) > PENNY:
        reasons.append(f"the price ordered is {own.price:.4f}, not {said.price:.4f}")
    if abs(said.price - said.penalty - said.net) > PENNY:
        reasons.append("NetSettlement is not Price less Penalty")
    if abs(said.penalty) > _penalty(said, own) + PENNY:
        reasons.append(f"the penalty agreed comes to {_penalty(said, own):.4f}, not {said.penalty:.4f}")
    for isp in sorted(own.ordered_w.keys() | said.lines.keys()):
        reasons += _line_reasons(isp, said.lines.get(isp), own, tolerance_pct=tolerance_pct)
    left = len(reasons) - MOST_REASONS
    more = f"; and {left} more" if left > 0 else ""
    return "; ".join(reasons[:MOST_REASONS]) + more


def _line_reasons(isp: int, line: Line | None, own: Own, *, tolerance_pct: int) -> list[str]:
    ordered_w = own.ordered_w.get(isp, 0)
    if line is None:
        return [f"ISP {isp} is missing"] if ordered_w else []
    reasons = []
    if line.ordered_w != ordered_w:
        reasons.append(f"ISP {isp}: ordered {ordered_w} W, not {line.ordered_w} W")
    if own.delivered_w is None:
        return reasons
    tolerance_w = max(LEAST_TOLERANCE_W, ordered_w * tolerance_pct // 100)
    delivered_w = own.delivered_w.get(isp)
    if delivered_w is None:
        if ordered_w:
            reasons.append(f"ISP {isp}: not measured by us")
    elif abs(min(line.delivered_w, ordered_w) - min(delivered_w, ordered_w)) > tolerance_w:
        reasons.append(f"ISP {isp}: delivered {delivered_w} W by our meters, not {line.delivered_w} W")
    lacks_w = max(0, ordered_w - line.delivered_w)
    if line.deficiency_w > lacks_w + tolerance_w:
        reasons.append(f"ISP {isp}: {lacks_w} W lack, not {line.deficiency_w} W")
    return reasons


def _penalty(said: Figures, own: Own) -> Decimal:
    """What the buyer's own deficiencies cost at the agreed penalty, in pounds."""
    wh_twice = sum(line.deficiency_w for line in said.lines.values())
    return Decimal(wh_twice * own.penalty_mp_per_kwh) / 2_000 / MP_PER_POUND


def _line(element: Element) -> Line:
    ordered = wire.whole(element, "OrderedFlexPower")
    delivered = wire.whole(element, "DeliveredFlexPower")
    return Line(
        ordered_w=abs(ordered),
        delivered_w=-delivered if ordered < 0 else delivered,
        deficiency_w=abs(wire.whole(element, "PowerDeficiency", otherwise=0)),
    )


def _orders(row: UftpMessage, said: Mapping[str, Figures]) -> dict[str, MarketOrder]:
    found = MarketOrder.objects.select_related("offer__request").filter(
        offer__request__party=row.party_id, reference__in=list(said)
    )
    return {order.reference: order for order in found}


def _own(order: MarketOrder, measured: Measured) -> Own:
    request = order.offer.request
    told = UftpMessage.objects.filter(offer=order.offer_id, kind="FlexOffer").first()
    day, first = period_of(request.starts_at)
    starts = {first + each: request.starts_at + each * HALF_HOUR for each in range(len(order.ordered_w))}
    campaigns = list(order.stretches.values_list("campaign", flat=True))
    delivered: dict[int, int] | None = None if not campaigns else {}
    if delivered is not None:
        for isp, start in starts.items():
            wh = [measured[each][start] for each in campaigns if start in measured.get(each, {})]
            if wh:
                delivered[isp] = 2 * sum(wh)
    return Own(
        day=day,
        congestion_point=(wire.tree(told.xml.encode()).get("CongestionPoint") or "") if told else "",
        price=reading.pounds(order.price_mp),
        penalty_mp_per_kwh=request.penalty_mp_per_kwh,
        ordered_w={isp: power for isp, power in zip(starts, order.ordered_w, strict=True) if power},
        delivered_w=delivered,
    )


def _status(reference: str, words: str) -> Element:
    fields = {"OrderReference": reference, "Disposition": "Disputed" if words else "Accepted"}
    if words:
        fields["DisputeReason"] = words
    return wire.part("FlexOrderSettlementStatus", fields)


def _reasons(disputed: Mapping[str, str]) -> dict[str, str]:
    return {"reason": "; ".join(f"{key}: {words}" for key, words in disputed.items())[:400]}
