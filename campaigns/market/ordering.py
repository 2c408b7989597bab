"""The buyer takes an offer: each stretch of one power becomes a campaign, planned, for staff to approve.

A campaign asks one power for four hours at most, so a profile is cut where its power changes and every four
hours; half-hours of 0 are nobody's. Assets of the offer stay held, and its own campaigns may plan with them.
A buyer on trial is answered the same, and no campaign comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction

from campaigns import creating, planning
from campaigns.market import telling
from campaigns.market.offering import price_mp
from campaigns.market.receiving import RequestClosed, is_trial, locked
from campaigns.models import (
    Campaign,
    MarketOffer,
    MarketOfferAsset,
    MarketOrder,
    MarketRequest,
    MarketStretch,
)
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.interval import HALF_HOUR

if TYPE_CHECKING:
    from members.models import User

State = MarketRequest.State
OfferState = MarketOffer.State
MOST_HALF_HOURS: Final = creating.LONGEST // HALF_HOUR


class NotOffered(DomainError):
    """Nothing was offered for the request that could be ordered: `state` of the request."""

    state: str


class OrderTooLate(DomainError):
    """The offer was good until `good_until`."""

    good_until: str


class OrderInvalid(Invalid):
    """An order that does not fit the offer: `field`, `reason`."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Half-hours [first, after) of a profile, with one power."""

    first: int
    after: int
    power_w: int


@transaction.atomic
def receive_order(
    *,
    request_id: UUID,
    reference: str,
    at: datetime,
    by: User | None,
    ordered_w: Sequence[int] | None = None,
) -> MarketOrder:
    """Take the order for what was offered, or for less of it by half-hour; again, the order there is.

    Raises RequestNotFound, RequestClosed, NotOffered, OrderTooLate, OrderInvalid.
    """
    reference = reference.strip()
    request = locked(request_id)
    offer = request.offers.filter(state__in=(OfferState.MADE, OfferState.ORDERED)).first()
    if offer is None:
        if request.state in (State.OPEN, State.OFFERED):
            raise NotOffered(state=request.state)
        raise RequestClosed(state=request.state)
    wanted = list(offer.offered_w if ordered_w is None else ordered_w)
    if offer.state == OfferState.ORDERED:
        if (offer.order.reference, offer.order.ordered_w) != (reference, wanted):
            raise RequestClosed(state=request.state)
        return offer.order
    if offer.good_until <= at:
        raise OrderTooLate(good_until=offer.good_until.isoformat())
    if not 0 < len(reference) <= 80 or not reference.isprintable():
        raise OrderInvalid(field="reference", reason="give the order's reference: 1 to 80 letters")
    if len(wanted) != len(offer.offered_w):
        raise OrderInvalid(field="ordered_w", reason=f"give {len(offer.offered_w)} half-hours, as offered")
    is_within = all(0 <= each <= most for each, most in zip(wanted, offer.offered_w, strict=True))
    if not is_within or not any(wanted):
        raise OrderInvalid(field="ordered_w", reason="order at most what was offered, and more than nothing")
    order = MarketOrder.objects.create(
        offer=offer,
        reference=reference,
        ordered_w=wanted,
        price_mp=price_mp(request, wanted),
        received_at=at,
        received_by=by,
    )
    offer.state = OfferState.ORDERED
    offer.save(update_fields=["state"])
    request.state = State.ORDERED
    request.save(update_fields=["state"])
    body = {"reference": reference, "ordered_w": wanted, "price_mp": order.price_mp}
    telling.note("order", party=request.party, request=request, is_ours=False, at=at, by=by, body=body)
    if not is_trial(request):
        _make_campaigns(order, request, at=at, by=by)
    return order


@transaction.atomic
def let_go(*, campaign_id: UUID) -> bool:
    """Let go of the assets of an order of which every campaign was cancelled; whether any were held."""
    order_id = MarketStretch.objects.filter(campaign=campaign_id).values_list("order", flat=True).first()
    if order_id is None:
        return False
    parts = MarketStretch.objects.filter(order=order_id)
    if parts.exclude(campaign__state=Campaign.State.CANCELLED).exists():
        return False
    held = MarketOfferAsset.objects.filter(offer__order=order_id, is_held=True)
    return held.update(is_held=False) > 0


def stretches(profile_w: Sequence[int]) -> Iterator[Stretch]:
    """The profile as stretches of one power, of MOST_HALF_HOURS at most, zeros left out. Pure."""
    first = 0
    for number in range(1, len(profile_w) + 1):
        is_full = number - first == MOST_HALF_HOURS
        if number == len(profile_w) or profile_w[number] != profile_w[first] or is_full:
            if profile_w[first]:
                yield Stretch(first, number, profile_w[first])
            first = number


def _make_campaigns(order: MarketOrder, request: MarketRequest, *, at: datetime, by: User | None) -> None:
    parts = list(stretches(order.ordered_w))
    for number, part in enumerate(parts, 1):
        place = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        campaign = creating.create_campaign(
            programme=request.party.programme,
            name=f"{request.party.name[:40]}: {request.reference[:60]}{place}",
            direction=request.direction,
            zone_kind=request.zone_kind,
            zone=request.zone,
            size_w=part.power_w,
            starts_at=request.starts_at + part.first * HALF_HOUR,
            ends_at=request.starts_at + part.after * HALF_HOUR,
            at=at,
            by=by,
            reason="",
            hold_out_pct=0,
        )
        MarketStretch.objects.create(order=order, campaign=campaign)
        planning.plan_campaign(campaign_id=campaign.pk, at=at)
