"""The arithmetic of the monthly figures. Pure: whole Wh, grams and seconds in, plain values out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple, TypeVar

import numpy as np

from settlement.savings import Saving, carbon_saved_g

LEAST_HOMES: Final = 15
"""No group of fewer homes is told, nor can one be had by taking the others from the sum."""
HUB_W: Final = 10
CONTROLLER_W: Final[Mapping[str, int]] = {"ev_charger": 20, "ev_charger_3ph": 20, "storage_heater": 5}
"""What the co-op's own devices draw all day: each hub, and the controller of an asset of the kind."""
SECONDS_AN_HOUR: Final = 3600

Span = tuple[datetime, datetime]
Home = TypeVar("Home", bound=Hashable)
Group = TypeVar("Group", bound=Hashable)


class Counts(NamedTuple):
    """What is counted of homes that are alike."""

    homes: int = 0
    asked: int = 0
    asks: int = 0
    earned_mp: int = 0


@dataclass(frozen=True, slots=True)
class Shifted:
    """Energy and carbon of some half-hours: what was not used then, below zero where more was."""

    wh: int
    carbon: Saving


def shifted(
    rows: Iterable[tuple[datetime, int, int]], intensity: Mapping[datetime, Decimal | int | None]
) -> Shifted:
    """Rows (start, baseline Wh, metered Wh) against g CO2/kWh by half-hour; unknown carbon is left out."""
    told = list(rows)
    baseline, metered = [row[1] for row in told], [row[2] for row in told]
    return Shifted(
        sum(baseline) - sum(metered),
        carbon_saved_g(baseline, metered, [intensity.get(row[0]) for row in told]),
    )


def own_use_wh(hub_seconds: float, controller_seconds: Mapping[str, float]) -> int:
    """What hubs and controllers drew themselves, from the seconds that they were in service together."""
    drawn = HUB_W * hub_seconds
    drawn += sum(CONTROLLER_W[kind] * seconds for kind, seconds in controller_seconds.items())
    return round(drawn / SECONDS_AN_HOUR)


def grams(wh: int, intensities: Sequence[int], *, scale: int) -> int | None:
    """Carbon of an even use at the mean of the intensities known, in `scale`ths of g/kWh; None of none."""
    if not intensities:
        return None
    return round(Fraction(wh * sum(intensities), len(intensities) * scale * 1000))


def overlap_seconds(spans: Iterable[Span], within: Sequence[Span]) -> float:
    """How long the spans, each for itself, lie within stretches that do not overlap each other."""
    inside = sorted((start.timestamp(), end.timestamp()) for start, end in within if start < end)
    if not inside:
        return 0.0
    edges = np.array(inside).ravel()
    lengths = np.diff(np.array(inside), axis=1).ravel()
    before = np.repeat(np.concatenate(([0.0], np.cumsum(lengths))), 2)[1:-1]
    points = np.array([(start.timestamp(), end.timestamp()) for start, end in spans if start < end])
    if not len(points):
        return 0.0
    reached = np.interp(points, edges, before)
    return float((reached[:, 1] - reached[:, 0]).sum())


def share(part: float, whole: float) -> float | None:
    """part / whole, None of nothing."""
    return part / whole if whole else None


def told_groups(counts: Mapping[Group, Counts]) -> dict[Group, Counts | None]:
    """The groups that may be told; None for those that are too small.

    While all the hidden together are fewer than LEAST_HOMES homes, the smallest of the others is hidden too:
    whoever knows the sum could take the others from it. Empty groups have nothing to hide.
    """
    told: dict[Group, Counts | None] = {
        group: None if 0 < each.homes < LEAST_HOMES else each for group, each in counts.items()
    }
    while 0 < sum(counts[group].homes for group, each in told.items() if each is None) < LEAST_HOMES:
        shown = [group for group, each in told.items() if each is not None and each.homes]
        if not shown:
            break
        told[min(shown, key=lambda group: (counts[group].homes, str(group)))] = None
    return told


def counted(
    sorts: Mapping[Home, Group], asks: Mapping[Home, int], earned_mp: Mapping[Home, int]
) -> dict[Group, Counts]:
    """Homes by what they are, how many were asked how often, and what they earned."""
    found: dict[Group, Counts] = {}
    for home, group in sorts.items():
        before = found.get(group, Counts())
        asked = asks.get(home, 0)
        found[group] = Counts(
            before.homes + 1,
            before.asked + bool(asked),
            before.asks + asked,
            before.earned_mp + earned_mp.get(home, 0),
        )
    return found
