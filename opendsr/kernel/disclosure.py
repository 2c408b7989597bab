"""What is held about one person, as tables that a room hands over: to read on a page, and for machines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import models


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind; `models` are the labels of the models whose rows these are."""

    name: str
    title: str
    models: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[list[Any]]
    in_full: list[Any] = field(default_factory=list)
    """What does not fit into columns, as JSON; the page leaves it out."""

    def as_json(self) -> dict[str, Any]:
        """The table as JSON takes it."""
        return {**asdict(self), "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows]}


def table_of(
    rows: Iterable[models.Model],
    *,
    model: type[models.Model],
    title: str,
    leave_out: Collection[str] = (),
    more: Mapping[str, Any] | None = None,
) -> Table:
    """Every field of the rows, so that one added later is not forgotten, but those left out by name.

    `more` gives further columns, each as a function of the row.
    """
    fields = [each for each in model._meta.concrete_fields if each.name not in leave_out]
    added = more or {}
    return Table(
        name=model._meta.label_lower.replace(".", "_"),
        title=title,
        models=(model._meta.label,),
        columns=(*(each.attname for each in fields), *added),
        rows=[
            [
                *(plain(getattr(row, each.attname)) for each in fields),
                *(plain(of(row)) for of in added.values()),
            ]
            for row in rows
        ],
    )


def plain(value: Any) -> Any:
    """The value as JSON and a page take it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case bytes() | memoryview():
            return bytes(value).hex()
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return str(value)


def labels(tables: Iterable[Table]) -> Iterator[str]:
    """The labels of all models that the tables are of."""
    for table in tables:
        yield from table.models
