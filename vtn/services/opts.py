"""EiOpt: an opt for one event, or a schedule of opts; and its cancellation."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from oadr import messages as m
from oadr.messages import EiResponse
from oadr.timeformat import format_datetime
from vtn.models import Event, OptChoice, OptSchedule, OptSource, Ven
from vtn.services import distributing, opting
from vtn.services.refusing import Refused

CHOICES: Final = {"optIn": OptChoice.IN, "optOut": OptChoice.OUT}
LONGEST_ID = 64
MOST_PERIODS = 366
MOST_RESOURCES = 200


@transaction.atomic
def create_opt(*, ven: Ven, message: m.CreateOpt, at: datetime) -> m.CreatedOpt:
    """Record an opt for an event of this VEN, or its schedule; the same optID again replaces."""
    if len(message.opt_id) > LONGEST_ID:
        raise Refused(m.INVALID_ID, f"optID longer than {LONGEST_ID} characters")
    if message.opt_type not in CHOICES:
        raise Refused(m.INVALID_DATA, "optType must be optIn or optOut")
    if message.target.ven_ids and ven.ven_id not in message.target.ven_ids:
        raise Refused(m.TARGET_MISMATCH, "the target names another VEN")
    if message.event is not None:
        _opt_for_event(ven, message, message.event, at=at)
    elif message.availability is not None:
        _opt_schedule(ven, message, message.availability, at=at)
    else:
        raise Refused(m.INVALID_DATA, "neither an event nor a schedule")
    return m.CreatedOpt(
        response=EiResponse(description="OK", request_id=message.request_id), opt_id=message.opt_id
    )


@transaction.atomic
def cancel_opt(*, ven: Ven, message: m.CancelOpt, at: datetime) -> m.CanceledOpt:
    """End a schedule. An opt for an event is not undone by this: the VEN says optIn or optOut again."""
    ended = OptSchedule.objects.filter(ven=ven, opt_id=message.opt_id, cancelled_at=None).update(
        cancelled_at=at
    )
    if not ended:
        raise Refused(m.INVALID_ID, "unknown optID")
    return m.CanceledOpt(
        response=EiResponse(description="OK", request_id=message.request_id), opt_id=message.opt_id
    )


def _opt_for_event(ven: Ven, message: m.CreateOpt, wanted: m.QualifiedEventId, *, at: datetime) -> None:
    event = Event.objects.select_for_update().filter(ven=ven, event_id=wanted.event_id).first()
    if event is None:
        raise Refused(m.INVALID_ID, "unknown eventID")
    if wanted.modification_number != event.modification_number:
        raise Refused(m.OUT_OF_SEQUENCE, "not the modificationNumber in force")
    opting.record_opt(
        ven=ven,
        event=event,
        opt=CHOICES[message.opt_type],
        source=OptSource.CREATE_OPT,
        reason=message.opt_reason,
        opt_id=message.opt_id,
        at=at,
    )
    distributing.settle(ven, at=at)


def _opt_schedule(
    ven: Ven, message: m.CreateOpt, periods: tuple[m.AvailablePeriod, ...], *, at: datetime
) -> None:
    resource_ids = message.target.resource_ids
    if len(periods) > MOST_PERIODS or len(resource_ids) > MOST_RESOURCES:
        raise Refused(m.INVALID_DATA, f"more than {MOST_PERIODS} periods or {MOST_RESOURCES} resources")
    OptSchedule.objects.update_or_create(
        ven=ven,
        opt_id=message.opt_id,
        defaults={
            "opt": CHOICES[message.opt_type],
            "reason": message.opt_reason[: opting.LONGEST_REASON],
            "market_context": message.market_context[:200],
            "resource_ids": list(resource_ids),
            "periods": [
                {"starts_at": format_datetime(period.starts_at), "duration_seconds": period.duration_seconds}
                for period in periods
            ],
            "received_at": at,
            "cancelled_at": None,
        },
    )
