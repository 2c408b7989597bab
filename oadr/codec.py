"""Bytes to messages and back, for either end of the wire.

The order is the defence: size, encoding and DOCTYPE are judged on the bytes, the
hardened parser builds ONE tree, the 2.0b schema judges that tree, and the message
is read from it and nothing else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from lxml import etree

from oadr import events, messages, opts, quirks, registration, reports, schema, shapes, signing
from oadr.elements import EI, NSMAP, OADR, Element, line_of, local_name
from oadr.errors import HasDoctype, NotUtf8, NotWellFormed, SchemaInvalid, TooLarge, UnknownMessage, WireError
from oadr.messages import Message
from oadr.signing import ReplayProtect

LARGEST_BYTES = 256 * 1024
SCHEMA_VERSION = "2.0b"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message with how it came: an answer goes back in the same wrapping."""

    message: Message
    is_enveloped: bool
    is_signed: bool
    tolerances: tuple[str, ...] = ()
    replay_protect: ReplayProtect | None = None
    """Of a signature that was verified; None when there was none, or nobody to verify it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    element: str
    type: type
    read: Callable[[Element], Message]
    write: Callable[[Element, Any], None]


_KINDS = tuple(
    _Kind(*row)
    for row in (
        (
            "oadrQueryRegistration",
            messages.QueryRegistration,
            registration.read_query_registration,
            registration.write_query_registration,
        ),
        (
            "oadrCreatePartyRegistration",
            messages.CreatePartyRegistration,
            registration.read_create_party_registration,
            registration.write_create_party_registration,
        ),
        (
            "oadrCreatedPartyRegistration",
            messages.CreatedPartyRegistration,
            registration.read_created_party_registration,
            registration.write_created_party_registration,
        ),
        (
            "oadrCancelPartyRegistration",
            messages.CancelPartyRegistration,
            registration.read_cancel_party_registration,
            registration.write_cancel_party_registration,
        ),
        (
            "oadrCanceledPartyRegistration",
            messages.CanceledPartyRegistration,
            registration.read_canceled_party_registration,
            registration.write_canceled_party_registration,
        ),
        (
            "oadrRequestReregistration",
            messages.RequestReregistration,
            registration.read_request_reregistration,
            registration.write_request_reregistration,
        ),
        ("oadrPoll", messages.Poll, registration.read_poll, registration.write_poll),
        ("oadrResponse", messages.Response, registration.read_response, registration.write_response),
        ("oadrRequestEvent", messages.RequestEvent, events.read_request_event, events.write_request_event),
        (
            "oadrDistributeEvent",
            messages.DistributeEvent,
            events.read_distribute_event,
            events.write_distribute_event,
        ),
        ("oadrCreatedEvent", messages.CreatedEvent, events.read_created_event, events.write_created_event),
        ("oadrCreateOpt", messages.CreateOpt, opts.read_create_opt, opts.write_create_opt),
        ("oadrCreatedOpt", messages.CreatedOpt, opts.read_created_opt, opts.write_created_opt),
        ("oadrCancelOpt", messages.CancelOpt, opts.read_cancel_opt, opts.write_cancel_opt),
        ("oadrCanceledOpt", messages.CanceledOpt, opts.read_canceled_opt, opts.write_canceled_opt),
        (
            "oadrRegisterReport",
            messages.RegisterReport,
            reports.read_register_report,
            reports.write_register_report,
        ),
        (
            "oadrRegisteredReport",
            messages.RegisteredReport,
            reports.read_registered_report,
            reports.write_registered_report,
        ),
        ("oadrCreateReport", messages.CreateReport, reports.read_create_report, reports.write_create_report),
        (
            "oadrCreatedReport",
            messages.CreatedReport,
            reports.read_created_report,
            reports.write_pending_reports,
        ),
        ("oadrUpdateReport", messages.UpdateReport, reports.read_update_report, reports.write_update_report),
        (
            "oadrUpdatedReport",
            messages.UpdatedReport,
            reports.read_updated_report,
            reports.write_updated_report,
        ),
        ("oadrCancelReport", messages.CancelReport, reports.read_cancel_report, reports.write_cancel_report),
        (
            "oadrCanceledReport",
            messages.CanceledReport,
            reports.read_canceled_report,
            reports.write_pending_reports,
        ),
    )
)
_BY_TAG = {OADR(kind.element): kind for kind in _KINDS}
_BY_TYPE = {kind.type: kind for kind in _KINDS}

_PAYLOAD = OADR("oadrPayload")
_SIGNED_OBJECT = OADR("oadrSignedObject")
_POLL = OADR("oadrPoll")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?\bencoding\s*=\s*["']([^"']*)["']""")
_local = threading.local()


def message_name(message: Message) -> str:
    """Return the element name of a message: `oadrPoll`."""
    return _BY_TYPE[type(message)].element


def parse(body: bytes) -> Message:
    """Return the message in a body; raises a WireError with line and reason."""
    return parse_body(body).message


def parse_body(body: bytes, *, certificates: Collection[bytes] | None = None) -> Parsed:
    """Return the message with how it was wrapped and which tolerances it needed.

    With `certificates` (DER; who may have signed) a signature is verified, and what is
    read is only what it covers; without them signatures are passed over. A message in a form
    met before is not judged anew (`oadr.shapes`).
    """
    cut = shapes.cut(body)
    if cut is not None and (recalled := shapes.recall(cut)) is not None:
        return cast(Parsed, recalled)
    parsed = _parse_whole(body, certificates)
    if cut is not None and not (parsed.is_signed or parsed.tolerances):
        shapes.learn(cut, partial(_parse_whole, certificates=None))
    return parsed


def _parse_whole(body: bytes, certificates: Collection[bytes] | None) -> Parsed:
    root = tree_of(body)
    has_signature = signing.is_signed(root)
    replay_protect = None
    if has_signature and certificates is not None:
        verified = signing.verify(root, certificates=certificates)
        root, replay_protect = verified.root, verified.replay_protect
    element = _message_element(root)
    mended: dict[str, list[quirks.Undo]] = {}
    if not schema.is_valid(root):
        mended = quirks.mend(element) if element is not None else {}
        schema.require_valid(root)
        for undo in (undo for undos in mended.values() for undo in undos):
            undo()
    if element is None:
        raise UnknownMessage("an envelope with no message in it", line=line_of(root))
    return Parsed(
        message=read(element),
        is_enveloped=root.tag == _PAYLOAD,
        is_signed=has_signature,
        tolerances=tuple(mended),
        replay_protect=replay_protect,
    )


def idle_poll(body: bytes) -> tuple[str, bool] | None:
    """Return the venID and whether it is enveloped, when the body is a plain, unsigned, valid oadrPoll.

    Judged as `parse_body` judges it, but nothing else is read: for listeners that answer thousands a second.
    """
    try:
        root = tree_of(body)
    except WireError:
        return None
    is_enveloped = root.tag == _PAYLOAD
    element = root
    if is_enveloped:
        if len(root) != 1 or len(root[0]) != 1:
            return None
        element = root[0][0]
    if element.tag != _POLL or not schema.is_valid(root):
        return None
    return (element[0].text or "").strip(), is_enveloped


def serialise(message: Message, *, is_enveloped: bool = True) -> bytes:
    """Return the message as a UTF-8 document; raises SchemaInvalid or InvalidValue if it is not one."""
    kind = _BY_TYPE[type(message)]
    if is_enveloped:
        root = etree.Element(_PAYLOAD, nsmap=NSMAP)
        element = etree.SubElement(etree.SubElement(root, _SIGNED_OBJECT), OADR(kind.element))
    else:
        root = element = etree.Element(OADR(kind.element), nsmap=NSMAP)
    element.set(EI("schemaVersion"), SCHEMA_VERSION)
    kind.write(element, message)
    try:
        schema.require_valid(root)
    except SchemaInvalid as error:
        raise SchemaInvalid(f"{kind.element} cannot be sent: {error.reason}") from error
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def read(element: Element) -> Message:
    """Return the message in an element that has passed the schema."""
    return _BY_TAG[element.tag].read(element)


def tree_of(body: bytes) -> Element:
    """Return a body's one tree, its bytes judged first; raises a WireError."""
    if len(body) > LARGEST_BYTES:
        raise TooLarge(f"{len(body)} bytes, at most {LARGEST_BYTES}")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotUtf8("not UTF-8", line=body.count(b"\n", 0, error.start) + 1) from error
    body = body.removeprefix(_BYTE_ORDER_MARK)
    declared = _ENCODING.match(body)
    if declared and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise NotUtf8(f"declared as {declared[1][:20].decode('ascii', 'replace')}", line=1)
    doctype = body.find(b"<!DOCTYPE")
    if doctype >= 0:
        raise HasDoctype("a DOCTYPE is never accepted", line=body.count(b"\n", 0, doctype) + 1)
    try:
        return etree.fromstring(body, _parser())
    except etree.XMLSyntaxError as error:
        raise NotWellFormed(error.msg or "not XML", line=error.lineno or None) from error


def _parser() -> etree.XMLParser:
    """One hardened parser a thread: no entities, no network, no DTD, no huge trees."""
    parser: etree.XMLParser | None = getattr(_local, "parser", None)
    if parser is None:
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        _local.parser = parser
    return parser


def _message_element(root: Element) -> Element | None:
    """Return the message inside the envelope, or the root when there is none."""
    if root.tag in _BY_TAG:
        return root
    if root.tag != _PAYLOAD:
        raise UnknownMessage(f"{local_name(root)} is no 2.0b message", line=line_of(root))
    for signed in root.iterfind(_SIGNED_OBJECT):
        for element in signed:
            if element.tag in _BY_TAG:
                return element
    return None
