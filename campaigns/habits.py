"""What homes usually use and how often they come: worked out nightly for all, read for many at once.

Planning a market's campaign reads meters itself; a signal of a network operator has to be answered within a
second, so it is planned from these rows. They are replaced whole, so that who took back their consent to
readings is gone the next night, and dropped at once when it is taken back or the household leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.db.models import Count, Q
from numpy.typing import NDArray

import members.queries
from campaigns import expecting, queries
from campaigns.models import HomeHabit, Participation
from members.models import Purpose
from metering import purposes
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.lookups import among, uuids
from opendsr.kernel.periods import LONDON, civil_date, day_interval, is_working_day

BATCH: Final = 2_000
UNKNOWN: Final = -1
LOOK_BACK: Final = timedelta(days=182)
HALF_HOURS: Final = 48
PRIOR_ASKED, PRIOR_MISSED = 10, 1
"""Of a home never asked, one time in ten is taken to fail; its own history soon weighs more."""
MISSED: Final = (
    Participation.Outcome.OPTED_OUT,
    Participation.Outcome.OVERRIDDEN,
    Participation.Outcome.UNRESPONSIVE,
    Participation.Outcome.DEVICE_ERROR,
)
AN_ORDINARY_DAY: Final = date(2026, 1, 14)
UPSERT: Final = """
    INSERT INTO campaigns_homehabit (occupancy_id, working_day_w, other_day_w, asked, missed, worked_out_at)
    SELECT occupancy, string_to_array(working, ',')::int4[], string_to_array(other, ',')::int4[], asked,
           missed, %s
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int4[], %s::int4[])
        AS told (occupancy, working, other, asked, missed)
    ON CONFLICT (occupancy_id) DO UPDATE SET
        working_day_w = excluded.working_day_w, other_day_w = excluded.other_day_w,
        asked = excluded.asked, missed = excluded.missed, worked_out_at = excluded.worked_out_at
"""
READ: Final = """
    SELECT habit.occupancy_id, CASE WHEN least({slots}) < 0 THEN {unknown} ELSE ({total}) / {count} END,
           asked, missed
    FROM campaigns_homehabit AS habit
"""
THESE: Final = "JOIN unnest(%s::uuid[]) AS wanted (id) ON wanted.id = habit.occupancy_id"


class Habit(NamedTuple):
    """What a home usually uses over an interval, UNKNOWN where meters do not say; its chance to fail."""

    usual_w: int
    chance_out: float


def chance_out(*, asked: int, missed: int) -> float:
    """The chance of a no or of silence, from how often there was one; between 0 and 1, never either."""
    return (missed + PRIOR_MISSED) / (asked + PRIOR_ASKED)


def work_out(*, at: datetime) -> int:
    """Work out the habits of every household that lives somewhere at `at`; how many there are now."""
    stays = sorted(occupancy_id for occupancy_id, _ in members.queries.stays_at(None, at).values())
    for start in range(0, len(stays), BATCH):
        _work_out(stays[start : start + BATCH], at=at)
    HomeHabit.objects.filter(worked_out_at__lt=at).delete()
    return HomeHabit.objects.count()


def is_due(*, at: datetime) -> bool:
    """Whether nothing was worked out on this UK day yet."""
    newest = HomeHabit.objects.order_by("-worked_out_at").values_list("worked_out_at", flat=True).first()
    return newest is None or civil_date(newest) < civil_date(at)


def forget(occupancy_id: UUID) -> None:
    """Drop what was worked out of one household's readings."""
    HomeHabit.objects.filter(occupancy=occupancy_id).delete()


def habits_of(occupancy_ids: Collection[UUID] | None, interval: Interval) -> dict[UUID, Habit]:
    """The habits over the interval's time of day; households of whom nothing was worked out are absent. None
    asks of all.
    """
    local = interval.starts_at.astimezone(LONDON)
    column = "working_day_w" if is_working_day(local.date()) else "other_day_w"
    first = 2 * local.hour + local.minute // 30
    count = -(-(interval.duration + (interval.starts_at - _floor(interval.starts_at))) // HALF_HOUR)
    # Over midnight the same kind of day goes on: the array is read as a ring.
    slots = [f"{column}[{1 + (first + each) % HALF_HOURS}]" for each in range(min(count, HALF_HOURS))]
    read = READ.format(slots=", ".join(slots), total=" + ".join(slots), count=len(slots), unknown=UNKNOWN)
    with connection.cursor() as cursor:
        if occupancy_ids is None:
            cursor.execute(read)
        else:
            cursor.execute(read + THESE, [uuids(occupancy_ids)])
        return {
            occupancy_id: Habit(usual_w, (missed + PRIOR_MISSED) / (asked + PRIOR_ASKED))
            for occupancy_id, usual_w, asked, missed in cursor.fetchall()
        }


def chances_of(occupancy_ids: Collection[UUID], *, at: datetime) -> dict[UUID, float]:
    """The chance that each household fails, from what it did up to `at`; those never asked are absent."""
    return {
        occupancy_id: chance_out(asked=asked, missed=missed)
        for occupancy_id, (asked, missed) in _asked(occupancy_ids, at=at).items()
    }


@transaction.atomic
def _work_out(occupancy_ids: Sequence[UUID], *, at: datetime) -> None:
    asked = _asked(occupancy_ids, at=at)
    today = civil_date(at)
    working, other = today, today
    while not is_working_day(working):
        working += timedelta(days=1)
    while is_working_day(other):
        other += timedelta(days=1)
    working_w = _usual_w(occupancy_ids, day=working, at=at)
    other_w = _usual_w(occupancy_ids, day=other, at=at)
    # No array of arrays of one length is asked of the driver: one text a home is quicker to send.
    columns: list[list[Any]] = [
        list(occupancy_ids),
        [_written(working_w.get(each)) for each in occupancy_ids],
        [_written(other_w.get(each)) for each in occupancy_ids],
        [asked.get(each, (0, 0))[0] for each in occupancy_ids],
        [asked.get(each, (0, 0))[1] for each in occupancy_ids],
    ]
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, [at, *columns])


def _asked(occupancy_ids: Collection[UUID], *, at: datetime) -> Mapping[UUID, tuple[int, int]]:
    """(asked, missed) of the last half year, a campaign counted once however many assets it asked."""
    parts = Participation.objects.filter(
        occupancy__in=among(occupancy_ids), starts_at__gt=at - LOOK_BACK, ends_at__lte=at
    ).exclude(outcome__in=("", Participation.Outcome.CANCELLED))
    counts = (
        parts.order_by()
        .values_list("occupancy_id")
        .annotate(
            asked=Count("campaign", distinct=True),
            missed=Count("campaign", distinct=True, filter=Q(outcome__in=MISSED)),
        )
    )
    return {occupancy_id: (asked, missed) for occupancy_id, asked, missed in counts}


def _usual_w(occupancy_ids: Sequence[UUID], *, day: date, at: datetime) -> dict[UUID, NDArray[np.int64]]:
    """Mean use in each half-hour of a day like `day`; homes without a meter stream are absent."""
    days = expecting.like_days(day, before=civil_date(at))
    stream_by_occupancy = members.queries.streams_of(occupancy_ids, at)
    occupancies = sorted(stream_by_occupancy)
    if not occupancies or not days:
        return {}
    cube = purposes.day_cube(
        Purpose.SETTLEMENT,
        [stream_by_occupancy[each] for each in occupancies],
        days,
        reader="campaigns.habits",
        known_at=at,
    )
    events = queries.event_days(occupancies)
    is_event_day = np.array(
        [[each in events.get(occupancy, ()) for each in days] for occupancy in occupancies], dtype=bool
    )
    slots = expecting.day_slots(day_interval(AN_ORDINARY_DAY), days)
    usual_w = np.full((len(occupancies), HALF_HOURS), UNKNOWN, np.int64)
    for number in range(HALF_HOURS):
        watts, is_enough = expecting.usual_use_w(
            cube.net_wh, cube.present, slots[:, number : number + 1], is_event_day
        )
        usual_w[is_enough, number] = watts[is_enough]
    return dict(zip(occupancies, usual_w, strict=True))


def _written(usual_w: NDArray[np.int64] | None) -> str:
    values = [UNKNOWN] * HALF_HOURS if usual_w is None else usual_w.tolist()
    return ",".join(map(str, values))


def _floor(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
