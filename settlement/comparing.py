"""Comparing: what a campaign did, by the homes asked against those held out at random. Pure.

Every home that was asked counts, whatever it answered, so that the groups differ by the draw alone. What they
used before is read from the days that LIKE looks at, whatever rule the campaign is paid by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from settlement import baselines
from settlement.baselines import Mask
from settlement.baselines.clock import local_half_hour
from settlement.baselines.control_group import Effect, NoComparison, difference_in_differences
from settlement.baselines.presets import PRESETS
from settlement.baselines.rules import BaselineRule
from settlement.households import HELD_OUT

if TYPE_CHECKING:
    from settlement.reckoning import Input

LIKE: Final[BaselineRule] = PRESETS["dfs_2023_domestic"]
GROUP_WORDS: Final = {
    "treated": "no home that was asked has readings both of the event and of like days before it",
    "control": "no home that was held out has readings both of the event and of like days before it",
}


@dataclass(frozen=True, slots=True)
class HoldOut:
    """`held_out` homes beside `homes` that share the money; the effect, or the reason why there is none."""

    homes: int
    held_out: int
    effect: Effect | None
    reason: str = ""

    @property
    def weighs_times(self) -> int:
        """What the weights of the split are multiplied by, see `sharing.with_held_out`."""
        return max(self.homes, 1)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON; `hold_out_from` reads it back unchanged."""
        return {
            "homes": self.homes,
            "held_out": self.held_out,
            "effect": asdict(self.effect) if self.effect else None,
            "reason": self.reason,
        }


def hold_out_from(data: Mapping[str, Any]) -> HoldOut | None:
    """What `as_data` wrote; None for a run that held nobody out."""
    if not data:
        return None
    effect = Effect(**data["effect"]) if data["effect"] else None
    return HoldOut(data["homes"], data["held_out"], effect, data["reason"])


def compare_with_held_out(given: Input, *, shares_in: Mask) -> HoldOut | None:
    """The difference in differences of the campaign, None when nobody was held out.

    A held-out home that took part in another event that day is not compared with. `shares_in` are the homes
    that share the money without the held-out ones. The cube holds `days_needed(LIKE, ...)`; the campaign's id
    is the seed of the interval.
    """
    homes = given.households
    is_held_out = homes.stands(HELD_OUT)
    if not is_held_out.any():
        return None
    wh, has = baselines.readings_at(given.cube, given.event)
    days = list(dict.fromkeys(local_half_hour(start)[0] for start in given.event))
    has &= ~(is_held_out & homes.event_days.on(days).any(axis=0))[:, None]
    like = baselines.baseline(LIKE, given.cube, given.event, homes.event_days)
    before = [part.history(slice(None)) for part in like.parts]
    candidates = [part.candidate for part in like.parts]
    effect, reason = None, ""
    try:
        effect = difference_in_differences(
            event_wh=wh,
            event_present=has,
            before_wh=_side_by_side([each for each, _ in before]),
            before_present=_side_by_side(
                [
                    mask & candidate[:, :, None]
                    for (_, mask), candidate in zip(before, candidates, strict=True)
                ]
            ),
            is_held_out=is_held_out,
            seed=int.from_bytes(given.campaign_id.bytes[-6:]),
        )
    except NoComparison as error:
        reason = GROUP_WORDS[str(error.data["group"])]
    return HoldOut(int(shares_in.sum()), int(is_held_out.sum()), effect, reason)


def _side_by_side(parts: list[Any]) -> Any:
    """[home, 1, half-hours of all like days]: only means over them are taken."""
    return np.concatenate([part.reshape(len(part), 1, -1) for part in parts], axis=2)
