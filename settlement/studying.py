"""Placebo studies over the co-op's own homes: asked by staff, run by a worker, one lease at a time.

A study reads the store and writes its own row, nothing else. Killed half-way it is taken up again when its
lease has run out, and comes out the same: everything drawn is drawn from its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from celery import current_app
from django.db import transaction
from django.db.models import Q

import campaigns.queries
import members.queries
from campaigns.models import Participation, Programme
from members.models import Occupancy
from metering import rates, store
from opendsr.kernel import audit, clock
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.periods import civil_date
from settlement import rules as room_rules
from settlement import terms
from settlement.baselines import NOTHING_GIVEN, EventDays, Given, placebo
from settlement.baselines.clock import HALF_HOURS_A_DAY, LocalHalfHour
from settlement.baselines.control_group import ControlGroup
from settlement.baselines.placebo import RuleScore, Study
from settlement.baselines.rules import BaselineRule, Method
from settlement.study_models import PlaceboStudy

State = PlaceboStudy.State
QUEUE: Final = "settlement"
TASK: Final = "settlement.tasks.run_placebo_studies"
MOST_HOMES: Final = 2_000
MOST_DAYS: Final = 120
MOST_RULES: Final = 24
LEASE: Final = timedelta(minutes=3)
STEPS_A_NOTE: Final = 20
ENOUGH_TEMPERATURES: Final = 0.9


class StudyInvalid(Invalid):
    """A field of what was asked makes no sense."""

    field: str
    reason: str


class NothingToStudy(DomainError):
    """No home with readings over enough days: the study has nothing to lay an event on."""

    homes: int
    days: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The homes of a study, their streams in the same order."""

    occupancy_ids: tuple[UUID, ...]
    stream_ids: tuple[UUID, ...]


@transaction.atomic
def ask_study(
    *,
    rules: Sequence[str],
    earliest: date,
    latest: date,
    ordinal: int,
    half_hours: int,
    at: datetime,
    by: str,
    programme: Programme | None = None,
    seed: int = 1,
    study_id: UUID | None = None,
) -> PlaceboStudy:
    """Queue a study; the same `study_id` twice is one study. Raises StudyInvalid, rules.UnknownRule.

    `ordinal` is the event's start in half-hours from local midnight.
    """
    if study_id is not None and (found := PlaceboStudy.objects.filter(pk=study_id).first()) is not None:
        return found
    if not rules or len(set(rules)) != len(rules) or len(rules) > MOST_RULES:
        raise StudyInvalid(field="rules", reason=f"choose 1 to {MOST_RULES} different rules")
    if latest < earliest or (latest - earliest).days >= MOST_DAYS:
        raise StudyInvalid(field="latest", reason=f"1 to {MOST_DAYS} days, the last not before the first")
    if not (0 <= ordinal < 48 and 1 <= half_hours <= 12 and ordinal + half_hours <= 48):
        raise StudyInvalid(field="half_hours", reason="1 to 12 half-hours that end by midnight")
    chosen = [room_rules.for_study(name) for name in rules]
    fields: dict[str, Any] = {"id": study_id} if study_id is not None else {}
    study = PlaceboStudy.objects.create(
        **fields,
        programme=programme,
        rules=[rule.as_data() for rule in chosen],
        earliest_date=earliest,
        latest_date=latest,
        ordinal=ordinal,
        half_hours=half_hours,
        seed=seed,
        asked_by=by,
        asked_at=at,
    )
    audit.record(at=at, actor=by, verb="settlement.placebo.asked", target=f"placebo:{study.pk}")
    transaction.on_commit(_wake, robust=True)
    return study


def run_due(*, at: datetime) -> int:
    """Run every study that waits or whose worker went away; how many came to an end."""
    ended = 0
    while (study := _claim()) is not None:
        run_study(study, at=at)
        ended += 1
    return ended


def run_study(study: PlaceboStudy, *, at: datetime) -> PlaceboStudy:
    """Work a claimed study out and write it down; what it cannot do is its `failure`, not an exception."""
    try:
        sample = sample_of(study.programme, at=at, seed=study.seed)
        found = _study(study, sample, at=at)
    except DomainError as error:
        return _finish(study, at=at, state=State.FAILED, failure=str(error)[:300])
    homes = [str(home) for home in sample.occupancy_ids]
    scores = [
        score_as_data(score, homes, is_best=score is found.best, has_temperatures=found.has_temperatures)
        for score in found.scores
    ]
    return _finish(
        study,
        at=at,
        state=State.DONE,
        scores=scores,
        homes=len(sample.occupancy_ids),
        events=len(found.days),
    )


def claim(study_id: UUID) -> PlaceboStudy | None:
    """Take a waiting study for this process; None when somebody else has it or it is over."""
    return _claim(study_id)


def sample_of(programme: Programme | None, *, at: datetime, seed: int) -> Sample:
    """Homes with a meter stream, of a programme those that were ever asked; MOST_HOMES drawn by the seed."""
    stays = Occupancy.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=at), starts_at__lte=at)
    if programme is not None:
        asked = Participation.objects.filter(campaign__programme=programme).values("occupancy_id")
        stays = stays.filter(pk__in=asked)
    streams = members.queries.streams_of(sorted(stays.values_list("pk", flat=True)), at)
    homes = sorted(streams)
    if len(homes) > MOST_HOMES:
        drawn = np.random.default_rng(seed).permutation(len(homes))[:MOST_HOMES]
        homes = [homes[place] for place in sorted(drawn.tolist())]
    return Sample(tuple(homes), tuple(streams[home] for home in homes))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The rule that did best in the newest finished study, and the one the programme is settled by."""

    study: PlaceboStudy
    rule: str
    title: str
    bias_pct: float
    rrmse_pct: float
    rule_in_use: str

    @property
    def is_in_use(self) -> bool:
        return self.rule == self.rule_in_use


def suggestion(programme: Programme) -> Suggestion | None:
    """What the newest finished study of the programme's homes, else of all homes, suggests for it."""
    done = PlaceboStudy.objects.filter(state=State.DONE)
    for studies in (done.filter(programme=programme), done.filter(programme=None)):
        study = studies.order_by("-finished_at", "id").first()
        best = next((score for score in study.scores if score["is_best"]), None) if study else None
        if study is not None and best is not None:
            return Suggestion(
                study=study,
                rule=best["rule"],
                title=best["title"],
                bias_pct=best["bias_pct"],
                rrmse_pct=best["rrmse_pct"],
                rule_in_use=terms.terms_by_id(programme.settlement_terms_id).baseline_rule,
            )
    return None


def _study(study: PlaceboStudy, sample: Sample, *, at: datetime) -> Study:
    asked = [room_rules.study_from_data(data) for data in study.rules]
    half_hours = [LocalHalfHour(study.ordinal + n, 0) for n in range(study.half_hours)]
    reach = 1 + max(
        (
            rule.like.look_back_days if isinstance(rule, ControlGroup) else rule.look_back_days
            for rule in asked
            if isinstance(rule, ControlGroup) or rule.uses_days
        ),
        default=0,
    )
    past = (study.latest_date - study.earliest_date).days + 1
    days = [study.earliest_date + timedelta(days=n) for n in range(-reach, past + 1)]
    if not sample.stream_ids:
        raise NothingToStudy(homes=0, days=past)
    took_part = campaigns.queries.event_days(sample.occupancy_ids)
    event_days = EventDays.of([took_part.get(home, ()) for home in sample.occupancy_ids])
    cube = store.day_cube(sample.stream_ids, days, known_at=at)
    told = _Teller(study)
    latest = min(study.latest_date, civil_date(at) - timedelta(days=1))
    carriers = placebo.pretend_days(asked, cube, half_hours, earliest=study.earliest_date, latest=latest)
    if not carriers or not cube.present.any():
        raise NothingToStudy(homes=len(sample.stream_ids), days=len(carriers))
    return placebo.study(
        asked,
        cube,
        carriers,
        half_hours,
        event_days,
        given=_temperatures(cube.days),
        seed=study.seed,
        progress=told.progress,
    )


def _temperatures(days: Sequence[date]) -> Given:
    """The outdoor temperatures of the days; nothing where most of them are not known."""
    tenths_c, has = rates.temperatures_of(days)
    if has.sum() < ENOUGH_TEMPERATURES * len(days) * HALF_HOURS_A_DAY:
        return NOTHING_GIVEN
    return Given(temperature_tenths_c=tenths_c, has_temperature=has)


@dataclass(slots=True)
class _Teller:
    """Notes how far the study is, each time on its own, and keeps the lease."""

    study: PlaceboStudy

    def progress(self, done: int, total: int) -> None:
        if done % STEPS_A_NOTE and done != total:
            return
        PlaceboStudy.objects.filter(pk=self.study.pk, state=State.RUNNING).update(
            steps_done=done, steps=total, leased_until=clock.wall_now() + LEASE
        )


def _claim(study_id: UUID | None = None) -> PlaceboStudy | None:
    now = clock.wall_now()
    is_due = Q(state=State.QUEUED) | Q(state=State.RUNNING, leased_until__lt=now)
    with transaction.atomic():
        due = PlaceboStudy.objects.select_for_update(skip_locked=True, of=("self",)).filter(is_due)
        if study_id is not None:
            due = due.filter(pk=study_id)
        study = due.order_by("asked_at", "id").first()
        if study is None:
            return None
        study.state, study.leased_until, study.steps_done = State.RUNNING, now + LEASE, 0
        study.save(update_fields=["state", "leased_until", "steps_done"])
        return study


def _finish(study: PlaceboStudy, *, at: datetime, state: State, **fields: object) -> PlaceboStudy:
    """Write the end down; `steps_done` stays where it was told last."""
    PlaceboStudy.objects.filter(pk=study.pk, state=State.RUNNING).update(
        state=state, finished_at=at, leased_until=None, **fields
    )
    study.refresh_from_db()
    return study


def score_as_data(
    score: RuleScore, homes: Sequence[str], *, is_best: bool, has_temperatures: bool = False
) -> dict[str, Any]:
    """A score as plain JSON, homes by the names given; `is_best` marks the rule to suggest."""
    plain = {name: getattr(score, name) for name in RuleScore.__slots__ if name not in ("rule", "by_home")}
    by_home = [[homes[each.stream], each.measured, each.bias_pct, each.rrmse_pct] for each in score.by_home]
    head = {"rule": score.rule.name, "title": score.rule.title, "is_best": is_best}
    if isinstance(score.rule, BaselineRule) and score.rule.method is Method.REGRESSION:
        head["has_temperatures"] = has_temperatures
    return {**head, **plain, "by_home": by_home}


def _wake() -> None:
    current_app.send_task(TASK, queue=QUEUE, expires=60, ignore_result=True)
