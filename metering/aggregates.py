"""What somebody outside the co-op may see of readings: totals over many homes, never of one.

For partners (landlords) and the public. A total is told for a group of at least LEAST_HOMES homes, none of
which makes up more than MOST_SHARE_PCT of it, for whole Europe/London days that are over, in tenths of a kWh.
A group whose membership differs from one told before by fewer than LEAST_HOMES homes is refused, so that the
difference of two totals is about no fewer homes than a total is (`published`). What this does not cover:
several partners who put their totals together, and what a partner knows of its own homes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from metering import store
from metering.slots import Ints
from metering.store import Flow
from opendsr.kernel.errors import NotAllowed

LEAST_HOMES: Final = 15
MOST_SHARE_PCT: Final = 15
WH_A_STEP: Final = 100


class TooFewHomes(NotAllowed):
    """A total over so few homes would tell of one of them."""

    homes: int
    least: int


class OneHomeStandsOut(NotAllowed):
    """One home makes up so much of the total that it would tell of that home."""

    most_share_pct: int


class TooAlike(NotAllowed):
    """The group differs from one already told by so few homes that the difference would tell of them."""

    differs_by: int
    least: int


@dataclass(frozen=True, slots=True)
class GroupTotal:
    """Energy of a group over whole days; homes without every half-hour are counted apart and left out.

    Export is None when it would tell of one home.
    """

    homes: int
    missing_homes: int
    import_wh: int
    export_wh: int | None


def group_total(
    stream_ids: Sequence[UUID], days: Sequence[date], *, published: Iterable[frozenset[UUID]] = ()
) -> GroupTotal:
    """The group's total over the days, or the refusal that says why not.

    `published` are the sets of streams of totals over any of these days told to the same partner before.
    Raises TooFewHomes, OneHomeStandsOut, TooAlike.
    """
    streams = sorted(set(stream_ids))
    if len(streams) < LEAST_HOMES:
        raise TooFewHomes(homes=len(streams), least=LEAST_HOMES)
    imports = store.day_cube(streams, days, flow=Flow.IMPORT)
    exports = store.day_cube(streams, days, flow=Flow.EXPORT)
    periods = imports.present.any(axis=0).sum()
    whole = imports.present.sum(axis=(1, 2)) == periods
    if int(whole.sum()) < LEAST_HOMES or not periods:
        raise TooFewHomes(homes=int(whole.sum()), least=LEAST_HOMES)
    told = frozenset(stream for stream, is_in in zip(streams, whole.tolist(), strict=True) if is_in)
    for earlier in published:
        differs_by = len(told ^ earlier)
        if 0 < differs_by < LEAST_HOMES:
            raise TooAlike(differs_by=differs_by, least=LEAST_HOMES)
    imported, exported = (_safe(cube.wh[whole].sum(axis=(1, 2))) for cube in (imports, exports))
    if imported is None:
        raise OneHomeStandsOut(most_share_pct=MOST_SHARE_PCT)
    return GroupTotal(len(told), len(streams) - len(told), imported, exported)


def _safe(each: Ints) -> int | None:
    """The total in steps, or None when one home makes up too much of it."""
    total = int(each.sum())
    if total and int(each.max()) * 100 > MOST_SHARE_PCT * total:
        return None
    return (total + WH_A_STEP // 2) // WH_A_STEP * WH_A_STEP
