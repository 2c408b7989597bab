"""EiEvent: elements to messages and back."""

from __future__ import annotations

from typing import Final, cast

from oadr.elements import (
    EI,
    EMIX,
    OADR,
    PYLD,
    STRM,
    XCAL,
    Element,
    add,
    add_duration,
    add_if,
    add_properties,
    add_response,
    add_target,
    add_uid,
    add_unit,
    datetime_of,
    duration_of,
    float_of,
    from_float,
    integer_of,
    line_of,
    properties_of,
    require,
    response_of,
    target_of,
    text_of,
    texts_by_tag,
    to_float,
    to_integer,
    token_of,
    uid_of,
    unit_of,
)
from oadr.errors import InvalidValue
from oadr.messages import (
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    Event,
    EventResponse,
    EventStatus,
    OptType,
    QualifiedEventId,
    RequestEvent,
    Signal,
    SignalInterval,
    Target,
)
from oadr.timeformat import format_datetime


def read_request_event(root: Element) -> RequestEvent:
    body = require(root, PYLD("eiRequestEvent"))
    return RequestEvent(
        request_id=text_of(body, PYLD("requestID")),
        ven_id=text_of(body, EI("venID")),
        reply_limit=integer_of(body, PYLD("replyLimit")),
    )


def write_request_event(root: Element, message: RequestEvent) -> None:
    body = add(root, PYLD("eiRequestEvent"))
    add(body, PYLD("requestID"), message.request_id)
    add(body, EI("venID"), message.ven_id)
    if message.reply_limit is not None:
        add(body, PYLD("replyLimit"), str(message.reply_limit))


def read_created_event(root: Element) -> CreatedEvent:
    """Read in one pass over each element's children: ten thousand come at once."""
    body = require(root, PYLD("eiCreatedEvent"))
    response = texts_by_tag(require(body, EI("eiResponse")))
    return CreatedEvent(
        response=EiResponse(
            code=to_integer(response.get(_CODE, "").strip()),
            description=response.get(_DESCRIPTION, ""),
            request_id=response.get(_REQUEST_ID, ""),
        ),
        ven_id=text_of(body, EI("venID")),
        event_responses=tuple(
            _event_response(element) for responses in body.iterchildren(_RESPONSES) for element in responses
        ),
    )


_RESPONSES: Final = EI("eventResponses")
_CODE: Final = EI("responseCode")
_DESCRIPTION: Final = EI("responseDescription")
_REQUEST_ID: Final = PYLD("requestID")
_QUALIFIED: Final = EI("qualifiedEventID")
_EVENT_ID: Final = EI("eventID")
_MODIFICATION: Final = EI("modificationNumber")
_OPT_TYPE: Final = EI("optType")


def _event_response(element: Element) -> EventResponse:
    texts = texts_by_tag(element)
    event = texts_by_tag(require(element, _QUALIFIED))
    return EventResponse(
        event=QualifiedEventId(event.get(_EVENT_ID, ""), to_integer(event.get(_MODIFICATION, "").strip())),
        opt_type=cast(OptType, texts.get(_OPT_TYPE, "").strip()),
        request_id=texts.get(_REQUEST_ID, ""),
        code=to_integer(texts.get(_CODE, "").strip()),
        description=texts.get(_DESCRIPTION, ""),
    )


def write_created_event(root: Element, message: CreatedEvent) -> None:
    body = add(root, PYLD("eiCreatedEvent"))
    add_response(body, message.response)
    if message.event_responses:
        responses = add(body, EI("eventResponses"))
        for response in message.event_responses:
            element = add(responses, EI("eventResponse"))
            add(element, EI("responseCode"), f"{response.code:03d}")
            add_if(element, EI("responseDescription"), response.description)
            add(element, PYLD("requestID"), response.request_id)
            add_qualified_event(element, response.event)
            add(element, EI("optType"), response.opt_type)
    add(body, EI("venID"), message.ven_id)


def qualified_event_of(parent: Element) -> QualifiedEventId:
    element = require(parent, EI("qualifiedEventID"))
    return QualifiedEventId(
        event_id=text_of(element, EI("eventID")),
        modification_number=to_integer(token_of(element, EI("modificationNumber"))),
    )


def add_qualified_event(parent: Element, event: QualifiedEventId) -> None:
    element = add(parent, EI("qualifiedEventID"))
    add(element, EI("eventID"), event.event_id)
    add(element, EI("modificationNumber"), str(event.modification_number))


def read_distribute_event(root: Element) -> DistributeEvent:
    return DistributeEvent(
        request_id=text_of(root, PYLD("requestID")),
        vtn_id=text_of(root, EI("vtnID")),
        events=tuple(_event_of(element) for element in root.iterfind(OADR("oadrEvent"))),
        response=None if root.find(EI("eiResponse")) is None else response_of(root),
    )


def write_distribute_event(root: Element, message: DistributeEvent) -> None:
    if message.response is not None:
        add_response(root, message.response)
    add(root, PYLD("requestID"), message.request_id)
    add(root, EI("vtnID"), message.vtn_id)
    for event in message.events:
        _add_event(root, event)


def _event_of(element: Element) -> Event:
    body = require(element, EI("eiEvent"))
    descriptor = require(body, EI("eventDescriptor"))
    modified = token_of(descriptor, EI("modificationDateTime"))
    return Event(
        event_id=text_of(descriptor, EI("eventID")),
        modification_number=to_integer(token_of(descriptor, EI("modificationNumber"))),
        market_context=token_of(require(descriptor, EI("eiMarketContext")), EMIX("marketContext")),
        created_at=datetime_of(descriptor, EI("createdDateTime")),
        status=cast(EventStatus, token_of(descriptor, EI("eventStatus"))),
        active_period=properties_of(require(body, EI("eiActivePeriod"))),
        signals=tuple(
            _signal_of(signal) for signal in body.iterfind(f"{EI('eiEventSignals')}/{EI('eiEventSignal')}")
        ),
        target=target_of(body, EI("eiTarget")) or Target(),
        is_response_required=token_of(element, OADR("oadrResponseRequired")) == "always",
        priority=integer_of(descriptor, EI("priority")) or 0,
        test_event=text_of(descriptor, EI("testEvent")) or "false",
        vtn_comment=text_of(descriptor, EI("vtnComment")),
        modified_at=datetime_of(descriptor, EI("modificationDateTime")) if modified else None,
        modification_reason=text_of(descriptor, EI("modificationReason")),
    )


def _add_event(root: Element, event: Event) -> None:
    element = add(root, OADR("oadrEvent"))
    body = add(element, EI("eiEvent"))
    descriptor = add(body, EI("eventDescriptor"))
    add(descriptor, EI("eventID"), event.event_id)
    add(descriptor, EI("modificationNumber"), str(event.modification_number))
    if event.modified_at is not None:
        add(descriptor, EI("modificationDateTime"), format_datetime(event.modified_at))
    add_if(descriptor, EI("modificationReason"), event.modification_reason)
    add(descriptor, EI("priority"), str(event.priority))
    add(add(descriptor, EI("eiMarketContext")), EMIX("marketContext"), event.market_context)
    add(descriptor, EI("createdDateTime"), format_datetime(event.created_at))
    add(descriptor, EI("eventStatus"), event.status)
    add(descriptor, EI("testEvent"), event.test_event)
    add_if(descriptor, EI("vtnComment"), event.vtn_comment)
    period = add(body, EI("eiActivePeriod"))
    add_properties(period, event.active_period, is_event=True)
    add(period, XCAL("components"))
    signals = add(body, EI("eiEventSignals"))
    for signal in event.signals:
        _add_signal(signals, signal)
    add_target(body, EI("eiTarget"), event.target)
    add(element, OADR("oadrResponseRequired"), "always" if event.is_response_required else "never")


_PAYLOAD_FLOAT = EI("payloadFloat")


def _signal_of(element: Element) -> Signal:
    current = element.find(f"{EI('currentValue')}/{_PAYLOAD_FLOAT}")
    return Signal(
        name=token_of(element, EI("signalName")),
        type=token_of(element, EI("signalType")),
        signal_id=text_of(element, EI("signalID")),
        intervals=tuple(
            _interval_of(interval) for interval in element.iterfind(f"{STRM('intervals')}/{EI('interval')}")
        ),
        target=target_of(element, EI("eiTarget")),
        unit=unit_of(element),
        current_value=None if current is None else float_of(current, EI("value")),
    )


def _add_signal(parent: Element, signal: Signal) -> None:
    element = add(parent, EI("eiEventSignal"))
    intervals = add(element, STRM("intervals"))
    for index, interval in enumerate(signal.intervals):
        item = add(intervals, EI("interval"))
        add_duration(item, XCAL("duration"), interval.duration_seconds)
        add_uid(item, interval.uid or str(index))
        payload = add(add(item, EI("signalPayload")), _PAYLOAD_FLOAT)
        add(payload, EI("value"), from_float(interval.value))
    if signal.target is not None:
        add_target(element, EI("eiTarget"), signal.target)
    add(element, EI("signalName"), signal.name)
    add(element, EI("signalType"), signal.type)
    add(element, EI("signalID"), signal.signal_id)
    if signal.unit is not None:
        add_unit(element, signal.unit)
    if signal.current_value is not None:
        current = add(add(element, EI("currentValue")), _PAYLOAD_FLOAT)
        add(current, EI("value"), from_float(signal.current_value))


def _interval_of(element: Element) -> SignalInterval:
    value = element.findtext(f"{EI('signalPayload')}/{_PAYLOAD_FLOAT}/{EI('value')}")
    if value is None:
        raise InvalidValue("a signal interval without a number", line=line_of(element))
    return SignalInterval(
        duration_seconds=duration_of(element, XCAL("duration")) or 0,
        value=to_float(value.strip()),
        uid=uid_of(element),
    )
