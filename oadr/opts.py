"""EiOpt: elements to messages and back."""

from __future__ import annotations

from typing import cast

from oadr.elements import (
    EI,
    EMIX,
    OADR,
    PYLD,
    XCAL,
    Element,
    add,
    add_if,
    add_properties,
    add_response,
    add_target,
    datetime_of,
    properties_of,
    response_of,
    target_of,
    text_of,
    token_of,
)
from oadr.events import add_qualified_event, qualified_event_of
from oadr.messages import (
    ActivePeriod,
    AvailablePeriod,
    CanceledOpt,
    CancelOpt,
    CreatedOpt,
    CreateOpt,
    OptType,
    Target,
)
from oadr.timeformat import format_datetime


def read_create_opt(root: Element) -> CreateOpt:
    schedule = root.find(XCAL("vavailability"))
    has_event = root.find(EI("qualifiedEventID")) is not None
    return CreateOpt(
        request_id=text_of(root, PYLD("requestID")),
        opt_id=text_of(root, EI("optID")),
        opt_type=cast(OptType, token_of(root, EI("optType"))),
        opt_reason=token_of(root, EI("optReason")),
        ven_id=text_of(root, EI("venID")),
        created_at=datetime_of(root, EI("createdDateTime")),
        event=qualified_event_of(root) if has_event else None,
        target=target_of(root, EI("eiTarget")) or Target(),
        market_context=token_of(root, EMIX("marketContext")),
        availability=None if schedule is None else _periods_of(schedule),
        device_class=target_of(root, OADR("oadrDeviceClass")),
    )


def _periods_of(schedule: Element) -> tuple[AvailablePeriod, ...]:
    periods = (
        properties_of(element) for element in schedule.iterfind(f"{XCAL('components')}/{XCAL('available')}")
    )
    return tuple(AvailablePeriod(period.starts_at, period.duration_seconds) for period in periods)


def write_create_opt(root: Element, message: CreateOpt) -> None:
    add(root, EI("optID"), message.opt_id)
    add(root, EI("optType"), message.opt_type)
    add(root, EI("optReason"), message.opt_reason)
    add_if(root, EMIX("marketContext"), message.market_context)
    add(root, EI("venID"), message.ven_id)
    if message.availability is not None:
        components = add(add(root, XCAL("vavailability")), XCAL("components"))
        for available in message.availability:
            period = ActivePeriod(available.starts_at, available.duration_seconds)
            add_properties(add(components, XCAL("available")), period, is_event=False)
    add(root, EI("createdDateTime"), format_datetime(message.created_at))
    add(root, PYLD("requestID"), message.request_id)
    if message.event is not None:
        add_qualified_event(root, message.event)
    add_target(root, EI("eiTarget"), message.target)
    if message.device_class is not None:
        add_target(root, OADR("oadrDeviceClass"), message.device_class)


def read_created_opt(root: Element) -> CreatedOpt:
    return CreatedOpt(response=response_of(root), opt_id=text_of(root, EI("optID")))


def write_created_opt(root: Element, message: CreatedOpt) -> None:
    add_response(root, message.response)
    add(root, EI("optID"), message.opt_id)


def read_cancel_opt(root: Element) -> CancelOpt:
    return CancelOpt(
        request_id=text_of(root, PYLD("requestID")),
        opt_id=text_of(root, EI("optID")),
        ven_id=text_of(root, EI("venID")),
    )


def write_cancel_opt(root: Element, message: CancelOpt) -> None:
    add(root, PYLD("requestID"), message.request_id)
    add(root, EI("optID"), message.opt_id)
    add(root, EI("venID"), message.ven_id)


def read_canceled_opt(root: Element) -> CanceledOpt:
    return CanceledOpt(response=response_of(root), opt_id=text_of(root, EI("optID")))


def write_canceled_opt(root: Element, message: CanceledOpt) -> None:
    add_response(root, message.response)
    add_if(root, EI("optID"), message.opt_id)
