"""An operator's events through the servicing door: each version once, whatever was lost on the way.

An event is taken, and what it starts is sent, in the one transaction that writes its row. The same version
again is answered from the row; a newer one lets go of what the one before started and is decided anew. What
is refused, or no longer stands, is an optOut with its reason. A set that an event is missing from cancels it
(rule 61).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from campaigns.models import Campaign, OperatorEvent, OperatorVtn, ServicingContract, ServicingSignal
from campaigns.servicing import admitting, openadr, receiving, running
from campaigns.servicing.admitting import Admitted
from campaigns.servicing.openadr import Answer, EventRefused, Place
from campaigns.servicing.port import Ask
from campaigns.servicing.receiving import Delayed
from campaigns.servicing.signatures import Message
from campaigns.servicing_models import Scope
from oadr.messages import (
    INVALID_DATA,
    NOT_ALLOWED,
    OK,
    OUT_OF_SEQUENCE,
    TARGET_MISMATCH,
    DistributeEvent,
    Event,
    EventResponse,
    QualifiedEventId,
)
from oadr.ven import NOT_PARTICIPATING, OptNote
from opendsr.kernel import audit, clock
from opendsr.kernel.errors import DomainError

logger = logging.getLogger(__name__)
LEAST_URGENT: Final = 1_000_000
"""Of priority 0, which is none: after every other."""
FURTHEST: Final = timedelta(days=3_650)
LEFT_OUT: Final = "left out of the set of events"
GIVES_WAY: Final = frozenset({"over_contract", "nobody_to_ask"})
"""Refusals that letting a less urgent event go may cure."""
KEY_ID: Final = "openadr"
MINUTE: Final = timedelta(minutes=1)
State = OperatorEvent.State
LIVE: Final = (State.TAKEN, State.WAITING, State.REHEARSED)
OPT_IN: Final = "optIn"
OPT_OUT: Final = "optOut"


class _Undone(Exception):
    """What was begun of an event is to be undone."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of an event: its state, what we answer, and the starts that it went through the door as."""

    state: OperatorEvent.State
    answer: Answer
    signals: tuple[UUID, ...] = ()
    zone: str = ""
    ends_at: datetime | None = None


def take(vtn: OperatorVtn, message: DistributeEvent, *, at: datetime) -> list[EventResponse]:
    """Take the full set of the VTN's events, the most urgent first; the answers that are due.

    Raises SignatureRefused when it is another VTN's, and Delayed where others hold what an event needs: then
    nothing of that event stands. One that cannot be taken keeps no other from it.
    """
    openadr.verify(message, vtn_id=vtn.vtn_id)
    answers = []
    for event in sorted(message.events, key=_urgency):
        with transaction.atomic():
            answer = _take(_locked(vtn), event, at=at)
        if answer is not None and event.is_response_required:
            about = QualifiedEventId(event.event_id, event.modification_number)
            answers.append(EventResponse(about, answer.opt, message.request_id, answer.code, answer.reason))
    named = {event.event_id for event in message.events}
    with transaction.atomic():
        vtn = _locked(vtn)
        for row in _live(vtn).exclude(event_id__in=named):
            _end(vtn, row, State.CANCELLED, LEFT_OUT, at=at)
    return answers


def follow(vtn: OperatorVtn, *, at: datetime) -> None:
    """Look what became of what was taken: approved, stopped here, over."""
    with transaction.atomic():
        vtn = _locked(vtn)
        for row in _live(vtn):
            _follow(row, at=at)


@transaction.atomic
def let_go(vtn: OperatorVtn, *, reason: str, at: datetime) -> int:
    """Let go of all that the VTN's events started: nobody speaks for them any more. How many they were."""
    vtn = _locked(vtn)
    rows = list(_live(vtn))
    for row in rows:
        _end(vtn, row, State.RELEASED, reason, at=at)
        row.told_opt = row.opt
        row.save(update_fields=["told_opt"])
    return len(rows)


def opts_waiting(vtn: OperatorVtn, *, at: datetime) -> list[OptNote]:
    """What has changed of our answers since the VTN was told, oldest first."""
    rows = vtn.events.filter(ends_at__gt=at).exclude(told_opt=F("opt")).exclude(told_opt="")
    return [
        OptNote(
            opt_id=hashlib.sha256(
                f"{row.pk}|{row.modification_number}|{row.opt}|{row.changed_at}".encode()
            ).hexdigest()[:32],
            event_id=row.event_id,
            modification_number=row.modification_number,
            market_context=row.market_context,
            opt=OPT_IN if row.opt == OPT_IN else OPT_OUT,
            reason="participating" if row.opt == OPT_IN else NOT_PARTICIPATING,
            said_at=row.changed_at,
        )
        for row in rows.order_by("changed_at", "pk")
    ]


def opt_heard(vtn: OperatorVtn, note: OptNote) -> None:
    """The VTN has heard it, or will never want to."""
    vtn.events.filter(event_id=note.event_id).update(told_opt=note.opt)


def places_of(vtn: OperatorVtn, *, at: datetime) -> dict[str, Place]:
    """Zones by what the VTN calls them; a contract's own name of its zone is one such name."""
    places = {contract.zone: Place(contract.zone) for contract in contracts_of(vtn, at=at)}
    for each in vtn.places.filter(ended_at=None):
        places[each.name] = Place(each.zone, (each.moderate_pct, each.high_pct, each.special_pct))
    return places


def contracts_of(vtn: OperatorVtn, *, at: datetime) -> QuerySet[ServicingContract]:
    """The client's contracts that hold at `at`."""
    held = ServicingContract.objects.filter(client=vtn.client_id, starts_at__lte=at)
    return held.filter(Q(ends_at=None) | Q(ends_at__gt=at)).order_by("zone")


def _take(vtn: OperatorVtn, event: Event, *, at: datetime) -> Answer | None:
    """One event of the set; None: no answer is due."""
    row = vtn.events.filter(event_id=event.event_id[:255]).first()
    number = event.modification_number
    if row is not None and number < row.modification_number:
        reason = f"version {row.modification_number} is known"
        return replace(_answer(row), code=OUT_OF_SEQUENCE, reason=reason)
    if event.status == "cancelled":
        # A cancellation is acknowledged with optIn (rule 36), whether the event is known or not (60).
        if row is not None:
            if row.state in LIVE:
                _end(vtn, row, State.CANCELLED, "", at=at)
            row.modification_number, row.opt, row.told_opt = number, OPT_IN, OPT_IN
            row.save(update_fields=["modification_number", "opt", "told_opt"])
        return Answer(OPT_IN, OK, "")
    if _is_over(event, at=at):
        if row is not None:
            _follow(row, at=at)
        return None
    was_left_out = row is not None and row.state == State.CANCELLED and row.reason == LEFT_OUT
    if row is not None and number == row.modification_number and not was_left_out:
        row.told_opt = row.opt
        row.save(update_fields=["told_opt"])
        return _answer(row)
    if row is not None and row.state in LIVE:
        _end(vtn, row, State.CANCELLED, f"version {number} took its place", at=at)
    done = _done(vtn, event, at=at)
    _write(vtn, event, row, done, at=at)
    return done.answer


def _is_over(event: Event, *, at: datetime) -> bool:
    ends_at = event.active_period.ends_at
    return event.status == "completed" or (ends_at is not None and ends_at <= at)


def _done(vtn: OperatorVtn, event: Event, *, at: datetime) -> _Done:
    """Put what the event asks through the door, all of it or nothing."""
    zone = ""
    try:
        if event.active_period.starts_at > at + FURTHEST or len(event.event_id) > 255:
            raise EventRefused(oadr_code=INVALID_DATA, reason="too far in the future, or an id too long")
        admitting.require_scope(_admitted(vtn), Scope.SIGNAL, wall=clock.wall_now())
        parsed = openadr.parse(
            event,
            ven_id=vtn.ven_id,
            places=places_of(vtn, at=at),
            contract_of=lambda zone: running.contract_for(vtn.client_id, zone, at=at),
            at=at,
        )
        zone = parsed.zone
        signals = _started(vtn, event, parsed.zone, parsed.asks, ends_at=parsed.ends_at, at=at)
    except _Undone as error:
        return _Done(State.REFUSED, error.answer, zone=zone)
    except Delayed:
        raise  # nothing of it stands: the next contact takes it up
    except DomainError as error:
        return _Done(State.REFUSED, _refusal(error), zone=zone)
    answers = [openadr.answer(signal) for signal in signals]
    waits = next((each for each in answers if each.opt == OPT_OUT), None)
    is_rehearsal = any(signal.state == ServicingSignal.State.REHEARSED for signal in signals)
    state = State.WAITING if waits else State.REHEARSED if is_rehearsal else State.TAKEN
    answer = waits or Answer(OPT_IN, OK, "")
    return _Done(state, answer, tuple(each.pk for each in signals), parsed.zone, parsed.ends_at)


def _started(
    vtn: OperatorVtn, event: Event, zone: str, asks: Sequence[Ask], *, ends_at: datetime, at: datetime
) -> list[ServicingSignal]:
    """The starts, decided; raises _Undone where one is refused and less urgent events do not cure that."""
    try:
        return _all_of(vtn, event, asks, at=at, attempt=0)
    except _Undone as error:
        refused = error
    beneath = (
        _live(vtn)
        .filter(zone=zone, urgency__gt=_urgency(event), starts_at__lt=ends_at, ends_at__gt=at)
        .order_by("-urgency", "-pk")
    )
    for attempt in range(1, 1 + beneath.count()):
        if refused.answer.reason.partition(",")[0].replace(" ", "_") not in GIVES_WAY:
            break
        try:
            with transaction.atomic():
                for row in list(beneath[:attempt]):
                    _end(vtn, row, State.RELEASED, f"gave way to {event.event_id}", at=at)
                return _all_of(vtn, event, asks, at=at, attempt=attempt)
        except _Undone as error:
            refused = error
    raise refused


def _all_of(
    vtn: OperatorVtn, event: Event, asks: Sequence[Ask], *, at: datetime, attempt: int
) -> list[ServicingSignal]:
    """Every start through the door; where there are several, none stands unless all do."""
    with transaction.atomic():
        made = []
        for number, ask in enumerate(asks):
            key = f"{vtn.pk}|{event.event_id}|{event.modification_number}|{at}|{number}|{attempt}"
            signal = _through_the_door(vtn, ask, key=key, at=at)
            if signal.state == ServicingSignal.State.REFUSED:
                answer = openadr.answer(signal)
                if len(asks) == 1 and not attempt:
                    break  # it began nothing, and its refusal stays on record
                raise _Undone(answer)
            made.append(signal)
        else:
            return made
    raise _Undone(answer)


def _through_the_door(vtn: OperatorVtn, ask: Ask, *, key: str, at: datetime) -> ServicingSignal:
    digest = hashlib.sha256(key.encode()).hexdigest()
    message = Message(
        method="POST",
        url=vtn.url,
        headers={"idempotency-key": f"openadr:{digest}"},
        body=json.dumps(ask.shown(), sort_keys=True).encode(),
    )
    signal, _ = receiving.receive(
        admitted=_admitted(vtn), ask=ask, message=message, at=at, wall=clock.wall_now()
    )
    return signal


def _end(
    vtn: OperatorVtn, row: OperatorEvent, state: OperatorEvent.State, reason: str, *, at: datetime
) -> None:
    """Stop what the event started, with the ramp that every stop has, and write down why."""
    for started in row.signals:
        ask = Ask(ServicingSignal.Kind.STOP, of=str(started), reference=row.event_id[:80])
        _through_the_door(vtn, ask, key=f"stop {started}", at=at)
    row.state, row.reason, row.changed_at = state, reason[:200], at
    row.opt = OPT_OUT if state == State.RELEASED else row.opt
    row.save(update_fields=["state", "reason", "opt", "changed_at"])
    _note(vtn, row, at=at)


def _follow(row: OperatorEvent, *, at: datetime) -> None:
    """Bring the row up to what became of its campaigns."""
    if row.state not in LIVE:
        return
    campaigns = _campaigns(row.signals)
    state, opt, reason = row.state, row.opt, row.reason
    if row.ends_at <= at:
        state = State.OVER.value
    elif not campaigns:
        return
    elif row.state == State.WAITING and any(each.state in running.SENDING for each in campaigns):
        state, opt, reason = State.TAKEN.value, OPT_IN, ""
    elif row.ends_at - MINUTE > at and not any(_is_live(each, at=at) for each in campaigns):
        words = "not approved" if row.state == State.WAITING else "stopped here"
        state, opt, reason = State.RELEASED.value, OPT_OUT, words
    if (state, opt, reason) != (row.state, row.opt, row.reason):
        row.state, row.opt, row.reason, row.changed_at = state, opt, reason, at
        row.save(update_fields=["state", "opt", "reason", "changed_at"])
        _note(row.vtn, row, at=at)


def _write(vtn: OperatorVtn, event: Event, row: OperatorEvent | None, done: _Done, *, at: datetime) -> None:
    period = event.active_period
    fields: dict[str, Any] = {
        "modification_number": event.modification_number,
        "market_context": event.market_context[:255],
        "zone": done.zone,
        "urgency": _urgency(event),
        "is_test": event.is_test,
        "starts_at": period.starts_at,
        "ends_at": done.ends_at or period.ends_at or period.starts_at,
        "state": done.state,
        "code": done.answer.code,
        "reason": done.answer.reason[:200],
        "opt": done.answer.opt,
        "told_opt": done.answer.opt,
        "signals": list(done.signals),
        "known_at": at,
        "changed_at": at,
    }
    row, _ = OperatorEvent.objects.update_or_create(vtn=vtn, event_id=event.event_id[:255], defaults=fields)
    _note(vtn, row, at=at)


def _note(vtn: OperatorVtn, row: OperatorEvent, *, at: datetime) -> None:
    if row.state == State.REFUSED:
        logger.warning("openadr: %s refused %s: %s", vtn.client_id, row.event_id, row.reason)
    audit.record(
        at=at,
        actor=f"servicing:{vtn.client_id}",
        verb=f"campaigns.servicing.event_{row.state}",
        target=f"operator_event:{row.pk}",
        detail={
            "event": row.event_id,
            "version": row.modification_number,
            "opt": row.opt,
            "reason": row.reason,
        },
    )


def _refusal(error: DomainError) -> Answer:
    if isinstance(error, EventRefused):
        return Answer(OPT_OUT, error.oadr_code, error.reason[:200])
    code = {"scope_missing": NOT_ALLOWED, "unknown_zone": TARGET_MISMATCH}.get(error.code, OK)
    return Answer(OPT_OUT, code, str(error)[:200])


def _answer(row: OperatorEvent) -> Answer:
    return Answer(
        OPT_IN if row.opt == OPT_IN else OPT_OUT, row.code, row.reason if row.opt == OPT_OUT else ""
    )


def _admitted(vtn: OperatorVtn) -> Admitted:
    return Admitted(vtn.client, KEY_ID)


def _urgency(event: Event) -> int:
    return event.priority or LEAST_URGENT


def _live(vtn: OperatorVtn) -> QuerySet[OperatorEvent]:
    return vtn.events.filter(state__in=LIVE).select_related("vtn").order_by("pk")


def _locked(vtn: OperatorVtn) -> OperatorVtn:
    return (
        OperatorVtn.objects.select_for_update(of=("self",), no_key=True)
        .select_related("client")
        .get(pk=vtn.pk)
    )


def _campaigns(signals: Iterable[UUID]) -> list[Campaign]:
    return list(Campaign.objects.filter(signals__in=list(signals)).distinct())


def _is_live(campaign: Campaign, *, at: datetime) -> bool:
    return campaign.state not in running.OVER and campaign.ends_at > at
