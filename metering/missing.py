"""Missing half-hours by cause: of one home as it stands, and of a whole day, noted once, over all homes.

What is known comes from the hubs' journals and the site's own watch (`assets.journals`); which half-hours are
missing from the store, of streams that may be stored only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

import assets.queries
import members.queries
from assets import journals
from metering import permits, store
from metering.causes import OFF, Cause, Known, Span, cause_of, dark_spans
from metering.models import MissingDay
from opendsr.kernel.periods import civil_date, day_interval, period_count, period_starts

DAYS_SHOWN: Final = 14
PIECE: Final = 2_000


@dataclass(frozen=True, slots=True)
class DayCauses:
    """One day of a home or of all: half-hours expected and missing, by cause."""

    day: date
    expected: int
    causes: Mapping[Cause, int]

    @property
    def missing(self) -> int:
        return sum(self.causes.values())


FEW: Final = 50
"""Of so many homes the neighbours at their substations are read, and not the whole site."""


def of_home(home_id: UUID, *, at: datetime, days: int = DAYS_SHOWN) -> list[DayCauses]:
    """The last whole days of the household that lives in a home, newest first, as the store knows them now.

    Days for which half-hours may not be kept throughout are left out.
    """
    stay = members.queries.current_occupancies([home_id], at).get(home_id)
    streams = [] if stay is None else [each.pk for each in members.queries.streams_of_occupancy(stay.pk)]
    if not streams:
        return []
    dates = [civil_date(at) - timedelta(days=number) for number in range(1, days + 1)]
    starts_at, ends_at = day_interval(dates[-1]).starts_at, day_interval(dates[0]).ends_at
    known = known_of({home_id}, starts_at, ends_at)[home_id]
    present = store.day_cube(streams, dates).present
    found = []
    for number, day in enumerate(dates):
        starts = period_starts(day)
        kept = permits.throughout(streams, day_interval(day))
        counts: Counter[Cause] = Counter()
        for stream, row in zip(streams, present[:, number, : len(starts)].tolist(), strict=True):
            if stream in kept:
                counts.update(_causes(starts, row, known))
        if kept:
            found.append(DayCauses(day, len(starts) * len(kept), dict(counts)))
    return found


@transaction.atomic
def count_day(day: date, streams: Sequence[UUID], *, known_at: datetime) -> dict[Cause, int]:
    """Note what the day lacks by cause, as the store knew it by `known_at`; a day noted before stays."""
    if MissingDay.objects.filter(day=day).exists():
        return {}
    counts: Counter[Cause] = Counter()
    interval, starts = day_interval(day), period_starts(day)
    home_of = members.queries.home_ids_of_streams(streams)
    known = known_of(set(home_of.values()), interval.starts_at, interval.ends_at)
    for first in range(0, len(streams), PIECE):
        piece = streams[first : first + PIECE]
        present = store.day_cube(piece, [day], known_at=known_at).present[:, 0, : period_count(day)]
        for stream, row in zip(piece, present.tolist(), strict=True):
            counts.update(_causes(starts, row, known[home_of[stream]]))
    MissingDay.objects.bulk_create(
        MissingDay(day=day, cause=cause.value, half_hours=counts.get(cause, 0)) for cause in Cause
    )
    return dict(counts)


def totals(*, at: datetime, days: int = DAYS_SHOWN) -> list[DayCauses]:
    """The days noted of the last weeks, newest first; `expected` is not known here and 0."""
    since = civil_date(at) - timedelta(days=days + 4)
    found: dict[date, dict[Cause, int]] = {}
    for row in MissingDay.objects.filter(day__gte=since).order_by("-day"):
        found.setdefault(row.day, {})[Cause(row.cause)] = row.half_hours
    return [DayCauses(day, 0, causes) for day, causes in list(found.items())[:days]]


def known_of(home_ids: Collection[UUID], starts_at: datetime, ends_at: datetime) -> dict[UUID, Known]:
    """What is known of each of the homes over [starts_at, ends_at), some statements for any number."""
    down, up = journals.site_down(starts_at, ends_at), journals.site_up(starts_at, ends_at)
    is_few = len(home_ids) <= FEW
    places = members.queries.substations(beside=home_ids if is_few else None)
    read = {*home_ids, *places} if is_few else None
    spells = journals.spells_between(starts_at, ends_at, home_ids=read)
    hubs = journals.hubs_in_use(starts_at, ends_at, home_ids=read)
    by_cad = assets.queries.homes_with_cad(starts_at, ends_at)
    dark = _dark(spells, places, hubs)
    of_home: dict[UUID, dict[str, list[Span]]] = {}
    for spell in spells:
        of_home.setdefault(spell.home_id, {}).setdefault(spell.cause, []).append(
            (spell.starts_at, spell.ends_at)
        )
    return {
        home_id: Known(
            site_down=down,
            dark=dark.get(places.get(home_id, ""), ()),
            spells=of_home.get(home_id, {}),
            # A meter behind a CAD is no device of the hub's: `away` is told of those only.
            away=() if home_id in by_cad else of_home.get(home_id, {}).get("away", ()),
            watched=_both(hubs.get(home_id, ()), up),
            is_by_cad=home_id in by_cad,
        )
        for home_id in home_ids
    }


def _causes(starts: Sequence[datetime], present: Sequence[bool], known: Known) -> Iterator[Cause]:
    for start, is_there in zip(starts, present, strict=True):
        if not is_there:
            yield cause_of(start, known)


def _both(spans: Iterable[tuple[datetime, datetime | None]], others: Sequence[Span]) -> list[Span]:
    """Where both are: an open span reaches as far as the others do."""
    parts = [
        (max(since, begins), ends if until is None else min(until, ends))
        for since, until in spans
        for begins, ends in others
    ]
    return [span for span in parts if span[0] < span[1]]


def _dark(
    spells: Iterable[journals.Spell], places: Mapping[UUID, str], hubs: Collection[UUID]
) -> dict[str, list[Span]]:
    homes = Counter(place for home_id, place in places.items() if home_id in hubs)
    outages: dict[str, list[tuple[object, Span]]] = {}
    for spell in spells:
        place = places.get(spell.home_id)
        if place and spell.cause in OFF:
            outages.setdefault(place, []).append((spell.home_id, (spell.starts_at, spell.ends_at)))
    return {place: dark_spans(spans, homes=homes[place]) for place, spans in outages.items()}
