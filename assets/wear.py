"""How much of a relay's life is used: the cycles its hub counted and its years, against what it should last.

DESIGN of the founding report: 3,000 cycles or 10 years, whichever comes first; the catalogue may say better.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WARN_SHARE: Final = 0.8
YEAR: Final = timedelta(days=365.25)
A_MONTH: Final = YEAR / 12
LEAST_COUNTED: Final = timedelta(days=7)
"""A rate from less than this says nothing."""
FURTHEST: Final = timedelta(days=100 * 366)
MOST_TOLD: Final = 10**9
RELAY_YEARS: Final = 10
MOST_OF_RELAYS: Final = 10_000
"""A kind with a longer switch life has no relay that its years wear out: a battery, a heat pump."""


@dataclass(frozen=True, slots=True)
class Count:
    """What is held of a relay: all its cycles, and what the counter of the hub that counts stood at last."""

    cycles: int
    told: int
    told_by: str


@dataclass(frozen=True, slots=True)
class Wear:
    """`share` of its life used, by cycles or years, whichever is more; `ends_at` at this rate, if at all."""

    share: float
    ends_at: datetime | None

    @property
    def is_worn(self) -> bool:
        """True from four fifths of its life on: time to plan another."""
        return self.share >= WARN_SHARE


def counted(held: Count | None, *, told: int, told_by: str) -> Count:
    """The count after a hub told its counter's stand.

    A counter that stands lower than before, or is another hub's, began anew at 0: all it tells is added.
    """
    if held is None:
        return Count(told, told, told_by)
    is_same = held.told_by == told_by and told >= held.told
    return Count(held.cycles + told - (held.told if is_same else 0), told, told_by)


def usual_years(switch_life: int) -> int | None:
    """The years that a relay of a kind lasts where the catalogue says nothing; None where none wears out."""
    return RELAY_YEARS if switch_life <= MOST_OF_RELAYS else None


def is_over_budget(
    *, cycles: int, installed_at: datetime, at: datetime, life_cycles: int | None, life_years: int | None
) -> bool:
    """Whether it was switched more than its years allow, a month's share beforehand: by the year, its cycles
    over its years.
    """
    if not life_cycles or not life_years:
        return False
    allowed = (at - installed_at + A_MONTH) / (life_years * YEAR) * life_cycles
    return cycles > allowed


def relay_wear(
    *,
    cycles: int,
    counted_from_at: datetime,
    told_at: datetime,
    installed_at: datetime,
    at: datetime,
    life_cycles: int | None,
    life_years: int | None,
) -> Wear | None:
    """How worn it is at `at`; None where it has no relay that wears out (no life given).

    The end is the earlier of its years and of its cycles at the mean rate since counting began; a count of
    less than a week gives no rate, and what would last a century has no end worth telling.
    """
    shares: list[float] = []
    ends: list[datetime] = []
    if life_years:
        shares.append(max(0.0, (at - installed_at) / (life_years * YEAR)))
        ends.append(installed_at + life_years * YEAR)
    if life_cycles:
        shares.append(cycles / life_cycles)
        lasted = told_at - counted_from_at
        if cycles >= life_cycles:
            ends.append(told_at)
        elif cycles and lasted >= LEAST_COUNTED:
            left_seconds = lasted.total_seconds() * (life_cycles - cycles) / cycles
            if left_seconds < FURTHEST.total_seconds():
                ends.append(told_at + timedelta(seconds=left_seconds))
    if not shares:
        return None
    return Wear(max(shares), min(ends, default=None))
