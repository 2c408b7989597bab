"""JSON answers of metering services to the rows their adapter reads: a saved answer imports like a file.

A document is found by its shape, or by the adapter named. Numbers travel as the text they were written in;
the line of a row is the place of its item in the document, from 1. What cannot be a row is refused here, with
the item shown.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from metering.adapters import glowmarkt_json, n3rgy_json, octopus
from metering.adapters.formats import Reject
from opendsr.kernel.errors import Invalid

MOST_BYTES: Final = 64 << 20
SHOWN_CHARACTERS: Final = 200
Fields = Sequence[str]

KINDS: Final[Mapping[str, Callable[[Any], Iterator[Fields | str]] | None]] = MappingProxyType(
    {
        octopus.FORMAT.name: octopus.items,
        n3rgy_json.FORMAT.name: n3rgy_json.items,
        glowmarkt_json.FORMAT.name: glowmarkt_json.items,
    }
)
HEADERS: Final[Mapping[str, Fields]] = MappingProxyType(
    {
        octopus.FORMAT.name: octopus.HEADER,
        n3rgy_json.FORMAT.name: n3rgy_json.HEADER,
        glowmarkt_json.FORMAT.name: glowmarkt_json.HEADER,
    }
)
SHAPES: Final = (
    (octopus.FORMAT.name, octopus.is_document),
    (n3rgy_json.FORMAT.name, n3rgy_json.is_document),
    (glowmarkt_json.FORMAT.name, glowmarkt_json.is_document),
)


class NotADocument(Invalid):
    """JSON that no adapter reads, or none at all: `found` says what it is."""

    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Recoded:
    """A document as delimited text: one line an item, an empty one for an item that is refused."""

    adapter: str
    header: str
    text: str
    rejects: tuple[Reject, ...]


def looks_like_one(start: bytes) -> bool:
    """True when the text begins as JSON does; no delimited file begins so."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def recode(text: str, *, adapter: str | None = None) -> Recoded:
    """The document's items as lines of its adapter's file; raises NotADocument."""
    document = read_json(text)
    name = adapter or next((name for name, is_one in SHAPES if is_one(document)), None)
    items = KINDS.get(name) if name else None
    if name is None or items is None or not dict(SHAPES)[name](document):
        raise NotADocument(found=_shape(document), expected=expected(adapter))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADERS[name])
    header = out.getvalue()
    out.seek(0)
    out.truncate()
    rejects = []
    try:
        for line, item in enumerate(items(document), start=1):
            if isinstance(item, str):
                rejects.append(Reject(line, "item", item[:SHOWN_CHARACTERS], "not_a_row", "not a reading"))
                out.write("\n")
            else:
                writer.writerow([_one_line(field) for field in item])
    except NotADocument:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):
        raise NotADocument(found=_shape(document), expected=expected(name)) from None
    return Recoded(name, header.strip(), out.getvalue(), tuple(rejects))


def read_json(text: str) -> Any:
    """The document with every number as the text it was written in; raises NotADocument."""
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        found = f"JSON that breaks at line {error.lineno}, column {error.colno}: {error.msg}"
        raise NotADocument(found=found, expected=expected(None)) from None
    except RecursionError:
        raise NotADocument(found="JSON nested too deeply", expected=expected(None)) from None


def expected(adapter: str | None) -> str:
    """What a document may be, for a message."""
    names = [adapter] if adapter in HEADERS else list(HEADERS)
    return f"a JSON answer of {', '.join(str(name) for name in names)}"


def _shape(document: Any) -> str:
    if isinstance(document, dict):
        return f"a JSON object with {', '.join(sorted(map(str, document))[:8]) or 'nothing in it'}"[:200]
    if isinstance(document, list):
        return f"a JSON list of {len(document)}"
    return "one JSON value"


def _one_line(field: str) -> str:
    return " ".join(field.split()) if any(mark in field for mark in "\r\n\v\f\x00") else field
