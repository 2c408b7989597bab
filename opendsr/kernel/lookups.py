"""Look-ups by many ids: one parameter for the statement, where a list would make ten thousand."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models.expressions import RawSQL


def among(ids: Iterable[UUID]) -> RawSQL:
    """The ids as the right side of an `__in` look-up."""
    return RawSQL("SELECT unnest(%s::uuid[])", [list(ids)])


def among_texts(texts: Iterable[str]) -> RawSQL:
    """The texts as the right side of an `__in` look-up."""
    return RawSQL("SELECT unnest(%s::text[])", [list(texts)])
