"""The feed of opts: positions given after the commit, so that no reader ever skips one.

Ids are taken before a transaction commits, so "id greater than the last I saw" can
pass over a slow one. The reader therefore numbers the committed rows itself, one
reader at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction

from vtn.models import EventOpt

_LOCK: Final = 0x76746E6F  # "vtno"

_PLACE = """
    UPDATE vtn_event_opt AS opt SET feed_position = fresh.position
    FROM (
        SELECT id, (SELECT coalesce(max(feed_position), 0) FROM vtn_event_opt)
                   + row_number() OVER (ORDER BY id) AS position
        FROM vtn_event_opt WHERE feed_position IS NULL
    ) AS fresh
    WHERE opt.id = fresh.id
"""


@transaction.atomic
def opts_after(position: int, *, limit: int) -> Sequence[EventOpt]:
    """Return up to `limit` opts for whole events placed after `position`, in their order."""
    if EventOpt.objects.filter(feed_position=None).exists():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            cursor.execute(_PLACE)
    return list(
        EventOpt.objects.filter(feed_position__gt=position, resource_ids=[])
        .select_related("event__ven")
        .order_by("feed_position")[:limit]
    )
