"""EiEvent: the VEN asks for its events, and answers them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction

from oadr import delays
from oadr import messages as m
from oadr.delays import Delays
from oadr.messages import EiResponse, EventResponse
from vtn import event_offers, live_events
from vtn.event_offers import Offer
from vtn.live_events import AnyVen, EventRow
from vtn.models import OptChoice, OptSource, Ven
from vtn.services import distributing, opting
from vtn.services.distributing import Known

CHOICES: Final = {"optIn": OptChoice.IN, "optOut": OptChoice.OUT, "none": OptChoice.NONE}


def request_event(*, ven: Ven, message: m.RequestEvent, at: datetime) -> m.DistributeEvent:
    """Return the full live set, also when it is empty (rule 41: with a request id of its own)."""
    return distributing.distribute(ven, at=at, request_id=message.request_id)


def created_event(*, ven: Ven, message: m.CreatedEvent, at: datetime) -> m.Response:
    """Take the VEN's answer to each event; see `take_answers`."""
    return created_events([(ven, message)], at=at)[0]


class Taken(NamedTuple):
    """The reply to each answer; by VEN (pk) when its events are due again, None when they are not."""

    replies: list[m.Response]
    due_walls: dict[int, float | None]


def created_events(answers: Sequence[tuple[AnyVen, m.CreatedEvent]], *, at: datetime) -> list[m.Response]:
    """Take the answers of many VENs; returns the reply to each, in their order. See `take_answers`."""
    return take_answers(answers, at=at).replies


@transaction.atomic(savepoint=False)
def take_answers(
    answers: Sequence[tuple[AnyVen, m.CreatedEvent]],
    *,
    at: datetime,
    offers: Mapping[int, Offer] | None = None,
) -> Taken:
    """Take the answers of many VENs in one transaction; the replies are in their order.

    Each event's answer stands by itself (rules 19 and 48): sound ones count, the reply
    names the first that did not. The outer response code is not looked at: one client
    sends 452 there beside perfectly good answers. Reply once this has committed. `offers`
    are given where they have just been read.
    """
    vens = {ven.pk: ven for ven, _ in answers}
    if not vens:
        return Taken([], {})
    if offers is None:
        offers = event_offers.open_offers(vens)
    open_ones = live_events.open_events(vens, at=at, is_locked=True)
    events = {(event.ven_id, event.event_id): event for event in open_ones}
    others = {
        response.event.event_id
        for ven, message in answers
        for response in message.event_responses
        if (ven.pk, response.event.event_id) not in events
    }
    if others:
        events |= {(event.ven_id, event.event_id): event for event in live_events.locked(others)}
    sayings: list[opting.Saying] = []
    told: list[tuple[EventRow, Delays]] = []
    replies: list[m.Response] = []
    for ven, message in answers:
        failures: list[tuple[int, str]] = []
        for response in message.event_responses:
            event = events.get((ven.pk, response.event.event_id))
            if event is None:
                failures.append((m.INVALID_ID, "unknown eventID"))
            elif response.event.modification_number != event.modification_number:
                failures.append((m.OUT_OF_SEQUENCE, "not the modificationNumber in force"))
            else:
                sayings.append(_saying(ven, event, response))
                drawn = delays.read(response.description) if response.description else None
                if drawn and event.acknowledged_modification != event.modification_number:
                    told.append((event, drawn))
        code, description = failures[0] if failures else (m.OK, "OK")
        echoed = EiResponse(code, description, message.response.request_id)
        replies.append(m.Response(response=echoed, ven_id=ven.ven_id))
    opting.record_delays(told, at=at)
    opting.record_opts(sayings, at=at)
    answered = {saying.event.pk for saying in sayings}
    known: dict[int, list[EventRow]] = defaultdict(list)
    for event in open_ones:
        known[event.ven_id].append(event.acknowledged() if event.pk in answered else event)
    due_walls = distributing.settle(
        vens.values(),
        at=at,
        known={pk: Known(offers[pk], known[pk]) for pk in vens if pk in offers},
        have_answered=True,
    )
    return Taken(replies, due_walls)


def _saying(ven: AnyVen, event: EventRow, response: EventResponse) -> opting.Saying:
    is_accepted = 200 <= response.code < 300
    return opting.Saying(
        ven=ven,
        event=event,
        opt=CHOICES[response.opt_type] if is_accepted else OptChoice.OUT,
        source=OptSource.CREATED_EVENT,
        reason="" if is_accepted else f"{response.code} {response.description}".strip(),
    )
