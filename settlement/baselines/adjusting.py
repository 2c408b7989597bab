"""The same-day adjustment: how use before (or after) the event moves the baseline, within the rule's bounds.

`over / scale` are unadjusted Wh [half-hour, stream]; everything stays a fraction until the one rounding at
the end, to whole Wh, half to even.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from settlement.baselines.arrays import Mask, Wh
from settlement.baselines.estimating import SAFE, Exact, largest
from settlement.baselines.rules import Adjustment, BaselineRule


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Whole Wh [half-hour, stream]; the adjustment as a fraction a stream, and whether a bound was met."""

    wh: Wh
    over: Exact
    under: Exact
    is_bounded: Mask


def adjust(
    rule: BaselineRule, over: Exact, window_over: Exact, scale: int, metered_wh: Wh, counted: Mask
) -> Adjusted:
    """The adjusted baseline; a stream without a counted window half-hour is not adjusted."""
    streams = over.shape[1]
    nothing = np.zeros(streams, np.bool_)
    if rule.adjustment is Adjustment.NONE:
        zero = np.zeros(streams, np.int64)
        return Adjusted(half_even(over, scale), zero, np.ones(streams, np.int64), nothing)
    peak = _peak(over, window_over, metered_wh, scale)
    if peak >= SAFE:
        over, window_over, metered_wh = (each.astype(object) for each in (over, window_over, metered_wh))
    used_over = (window_over * counted).sum(axis=0)
    used_wh = (metered_wh * counted).sum(axis=0)
    count = np.maximum(counted.sum(axis=0), 1)
    if rule.adjustment is Adjustment.RATIO:
        return _ratio(rule, over, scale, used_over, used_wh)
    return _additive(rule, over, scale, used_over, used_wh, count)


def half_even(numerator: Exact, denominator: Exact | int) -> Wh:
    """Integer division rounded half to even; the denominator is positive."""
    whole = numerator // denominator
    twice = 2 * (numerator - whole * denominator)
    up = (twice > denominator) | ((twice == denominator) & (whole % 2 == 1))
    return np.asarray(whole + up, np.int64)


def _additive(
    rule: BaselineRule, over: Exact, scale: int, used_over: Exact, used_wh: Exact, count: Wh
) -> Adjusted:
    """Mean of metered less unadjusted; bounds are percent of the size of the window's unadjusted use."""
    shift, under = used_wh * scale - used_over, scale * count
    is_bounded = np.zeros(len(shift), np.bool_)
    if rule.cap_pct is not None or rule.floor_pct is not None:
        size, shift, under = np.abs(used_over), shift * 100, under * 100
        bounded = shift
        if rule.cap_pct is not None:
            bounded = np.minimum(bounded, (rule.cap_pct - 100) * size)
        if rule.floor_pct is not None:
            bounded = np.maximum(bounded, (rule.floor_pct - 100) * size)
        is_bounded, shift = np.asarray(bounded != shift, np.bool_), bounded
    if rule.adjustment is Adjustment.ADDITIVE_UP_ONLY:
        shift = np.maximum(shift, 0)
    wh = half_even(over * (under // scale) + shift, under)
    return Adjusted(wh, shift, under, is_bounded)


def _ratio(rule: BaselineRule, over: Exact, scale: int, used_over: Exact, used_wh: Exact) -> Adjusted:
    """Metered over unadjusted use of the window, within the bounds and never below zero.

    A window whose unadjusted use is not positive (an exporter's, or nothing counted) leaves the baseline as
    it is.
    """
    is_meant = np.asarray(used_over > 0, np.bool_)
    top = np.where(is_meant, np.maximum(used_wh * scale, 0), 1)
    bottom = np.where(is_meant, used_over, 1)
    # A factor top / bottom of over / scale; the common scale cancels for those within the bounds.
    upper, lower = np.where(is_meant, np.maximum(used_wh, 0), 1), np.where(is_meant, used_over, scale)
    is_bounded = is_meant & np.asarray(used_wh < 0, np.bool_)
    for pct, sign in ((rule.cap_pct, 1), (rule.floor_pct, -1)):
        if pct is None:
            continue
        past = is_meant & np.asarray(sign * (top * 100 - bottom * pct) > 0, np.bool_)
        upper, lower = np.where(past, pct, upper), np.where(past, 100 * scale, lower)
        top, bottom = np.where(past, pct, top), np.where(past, 100, bottom)
        is_bounded |= past
    return Adjusted(half_even(over * upper, lower), top, bottom, is_bounded)


def _peak(over: Exact, window_over: Exact, metered_wh: Wh, scale: int) -> int:
    """More than any whole number that comes up on the way."""
    levels, metered = largest(over), largest(metered_wh)
    level = max(levels, largest(window_over), metered * scale, scale)
    half_hours = max(len(window_over), 1)
    return max(level * half_hours * 4000, levels * (metered * half_hours + 1000) * 4)
