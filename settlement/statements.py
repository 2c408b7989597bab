"""Statements: one for each member and round, its numbers fixed at issue and worked out in the open.

`statement_views` gives pages and files every figure with the readings behind it, from the run's stored rows
and its archive only, never from the readings or the settings of today.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Q

from members.models import Member
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.interval import Interval
from opendsr.kernel.lookups import among
from settlement import archiving, event_views, queries, statement_csv, statement_json
from settlement.archiving import HOMES_A_STRETCH
from settlement.copying import copy_rows
from settlement.event_views import Compared, DeviceLine, EventView
from settlement.models import (
    DeviceEstimate,
    HomeDelivery,
    RoundKind,
    RunArchive,
    SettlementRound,
    SettlementRun,
    Statement,
)
from settlement.reckoning import Input, Measured, measure_homes

COLUMNS = (
    "id", "round_id", "occupancy_id", "member_id", "earned_mp", "previous_mp", "posted_mp", "balance_mp",
    "issued_at",
)  # fmt: skip
MANY = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One household's money in a round, gifts taken off: due now, posted before, and the balance after."""

    occupancy_id: UUID
    earned_mp: int
    previous_mp: int
    balance_mp: int


@dataclass(frozen=True, slots=True)
class StatementView:
    """All a page or a file shows of a statement, as plain values; `events` in order of time."""

    statement_id: UUID
    issued_at: datetime
    member_number: str
    programme: str
    round_number: int
    kind: str
    kind_words: str
    events: tuple[EventView, ...]
    earned_mp: int
    previous_mp: int
    posted_mp: int
    balance_mp: int

    @property
    def is_provisional(self) -> bool:
        """True while the figures may still change and nothing of them can be paid out."""
        return self.kind == RoundKind.PROVISIONAL

    @property
    def is_correction(self) -> bool:
        """True when an earlier round posted something for one of the events."""
        return any(event.is_correction for event in self.events)


def issue(
    *, round: SettlementRound, runs: Sequence[SettlementRun], lines: Sequence[Line], at: datetime
) -> int:
    """Write a statement of the round for every member of each household at its events; how many."""
    starts_at = min(run.campaign.starts_at for run in runs)
    ends_at = max(run.campaign.ends_at for run in runs)
    members_of = _members_of((line.occupancy_id for line in lines), starts_at, ends_at)
    rows = [
        (
            new_uuid(),
            round.pk,
            line.occupancy_id,
            member_id,
            line.earned_mp,
            line.previous_mp,
            line.earned_mp - line.previous_mp,
            line.balance_mp,
            at,
        )
        for line in lines
        for member_id in members_of.get(line.occupancy_id, ())
    ]
    copy_rows(Statement, COLUMNS, rows)
    return len(rows)


def statement_view(statement: Statement) -> StatementView:
    """Every figure of one statement."""
    return statement_views([statement])[0]


def statement_views(statements: Sequence[Statement]) -> list[StatementView]:
    """Every figure of the statements; the number of queries does not depend on how many there are."""
    runs_of: dict[UUID, list[SettlementRun]] = defaultdict(list)
    found = SettlementRun.objects.filter(round__in={each.round_id for each in statements})
    for run in found.select_related("terms", "campaign").order_by("campaign__starts_at", "id"):
        runs_of[run.round_id].append(run)
    runs = [run for some in runs_of.values() for run in some]
    homes = {each.occupancy_id for each in statements}
    lines = _lines([run.pk for run in runs], homes)
    before = _lines([run.replaces_id for run in runs if run.replaces_id], homes)
    wanted = [
        (run, lines[run.pk, each.occupancy_id])
        for each in statements
        for run in runs_of[each.round_id]
        if (run.pk, each.occupancy_id) in lines
    ]
    measured = _measured_homes(wanted)
    devices = _devices([run.campaign_id for run in runs], homes)
    compared: dict[int, tuple[Compared, ...]] = {}
    views = []
    for each in statements:
        events = []
        for run in runs_of[each.round_id]:
            line = lines.get((run.pk, each.occupancy_id))
            earlier = before.get((run.replaces_id, each.occupancy_id)) if run.replaces_id else None
            if line is not None:
                given, result, row = measured[run.pk, line.row]
                if id(given) not in compared:
                    compared[id(given)] = event_views.compare(given)
                view = event_views.event_view(run, line, earlier, given, result, compared[id(given)], row)
                drew = devices.get((run.campaign_id, each.occupancy_id), ())
                events.append(replace(view, devices=tuple(drew)))
        views.append(
            StatementView(
                statement_id=each.pk,
                issued_at=each.issued_at,
                member_number=each.member.number,
                programme=each.round.programme.name,
                round_number=each.round.number,
                kind=each.round.kind,
                kind_words=str(RoundKind(each.round.kind).label),
                events=tuple(events),
                earned_mp=each.earned_mp,
                previous_mp=each.previous_mp,
                posted_mp=each.posted_mp,
                balance_mp=each.balance_mp,
            )
        )
    return views


def delivery_view(line: HomeDelivery) -> EventView:
    """One household's part of one run as a statement shows it; `line` comes with its run, campaign, terms."""
    given, result, row = _measured_homes([(line.run, line)])[line.run_id, line.row]
    return event_views.event_view(line.run, line, None, given, result, event_views.compare(given), row)


def baselines_between(occupancy_ids: Iterable[UUID], interval: Interval) -> dict[datetime, int | None]:
    """Baseline Wh of the settled half-hours in the interval by the runs that stand, all homes together.

    None where one of the homes has no baseline.
    """
    overlapping = queries.approved_runs().filter(
        campaign__starts_at__lt=interval.ends_at, campaign__ends_at__gt=interval.starts_at
    )
    homes = list(occupancy_ids)
    lines = HomeDelivery.objects.filter(run__in=overlapping, occupancy__in=homes).select_related("run")
    newest: dict[tuple[UUID, UUID], HomeDelivery] = {}
    for line in lines.order_by("run__sequence"):
        newest[line.run.campaign_id, line.occupancy_id] = line
    totals: dict[datetime, int | None] = {}
    for given, result, row in _measured_homes([(line.run, line) for line in newest.values()]).values():
        for column, start in enumerate(given.event):
            if not interval.starts_at <= start < interval.ends_at:
                continue
            so_far = totals.get(start, 0)
            has = bool(result.baseline.present[row, column])
            wh = int(result.baseline.wh[row, column])
            totals[start] = so_far + wh if has and so_far is not None else None
    return totals


def home_inputs(
    wanted: Sequence[tuple[SettlementRun, HomeDelivery]],
) -> dict[tuple[UUID, int], tuple[Input, int]]:
    """What each household of a run was computed from, by run and place: an Input and its row in it."""
    by_stretch: dict[tuple[UUID, int], list[int]] = defaultdict(list)
    for run, line in wanted:
        by_stretch[run.pk, line.row - line.row % HOMES_A_STRETCH].append(line.row)
    if not by_stretch:
        return {}
    which = reduce(or_, (Q(run=run_id, first_row=first) for run_id, first in by_stretch))
    found = {}
    for kept in RunArchive.objects.filter(which):
        rows = sorted(set(by_stretch[kept.run_id, kept.first_row]))
        if len(rows) > MANY:
            rows = list(range(kept.first_row, kept.first_row + kept.households))
        given = archiving.unpack(bytes(kept.data), only=[row - kept.first_row for row in rows])
        for place, row in enumerate(rows):
            found[kept.run_id, row] = given, place
    return found


def _measured_homes(
    wanted: Sequence[tuple[SettlementRun, HomeDelivery]],
) -> dict[tuple[UUID, int], tuple[Input, Measured, int]]:
    results: dict[int, Measured] = {}
    found = {}
    for key, (given, place) in home_inputs(wanted).items():
        if id(given) not in results:
            results[id(given)] = measure_homes(given)
        found[key] = given, results[id(given)], place
    return found


def _lines(run_ids: Sequence[UUID], homes: Iterable[UUID]) -> dict[tuple[UUID, UUID], HomeDelivery]:
    found = HomeDelivery.objects.filter(run__in=run_ids, occupancy__in=list(homes))
    return {(line.run_id, line.occupancy_id): line for line in found}


def _devices(
    campaign_ids: Sequence[UUID], homes: Iterable[UUID]
) -> dict[tuple[UUID, UUID], list[DeviceLine]]:
    """What was kept of the homes' devices, by campaign and occupancy, by name."""
    kept = DeviceEstimate.objects.filter(run__campaign__in=campaign_ids, occupancy__in=list(homes))
    columns = ("run__campaign_id", "occupancy_id", "name", "is_measured", "half_hours")
    found: dict[tuple[UUID, UUID], list[DeviceLine]] = defaultdict(list)
    for campaign_id, occupancy_id, name, is_measured, half_hours in kept.order_by("name", "id").values_list(
        *columns
    ):
        pairs = tuple((watts, sure) for watts, sure in half_hours)
        found[campaign_id, occupancy_id].append(DeviceLine(name, is_measured, pairs))
    return found


def _members_of(
    occupancy_ids: Iterable[UUID], starts_at: datetime, ends_at: datetime
) -> dict[UUID, list[UUID]]:
    """Members of each household whose membership overlaps the events."""
    rows = (
        Member.objects.filter(household__occupancies__in=among(occupancy_ids), joined_at__lt=ends_at)
        .filter(Q(left_at__isnull=True) | Q(left_at__gt=starts_at))
        .order_by("number")
        .values_list("household__occupancies__id", "id")
    )
    found: dict[UUID, list[UUID]] = {}
    for occupancy_id, member_id in rows:
        found.setdefault(occupancy_id, []).append(member_id)
    return found


def render_csv(statement: Statement) -> str:
    """The statement as a CSV file's text."""
    return statement_csv.render(statement_view(statement))


def render_json(statement: Statement) -> str:
    """The statement as a JSON file's text, for `verifying.py`."""
    return statement_json.render(statement_view(statement))
