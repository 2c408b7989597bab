"""Readings for a purpose: what a household's consent to that purpose covers, and a line saying who read what.

Settlement and planning read through here. What is stored under another purpose's consent is masked as if it
were missing, and every read leaves a row in `audited.metering_read`, which nobody edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import numpy as np
from django.db import connection, transaction

from members.models import Granularity, Purpose
from metering import permits, store
from metering.slots import MICROSECONDS, civil_day_slots
from metering.store import DayCube, Flow
from opendsr.kernel.periods import MAX_PERIODS, day_interval

ANNOUNCE = "SELECT audited.announce_read(%s, %s, %s::uuid[], %s, %s)"


def announce(purpose: Purpose, reader: str, stream_ids: Sequence[UUID], days: Sequence[date]) -> None:
    """Record, in the caller's transaction, who reads these days of these streams and for what."""
    intervals = [day_interval(day) for day in days]
    starts_at = min(interval.starts_at for interval in intervals)
    ends_at = max(interval.ends_at for interval in intervals)
    with connection.cursor() as cursor:
        cursor.execute(ANNOUNCE, [purpose.value, reader, sorted(stream_ids), starts_at, ends_at])


@transaction.atomic
def day_cube(
    purpose: Purpose,
    stream_ids: Sequence[UUID],
    days: Sequence[date],
    *,
    reader: str,
    known_at: datetime | None = None,
    flow: Flow = Flow.NET,
) -> DayCube:
    """`store.day_cube` of what the households let be read for the purpose, and a record of the read."""
    if not (len(stream_ids) and len(days)):
        return store.day_cube(stream_ids, days, known_at=known_at, flow=flow)
    announce(purpose, reader, stream_ids, days)
    cube = store.day_cube(stream_ids, days, known_at=known_at, flow=flow)
    first, _ = civil_day_slots(days)
    starts = ((first[:, None] + np.arange(MAX_PERIODS)) * MICROSECONDS).ravel()
    permitted = permits.permission(stream_ids, granularity=Granularity.HALF_HOURLY, purpose=purpose)
    present = cube.present
    everyone = np.arange(len(stream_ids))
    whole = np.full(len(stream_ids), starts.max() + MICROSECONDS)
    for number in np.flatnonzero(~permitted(everyone, np.full_like(whole, starts.min()), whole)).tolist():
        stream = np.full(len(starts), number, dtype=np.int64)
        present[number] &= permitted(stream, starts, starts + MICROSECONDS).reshape(present[number].shape)
    cube.wh[~present] = 0
    return replace(cube, present=present)
