"""What each asset drew where it has no meter of its own: from the home's CAD, what was commanded, and edges.

Pure numpy. The home's power is one signal; an asset that was switched shows as a step in it. The estimate of
each asset lies between 0 and its rated power, the assets together never above the home's import, and every
half-hour says how much of it was seen (`confidence` 0..1) rather than assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Watts = NDArray[np.int64]
Bools = NDArray[np.bool_]

EDGE_SHARE: Final = 0.5  # a step of half an asset's size or more is taken for its edge
EDGE_MATCH: Final = 0.25  # within a quarter of its size it is a good one
REACH: Final = 3  # samples around a command in which its edge is looked for
SEEN: Final = 0.9
WEAK: Final = 0.6
ASSUMED: Final = 0.3
BLIND: Final = 0.1


@dataclass(frozen=True, slots=True)
class AssetState:
    """One asset: its rated W and the W commanded at each sample (0 is off), as the hub reported."""

    rated_w: int
    commanded_w: Watts


@dataclass(frozen=True, slots=True)
class Estimate:
    """W [asset, sample] and the confidence [asset, sample] that it is so, 0 to 1."""

    power_w: Watts
    confidence: NDArray[np.float64]


def estimate_assets(home_w: Watts, has_reading: Bools, assets: Sequence[AssetState]) -> Estimate:
    """Each asset's power at each CAD sample.

    A command starts from its commanded power; when the home's power steps by about as much near the command,
    the size of the step is believed instead. What the assets would draw together is scaled down to the home's
    import where it exceeds it. Without a CAD sample only the command is known.
    """
    samples = len(home_w)
    power = np.zeros((len(assets), samples), np.int64)
    confidence = np.zeros((len(assets), samples))
    steps = np.zeros(samples, np.int64)
    both = has_reading[1:] & has_reading[:-1]
    steps[1:] = np.where(both, np.diff(home_w), 0)
    taken = np.zeros(samples, np.bool_)
    for row, asset in enumerate(assets):
        _estimate_one(asset, steps, has_reading, taken, power[row], confidence[row])
    _fit_to_home(home_w, has_reading, power, confidence)
    return Estimate(power_w=power, confidence=confidence)


def half_hour_kw(
    estimate: Estimate, samples_a_half_hour: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean kW and mean confidence [asset, half-hour]; a rest that makes no half-hour is left out."""
    assets, samples = estimate.power_w.shape
    count = samples // samples_a_half_hour
    shape = (assets, count, samples_a_half_hour)
    cut = count * samples_a_half_hour
    power = estimate.power_w[:, :cut].reshape(shape).mean(axis=2) / 1000
    return power, estimate.confidence[:, :cut].reshape(shape).mean(axis=2)


def _estimate_one(
    asset: AssetState,
    steps: Watts,
    has_reading: Bools,
    taken: Bools,
    power: Watts,
    confidence: NDArray[np.float64],
) -> None:
    commanded = np.clip(asset.commanded_w, 0, asset.rated_w)
    changes = np.flatnonzero(np.diff(commanded)) + 1
    bounds = [0, *changes.tolist(), len(commanded)]
    is_seen = False
    level = 0
    for start, end in pairwise(bounds):
        wanted = int(commanded[start]) if end > start else 0
        before = int(commanded[start - 1]) if start else wanted
        level, sure = wanted, ASSUMED if wanted else WEAK
        if start:
            edge = _edge(steps, taken, start, wanted - before)
            if edge is not None:
                size = abs(int(steps[edge]))
                is_close = abs(size - abs(wanted - before)) <= EDGE_MATCH * abs(wanted - before)
                sure = SEEN if is_close else WEAK
                if wanted > before:
                    level = min(before + size, asset.rated_w)
                is_seen = True
            elif not is_seen:
                sure = ASSUMED
        power[start:end] = level
        confidence[start:end] = np.where(has_reading[start:end], sure, BLIND)


def _edge(steps: Watts, taken: Bools, at: int, change: int) -> int | None:
    """The sample near `at` whose step looks most like the change; None when none does. Each is used once."""
    low, high = max(at - REACH, 0), min(at + REACH + 1, len(steps))
    near = [
        sample
        for sample in range(low, high)
        if not taken[sample] and steps[sample] * np.sign(change) >= EDGE_SHARE * abs(change)
    ]
    if not near:
        return None
    best = min(near, key=lambda sample: (abs(int(steps[sample]) - change), abs(sample - at)))
    taken[best] = True
    return best


def _fit_to_home(home_w: Watts, has_reading: Bools, power: Watts, confidence: NDArray[np.float64]) -> None:
    """Never more than the home draws: scaled down in proportion, and less sure where it had to be."""
    if not len(power):
        return
    limit = np.maximum(home_w, 0)
    total = power.sum(axis=0)
    over = has_reading & (total > limit)
    scaled = power[:, over] * limit[over] // np.maximum(total[over], 1)
    power[:, over] = scaled
    confidence[:, over] = np.minimum(confidence[:, over], WEAK)
