"""Control groups: a randomised hold-out that turns in rotation, and what the event did by comparing with it.

The hold-out is drawn from a recorded seed, so that anybody can draw it again; it is not asked to do anything
and is paid what a home of the portfolio earns on average. The effect is the difference in differences, its
interval a bootstrap over homes. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from settlement.baselines.arrays import Mask, Wh
from settlement.baselines.errors import BaselineError
from settlement.baselines.rules import BaselineRule

RESAMPLES: Final = 2000
INTERVAL: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The estimator as a placebo study lays it beside the rules: who is held out, and what came before.

    `share_pct` of the homes are held out in turn; each home's level is its mean over the `days` newest days
    that are like the event's by the rule `like`, its own event days left out.
    """

    like: BaselineRule
    share_pct: int = 20
    days: int = 10
    name: str = "control_group"

    @property
    def title(self) -> str:
        """In words."""
        return (
            f"Control group: {self.share_pct} % of homes held out in turn, difference in differences over"
            f" {self.days} like days"
        )

    def as_data(self) -> dict[str, object]:
        """Plain JSON; `from_data` reads it back unchanged."""
        return {
            "name": self.name,
            "share_pct": self.share_pct,
            "days": self.days,
            "like": self.like.as_data(),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ControlGroup:
        """What `as_data` wrote."""
        return cls(BaselineRule.from_data(data["like"]), int(data["share_pct"]), int(data["days"]))


class NoComparison(BaselineError):
    """A group has no home with readings both before and in the event: `group`."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What the event did to a home's mean Wh a half-hour (negative: used less), with a 95 % interval.

    `treated` and `control` are the homes compared; `seed` gives the same interval again.
    """

    effect_wh: float
    low_wh: float
    high_wh: float
    treated: int
    control: int
    seed: int

    def delivered_wh(self, *, half_hours: int, is_turn_up: bool = False) -> float:
        """What all treated homes together delivered in the event's half-hours; positive as it was asked."""
        total = self.effect_wh * self.treated * half_hours
        return total if is_turn_up else -total


def hold_out(participants: Sequence[str], *, share_pct: int, seed: str, turn: int) -> frozenset[str]:
    """The homes held out in this turn (0, 1, 2 ...): one in round(100 / share_pct), at least one of two.

    Every cycle of so many turns is a new random order, and within it each home is held out exactly once.
    Depends on the set of participants, the seed and the turn alone, not on their order.
    """
    if not 1 <= share_pct <= 50:
        raise ValueError(f"hold out 1 to 50 percent, not {share_pct}")
    homes = sorted(set(participants))
    if len(homes) < 2:
        return frozenset()
    turns = max(2, min(len(homes), round(100 / share_pct)))
    cycle, place = divmod(turn, turns)
    order = sorted(homes, key=lambda home: hashlib.sha256(f"{seed}|{cycle}|{home}".encode()).digest())
    return frozenset(order[place * len(order) // turns : (place + 1) * len(order) // turns])


def difference_in_differences(
    *,
    event_wh: Wh,
    event_present: Mask,
    before_wh: Wh,
    before_present: Mask,
    is_held_out: Mask,
    seed: int,
) -> Effect:
    """(treated - control) in the event less the same difference in the half-hours before it.

    `event_wh` is [home, half-hour], `before_wh` [home, day, half-hour] of event-free days at the same time of
    the clock. Homes without a reading on either side are left out. Raises NoComparison.
    """
    has_both = event_present.any(axis=1) & before_present.any(axis=(1, 2))
    change = _mean(event_wh, event_present) - _mean(
        before_wh.reshape(len(before_wh), -1), before_present.reshape(len(before_wh), -1)
    )
    treated, control = change[has_both & ~is_held_out], change[has_both & is_held_out]
    for name, group in (("treated", treated), ("control", control)):
        if not len(group):
            raise NoComparison(group=name)
    random = np.random.default_rng(seed)
    drawn = _resampled_means(treated, random) - _resampled_means(control, random)
    low, high = np.percentile(drawn, INTERVAL)
    effect = float(treated.mean() - control.mean())
    return Effect(effect, float(low), float(high), len(treated), len(control), seed)


def control_baseline(
    *, event_wh: Wh, event_present: Mask, before_wh: Wh, before_present: Mask, is_held_out: Mask
) -> tuple[Wh, Mask]:
    """What each treated home would have used: its level before, moved as the held-out homes moved.

    Arrays as for `difference_in_differences`; whole Wh and mask [home, half-hour], none for held-out homes
    and none where no held-out home has a reading on both sides. The effect is metered less this.
    """
    count = before_present.sum(axis=1)
    level = (before_wh * before_present).sum(axis=1) / np.maximum(count, 1)
    told = event_present & (count > 0) & is_held_out[:, None]
    told_by = told.sum(axis=0)
    moved = np.where(told, event_wh - level, 0).sum(axis=0) / np.maximum(told_by, 1)
    present = (count > 0) & ~is_held_out[:, None] & (told_by > 0)
    return np.where(present, np.rint(level + moved), 0).astype(np.int64), present


def hold_out_paid_wh(paid_wh: Wh, takes_part: Mask) -> Fraction:
    """What each held-out home is paid for: the mean of the homes that took part, exactly."""
    homes = int(takes_part.sum())
    return Fraction(int(paid_wh[takes_part].sum()), homes) if homes else Fraction(0)


def _mean(wh: Wh, present: Mask) -> NDArray[np.float64]:
    return np.asarray((wh * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1), np.float64)


def _resampled_means(values: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Means of RESAMPLES samples drawn with replacement, a few at a time to spare memory."""
    means = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // len(values))
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        means[start : start + count] = values[random.integers(0, len(values), (count, len(values)))].mean(
            axis=1
        )
    return means
