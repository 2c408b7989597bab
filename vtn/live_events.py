"""Events as plain rows, read for many VENs at once: what decides their life and what a rendering needs.

A campaign reaches ten thousand VENs within seconds; a model instance each, at every hand-over and every
answer, would cost more than all the rest. Whatever judges an event (`vtn.lifecycle`) takes either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from django.db import connection

from opendsr.kernel.interval import EPOCH
from vtn.models import Event


class EventRow(NamedTuple):
    """One event of one VEN; the names are the model's."""

    pk: int
    event_id: str
    ven_id: int
    modification_number: int
    modification_reason: str
    content_digest: str
    priority: int
    starts_at: datetime
    closes_at: datetime
    published_at: datetime
    cancelled_at: datetime | None
    ramp_up_seconds: int
    is_response_required: bool
    resource_ids: tuple[str, ...]
    delivered_modification: int | None
    delivered_wall_at: datetime | None
    delivery_count: int
    acknowledged_modification: int | None

    def handed_over(self, *, wall: datetime) -> EventRow:
        """As the row stands once the version in force has left at `wall`."""
        return self._replace(
            delivered_modification=self.modification_number,
            delivered_wall_at=wall,
            delivery_count=self.delivery_count + 1,
        )

    def acknowledged(self) -> EventRow:
        """As the row stands once its VEN has answered the version in force."""
        return self._replace(acknowledged_modification=self.modification_number)


class Speaker(NamedTuple):
    """As much of a VEN as its events ask for; the names are the model's."""

    pk: int
    ven_id: str
    poll_seconds: int | None


class AnyVen(Protocol):
    """A `Ven`, or as much of one as is at hand."""

    @property
    def pk(self) -> int: ...

    @property
    def ven_id(self) -> str: ...

    @property
    def poll_seconds(self) -> int | None: ...


AnyEvent = Event | EventRow

_COLUMNS: Final = """
    id, event_id, ven_id, modification_number, modification_reason, content_digest, priority,
    starts_at::text, closes_at::text, published_at::text, cancelled_at::text, ramp_up_seconds,
    is_response_required, resource_ids::text, delivered_modification, delivered_wall_at::text,
    delivery_count, acknowledged_modification
"""
# VEN by VEN, row by row: a planner who has not met the campaign of this minute would read the table.
_OPEN: Final = f"""
    SELECT event.* FROM unnest(string_to_array(%(vens)s, ',')::bigint[]) AS wanted (ven)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM vtn_event WHERE ven_id = wanted.ven AND closes_at > %(at)s OFFSET 0
    ) AS event
"""  # noqa: S608
_OPEN_LOCKED: Final = f"""
    SELECT event.* FROM (
        SELECT event.id FROM unnest(string_to_array(%(vens)s, ',')::bigint[]) AS wanted (ven)
        CROSS JOIN LATERAL (
            SELECT id FROM vtn_event WHERE ven_id = wanted.ven AND closes_at > %(at)s OFFSET 0
        ) AS event
        ORDER BY event.id OFFSET 0
    ) AS found
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM vtn_event WHERE id = found.id AND closes_at > %(at)s FOR UPDATE
    ) AS event
"""  # noqa: S608
_NAMED: Final = f"""
    SELECT {_COLUMNS} FROM vtn_event WHERE event_id = ANY(string_to_array(%(names)s, ','))
    ORDER BY id FOR UPDATE
"""  # noqa: S608
_OF_PKS: Final = f"""
    SELECT {_COLUMNS} FROM vtn_event WHERE id = ANY(string_to_array(%(pks)s, ',')::bigint[])
    ORDER BY id FOR UPDATE
"""  # noqa: S608


def open_events(ven_pks: Iterable[int], *, at: datetime, is_locked: bool) -> list[EventRow]:
    """Return the VENs' events that have not closed; locked, by pk, inside the transaction."""
    return _rows(_OPEN_LOCKED if is_locked else _OPEN, {"vens": ",".join(map(str, ven_pks)), "at": at})


def locked(event_ids: Iterable[str]) -> list[EventRow]:
    """Return the events of these ids, closed ones too, locked."""
    sound = [event_id for event_id in event_ids if "," not in event_id]
    return _rows(_NAMED, {"names": ",".join(sound)}) if sound else []


def locked_by_pk(pks: Iterable[int]) -> list[EventRow]:
    """Return these events, closed ones too, locked."""
    return _rows(_OF_PKS, {"pks": ",".join(map(str, pks))})


def _rows(statement: str, parameters: Mapping[str, str | datetime]) -> list[EventRow]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [
            EventRow(
                pk,
                event_id,
                ven,
                modification,
                reason,
                digest,
                priority,
                _instant(starts_at),
                _instant(closes_at),
                _instant(published_at),
                None if cancelled_at is None else _instant(cancelled_at),
                ramp_up,
                is_response_required,
                () if resources == "[]" else tuple(json.loads(resources)),
                delivered,
                None if delivered_at is None else _instant(delivered_at),
                count,
                acknowledged,
            )
            for (
                pk,
                event_id,
                ven,
                modification,
                reason,
                digest,
                priority,
                starts_at,
                closes_at,
                published_at,
                cancelled_at,
                ramp_up,
                is_response_required,
                resources,
                delivered,
                delivered_at,
                count,
                acknowledged,
            ) in cursor.fetchall()
        ]


@lru_cache(maxsize=4096)
def _instant(text: str) -> datetime:
    """Return a time as PostgreSQL writes it: those of one campaign are the same few."""
    return datetime.fromisoformat(text).astimezone(EPOCH.tzinfo)
