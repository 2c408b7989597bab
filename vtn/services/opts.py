"""EiOpt: an opt for one event, or a schedule of opts; its replacement and its cancellation."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from oadr import messages as m
from oadr.messages import EiResponse
from oadr.timeformat import format_datetime
from vtn.models import Event, EventOpt, OptChoice, OptSchedule, OptSource, Ven
from vtn.notices import FIRST_YEAR, LAST_YEAR, is_reckonable
from vtn.services import distributing, opting
from vtn.services.refusing import Refused

CHOICES: Final = {"optIn": OptChoice.IN, "optOut": OptChoice.OUT}
LONGEST_ID: Final = 64
MOST_PERIODS: Final = 366
MOST_RESOURCES: Final = 200
CANCELLED_REASON: Final = "opt cancelled"


@transaction.atomic
def create_opt(*, ven: Ven, message: m.CreateOpt, at: datetime) -> m.CreatedOpt:
    """Record an opt for an event of this VEN, or its schedule; the same optID again replaces."""
    if not message.opt_id or len(message.opt_id) > LONGEST_ID:
        raise Refused(m.INVALID_ID, f"optID of one to {LONGEST_ID} characters")
    if message.opt_type not in CHOICES:
        raise Refused(m.INVALID_DATA, "optType must be optIn or optOut")
    if message.target.ven_ids and ven.ven_id not in message.target.ven_ids:
        raise Refused(m.TARGET_MISMATCH, "the target names another VEN")
    if len(message.target.resource_ids) > MOST_RESOURCES:
        raise Refused(m.INVALID_DATA, f"more than {MOST_RESOURCES} resources")
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
    """End a schedule, or take back an opt of the VEN's own for an event.

    What the VEN had answered before that opt then holds again; without an answer the
    VEN counts as undecided. Twice the same is 452 the second time.
    """
    schedules = OptSchedule.objects.filter(ven=ven, opt_id=message.opt_id, cancelled_at=None)
    ended = schedules.update(cancelled_at=at) + _cancel_event_opts(ven, message.opt_id, at=at)
    if not ended:
        raise Refused(m.INVALID_ID, "unknown optID")
    return m.CanceledOpt(
        response=EiResponse(description="OK", request_id=message.request_id), opt_id=message.opt_id
    )


def _opt_for_event(ven: Ven, message: m.CreateOpt, wanted: m.QualifiedEventId, *, at: datetime) -> None:
    # One opt of a VEN at a time; its event with those that the optID spoke of before, all at once and in
    # order, as whoever takes answers does.
    Ven.objects.select_for_update(no_key=True).get(pk=ven.pk)
    spoken_of = _standing(ven, message.opt_id).values("event_id")
    asked = Q(ven=ven, event_id=wanted.event_id)
    locked = Event.objects.select_for_update().filter(asked | Q(pk__in=spoken_of)).order_by("pk")
    event = next((each for each in locked if each.event_id == wanted.event_id), None)
    if event is None:
        raise Refused(m.INVALID_ID, "unknown eventID")
    if wanted.modification_number != event.modification_number:
        raise Refused(m.OUT_OF_SEQUENCE, "not the modificationNumber in force")
    strangers = set(message.target.resource_ids) - set(event.resource_ids)
    if event.resource_ids and strangers:
        raise Refused(m.TARGET_MISMATCH, f"the event is not for {min(strangers)[:40]}")
    meant = set(message.target.resource_ids)
    resource_ids = () if meant >= set(event.resource_ids) > set() else tuple(sorted(meant))
    OptSchedule.objects.filter(ven=ven, opt_id=message.opt_id, cancelled_at=None).update(cancelled_at=at)
    _cancel_event_opts(ven, message.opt_id, at=at, but=(event.pk, resource_ids))
    saying = opting.Saying(
        ven=ven,
        event=event,
        opt=CHOICES[message.opt_type],
        source=OptSource.CREATE_OPT,
        reason=message.opt_reason,
        opt_id=message.opt_id,
        resource_ids=resource_ids,
    )
    opting.record_opts([saying], at=at)
    distributing.settle([ven], at=at)


def _cancel_event_opts(
    ven: Ven, opt_id: str, *, at: datetime, but: tuple[int, tuple[str, ...]] | None = None
) -> int:
    """Take back the event opts of one optID, `but` those of one event and resources; how many stood."""
    said = _standing(ven, opt_id)
    locked = Event.objects.select_for_update().filter(pk__in=said.values("event_id")).order_by("pk")
    events = {event.pk: event for event in locked.defer("signals")}
    rows = [row for row in said.order_by("id") if (row.event_id, tuple(row.resource_ids)) != but]
    EventOpt.objects.filter(pk__in=[row.pk for row in rows]).update(withdrawn_at=at)
    ended = {row.pk for row in rows}
    opting.record_opts(
        [
            opting.Saying(
                ven=ven,
                event=event,
                opt=_opt_that_stands(event, resource_ids),
                source=OptSource.CREATE_OPT,
                reason=CANCELLED_REASON,
                resource_ids=resource_ids,
            )
            for event_pk, resource_ids in sorted({(row.event_id, tuple(row.resource_ids)) for row in rows})
            for event in [events[event_pk]]
            if _is_in_question(event, resource_ids, ended)
        ],
        at=at,
    )
    return len(rows)


def _standing(ven: Ven, opt_id: str) -> QuerySet[EventOpt]:
    return EventOpt.objects.filter(
        event__ven=ven, opt_id=opt_id, source=OptSource.CREATE_OPT, withdrawn_at=None
    )


def _is_in_question(event: Event, resource_ids: tuple[str, ...], ended: Collection[int]) -> bool:
    """True when what holds was said by one of the `ended` opts, or came of an opt cancelled before."""
    said = event.opts.filter(resource_ids=list(resource_ids), modification_number=event.modification_number)
    row = said.order_by("-id").first()
    return row is not None and (row.pk in ended or _came_of_cancelling(row))


def _came_of_cancelling(row: EventOpt) -> bool:
    return row.source == OptSource.CREATE_OPT and not row.opt_id


def _opt_that_stands(event: Event, resource_ids: tuple[str, ...]) -> OptChoice:
    """The latest word that was not cancelled; where resources have none, the one on the whole event."""
    said = event.opts.filter(modification_number=event.modification_number, withdrawn_at=None)
    said = said.exclude(source=OptSource.CREATE_OPT, opt_id="").order_by("-id")
    row = said.filter(resource_ids=list(resource_ids)).first()
    if row is None and resource_ids:
        row = said.filter(resource_ids=[]).first()
    return OptChoice(row.opt) if row is not None else OptChoice.NONE


def _opt_schedule(
    ven: Ven, message: m.CreateOpt, periods: tuple[m.AvailablePeriod, ...], *, at: datetime
) -> None:
    if len(periods) > MOST_PERIODS:
        raise Refused(m.INVALID_DATA, f"more than {MOST_PERIODS} periods")
    for period in periods:
        if not is_reckonable(period.starts_at):
            year = period.starts_at.year
            raise Refused(m.INVALID_DATA, f"dtstart: a year from {FIRST_YEAR} to {LAST_YEAR}, not {year}")
        if period.duration_seconds < 0:
            raise Refused(m.INVALID_DATA, f"a period of {period.duration_seconds} seconds")
    _cancel_event_opts(ven, message.opt_id, at=at)
    OptSchedule.objects.update_or_create(
        ven=ven,
        opt_id=message.opt_id,
        defaults={
            "opt": CHOICES[message.opt_type],
            "reason": message.opt_reason[: opting.LONGEST_REASON],
            "market_context": message.market_context[:200],
            "resource_ids": list(message.target.resource_ids),
            "periods": [
                {"starts_at": format_datetime(period.starts_at), "duration_seconds": period.duration_seconds}
                for period in periods
            ],
            "received_at": at,
            "cancelled_at": None,
        },
    )
