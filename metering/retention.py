"""How long readings are kept: by policy for everybody, sooner where a household's consent has ended.

`due` tells what would go and changes nothing; `apply` does what it tells. What a rule covers and for how many
days is data (`RetentionRule`), so that a co-op sets its own; the ledger and its statements are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

import members.queries
from members.models import Granularity
from metering import closing, partitions, retention_rules
from metering.models import RetentionRule
from metering.slots import slot_of
from opendsr.kernel import audit

Kind = RetentionRule.Kind
ACTOR: Final = "metering:retention"

OLD_HALF_HOURS: Final = {
    "metering_packed": "past_slot <= %(slot)s",
    "metering_half_hour": "starts_at < to_timestamp(%(slot)s * 1800)",
    "metering_superseded": "starts_at < to_timestamp(%(slot)s * 1800)",
    "metering_period_total": "ends_on <= (to_timestamp(%(slot)s * 1800) AT TIME ZONE 'Europe/London')::date",
}
OLD_MESSAGES: Final = {"metering_message": "received_at < %(before)s"}
OF_STREAMS: Final = {
    "metering_live": "stream_id = ANY(%(streams)s)",
    "metering_open_half_hour": "stream_id = ANY(%(streams)s)",
}
OPEN_OF_STREAMS: Final = {
    "metering_register": "stream_id = ANY(%(streams)s)",
    "metering_importgap": "stream_id = ANY(%(streams)s)",
    "metering_backfill": "stream_id = ANY(%(streams)s)",
}
ALL_OF_STREAMS: Final = dict.fromkeys(OLD_HALF_HOURS, "stream_id = ANY(%(streams)s)")


@dataclass(frozen=True, slots=True)
class Line:
    """What one rule takes: rows by table, whole partitions, and the streams it is about (none: all)."""

    kind: str
    keep_days: int
    before: datetime
    rows: tuple[tuple[str, int], ...] = ()
    partitions: tuple[str, ...] = ()
    streams: int = 0

    @property
    def takes_nothing(self) -> bool:
        """True when there is nothing to remove."""
        return not self.partitions and not any(count for _, count in self.rows)


def due(*, at: datetime) -> list[Line]:
    """What each rule would remove at `at`, in order of rule; nothing is changed."""
    return [_line(rule, at, is_real=False) for rule in retention_rules.in_force()]


def apply(*, at: datetime) -> list[Line]:
    """Remove it, each rule in its own transaction with a line in the audit trail; what was removed."""
    done = []
    for rule in retention_rules.in_force():
        with transaction.atomic():
            line = _line(rule, at, is_real=True)
            if not line.takes_nothing:
                audit.record(
                    at=at,
                    actor=ACTOR,
                    verb="metering.retention.applied",
                    target=f"rule:{rule.kind}",
                    detail={
                        "keep_days": line.keep_days,
                        "before": line.before,
                        "rows": dict(line.rows),
                        "partitions": line.partitions,
                        "streams": line.streams,
                    },
                )
        done.append(line)
    return done


def _line(rule: RetentionRule, at: datetime, *, is_real: bool) -> Line:
    before = at - timedelta(days=rule.keep_days)
    match rule.kind:
        case Kind.LIVE:
            find = partitions.drop_old_partitions if is_real else partitions.old_partitions
            if is_real:
                closing.forget_closed(before=before)
            return Line(rule.kind, rule.keep_days, before, partitions=tuple(find(before=before)))
        case Kind.HALF_HOURLY:
            rows = _rows(OLD_HALF_HOURS, {"slot": slot_of(before)}, is_real=is_real)
            return Line(rule.kind, rule.keep_days, before, rows=rows)
        case Kind.MESSAGES:
            rows = _rows(OLD_MESSAGES, {"before": before}, is_real=is_real)
            return Line(rule.kind, rule.keep_days, before, rows=rows)
        case Kind.LIVE_WITHDRAWN:
            tables, granularity = OF_STREAMS, Granularity.LIVE
        case _:
            tables, granularity = ALL_OF_STREAMS, Granularity.MONTHLY
    streams = streams_that_ended(before, granularity)
    rows = _rows(tables, {"streams": streams}, is_real=is_real) if streams else ()
    return Line(rule.kind, rule.keep_days, before, rows=rows, streams=len(streams))


@transaction.atomic
def forget_streams(*, stream_ids: Sequence[UUID], at: datetime) -> int:
    """Remove every reading of the streams, whose household is erased; how many rows. Statements stay."""
    rows = _rows({**ALL_OF_STREAMS, **OF_STREAMS}, {"streams": list(stream_ids)}, is_real=True)
    rows += _rows(OPEN_OF_STREAMS, {"streams": list(stream_ids)}, is_real=True)
    count = sum(each for _, each in rows)
    audit.record(
        at=at,
        actor="metering:erasure",
        verb="readings.erased",
        target="metering",
        detail={"streams": [str(each) for each in stream_ids], "rows": count},
    )
    return count


def streams_that_ended(before: datetime, granularity: Granularity) -> list[UUID]:
    """Streams that were once consented to this finely, for any purpose, and have not been since `before`."""
    windows = members.queries.consent_windows(
        members.queries.all_streams(), purpose=None, granularity=granularity
    )
    return sorted(
        stream_id
        for stream_id, spans in windows.items()
        if spans and (ended := spans[-1][1]) is not None and ended <= before
    )


def _rows(
    tables: dict[str, str], parameters: dict[str, Any], *, is_real: bool
) -> tuple[tuple[str, int], ...]:
    found = []
    with connection.cursor() as cursor:
        for table, which in tables.items():
            if is_real:
                cursor.execute(f"DELETE FROM {table} WHERE {which}", parameters)  # noqa: S608
                count = cursor.rowcount
            else:
                cursor.execute(f"SELECT count(*) FROM {table} WHERE {which}", parameters)  # noqa: S608
                (count,) = cursor.fetchone()
            found.append((table, int(count)))
    return tuple(found)


def words(lines: Sequence[Line]) -> list[str]:
    """The lines as a person reads them."""
    told = []
    for line in lines:
        parts = [f"{count:,} rows of {table}" for table, count in line.rows if count]
        parts += [f"partition {name}" for name in line.partitions]
        whose = f" of {line.streams:,} streams" if line.streams else ""
        told.append(
            f"{line.kind}: kept {line.keep_days} days, before {line.before:%Y-%m-%d %H:%M}Z{whose}: "
            + ("; ".join(parts) or "nothing")
        )
    return told
