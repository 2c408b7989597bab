"""Why a half-hour is missing: one cause of eight, from what is known of the home and around it. Pure.

    us        the site was not at work, or would not speak with the hub
    power     the hub was off, or not heard, and so were most others on its substation
    hub       the hub was off: stopped, crashed, or alone without power
    lan       the hub had no network in the home
    isp       the hub had a network and nobody answered, while the site was at work
    device    the device whose data it is could not be reached
    cad       the hub was heard throughout, so the home had power and network, and the CAD said nothing
    unknown   nothing known settles it: an honest answer, not a rest to hide

What the hub tells goes before what is inferred, our own fault before everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

HALF_HOUR: Final = timedelta(minutes=30)
LEAST_COVERED: Final = timedelta(minutes=5)
"""A spell that takes less of a half-hour does not explain that it is missing."""
LEAST_DARK_HOMES: Final = 3
DARK_SHARE: Final = 0.5

Span = tuple[datetime, datetime]


class Cause(StrEnum):
    """Why data is missing, in the order in which a draw is settled."""

    US = "us"
    POWER = "power"
    HUB = "hub"
    LAN = "lan"
    ISP = "isp"
    DEVICE = "device"
    CAD = "cad"
    UNKNOWN = "unknown"


TOLD: Final[Mapping[str, Cause]] = {
    "refused": Cause.US,
    "no_power": Cause.HUB,
    "crashed": Cause.HUB,
    "stopped": Cause.HUB,
    "no_lan": Cause.LAN,
    "no_internet": Cause.ISP,
}
"""What each kind of spell that a hub tells means, where no more is known."""
OFF: Final = frozenset({"no_power", "silent"})
"""Spells that may be a power cut: they are one when most of the neighbours have one at the same time."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a home. All spans are half-open, in UTC, in any order.

    `spells`: by kind, what its hub told and `silent`, what the site saw; `away`: when the device was out of
    reach whose data it is, where it is one's; `watched`: when a hub was in use and the site looked whether it
    is heard; `is_by_cad`: the data comes through a CAD.
    """

    site_down: Sequence[Span] = ()
    dark: Sequence[Span] = ()
    spells: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    away: Sequence[Span] = ()
    watched: Sequence[Span] = ()
    is_by_cad: bool = False


def cause_of(starts_at: datetime, known: Known) -> Cause:
    """Why the half-hour that begins then is missing."""
    half_hour = (starts_at, starts_at + HALF_HOUR)
    if covered(half_hour, known.site_down) >= LEAST_COVERED:
        return Cause.US
    is_dark = covered(half_hour, known.dark) >= LEAST_COVERED
    shares: dict[Cause, timedelta] = {}
    for kind, cause in TOLD.items():
        lasting = covered(half_hour, known.spells.get(kind, ()))
        if lasting >= LEAST_COVERED:
            told = Cause.POWER if is_dark and kind in OFF else cause
            shares[told] = max(lasting, shares.get(told, timedelta()))
    if shares:
        order = list(Cause)
        return max(shares, key=lambda each: (shares[each], -order.index(each)))
    is_silent = covered(half_hour, known.spells.get("silent", ())) >= LEAST_COVERED
    if is_silent:
        return Cause.POWER if is_dark else Cause.UNKNOWN
    if covered(half_hour, known.away) >= LEAST_COVERED:
        return Cause.DEVICE
    if known.is_by_cad and covered(half_hour, known.watched) >= HALF_HOUR:
        return Cause.CAD
    return Cause.UNKNOWN


def dark_spans(outages: Iterable[tuple[object, Span]], *, homes: int) -> list[Span]:
    """When a place was dark: three homes at least, and half of its `homes` with a hub, off at the same time.

    `outages` are (home, span); those of one home may overlap and count once. In order, never touching.
    """
    merged: dict[object, list[Span]] = {}
    for home, span in outages:
        merged.setdefault(home, []).append(span)
    edges: list[tuple[datetime, int]] = []
    for spans in merged.values():
        for starts_at, ends_at in union(spans):
            edges += [(starts_at, 1), (ends_at, -1)]
    least = max(LEAST_DARK_HOMES, homes * DARK_SHARE)
    found: list[Span] = []
    off, since = 0, None
    for at, step in sorted(edges):
        off += step
        if since is None and off >= least:
            since = at
        elif since is not None and off < least:
            found.append((since, at))
            since = None
    return union(found)


def union(spans: Iterable[Span]) -> list[Span]:
    """The spans joined where they overlap or touch, in order; empty ones are left out."""
    found: list[Span] = []
    for starts_at, ends_at in sorted(span for span in spans if span[0] < span[1]):
        if found and starts_at <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends_at))
        else:
            found.append((starts_at, ends_at))
    return found


def covered(span: Span, others: Sequence[Span]) -> timedelta:
    """How much of the span the others cover together."""
    if not others:
        return timedelta()
    starts_at, ends_at = span
    parts = union((max(starts_at, since), min(ends_at, until)) for since, until in others)
    return sum((until - since for since, until in parts), timedelta())
