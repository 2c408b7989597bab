"""Readiness: whether every event reading of a campaign's paying households is in the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from campaigns.models import Campaign
from opendsr.kernel.periods import civil_date
from settlement import gathering
from settlement.baselines import readings_at
from settlement.reckoning import missing_half_hours


@dataclass(frozen=True, slots=True)
class Readiness:
    """`missing` half-hour starts by occupancy; `without_stream` have no meter stream: waiting cannot help."""

    complete: bool
    households: int
    missing: Mapping[UUID, tuple[datetime, ...]]
    without_stream: frozenset[UUID]

    @property
    def missing_half_hours(self) -> int:
        """How many half-hours are missing, over all households."""
        return sum(len(starts) for starts in self.missing.values())


def readiness_of(campaign: Campaign, *, known_at: datetime | None) -> Readiness:
    """What is missing from the readings known to the store by then (None: by now).

    Households that opted out or were never reached are not waited for: nothing of theirs is paid.
    """
    households = gathering.households_of(campaign)
    event = gathering.event_half_hours(campaign)
    days = sorted({civil_date(start) for start in event})
    cube = gathering.load_cube(households, days, known_at=known_at)
    _, has_reading = readings_at(cube, event)
    missing: dict[UUID, list[datetime]] = defaultdict(list)
    for row, start in missing_half_hours(event, has_reading, households.takes_part):
        missing[households[row].occupancy_id].append(start)
    return Readiness(
        complete=not missing,
        households=len(households),
        missing={occupancy_id: tuple(starts) for occupancy_id, starts in missing.items()},
        without_stream=frozenset(
            households[row].occupancy_id
            for row in np.flatnonzero(households.takes_part & ~households.has_stream).tolist()
        ),
    )
