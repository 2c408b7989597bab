"""Messages told again in the same form: what differs are ids, and everything else has been judged before.

Ten thousand VENs answer one campaign, and each VEN every campaign, in the same bytes but for ids and
descriptions. A body is cut at those texts; what is left is its form. A form met twice is learned: the whole
body is parsed and judged once more with a mark in the place of each text, and the message says where each
mark went. From then on the texts alone are put in their places.

Only plain text is cut out: printable ASCII but what XML gives a meaning to. A mark where the schema allows
no other text is not valid, one in a comment stands in no message: such a form is not learned. So what is
recalled is what parsing would have given, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple

from oadr.errors import WireError

LARGEST_BYTES: Final = 8 * 1024
MOST_FORMS: Final = 512
MOST_MET: Final = 10_000

Form = tuple[tuple[bytes, ...], ...]
"""By description, by id: what stands around them."""
Builder = Callable[[Sequence[str]], Any]

_WORTH: Final = (b"oadrCreatedEvent", b"oadrDistributeEvent", b"oadrResponse")
"""Messages that come by thousands; reports differ in their values, not in ids."""
_ID, _DESCRIPTION = b"ID>", b"eDescription>"
"""How the tags end before which any text may stand; an itemDescription is one word for most units.

One letter more to choose from is ten times as slow.
"""
_CUT_IDS, _CUT_DESCRIPTIONS = (
    re.compile(rb"%b([^<>&\x00-\x1f\x7f-\xff]+)(?=</)" % end) for end in (_ID, _DESCRIPTION)
)
_MARK: Final = " m{:03d}-open-text "
"""With blanks around: where they are dropped in reading, a text is not what was written."""


class Cut(NamedTuple):
    """A body as its form and the texts cut out of it."""

    form: Form
    texts: list[str]


class NotOpen(Exception):
    """A mark came to stand inside another text, twice, or nowhere, or was read without its blanks."""


_learned: dict[Form, Builder] = {}
_met: dict[int, bool] = {}
"""By a form's hash, whether it may be learned: false once it was tried and is not open."""


def cut(body: bytes) -> Cut | None:
    """Return the form and the texts of a body worth it, else None."""
    if len(body) > LARGEST_BYTES or not any(name in body for name in _WORTH):
        return None
    form, texts = [], []
    for place, part in enumerate(_CUT_DESCRIPTIONS.split(body)):
        if place % 2:
            texts.append(part.decode("ascii"))
        else:
            pieces = _CUT_IDS.split(part)
            form.append(tuple(pieces[::2]))
            texts += [text.decode("ascii") for text in pieces[1::2]]
    return Cut(tuple(form), texts)


def recall(found: Cut) -> Any | None:
    """Return what a body so cut is parsed to, its own texts in their places; None for a form not learned."""
    build = _learned.get(found.form)
    return None if build is None else build(found.texts)


def learn(found: Cut, parse: Callable[[bytes], Any]) -> None:
    """Remember a form met for the second time; `parse` reads a marked one, or raises a WireError."""
    key = hash(found.form)
    may_be_learned = _met.get(key)
    if may_be_learned is None:
        if len(_met) >= MOST_MET:
            _met.clear()
        _met[key] = True
    if not may_be_learned:
        return
    marks = [_MARK.format(place) for place in range(len(found.texts))]
    places = {mark: place for place, mark in enumerate(marks)}
    used: list[int] = []
    try:
        build = _builder(parse(_joined(found.form, marks)), places, used)
    except (WireError, NotOpen):
        build = None
    if not callable(build) or sorted(used) != list(range(len(marks))):
        _met[key] = False
        return
    if len(_learned) >= MOST_FORMS:
        _learned.clear()
    _learned[found.form] = build


def forget() -> None:
    """Forget every form."""
    _learned.clear()
    _met.clear()


def _joined(form: Form, texts: Sequence[str]) -> bytes:
    """Put a body together again; the texts stand in its order."""
    waiting = iter(texts)
    parts: list[bytes] = []
    for around in form:
        if parts:
            parts += [_DESCRIPTION, next(waiting).encode("ascii")]
        for place, literal in enumerate(around):
            parts += [_ID, next(waiting).encode("ascii"), literal] if place else [literal]
    return b"".join(parts)


def _builder(value: Any, places: dict[str, int], used: list[int]) -> int | Builder | None:
    """Return the place of the text that a value is, or what makes it of texts; None where no mark is in it.

    Raises NotOpen.
    """
    if isinstance(value, str):
        place = places.get(value)
        if place is not None:
            used.append(place)
            return place
        if "-open-text" in value:
            raise NotOpen(value)
        return None
    if isinstance(value, tuple):
        return _call(lambda *items: items, value, places, used)
    if is_dataclass(value) and not isinstance(value, type):
        return _call(type(value), [getattr(value, each.name) for each in fields(value)], places, used)
    return None


def _call(
    make: Callable[..., Any], values: Sequence[Any], places: dict[str, int], used: list[int]
) -> Builder | None:
    found = [(position, _builder(value, places, used)) for position, value in enumerate(values)]
    texts_at = [(position, place) for position, place in found if isinstance(place, int)]
    made_at = [(position, build) for position, build in found if callable(build)]
    if not texts_at and not made_at:
        return None

    def build(texts: Sequence[str]) -> Any:
        items = list(values)
        for position, place in texts_at:
            items[position] = texts[place]
        for position, part in made_at:
            items[position] = part(texts)
        return make(*items)

    return build
