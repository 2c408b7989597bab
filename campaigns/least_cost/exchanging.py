"""Exchanges between loads under a shared cap: power moves to cheaper half-hours that have room left.

A half-hour that is full can still let a load in when another leaves it for one with room. So power is moved
along chains of half-hours, one load a link, and only the first loses and the last gains. Each chain costs
less than what was before; no half-hour goes above the cap, no load leaves its own limits or misses more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from campaigns.least_cost.stepped import Bools, Ints, SteppedLoads, wanted_steps

Floats = NDArray[np.float64]

SIZES: Final = (32, 26, 20, 16, 13, 10, 8, 7, 6, 5, 4, 3, 2, 1)
"""Steps moved at once. From 6 on an EV may begin a half-hour with them; fewer go where it charges already."""
EVERY_SIZE_FOR: Final = 500
"""Up to so many loads every size is tried, over and over; of more, these sizes once."""
LINKS: Final = 4
MOST_CHAINS: Final = 1_500
"""In all, so that what is saved is never worth less than the time it takes."""
MISSED: Final = 1 << 40
"""Price of a step of a need that is not met: any half-hour is cheaper."""


@dataclass
class _Book:
    """Where each load may give and take so many steps [load, slot], the last column its own sum: giving there
    is taking more than so far. `links` counts the loads of each group that can [group, slot, slot].
    """

    gives: Bools
    takes: Bools
    links: Ints


class _Exchange:
    """Moves of `move_wh` by loads whose steps come to it: where loads are, and what is left of the cap."""

    def __init__(self, price: Ints, loads: SteppedLoads, cap_wh: Ints, steps: Ints, move_wh: int) -> None:
        self.loads, self.move_wh = loads, move_wh
        self.need, self.room = wanted_steps(loads)
        self.steps = steps
        self.sums = steps.sum(axis=1)
        self.left_wh = cap_wh - (steps * loads.step_wh[:, None]).sum(axis=0)
        self.rows = np.nonzero(move_wh % loads.step_wh == 0)[0]
        own = np.zeros((len(self.rows), price.shape[1] + 1), np.int64)
        own[:, :-1] = price[self.rows]
        own[self.sums[self.rows] < self.need[self.rows], -1] = MISSED
        is_like_first = bool((own == own[:1]).all())
        if is_like_first:
            self.price, self.group = own[:1], np.zeros(len(own), np.int64)
        else:
            self.price, group = np.unique(own, axis=0, return_inverse=True)
            self.group = group.ravel()

    def moved(self, most: int) -> int:
        """Move along chains as long as one saves; how many times that was."""
        book = self._book()
        chains = 0
        blocked: set[tuple[int, int]] = set()
        while chains < most:
            path = self._best(book, blocked)
            if path is None:
                break
            before = chains
            while chains < most and self._has_room(path[-1]) and self._apply(book, path):
                chains += 1
            if chains > before:
                blocked.clear()
            else:
                blocked.add((path[0], path[-1]))
        return chains

    def _has_room(self, slot: int) -> bool:
        return slot == len(self.left_wh) or self.left_wh[slot] >= self.move_wh

    def _may(self, rows: Ints) -> tuple[Bools, Bools]:
        loads, steps = self.loads, self.steps[rows]
        least, most = loads.least[rows, None], loads.most[rows, None]
        size = self.move_wh // loads.step_wh[rows]
        each = size[:, None]
        slots = steps.shape[1]
        gives = np.zeros((len(rows), slots + 1), np.bool_)
        takes = np.zeros_like(gives)
        gives[:, :slots] = (steps == each) | (steps - each >= least)
        takes[:, :slots] = loads.is_available[rows] & (steps + each <= most) & ((steps > 0) | (each >= least))
        gives[:, slots] = self.sums[rows] + size <= self.room[rows]
        takes[:, slots] = self.sums[rows] - size >= self.need[rows]
        return gives, takes

    def _book(self) -> _Book:
        gives, takes = self._may(self.rows)
        links = [
            gives[self.group == n].T.astype(np.float32) @ takes[self.group == n].astype(np.float32)
            for n in range(len(self.price))
        ]
        return _Book(gives, takes, np.rint(links).astype(np.int64))

    def _best(self, book: _Book, blocked: set[tuple[int, int]]) -> list[int] | None:
        """The half-hours of the chain that saves most, from where power leaves to where it goes."""
        slots = len(self.left_wh)
        change = self.price[:, None, :] - self.price[:, :, None]
        cost = np.where(book.links > 0, change, np.inf).min(axis=0)
        np.fill_diagonal(cost, np.inf)
        has_room = np.append(self.left_wh >= self.move_wh, True)
        # What leads on to a half-hour with room costs, within so many links [links, slot].
        ends = np.nonzero(has_room)[0]
        away = np.full((slots + 1, len(ends)), np.inf)
        away[ends, np.arange(len(ends))] = 0
        follow = []
        for _ in range(LINKS):
            through = cost[:, :, None] + away[None]
            step = through.argmin(axis=1)
            nearer = np.take_along_axis(through, step[:, None, :], axis=1)[:, 0]
            is_less = nearer < away
            follow.append(np.where(is_less, step, -1))
            away = np.where(is_less, nearer, away)
        for begin, end in blocked:
            away[begin, ends == end] = np.inf
        start, place = np.unravel_index(int(away.argmin()), away.shape)
        if not away[start, place] < 0:
            return None
        found = [int(start)]
        for turn in reversed(follow):
            onward = int(turn[found[-1], place])
            if onward >= 0:
                found.append(onward)
        return found

    def _apply(self, book: _Book, path: list[int]) -> bool:
        slots = len(self.left_wh)
        if len(path) < 2 or len(set(path)) < len(path):
            return False
        chosen: list[int] = []
        for begin, end in pairwise(path):
            can = book.gives[:, begin] & book.takes[:, end]
            can[chosen] = False
            places = np.nonzero(can)[0]
            if not len(places):
                return False
            change = self.price[self.group[places], end] - self.price[self.group[places], begin]
            chosen.append(int(places[change.argmin()]))
        saved = sum(
            int(self.price[self.group[place], end] - self.price[self.group[place], begin])
            for place, begin, end in zip(chosen, path, path[1:], strict=False)
        )
        if saved >= 0:
            return False
        for place, begin, end in zip(chosen, path, path[1:], strict=False):
            row, group = self.rows[place], self.group[place]
            size = self.move_wh // self.loads.step_wh[row]
            book.links[group] -= np.outer(book.gives[place], book.takes[place])
            for slot, change in ((begin, -size), (end, size)):
                if slot < slots:
                    self.steps[row, slot] += change
                    self.sums[row] += change
            gives, takes = self._may(np.array([row]))
            if self.price[group, slots] == MISSED and self.sums[row] >= self.need[row]:
                gives[:, slots] = False
            book.gives[place], book.takes[place] = gives[0], takes[0]
            book.links[group] += np.outer(gives[0], takes[0])
        if path[0] < slots:
            self.left_wh[path[0]] += self.move_wh
        if path[-1] < slots:
            self.left_wh[path[-1]] -= self.move_wh
        return True


def exchanged(price: Ints, loads: SteppedLoads, cap_wh: Ints, steps: Ints) -> Ints:
    """Steps that cost less, or miss less of the needs, by exchanges; `price` and `steps` are [load, slot]."""
    steps = steps.copy()
    is_small = len(steps) <= EVERY_SIZE_FOR
    sizes = range(1, int(loads.most.max(initial=0)) + 1) if is_small else SIZES
    moves_wh = sorted({size * step_wh for size in sizes for step_wh in np.unique(loads.step_wh).tolist()})
    chains = 0
    is_better = True
    while is_better and chains < MOST_CHAINS:
        is_better = False
        for move_wh in reversed(moves_wh):
            moved = _Exchange(price, loads, cap_wh, steps, move_wh).moved(MOST_CHAINS - chains)
            chains += moved
            is_better |= is_small and moved > 0
    return steps
