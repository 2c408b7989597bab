"""What a UFTP message's numbers mean in the market's own words: direction, W by half-hour, pounds. Pure.

An ISP is a half-hour of the message's Period, a Europe/London day, counted from 1: 46, 48 or 50 of them.
Above 0 power flows towards the prosumer (UFTP 3.1, Power); MinPower and MaxPower bound how far to deviate
from the baseline. Buyers differ in what they send, so the sign is in the buyer's terms (`UftpSign`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final, TypeVar

from campaigns.uftp import wire
from campaigns.uftp.wire import Element
from campaigns.uftp_models import UftpSign
from opendsr.kernel.errors import DomainError
from opendsr.kernel.money import MP_PER_POUND
from opendsr.kernel.periods import period_count, period_of, period_start

T = TypeVar("T")
TURN_DOWN, TURN_UP = "turn_down", "turn_up"
PRICE_STEP: Final = Decimal("0.0001")
FACTOR_STEP: Final = Decimal("0.01")
DURATIONS: Final = frozenset({"PT30M", "PT1800S", "PT0H30M"})


class Rejected(DomainError):
    """A message that is read and not taken: `reason` in the specification's words, `detail` in ours."""

    reason: str
    detail: str

    @property
    def words(self) -> str:
        """Both, as the sender is told."""
        return f"{self.reason}: {self.detail}"[:400] if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class Space:
    """A half-hour of a FlexRequest: what is asked for (or, not `is_requested`, free), in W."""

    is_requested: bool
    least_w: int
    most_w: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A FlexRequest's need: W by half-hour from ISP `first`, 0 in between where nothing is asked."""

    direction: str
    first: int
    profile_w: tuple[int, ...]


def require_market(root: Element) -> date:
    """The message's Period, once its ISPs are half-hours of UK days; raises Rejected, NotUftp."""
    duration = wire.text(root, "ISP-Duration")
    if duration not in DURATIONS:
        raise Rejected(reason="ISP Duration Rejected", detail=f"PT30M, not {duration[:20]}")
    zone = wire.text(root, "TimeZone")
    if zone != wire.TIME_ZONE:
        raise Rejected(reason="TimeZone Rejected", detail=f"{wire.TIME_ZONE}, not {zone[:40]}")
    return wire.day(root, "Period")


def by_isp(elements: Sequence[Element], day: date, value: Callable[[Element], T]) -> dict[int, T]:
    """What each ISP says, one entry a half-hour; raises Rejected where one does not exist or comes twice."""
    found: dict[int, T] = {}
    for element in elements:
        first, length = wire.whole(element, "Start"), wire.whole(element, "Duration", otherwise=1)
        if first < 1 or length < 1 or first + length - 1 > period_count(day):
            detail = f"{day} has ISPs 1 to {period_count(day)}"
            raise Rejected(reason="ISPs Out Of Bounds", detail=detail)
        told = value(element)
        for isp in range(first, first + length):
            if isp in found:
                raise Rejected(reason="ISP Conflict", detail=f"ISP {isp} comes twice")
            found[isp] = told
    if not found:
        raise Rejected(reason="ISPs Out Of Bounds", detail="name at least one ISP")
    return found


def space(element: Element) -> Space:
    """An ISP of a FlexRequest."""
    return Space(
        is_requested=wire.optional(element, "Disposition") == "Requested",
        least_w=wire.whole(element, "MinPower"),
        most_w=wire.whole(element, "MaxPower"),
    )


def power(element: Element) -> int:
    """The power of an ISP, W."""
    return wire.whole(element, "Power")


def asked(spaces: Mapping[int, Space], *, sign: UftpSign) -> Asked:
    """What is asked: for each requested half-hour the farther bound; raises Rejected where it is unclear."""
    towards: dict[int, int] = {}
    for isp, each in sorted(spaces.items()):
        if not each.is_requested:
            continue
        if each.least_w > each.most_w:
            raise Rejected(reason="Invalid Message", detail=f"ISP {isp}: MinPower is above MaxPower")
        if each.least_w < 0 < each.most_w:
            raise Rejected(reason="Invalid Message", detail=f"ISP {isp} asks for more and for less at once")
        towards[isp] = max(each.least_w, each.most_w, key=abs)
    wanted = {isp: power_w for isp, power_w in towards.items() if power_w}
    if not wanted:
        raise Rejected(reason="Invalid Message", detail="no ISP asks for power (Disposition Requested)")
    if len({power_w > 0 for power_w in wanted.values()}) > 1:
        raise Rejected(
            reason="Invalid Message", detail="it asks for more and for less: send a request for each"
        )
    first, latest = min(wanted), max(wanted)
    is_positive = wanted[first] > 0
    return Asked(
        direction=TURN_UP if is_positive == (sign == UftpSign.DEVIATION) else TURN_DOWN,
        first=first,
        profile_w=tuple(abs(wanted.get(isp, 0)) for isp in range(first, latest + 1)),
    )


def signed_w(power_w: int, *, direction: str, sign: UftpSign) -> int:
    """A power of ours as the buyer writes it."""
    return power_w if (direction == TURN_UP) == (sign == UftpSign.DEVIATION) else -power_w


def isps_of(
    starts_at: datetime, profile_w: Sequence[int], *, direction: str, sign: UftpSign
) -> tuple[date, list[tuple[int, int, int]]]:
    """A profile as (first ISP, how many, power): the day and the stretches of one power, zeros left out."""
    day, first = period_of(starts_at)
    stretches, at = [], first
    for power_w, run in itertools.groupby(profile_w):
        length = len(list(run))
        if power_w:
            stretches.append((at, length, signed_w(power_w, direction=direction, sign=sign)))
        at += length
    return day, stretches


def start_of(day: date, isp: int) -> datetime:
    """When an ISP begins, UTC."""
    return period_start(day, isp)


def pounds(amount_mp: int) -> Decimal:
    """Pounds of millipence, rounded down to the four places that a price has."""
    return (Decimal(amount_mp) / MP_PER_POUND).quantize(PRICE_STEP, ROUND_DOWN)


def least_factor(offered_w: Sequence[int], least_w: int) -> Decimal:
    """How small a part of an offer may be ordered: what keeps its peak at the market's least size."""
    peak_w = max(offered_w, default=0)
    if not 0 < least_w < peak_w:
        return Decimal("1.00")
    return max(FACTOR_STEP, (Decimal(least_w) / peak_w).quantize(FACTOR_STEP, ROUND_UP))
