"""Baselines: what each meter would have shown without the event, by rules that are data. numpy only."""

from __future__ import annotations

from settlement.baselines.adjusting import half_even
from settlement.baselines.arrays import NOTHING_GIVEN, Cube, EventDays, Given, Mask, Wh, readings_at
from settlement.baselines.clock import ONE_DAY
from settlement.baselines.computing import Baseline, DayPart, baseline
from settlement.baselines.days import candidate_days, days_needed, like_days, window_half_hours
from settlement.baselines.errors import BaselineError, DayNotLoaded, InputMissing, RuleInvalid, UnknownRule

__all__ = [
    "NOTHING_GIVEN",
    "ONE_DAY",
    "Baseline",
    "BaselineError",
    "Cube",
    "DayNotLoaded",
    "DayPart",
    "EventDays",
    "Given",
    "InputMissing",
    "Mask",
    "RuleInvalid",
    "UnknownRule",
    "Wh",
    "baseline",
    "candidate_days",
    "days_needed",
    "half_even",
    "like_days",
    "readings_at",
    "window_half_hours",
]
