"""Half-hours as emoncms feeds: cumulative kWh and mean power, sampled, averaged or differenced. Pure but for
`feed_values`, which asks the store.

Times are Unix seconds. Intervals are so many seconds, or the civil day, week, month or year of a zone. What
no reading fills is None, never zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from metering import store
from metering.slots import Bools, Ints, slot_of, start_of
from metering.store import Flow
from opendsr.kernel.errors import Invalid
from opendsr.kernel.interval import Interval

SLOT_SECONDS: Final = 1800
MOST_POINTS: Final = 8_928
ABOUT_POINTS: Final = 800
CIVIL: Final = ("daily", "weekly", "monthly", "annual")
STEPS: Final = (1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)


class Quantity(StrEnum):
    """What a feed shows."""

    IMPORT_KWH = "import_kwh"
    EXPORT_KWH = "export_kwh"
    POWER = "power"


class FeedRefused(Invalid):
    """A request for data that cannot be answered; `message` is what emoncms says in its place."""

    message: str


@dataclass(frozen=True, slots=True)
class HalfHours:
    """Wh of consecutive half-hours from slot `first`, and which of them are there."""

    first: int
    import_wh: Ints
    export_wh: Ints
    present: Bools


def edges(start: float, end: float, interval: str | int, *, zone: ZoneInfo) -> list[int]:
    """Where each interval of [start, end] begins, and where the last one ends; raises FeedRefused."""
    if end <= start:
        raise FeedRefused(message="request end time before start time")
    if isinstance(interval, str):
        found = list(_civil_edges(start, end, interval, zone))
    else:
        step = interval or _about(end - start)
        if step < SLOT_SECONDS or step % SLOT_SECONDS:
            step = max(SLOT_SECONDS, -(-step // SLOT_SECONDS) * SLOT_SECONDS)
        if (end - start) / step > MOST_POINTS:
            raise FeedRefused(message=_too_many((end - start) / step))
        first = int(start) // step * step
        found = list(range(first, int(end) + step + 1, step))
        while len(found) > 2 and found[-2] > end:
            found.pop()
    if len(found) - 1 > MOST_POINTS:
        raise FeedRefused(message=_too_many(len(found)))
    return found


def values(
    halves: HalfHours, at: list[int], quantity: Quantity, *, average: bool, delta: bool, base_wh: int = 0
) -> list[float | None]:
    """One value an interval. kWh feeds count on from `base_wh`, or show each interval's use with `delta`;
    power is the half-hour's mean at the interval's start, or the interval's mean with `average`.
    """
    wh = halves.export_wh if quantity is Quantity.EXPORT_KWH else halves.import_wh
    if quantity is Quantity.POWER:
        wh = halves.import_wh - halves.export_wh
    wh = np.where(halves.present, wh, 0)
    total = np.concatenate(([0], np.cumsum(wh)))
    filled = np.concatenate(([0], np.cumsum(halves.present.astype(np.int64))))
    places = np.clip(np.array(at, dtype=np.int64) // SLOT_SECONDS - halves.first, 0, len(wh))
    left, right = places[:-1], places[1:]
    found: list[float | None] = []
    for here, there in zip(left.tolist(), right.tolist(), strict=True):
        count = int(filled[there] - filled[here])
        if quantity is Quantity.POWER and not average:
            there, count = here + 1, int(here < len(wh) and halves.present[here])
        if not count:
            found.append(None)
        elif quantity is Quantity.POWER:
            found.append(float(total[min(there, len(wh))] - total[here]) * 2 / count)
        elif delta:
            found.append(float(total[there] - total[here]) / 1000)
        else:
            found.append(float(base_wh + total[here]) / 1000)
    return found


def feed_values(
    stream_id: UUID,
    quantity: Quantity,
    *,
    start: float,
    end: float,
    interval: str | int,
    average: bool,
    delta: bool,
    zone: ZoneInfo,
    since: datetime,
) -> list[tuple[int, float | None]]:
    """(time, value) of each interval of a stream's feed; raises FeedRefused. kWh count from `since` on."""
    at = edges(start, end, interval, zone=zone)
    stretch = Interval(
        datetime.fromtimestamp(at[0], UTC), datetime.fromtimestamp(max(at[-1], at[0] + 1800), UTC)
    )
    is_counter = quantity is not Quantity.POWER and not delta
    if is_counter and since < stretch.starts_at:
        whole = half_hours_of(stream_id, Interval(since, stretch.ends_at))
        cut = slot_of(stretch.starts_at) - whole.first
        wh = whole.export_wh if quantity is Quantity.EXPORT_KWH else whole.import_wh
        base_wh = int(wh[:cut][whole.present[:cut]].sum())
        halves = HalfHours(
            whole.first + cut, whole.import_wh[cut:], whole.export_wh[cut:], whole.present[cut:]
        )
    else:
        base_wh, halves = 0, half_hours_of(stream_id, stretch)
    found = values(halves, at, quantity, average=average, delta=delta, base_wh=base_wh)
    return list(zip(at[:-1], found, strict=True))


def half_hours_of(stream_id: UUID, interval: Interval) -> HalfHours:
    """The store's half-hours of a stream over an interval, as believed now."""
    first, past = slot_of(interval.starts_at), slot_of(interval.ends_at)
    whole = Interval(start_of(first), start_of(max(past, first + 1)))
    count = max(past - first, 0)
    imported = store.series([stream_id], whole, flow=Flow.IMPORT)
    exported = store.series([stream_id], whole, flow=Flow.EXPORT)
    return HalfHours(first, imported.wh[0, :count], exported.wh[0, :count], imported.present[0, :count])


def _civil_edges(start: float, end: float, interval: str, zone: ZoneInfo) -> Iterator[int]:
    if interval not in CIVIL:
        raise FeedRefused(message=f"interval must be seconds or one of {', '.join(CIVIL)}")
    try:
        day = datetime.fromtimestamp(start, zone).date()
    except (OverflowError, OSError, ValueError):
        raise FeedRefused(message="start time is out of range") from None
    if interval == "weekly":
        day -= timedelta(days=day.weekday())
    elif interval == "monthly":
        day = day.replace(day=1)
    elif interval == "annual":
        day = day.replace(month=1, day=1)
    for _ in range(MOST_POINTS + 2):
        at = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
        yield at
        if at > end:
            return
        day = _next(day, interval)
    raise FeedRefused(message=_too_many(MOST_POINTS + 1))


def _next(day: date, interval: str) -> date:
    if interval == "daily":
        return day + timedelta(days=1)
    if interval == "weekly":
        return day + timedelta(days=7)
    if interval == "monthly":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day.replace(year=day.year + 1)


def _about(seconds: float) -> int:
    """The step that gives about 800 points."""
    return next((step for step in STEPS if seconds / step <= ABOUT_POINTS), STEPS[-1])


def _too_many(points: float) -> str:
    return (
        f"request datapoint limit reached ({MOST_POINTS}), increase request interval or reduce time range,"
        f" requested datapoints = {int(points)}"
    )
