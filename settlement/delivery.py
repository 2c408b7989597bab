"""Delivery: how much less (or more) each household used than its baseline, and which part of that earns.

Pure numpy over whole Wh [stream, half-hour] with masks. Delivered is baseline less metered for a turn-down,
metered less baseline for a turn-up; a half-hour lacking either is not measured and earns nothing.

A half-hour that the event covers in part is instructed by that part. Its meter tells it as a whole: outside
of the event a home is taken to have done as its baseline says, so the whole difference counts, up to what was
instructed of the part and, where it used more, down to as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from settlement.baselines import Mask, Wh
from settlement.households import STANDINGS

A_HALF_HOUR: Final = 1_800
"""Seconds."""
SIGN: Final = {"turn_down": 1, "turn_up": -1}
OUTCOME_OF: Final = {
    "overridden": "overridden",
    "opted_out": "opted_out",
    "silent": "unresponsive",
    "not_reached": "unresponsive",
    "device_error": "device_error",
    "held_out": "held_out",
}


OUTCOMES: Final = ("delivered", "partial", "not_measured", *dict.fromkeys(OUTCOME_OF.values()))


class Floor(StrEnum):
    """Over what span using more than the baseline counts against what was delivered; never below zero."""

    EVENT = "event"
    HALF_HOUR = "half_hour"


class Cap(StrEnum):
    """What a half-hour can earn at most."""

    NONE = "none"
    INSTRUCTED = "instructed"


@dataclass(frozen=True, slots=True)
class DeliveryRule:
    """Which part of the delivered energy is paid; by default all of it, netted over the event."""

    floor: Floor = Floor.EVENT
    cap: Cap = Cap.NONE


@dataclass(frozen=True, slots=True)
class Delivery:
    """Wh by stream and half-hour (0 where not `measured`), the signed sum and the part that is paid."""

    half_hour_wh: Wh
    measured: Mask
    delivered_wh: Wh
    paid_wh: Wh


def instructed_wh(a_half_hour_wh: Wh, half_hours: int, covered_seconds: Sequence[int] = ()) -> Wh:
    """Wh [stream, half-hour] instructed in an event: a half-hour's, or of one covered in part that part,
    rounded down. Without `covered_seconds` all are covered whole.
    """
    covered = np.array(covered_seconds or [A_HALF_HOUR] * half_hours, np.int64)
    return np.asarray(a_half_hour_wh, np.int64)[:, None] * covered // A_HALF_HOUR


def measure(
    *,
    baseline_wh: Wh,
    has_baseline: Mask,
    metered_wh: Wh,
    has_reading: Mask,
    direction: str,
    instructed_half_hour_wh: Wh,
    takes_part: Mask,
    rule: DeliveryRule,
    covered_seconds: Sequence[int] = (),
) -> Delivery:
    """What each stream delivered in the event and which part is paid.

    Paid is the sum over measured half-hours, each capped at what was instructed where the rule says so, and
    never below zero: over the whole event, or in each half-hour under Floor.HALF_HOUR. Streams that do not
    take part are measured and paid nothing. `covered_seconds` are the event's of each half-hour, none when it
    covers all of them whole.
    """
    half_hours = baseline_wh.shape[1]
    asked_wh = instructed_wh(instructed_half_hour_wh, half_hours, covered_seconds)
    measured = has_baseline & has_reading
    half_hour_wh = np.where(measured, SIGN[direction] * (baseline_wh - metered_wh), 0)
    if covered_seconds:
        is_part = np.array(covered_seconds) < A_HALF_HOUR
        half_hour_wh = np.where(is_part, np.clip(half_hour_wh, -asked_wh, asked_wh), half_hour_wh)
    counted = half_hour_wh
    if rule.cap is Cap.INSTRUCTED:
        counted = np.minimum(counted, asked_wh)
    if rule.floor is Floor.HALF_HOUR:
        counted = np.maximum(counted, 0)
    paid_wh = np.where(takes_part, np.maximum(counted.sum(axis=1), 0), 0)
    return Delivery(
        half_hour_wh=half_hour_wh,
        measured=measured,
        delivered_wh=half_hour_wh.sum(axis=1),
        paid_wh=paid_wh,
    )


def outcome_codes(
    *, standing: NDArray[np.uint8], delivered_wh: Wh, instructed_wh: Wh, has_meter: Mask, from_pct: int
) -> NDArray[np.uint8]:
    """`outcome_of` of a column of homes, as places in OUTCOMES; `standing` are places in STANDINGS."""
    by_meter = np.where(
        ~has_meter,
        OUTCOMES.index("not_measured"),
        np.where(
            100 * delivered_wh >= from_pct * instructed_wh,
            OUTCOMES.index("delivered"),
            OUTCOMES.index("partial"),
        ),
    )
    told = np.array([OUTCOMES.index(OUTCOME_OF.get(each, OUTCOMES[0])) for each in STANDINGS], np.uint8)
    decided = np.array([each in OUTCOME_OF for each in STANDINGS], np.bool_)
    return np.where(decided[standing], told[standing], by_meter).astype(np.uint8)


def outcome_of(
    *, standing: str, delivered_wh: int, instructed_wh: int, has_meter: bool, from_pct: int
) -> str:
    """How a part of an event ended: by how the home stood, and for one that took part by its meter.

    For a half-hour or the event alike; `has_meter` False is not measured; delivered from `from_pct` percent
    of what was instructed, partial below.
    """
    if standing in OUTCOME_OF:
        return OUTCOME_OF[standing]
    if not has_meter:
        return "not_measured"
    return "delivered" if 100 * delivered_wh >= from_pct * instructed_wh else "partial"
