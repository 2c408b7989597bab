"""Offering: what was weighed is offered, its assets held for it until it is ordered, withdrawn or lapses.

A buyer on trial is offered the same, and nothing is held for it. No asset is held twice at one time: the
database refuses it, whoever offers at the same moment.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connection, transaction

from campaigns.market import telling, weighing
from campaigns.market.receiving import (
    RequestClosed,
    RequestNotFound,
    is_trial,
    locked,
    release,
    withdraw_offers,
)
from campaigns.market.weighing import Weighed
from campaigns.models import MarketOffer, MarketOfferAsset, MarketRequest
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError

if TYPE_CHECKING:
    from members.models import User

OFFERED: Final = "campaigns.market.offered"
GOOD_UNTIL: Final = "campaigns.market.good_until"
WEIGHED: Final = "market.weighed"
"""In the audit trail: what the market brings, what plans of the night lose by it, and who stays with them."""
OFFER_LOCK: Final = 0x6D6B6F66
"""An advisory lock: offers are weighed one after the other."""
State = MarketRequest.State
OfferState = MarketOffer.State


class DeadlinePassed(DomainError):
    """Offers were taken until `deadline_at`."""

    deadline_at: str


class NoticeTooShort(DomainError):
    """An order would have to come by `latest_order_at` to leave the notice that the kind of market wants."""

    latest_order_at: str


class NothingToOffer(DomainError):
    """No asset is worth offering for it: `why`, one of nobody, too_small, others_bring_more."""

    why: str


@transaction.atomic
def make_offers(*, request_ids: Collection[UUID], at: datetime, by: User | None) -> list[MarketOffer]:
    """Weigh these requests together and offer for those that it is worth it; the offers made.

    Raises RequestNotFound, RequestClosed, DeadlinePassed, NoticeTooShort; NothingToOffer where none is
    worth it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [OFFER_LOCK])
    requests = [locked(request_id) for request_id in sorted(request_ids)]
    for request in requests:
        if request.state != State.OPEN:
            raise RequestClosed(state=request.state)
        if request.deadline_at <= at:
            raise DeadlinePassed(deadline_at=request.deadline_at.isoformat())
        if latest_order_at(request) <= at:
            raise NoticeTooShort(latest_order_at=latest_order_at(request).isoformat())
    weighed = weighing.weigh(requests, at=at)
    made = [_offer(each, at=at, by=by) for each in weighed if each.is_accepted]
    if weighed and not made:
        raise NothingToOffer(why=weighed[0].why_not)
    return made


@transaction.atomic
def decline_request(*, request_id: UUID, reason: str, at: datetime, by: User | None) -> MarketRequest:
    """Say no to a request, or take back what was offered; raises RequestNotFound and RequestClosed."""
    request = locked(request_id)
    if request.state == State.DECLINED:
        return request
    if request.state not in (State.OPEN, State.OFFERED):
        raise RequestClosed(state=request.state)
    withdraw_offers(request, at=at)
    request.state, request.reason = State.DECLINED, reason.strip()[:200]
    request.save(update_fields=["state", "reason"])
    body = {"reason": request.reason}
    telling.note("declined", party=request.party, request=request, is_ours=True, at=at, by=by, body=body)
    return request


@transaction.atomic
def lapse_offer(*, offer_id: UUID, at: datetime) -> None:
    """Close an offer that was not ordered in time, and its request; any other stays as it is."""
    found = MarketOffer.objects.filter(pk=offer_id).values_list("request_id", flat=True).first()
    if found is None:
        raise RequestNotFound(request_id="")
    request = locked(found)
    offer = MarketOffer.objects.select_for_update().get(pk=offer_id)
    if offer.state == OfferState.MADE and offer.good_until <= at:
        release(offer, OfferState.LAPSED)
        request.state = State.LAPSED
        request.save(update_fields=["state"])
        telling.note("lapsed", party=request.party, request=request, is_ours=True, at=at, by=None)


@transaction.atomic
def take_refusal(*, offer_id: UUID, at: datetime) -> None:
    """The buyer does not want an offer that stands: its assets are free, its request is open again."""
    offer = MarketOffer.objects.filter(pk=offer_id).first()
    if offer is None:
        raise RequestNotFound(request_id="")
    request = locked(offer.request_id)
    offer.refresh_from_db()
    if offer.state == OfferState.MADE:
        release(offer, OfferState.WITHDRAWN)
        request.state = State.OPEN if request.deadline_at > at else State.LAPSED
        request.save(update_fields=["state"])


def latest_order_at(request: MarketRequest) -> datetime:
    """Until when an order leaves the notice that the kind of market wants."""
    return request.starts_at - request.notice


def price_mp(request: MarketRequest, power_w: Collection[int]) -> int:
    """What so much power by half-hour costs at the request's price, rounded to the millipenny below."""
    wh_twice = sum(power_w)  # W over half an hour is half as many Wh
    return wh_twice * request.price_mp_per_kwh // 2_000


def _offer(weighed: Weighed, *, at: datetime, by: User | None) -> MarketOffer:
    request = weighed.request
    offer = MarketOffer.objects.create(
        request=request,
        offered_w=list(weighed.offered_w),
        price_mp=price_mp(request, weighed.offered_w),
        income_mp=weighed.income_mp,
        good_until=latest_order_at(request),
        made_at=at,
        made_by=by,
    )
    MarketOfferAsset.objects.bulk_create(
        MarketOfferAsset(
            offer=offer,
            asset_id=each.asset_id,
            occupancy_id=each.occupancy_id,
            expected_w=each.expected_w,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            is_held=not is_trial(request),
        )
        for each in weighed.serving
    )
    request.state = State.OFFERED
    request.save(update_fields=["state"])
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by is not None else "system",
        verb=WEIGHED,
        target=f"request:{request.pk}",
        detail={
            "income_mp": weighed.income_mp,
            "assets": len(weighed.serving),
            "tariff_mp": weighed.tariff_mp,
            "stay_with_tariffs": weighed.for_tariffs,
        },
    )
    telling.note(
        "offer",
        party=request.party,
        request=request,
        is_ours=True,
        at=at,
        by=by,
        body={
            "offer_id": str(offer.pk),
            "offered_w": offer.offered_w,
            "price_mp": offer.price_mp,
            "good_until": offer.good_until.isoformat(),
        },
    )
    outbox.record(OFFERED, at=at, key=str(offer.pk), offer_id=offer.pk)
    outbox.record(GOOD_UNTIL, at=at, due_at=offer.good_until, key=str(offer.pk), offer_id=offer.pk)
    return offer
