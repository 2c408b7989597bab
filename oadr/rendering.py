"""An oadrDistributeEvent as bytes, its events rendered once and spliced for each VEN.

Ten thousand VENs that are told the same differ in eventID, venID, resourceIDs and the request ids. The
codec writes (and the schema judges) the content once, with marks in those places; what is spliced in is
escaped text. The result is, byte for byte, what the codec would have written.
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
from oadr.messages import ActivePeriod, DistributeEvent, EiResponse, Event, Signal, SignalInterval

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
