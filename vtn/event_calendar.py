"""Events by when they are: those that say the same at one time are one entry, to however many VENs.

Shared by the page and the API. Counted in the database, where a campaign of ten thousand events is one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Count, DateTimeField, F, Max, Min, Q, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, NullIf

from opendsr.kernel.interval import Interval
from vtn import desk
from vtn.models import Event

LOOK_BACK: Final = timedelta(days=7)
"""What began longer before a span is not sought in it, however long it runs."""
PART: Final = timedelta(days=7)
"""The index on starts is read part by part, or the whole table would be read for a month."""
MOST_CONTENTS: Final = 3
"""More contents than this at one time and in one market context are one entry: each hub its own power."""
MOST_ENTRIES: Final = 5_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Events of one start, length and market context; `contents` counts the different things they say.

    `pk` is the earliest written of them. `closes_at` is the latest end, start tolerance included.
    """

    starts_at: datetime
    duration_seconds: int
    market_context: str
    is_test: bool
    closes_at: datetime
    events: int
    cancelled: int
    delivered: int
    acknowledged: int
    contents: int
    pk: int

    @property
    def ends_at(self) -> datetime | None:
        """None while it runs until it is called off."""
        return self.starts_at + timedelta(seconds=self.duration_seconds) if self.duration_seconds else None

    def state(self, *, at: datetime) -> str:
        """cancelled (all of them), pending, active or completed, by the clock."""
        if self.cancelled == self.events:
            return "cancelled"
        if at >= self.closes_at:
            return "completed"
        return "active" if at >= self.starts_at else "pending"

    @property
    def runs_until(self) -> datetime:
        """Its end; what is called off, or runs until it is, stands where it starts and nowhere else."""
        if self.cancelled == self.events or self.ends_at is None:
            return self.starts_at
        return self.ends_at

    def is_in(self, span: Interval) -> bool:
        """True where it starts in the span, or began before and runs on into it."""
        is_begun_there = span.starts_at <= self.starts_at < span.ends_at
        return is_begun_there or self.starts_at < span.starts_at < self.runs_until


@dataclass(frozen=True, slots=True)
class Said:
    """What one event of an entry says, its id, and its publisher's key."""

    event_id: str
    key: str
    signals: list[dict[str, Any]]


def entries(
    span: Interval,
    *,
    at: datetime,
    ven_id: str = "",
    group: str = "",
    market_context: str = "",
    state: str = "",
) -> list[Entry]:
    """Every entry that starts in the span or runs on into it, by start, MOST_ENTRIES + 1 at the most.

    The filters are those of `desk.find_events`; an entry counts only the events that they leave.
    """
    found = desk.find_events(
        Event.objects.order_by(),
        at=at,
        state=state,
        ven_id=ven_id,
        group=group,
        market_context=market_context,
    )
    moment = DateTimeField()
    rows = (
        found.filter(
            starts_at__gte=RawSQL("part.starts_at", (), moment),
            starts_at__lt=RawSQL("part.ends_at", (), moment),
        )
        .filter(closes_at__gte=span.starts_at)
        .annotate(content=Coalesce(NullIf("content_digest", Value("")), "event_id"))
        .values("starts_at", "duration_seconds", "market_context", "is_test", "content")
        .annotate(
            latest=Max("closes_at"),
            n=Count("pk"),
            cancelled=Count("cancelled_at"),
            delivered=Count("pk", filter=Q(delivered_modification=F("modification_number"))),
            acknowledged=Count("pk", filter=Q(acknowledged_modification=F("modification_number"))),
            earliest=Min("pk"),
        )
    )
    inner, parameters = rows.query.sql_with_params()
    starts = list(_part_starts(span))
    ends = [*starts[1:], span.ends_at]
    with connection.cursor() as cursor:
        cursor.execute(_SQL.format(inner=inner), [starts, ends, *parameters, MOST_CONTENTS, MOST_ENTRIES + 1])
        read = [Entry(*row) for row in cursor.fetchall()]
    return [each for each in read if each.is_in(span)]


_SQL: Final = """
SELECT starts_at, duration_seconds, market_context, is_test, max(latest), sum(n)::bigint,
       sum(cancelled)::bigint, sum(delivered)::bigint, sum(acknowledged)::bigint, count(*), min(earliest)
FROM (
    SELECT said.*,
           count(*) OVER (PARTITION BY starts_at, duration_seconds, market_context, is_test) AS contents
    FROM (
        SELECT counted.*
        FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS part (starts_at, ends_at),
             LATERAL ({inner}) AS counted
    ) AS said
) AS told
GROUP BY starts_at, duration_seconds, market_context, is_test,
         CASE WHEN contents > %s THEN '' ELSE content END
ORDER BY starts_at, sum(n) DESC, min(earliest)
LIMIT %s
"""


def said_by(shown: Iterable[Entry]) -> dict[int, Said]:
    """What the first event of each entry says, by its pk."""
    rows = Event.objects.filter(pk__in=[each.pk for each in shown])
    return {
        pk: Said(event_id, key, signals)
        for pk, event_id, key, signals in rows.values_list("pk", "event_id", "key", "signals")
    }


def nearest(span: Interval) -> tuple[datetime | None, datetime | None]:
    """The latest start of any event before the span, and the earliest after it."""
    before = Event.objects.filter(starts_at__lt=span.starts_at).order_by("-starts_at", "-pk")
    after = Event.objects.filter(starts_at__gte=span.ends_at).order_by("starts_at", "pk")
    return tuple(each.values_list("starts_at", flat=True).first() for each in (before, after))  # type: ignore[return-value]


def words(signals: Sequence[dict[str, Any]]) -> str:
    """What signals say in a line: SIMPLE level 2, then 1."""
    return "; ".join(f"{each['name']} {each['type']} {_values(each)}" for each in signals)


def names(signals: Sequence[dict[str, Any]]) -> str:
    """What kinds of signals they are, where the values differ from VEN to VEN."""
    return "; ".join(f"{each['name']} {each['type']}" for each in signals)


VALUES_SHOWN: Final = 4


def _values(signal: dict[str, Any]) -> str:
    values = [f"{value:g}" for _, value in signal["intervals"]]
    more = " …" if len(values) > VALUES_SHOWN else ""
    unit = f" {signal['unit']}" if signal.get("unit") else ""
    return f"{', '.join(values[:VALUES_SHOWN])}{more}{unit}"


def _part_starts(span: Interval) -> Iterable[datetime]:
    each = span.starts_at - LOOK_BACK
    while each < span.ends_at:
        yield each
        each += PART
