"""The feeds of opts and reports: positions given after the commit, so that no reader ever skips one.

Ids are taken before a transaction commits, so "id greater than the last I saw" can
pass over a slow one. The reader therefore numbers the committed rows itself, one
reader at a time.

A report's points are those it still has the last word on when it is read: what a later
report has corrected comes with that one. Powers are in W, energies in Wh, whatever
prefix the VEN uses. A resource's status comes as numbers, each a point of its own:
`<rID>/online` and `<rID>/manual_override` (0 or 1), and where given
`<rID>/capacity.current`, `<rID>/level_offset.normal`, and so on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Model

from vtn.models import EventOpt, ReceivedReport, ReportedValue
from vtn.port import ReportPoint

_LOCK: Final = 0x76746E6F  # "vtno"

_PLACE: Final = """
    UPDATE {table} AS placed SET feed_position = fresh.position
    FROM (
        SELECT id, (SELECT coalesce(max(feed_position), 0) FROM {table})
                   + row_number() OVER (ORDER BY id) AS position
        FROM {table} WHERE feed_position IS NULL
    ) AS fresh
    WHERE placed.id = fresh.id
"""


@transaction.atomic
def opts_after(position: int, *, limit: int) -> Sequence[EventOpt]:
    """Return up to `limit` opts for whole events placed after `position`, in their order."""
    _place(EventOpt)
    return list(
        EventOpt.objects.filter(feed_position__gt=position, resource_ids=[])
        .select_related("event__ven")
        .order_by("feed_position")[:limit]
    )


@transaction.atomic
def reports_after(position: int, *, limit: int) -> Sequence[tuple[ReceivedReport, tuple[ReportPoint, ...]]]:
    """Return up to `limit` reports placed after `position`, in their order, with their points."""
    _place(ReceivedReport)
    reports = list(
        ReceivedReport.objects.filter(feed_position__gt=position)
        .select_related("ven")
        .order_by("feed_position")[:limit]
    )
    points: dict[int, list[ReportPoint]] = defaultdict(list)
    values = ReportedValue.objects.filter(report__in=reports).select_related("point")
    for value in values.order_by("starts_at", "point_id"):
        points[value.report_id].extend(_points(value))
    return [(report, tuple(points[report.pk])) for report in reports]


def _points(value: ReportedValue) -> Iterator[ReportPoint]:
    if value.value is not None:
        numbers: list[tuple[str, float]] = [(value.point.r_id, value.value)]
    else:
        numbers = [
            (f"{value.point.r_id}/{name}", number) for name, number in status_numbers(value.status or {})
        ]
    for r_id, number in numbers:
        yield ReportPoint(r_id, value.starts_at, value.duration_seconds, number, value.quality)


def status_numbers(status: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield a stored status as named numbers."""
    for name, held in status.items():
        if isinstance(held, Mapping):
            for part, number in held.items():
                yield f"{name}.{part}", float(number)
        else:
            yield name.removeprefix("is_"), float(held)


def _place(model: type[Model]) -> None:
    if model._default_manager.filter(feed_position=None).exists():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            cursor.execute(_PLACE.format(table=model._meta.db_table))
