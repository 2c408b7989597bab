"""What devices said of assets by half-hour: how the last weeks' days went, and one stretch exactly.

Campaigns forecast from these. A device spoke in a half-hour with one state in it; it drew when its mean power
was LEAST_DRAWN_W or, telling none, when it was on. It is ready when a car is plugged in, or a tank is below
COOL_BELOW_DC.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.lookups import uuids

SLOTS: Final = 48
LEAST_DRAWN_W: Final = 100
COOL_BELOW_DC: Final = 600
READY: Final = ("connected", "charging", "diverting", "boosting", "complete")
NOT_READY: Final = ("ready", "at_temperature")
"""An EV charger's `ready` is that no car is plugged in."""
HALF_HOURLY: Final = """
    SELECT asset_id, date_bin('30 minutes', at, 'epoch'::timestamptz) AS starts_at,
           avg(power_w) AS power_w,
           coalesce(avg(power_w) >= %(least)s, bool_or(is_on)) AS drew,
           bool_or(temperature_dc < %(cool)s OR (temperature_dc IS NULL AND state = ANY(%(ready)s)))
               FILTER (WHERE temperature_dc IS NOT NULL OR state = ANY(%(ready)s) OR state = ANY(%(not)s))
               AS is_ready
    FROM metering_assetstate
    WHERE at >= %(since)s AND at < %(until)s AND asset_id = ANY(%(assets)s::uuid[])
    GROUP BY 1, 2
"""
SHAPES: Final = """
    SELECT asset_id,
           (2 * extract(hour FROM london) + floor(extract(minute FROM london) / 30))::int4 AS slot,
           count(drew), count(*) FILTER (WHERE drew), coalesce(avg(power_w) FILTER (WHERE drew), 0)::float8,
           count(is_ready), count(*) FILTER (WHERE is_ready)
    FROM (SELECT half.*, starts_at AT TIME ZONE 'Europe/London' AS london FROM half) AS told
    GROUP BY 1, 2
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shapes:
    """[asset, 48 London half-hours]: in how many a device said whether it draws, and drew, the mean W then;
    in how many it said whether it is ready, and was.
    """

    seen: Floats
    drew: Floats
    drawn_w: Floats
    told: Floats
    ready: Floats


@dataclass(frozen=True, slots=True)
class HalfHours:
    """[asset, half-hour] of one stretch; NaN where nothing was said. `drew` and `is_ready` are 0 or 1."""

    power_w: Floats
    drew: Floats
    is_ready: Floats


def shapes(asset_ids: Collection[UUID], over: Interval) -> Shapes:
    """How the days of the interval went, in the order of the ids, in one statement."""
    place = {asset_id: number for number, asset_id in enumerate(asset_ids)}
    found = np.zeros((5, len(place), SLOTS))
    with connection.cursor() as cursor:
        cursor.execute("WITH half AS (" + HALF_HOURLY + ")" + SHAPES, _asked(place, over))
        for asset_id, slot, *figures in cursor.fetchall():
            found[:, place[asset_id], slot] = figures
    return Shapes(*found)


def half_hours(asset_ids: Collection[UUID], over: Interval) -> HalfHours:
    """What was said in each half-hour of the interval, in the order of the ids, in one statement."""
    place = {asset_id: number for number, asset_id in enumerate(asset_ids)}
    found = np.full((3, len(place), over.half_hour_count), np.nan)
    with connection.cursor() as cursor:
        cursor.execute(HALF_HOURLY, _asked(place, over))
        for asset_id, starts_at, power_w, drew, is_ready in cursor.fetchall():
            figures = [
                np.nan if power_w is None else float(power_w),
                np.nan if drew is None else float(drew),
                np.nan if is_ready is None else float(is_ready),
            ]
            found[:, place[asset_id], (starts_at - over.starts_at) // HALF_HOUR] = figures
    return HalfHours(*found)


def _asked(asset_ids: Collection[UUID], over: Interval) -> dict[str, Any]:
    return {
        "least": LEAST_DRAWN_W,
        "cool": COOL_BELOW_DC,
        "ready": list(READY),
        "not": list(NOT_READY),
        "since": over.starts_at,
        "until": over.ends_at,
        "assets": uuids(asset_ids),
    }
