"""The prompts: one press stages what certification asks a VEN to cope with, on the real path to a real VEN.

Every prompt goes the way of everything else: events through the port, messages through the
queue. Events are marked as tests unless staff ask for live ones, which the house may refuse
(VTN_SEND_GUARD).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from opendsr.kernel import audit, clock
from opendsr.kernel.errors import DomainError
from vtn import desk, notices, policy, publishing, registering, reporting, sending
from vtn.content import EventContent, SignalContent
from vtn.models import Event, MessageKind, PromptRun, ReportOffer, ReportRequest, Ven
from vtn.port import UnknownVen, VenId, VtnEventId

MINUTE: Final = 60
HOUR: Final = 3_600
MARKET: Final = "http://prompts.test/by-hand"


class UnknownPrompt(DomainError):
    """No such prompt: `prompt`."""

    status = 404


class NothingToChange(DomainError):
    """The prompt needs an open event of an earlier prompt, and this VEN has none: `reason`."""


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button."""

    ven: Ven
    run_id: UUID
    is_live: bool
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Staged:
    """What a press put on its way."""

    event_ids: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One button: its name, what it stages, what a conforming VEN does."""

    name: str
    kind: str
    title: str | Promise
    expects: str | Promise
    stage: Callable[[Press], Staged]
    is_always_test: bool = False


def simple(*levels: float, minutes: int = 60) -> tuple[SignalContent, ...]:
    """SIMPLE at each level in turn."""
    return (SignalContent("SIMPLE", "level", tuple((minutes * MINUTE, float(level)) for level in levels)),)


def content(
    press: Press, *, in_seconds: int, signals: Sequence[SignalContent] | None = None, **changes: object
) -> EventContent:
    """An event that starts so many seconds from now, on a whole second."""
    starts_at = press.at.replace(microsecond=0) + timedelta(seconds=in_seconds)
    given = tuple(signals) if signals else simple(1)
    plain = EventContent(
        VenId(press.ven.ven_id), MARKET, starts_at, sending.lasting(given), given, is_test=not press.is_live
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def _send(press: Press, *contents: EventContent) -> Staged:
    for each in contents:
        policy.require_may_send(
            [press.ven.ven_id], is_test=each.is_test, interval=sending.interval_of(each), at=press.at
        )
    by_key = {f"prompt:{press.run_id}:{number}": each for number, each in enumerate(contents)}
    return Staged(event_ids=tuple(publishing.publish_events(by_key, at=press.at).values()))


def _event(**settings: object) -> Callable[[Press], Staged]:
    return lambda press: _send(press, content(press, **settings))  # type: ignore[arg-type]


def _of_signals(*signals: SignalContent) -> Callable[[Press], Staged]:
    return _event(in_seconds=2 * HOUR, signals=signals)


def _two_by_priority(press: Press) -> Staged:
    return _send(
        press,
        content(press, in_seconds=HOUR, signals=simple(1), priority=2),
        content(press, in_seconds=HOUR, signals=simple(2), priority=1),
    )


def _three_in_a_row(press: Press) -> Staged:
    return _send(
        press, *(content(press, in_seconds=hours * HOUR, signals=simple(hours)) for hours in (1, 2, 3))
    )


def _to_a_resource(press: Press) -> Staged:
    known = desk.resources_of(press.ven)
    return _send(press, content(press, in_seconds=HOUR, resource_ids=(known[0] if known else "resource-1",)))


def _modify(press: Press) -> Staged:
    event = _latest_open(press)
    now = press.at.replace(microsecond=0)
    later = replace(
        notices.content_of_event(event), starts_at=max(event.starts_at, now) + timedelta(minutes=15)
    )
    publishing.amend_event(VtnEventId(event.event_id), later, at=press.at, reason="prompt: later")
    return Staged(event_ids=(event.event_id,))


def _cancel(press: Press) -> Staged:
    event = _latest_open(press)
    publishing.cancel_events([VtnEventId(event.event_id)], at=press.at, reason="prompt: cancelled")
    return Staged(event_ids=(event.event_id,))


def _latest_open(press: Press) -> Event:
    event = (
        Event.objects.filter(
            ven=press.ven, key__startswith="prompt:", cancelled_at=None, closes_at__gt=press.at
        )
        .order_by("-pk")
        .first()
    )
    if event is None:
        raise NothingToChange(reason=_("this VEN has no open event of a prompt: stage one first"))
    return event


def _reregister(press: Press) -> Staged:
    queued = registering.request_reregistration(ven_id=press.ven.ven_id, at=press.at, by=press.by)
    return Staged(queued=(str(queued.kind),))


def _cancel_registration(press: Press) -> Staged:
    queued = registering.cancel_registration(ven_id=press.ven.ven_id, at=press.at, by=press.by)
    return Staged(queued=(str(queued.kind),))


def _metadata(press: Press) -> Staged:
    queued = reporting.ask_for_metadata(ven_id=press.ven.ven_id, at=press.at, by=press.by)
    return Staged(queued=(str(queued.kind),))


def _own_reports(press: Press) -> Staged:
    queued = reporting.offer_own_reports(ven_id=press.ven.ven_id, at=press.at, by=press.by)
    return Staged(queued=(str(queued.kind),))


def _report(*, report_back_seconds: int) -> Callable[[Press], Staged]:
    def stage(press: Press) -> Staged:
        offer = ReportOffer.objects.filter(ven=press.ven, withdrawn_at=None).order_by("pk").first()
        if offer is None:
            raise NothingToChange(reason=_("this VEN offers no report: ask it what it can report first"))
        reporting.ask_for_report(
            ven_id=press.ven.ven_id,
            specifier_id=offer.specifier_id,
            granularity_seconds=MINUTE,
            report_back_seconds=report_back_seconds,
            at=press.at,
            by=press.by,
        )
        return Staged(queued=(str(MessageKind.CREATE_REPORT),))

    return stage


def _cancel_report(*, is_report_to_follow: bool) -> Callable[[Press], Staged]:
    def stage(press: Press) -> Staged:
        request = (
            ReportRequest.objects.filter(ven=press.ven, state__in=("asked", "running"))
            .order_by("-pk")
            .first()
        )
        if request is None:
            raise NothingToChange(reason=_("no report is asked of this VEN: ask for one first"))
        queued = reporting.cancel_reports(
            ven_id=press.ven.ven_id,
            report_request_ids=[request.report_request_id],
            is_report_to_follow=is_report_to_follow,
            at=press.at,
            by=press.by,
        )
        return Staged(queued=(str(queued.kind),))

    return stage


def _signal(name: str, type_: str, unit: str, *values: float) -> SignalContent:
    intervals = tuple((30 * MINUTE, value) for value in values)
    return SignalContent(name, type_, intervals, unit)


_OPTS_IN: Final = _("The VEN answers with oadrCreatedEvent, optIn or optOut.")

PROMPTS: Final[tuple[Prompt, ...]] = (
    Prompt("far", "event", _("An event that is far"), _OPTS_IN, _event(in_seconds=24 * HOUR)),
    Prompt(
        "near",
        "event",
        _("An event that is near"),
        _("Its ramp-up has begun: status near, and the VEN answers."),
        _event(in_seconds=5 * MINUTE, ramp_up_seconds=10 * MINUTE, recovery_seconds=5 * MINUTE),
    ),
    Prompt(
        "active",
        "event",
        _("An event that is active now"),
        _("Status active, currentValue that of the running interval; the VEN acts at once."),
        _event(in_seconds=0, signals=simple(1, 2, minutes=10)),
    ),
    Prompt(
        "short",
        "event",
        _("A short event in two minutes"),
        _("The VEN goes from far to active to completed while you watch."),
        _event(in_seconds=2 * MINUTE, signals=simple(1, minutes=2)),
    ),
    Prompt(
        "intervals",
        "event",
        _("Several intervals"),
        _("The VEN follows each level in turn: 1, 3, 2, 0."),
        _event(in_seconds=HOUR, signals=simple(1, 3, 2, 0, minutes=15)),
    ),
    Prompt(
        "signals",
        "event",
        _("Several signals"),
        _("A price beside SIMPLE: the VEN follows the one it supports."),
        _of_signals(*simple(1), _signal("ELECTRICITY_PRICE", "price", "gbp_per_kwh", 0.12, 0.34)),
    ),
    Prompt(
        "price",
        "event",
        _("A price"),
        _OPTS_IN,
        _of_signals(_signal("ELECTRICITY_PRICE", "price", "gbp_per_kwh", 0.05, 0.42, 0.18)),
    ),
    Prompt(
        "dispatch",
        "event",
        _("A load dispatch"),
        _OPTS_IN,
        _of_signals(_signal("LOAD_DISPATCH", "setpoint", "kw", 3.0, 0.0)),
    ),
    Prompt(
        "charge_state",
        "event",
        _("A state of charge"),
        _OPTS_IN,
        _of_signals(_signal("CHARGE_STATE", "setpoint", "kwh", 8.0)),
    ),
    Prompt(
        "load_control",
        "event",
        _("A load control"),
        _OPTS_IN,
        _of_signals(_signal("LOAD_CONTROL", "x-loadControlPercentOffset", "pct", -20.0)),
    ),
    Prompt(
        "random_start",
        "event",
        _("A random start"),
        _("The VEN moves start and end by 0 to 10 minutes (rule 30)."),
        _event(in_seconds=HOUR, start_tolerance_seconds=10 * MINUTE),
    ),
    Prompt(
        "notification",
        "event",
        _("Notification, ramp-up and recovery"),
        _OPTS_IN,
        _event(
            in_seconds=2 * HOUR,
            notification_seconds=HOUR,
            ramp_up_seconds=15 * MINUTE,
            recovery_seconds=15 * MINUTE,
        ),
    ),
    Prompt(
        "priority",
        "event",
        _("Two at once, by priority"),
        _("Priority 1 wins over 2 while both are active."),
        _two_by_priority,
    ),
    Prompt(
        "three",
        "event",
        _("Three in a row"),
        _("One message carries all three; the VEN answers each."),
        _three_in_a_row,
    ),
    Prompt(
        "open_ended",
        "event",
        _("An event without end"),
        _("Duration 0: the VEN acts until the event is cancelled. Cancel it with the last button."),
        _event(in_seconds=0, signals=(SignalContent("SIMPLE", "level", ((0, 1.0),)),)),
    ),
    Prompt(
        "device_class",
        "event",
        _("For a class of devices"),
        _("The signal's target names Thermostat: a VEN without one opts out or does nothing."),
        _of_signals(SignalContent("SIMPLE", "level", ((HOUR, 1.0),), device_classes=("Thermostat",))),
    ),
    Prompt(
        "resource",
        "event",
        _("For one resource only"),
        _("The target names a resource; others are left alone."),
        _to_a_resource,
    ),
    Prompt(
        "never",
        "event",
        _("No answer wanted"),
        _("oadrResponseRequired never: the VEN stays silent (rule 62)."),
        _event(in_seconds=HOUR, is_response_required=False),
    ),
    Prompt(
        "test_event",
        "event",
        _("A test event"),
        _("testEvent true: the VEN answers and switches nothing (rule 6)."),
        _event(in_seconds=HOUR, is_test=True, comment="Test"),
        is_always_test=True,
    ),
    Prompt(
        "modify",
        "event",
        _("Modify the latest prompt"),
        _("The same event, modificationNumber one higher, 15 minutes later."),
        _modify,
    ),
    Prompt(
        "cancel",
        "event",
        _("Cancel the latest prompt"),
        _("Status cancelled, modificationNumber one higher; the VEN confirms."),
        _cancel,
    ),
    Prompt(
        "reregister",
        "message",
        _("Ask to register again"),
        _("oadrResponse, then oadrCreatePartyRegistration with its registrationID."),
        _reregister,
    ),
    Prompt(
        "cancel_registration",
        "message",
        _("Cancel the registration"),
        _("oadrCanceledPartyRegistration; from then on 463 until it registers again."),
        _cancel_registration,
    ),
    Prompt(
        "metadata",
        "report",
        _("Ask what it can report"),
        _("reportSpecifierID METADATA: the VEN registers its reports again (rules 301, 327)."),
        _metadata,
    ),
    Prompt(
        "own_reports",
        "report",
        _("Offer our own reports"),
        _("An empty oadrRegisterReport: the VEN answers with oadrRegisteredReport."),
        _own_reports,
    ),
    Prompt(
        "one_shot",
        "report",
        _("A report, once"),
        _("reportBackDuration 0 (rule 324): one oadrUpdateReport and no more."),
        _report(report_back_seconds=0),
    ),
    Prompt(
        "periodic",
        "report",
        _("A report every five minutes"),
        _("oadrCreatedReport, then an oadrUpdateReport each five minutes until cancelled."),
        _report(report_back_seconds=5 * MINUTE),
    ),
    Prompt(
        "cancel_report",
        "report",
        _("Cancel the latest report"),
        _("oadrCanceledReport with the pending ones; no more of it comes."),
        _cancel_report(is_report_to_follow=False),
    ),
    Prompt(
        "cancel_to_follow",
        "report",
        _("Cancel it with a last report to follow"),
        _("oadrCanceledReport, then one last oadrUpdateReport."),
        _cancel_report(is_report_to_follow=True),
    ),
)
BY_NAME: Final[Mapping[str, Prompt]] = {prompt.name: prompt for prompt in PROMPTS}


@transaction.atomic
def press(*, ven_id: str, prompt: str, run_id: UUID, is_live: bool, at: datetime, by: str) -> PromptRun:
    """Stage a prompt for a VEN; the same `run_id` again is the same press.

    Raises UnknownPrompt, UnknownVen, NothingToChange, policy.SendingRefused, registering.VenUnregistered.
    """
    wanted = BY_NAME.get(prompt)
    if wanted is None:
        raise UnknownPrompt(prompt=prompt)
    ven = Ven.objects.select_for_update(no_key=True).filter(ven_id=ven_id).first()
    if ven is None:
        raise UnknownVen(ven_id=ven_id)
    done = PromptRun.objects.filter(run_id=run_id).first()
    if done is not None:
        return done
    staged = wanted.stage(Press(ven, run_id, is_live and not wanted.is_always_test, at, by))
    audit.record(
        at=at,
        actor=by,
        verb="vtn.prompt.pressed",
        target=f"ven:{ven_id}",
        detail={"prompt": prompt, "live": is_live},
    )
    return PromptRun.objects.create(
        run_id=run_id,
        ven=ven,
        prompt=prompt,
        at=at,
        started_wall_at=clock.wall_now(),
        by=by,
        event_ids=list(staged.event_ids),
        queued=list(staged.queued),
    )
