"""The same questions answered the long way, by code that shares nothing with what it checks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product


def cheapest_sums(price: Sequence[int], least: int, most: Sequence[int]) -> dict[int, int]:
    """Least price times steps for every sum of steps; a slot takes 0 or least..most of its own."""
    found = {0: 0}
    for each, top in zip(price, most, strict=True):
        told = dict(found)
        for total, cost in found.items():
            for steps in range(least, top + 1):
                spent = cost + each * steps
                if spent < told.get(total + steps, spent + 1):
                    told[total + steps] = spent
        found = told
    return found


def cheapest_steps(
    price: Sequence[int], *, need: int, room: int, least: int, most: Sequence[int]
) -> tuple[int, int]:
    """(steps of the need that cannot be met, least price times steps)."""
    sums = cheapest_sums(price, least, most)
    enough = [total for total in sums if total >= need]
    if not enough:
        top = max(sums)
        return need - top, sums[top]
    fits = [total for total in enough if total <= max(room, min(enough))]
    return 0, min(sums[total] for total in fits)


def cheapest_tank(
    price: Sequence[int],
    *,
    heat: int,
    full: int,
    sterile: int,
    stored: int,
    ready: Sequence[int],
    draw: Sequence[int],
    sterile_by: int,
    may_heat: Sequence[bool],
    loss: Sequence[float],
) -> tuple[bool, int, int]:
    """(60 °C missed, grains missing, least price times grains) over every pattern of on and off.

    `loss` is grains a half-hour by level.
    """
    best = (True, 10**9, 0)
    for pattern in product((False, True), repeat=len(price)):
        level, missing, cost, is_due = stored, 0, 0, 0 <= sterile_by < len(price)
        for slot, is_on in enumerate(pattern):
            took = min(heat, max(0, full - level)) if is_on and may_heat[slot] else 0
            level, cost = level + took, cost + took * price[slot]
            missing += max(0, ready[slot] - level)
            if slot <= sterile_by and level >= sterile:
                is_due = False
            lost = int(loss[level] * (slot + 1) + 0.5) - int(loss[level] * slot + 0.5)
            level = max(0, level - lost - draw[slot])
        best = min(best, (is_due, missing, cost))
    return best
