"""UFTP on the wire: the seal, the wrapper and the message within it. Pure; times aware UTC.

A sealed message is NaCl's `crypto_sign`: the Ed25519 signature, 64 bytes, before the text that it signs.
Size, encoding and DOCTYPE are judged on the bytes; the parser is hardened; attributes are held against the
patterns of the specification (UFTP 3.1 and its XSD). Only the bytes that were verified are read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from lxml import etree

from opendsr.kernel.errors import DomainError, Invalid

VERSION: Final = "3.1.0"
AGR, DSO = "AGR", "DSO"
LARGEST_BYTES: Final = 1024 * 1024
SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32
TIME_ZONE: Final = "Europe/London"
ISP_DURATION: Final = "PT30M"
CURRENCY: Final = "GBP"
RESPONSES: Final = {
    "TestMessage": "TestMessageResponse",
    "FlexRequest": "FlexRequestResponse",
    "FlexOrder": "FlexOrderResponse",
    "FlexReservationUpdate": "FlexReservationUpdateResponse",
    "FlexSettlement": "FlexSettlementResponse",
}
"""What an aggregator is asked, with what it answers."""
ANSWERS: Final = frozenset(
    {"TestMessageResponse", "FlexOfferResponse", "FlexOfferRevocationResponse", "D-PrognosisResponse"}
)
"""What an aggregator is answered."""

Element = Any
DOMAIN: Final = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}")
POINT: Final = re.compile(r"ea1\.[0-9]{4}-[0-9]{2}\.[^:\s]{1,122}:\S{1,122}|ean\.[0-9]{12,34}")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_STAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?([+-]\d{2}:\d{2}|Z)")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_VERSION: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}")
_WHOLE: Final = re.compile(r"[+-]?\d{1,10}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,12}(\.\d{1,8})?")
_DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([^"'>]+)""")
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class NotUftp(Invalid):
    """The bytes are no message of the schema: `field`, `reason`."""

    status = 400
    field: str
    reason: str


class TooLong(DomainError):
    """More than any message needs: `most_bytes`."""

    status = 413
    most_bytes: int


class SealRefused(DomainError):
    """Nobody known sealed it so: `reason`."""

    status = 401
    reason: str


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A SignedMessage: who says to have sealed it, and the sealed bytes."""

    sender_domain: str
    sender_role: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """A message with what all have in common; `root` has the rest."""

    kind: str
    version: str
    sender_domain: str
    recipient_domain: str
    stamped_at: datetime
    message_id: UUID
    conversation_id: UUID
    root: Element


def new_key() -> tuple[bytes, bytes]:
    """A fresh key: private, public."""
    private = Ed25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def seal(text: bytes, *, private: bytes) -> bytes:
    """`crypto_sign` of the text."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(text) + text


def unseal(sealed: bytes, *, public: bytes) -> bytes:
    """`crypto_sign_open`: the text, once its signature is good; raises SealRefused."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(sealed[:SIGNATURE_BYTES], sealed[SIGNATURE_BYTES:])
    except (InvalidSignature, ValueError):
        raise SealRefused(reason="wrong_seal") from None
    return sealed[SIGNATURE_BYTES:]


def public_key(text: str) -> bytes:
    """The signing key of a public key string: base64 of 32 bytes, or of 64 of which the first half signs.

    With or without `cs1.` before it. Raises ValueError.
    """
    raw = base64.b64decode(text.strip().removeprefix("cs1."), validate=True)
    if len(raw) not in (KEY_BYTES, 2 * KEY_BYTES):
        raise ValueError(f"{len(raw)} bytes")
    Ed25519PublicKey.from_public_bytes(raw[:KEY_BYTES])
    return raw[:KEY_BYTES]


def wrap(sealed: bytes, *, domain: str) -> bytes:
    """Our SignedMessage."""
    root = etree.Element("SignedMessage", SenderDomain=domain, SenderRole=AGR)
    root.set("Body", base64.b64encode(sealed).decode())
    return _written(root)


def unwrap(body: bytes) -> Wrapper:
    """A SignedMessage taken apart; raises TooLong, NotUftp."""
    root = tree(body)
    if root.tag != "SignedMessage":
        raise NotUftp(field="SignedMessage", reason="wrap each message in one")
    try:
        sealed = base64.b64decode(root.get("Body", ""), validate=True)
    except (binascii.Error, ValueError):
        raise NotUftp(field="Body", reason="write it in base64") from None
    return Wrapper(
        sender_domain=text(root, "SenderDomain", DOMAIN),
        sender_role=text(root, "SenderRole"),
        body=sealed,
    )


def read(body: bytes) -> Payload:
    """The message that was sealed; raises TooLong, NotUftp."""
    root = tree(body)
    if root.tag not in RESPONSES and root.tag not in ANSWERS:
        reason = f"an aggregator takes {', '.join((*RESPONSES, *sorted(ANSWERS)))}"
        raise NotUftp(field=str(root.tag)[:60], reason=reason)
    return Payload(
        kind=root.tag,
        version=text(root, "Version", _VERSION),
        sender_domain=text(root, "SenderDomain", DOMAIN),
        recipient_domain=text(root, "RecipientDomain", DOMAIN),
        stamped_at=instant(root, "TimeStamp"),
        message_id=uuid(root, "MessageID"),
        conversation_id=uuid(root, "ConversationID"),
        root=root,
    )


def write(
    kind: str,
    *,
    sender: str,
    recipient: str,
    message_id: UUID,
    conversation_id: UUID,
    stamped_at: datetime,
    fields: Mapping[str, str],
    parts: Sequence[Element] = (),
) -> bytes:
    """A message of ours."""
    root = etree.Element(kind, Version=VERSION, SenderDomain=sender, RecipientDomain=recipient)
    root.set("TimeStamp", stamp(stamped_at))
    root.set("MessageID", str(message_id))
    root.set("ConversationID", str(conversation_id))
    for name, value in fields.items():
        root.set(name, value)
    root.extend(parts)
    return _written(root)


def part(name: str, fields: Mapping[str, str], parts: Sequence[Element] = ()) -> Element:
    """An element within a message of ours."""
    element = etree.Element(name)
    for field, value in fields.items():
        element.set(field, value)
    element.extend(parts)
    return element


def stamp(at: datetime) -> str:
    """The instant as UFTP writes it, in UTC to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(element: Element, name: str, pattern: re.Pattern[str] = _TEXT) -> str:
    """An attribute that must be there; raises NotUftp."""
    value = element.get(name)
    if value is None or not pattern.fullmatch(value):
        said = "nothing" if value is None else repr(value[:60])
        raise NotUftp(field=name, reason=f"{said} is not in its form, {pattern.pattern[:80]}")
    return str(value)


def optional(element: Element, name: str) -> str:
    """An attribute, "" where it is left out; raises NotUftp."""
    return "" if not element.get(name) else text(element, name)


def uuid(element: Element, name: str) -> UUID:
    """An id; raises NotUftp."""
    return UUID(text(element, name, _UUID))


def whole(element: Element, name: str, *, otherwise: int | None = None) -> int:
    """A whole number; `otherwise` where it is left out. Raises NotUftp."""
    if otherwise is not None and element.get(name) is None:
        return otherwise
    return int(text(element, name, _WHOLE))


def number(element: Element, name: str, *, otherwise: Decimal | None = None) -> Decimal:
    """A decimal number; `otherwise` where it is left out. Raises NotUftp."""
    if otherwise is not None and element.get(name) is None:
        return otherwise
    return Decimal(text(element, name, _NUMBER))


def instant(element: Element, name: str) -> datetime:
    """A time with its zone, as UTC; raises NotUftp."""
    value = text(element, name, _STAMP)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotUftp(field=name, reason=f"{value!r} is no time") from None


def day(element: Element, name: str) -> date:
    """A civil date; raises NotUftp."""
    value = text(element, name, _DAY)
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise NotUftp(field=name, reason=f"{value!r} is no date") from None
    if not 2000 <= found.year <= 2100:
        raise NotUftp(field=name, reason=f"{value!r} is not of this century")
    return found


def tree(body: bytes) -> Element:
    """The XML, read with care; raises TooLong, NotUftp."""
    if len(body) > LARGEST_BYTES:
        raise TooLong(most_bytes=LARGEST_BYTES)
    try:
        body.decode()
    except UnicodeDecodeError:
        raise NotUftp(field="encoding", reason="write it in UTF-8") from None
    declared = _DECLARED.match(body)
    if declared and declared[1].lower() != b"utf-8":
        raise NotUftp(field="encoding", reason="write it in UTF-8")
    if b"<!DOCTYPE" in body:
        raise NotUftp(field="DOCTYPE", reason="leave it out")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise NotUftp(field="XML", reason=(error.msg or "not XML")[:120]) from None


def _written(root: Element) -> bytes:
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return written
