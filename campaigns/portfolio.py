"""Whom to ask so that an asked profile is met with a stated chance at least cost, and why each is in or out.

Pure. An asset gives its power or, with its own chance of a no or of silence, nothing; it holds for so many
half-hours and takes part of it back afterwards. Of those chosen, the mean less `k` standard deviations must
reach the profile in every half-hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from statistics import NormalDist
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Number = TypeVar("Number", np.int64, np.float64)

NO_FEEDER: Final = -1
NOT_ASKED: Final = -1
REBOUND_HALF_HOURS: Final = 2
"""What was put off is made up for in the hour after."""
MARGIN: Final = 0.8
"""Of the chance of failing that is allowed, what is used: the normal curve is not quite the sum's."""
MOST_ROUNDS: Final = 60
SHARE_A_ROUND: Final = 0.4
PRUNED: Final = 200
FEW: Final = 150
MOST_TRIED: Final = 14
"""Of so many assets every set is looked at; its chance is exact."""
DRAWS: Final = 4_000
SEED: Final = 2_026


class Why(IntEnum):
    """Why an asset is in or out."""

    CHOSEN = 0
    DEARER = 1
    NO_POWER = 2
    SURE_TO_FAIL = 3
    ASKED_ENOUGH = 4
    FEEDER_FULL = 5
    NO_HELP = 6
    PORTFOLIO_FULL = 7


@dataclass(frozen=True, slots=True)
class Candidates:
    """One entry an asset. `chance_out` is of an opt-out or a silent hub; `holds` in half-hours.

    `rebound_pct` of the energy comes back in the hour after. `cost_mp` is what asking it costs, a
    half-hour. `feeder` indexes the feeders' caps, NO_FEEDER for none. `asked_lately` counts campaigns.
    """

    power_w: Ints
    chance_out: Floats
    holds: Ints
    rebound_pct: Ints
    cost_mp: Ints
    feeder: Ints
    asked_lately: Ints


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked: W in each half-hour, and how much at once each feeder may change, and all together where
    `portfolio_cap_w` says so.

    Each campaign that a home was asked for lately makes it `fairness_pct` dearer to ask again; from
    `most_asks` it is left alone.
    """

    asked_w: Ints
    feeder_cap_w: Ints
    chance_wanted: float = 0.95
    fairness_pct: int = 10
    most_asks: int = 12
    portfolio_cap_w: int | None = None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Who is asked, from which half-hour on (NOT_ASKED for the others), and what comes of it.

    `expected_w` is the mean, `sure_w` what is reached with the chance wanted; `shortfall_w` what `sure_w`
    lacks of what is asked. `place` counts those chosen from 1 in the order they were taken.
    """

    candidates: Candidates
    terms: Terms
    is_chosen: Bools
    begins: Ints
    why: Ints
    place: Ints
    expected_w: Floats
    sure_w: Floats
    shortfall_w: Floats
    deviations: float
    cost_mp: int


def choose_portfolio(candidates: Candidates, terms: Terms) -> Portfolio:
    """The assets to ask, best first by what they cost for what they surely give; deterministic.

    Where few are needed and all hold throughout, the cheapest of all sets of those and the next best.
    """
    why = _ruled_out(candidates, terms)
    chance_left = (1 - terms.chance_wanted) * MARGIN / _separate(candidates, terms, why)
    deviations = NormalDist().inv_cdf(1 - chance_left)
    while True:
        portfolio = _chosen(candidates, terms, why.copy(), deviations)
        is_few = portfolio.is_chosen.sum() <= FEW
        if not is_few or portfolio.shortfall_w.any() or _is_delivered(portfolio):
            return _cheapest_set(portfolio)
        deviations += 0.25


def simulated_delivery(portfolio: Portfolio, *, draws: int, seed: int) -> float:
    """The share of draws in which every half-hour reaches what is asked."""
    return float(_simulated(portfolio, draws, seed).mean())


def words(portfolio: Portfolio, number: int) -> str:
    """Why the asset is in or out, for people."""
    given, terms = portfolio.candidates, portfolio.terms
    why = Why(int(portfolio.why[number]))
    power = f"{given.power_w[number] / 1000:.1f} kW"
    chance = f"{100 * given.chance_out[number]:.0f} in 100"
    asked = int(given.asked_lately[number])
    times = "not asked lately" if not asked else f"asked {asked} time{'s' * (asked != 1)} lately"
    if why is Why.CHOSEN:
        held = min(int(given.holds[number]), len(terms.asked_w) - int(portfolio.begins[number]))
        hours = f" for {held / 2:g} hour{'s' * (held != 2)} from half-hour {portfolio.begins[number] + 1}"
        # Asked of one figure for all of the time, it holds throughout.
        over = hours if len(terms.asked_w) > 1 else ""
        return (
            f"In, number {portfolio.place[number]}: {power}{over}, {chance} that it does not come, {times}."
        )
    feeder = int(given.feeder[number])
    feeder_w = int(terms.feeder_cap_w[feeder]) if feeder != NO_FEEDER else 0
    all_kw = (terms.portfolio_cap_w or 0) / 1000
    told = {
        Why.DEARER: f"Out: others cost less for what they surely give ({power}, {chance} that it does not"
        f" come, {times}).",
        Why.NO_POWER: "Out: nothing to give at that time.",
        Why.SURE_TO_FAIL: f"Out: {chance} that it does not come.",
        Why.ASKED_ENOUGH: f"Out: {times}; from {terms.most_asks} a home is left alone.",
        Why.FEEDER_FULL: f"Out: its feeder may change by {feeder_w / 1000:g} kW at once; others fill that.",
        Why.PORTFOLIO_FULL: f"Out: all homes together may change by {all_kw:g} kW at once; others fill that.",
        Why.NO_HELP: "Out: what it takes back afterwards undoes what it gives.",
    }
    return told[why]


def _ruled_out(candidates: Candidates, terms: Terms) -> Ints:
    why = np.full(len(candidates.power_w), Why.DEARER, np.int64)
    why[candidates.asked_lately >= terms.most_asks] = Why.ASKED_ENOUGH
    why[candidates.chance_out >= 1] = Why.SURE_TO_FAIL
    why[(candidates.power_w <= 0) | (candidates.holds <= 0)] = Why.NO_POWER
    return why


def _separate(candidates: Candidates, terms: Terms, why: Ints) -> int:
    """In how many stretches assets of their own may serve: the chance of failing is shared among them.

    One when every asset holds throughout: then all half-hours are reached together or not at all.
    """
    able = why == Why.DEARER
    half_hours = len(terms.asked_w)
    if not able.any():
        return 1
    holds = int(np.median(np.minimum(candidates.holds[able], half_hours)))
    return 1 if (candidates.holds[able] >= half_hours).all() else min(half_hours, -(-half_hours // holds) + 1)


def _profiles(holds: Ints, rebound_pct: Ints, half_hours: int) -> Floats:
    """What a watt of each sort (holds, rebound) gives in each half-hour by its begin: [sort, begin, slot]."""
    axis = np.arange(half_hours)
    begins = axis[None, :, None]
    long = holds[:, None, None]
    serves = (axis >= begins) & (axis < begins + long)
    after = (axis >= begins + long) & (axis < begins + long + REBOUND_HALF_HOURS)
    back = rebound_pct[:, None, None] / 100 * np.minimum(long, half_hours) / REBOUND_HALF_HOURS
    # What is left of the event after a late begin is all that is put off.
    return serves.astype(np.float64) - after * back


def _chosen(candidates: Candidates, terms: Terms, why: Ints, deviations: float) -> Portfolio:
    half_hours = len(terms.asked_w)
    asked = terms.asked_w.astype(np.float64)
    pairs = np.minimum(candidates.holds, half_hours) * 1_000 + candidates.rebound_pct
    sorts, sort_of = np.unique(pairs, return_inverse=True)
    profiles = _profiles(sorts // 1_000, sorts % 1_000, half_hours)
    come = 1 - candidates.chance_out
    mean_w = candidates.power_w * come
    spread = candidates.power_w.astype(np.float64) ** 2 * come * candidates.chance_out
    skewed = candidates.power_w.astype(np.float64) ** 3 * come * candidates.chance_out * (1 - 2 * come)
    cost_mp = candidates.cost_mp * np.minimum(candidates.holds, half_hours)
    price = cost_mp * (1 + terms.fairness_pct / 100 * candidates.asked_lately) + 1e-9
    feeder_left = terms.feeder_cap_w.astype(np.float64)
    left_w = np.inf if terms.portfolio_cap_w is None else float(terms.portfolio_cap_w)
    begins = np.full(len(why), NOT_ASKED)
    taken: list[Ints] = []
    mean, variance, third = np.zeros(half_hours), np.zeros(half_hours), np.zeros(half_hours)
    open_to = np.nonzero(why == Why.DEARER)[0]
    for _ in range(MOST_ROUNDS):
        sure = _sure(mean, variance, third, deviations)
        lacking = np.maximum(0, asked - sure)
        if not lacking.any() or not len(open_to):
            break
        weight = lacking / lacking.max()
        worth = profiles @ weight
        begin_of = worth.argmax(axis=1)
        best = worth.max(axis=1)
        sort = sort_of[open_to]
        # What one more adds to the deviation of the sum; of the first few, as if there were twenty.
        about = max(float(variance.max()), 20 * float(spread[open_to].max()), 1.0)
        risk = deviations * spread[open_to] / (2 * np.sqrt(about))
        gain = (mean_w[open_to] - risk) * best[sort]
        is_help = gain > 0
        score = np.where(is_help, price[open_to] / np.maximum(gain, 1e-9), np.inf)
        wanted = float((lacking * weight).sum())
        is_last = lacking.max() <= 0.05 * asked.max()
        order = _cheapest(score, gain, wanted * (1 if is_last else SHARE_A_ROUND))
        order = order[np.isfinite(score[order])]
        if not len(order):
            why[open_to] = Why.NO_HELP
            break
        picked = open_to[order]
        fits = _within_feeders(candidates, picked, feeder_left)
        why[picked[~fits]] = Why.FEEDER_FULL
        new = picked[fits]
        is_within = np.cumsum(candidates.power_w[new]) <= left_w
        over, new = new[~is_within], new[is_within]
        why[over] = Why.PORTFOLIO_FULL
        _give_back(candidates, over, feeder_left)
        left_w -= float(candidates.power_w[new].sum())
        begins[new] = begin_of[sort_of[new]]
        why[new] = Why.CHOSEN
        taken.append(new)
        shape = profiles[sort_of[new], begins[new]]
        mean = mean + mean_w[new] @ shape
        variance = variance + spread[new] @ shape**2
        third = third + skewed[new] @ shape**3
        is_left = np.ones(len(open_to), np.bool_)
        is_left[order] = False
        open_to = open_to[is_left]
    everyone = np.concatenate(taken) if taken else np.zeros(0, np.int64)
    keep = np.ones(len(everyone), np.bool_)
    sums = (mean, variance, third)
    for number in range(len(everyone) - 1, max(-1, len(everyone) - 1 - PRUNED), -1):
        each = everyone[number]
        shape = profiles[sort_of[each], begins[each]]
        without = (
            sums[0] - mean_w[each] * shape,
            sums[1] - spread[each] * shape**2,
            sums[2] - skewed[each] * shape**3,
        )
        if (_sure(*without, deviations) >= asked).all():
            sums, keep[number] = without, False
            why[each], begins[each] = Why.DEARER, NOT_ASKED
    everyone = everyone[keep]
    place = np.zeros(len(why), np.int64)
    place[everyone] = np.arange(1, len(everyone) + 1)
    sure = _sure(*sums, deviations)
    held = np.minimum(candidates.holds, half_hours - np.maximum(begins, 0))
    return Portfolio(
        candidates=candidates,
        terms=terms,
        is_chosen=why == Why.CHOSEN,
        begins=begins,
        why=why,
        place=place,
        expected_w=sums[0],
        sure_w=sure,
        shortfall_w=np.maximum(0, asked - sure),
        deviations=deviations,
        cost_mp=int((candidates.cost_mp * held)[everyone].sum()),
    )


def _cheapest_set(found: Portfolio) -> Portfolio:
    """The cheapest set of MOST_TRIED assets, the chosen and the best of the others, that reaches what is
    asked with the chance wanted and by its mean; what was found where there is none or sets are too many.
    """
    chosen = np.nonzero(found.is_chosen)[0]
    if len(chosen) > MOST_TRIED:
        return found
    given, terms = found.candidates, found.terms
    half_hours = len(terms.asked_w)
    price = given.cost_mp * (1 + terms.fairness_pct / 100 * given.asked_lately)
    score = (price + 1e-9) / np.maximum(given.power_w * (1 - given.chance_out), 1e-9)
    others = np.nonzero(np.isin(found.why, (Why.DEARER, Why.FEEDER_FULL, Why.PORTFOLIO_FULL, Why.NO_HELP)))[0]
    others = others[np.argsort(score[others], kind="stable")]
    some = np.concatenate((chosen, others))[:MOST_TRIED]
    if not len(some) or (given.holds[some] < half_hours).any():
        return found
    some = some[np.argsort(score[some], kind="stable")]
    asked_w = int(terms.asked_w.max())
    power_w = _of_sets(given.power_w[some])
    chance = (power_w >= asked_w).astype(np.float64)
    bits = np.arange(len(chance))
    for number, asset in enumerate(some):
        # Of each set with the asset: what is so without it, should it not come, and with it, should it come.
        has = bits[(bits >> number & 1).astype(np.bool_)]
        out = given.chance_out[asset]
        chance[has] = out * chance[has ^ (1 << number)] + (1 - out) * chance[has]
    mean_w = _of_sets(given.power_w[some] * (1 - given.chance_out[some]))
    can = (chance >= terms.chance_wanted - 1e-12) & (mean_w >= asked_w)
    for each in np.unique(given.feeder[some][given.feeder[some] != NO_FEEDER]):
        here_w = _of_sets(np.where(given.feeder[some] == each, given.power_w[some], 0))
        can &= here_w <= terms.feeder_cap_w[each]
    if terms.portfolio_cap_w is not None:
        can &= power_w <= terms.portfolio_cap_w
    sets = np.nonzero(can)[0]
    if not len(sets) or asked_w <= 0:
        return found
    cost = _of_sets(np.rint(price[some] * 1_000).astype(np.int64))
    best = int(sets[np.lexsort((sets, -np.round(chance[sets], 9), cost[sets]))[0]])
    taken = some[(best >> np.arange(len(some)) & 1).astype(np.bool_)]
    why, begins, place = found.why.copy(), np.full(len(price), NOT_ASKED), np.zeros(len(price), np.int64)
    why[chosen] = Why.DEARER
    why[taken], begins[taken], place[taken] = Why.CHOSEN, 0, np.arange(1, len(taken) + 1)
    expected_w = np.full(half_hours, mean_w[best])
    sure_w = _sure_of(given.power_w[taken], given.chance_out[taken], terms.chance_wanted)
    return replace(
        found,
        is_chosen=why == Why.CHOSEN,
        begins=begins,
        why=why,
        place=place,
        expected_w=expected_w,
        sure_w=np.minimum(float(sure_w), expected_w),
        shortfall_w=np.zeros(half_hours),
        cost_mp=int(given.cost_mp[taken].sum()) * half_hours,
    )


def _of_sets(values: NDArray[Number]) -> NDArray[Number]:
    """The sum of the values of every set of them, by its bits."""
    sums = np.zeros(1, values.dtype)
    for value in values:
        sums = np.concatenate((sums, sums + value))
    return sums


def _sure_of(power_w: Ints, chance_out: Floats, chance_wanted: float) -> int:
    """What a set reaches with the chance wanted, in W; exact."""
    chance = np.ones(1)
    for out in chance_out:
        chance = np.concatenate((chance * out, chance * (1 - out)))
    sums = _of_sets(power_w)
    order = np.argsort(-sums, kind="stable")
    reached = int(np.searchsorted(chance[order].cumsum(), chance_wanted - 1e-12))
    return int(sums[order[min(reached, len(sums) - 1)]])


def _sure(mean: Floats, variance: Floats, third: Floats, deviations: float) -> Floats:
    """Mean less `deviations`, and less still for how much more often a sum of maybes falls far below it."""
    sigma = np.sqrt(np.maximum(variance, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        skew = np.where(sigma > 0, third / sigma**3, 0)
    skew = np.clip(skew, -2, 0)
    sure: Floats = mean - sigma * (deviations - (deviations**2 - 1) * skew / 6)
    return sure


def _cheapest(score: Floats, gain: Floats, wanted: float) -> Ints:
    """Places of the least scores whose gains reach `wanted`, in order, the one that reaches it among them."""
    helps = gain[gain > 0]
    about = 4 * wanted / float(np.median(helps)) if len(helps) else 0
    count = min(len(score), max(8, int(about)))
    some = np.argpartition(score, count - 1)[:count] if count < len(score) else np.arange(len(score))
    some = some[np.lexsort((some, score[some]))]
    reached = np.cumsum(np.maximum(0, gain[some]))
    return some[: int(np.searchsorted(reached, wanted)) + 1]


def _within_feeders(candidates: Candidates, picked: Ints, left: Floats) -> Bools:
    """Which of the picked, in order, their feeders still let change; what they take is taken off `left`."""
    feeder = candidates.feeder[picked]
    fits = np.ones(len(picked), np.bool_)
    for each in np.unique(feeder[feeder != NO_FEEDER]):
        here = np.nonzero(feeder == each)[0]
        power = candidates.power_w[picked[here]]
        reached = np.cumsum(power)
        fits[here] = reached <= left[each]
        left[each] -= power[fits[here]].sum()
    return fits


def _give_back(candidates: Candidates, over: Ints, left: Floats) -> None:
    known = over[candidates.feeder[over] != NO_FEEDER]
    np.add.at(left, candidates.feeder[known], candidates.power_w[known])


def _is_delivered(portfolio: Portfolio) -> bool:
    return float(_simulated(portfolio, DRAWS, SEED).mean()) >= portfolio.terms.chance_wanted


def _simulated(portfolio: Portfolio, draws: int, seed: int) -> Bools:
    """Whether each draw reaches every half-hour."""
    given = portfolio.candidates
    who = np.nonzero(portfolio.is_chosen)[0]
    half_hours = len(portfolio.terms.asked_w)
    profiles = _profiles(np.minimum(given.holds[who], half_hours), given.rebound_pct[who], half_hours)
    given_w = given.power_w[who, None] * profiles[np.arange(len(who)), portfolio.begins[who]]
    random = np.random.default_rng(seed)
    does_come = random.random((draws, len(who)), dtype=np.float32) >= given.chance_out[who]
    reached = does_come.astype(np.float64) @ given_w >= portfolio.terms.asked_w - 1e-6
    return np.asarray(reached.all(axis=1))
