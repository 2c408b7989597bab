"""Times in which a household takes part in nothing, said ahead: OpenADR's schedule opt. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

LONGEST_ABSENCE = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Absence:
    """[starts_at, ends_at), of some assets or, without `resource_ids`, of all."""

    opt_id: str
    starts_at: datetime
    ends_at: datetime
    resource_ids: tuple[str, ...] = ()

    def is_of(self, resource_id: str) -> bool:
        return not self.resource_ids or resource_id in self.resource_ids


@dataclass(frozen=True, slots=True)
class ScheduleNote:
    """An absence that the VTN has yet to hear of, or that it is over before its time."""

    absence: Absence
    said_at: datetime
    is_cancelled: bool = False


def ended(absences: Iterable[Absence], at: datetime) -> tuple[tuple[Absence, ...], list[ScheduleNote]]:
    """Return the absences with every one ended by `at`, and the notes of those that had not ended."""
    kept, notes = [], []
    for absence in absences:
        if absence.ends_at <= at:
            kept.append(absence)
            continue
        notes.append(ScheduleNote(absence, at, is_cancelled=True))
        if absence.starts_at < at:
            kept.append(replace(absence, ends_at=at))
    return tuple(kept), notes


def is_away(
    absences: Collection[Absence], resource_ids: Collection[str], since: datetime, until: datetime
) -> bool:
    """Return whether each of the assets is away, in one absence, for all of [since, until)."""
    return bool(resource_ids) and all(
        any(each.is_of(name) and each.starts_at <= since and each.ends_at >= until for each in absences)
        for name in resource_ids
    )
