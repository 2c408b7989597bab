"""One round with an operator's VTN: claimed, spoken, and due again.

Which VTN is due when, and who speaks with it, is in its row: a round that dies is taken up by the next once
its lease is over, and everything the VTN says is kept before it is answered. The VTN is polled as often as it
asks for; one that names no pace, sooner while something of its runs. After failures it is left alone for
longer and longer, by chance.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from django.db import OperationalError
from django.db.models import Q, QuerySet

from campaigns.models import OperatorVtn
from campaigns.servicing.receiving import Delayed
from campaigns.servicing.signatures import SignatureRefused
from campaigns.ven import reporting, taking
from campaigns.ven.speaking import Line
from oadr.errors import LinkError, Refused
from oadr.messages import DistributeEvent, EventResponse, Report, ReportRequest
from oadr.pausing import pause_seconds
from oadr.ven import OptNote, Protest, Registration, ScheduleNote, Unregistered, Ven
from opendsr.kernel import clock

logger = logging.getLogger(__name__)
LEASE: Final = timedelta(seconds=120)
LONGEST_ROUND: Final = timedelta(seconds=100)
LEAST_POLL_SECONDS: Final = 5
MOST_POLL_SECONDS: Final = 3_600
POLL_SECONDS: Final = 30
POLL_SECONDS_WHILE_ANY_RUNS: Final = 10
JITTER: Final = 0.1
FIRST_PAUSE_SECONDS: Final = 2.0
MOST_PAUSE_SECONDS: Final = 300.0
WHOLE_SET_AFTER: Final = timedelta(hours=1)
"""So often all events are asked for, whatever polls have brought."""
_dice = Random()  # noqa: S311 - spreads contacts, hides nothing


def due(*, wall: datetime) -> list[UUID]:
    """The VTNs to speak with now."""
    return list(
        _free(wall).filter(due_wall_at__lte=wall).order_by("due_wall_at").values_list("pk", flat=True)
    )


def contact(*, vtn_id: UUID, wall: datetime) -> bool:
    """Do one round with the VTN, if it is due and nobody does; whether it came off.

    What went wrong is kept in the row, in words.
    """
    mine = _free(wall).filter(pk=vtn_id, due_wall_at__lte=wall)
    if not mine.update(claimed_until_wall_at=wall + LEASE):
        return False
    vtn = OperatorVtn.objects.select_related("client").get(pk=vtn_id)
    problem, at_least, is_known = "", 0.0, True
    try:
        _converse(vtn, wall=wall)
    except (LinkError, SignatureRefused, Delayed, OperationalError) as error:
        problem = _words(error)
        at_least = (error.retry_after_seconds or 0.0) if isinstance(error, Refused) else 0.0
        is_known = not isinstance(error, Unregistered)
    failures = vtn.failures + 1 if problem else 0
    now = clock.wall_now()
    row = OperatorVtn.objects.filter(pk=vtn.pk)
    row.update(
        claimed_until_wall_at=None,
        failures=failures,
        problem=problem,
        due_wall_at=now + timedelta(seconds=max(at_least, _wait_seconds(vtn.pk, failures))),
    )
    if problem:
        logger.warning("openadr: %s: %s", vtn.url, problem)
        # Changed meanwhile by staff, it is to be settled anew in any case.
        row.filter(changed_at=vtn.changed_at, is_settled=True).update(is_settled=is_known)
        return False
    row.filter(changed_at=vtn.changed_at).update(is_settled=True, contacted_wall_at=now)
    return True


def _converse(vtn: OperatorVtn, *, wall: datetime) -> None:
    at = clock.now()
    taking.follow(vtn, at=at)
    r_ids = reporting.offered(vtn, at=at)
    is_checked = vtn.is_settled and bool(vtn.registration_id) and vtn.offered == r_ids
    asked_at = vtn.whole_set_wall_at
    is_full_set_due = (
        not is_checked or vtn.failures > 0 or asked_at is None or asked_at + WHOLE_SET_AFTER <= wall
    )
    ven = Ven(
        Line(vtn, until_wall_at=wall + LONGEST_ROUND),
        _Zones(vtn),
        name=vtn.ven_name,
        registration=Registration(vtn.ven_id, vtn.registration_id, vtn.vtn_id, vtn.poll_seconds),
        is_checked=is_checked,
        is_full_set_due=is_full_set_due,
    )
    ven.contact()
    row = OperatorVtn.objects.filter(pk=vtn.pk)
    row.update(offered=r_ids, **({"whole_set_wall_at": wall} if is_full_set_due else {}))


@dataclass(frozen=True, slots=True)
class _Zones:
    """Who decides about what the VTN says: the servicing door; see `oadr.ven.Home`."""

    vtn: OperatorVtn

    def registered(self, registration: Registration) -> None:
        vtn = self.vtn
        is_new = registration.registration_id != vtn.registration_id
        vtn.ven_id, vtn.registration_id = registration.ven_id, registration.registration_id
        vtn.vtn_id, vtn.poll_seconds = registration.vtn_id, registration.poll_seconds
        if is_new or vtn.registered_wall_at is None:
            vtn.registered_wall_at = clock.wall_now()
        vtn.save(update_fields=["ven_id", "registration_id", "vtn_id", "poll_seconds", "registered_wall_at"])

    def take_events(self, message: DistributeEvent) -> Sequence[EventResponse]:
        try:
            return taking.take(self.vtn, message, at=clock.now())
        except SignatureRefused as error:
            raise Protest(str(error.data["reason"])) from error

    def let_go(self) -> None:
        taking.let_go(self.vtn, reason="the operator cancelled the registration", at=clock.now())
        self.vtn.registration_id, self.vtn.registered_wall_at = "", None
        self.vtn.save(update_fields=["registration_id", "registered_wall_at"])

    def report_offers(self) -> tuple[Report, ...]:
        return reporting.offers(self.vtn, at=clock.now())

    def take_report_requests(self, requests: Sequence[ReportRequest]) -> list[str]:
        return reporting.take_requests(self.vtn, requests, at=clock.now())

    def reports_running(self) -> tuple[str, ...]:
        return reporting.running(self.vtn)

    def cancel_reports(self, report_request_ids: Sequence[str]) -> None:
        reporting.cancel(self.vtn, report_request_ids)

    def reports_due(self, of: Sequence[str] | None = None) -> tuple[Report, ...]:
        return reporting.due(self.vtn, of=of, at=clock.now())

    def reports_heard(self, reports: Sequence[Report]) -> None:
        reporting.heard(self.vtn, reports, at=clock.now())

    def opts_waiting(self) -> Sequence[OptNote]:
        return taking.opts_waiting(self.vtn, at=clock.now())

    def version_of(self, note: OptNote) -> int:
        row = self.vtn.events.filter(event_id=note.event_id).first()
        return note.modification_number if row is None else row.modification_number

    def opt_heard(self, note: OptNote) -> None:
        taking.opt_heard(self.vtn, note)

    def schedules_waiting(self) -> Sequence[ScheduleNote]:
        return ()

    def schedule_heard(self, note: ScheduleNote) -> None:
        """None is ever waiting."""


def _free(wall: datetime) -> QuerySet[OperatorVtn]:
    unclaimed = Q(claimed_until_wall_at=None) | Q(claimed_until_wall_at__lte=wall)
    return OperatorVtn.objects.filter(unclaimed, is_on=True, client__closed_at=None)


def _wait_seconds(vtn_id: UUID, failures: int) -> float:
    if failures:
        return pause_seconds(
            failures - 1,
            first_seconds=FIRST_PAUSE_SECONDS,
            most_seconds=MOST_PAUSE_SECONDS,
            dice=_dice,
        )
    vtn = OperatorVtn.objects.get(pk=vtn_id)
    asked = vtn.poll_seconds
    if asked is None:
        is_any = vtn.events.filter(state__in=taking.LIVE).exists()
        asked = POLL_SECONDS_WHILE_ANY_RUNS if is_any else POLL_SECONDS
    seconds = min(max(asked, LEAST_POLL_SECONDS), MOST_POLL_SECONDS)
    return seconds * _dice.uniform(1 - JITTER, 1 + JITTER)


def _words(error: Exception) -> str:
    if isinstance(error, OperationalError | Delayed):
        return "the database was busy: tried again"
    return (str(error) or type(error).__name__)[:300]
