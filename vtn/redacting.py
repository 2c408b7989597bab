"""What of a message may be kept for staff to read: its shape, its times, its numbers, words of the protocol.

An allow-list: every text that is none of these is replaced, so that a name, an
address or a meter number that a client puts anywhere never reaches the log. Ids
made by machines stay readable; others become a keyed digest, the same each time,
so that messages can still be matched. Readings are left to the reports.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import cache
from typing import Final

from django.conf import settings
from lxml import etree

from oadr.codec import LARGEST_BYTES
from oadr.schema import schema_path

HIDDEN: Final = "…"
IDS: Final = frozenset(
    {
        "venID",
        "vtnID",
        "eventID",
        "requestID",
        "optID",
        "rID",
        "uid",
        "text",
        "signalID",
        "reportRequestID",
        "reportSpecifierID",
        "eiReportID",
        "resourceID",
    }
)
OURS: Final = frozenset({"marketContext", "responseDescription", "modificationReason"})
"""Texts that only this VTN writes, shown in what it sent."""
SECRETS: Final = frozenset({"registrationID", "venName", "oadrVenName", "SignatureValue", "X509Certificate"})
READINGS: Final = frozenset({"oadrReport"})
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_PLAIN: Final = re.compile(
    r"true|false|[-+]?\d{1,9}(\.\d{1,12})?([eE][-+]?\d{1,3})?"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:\d\d)?"
    r"|[-+]?P(\d{1,9}[YMWD])*(T(\d{1,9}(\.\d+)?[HMS])+)?"
)
_MACHINE_ID: Final = re.compile(r"(?=.*\d)[A-Za-z0-9._:-]{1,80}")
_LONG_NUMBER: Final = re.compile(r"\d{10,}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TEXT: Final = re.compile(r">[^<]*")
_QUOTED: Final = re.compile(r"=\s*(\"[^\"]*\"|'[^']*')")
_SAID: Final = re.compile(r"(value |: )'.*' (?=is |has )")
_VALUE: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def redacted(body: bytes, *, is_ours: bool = False) -> str:
    """Return the document indented, with nothing in it that is not allowed; "" for no body."""
    if not body:
        return ""
    try:
        root = etree.fromstring(body[:LARGEST_BYTES], _parser())
    except etree.XMLSyntaxError:
        return outline(body)
    for element in root.iter(etree.Element):
        for name, value in element.attrib.items():
            if not (_is_plain(str(value)) or value in vocabulary()):
                element.set(name, HIDDEN)
        if element.text and element.text.strip():
            element.text = _shown(element, element.text.strip(), is_ours=is_ours)
        element.tail = None
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def outline(body: bytes, *, longest: int = 400) -> str:
    """Return the tags of what is no XML, without any text or attribute; other bodies by their size alone.

    Unprintable characters become blanks: PostgreSQL keeps no NUL in a text.
    """
    start = _UNPRINTABLE.sub(" ", body[:4096].decode("utf-8", "replace"))
    if "<" not in start:
        return f"({len(body)} bytes, no XML)"
    opened = start[start.index("<") :]
    tags = _QUOTED.sub(
        "=…", _TEXT.sub(lambda found: ">" if not found[0][1:].strip() else f">{HIDDEN}", opened)
    )
    return " ".join(tags.split())[:longest]


def without_values(reason: str) -> str:
    """Return a parser's or schema's complaint with quoted values hidden, element names kept."""

    def seen(found: re.Match[str]) -> str:
        is_known = _is_name(found[1] or found[2] or "")
        return found[0] if is_known else f"{found[0][0]}{HIDDEN}{found[0][0]}"

    return _VALUE.sub(seen, _SAID.sub(rf"\1'{HIDDEN}' ", reason))


@cache
def vocabulary() -> frozenset[str]:
    """Every enumerated word of the 2.0b schemas."""
    words = set(_OWN_WORDS)
    for path in sorted(schema_path().parent.glob("*.xsd")):
        for element in etree.parse(str(path)).iter(f"{_XS}enumeration"):
            words.add(element.get("value", ""))
    return frozenset(words)


@cache
def element_names() -> frozenset[str]:
    """Every element and attribute that the 2.0b schemas name."""
    names = set()
    for path in sorted(schema_path().parent.glob("*.xsd")):
        for kind in ("element", "attribute"):
            names |= {each.get("name", "") for each in etree.parse(str(path)).iter(f"{_XS}{kind}")}
    return frozenset(names - {""})


_SCHEMA_WORDS: Final = frozenset(
    {"pattern", "enumeration", "minLength", "maxLength", "length", "minInclusive", "maxInclusive", HIDDEN}
)
_OWN_WORDS: Final = (
    "none",
    "OK",
    "2.0a",
    "2.0b",
    "RealPower",
    "RealEnergy",
    "W",
    "Wh",
    "METADATA",
    "GBP",
    "%",
)


def _shown(element: etree._Element, text: str, *, is_ours: bool) -> str:
    name = etree.QName(element).localname
    if name in SECRETS:
        return HIDDEN
    if name in IDS:
        is_machine = _MACHINE_ID.fullmatch(text) and not _LONG_NUMBER.fullmatch(text)
        return text if is_machine or text in vocabulary() else _digest(text)
    if is_ours and name in OURS:
        return text
    if name == "value" and any(etree.QName(each).localname in READINGS for each in element.iterancestors()):
        return HIDDEN
    if _is_plain(text) or text in vocabulary():
        return text
    return HIDDEN


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None


def _is_name(text: str) -> bool:
    return text in element_names() or text in vocabulary() or text in _SCHEMA_WORDS


def _digest(text: str) -> str:
    keyed = hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256)
    return f"#{keyed.hexdigest()[:10]}"


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
    )
