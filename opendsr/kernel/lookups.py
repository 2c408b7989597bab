"""Look-ups by many ids: one parameter for the statement, where a list would make ten thousand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from uuid import UUID

from django.db.models.expressions import RawSQL


def among(ids: Iterable[UUID]) -> RawSQL:
    """The ids as the right side of an `__in` look-up."""
    return RawSQL("SELECT unnest(%s::uuid[])", [uuids(ids)])


def among_texts(texts: Iterable[str]) -> RawSQL:
    """The texts as the right side of an `__in` look-up."""
    return RawSQL("SELECT jsonb_array_elements_text(%s::jsonb)", [json.dumps(list(texts))])


def among_keys(keys: Iterable[int]) -> RawSQL:
    """The keys as the right side of an `__in` look-up."""
    return RawSQL("SELECT unnest(%s::bigint[])", [f"{{{','.join(map(str, keys))}}}"])


def uuids(ids: Iterable[UUID]) -> str:
    """The ids as PostgreSQL writes an array: one text is sent in a tenth of the time of ten thousand ids."""
    return "{" + b"".join([each.bytes for each in ids]).hex(",", 16) + "}"
