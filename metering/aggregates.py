"""What may be told of many homes together, and of whom: the rules behind partners' totals. Pure.

A total is over at least LEAST_HOMES homes, none of which makes up more than MOST_SHARE_PCT of it, in tenths
of a kWh. Only days are told, each once; weeks and months are sums of what was told, so that no two figures of
the same days can be subtracted from each other. `homes_to_count` keeps the homes of a month apart from those
of any month told before: by nobody at all, or by LEAST_HOMES at least. Not covered: several partners who put
what they know together, and what a landlord knows of its own homes from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from metering.models import PartnerDay
from metering.slots import Bools, Ints

LEAST_HOMES: Final = 15
MOST_SHARE_PCT: Final = 15
WH_A_STEP: Final = 100
Withheld = PartnerDay.Withheld
Group = frozenset[UUID]


@dataclass(frozen=True, slots=True)
class DayTotal:
    """A day's energy of the homes that have every half-hour of it; None where it is withheld.

    Export alone is None when it would tell of one home.
    """

    homes: int = 0
    import_wh: int | None = None
    export_wh: int | None = None
    withheld: str = ""


def day_totals(import_wh: Ints, export_wh: Ints, is_whole: Bools) -> list[DayTotal]:
    """The totals of each day, of arrays [home, day]: energy, and whether every half-hour of it is known."""
    return [
        _day_total(import_wh[is_whole[:, day], day], export_wh[is_whole[:, day], day])
        for day in range(import_wh.shape[1])
    ]


def homes_to_count(willing: Collection[UUID], told: Sequence[Group], *, seed: str) -> Group:
    """Which of the willing homes a month counts, `told` being the groups it can be held against.

    Every willing home where that is safe; else a group told before, if all of it is still willing, or all but
    a few left out by lot (the same for the same `seed`), whichever is more. Empty where nothing is safe.
    """
    everybody = frozenset(willing)
    if is_safe(everybody, told):
        return everybody
    again = [group for group in told if group <= everybody and is_safe(group, told)]
    fewer = next(_all_but_some(everybody, told, seed), frozenset())
    return max([*again, fewer], key=len)


def is_safe(group: Group, told: Sequence[Group]) -> bool:
    """Whether the group is large enough, and each told before is the same or differs by enough homes."""
    return len(group) >= LEAST_HOMES and all(
        group == other or len(group ^ other) >= LEAST_HOMES for other in told
    )


def _all_but_some(everybody: Group, told: Sequence[Group], seed: str) -> Iterator[Group]:
    """Safe groups that leave more and more homes out, the largest first."""
    by_lot = sorted(everybody, key=lambda home: hashlib.sha256(f"{seed} {home}".encode()).digest())
    differ = [len(everybody ^ group) for group in told]
    for out, home in enumerate(by_lot[: max(0, len(by_lot) - LEAST_HOMES)], start=1):
        differ = [apart + (1 if home in group else -1) for apart, group in zip(differ, told, strict=True)]
        if all(apart == 0 or apart >= LEAST_HOMES for apart in differ):
            yield everybody.difference(by_lot[:out])


def _day_total(import_wh: Ints, export_wh: Ints) -> DayTotal:
    if len(import_wh) < LEAST_HOMES:
        return DayTotal(withheld=Withheld.TOO_FEW)
    imported = _safe(import_wh)
    if imported is None:
        return DayTotal(withheld=Withheld.STANDS_OUT)
    return DayTotal(len(import_wh), imported, _safe(export_wh))


def _safe(each: Ints) -> int | None:
    """The total in steps, or None when one home makes up too much of it."""
    total = int(each.sum())
    if total and int(each.max()) * 100 > MOST_SHARE_PCT * total:
        return None
    return (total + WH_A_STEP // 2) // WH_A_STEP * WH_A_STEP
