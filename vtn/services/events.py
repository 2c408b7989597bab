"""EiEvent: the VEN asks for its events, and answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from oadr import messages as m
from oadr.messages import EiResponse, EventResponse
from vtn.models import Event, OptChoice, OptSource, Ven
from vtn.services import distributing, opting

CHOICES: Final = {"optIn": OptChoice.IN, "optOut": OptChoice.OUT, "none": OptChoice.NONE}


def request_event(*, ven: Ven, message: m.RequestEvent, at: datetime) -> m.DistributeEvent:
    """Return the full live set, also when it is empty (rule 41: with a request id of its own)."""
    return distributing.distribute(ven, at=at, request_id=message.request_id)


@transaction.atomic
def created_event(*, ven: Ven, message: m.CreatedEvent, at: datetime) -> m.Response:
    """Take each event's answer by itself: sound ones count, the reply names the first that did not.

       Rules 19 and 48. The outer response code is not looked at: one client sends 452
    there beside perfectly good answers.
    """
    wanted = {response.event.event_id for response in message.event_responses}
    rows = Event.objects.select_for_update().filter(ven=ven, event_id__in=wanted).order_by("pk")
    events = {event.event_id: event for event in rows}
    failures = [
        failure
        for response in message.event_responses
        if (failure := _take(ven, events.get(response.event.event_id), response, at=at)) is not None
    ]
    distributing.settle(ven, at=at)
    code, description = failures[0] if failures else (m.OK, "OK")
    return m.Response(
        response=EiResponse(code, description, message.response.request_id),
        ven_id=ven.ven_id,
    )


def _take(ven: Ven, event: Event | None, response: EventResponse, *, at: datetime) -> tuple[int, str] | None:
    """Record one answer; returns the code and reason when it cannot count."""
    if event is None:
        return m.INVALID_ID, "unknown eventID"
    if response.event.modification_number != event.modification_number:
        return m.OUT_OF_SEQUENCE, "not the modificationNumber in force"
    is_accepted = 200 <= response.code < 300
    opting.record_opt(
        ven=ven,
        event=event,
        opt=CHOICES[response.opt_type] if is_accepted else OptChoice.OUT,
        source=OptSource.CREATED_EVENT,
        reason="" if is_accepted else f"{response.code} {response.description}".strip(),
        at=at,
    )
    return None
