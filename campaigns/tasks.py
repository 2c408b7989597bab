"""Outbox consumers and Celery tasks of campaigns: thin wrappers around services.

A campaign that was cancelled meanwhile is left as it is; anything else unexpected is tried again by the
outbox.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from campaigns import (
    approving,
    cancelling,
    changing,
    completing,
    dispatching,
    freezing,
    habits,
    home_plans,
    making_room,
    monitoring,
    octopus,
    opting,
    staggering,
    tariffs,
)
from campaigns.forecasting import issuing
from campaigns.life import WrongState
from campaigns.market import entering, offering, ordering
from campaigns.market import receiving as market_receiving
from campaigns.models import PlanLine
from campaigns.servicing import capping, explaining, receiving
from campaigns.uftp import sending as uftp_sending
from campaigns.ven import contacting
from members import recurring
from members.models import Purpose
from opendsr.kernel import clock, outbox
from opendsr.kernel.interval import Interval
from opendsr.kernel.outbox import Fact
from opendsr.kernel.periods import LONDON

logger = logging.getLogger(__name__)


@outbox.consumer(approving.APPROVED, "campaigns.dispatch")
def dispatch_approved(*, fact: Fact) -> None:
    """Send an approved campaign to its hubs."""
    try:
        dispatching.dispatch_campaign(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())
    except WrongState as error:
        logger.info("not dispatched: %s", error)


@outbox.consumer(dispatching.DISPATCHED, "campaigns.make_room")
def make_room(*, fact: Fact) -> None:
    """Move what plans of the night would do in the time of a campaign that was sent."""
    making_room.make_room(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())


@outbox.consumer(approving.ENDED, "campaigns.complete")
def complete_ended(*, fact: Fact) -> None:
    """Close a campaign whose time is over."""
    try:
        completing.complete_campaign(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())
    except WrongState as error:
        logger.info("not completed: %s", error)


@outbox.consumer("vtn.event.delivered", "campaigns.delivery")
def event_delivered(*, fact: Fact) -> None:
    """A hub fetched its event."""
    monitoring.receive_delivery(event_id=_text(fact, "event_id"), at=_instant(fact, "delivered_at"))


@outbox.consumer("vtn.events.delivered", "campaigns.deliveries")
def events_delivered(*, fact: Fact) -> None:
    """Many hubs fetched their events."""
    event_ids: dict[datetime, list[str]] = defaultdict(list)
    for part in _parts(fact):
        event_ids[_instant(part, "delivered_at")].append(_text(part, "event_id"))
    for at, fetched in event_ids.items():
        monitoring.receive_deliveries(event_ids=fetched, at=at)


@outbox.consumer("vtn.opts.received", "campaigns.opts")
def opts_received(*, fact: Fact) -> None:
    """Many hubs answered; an answer that cannot be taken is put apart, to be tried again by itself."""
    parts = _parts(fact)
    monitoring.lock_hubs([_text(part, "event_id") for part in parts])
    for part in parts:
        try:
            with transaction.atomic():
                opt_received(fact=part)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one answer must not keep the others from being taken
            logger.exception("an opt was put apart: %s", _text(part, "event_id"))
            outbox.record_many("vtn.opt.received", [("", dict(part.payload))], at=fact.at)


@outbox.consumer("vtn.opt.received", "campaigns.opt")
@outbox.consumer("vtn.opt.received_for_resources", "campaigns.opt_for_resources")
def opt_received(*, fact: Fact) -> None:
    """A hub answered its event or changed its mind, as a whole or for some of its assets."""
    home_plans.receive_opt(
        event_id=_text(fact, "event_id"), opt=_text(fact, "opt"), at=_instant(fact, "received_at")
    )
    monitoring.receive_opt(
        event_id=_text(fact, "event_id"),
        opt=_text(fact, "opt"),
        reason=_text(fact, "reason"),
        sequence=int(_text(fact, "sequence")),
        received_at=_instant(fact, "received_at"),
        resource_ids=_texts(fact, "resource_ids"),
        resources_apart=_texts(fact, "resources_apart"),
    )


@outbox.consumer("vtn.event.delays_told", "campaigns.delays")
def delays_told(*, fact: Fact) -> None:
    """A hub told what it drew within the spread of its event."""
    staggering.note_delays(
        event_id=_text(fact, "event_id"),
        start_seconds=_seconds(fact, "start_seconds"),
        end_seconds=_seconds(fact, "end_seconds"),
    )


@outbox.consumer("members.consent.withdrawn", "campaigns.consent")
def consent_withdrawn(*, fact: Fact) -> None:
    """A household took back its consent: it drops out of what is not over."""
    if fact.payload["purpose"] == Purpose.SETTLEMENT:
        habits.forget(_uuid(fact, "occupancy_id"))
    if fact.payload["purpose"] == Purpose.FLEXIBILITY:
        opting.leave_out_household(
            occupancy_id=_uuid(fact, "occupancy_id"), left_out=PlanLine.LeftOut.NO_CONSENT, at=clock.now()
        )
        home_plans.call_off(occupancy_id=_uuid(fact, "occupancy_id"), at=clock.now())


@outbox.consumer("members.occupancy.ended", "campaigns.occupancy")
def occupancy_ended(*, fact: Fact) -> None:
    """A household moved out: it drops out of what is not over."""
    opting.leave_out_household(
        occupancy_id=_uuid(fact, "occupancy_id"), left_out=PlanLine.LeftOut.NO_HOUSEHOLD, at=clock.now()
    )
    home_plans.call_off(occupancy_id=_uuid(fact, "occupancy_id"), at=clock.now())
    habits.forget(_uuid(fact, "occupancy_id"))


@outbox.consumer(receiving.RECEIVED, "campaigns.servicing")
def signal_received(*, fact: Fact) -> None:
    """Decide a signal that nobody has decided by now; all others are left as they are."""
    receiving.decide(signal_id=_uuid(fact, "signal_id"), at=clock.now())


@outbox.consumer(explaining.TO_EXPLAIN, "campaigns.explain")
def signal_sent(*, fact: Fact) -> None:
    """Write down why each asset of the zone is in or out of what was sent."""
    explaining.write(_uuid(fact, "campaign_id"), fact.payload["told"])


@outbox.consumer(market_receiving.DEADLINE, "campaigns.market_deadline")
def market_deadline(*, fact: Fact) -> None:
    """Nothing was offered in time: the request lapses."""
    market_receiving.lapse_request(request_id=_uuid(fact, "request_id"), at=clock.now())


@outbox.consumer(offering.GOOD_UNTIL, "campaigns.market_offer")
def market_offer_over(*, fact: Fact) -> None:
    """The offer was not ordered in time: it lapses, and its assets are free."""
    offering.lapse_offer(offer_id=_uuid(fact, "offer_id"), at=clock.now())


@outbox.consumer(offering.OFFERED, "campaigns.uftp_offer")
def uftp_offer(*, fact: Fact) -> None:
    """Tell a buyer that speaks UFTP of an offer."""
    uftp_sending.tell_offer(offer_id=_uuid(fact, "offer_id"), at=clock.now())


@outbox.consumer(market_receiving.WITHDRAWN, "campaigns.uftp_revocation")
def uftp_revocation(*, fact: Fact) -> None:
    """Revoke an offer that such a buyer has."""
    uftp_sending.tell_revocation(offer_id=_uuid(fact, "offer_id"), at=clock.now())


@outbox.consumer(uftp_sending.OUTGOING, "campaigns.uftp_send")
def uftp_send(*, fact: Fact) -> None:
    """Post a message to its buyer; what does not arrive is due again by a fact of its own."""
    uftp_sending.send(message_pk=int(str(fact.payload["message_pk"])), at=clock.now())


@outbox.consumer(cancelling.CANCELLED, "campaigns.market_cancelled")
def market_campaign_cancelled(*, fact: Fact) -> None:
    """A campaign of an order was called off: what was held for nothing else is free."""
    ordering.let_go(campaign_id=_uuid(fact, "campaign_id"))


@outbox.consumer("members.standing_opt_out.started", "campaigns.standing_opt_out")
def standing_opt_out_started(*, fact: Fact) -> None:
    """A household opted out for a while: a no to every campaign in that time. One that only keeps a share of
    its power is told its events anew.
    """
    if fact.payload.get("least_pct") is not None:
        opting.keep_to_limits(occupancy_id=_uuid(fact, "occupancy_id"), at=clock.now())
        return
    ends_at = fact.payload["ends_at"]
    opting.skip_standing(
        occupancy_id=_uuid(fact, "occupancy_id"),
        starts_at=_instant(fact, "starts_at"),
        ends_at=datetime.fromisoformat(str(ends_at)) if ends_at else None,
        at=clock.now(),
        rule=recurring.read(fact.payload),
    )
    until = datetime.fromisoformat(str(ends_at)) if ends_at else datetime.max.replace(tzinfo=UTC)
    starts_at = _instant(fact, "starts_at")
    if until > starts_at:
        home_plans.call_off(
            occupancy_id=_uuid(fact, "occupancy_id"), at=clock.now(), over=Interval(starts_at, until)
        )


@shared_task(ignore_result=True)
def follow_tariffs(**_: object) -> None:
    """Ask for prices that are due; what went wrong is logged, and asked for again at its time."""
    found = tariffs.fetch_due(client=octopus.Client(settings.OCTOPUS_URL), at=clock.now())
    for code, problem in found.problems.items():
        logger.warning("tariff %s: %s", code, problem)


@shared_task(ignore_result=True)
def plan_tonight(**_: object) -> None:
    """From 16:00 on, plan and send the night of homes whose prices are known; again for what came later, to
    the night's end at noon. Campaigns that were sent meanwhile have their room.
    """
    at = clock.now()
    local = at.astimezone(LONDON)
    if tariffs.LATE_TO <= local.time() < tariffs.PUBLISHED_FROM:
        return
    night = local.date() if local.time() >= tariffs.PUBLISHED_FROM else local.date() - timedelta(days=1)
    try:
        home_plans.plan_night(night=night, at=at)
    except home_plans.PricesUnknown:
        logger.info("no prices of the night of %s yet", night)
    try:
        home_plans.send_night(night=night, at=at)
        making_room.make_room_for_all(night=night, at=at)
    except freezing.Frozen:
        logger.warning("the night of %s is not sent: frozen", night)


@shared_task(ignore_result=True)
def follow_caps(**_: object) -> None:
    """Each minute, the caps of zones: the agreed one after silence, and what the time of day asks."""
    capping.follow(at=clock.now())


@shared_task(ignore_result=True)
def contact_operator_vtns(**_: object) -> None:
    """Every few seconds, a round with each operator's VTN that is due, each on its own."""
    for vtn_id in contacting.due(wall=clock.wall_now()):
        contact_operator_vtn.apply_async(kwargs={"vtn_id": str(vtn_id)}, queue="default", expires=60)


@shared_task(ignore_result=True)
def contact_operator_vtn(*, vtn_id: str, **_: object) -> None:
    """A round with one operator's VTN; what somebody else does, or has done, is left."""
    contacting.contact(vtn_id=UUID(vtn_id), wall=clock.wall_now())


@shared_task(ignore_result=True)
def work_out_habits(**_: object) -> None:
    """Once a night, what homes usually use and how often they come."""
    at = clock.now()
    if habits.is_due(at=at):
        habits.work_out(at=at)


@shared_task(ignore_result=True)
def note_changes(**_: object) -> None:
    """Once a minute, which devices are seen changed by what runs or is just over."""
    changing.note_changes(at=clock.now())


@shared_task(ignore_result=True)
def forecast_flexibility(**_: object) -> None:
    """Every six hours what could be turned up or down and entered; what was there, once that is known."""
    at = clock.now()
    if issuing.is_due(at=at):
        issuing.issue(at=at)
    issuing.compare(at=at)
    entering.entries(at=at)


@outbox.consumer("members.care.changed", "campaigns.care")
def care_changed(*, fact: Fact) -> None:
    """A household said what it needs: whatever is not over keeps to it."""
    opting.keep_to_limits(occupancy_id=_uuid(fact, "occupancy_id"), at=clock.now())


def _text(fact: Fact, name: str) -> str:
    return str(fact.payload[name])


def _texts(fact: Fact, name: str) -> tuple[str, ...]:
    found = fact.payload.get(name, ())
    return tuple(str(each) for each in found) if isinstance(found, list | tuple) else ()


def _seconds(fact: Fact, name: str) -> dict[str, int]:
    found = fact.payload.get(name)
    drawn = found.items() if isinstance(found, dict) else ()
    return {name: each for name, each in drawn if isinstance(each, int)}


def _parts(fact: Fact) -> list[Fact]:
    """What a fact for many VENs says of each, as facts for one."""
    parts = fact.payload["parts"]
    return (
        [replace(fact, payload=part) for part in parts if isinstance(part, dict)]
        if isinstance(parts, list)
        else []
    )


def _uuid(fact: Fact, name: str) -> UUID:
    return UUID(_text(fact, name))


def _instant(fact: Fact, name: str) -> datetime:
    return datetime.fromisoformat(_text(fact, name))
