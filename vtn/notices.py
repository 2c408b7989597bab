"""From a neutral notice to the columns of an event and on to a 2.0b message.

The only module that knows both the port's words and the wire's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from oadr import codec, messages
from oadr.errors import WireError
from vtn import lifecycle
from vtn.models import Event
from vtn.port import EventNotice, NoticeInvalid, Signal, SignalInterval, VenId

UNITS: Final[Mapping[str, messages.Unit]] = {
    "w": messages.Unit("powerReal", "RealPower", "W", "none", hertz="50", voltage="230", is_ac=True),
    "kw": messages.Unit("powerReal", "RealPower", "W", "k", hertz="50", voltage="230", is_ac=True),
    "wh": messages.Unit("energyReal", "RealEnergy", "Wh", "none"),
    "kwh": messages.Unit("energyReal", "RealEnergy", "Wh", "k"),
    "gbp_per_kwh": messages.Unit("currencyPerKWh", "currencyPerKWh", "GBP", "none"),
    "pct": messages.Unit("customUnit", "percent", "%", "none"),
}
LONGEST_SECONDS: Final = 2**31 - 1


def require_sound(notices: Sequence[EventNotice]) -> None:
    """Raise NoticeInvalid for the first notice that would not make a valid 2.0b event.

    Each distinct content is rendered and schema-checked once, whatever the number of VENs.
    """
    for content in dict.fromkeys(replace(notice, ven_id=VenId("VEN")) for notice in notices):
        _require_rules(content)
        event = Event(event_id="0", modification_number=0, published_at=content.interval.starts_at)
        for column, value in columns(content).items():
            setattr(event, column, value)
        message = messages.DistributeEvent(
            request_id="0",
            vtn_id="0",
            events=(event_message(event, ven_id="VEN", at=content.interval.starts_at),),
        )
        try:
            codec.serialise(message)
        except WireError as error:
            raise NoticeInvalid(field="notice", reason=error.reason) from error


def columns(notice: EventNotice) -> dict[str, Any]:
    """Return the event columns that a notice sets, apart from its VEN."""
    tolerance = timedelta(seconds=notice.start_tolerance_seconds)
    return {
        "market_context": notice.market_context,
        "starts_at": notice.interval.starts_at,
        "duration_seconds": int(notice.interval.duration.total_seconds()),
        "closes_at": notice.interval.ends_at + tolerance,
        "signals": [_stored(signal) for signal in notice.signals],
        "priority": notice.priority,
        "is_test": notice.test,
        "is_response_required": notice.response_required,
        "start_tolerance_seconds": notice.start_tolerance_seconds,
        "notification_seconds": notice.notification_seconds,
        "ramp_up_seconds": notice.ramp_up_seconds,
        "recovery_seconds": notice.recovery_seconds,
        "comment": notice.comment,
        "resource_ids": list(notice.resource_ids),
    }


def event_message(event: Event, *, ven_id: str, at: datetime) -> messages.Event:
    """Return the event as one VEN reads it at `at`."""
    state = lifecycle.status(event, at=at)
    return messages.Event(
        event_id=event.event_id,
        modification_number=event.modification_number,
        modification_reason=event.modification_reason,
        market_context=event.market_context,
        created_at=event.published_at,
        status=state,
        active_period=messages.ActivePeriod(
            starts_at=event.starts_at,
            duration_seconds=event.duration_seconds,
            start_tolerance_seconds=event.start_tolerance_seconds,
            notification_seconds=event.notification_seconds,
            ramp_up_seconds=event.ramp_up_seconds,
            recovery_seconds=event.recovery_seconds,
        ),
        signals=tuple(
            _signal_message(stored, index, elapsed=at - event.starts_at if state == "active" else None)
            for index, stored in enumerate(event.signals)
        ),
        target=messages.Target(ven_ids=(ven_id,), resource_ids=tuple(event.resource_ids)),
        is_response_required=event.is_response_required,
        priority=event.priority,
        test_event="true" if event.is_test else "false",
        vtn_comment=event.comment,
    )


def vtn_id() -> str:
    return str(settings.VTN_ID)


def _stored(signal: Signal) -> dict[str, Any]:
    return {
        "name": signal.name,
        "type": signal.type,
        "unit": signal.unit,
        "intervals": [[interval.duration_seconds, interval.value] for interval in signal.intervals],
    }


def _signal_message(stored: dict[str, Any], index: int, *, elapsed: timedelta | None) -> messages.Signal:
    intervals = [SignalInterval(duration, value) for duration, value in stored["intervals"]]
    return messages.Signal(
        name=stored["name"],
        type=stored["type"],
        signal_id=str(index),
        intervals=tuple(
            messages.SignalInterval(interval.duration_seconds, interval.value, str(uid))
            for uid, interval in enumerate(intervals)
        ),
        unit=UNITS.get(stored["unit"]),
        current_value=0.0 if elapsed is None else _running_value(intervals, elapsed),
    )


def _running_value(intervals: list[SignalInterval], elapsed: timedelta) -> float:
    """Return the value of the interval now running (rule 14); past the last it is the last."""
    seconds = elapsed.total_seconds()
    for interval in intervals:
        seconds -= interval.duration_seconds
        if seconds < 0:
            return interval.value
    return intervals[-1].value


def _require_rules(notice: EventNotice) -> None:
    seconds = notice.interval.duration.total_seconds()
    if seconds != int(seconds) or notice.interval.starts_at.microsecond:
        raise NoticeInvalid(field="interval", reason="starts and lasts whole seconds")
    if not notice.signals:
        raise NoticeInvalid(field="signals", reason="at least one signal")
    for signal in notice.signals:
        lasting = sum(interval.duration_seconds for interval in signal.intervals)
        if lasting != seconds or any(interval.duration_seconds <= 0 for interval in signal.intervals):
            raise NoticeInvalid(
                field="signals",
                reason=f"{signal.name}: intervals last {lasting} s of the event's {seconds:g} s",
            )
        if not all(math.isfinite(interval.value) for interval in signal.intervals):
            raise NoticeInvalid(field="signals", reason=f"{signal.name}: a value is no number")
        if signal.unit and signal.unit not in UNITS:
            raise NoticeInvalid(field="signals", reason=f"unknown unit {signal.unit!r}")
        if signal.name.upper() == "SIMPLE":
            values = [interval.value for interval in signal.intervals]
            if signal.type != "level" or any(value not in (0, 1, 2, 3) for value in values):
                raise NoticeInvalid(field="signals", reason="SIMPLE is a level of 0, 1, 2 or 3")
    for name in ("notification_seconds", "start_tolerance_seconds", "priority"):
        if not 0 <= getattr(notice, name) <= LONGEST_SECONDS:
            raise NoticeInvalid(field=name, reason="not negative, and no longer than 68 years")
    for name in ("ramp_up_seconds", "recovery_seconds"):
        if abs(getattr(notice, name)) > LONGEST_SECONDS:
            raise NoticeInvalid(field=name, reason="longer than 68 years")
    for name, longest in (("market_context", 200), ("comment", 500)):
        if len(getattr(notice, name)) > longest:
            raise NoticeInvalid(field=name, reason=f"longer than {longest} characters")
