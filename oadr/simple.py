"""OpenADR 2.0a, the profile of simple devices: EiEvent's four messages, bare, SIMPLE levels only.

The 2.0a schemas are nowhere to be had with a licence to ship, and need not be: 2.0a is 2.0b with most of
it left out, under another namespace. A body's one tree is therefore judged by the 2.0b schema under the
other name, and then for what 2.0a leaves out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from oadr import codec, schema
from oadr.codec import Parsed
from oadr.elements import EI, OADR, POWER, Namespace, line_of, local_name
from oadr.errors import SchemaInvalid, UnknownMessage
from oadr.messages import (
    CreatedEvent,
    DistributeEvent,
    Event,
    Message,
    RequestEvent,
    Response,
    Signal,
    Target,
)

OADR_A: Final = Namespace("http://openadr.org/oadr-2.0a/2012/07")
SIMPLE: Final = "SIMPLE"
MESSAGES: Final = (RequestEvent, DistributeEvent, CreatedEvent, Response)
_NAMES: Final = frozenset({"oadrRequestEvent", "oadrDistributeEvent", "oadrCreatedEvent", "oadrResponse"})
_LEFT_OUT: Final = frozenset(
    {
        EI("modificationDateTime"),
        EI("modificationReason"),
        EI("groupName"),
        *(POWER(name) for name in ("aggregatedPnode", "endDeviceAsset", "meterAsset", "pnode")),
        *(POWER(name) for name in ("serviceDeliveryPoint", "serviceLocation", "transportInterface")),
    }
)
"""What 2.0b has added to these messages."""


def parse_body(body: bytes) -> Parsed:
    """Return the 2.0a message in a body; raises a WireError with line and reason."""
    root = codec.tree_of(body)
    if root.tag not in {OADR_A(name) for name in _NAMES}:
        raise UnknownMessage(f"{local_name(root)} is no 2.0a message", line=line_of(root))
    for element in root.iter():
        if element.tag in _LEFT_OUT:
            raise SchemaInvalid(f"{local_name(element)} is not in 2.0a", line=line_of(element))
        if isinstance(element.tag, str) and element.tag.startswith(OADR_A("")):
            element.tag = OADR(local_name(element))
    # The name of a signal is any text in 2.0a; everything else has a smaller range than in 2.0b.
    names = [(element, element.text) for element in root.iter(EI("signalName"))]
    for element, _ in names:
        element.text = SIMPLE
    schema.require_valid(root)
    for element, name in names:
        element.text = name
    return Parsed(message=codec.read(root), is_enveloped=False, is_signed=False)


def serialise(message: Message, *, is_enveloped: bool = False) -> bytes:
    """Return a 2.0a document; 2.0a has no envelope, so `is_enveloped` says nothing here.

    Events are cut down to what 2.0a can say (`reduced`), a response to its eiResponse.
    Raises UnknownMessage for a message that 2.0a does not have.
    """
    if not isinstance(message, MESSAGES):
        raise UnknownMessage(f"2.0a has no {codec.message_name(message)}")
    if isinstance(message, DistributeEvent):
        events = tuple(cut for event in message.events if (cut := reduced(event)) is not None)
        message = replace(message, events=events)
    if isinstance(message, Response):
        message = replace(message, ven_id="")
    body = codec.serialise(message, is_enveloped=False)
    # The first start tag alone has namespaces and version; nothing that anybody wrote stands in it.
    start, closing, rest = body.partition(b"?>")
    tag, end, content = rest.partition(b">")
    tag = tag.replace(OADR.uri.encode(), OADR_A.uri.encode()).replace(b' ei:schemaVersion="2.0b"', b"")
    return start + closing + tag + end + content


def reduced(event: Event) -> Event | None:
    """Return the event as a simple device can read it; None when it has no SIMPLE signal to act on."""
    simple = next((signal for signal in event.signals if is_simple(signal.name, signal.type)), None)
    if simple is None:
        return None
    target = Target(
        ven_ids=event.target.ven_ids,
        group_ids=event.target.group_ids,
        resource_ids=event.target.resource_ids,
        party_ids=event.target.party_ids,
    )
    return replace(
        event,
        signals=(_bare(simple),),
        target=target,
        modified_at=None,
        modification_reason="",
    )


def is_simple(name: str, kind: str) -> bool:
    return name.upper() == SIMPLE and kind == "level"


def _bare(signal: Signal) -> Signal:
    current = 0.0 if signal.current_value is None else signal.current_value
    return replace(signal, name=SIMPLE, target=None, unit=None, current_value=current)
