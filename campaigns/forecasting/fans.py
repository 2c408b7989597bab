"""Sums of assets that are there or not as a fan of 10, 50 and 90 in 100, and how good past fans were.

Pure. Powers are W, chances 0 to 1. A fan is [..., 3, half-hour] in whole W, lowest quantile first.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

QUANTILES: Final = (0.1, 0.5, 0.9)
DEVIATIONS: Final = np.array([NormalDist().inv_cdf(each) for each in QUANTILES])
FEW: Final = 24
"""Up to so many assets the sum is worked out exactly (on a grid); of more, from its first three moments."""
GRID: Final = 512
UNKNOWN: Final = -1
LEAST_PAST: Final = 96
"""Half-hours of which it has to be known what was there before anything is learnt from them."""
LEAST_WORTH: Final = 3.0
"""Misses count as so many independent ones at least: of fewer, how far they spread cannot be told."""
LEAST_WIDTH: Final = 0.02
"""A fan counts as this share of all power wide at least, when misses are measured against its width."""


@dataclass(frozen=True, slots=True)
class Misses:
    """How far fans lie off, in widths of the fan: below the 10, about the 50, above the 90 in 100."""

    low: float = 0.0
    middle: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """Past fans against what was there over `half_hours` of which that is known; None where there are none.

    `pinball_w` is the mean pinball (quantile) loss of the three quantiles in W, less is better;
    `persistence_pinball_w` that of taking the same half-hour of the latest known day. `coverage` is the
    share between the 10 and the 90 in 100: 0.8 when the fan is honest.
    """

    half_hours: int
    pinball_w: float | None
    persistence_pinball_w: float | None
    coverage: float | None

    @property
    def skill(self) -> float | None:
        """1 is perfect, 0 no better than yesterday, below 0 worse."""
        if self.pinball_w is None or not self.persistence_pinball_w:
            return None
        return 1 - self.pinball_w / self.persistence_pinball_w


def fans_of(power_w: Floats, chance: Floats, is_in: Bools) -> Ints:
    """The fan of each group's sum: [group, 3, half-hour].

    `power_w` and `chance` are [asset, half-hour], `is_in` [group, asset]. Assets are taken as independent.
    Never below 0 nor above the power of those with a chance; quantiles never cross.
    """
    count, slots = is_in.shape[0], power_w.shape[1]
    able_w = np.where(chance > 0, power_w, 0.0)
    mean_w = able_w * chance
    spread = mean_w * able_w * (1 - chance)
    member = is_in.astype(np.float64)
    total_w, mean = member @ able_w, member @ mean_w
    variance = member @ spread
    third = member @ (spread * able_w * (1 - 2 * chance))
    sigma = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = np.clip(np.where(sigma > 0, third / sigma**3, 0), -2, 2)
    z = DEVIATIONS[None, :, None]
    # Cornish and Fisher's expansion to the third moment.
    found = mean[:, None] + sigma[:, None] * (z + (z**2 - 1) * skew[:, None] / 6)
    is_used = able_w.any(axis=1)
    for group in range(count):
        own = np.flatnonzero(is_in[group] & is_used)
        if 0 < len(own) <= FEW:
            found[group] = _exact(able_w[own], chance[own])
    return _in_order(found, total_w) if count else np.zeros((0, len(QUANTILES), slots), np.int64)


def misses_of(past_w: Ints, was_w: Ints, total_w: int, day: Ints) -> Misses:
    """What is learnt from past fans [3, half-hour] and what was there (UNKNOWN left out).

    The fans are the sums that nothing was learnt into: of fans that were moved, only what is still to be
    moved could be learnt. `day` [half-hour] counts the days. As conformal prediction does (Romano, Patterson
    and Candès 2019), each side of its own: moved by these, the fan would have held 10, 50 and 90 in 100 of
    the past, and a little more on both sides, as the past is short (`_to_come`).
    """
    known = was_w != UNKNOWN
    if known.sum() < LEAST_PAST:
        return Misses()
    past, was, days = past_w[:, known], was_w[known], day[known]
    width = np.maximum(past[2] - past[0], max(1.0, LEAST_WIDTH * total_w))
    return Misses(
        low=_to_come((past[0] - was) / width, days),
        middle=float(np.median((was - past[1]) / width)),
        high=_to_come((was - past[2]) / width, days),
    )


def worth(missed: Floats, day: Ints) -> float:
    """How many independent misses these [half-hour] are worth, in telling what comes; LEAST_WORTH at least.

    Half-hours of a day miss alike, by Kish's design effect (1965); days that follow each other do so too, as
    an autoregression of the first order.
    """
    of_day = np.unique(day, return_inverse=True)[1]
    size = np.bincount(of_day)
    days, count = len(size), len(missed)
    if days < 2 or count == days:
        return LEAST_WORTH if days < 2 else float(max(LEAST_WORTH, days))
    mean = np.bincount(of_day, missed) / size
    within = float(((missed - mean[of_day]) ** 2).sum() / (count - days))
    of_means = float((size * (mean - missed.mean()) ** 2).sum() / (days - 1))
    between = max(0.0, of_means - within) * days / count
    if between + within == 0:
        return float(max(LEAST_WORTH, count))
    share = between / (between + within)
    off = mean - mean.mean()
    alike = max(0.0, float(off[1:] @ off[:-1] / (off @ off))) if share else 0.0
    worth_days = max(LEAST_WORTH, days * (1 - alike) / (1 + alike))
    return max(LEAST_WORTH, 1 / (share / worth_days + (1 - share) / count))


def moved(fan_w: Ints, misses: Misses, total_w: Ints) -> Ints:
    """The fan [3, half-hour] moved by what was learnt, within 0 and `total_w` [half-hour], in order."""
    width = np.maximum(fan_w[2] - fan_w[0], LEAST_WIDTH * total_w)
    by = np.array([-misses.low, misses.middle, misses.high])
    return _in_order((fan_w + by[:, None] * width)[None], total_w[None])[0]


def pinball_w(forecast_w: Ints, was_w: Ints) -> Floats:
    """Mean pinball loss over the quantiles in each half-hour: forecast [3, half-hour], was [half-hour]."""
    over = was_w[None] - forecast_w
    levels = np.array(QUANTILES)[:, None]
    return np.asarray(np.maximum(levels * over, (levels - 1) * over).mean(axis=0))


def score(fan_w: Ints, was_w: Ints, before_w: Ints) -> Score:
    """Fans [3, n] against what was there [n] and persistence [n]; where either is UNKNOWN it is left out."""
    known = (was_w != UNKNOWN) & (before_w != UNKNOWN)
    if not known.any():
        return Score(0, None, None, None)
    fan, was = fan_w[:, known], was_w[known]
    before = np.broadcast_to(before_w[known], fan.shape)
    return Score(
        half_hours=int(known.sum()),
        pinball_w=float(pinball_w(fan, was).mean()),
        persistence_pinball_w=float(pinball_w(before, was).mean()),
        coverage=float(((fan[0] <= was) & (was <= fan[2])).mean()),
    )


def _in_order(found: Floats, total_w: Floats | Ints) -> Ints:
    """Quantiles [group, 3, half-hour] put in order and within [0, total_w], whole W rounded down."""
    # Sorting crossed quantiles never makes them worse (Chernozhukov, Fernandez-Val and Galichon 2010).
    within = np.clip(np.sort(found, axis=1), 0, total_w[:, None])
    return np.floor(within + 1e-6).astype(np.int64)


def _to_come(missed: Floats, day: Ints) -> float:
    """Under which 90 in 100 of the misses to come stay.

    The quantile of the past, taken over the ranks of one independent miss as those come together, and further
    from the middle by the ratio of Student's predictive quantile to the normal one: the misses tell middle
    and spread of those to come only as well as so few can.
    """
    known = worth(missed, day)
    ranks = len(missed) * np.clip(QUANTILES[2] + np.array([-0.5, 0.5]) / known, 0, 1)
    begin, end = int(np.floor(ranks[0])), int(np.ceil(ranks[1]))
    middle, most = float(np.median(missed)), float(np.sort(missed)[begin:end].mean())
    further = _student(known - 1) * np.sqrt(1 + 1 / known) / DEVIATIONS[2]
    return float(middle + (most - middle) * further)


def _student(freedom: float) -> float:
    """The 90 in 100 quantile of Student's t with 2 degrees of freedom or more, to 0.3 in 100.

    Abramowitz and Stegun 26.7.5.
    """
    z = float(DEVIATIONS[2])
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _exact(power_w: Floats, chance: Floats) -> Floats:
    """Quantiles of the sum of a few assets [asset, half-hour]: every sum's chance on a grid of powers."""
    assets, slots = power_w.shape
    step_w = np.maximum(power_w.sum(axis=0), 1.0) / GRID
    shift = np.rint(power_w / step_w).astype(np.int64)
    places = np.arange(GRID + assets + 1)
    held = np.zeros((slots, len(places)))
    held[:, 0] = 1
    for asset in range(assets):
        source = places - shift[asset][:, None]
        with_it = np.where(source >= 0, np.take_along_axis(held, np.maximum(source, 0), axis=1), 0)
        held += chance[asset][:, None] * (with_it - held)
    reached = held.cumsum(axis=1)
    found = np.stack([(reached >= each - 1e-9).argmax(axis=1) for each in QUANTILES])
    return np.asarray(found * step_w)
