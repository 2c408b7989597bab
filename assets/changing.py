"""Changes of many rows at once: previewed row by row, applied in pieces, taken back as a whole.

A preview is stored: what is applied is what was seen, each row from the value it had to the one it gets.
A row that moved on in the meantime is refused and changes nothing; the others go through. Each piece is one
transaction of the outbox, so that a worker killed half-way goes on where it stood. What each field is lies
in `change_fields`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from assets import change_fields
from assets.change_fields import FIELDS, Field, Refused, Target
from assets.registry_models import ChangeRow, ChangeSet
from members import entry
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError, Invalid, NotFound

STEP: Final = "assets.change.step"
PIECE: Final = 200
MOST_ROWS: Final = 20_000
State, RowState = ChangeSet.State, ChangeRow.State


class ChangeNotFound(NotFound):
    """No such change."""

    change_id: str


class ChangeNotAtThatStep(DomainError):
    """Only a previewed change is applied or discarded, only an applied one taken back."""

    state: str


class NothingChosen(Invalid):
    """Nothing fits what was chosen, so there is nothing to change."""

    field: str


class TooManyChosen(Invalid):
    """More rows than one change may have."""

    field: str
    most: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row as it was chosen: the serial number or id it goes by, and its value where it has its own."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a change is: rows by state."""

    planned: int
    refused: int
    applied: int
    undone: int
    kept: int

    @property
    def all(self) -> int:
        return self.planned + self.refused + self.applied + self.undone + self.kept

    @property
    def moved(self) -> int:
        """Rows dealt with: of one being taken back those taken back or kept, of others all that wait not."""
        taken_back = self.undone + self.kept
        return taken_back or self.all - self.planned


@transaction.atomic
def preview(
    *,
    field: str,
    value: str,
    chosen: str,
    why: str,
    at: datetime,
    by: str,
    targets: Sequence[Target] = (),
    wanted: Sequence[Wanted] = (),
) -> ChangeSet:
    """Keep what would change: of `targets` found by narrowing, or of rows named one by one.

    Changes nothing else. Raises InvalidField for the field, the value or the reason, NothingChosen,
    TooManyChosen.
    """
    kind = FIELDS.get(field)
    if kind is None:
        raise entry.InvalidField(field="field", problem="not_a_choice")
    value = entry.one_line(value, field="value", longest=80, may_be_empty=True)
    change = ChangeSet(
        field=field,
        value=value,
        chosen=chosen[:300],
        why=entry.one_line(why, field="why", longest=200),
        made_at=at,
        made_by=by,
        changed_at=at,
    )
    if not any(each.value is not None for each in wanted) or targets:
        _require_fit(kind, value)
    count = len(targets) + len(wanted)
    if not count:
        raise NothingChosen(field="value")
    if count > MOST_ROWS:
        raise TooManyChosen(field="value", most=MOST_ROWS)
    change.save()
    pairs: list[tuple[str, Target | None, str]] = [(each.name, each, value) for each in targets]
    found = change_fields.named(kind, [each.name for each in wanted]) if wanted else {}
    for each in wanted:
        pairs.append((each.name, found.get(each.name), value if each.value is None else each.value))
    ChangeRow.objects.bulk_create(_rows(change, kind, pairs, at), batch_size=1_000)
    detail = {"field": field, "value": value, "rows": count, "why": change.why}
    audit.record(at=at, actor=by, verb="change.previewed", target=f"change:{change.pk}", detail=detail)
    return change


@transaction.atomic
def apply_change(*, change_id: UUID, at: datetime, by: str) -> ChangeSet:
    """Begin to apply it, a piece at a time. Raises ChangeNotFound, ChangeNotAtThatStep."""
    return _begin(change_id, State.PREVIEWED, State.APPLYING, at, by)


@transaction.atomic
def undo_change(*, change_id: UUID, at: datetime, by: str) -> ChangeSet:
    """Begin to take it back: each row that still has the value it was given gets the one before.

    Raises ChangeNotFound, ChangeNotAtThatStep.
    """
    return _begin(change_id, State.APPLIED, State.UNDOING, at, by)


@transaction.atomic
def discard_change(*, change_id: UUID, at: datetime, by: str) -> ChangeSet:
    """Drop a preview. Raises ChangeNotFound, ChangeNotAtThatStep."""
    change = _locked(change_id, State.PREVIEWED)
    return _move(change, State.DISCARDED, at, by)


@transaction.atomic
def step(*, change_id: UUID, at: datetime) -> int:
    """Do the next piece of a change that is under way; how many rows. Records the next step, or ends it."""
    change = ChangeSet.objects.select_for_update().filter(pk=change_id).first()
    if change is None or change.state not in (State.APPLYING, State.UNDOING):
        return 0
    is_undo = change.state == State.UNDOING
    waiting = RowState.APPLIED if is_undo else RowState.PLANNED
    rows = list(
        ChangeRow.objects.select_for_update()
        .filter(change_set=change, state=waiting)
        .order_by("number")[: PIECE + 1]
    )
    piece = rows[:PIECE]
    _do(change, piece, is_undo=is_undo, at=at)
    if len(rows) > PIECE:
        change.changed_at = at
        change.save(update_fields=["changed_at"])
        outbox.record(STEP, at=at, change_id=change.pk)
    else:
        _move(change, State.UNDONE if is_undo else State.APPLIED, at, "system")
    return len(piece)


def progress(change: ChangeSet) -> Progress:
    """How far it is."""
    counts = dict(
        ChangeRow.objects.filter(change_set=change).values_list("state").annotate(n=Count("pk")).order_by()
    )
    return Progress(**{state.value: counts.get(state.value, 0) for state in RowState})


def _rows(
    change: ChangeSet, kind: Field, pairs: Iterable[tuple[str, Target | None, str]], at: datetime
) -> list[ChangeRow]:
    rows, seen = [], set()
    for number, (name, target, value) in enumerate(pairs, start=1):
        row = ChangeRow(
            change_set=change,
            number=number,
            name=name[:80],
            state=RowState.PLANNED,
            changed_at=at,
            after=value[:80],
        )
        if target is not None:
            row.home_id, row.target_id, row.before = target.home_id, target.id, target.before[:80]
        try:
            if target is None:
                raise Refused("not_found")
            if target.id in seen:
                raise Refused("twice")
            seen.add(target.id)
            row.after = kind.fit(value, target)
            if row.after == row.before:
                raise Refused("unchanged")
        except Refused as refusal:
            row.state, row.why = RowState.REFUSED, refusal.code
        rows.append(row)
    return rows


def _require_fit(kind: Field, value: str) -> None:
    """Refuse a value that no row could take, before a preview of nothing but refusals is made."""
    try:
        kind.read(value)
    except Refused as refusal:
        raise entry.InvalidField(field="value", problem=refusal.code) from None


def _do(change: ChangeSet, rows: Sequence[ChangeRow], *, is_undo: bool, at: datetime) -> None:
    kind = FIELDS[change.field]
    by = f"change:{change.pk}"
    now = change_fields.current(kind, [row.target_id for row in rows if row.target_id is not None])
    ended: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        held, wanted = (row.after, row.before) if is_undo else (row.before, row.after)
        target = now.get(row.target_id) if row.target_id is not None else None
        try:
            if target is None or target.before[:80] != held:
                raise Refused("moved_on")
            with transaction.atomic():
                kind.write(target, wanted, at, by)
            end = (RowState.UNDONE if is_undo else RowState.APPLIED).value, ""
        except (Refused, DomainError) as refusal:
            end = (RowState.KEPT if is_undo else RowState.REFUSED).value, refusal.code[:200]
        ended.setdefault(end, []).append(row.pk)
    for (state, why), keys in ended.items():
        ChangeRow.objects.filter(pk__in=keys).update(state=state, why=why, changed_at=at)
    kind.afterwards(list(now.values()), at)


def _begin(
    change_id: UUID, needed: ChangeSet.State, following: ChangeSet.State, at: datetime, by: str
) -> ChangeSet:
    change = _move(_locked(change_id, needed), following, at, by)
    outbox.record(STEP, at=at, change_id=change.pk)
    return change


def _move(change: ChangeSet, state: ChangeSet.State, at: datetime, by: str) -> ChangeSet:
    change.state, change.changed_at = state, at
    change.save(update_fields=["state", "changed_at"])
    audit.record(
        at=at,
        actor=by,
        verb=f"change.{state.value}",
        target=f"change:{change.pk}",
        detail={"field": change.field, "value": change.value},
    )
    return change


def _locked(change_id: UUID, needed: ChangeSet.State) -> ChangeSet:
    change = ChangeSet.objects.select_for_update().filter(pk=change_id).first()
    if change is None:
        raise ChangeNotFound(change_id=str(change_id))
    if change.state != needed:
        raise ChangeNotAtThatStep(state=change.state)
    return change
