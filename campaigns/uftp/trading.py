"""Requests, orders and what a buyer says of our offers: from a message to the market's own services.

Each takes a message that is verified and new, inside the transaction that answers it, and raises Rejected, or
what the market's services raise, for what cannot be taken; then nothing of it stands.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from campaigns.market import offering, ordering, receiving, telling
from campaigns.models import MarketOffer, MarketOrder, MarketRequest, UftpMessage, UftpPoint, UftpTerms
from campaigns.uftp import reading, wire
from campaigns.uftp.reading import Rejected
from campaigns.uftp.sending import OPTION
from campaigns.uftp.wire import Element, Payload
from campaigns.uftp_models import UftpSign
from opendsr.kernel.periods import period_of, period_start

PENNY: Final = Decimal("0.01")
State = UftpMessage.State
OfferState = MarketOffer.State


def take_request(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None:
    """A FlexRequest becomes a request of the market; a later revision takes the place of the one before."""
    root = payload.root
    day = reading.require_market(root)
    point = point_of(root, terms)
    spaces = reading.by_isp(root.findall("ISP"), day, reading.space)
    asked = reading.asked(spaces, sign=UftpSign(terms.sign))
    if point.direction not in ("either", asked.direction):
        detail = f"this congestion point is agreed for {point.direction.replace('_', ' ')} alone"
        raise Rejected(reason="Invalid Message", detail=detail)
    starts_at = reading.start_of(day, asked.first)
    if starts_at <= at:
        raise Rejected(reason="Period Out Of Bounds", detail=f"ISP {asked.first} of {day} has begun")
    expires_at = wire.instant(root, "ExpirationDateTime")
    if not at < expires_at <= starts_at:
        raise Rejected(
            reason="Expiration DateTime Out Of Bounds",
            detail="it has passed" if expires_at <= at else f"it is after ISP {asked.first} begins",
        )
    _replace_earlier(payload, terms=terms, day=day, at=at)
    row.request, _ = receiving.receive_request(
        party=terms.party,
        asked=receiving.Asked(
            reference=str(payload.message_id),
            preset=point.preset_id,
            direction=asked.direction,
            zone_kind=point.zone_kind,
            zone=point.zone,
            starts_at=starts_at,
            profile_w=asked.profile_w,
            price_mp_per_kwh=point.price_mp_per_kwh,
            penalty_mp_per_kwh=point.penalty_mp_per_kwh,
            deadline_at=expires_at,
        ),
        source=MarketRequest.Source.UFTP,
        at=at,
        by=None,
    )


def take_order(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None:
    """A FlexOrder for an offer of ours, whole or by an ActivationFactor, becomes an order of the market."""
    root = payload.root
    day = reading.require_market(root)
    if not root.get("FlexOfferMessageID"):
        raise Rejected(reason="Unknown Reference", detail="an order is taken for an offer of ours alone")
    told = ours(root, "FlexOfferMessageID", "FlexOffer", terms)
    offer = told.offer
    if offer is None:
        raise Rejected(reason="Unknown Reference", detail="FlexOfferMessageID")
    row.request, row.offer = offer.request, offer
    offered = wire.tree(told.xml.encode())
    _same_offer(root, offered, day=day, terms=terms)
    factor = _factor(root, offered)
    ordered_w = _ordered_w(root, offer, day=day, factor=factor, terms=terms)
    if offer.state == OfferState.WITHDRAWN:
        raise Rejected(reason="Reference Message Revoked", detail="the offer was revoked")
    # An order said again is answered as it was, also once the offer has run out.
    is_late = offer.state == OfferState.MADE and offer.good_until <= at
    if offer.state == OfferState.LAPSED or is_late:
        until = wire.stamp(offer.good_until)
        raise Rejected(reason="Reference Message Expired", detail=f"the offer was good until {until}")
    reference = wire.text(root, "OrderReference")
    if (
        MarketOrder.objects.filter(offer__request__party=terms.party_id, reference=reference)
        .exclude(offer=offer)
        .exists()
    ):
        raise Rejected(reason="Duplicate Identifier", detail="OrderReference is of another order")
    ordering.receive_order(
        request_id=offer.request_id,
        reference=reference,
        ordered_w=ordered_w,
        at=at,
        by=None,
    )


def take_reservation(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None:
    """A FlexReservationUpdate is read and noted: nothing is reserved here beyond what an offer holds."""
    root = payload.root
    day = reading.require_market(root)
    point = point_of(root, terms)
    kept = reading.by_isp(root.findall("ISP"), day, reading.power)
    contract, reference = wire.text(root, "ContractID"), wire.text(root, "Reference")
    telling.note(
        "FlexReservationUpdate",
        party=terms.party,
        is_ours=False,
        at=at,
        by=None,
        body={
            "point": point.congestion_point,
            "contract": contract,
            "reference": reference,
            "day": day.isoformat(),
            "most_w": max(kept.values(), key=abs),
        },
    )


def take_test(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None:
    """A TestMessage asks for its answer and nothing more."""


def take_answer(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None:
    """What the buyer says of a message of ours; an offer that it refuses lets its assets go."""
    root = payload.root
    accepted = wire.text(root, "Result") == "Accepted"
    reason = wire.optional(root, "RejectionReason")
    if payload.kind == "TestMessageResponse":
        told = (
            UftpMessage.objects.filter(
                party=terms.party, is_ours=True, kind="TestMessage", conversation_id=payload.conversation_id
            )
            .order_by("-pk")
            .first()
        )
        if told is None:
            raise Rejected(reason="Unknown Reference", detail="ConversationID")
    elif payload.kind == "D-PrognosisResponse":
        raise Rejected(reason="Unknown Reference", detail="no D-Prognosis was sent: another baseline is used")
    else:
        kind = payload.kind.removesuffix("Response")
        told = ours(root, f"{kind}MessageID", kind, terms)
    row.answers, row.request, row.offer = told, told.request, told.offer
    told.state, told.reason = (State.ACCEPTED, "") if accepted else (State.REJECTED, reason)
    told.save(update_fields=["state", "reason"])
    if payload.kind == "TestMessageResponse" or not accepted:
        what = f"{told.kind} {'accepted' if accepted else 'refused'}"
        telling.note(
            what,
            party=terms.party,
            request=told.request,
            is_ours=False,
            at=at,
            by=None,
            body={"reason": reason},
        )
    if told.kind == "FlexOffer" and not accepted and told.offer_id is not None:
        offering.take_refusal(offer_id=told.offer_id, at=at)


def point_of(root: Element, terms: UftpTerms) -> UftpPoint:
    """The congestion point that the message names; raises Rejected."""
    address = wire.text(root, "CongestionPoint", wire.POINT)
    found = UftpPoint.objects.filter(party=terms.party_id, congestion_point=address, ended_at=None).first()
    if found is None:
        raise Rejected(reason="Invalid Congestion Point", detail=f"{address[:80]} is not agreed with us")
    return found


def ours(root: Element, field: str, kind: str, terms: UftpTerms) -> UftpMessage:
    """The message of ours that it refers to; raises Rejected."""
    found = (
        UftpMessage.objects.select_related("offer__request", "request")
        .filter(party=terms.party_id, is_ours=True, kind=kind, message_id=wire.uuid(root, field))
        .first()
    )
    if found is None:
        raise Rejected(reason="Unknown Reference", detail=field)
    return found


def _replace_earlier(payload: Payload, *, terms: UftpTerms, day: date, at: datetime) -> None:
    """Withdraw the revision that this one takes the place of; raises Rejected where it does not."""
    root = payload.root
    revision = wire.whole(root, "Revision")
    earlier = UftpMessage.objects.select_related("request").filter(
        party=terms.party_id,
        is_ours=False,
        kind="FlexRequest",
        state=State.ACCEPTED,
        conversation_id=payload.conversation_id,
        request__starts_at__gte=period_start(day, 1),
        request__starts_at__lt=period_start(day + timedelta(days=1), 1),
    )
    for each in earlier.order_by("-pk"):
        before = wire.tree(each.xml.encode())
        if each.request is None or before.get("CongestionPoint") != root.get("CongestionPoint"):
            continue
        if wire.whole(before, "Revision") >= revision:
            detail = f"revision {wire.whole(before, 'Revision')} was taken in this conversation"
            raise Rejected(reason="Subordinate Sequence Number", detail=detail)
        if each.request.state == MarketRequest.State.ORDERED:
            raise Rejected(reason="Invalid Message", detail="the revision before was ordered already")
        if each.request.state in (MarketRequest.State.OPEN, MarketRequest.State.OFFERED):
            receiving.withdraw_request(request_id=each.request.pk, at=at, by=None)
        return


def _same_offer(root: Element, offered: Element, *, day: date, terms: UftpTerms) -> None:
    """Raise Rejected unless the order is for what the offer was for."""
    if wire.day(offered, "Period") != day:
        raise Rejected(reason="Reference Period Mismatch", detail=f"the offer is for {offered.get('Period')}")
    if root.get("CongestionPoint") != offered.get("CongestionPoint"):
        raise Rejected(reason="Invalid Congestion Point", detail="it is not the offer's")
    if root.get("D-PrognosisMessageID"):
        raise Rejected(reason="Unknown Reference", detail="no D-Prognosis was sent: another baseline is used")
    if (root.get("BaselineReference") or terms.baseline_reference) != (
        offered.get("BaselineReference") or terms.baseline_reference
    ):
        raise Rejected(reason="Unknown Reference", detail="BaselineReference is not the offer's")
    if (root.get("ContractID") or "") not in ("", offered.get("ContractID") or ""):
        raise Rejected(reason="Unknown Reference", detail="ContractID is not the offer's")
    if (root.get("OptionReference") or OPTION) != OPTION:
        raise Rejected(reason="Unknown Reference", detail="OptionReference is not the offer's")


def _factor(root: Element, offered: Element) -> Decimal:
    """The part that is ordered, once its price is right; raises Rejected."""
    option = offered.find("OfferOption")
    factor = wire.number(root, "ActivationFactor", otherwise=Decimal(1))
    least = wire.number(option, "MinActivationFactor", otherwise=Decimal(1))
    if not least <= factor <= 1:
        raise Rejected(reason="Invalid Message", detail=f"ActivationFactor is {least} to 1.00")
    if wire.text(root, "Currency") != wire.CURRENCY:
        raise Rejected(reason="Invalid Message", detail=f"Currency is {wire.CURRENCY}")
    wanted = wire.number(option, "Price") * factor
    if abs(wire.number(root, "Price") - wanted) > PENNY:
        raise Rejected(reason="Invalid Message", detail=f"Price is {wanted:.4f}, as offered")
    return factor


def _ordered_w(
    root: Element, offer: MarketOffer, *, day: date, factor: Decimal, terms: UftpTerms
) -> list[int]:
    """What is ordered by half-hour of the offer; raises Rejected unless it is what was offered."""
    said = reading.by_isp(root.findall("ISP"), day, reading.power)
    request = offer.request
    _, first = period_of(request.starts_at)
    ordered_w = []
    for isp, offered_w in enumerate(offer.offered_w, first):
        wanted = reading.signed_w(offered_w, direction=request.direction, sign=UftpSign(terms.sign)) * factor
        told = said.pop(isp, 0)
        if abs(told - wanted) > 1:
            detail = f"ISP {isp} is {wanted:.0f} W as offered, not {told} W"
            raise Rejected(reason="Invalid Message", detail=detail)
        ordered_w.append(min(abs(told), offered_w))
    if any(said.values()):
        raise Rejected(reason="Invalid Message", detail=f"ISP {min(said)} was not offered")
    return ordered_w
