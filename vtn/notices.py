"""From neutral content to the columns of an event and on to a 2.0b message.

The only module that knows both vocabularies; another wire would stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from oadr import codec, messages, rendering
from oadr.errors import WireError
from vtn import lifecycle, signals
from vtn.content import EventContent, SignalContent, Target
from vtn.live_events import AnyEvent
from vtn.models import Event
from vtn.port import NoticeInvalid, VenId

LONGEST_SECONDS: Final = 2**31 - 1
FIRST_YEAR, LAST_YEAR = 2000, 2100
MOST_RESOURCES: Final = 500
MOST_TEMPLATES: Final = 512
_WIRE_TARGETS: Final = {
    "group_id": "group_ids",
    "group_name": "group_names",
    "party_id": "party_ids",
    "pnode": "pnodes",
    "aggregated_pnode": "aggregated_pnodes",
    "meter_asset": "meter_assets",
    "end_device_asset": "end_device_assets",
    "service_delivery_point": "service_delivery_points",
    "service_area": "service_areas",
    "service_location": "service_locations",
}
_templates: dict[tuple[object, ...], rendering.EventTemplate] = {}


def require_sound(contents: Sequence[EventContent]) -> None:
    """Raise NoticeInvalid for the first content that would not make a valid 2.0b event.

    What is the same for many VENs is rendered and schema-checked once.
    """
    seen: set[str] = set()
    for content in contents:
        require_addressee(content.ven_id, content.resource_ids)
        digest = content.digest
        if digest in seen:
            continue
        seen.add(digest)
        _require_rules(content)
        event = Event(event_id="0", modification_number=0, published_at=content.starts_at)
        for column, value in columns(replace(content, ven_id=VenId("VEN"), resource_ids=())).items():
            setattr(event, column, value)
        message = messages.DistributeEvent(
            request_id="0",
            vtn_id="0",
            events=(event_message(event, ven_id="VEN", at=content.starts_at),),
        )
        try:
            codec.serialise(message)
        except WireError as error:
            raise NoticeInvalid(field="notice", reason=error.reason) from error


def columns(content: EventContent) -> dict[str, Any]:
    """Return the event columns that content sets, apart from its VEN."""
    return {
        "market_context": content.market_context,
        "starts_at": content.starts_at,
        "duration_seconds": content.duration_seconds,
        "closes_at": content.closes_at,
        "signals": [_stored(signal) for signal in content.signals],
        "priority": content.priority,
        "is_test": content.is_test,
        "is_response_required": content.is_response_required,
        "start_tolerance_seconds": content.start_tolerance_seconds,
        "notification_seconds": content.notification_seconds,
        "ramp_up_seconds": content.ramp_up_seconds,
        "recovery_seconds": content.recovery_seconds,
        "comment": content.comment,
        "resource_ids": list(content.resource_ids),
        "targets": [list(target) for target in content.targets],
        "content_digest": content.digest,
    }


def content_of_event(event: Event) -> EventContent:
    """Return what an event says, as it was published: to be shown, copied or changed."""
    return EventContent(
        ven_id=VenId(event.ven.ven_id),
        market_context=event.market_context,
        starts_at=event.starts_at,
        duration_seconds=event.duration_seconds,
        signals=tuple(
            SignalContent(
                stored["name"],
                stored["type"],
                tuple((seconds, value) for seconds, value in stored["intervals"]),
                stored["unit"],
                tuple(stored.get("device_classes", ())),
            )
            for stored in event.signals
        ),
        notification_seconds=event.notification_seconds,
        ramp_up_seconds=event.ramp_up_seconds,
        recovery_seconds=event.recovery_seconds,
        start_tolerance_seconds=event.start_tolerance_seconds,
        priority=event.priority,
        is_response_required=event.is_response_required,
        is_test=event.is_test,
        comment=event.comment,
        resource_ids=tuple(event.resource_ids),
        targets=tuple((kind, value) for kind, value in event.targets),
    )


def event_bytes(event: AnyEvent, *, ven_id: str, at: datetime) -> bytes:
    """Return the event as one VEN reads it at `at`, from a rendering shared by all that read the same.

    The stored signals are only read when nobody else has been told the same yet.
    """
    state = lifecycle.status(event, at=at)
    elapsed = int((at - event.starts_at).total_seconds()) if state == "active" else None
    key: tuple[object, ...] = (
        event.content_digest or event.event_id,
        event.modification_number,
        event.modification_reason,
        event.published_at,
        state,
    )
    if elapsed is not None:
        # With one interval, or none changing, the running value is the same all along.
        key += (_running_interval(event, elapsed),)
    template = _templates.get(key)
    if template is None:
        if len(_templates) >= MOST_TEMPLATES:
            _templates.clear()
        template = _templates[key] = rendering.event_template(
            event_message(_whole(event), ven_id=ven_id, at=at)
        )
    return template.render(event_id=event.event_id, ven_id=ven_id, resource_ids=event.resource_ids)


def _whole(event: AnyEvent) -> Event:
    return event if isinstance(event, Event) else Event.objects.get(pk=event.pk)


_shapes: dict[str, tuple[int, ...]] = {}


def _running_interval(event: AnyEvent, elapsed: int) -> int:
    """Return how many interval bounds, over all signals, have passed: what the running values depend on."""
    shape_key = f"{event.content_digest or event.event_id}:{event.modification_number}"
    bounds = _shapes.get(shape_key)
    if bounds is None:
        found: set[int] = set()
        for stored in _whole(event).signals:
            ends = 0
            for seconds, _ in stored["intervals"]:
                ends += seconds
                found.add(ends)
        if len(_shapes) >= MOST_TEMPLATES:
            _shapes.clear()
        bounds = _shapes[shape_key] = tuple(sorted(found))
    return sum(1 for bound in bounds if bound <= elapsed)


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
        target=_target_message(event, ven_id),
        is_response_required=event.is_response_required,
        priority=event.priority,
        test_event="true" if event.is_test else "false",
        vtn_comment=event.comment,
    )


def vtn_id() -> str:
    return str(settings.VTN_ID)


def _stored(signal: SignalContent) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "name": signal.name,
        "type": signal.type,
        "unit": signal.unit,
        "intervals": [[seconds, value] for seconds, value in signal.intervals],
    }
    if signal.device_classes:
        stored["device_classes"] = list(signal.device_classes)
    return stored


def _signal_message(stored: dict[str, Any], index: int, *, elapsed: timedelta | None) -> messages.Signal:
    intervals = [(seconds, value) for seconds, value in stored["intervals"]]
    unit = signals.UNITS.get(stored["unit"])
    classes = tuple(stored.get("device_classes", ()))
    return messages.Signal(
        name=stored["name"],
        type=stored["type"],
        signal_id=str(index),
        intervals=tuple(
            messages.SignalInterval(seconds, value, str(uid))
            for uid, (seconds, value) in enumerate(intervals)
        ),
        target=messages.Target(end_device_assets=classes) if classes else None,
        unit=unit[1] if unit else None,
        current_value=0.0 if elapsed is None else _running_value(intervals, elapsed),
    )


def _target_message(event: Event, ven_id: str) -> messages.Target:
    named: dict[str, tuple[str, ...]] = {}
    interfaces: list[tuple[str, str]] = []
    for kind, value in event.targets:
        if kind == "transport_interface":
            receipt, _, delivery = value.partition(" -> ")
            interfaces.append((receipt, delivery))
        else:
            field = _WIRE_TARGETS[kind]
            named[field] = (*named.get(field, ()), value)
    return messages.Target(
        ven_ids=(ven_id,),
        resource_ids=tuple(event.resource_ids),
        transport_interfaces=tuple(interfaces),
        **named,
    )


def _running_value(intervals: list[tuple[int, float]], elapsed: timedelta) -> float:
    """Return the value of the interval now running (rule 14); past the last it is the last."""
    seconds = elapsed.total_seconds()
    for lasting, value in intervals:
        seconds -= lasting
        if seconds < 0:
            return value
    return intervals[-1][1]


def require_addressee(ven_id: str, resource_ids: Sequence[str]) -> None:
    """Raise NoticeInvalid for what an event names that cannot be told: its VEN and resources."""
    if len(resource_ids) > MOST_RESOURCES:
        raise NoticeInvalid(field="resource_ids", reason=f"more than {MOST_RESOURCES}")
    for name in (*resource_ids, ven_id):
        try:
            rendering.escaped(name)
        except WireError as error:
            raise NoticeInvalid(field="resource_ids", reason=error.reason) from error


def require_addressees(addressees: Iterable[tuple[str, Sequence[str]]]) -> None:
    """`require_addressee` of many: what is all printable is looked through as one text."""
    told = list(addressees)
    text = "".join([ven_id for ven_id, _ in told]) + "".join([name for _, names in told for name in names])
    if text.isprintable() and not any(len(names) > MOST_RESOURCES for _, names in told):
        return
    for ven_id, names in told:
        require_addressee(ven_id, names)


def is_reckonable(at: datetime) -> bool:
    """False for a time so early or late that times reckoned from it would be none."""
    return FIRST_YEAR <= at.year <= LAST_YEAR


def require_start(content: EventContent) -> None:
    """Raise NoticeInvalid for a start that is not reckonable."""
    if not is_reckonable(content.starts_at):
        raise NoticeInvalid(field="starts_at", reason=f"start it in a year from {FIRST_YEAR} to {LAST_YEAR}")


def _require_rules(content: EventContent) -> None:
    require_start(content)
    if content.starts_at.microsecond or content.duration_seconds < 0:
        raise NoticeInvalid(field="interval", reason="starts and lasts whole seconds")
    if not content.signals:
        raise NoticeInvalid(field="signals", reason="at least one signal")
    for signal in content.signals:
        if fault := signals.fault_of(signal, lasting_seconds=content.duration_seconds):
            raise NoticeInvalid(field="signals", reason=fault)
    for kind, value in content.targets:
        _require_target(kind, value)
    for name in ("notification_seconds", "start_tolerance_seconds", "priority", "duration_seconds"):
        if not 0 <= getattr(content, name) <= LONGEST_SECONDS:
            raise NoticeInvalid(field=name, reason="not negative, and no longer than 68 years")
    for name in ("ramp_up_seconds", "recovery_seconds"):
        if abs(getattr(content, name)) > LONGEST_SECONDS:
            raise NoticeInvalid(field=name, reason="longer than 68 years")
    for name, longest in (("market_context", 200), ("comment", 500)):
        if len(getattr(content, name)) > longest:
            raise NoticeInvalid(field=name, reason=f"longer than {longest} characters")


def _require_target(kind: Target | str, value: str) -> None:
    if kind not in _WIRE_TARGETS and kind != "transport_interface":
        raise NoticeInvalid(field="targets", reason=f"no such kind of target: {kind!r}")
    if not value or len(value) > 500:
        raise NoticeInvalid(field="targets", reason=f"{kind}: one to 500 characters")
    if kind == "transport_interface" and " -> " not in value:
        raise NoticeInvalid(field="targets", reason="transport_interface: written as `from -> to`")
