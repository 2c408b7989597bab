"""What is said ten thousand times over as bytes: written once by the codec, the ids spliced in.

VENs that are told the same differ in eventID, venID, resourceIDs and the request ids; so do their answers.
The codec writes (and the schema judges) the content once, with marks in those places; what is spliced in
is escaped text. The result is, byte for byte, what the codec would have written.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from oadr import codec
from oadr.errors import InvalidValue
from oadr.messages import (
    ActivePeriod,
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    Event,
    EventResponse,
    OptType,
    QualifiedEventId,
    Response,
    Signal,
    SignalInterval,
)

_MARK: Final = secrets.token_hex(16)
_EVENT_ID, _VEN_ID, _RESOURCE, _REQUEST, _ECHO = (
    f"{_MARK}-{name}" for name in ("event", "ven", "resource", "request", "echo")
)
_RESOURCE_TAGS: Final = (b"<ei:resourceID>", b"</ei:resourceID>")
_START, _END = b"<oadr:oadrEvent>", b"</oadr:oadrEvent>"


@dataclass(frozen=True, slots=True)
class EventTemplate:
    """An event's bytes around its id, its resources and its VEN."""

    before_event_id: bytes
    before_resources: bytes
    before_ven_id: bytes
    after: bytes

    def render(self, *, event_id: str, ven_id: str, resource_ids: Sequence[str] = ()) -> bytes:
        """Return one oadrEvent for one VEN."""
        opening, closing = _RESOURCE_TAGS
        resources = b"".join(opening + escaped(resource) + closing for resource in resource_ids)
        return (
            self.before_event_id
            + escaped(event_id)
            + self.before_resources
            + resources
            + self.before_ven_id
            + escaped(ven_id)
            + self.after
        )


def event_template(event: Event) -> EventTemplate:
    """Return the event's bytes with its ids left open; raises as `codec.serialise` does.

    Its own eventID, and the venIDs and resourceIDs of its target, are put aside.
    """
    target = replace(event.target, ven_ids=(_VEN_ID,), resource_ids=(_RESOURCE,))
    marked = replace(event, event_id=_EVENT_ID, target=target)
    body = codec.serialise(DistributeEvent("", "", (marked,)))
    element = body[body.index(_START) : body.rindex(_END) + len(_END)]
    opening, closing = _RESOURCE_TAGS
    before_event_id, rest = element.split(_EVENT_ID.encode())
    before_resources, rest = rest.split(opening + _RESOURCE.encode() + closing)
    before_ven_id, after = rest.split(_VEN_ID.encode())
    return EventTemplate(before_event_id, before_resources, before_ven_id, after)


def distribute_event(
    *,
    request_id: str,
    vtn_id: str,
    events: Iterable[bytes],
    response: EiResponse | None = None,
    is_enveloped: bool = True,
) -> bytes:
    """Return the whole message around events already rendered."""
    code, description = (response.code, response.description) if response else (None, "")
    head, middle, tail, end = _frame(vtn_id, code, description, is_enveloped)
    echo = escaped(response.request_id) if response else b""
    return head + echo + middle + escaped(request_id) + tail + b"".join(events) + end


def response(message: Response, *, is_enveloped: bool = True) -> bytes:
    """Return an oadrResponse."""
    said = message.response
    if not message.ven_id:
        return codec.serialise(message, is_enveloped=is_enveloped)
    before, between, after = _response_frame(said.code, said.description, bool(said.request_id), is_enveloped)
    return before + escaped(said.request_id) + between + escaped(message.ven_id) + after


def created_event(message: CreatedEvent, *, is_enveloped: bool = True) -> bytes:
    """Return a VEN's answer to its events."""
    texts = [message.response.request_id]
    for each in message.event_responses:
        texts += [each.request_id, each.event.event_id]
    texts.append(message.ven_id)
    if not all(texts):
        return codec.serialise(message, is_enveloped=is_enveloped)
    pieces = _created_frame(
        message.response.code,
        message.response.description,
        tuple(
            [
                (each.code, each.description, each.opt_type, each.event.modification_number)
                for each in message.event_responses
            ]
        ),
        is_enveloped,
    )
    spliced = [pieces[0]]
    for text, piece in zip(texts, pieces[1:], strict=True):
        spliced += (escaped(text), piece)
    return b"".join(spliced)


def escaped(text: str) -> bytes:
    """Return text as the codec writes it inside an element; raises InvalidValue for what XML cannot carry."""
    if not text.isprintable() and any(ord(letter) < 32 and letter not in "\t\n\r" for letter in text):
        raise InvalidValue("characters XML cannot carry")
    if "\ufffe" in text or "\uffff" in text:
        raise InvalidValue("characters XML cannot carry")
    for plain, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        if plain in text:
            text = text.replace(plain, reference)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue("characters XML cannot carry") from error


@lru_cache(maxsize=64)
def _response_frame(
    code: int, description: str, has_request_id: bool, is_enveloped: bool
) -> tuple[bytes, bytes, bytes]:
    request_id = _REQUEST if has_request_id else ""
    marked = Response(EiResponse(code, description, request_id), _VEN_ID)
    before, after = codec.serialise(marked, is_enveloped=is_enveloped).split(_VEN_ID.encode())
    if not has_request_id:
        return before, b"", after
    before, between = before.split(_REQUEST.encode())
    return before, between, after


@lru_cache(maxsize=256)
def _created_frame(
    code: int, description: str, said: tuple[tuple[int, str, OptType, int], ...], is_enveloped: bool
) -> tuple[bytes, ...]:
    """Return the message's bytes around its texts, in their order."""
    responses = tuple(
        EventResponse(QualifiedEventId(_MARK, number), opt_type, _MARK, each_code, each_description)
        for each_code, each_description, opt_type, number in said
    )
    marked = CreatedEvent(EiResponse(code, description, _MARK), _MARK, responses)
    return tuple(codec.serialise(marked, is_enveloped=is_enveloped).split(_MARK.encode()))


@lru_cache(maxsize=64)
def _frame(
    vtn_id: str, code: int | None, description: str, is_enveloped: bool
) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the message's bytes around the echoed requestID, its own, and the events."""
    response = None if code is None else EiResponse(code, description, _ECHO)
    body = codec.serialise(
        DistributeEvent(_REQUEST, vtn_id, (_ANY_EVENT,), response), is_enveloped=is_enveloped
    )
    first, last = body.index(_START), body.rindex(_END) + len(_END)
    before, end = body[:first], body[last:]
    head, tail = before.split(_REQUEST.encode())
    middle = b""
    if response is not None:
        head, middle = head.split(_ECHO.encode())
    return head, middle, tail, end


_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ANY_EVENT: Final = Event(
    event_id="0",
    modification_number=0,
    market_context="urn:any",
    created_at=_LONG_AGO,
    status="far",
    active_period=ActivePeriod(_LONG_AGO, 1),
    signals=(Signal("SIMPLE", "level", "0", (SignalInterval(1, 0.0, "0"),)),),
)
