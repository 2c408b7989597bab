"""What else was done for a home: insulation, solar, advice; entered by staff, and taken back if by mistake.

A note may be about people: it is sealed with the home's key and goes when the household of its time is
erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from assets.registry_models import HomeMeasure
from members import entry
from members.models import Home, Occupancy
from opendsr.kernel import audit
from opendsr.kernel.errors import NotFound
from opendsr.kernel.periods import civil_date


class MeasureNotFound(NotFound):
    """No such measure in this home."""

    measure_id: str


@transaction.atomic
def add_measure(
    *,
    home: Home,
    kind: str,
    done_on: date,
    installer: str,
    note: str,
    at: datetime,
    by: str,
    ended_on: date | None = None,
) -> HomeMeasure:
    """Note a measure or service of the home. Raises InvalidField."""
    if done_on > civil_date(at):
        raise entry.InvalidField(field="done_on", problem="in_the_future")
    if ended_on is not None and ended_on < done_on:
        raise entry.InvalidField(field="ended_on", problem="before_it_began")
    measure = HomeMeasure.objects.create(
        home=home,
        kind=entry.choice(HomeMeasure.Kind, kind, "kind").value,
        done_on=done_on,
        ended_on=ended_on,
        installer=entry.one_line(installer, field="installer", longest=120, may_be_empty=True),
        note=entry.one_line(note, field="note", longest=500, may_be_empty=True),
        added_at=at,
        added_by=by,
    )
    detail = {"measure": str(measure.pk), "kind": measure.kind}
    audit.record(at=at, actor=by, verb="home.measure_added", target=f"home:{home.pk}", detail=detail)
    return measure


@transaction.atomic
def remove_measure(*, home: Home, measure_id: UUID, at: datetime, by: str) -> HomeMeasure:
    """Take back what was entered by mistake; pressed again, nothing changes. Raises MeasureNotFound."""
    return _set_removed(home, measure_id, at, at, by)


@transaction.atomic
def restore_measure(*, home: Home, measure_id: UUID, at: datetime, by: str) -> HomeMeasure:
    """Put back what was taken back. Raises MeasureNotFound."""
    return _set_removed(home, measure_id, None, at, by)


@transaction.atomic
def forget_notes(*, occupancy_ids: Sequence[UUID]) -> int:
    """Blank the notes written during these stays; how many. What was done to the home stays."""
    count = 0
    for stay in Occupancy.objects.filter(pk__in=list(occupancy_ids)).order_by("pk"):
        rows = HomeMeasure.objects.filter(home_id=stay.home_id, added_at__gte=stay.starts_at)
        if stay.ends_at is not None:
            rows = rows.filter(added_at__lte=stay.ends_at)
        count += rows.update(note="")
    return count


def measures_of(home_id: UUID) -> list[HomeMeasure]:
    """Every measure and service of the home, newest first, those taken back after the others."""
    rows = list(HomeMeasure.objects.filter(home_id=home_id).order_by("-done_on", "-added_at"))
    return sorted(rows, key=lambda each: each.removed_at is not None)


def _set_removed(
    home: Home, measure_id: UUID, removed_at: datetime | None, at: datetime, by: str
) -> HomeMeasure:
    measure = HomeMeasure.objects.select_for_update().filter(pk=measure_id, home=home).first()
    if measure is None:
        raise MeasureNotFound(measure_id=str(measure_id))
    if (measure.removed_at is None) != (removed_at is None):
        measure.removed_at = removed_at
        measure.save(update_fields=["removed_at"])
        verb = "home.measure_restored" if removed_at is None else "home.measure_removed"
        detail = {"measure": str(measure.pk), "kind": measure.kind}
        audit.record(at=at, actor=by, verb=verb, target=f"home:{home.pk}", detail=detail)
    return measure
