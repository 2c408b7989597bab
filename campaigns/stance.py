"""What a participation's opts add up to: every yes and no in time order, the newest one deciding.

Pure. `opting.py` keeps the records and turns the stance into the participation's state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from campaigns.models import OptRecord

PEOPLE: Final = frozenset({OptRecord.Source.PORTAL, OptRecord.Source.STAFF})
# OpenADR 2.0b optReason of a button pressed at the device.
OVERRIDE_REASON: Final = "overrideStatus"


class Stance(StrEnum):
    """Where a participation stands."""

    UNDECIDED = "undecided"
    IN = "in"
    OUT = "out"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True)
class Said:
    """One yes ("in") or no ("out"); `sequence` orders what came the same way at the same instant."""

    opt: str
    source: str
    reason: str
    received_at: datetime
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Standpoint:
    """The stance, and whether a person's no on a page or by staff is behind it."""

    stance: Stance = Stance.UNDECIDED
    is_by_people: bool = False


def standpoint(said: Iterable[Said], *, starts_at: datetime) -> Standpoint:
    """Fold the opts, in whatever order they come and however often, into where the participation stands.

    A no before the start is OUT. One from then on is OVERRIDDEN when the asset was taking part, by a page, by
    staff or with the override reason; otherwise OUT. A hub's yes never undoes a person's no: it may be the
    answer to the very message that carries it. A person's yes leaves it to the hub to answer again.
    """
    now = Standpoint()
    for each in sorted(set(said), key=_order):
        now = _after(now, each, starts_at)
    return now


def _order(each: Said) -> tuple[datetime, bool, int, str, str, str]:
    """By time; at the same instant a hub's word answers a person's."""
    is_hub = each.source not in PEOPLE
    return (each.received_at, is_hub, each.sequence, each.opt, each.source, each.reason)


def _after(now: Standpoint, each: Said, starts_at: datetime) -> Standpoint:
    is_person = each.source in PEOPLE
    is_out = now.stance in (Stance.OUT, Stance.OVERRIDDEN)
    if each.opt == OptRecord.Opt.OUT:
        if is_out:
            return Standpoint(now.stance, is_by_people=now.is_by_people or is_person)
        is_override = each.received_at >= starts_at and (
            is_person
            or now.stance is Stance.IN
            or each.reason == OVERRIDE_REASON
            or each.source == OptRecord.Source.MEMBER_BUTTON
        )
        return Standpoint(Stance.OVERRIDDEN if is_override else Stance.OUT, is_by_people=is_person)
    if is_person:
        return Standpoint()
    return now if is_out and now.is_by_people else Standpoint(Stance.IN)
