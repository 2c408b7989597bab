"""What a home can be expected to move: its usual use at that time of day, shared among its assets.

Pure: the day cube of `metering.store` in, whole watts out. Called by `planning.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from opendsr.kernel.interval import Interval
from opendsr.kernel.money import split_mp
from opendsr.kernel.periods import LONDON, is_working_day, period_of

LOOK_BACK_DAYS: Final = 60
CANDIDATE_DAYS: Final = 20
KEPT_DAYS: Final = 10
LEAST_DAYS: Final = 4
LEAST_PERIOD_SHARE: Final = 0.75
# A 60 A cut-out at 230 V, the smallest main fuse usual in a British home.
SERVICE_W: Final = 13_800
NO_SLOT: Final = -1


def like_days(day: date, *, before: date, count: int = CANDIDATE_DAYS) -> list[date]:
    """Up to `count` days like `day` (working or not) in the 60 civil days before `before`, newest first."""
    kind = is_working_day(day)
    earlier = (before - timedelta(days=back) for back in range(1, LOOK_BACK_DAYS + 1))
    return [each for each in earlier if is_working_day(each) == kind and each != day][:count]


def day_slots(interval: Interval, days: Sequence[date]) -> NDArray[np.intp]:
    """Day-cube slot of each half-hour of the interval on each day, matched by local time of day.

    NO_SLOT where that local time does not exist, the night the clocks go forward.
    """
    times = [start.astimezone(LONDON).time() for start in interval.half_hours()]
    slots = np.full((len(days), len(times)), NO_SLOT, dtype=np.intp)
    for row, day in enumerate(days):
        for column, time in enumerate(times):
            local = datetime.combine(day, time, LONDON)
            found, period = period_of(local)
            if found == day and _exists(local):
                slots[row, column] = period - 1
    return slots


def usual_use_w(
    net_wh: NDArray[np.int64],
    present: NDArray[np.bool_],
    slots: NDArray[np.intp],
    is_event_day: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Mean net import, in W, of each stream in the wanted slots of good days; and whether that is enough.

    `net_wh` and `present` are [stream, day, slot] with days newest first, `slots` [day, wanted],
    `is_event_day` [stream, day]. A day is good with at least three quarters of the wanted readings and no
    event; the newest KEPT_DAYS count, fewer than LEAST_DAYS are not enough. Never below zero.
    """
    rows = np.arange(slots.shape[0])[:, np.newaxis]
    wanted = slots != NO_SLOT
    has = present[:, rows, slots] & wanted
    use_wh = np.where(has, net_wh[:, rows, slots], 0)
    good = has.sum(axis=2) >= np.ceil(LEAST_PERIOD_SHARE * slots.shape[1])
    good &= ~is_event_day & wanted.any(axis=1)
    good &= np.cumsum(good, axis=1) <= KEPT_DAYS
    counted = has.sum(axis=2) * good
    total_wh = (use_wh.sum(axis=2) * good).sum(axis=1)
    count = counted.sum(axis=1)
    mean_w = 2 * total_wh // np.maximum(count, 1)
    return np.maximum(mean_w, 0).astype(np.int64), good.sum(axis=1) >= LEAST_DAYS


def home_limit_w(*, usual_w: int, is_turn_down: bool, committed_w: int = 0) -> int:
    """The most a home's assets can move together: what it uses down, what its fuse leaves up.

    `committed_w` is what its other assets have promised elsewhere at the same time.
    """
    limit_w = usual_w if is_turn_down else SERVICE_W - usual_w
    return max(0, limit_w - committed_w)


def share_limit_w(flexible_w: Sequence[int], limit_w: int) -> list[int]:
    """Each asset's expected power: its flexible_w, scaled so that the home's total is within limit_w."""
    if len(flexible_w) == 1:
        return [min(flexible_w[0], limit_w)]
    total_w = sum(flexible_w)
    if total_w <= limit_w:
        return list(flexible_w)
    # Largest remainder; the rule is the same for watts as for millipence.
    return split_mp(limit_w, flexible_w)


def _exists(local: datetime) -> bool:
    """False for a local time that the clocks skip."""
    again = local.astimezone(UTC).astimezone(LONDON)
    return again.replace(tzinfo=None) == local.replace(tzinfo=None)
