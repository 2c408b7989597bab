"""What a verified signal does: homes are found by place, planned, approved and sent in one transaction.

While it runs, the rows that say who may be asked and who is asked already are held still: a household that
says no in that second waits for it, is found among those asked, and is taken out at once. So the question is
asked once, right before the events leave, and nobody is sent to who had said no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from campaigns import freezing
from campaigns.models import Campaign, ServicingContract, ServicingSignal
from campaigns.servicing import capping, running, sending_at_once
from campaigns.servicing.port import Ask
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError, Invalid, NotFound

Kind = ServicingSignal.Kind
State = ServicingSignal.State
FURTHEST: Final = timedelta(days=7)


class OverContract(Invalid):
    """More than the contract lets the client ask: `field`, `asked`, `limit`."""

    field: str
    asked: int
    limit: int


class NoticeTooShort(Invalid):
    """The start is nearer than the contract's notice, or too far ahead: `field`, `earliest`, `latest`."""

    field: str
    earliest: str
    latest: str


class StoppedMeanwhile(DomainError):
    """The client stopped it before it was decided: `zone`."""

    zone: str


class NothingToStop(NotFound):
    """No running campaign of the client's answers to that: `of`."""

    of: str


def act(signal: ServicingSignal, ask: Ask, *, at: datetime) -> None:
    """Do what the signal asks and set its state, answer, contract and campaign; the caller saves it.

    Inside a transaction. Raises a DomainError for what is refused: then nothing was done.
    """
    ACTS[ask.kind](signal, ask, at=at)


def _start(signal: ServicingSignal, ask: Ask, *, at: datetime) -> None:
    contract = running.locked(running.contract_for(signal.client_id, ask.zone, at=at).pk)
    signal.contract = contract
    if running.is_stopped(signal, ask.zone):
        raise StoppedMeanwhile(zone=ask.zone)
    starts_at, ends_at = _when(contract, ask, at=at)
    _require_within(contract, ask, starts_at=starts_at, ends_at=ends_at)
    freezing.ensure_running()
    sent = sending_at_once.start(
        sending_at_once.Order(
            contract=contract,
            client_name=signal.client.name,
            direction=ask.direction,
            size_w=ask.size_w,
            starts_at=starts_at,
            ends_at=ends_at,
            reference=ask.reference,
            is_rehearsal=signal.client.is_sandbox or ask.is_rehearsal,
            is_approved=ask.size_w <= running.approved_w(contract),
        ),
        at=at,
    )
    signal.campaign = sent.campaign
    signal.state = sent.state
    signal.published_wall_at = clock.wall_now() if sent.events else None
    signal.answer = {
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
        "asked_w": ask.size_w,
        "expected_w": sent.expected_w,
        "sure_w": sent.sure_w,
        "shortfall_w": sent.shortfall_w,
        "homes": sent.homes,
        "assets": sent.assets,
        "events": sent.events,
        "displaced": sent.displaced,
    }


def _stop(signal: ServicingSignal, ask: Ask, *, at: datetime) -> None:
    wanted = ServicingSignal.objects.filter(client=signal.client_id, pk=UUID(ask.of), kind=Kind.START)
    about = wanted.first()
    if about is not None:
        running.hold(signal.client_id, str(about.asked["zone"]))
    started = wanted.select_related("campaign", "contract").first()
    if started is None or started.state == State.REFUSED:
        raise NothingToStop(of=ask.of)
    signal.contract, signal.campaign = started.contract, started.campaign
    ended = (
        []
        if started.campaign is None
        else running.end([started.campaign], reason="the operator's stop", at=at)
    )
    signal.state, signal.answer = State.STOPPED, {"campaigns": len(ended)}


def _emergency_stop(signal: ServicingSignal, ask: Ask, *, at: datetime) -> None:
    """End whatever the client has running or waiting, in one zone or all; never refused for want of any.

    A zone that the client never had a contract about is a slip of the pen: said, not answered as stopped.
    """
    if ask.zone and not ServicingContract.objects.filter(client=signal.client_id, zone=ask.zone).exists():
        raise running.UnknownZone(zone=ask.zone)
    running.hold(signal.client_id, ask.zone)
    going_on = Campaign.objects.filter(signals__client=signal.client_id, ends_at__gt=at).exclude(
        state__in=(Campaign.State.CANCELLED, Campaign.State.COMPLETED)
    )
    if ask.zone:
        going_on = going_on.filter(zone=ask.zone)
    found = list(going_on.order_by("starts_at", "pk").distinct())
    ended = running.end(found, reason="the operator's emergency stop", at=at)
    signal.state, signal.answer = State.STOPPED, {"campaigns": len(ended)}


def _when(contract: ServicingContract, ask: Ask, *, at: datetime) -> tuple[datetime, datetime]:
    earliest = at.replace(microsecond=0) + timedelta(seconds=contract.notice_seconds)
    latest = at + FURTHEST
    starts_at = ask.starts_at or earliest
    if not earliest <= starts_at <= latest:
        raise NoticeTooShort(field="starts_at", earliest=earliest.isoformat(), latest=latest.isoformat())
    return starts_at, starts_at + timedelta(minutes=ask.minutes)


def _require_within(contract: ServicingContract, ask: Ask, *, starts_at: datetime, ends_at: datetime) -> None:
    if ask.minutes > contract.longest_minutes:
        raise OverContract(field="minutes", asked=ask.minutes, limit=contract.longest_minutes)
    if contract.ends_at is not None and ends_at > contract.ends_at:
        left = int((contract.ends_at - starts_at).total_seconds() // 60)
        raise OverContract(field="minutes", asked=ask.minutes, limit=max(0, left))
    asked_w = running.asked_w(contract, starts_at=starts_at, ends_at=ends_at)
    if asked_w + ask.size_w > contract.max_w:
        raise OverContract(field="size_w", asked=ask.size_w, limit=max(0, contract.max_w - asked_w))


ACTS: Final[Mapping[Kind, Callable[..., None]]] = {
    Kind.START: _start,
    Kind.STOP: _stop,
    Kind.EMERGENCY_STOP: _emergency_stop,
    Kind.CAP: capping.receive,
}
