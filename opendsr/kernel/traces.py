"""Traces of texts in bytes, however they are written: what a dump, a log or a message gives away.

`forms_of` writes a text in every way that software writes texts; `find` says which of them are there. A text
that was compressed or encrypted leaves no trace: scan a dump that is neither.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final
from urllib.parse import quote, quote_plus

LEAST_CHARACTERS: Final = 6
"""Shorter texts are met by chance."""
CHUNK: Final = 8 * 1024 * 1024
TEXTS, BYTES = "texts", "bytes"


@dataclass(frozen=True, slots=True)
class Trace:
    """One text found, in which form, and where its first occurrence begins."""

    text: str
    form: str
    offset: int


class TooShort(ValueError):
    """The text would be found by chance."""


def forms_of(text: str) -> dict[bytes, str]:
    """Every way of writing the text that `find` looks for, with its name; those with case in lower case.

    Raises TooShort.
    """
    if len(text) < LEAST_CHARACTERS:
        raise TooShort(f"{len(text)} characters: at least {LEAST_CHARACTERS} are needed")
    return _whole(text) | _base64(text)


def find(data: bytes, texts: Collection[str]) -> list[Trace]:
    """The traces of each text in the data, each form once. Raises TooShort."""
    low = data.lower()
    found = []
    for text in texts:
        for needle, form in _whole(text).items():
            if (offset := low.find(needle)) >= 0:
                found.append(Trace(text, form, offset))
        for needle, form in _base64(text).items():
            if (offset := data.find(needle)) >= 0:
                found.append(Trace(text, form, offset))
    return found


def find_in(stream: BinaryIO, texts: Collection[str], *, chunk: int = CHUNK) -> Iterator[Trace]:
    """As `find`, over a file of any size: each text and form once, at its first place."""
    longest = max((len(needle) for text in texts for needle in forms_of(text)), default=1)
    seen: set[tuple[str, str]] = set()
    kept, start = b"", 0
    while read := stream.read(chunk):
        window = kept + read
        for trace in find(window, texts):
            if (trace.text, trace.form) not in seen:
                seen.add((trace.text, trace.form))
                yield Trace(trace.text, trace.form, start - len(kept) + trace.offset)
        start += len(read)
        kept = window[-(longest - 1) :] if longest > 1 else b""


def _whole(text: str) -> dict[bytes, str]:
    """Forms that are looked for whatever their case, as they are in lower case."""
    low = text.lower()
    forms: dict[bytes, str] = {}
    for case in dict.fromkeys((text, low, text.upper())):
        in_json = json.dumps(case)[1:-1].encode()
        written = (
            ("utf-8", case.encode()),
            ("utf-16", case.encode("utf-16-le")),
            ("utf-16", case.encode("utf-16-be")),
            ("latin-1", case.encode("latin-1", "ignore")),
            ("json", in_json),
            ("html", html.escape(case).encode()),
            ("url", quote(case, safe="").encode()),
            ("url", quote_plus(case).encode()),
            ("hex", case.encode().hex().encode()),
            ("hex of utf-16", case.encode("utf-16-le").hex().encode()),
            ("hex of json", in_json.hex().encode()),
            ("without spaces", re.sub(r"[\s()-]", "", case).encode()),
        )
        for form, needle in written:
            if form != "latin-1" or len(needle) == len(case):
                forms.setdefault(needle.lower(), form)
    return {needle: form for needle, form in forms.items() if len(needle) >= LEAST_CHARACTERS}


def _base64(text: str) -> dict[bytes, str]:
    """What every base64 of something with the text in it holds, wherever the text begins."""
    forms: dict[bytes, str] = {}
    for case in dict.fromkeys((text, text.lower(), text.upper())):
        for plain in (case.encode(), case.encode("utf-16-le"), json.dumps(case)[1:-1].encode()):
            for before in range(3):
                written = base64.b64encode(bytes(before) + plain)
                piece = written[(8 * before + 5) // 6 : 8 * (before + len(plain)) // 6]
                forms[piece] = "base64"
                forms[piece.translate(bytes.maketrans(b"+/", b"-_"))] = "base64"
    return forms
