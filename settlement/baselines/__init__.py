"""Baselines: what each meter would have shown without the event, by rules that are data. numpy only."""

from __future__ import annotations

from settlement.baselines.computing import (
    ONE_DAY,
    Baseline,
    Cube,
    DayNotLoaded,
    DayPart,
    Mask,
    Wh,
    baseline,
    candidate_days,
    days_needed,
    half_even,
    like_days,
    readings_at,
    window_half_hours,
)

__all__ = [
    "ONE_DAY",
    "Baseline",
    "Cube",
    "DayNotLoaded",
    "DayPart",
    "Mask",
    "Wh",
    "baseline",
    "candidate_days",
    "days_needed",
    "half_even",
    "like_days",
    "readings_at",
    "window_half_hours",
]
