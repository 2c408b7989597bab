"""Text that would like to be more than text, put into every form of a page and every stored text there is."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.apps import apps
from django.db import DatabaseError, models, transaction
from lxml import etree, html

from opendsr.kernel.spreadsheets import FORMULA_STARTS

HOSTILE: Final = "=1+1\"'><b class=hostile>{{7*7}}\u202e\U0001f4a1"
MARK: Final = "b class=hostile"
RAW: Final = f"<{MARK}>"
OURS: Final = frozenset(
    {"kernel", "members", "assets", "metering", "campaigns", "settlement", "notices", "vtn"}
)
TYPED: Final = frozenset({"checkbox", "radio", "file", "submit", "button", "image", "reset", "hidden"})
MACHINES: Final = re.compile(
    r"(^|_)(id|password|sha256|hash|digest|fingerprint|serial|index|token|key|nonce|topic|code|rule|kind|state|logo)$"
)
"""Texts that programs write for programs, which they may rely on."""
WRONG: Final = ("-1", "9" * 400, "1e999", "2026-02-30", "\N{INFINITY}", "' OR 1=1", "y" * 70_000, "")
GUESSES: Final[Mapping[str, str]] = {
    "date": "2026-01-20",
    "datetime-local": "2026-01-20T17:00",
    "time": "17:00",
    "month": "2026-01",
    "number": "1",
    "email": "hostile@example.org",
    "tel": "07700 900000",
    "url": "https://hostile.example/",
    "password": "correct horse battery",
    "color": "#336699",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a page: where it goes, what it sends by itself, and which fields take text of one's own."""

    action: str
    method: str
    sent: dict[str, list[str]]
    typed: dict[str, str]
    """Field name to its type: `text`, `textarea`, `date`, ..."""
    refused: frozenset[str] = field(default=frozenset())

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields, by which two forms are told apart."""
        return tuple(sorted({*self.sent, *self.typed}))

    def hostile(self, text: str = HOSTILE) -> dict[str, Any]:
        """The text in every field that somebody types into, whatever it asks for."""
        return self.sent | dict.fromkeys(self.typed, text)

    def likely(self, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The text where text is asked for, and what would be right elsewhere and where it was refused."""
        told = {
            name: HOSTILE
            if kind in ("text", "textarea", "search") and name not in refused
            else GUESSES.get(kind, "1")
            for name, kind in self.typed.items()
        }
        return told | {
            name: value for name, value in self.sent.items() if name not in told or name in refused
        }

    def wrong(self) -> Iterator[dict[str, Any]]:
        """Something wrong in every field, those that nobody types into as well; each way in other fields."""
        names = (*self.sent, *self.typed)
        for turn in range(0, len(WRONG), 4):
            yield {name: WRONG[(place + turn) % len(WRONG)] for place, name in enumerate(names)}


def forms_of(page: str, path: str) -> list[Form]:
    """The forms of a page as a browser would send them, each with its first button."""
    tree = html.document_fromstring(page, base_url="http://testserver" + path)
    return [_form(each, path) for each in tree.forms if each.get("method", "get").lower() != "dialog"]


def refused_fields(page: str) -> frozenset[str]:
    """The names of the fields by which a page says that something is wrong."""
    tree = html.document_fromstring(page)
    return frozenset(tree.xpath("//*[contains(concat(' ', @class, ' '), ' invalid ')]//@name"))


def _form(element: Any, path: str) -> Form:
    sent: dict[str, list[str]] = {}
    typed: dict[str, str] = {}
    for each in element.inputs:
        name, kind = each.get("name"), (each.get("type") or each.tag).lower()
        if not name or name == "csrfmiddlewaretoken":
            continue
        if each.tag == "select":
            chosen = [option.get("value", "") for option in each.xpath(".//option[@selected]")]
            others = [option.get("value", "") for option in each.xpath(".//option") if option.get("value")]
            sent.setdefault(name, chosen or others[:1])
        elif kind in ("checkbox", "radio"):
            sent.setdefault(name, [each.get("value", "on")])
        elif kind == "hidden":
            sent.setdefault(name, []).append(each.get("value", ""))
        elif kind not in TYPED:
            typed[name] = "text" if kind == "input" else kind
            if kind != "textarea" and each.get("value"):
                sent[name] = [each.get("value")]
    for button in element.xpath(".//button[@name]")[:1]:
        sent.setdefault(button.get("name"), [button.get("value", "")])
    action = element.get("action") or path
    return Form(action, element.get("method", "get").upper(), sent, typed)


def poison_every_text() -> tuple[set[str], set[str]]:
    """Put the text into every row of every free text; returns the fields that took it and that did not."""
    taken: set[str] = set()
    kept: set[str] = set()
    for model in apps.get_models():
        if model._meta.app_label not in OURS or not model._meta.managed:
            continue
        for each in model._meta.concrete_fields:
            if _is_free_text(each):
                name = f"{model._meta.label}.{each.name}"
                (taken if _poison(model, each) else kept).add(name)
    return taken, kept


def _is_free_text(each: Any) -> bool:
    is_text = isinstance(each, models.CharField | models.TextField) or "SealedText" in type(each).__name__
    return (
        is_text
        and not (each.choices or each.primary_key or each.is_relation)
        and MACHINES.search(each.name) is None
    )


def _poison(model: type[models.Model], each: Any) -> bool:
    text = HOSTILE[: each.max_length] if each.max_length else HOSTILE
    took = False
    for row in model._base_manager.all():
        setattr(row, each.attname, text)
        try:
            with transaction.atomic():
                row.save(update_fields=[each.attname])
        except (DatabaseError, ValueError, TypeError, NotImplementedError):
            continue  # a rule of the database refuses such a text, or the row may never change
        took = True
    return took


def faults_of(answer: Any, body: bytes) -> list[str]:
    """What of the text came through as more than text, by the kind of the document."""
    kind = answer.get("Content-Type", "").partition(";")[0]
    if kind == "text/html":
        return ["markup"] if RAW in body.decode() else []
    if kind == "text/csv":
        return [f"formula: {cell[:40]}" for cell in _cells(body.decode("utf-8-sig")) if _is_formula(cell)]
    if kind.endswith("spreadsheetml.sheet"):
        return _sheet_faults(body)
    if kind.endswith("xml"):
        etree.fromstring(body)
    return []


def _cells(text: str) -> Iterator[str]:
    for row in csv.reader(io.StringIO(text)):
        yield from row


def _is_formula(cell: str) -> bool:
    return MARK in cell and cell.startswith(FORMULA_STARTS)


def _sheet_faults(body: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        sheets = [book.read(name) for name in book.namelist() if name.startswith("xl/worksheets/")]
    return ["formula in a sheet" for sheet in sheets if b"<f>" in sheet or b"<f " in sheet]
