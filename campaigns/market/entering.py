"""What the portfolio may enter: for each kind of market, what it could surely give against what is wanted.

Looked at for the next evening at five o'clock, UK time, that leaves the notice: at the shortest and at the
longest that may be asked, everywhere. Each look plans the whole portfolio, so what was found is kept for six
hours; the worker looks before anybody asks (`campaigns.tasks.forecast_flexibility`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from campaigns import rules, selecting
from campaigns.models import Campaign, Direction, MarketPreset, Programme, UseCase, ZoneKind
from campaigns.servicing import sending_at_once
from opendsr.kernel import keeping
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import LONDON

EVENING: Final = time(17)
KEPT: Final = "campaigns:what-we-may-enter"
LASTS: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Sure:
    """What the portfolio would surely give, of how many assets in how many homes."""

    watts: int
    assets: int
    homes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of market for so long, what is sure of it against the preset's least size, as of `at`."""

    preset: MarketPreset
    direction: str
    interval: Interval
    sure: Sure
    at: datetime

    @property
    def may(self) -> bool:
        """Whether what is sure reaches the least size."""
        return self.sure.watts >= self.preset.least_w

    @property
    def lacks_w(self) -> int:
        """What it lacks of the least size."""
        return max(0, self.preset.least_w - self.sure.watts)

    @property
    def homes_wanted(self) -> int | None:
        """How many homes more, each like those there are; None where there are none to go by."""
        if not self.sure.homes or not self.sure.watts:
            return None
        return -(-self.lacks_w * self.sure.homes // self.sure.watts)


def entries(*, at: datetime) -> list[Entry]:
    """Every kind of market, both directions, shortest and longest; what is not known lately is worked out."""
    programme = Programme.objects.filter(use_case=UseCase.MARKET).order_by("pk").first()
    if programme is None:
        return []
    looks = list(_looks(at))
    found = keeping.kept_each(
        KEPT,
        [(direction, interval) for _, direction, interval in looks],
        at=at,
        lasts=LASTS,
        work=lambda missing: {each: _sure(programme, *each, at=at) for each in missing},
    )
    return [
        Entry(preset, direction, interval, *found[direction, interval])
        for preset, direction, interval in looks
    ]


def forget() -> None:
    """The next to ask has all of it worked out anew."""
    keeping.forget(KEPT)


def _looks(at: datetime) -> Iterator[tuple[MarketPreset, str, Interval]]:
    for preset in MarketPreset.objects.order_by("name"):
        starts_at = _next_evening(at + timedelta(minutes=preset.notice_minutes))
        for direction in Direction.values:
            for minutes in sorted({preset.least_minutes, preset.most_minutes}):
                yield preset, direction, Interval(starts_at, starts_at + timedelta(minutes=minutes))


def _sure(programme: Programme, direction: str, interval: Interval, *, at: datetime) -> Sure:
    campaign = Campaign(
        programme=programme,
        direction=direction,
        zone_kind=ZoneKind.EVERYWHERE,
        zone="",
        size_w=1,
        starts_at=interval.starts_at,
        ends_at=interval.ends_at,
    )
    found = sending_at_once.look(campaign, at=at)
    total_w = sum(offer.expected_w for offer in found.offers)
    if not total_w:
        return Sure(0, 0, 0)
    chosen = selecting.select(
        found.offers, size_w=total_w, rule=rules.in_force(), stagger_seconds=campaign.spread_seconds
    )
    homes = {found.able[number].home_id for number in chosen.chosen}
    return Sure(chosen.sure_w, len(chosen.chosen), len(homes))


def _next_evening(earliest: datetime) -> datetime:
    local = earliest.astimezone(LONDON)
    day = local.date() if local.time() <= EVENING else local.date() + timedelta(days=1)
    return datetime.combine(day, EVENING, LONDON).astimezone(earliest.tzinfo)
