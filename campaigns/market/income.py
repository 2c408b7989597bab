"""Which requests to accept, which assets serve each and how much to offer, for the most expected income.

Pure. An asset gives its power for the whole of a request or, with its own chance, nothing. Of what is
offered, what comes is paid at the price and what lacks costs the penalty; so, with the sum of what comes
taken as normal, the best offer lies where the chance of falling short is price / (price + penalty), and never
above what the assets have together. Asking an asset costs a little. No asset serves two requests that meet in
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEW_REQUESTS: Final = 4
"""Of so many, every order is tried; of more, a few that promise most."""
MOST_FIRST: Final = 3
FEW_ASSETS: Final = 60
"""Of so many, exchanges of two assets are tried as well."""
MOST_EXCHANGED: Final = 3
"""Of how many of the best beginnings exchanges are tried."""
CELLS: Final = 100_000
"""How much is looked at by single moves before the answer has to do."""
ROOM_MP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: W by half-hour, millipence a kWh, the least peak that may be offered; [starts, ends) of any
    one unit, to tell which meet.
    """

    profile_w: Sequence[int]
    price_mp_per_kwh: int
    penalty_mp_per_kwh: int
    least_w: int
    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do: `serves` [asset, request]; `offered_w` and `income_mp` by request.

    A request without assets is left; its offer is empty.
    """

    serves: Bools
    offered_w: tuple[tuple[int, ...], ...]
    income_mp: tuple[float, ...]

    @property
    def total_mp(self) -> float:
        """The expected income of all, less penalties and what asking costs."""
        return sum(self.income_mp)


def best_choice(
    requests: Sequence[Asked], power_w: Floats, chance_out: Floats, *, ask_mp: float | Floats
) -> Choice:
    """The choice; `power_w` is [asset, request], 0 where the asset cannot serve it. Deterministic.

    `ask_mp` is what it costs to ask, of all alike or [asset, request].

    Never worth less than serving any one request alone, and never less than nothing.
    """
    terms = [_Terms(request) for request in requests]
    count, assets = len(requests), len(chance_out)
    if power_w.shape != (assets, count):
        raise ValueError(f"power_w has to be [{assets}, {count}], not {power_w.shape}")
    if not count or not assets:
        return Choice(np.zeros((assets, count), np.bool_), tuple(() for _ in requests), (0.0,) * count)
    mean_w = power_w * (1 - chance_out)[:, None]
    spread = power_w**2 * (chance_out * (1 - chance_out))[:, None]
    meets = _meets(requests)
    asks = np.broadcast_to(np.asarray(ask_mp, np.float64), power_w.shape)
    search = _Search(terms, power_w, mean_w, spread, meets, asks)
    tried = [
        search.improved(search.filled(order, is_thrifty=is_thrifty))
        for order in _orders(search)
        for is_thrifty in (False, True)
    ]
    # Stable: of equals the earlier one stays.
    tried.sort(key=lambda serves: -round(search.total_mp(serves)))
    best = tried[0]
    if assets <= FEW_ASSETS:
        apart = {serves.tobytes(): serves for serves in reversed(tried)}
        some = sorted(apart.values(), key=lambda serves: -round(search.total_mp(serves)))[:MOST_EXCHANGED]
        best = max((search.exchanged(serves) for serves in some), key=search.total_mp)
    return search.choice(best)


def expected_mp(
    request: Asked, power_w: Sequence[float], chance_out: Sequence[float], *, ask_mp: float | Floats
) -> float:
    """What a request is worth if just these assets serve it; `ask_mp` of all alike or [asset]."""
    power, out = np.asarray(power_w, np.float64), np.asarray(chance_out, np.float64)
    mean = np.array([(power * (1 - out)).sum()])
    variance = np.array([(power**2 * out * (1 - out)).sum()])
    cost = np.array([float((np.asarray(ask_mp, np.float64) * (power != 0)).sum())])
    has = np.array([power[out < 1].sum()])
    return float(_Terms(request).worth(mean, variance, has, cost)[0])


class _Terms:
    """One request, ready to be valued for many sets of assets at once."""

    def __init__(self, request: Asked) -> None:
        wanted, times = np.unique(np.array(request.profile_w, np.int64), return_counts=True)
        self.request = request
        self.levels = [(float(w), int(n)) for w, n in zip(wanted, times, strict=True) if w > 0]
        self.hours = sum(n for _, n in self.levels) / 2
        self.peak_w = max((w for w, _ in self.levels), default=0.0)
        self.least_w = min(float(request.least_w), self.peak_w) if self.levels else 0.0
        price, penalty = request.price_mp_per_kwh, request.penalty_mp_per_kwh
        # Without a penalty the chance of falling short does not matter: all that the assets have is offered.
        self.deviations = NormalDist().inv_cdf(price / (price + penalty)) if price and penalty else np.inf
        self.is_worthless = not price or not self.levels
        self.at_most_w = float(request.least_w) > self.peak_w

    def offer_w(self, mean: Floats, variance: Floats, has: Floats) -> Floats:
        """The best offer if as much were asked as can be given; `has` is what comes if every asset does."""
        if self.deviations == np.inf:
            return has
        return np.clip(mean + self.deviations * np.sqrt(np.maximum(variance, 0)), 0.0, has)

    def worth(self, mean: Floats, variance: Floats, has: Floats, cost: Floats) -> Floats:
        """Expected mp of each set of assets, given its sums (`offer_w`) and what asking them costs."""
        if self.is_worthless or self.at_most_w:
            return -cost
        price, penalty = self.request.price_mp_per_kwh, self.request.penalty_mp_per_kwh
        best = self.offer_w(mean, variance, has)
        income = np.zeros_like(mean)
        for asked_w, times in self.levels:
            offered = np.minimum(best, asked_w)
            kwh = times / 2 / 1000
            income += kwh * (price * offered - (price + penalty) * _lacking(offered, mean, variance))
        return np.where(np.minimum(best, self.peak_w) >= self.least_w, income, 0.0) - cost


class _Search:
    """Fills requests one after the other, then improves what came of it move by move."""

    def __init__(
        self,
        terms: Sequence[_Terms],
        power_w: Floats,
        mean_w: Floats,
        spread: Floats,
        meets: Bools,
        asks: Floats,
    ) -> None:
        self.terms, self.power_w, self.mean_w, self.spread = terms, power_w, mean_w, spread
        self.meets, self.asks = meets, asks
        self.are_alike = bool((asks == asks.flat[0]).all())
        self.can = mean_w > 0
        whole = meets.astype(np.int64)
        self.meets_number = whole
        self.rounds = max(1, CELLS // mean_w.size)

    def filled(self, order: Sequence[int], *, is_thrifty: bool = False) -> Bools:
        """Each request of the order takes its best few of the assets that are left; thrifty, just enough."""
        serves = np.zeros(self.mean_w.shape, np.bool_)
        for number in order:
            is_free = self.can[:, number] & ~(serves @ self.meets_number[:, number]).astype(np.bool_)
            free = np.nonzero(is_free)[0]
            if len(free):
                serves[self._best_few(number, free, is_thrifty=is_thrifty), number] = True
        return serves

    def improved(self, serves: Bools) -> Bools:
        """Single moves (serve another, serve none, leave a request) while they gain."""
        serves = serves.copy()
        for _ in range(self.rounds):
            if not (self._moved(serves) or self._closed(serves)):
                break
        return serves

    def exchanged(self, serves: Bools) -> Bools:
        """Exchanges of two assets, and requests filled anew, while they gain."""
        serves = serves.copy()
        for _ in range(self.rounds):
            if not (self._exchanged(serves) or self._refilled(serves)):
                break
            serves = self.improved(serves)
        return serves

    def total_mp(self, serves: Bools) -> float:
        return float(sum(self._worth(number, serves[:, number]) for number in range(len(self.terms))))

    def choice(self, serves: Bools) -> Choice:
        """The result, requests that are worth nothing left."""
        serves = serves.copy()
        offered: list[tuple[int, ...]] = []
        income = []
        for number, terms in enumerate(self.terms):
            worth = self._worth(number, serves[:, number])
            if worth <= 0:
                serves[:, number] = False
                offered.append(())
                income.append(0.0)
                continue
            best = float(terms.offer_w(*self._sums(number, serves[:, number]))[0])
            offered.append(tuple(int(min(best, w)) for w in terms.request.profile_w))
            income.append(worth)
        return Choice(serves, tuple(offered), tuple(income))

    def _best_few(
        self, number: int, free: NDArray[np.int64], *, is_thrifty: bool = False
    ) -> NDArray[np.int64]:
        """Of the free assets the best beginning of any of a few orders; thrifty, the shortest worth anything.

        Thrifty leaves to the requests after it what it could do without, where each has a least size.
        """
        mean, spread = self.mean_w[free, number], self.spread[free, number]
        sigma, asks = np.sqrt(spread), self.asks[free, number]
        best, best_mp = free[:0], 0.0
        keys = [-mean, sigma / mean, -(mean - sigma)]
        for key in keys if self.are_alike else [*keys, asks / mean]:
            order = np.lexsort((free, key))
            worth = self.terms[number].worth(
                np.cumsum(mean[order]),
                np.cumsum(spread[order]),
                np.cumsum(self.power_w[free[order], number]),
                np.cumsum(asks[order]),
            )
            at = int((worth > 0).argmax()) if is_thrifty else int(worth.argmax())
            if worth[at] > 0 and (worth[at] > best_mp or (is_thrifty and at + 1 < len(best))):
                best, best_mp = free[order[: at + 1]], float(worth[at])
        return best

    def _sums(self, number: int, is_in: Bools) -> tuple[Floats, Floats, Floats]:
        """Mean, variance and most of what these assets give, each of one value."""
        mean, variance, has = (
            each[is_in, number].sum(keepdims=True) for each in (self.mean_w, self.spread, self.power_w)
        )
        return mean, variance, has

    def _worth(self, number: int, is_in: Bools) -> float:
        cost = self.asks[is_in, number].sum(keepdims=True)
        return float(self.terms[number].worth(*self._sums(number, is_in), cost)[0])

    def _gains(self, serves: Bools) -> tuple[Floats, Floats]:
        """What each request gains by each asset joining it, and what it loses by each leaving it."""
        joining = np.full(serves.shape, -np.inf)
        leaving = np.zeros(serves.shape)
        for number, terms in enumerate(self.terms):
            is_in = serves[:, number]
            mean, variance, has = self._sums(number, is_in)
            now, cost = self._worth(number, is_in), float(self.asks[is_in, number].sum())
            step = np.where(is_in, -1.0, 1.0)
            worth = terms.worth(
                np.maximum(0.0, mean + step * self.mean_w[:, number]),
                np.maximum(0.0, variance + step * self.spread[:, number]),
                np.maximum(0.0, has + step * self.power_w[:, number]),
                cost + step * self.asks[:, number],
            )
            can = self.can[:, number] & ~is_in
            joining[can, number] = worth[can] - now
            leaving[is_in, number] = worth[is_in] - now
        return joining, leaving

    def _moved(self, serves: Bools) -> bool:
        joining, leaving = self._gains(serves)
        gain = joining + leaving @ self.meets_number
        asset, number = np.unravel_index(int(gain.argmax()), gain.shape)
        left, out_of = np.unravel_index(int(leaving.argmax()), leaving.shape)
        if max(gain[asset, number], leaving[left, out_of]) <= ROOM_MP:
            return False
        if leaving[left, out_of] >= gain[asset, number]:
            serves[left, out_of] = False
        else:
            serves[asset, self.meets[number]] = False
            serves[asset, number] = True
        return True

    def _closed(self, serves: Bools) -> bool:
        """Leave a request that costs more than it brings."""
        for number in range(len(self.terms)):
            if serves[:, number].any() and self._worth(number, serves[:, number]) < -ROOM_MP:
                serves[:, number] = False
                return True
        return False

    def _exchanged(self, serves: Bools) -> bool:
        """Let two assets change places: one of a request with one of another, or with one that is free."""
        before = self.total_mp(serves)
        for number in range(len(self.terms)):
            inside = np.nonzero(serves[:, number])[0]
            outside = np.nonzero(self.can[:, number] & ~serves[:, number])[0]
            for one in inside:
                for other in outside:
                    tried = serves.copy()
                    theirs = serves[other] & self.meets[number]
                    tried[one, number] = False
                    tried[other, theirs] = False
                    tried[other, number] = True
                    takes = theirs & self.can[one] & ~(tried[one] @ self.meets_number).astype(np.bool_)
                    tried[one, takes] = True
                    if self.total_mp(tried) > before + ROOM_MP:
                        serves[:] = tried
                        return True
        return False

    def _refilled(self, serves: Bools) -> bool:
        """Empty one request and fill the requests anew around what the others keep."""
        before = self.total_mp(serves)
        for number in range(len(self.terms)):
            for first in range(len(self.terms)):
                tried = serves.copy()
                tried[:, number] = False
                tried[:, first] = False
                for each in (first, number):
                    is_free = self.can[:, each] & ~(tried @ self.meets_number[:, each]).astype(np.bool_)
                    free = np.nonzero(is_free)[0]
                    if len(free):
                        tried[self._best_few(each, free), each] = True
                if self.total_mp(tried) > before + ROOM_MP:
                    serves[:] = tried
                    return True
        return False


def _orders(search: _Search) -> Iterable[Sequence[int]]:
    """Every order of few requests; of many, each of the best first, the others by what they bring alone."""
    count = len(search.terms)
    if count <= FEW_REQUESTS:
        return list(permutations(range(count)))
    alone = [search.total_mp(search.filled([number])) for number in range(count)]
    rank = sorted(range(count), key=lambda number: (-alone[number], number))
    return [[first, *(each for each in rank if each != first)] for first in rank[:MOST_FIRST]]


def _meets(requests: Sequence[Asked]) -> Bools:
    """Which requests meet in time; each meets itself."""
    starts = np.array([request.starts for request in requests])
    ends = np.array([request.ends for request in requests])
    return np.asarray((starts[:, None] < ends[None, :]) & (starts[None, :] < ends[:, None]))


def _lacking(offered: Floats, mean: Floats, variance: Floats) -> Floats:
    """The mean of what lacks of the offer, E max(0, offered - what comes), of a normal sum."""
    sigma = np.sqrt(np.maximum(variance, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.clip(np.where(sigma > 0, (offered - mean) / sigma, 0), -40, 40)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    lacking = (offered - mean) * _below(z) + sigma * density
    return np.where(sigma > 0, np.maximum(lacking, 0), np.maximum(offered - mean, 0))


def _below(z: Floats) -> Floats:
    """The chance of a standard normal below z, to 1e-7 (Abramowitz and Stegun 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * series
    return np.asarray(np.where(z >= 0, 1 - tail, tail))
