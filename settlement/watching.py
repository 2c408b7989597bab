"""Watching: homes whose use in the adjustment window was unlike their own, in the run that stands.

A reason to look, not a proof (`baselines/gaming.py`); worked out from the run's archive, whatever became of
the readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import numpy as np

from campaigns.models import Direction
from settlement import baselines
from settlement.baselines import gaming
from settlement.models import SettlementRun
from settlement.reckoning import measure_homes
from settlement.replaying import archived_input


@dataclass(frozen=True, slots=True)
class UnusualWindow:
    """One home: z, mean Wh a half-hour in the window and usually, and its baseline of the event with the
    adjustment and without.
    """

    occupancy_id: UUID
    z: float
    window_wh: float
    usual_wh: float
    baseline_wh: int
    unadjusted_wh: int


@dataclass(frozen=True, slots=True)
class Watch:
    """`known` homes have days enough to be judged; `flagged` are past the threshold, the highest z first."""

    homes: int
    known: int
    flagged: tuple[UnusualWindow, ...]


def watch_windows(run: SettlementRun) -> Watch | None:
    """The homes that took part in the run, judged by its rule's window; None for a rule without one."""
    given = archived_input(run)
    rule = given.agreement.baseline_rule
    if not (rule.window_half_hours and rule.uses_days):
        return None
    found = measure_homes(given).baseline
    scores = gaming.judge(found, is_turn_up=given.direction == Direction.TURN_UP)
    plain = baselines.baseline(gaming.unadjusted(rule), given.cube, given.event, given.households.event_days)
    takes_part = given.households.takes_part
    rows = np.flatnonzero(scores.flagged() & takes_part)
    flagged = [
        UnusualWindow(
            occupancy_id=given.households[row].occupancy_id,
            z=float(scores.z[row]),
            window_wh=float(scores.window_wh[row]),
            usual_wh=float(scores.usual_wh[row]),
            baseline_wh=int(found.wh[row].sum()),
            unadjusted_wh=int(plain.wh[row].sum()),
        )
        for row in rows.tolist()
    ]
    flagged.sort(key=lambda each: (-each.z, each.occupancy_id))
    return Watch(int(takes_part.sum()), int((scores.known & takes_part).sum()), tuple(flagged))
