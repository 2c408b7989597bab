"""A release goes out: to a few hubs first, to more once those are well, and no further when it fails.

Hubs come in the order of a hash of release and serial, so that other hubs go first each time. A stage is over
once it has lasted its time and every hub of it that is in contact has the update; the first failures halt it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from assets import journals, shadowing, vtn_door
from assets.models import Hub, Release, Rollout, RolloutHub
from assets.updating import FAILURES, FORGIVEN, INSTALLED, OFFERED, standing, told_of
from opendsr.kernel import audit, clock
from opendsr.kernel.errors import DomainError, NotFound

STAGES: Final = (1, 10, 100)
STAGE_HOURS: Final = 24
MOST_FAILURES_SHARE: Final = 0.05
SILENT: Final = timedelta(hours=24)
"""A hub not heard for so long (wall time) is not waited for: it has the update when it comes back."""
MOST_CONFIG: Final = 20_000


class RolloutNotFound(NotFound):
    """No such rollout."""

    rollout_id: str


class RolloutOver(DomainError):
    """It is halted or finished: a halted one goes on by `resume`."""

    state: str


@transaction.atomic
def begin(*, release: Release, at: datetime, by: str) -> Rollout:
    """Offer a release to the first hubs. A second begin of the same changes nothing."""
    rollout, is_new = Rollout.objects.get_or_create(
        release=release,
        defaults={"stage_percent": STAGES[0], "stage_began_at": at, "began_at": at, "began_by": by},
    )
    if is_new:
        audit.record(at=at, actor=by, verb="update.begun", target=f"release:{release.pk}", detail={})
        _offer(rollout, at)
    return rollout


@transaction.atomic
def halt(*, rollout_id: UUID, why: str, at: datetime, by: str) -> Rollout:
    """Offer it to nobody any more; hubs that have it keep it. Raises RolloutNotFound, RolloutOver."""
    rollout = _locked(rollout_id)
    if rollout.state != Rollout.State.RUNNING:
        raise RolloutOver(state=rollout.state)
    _halt(rollout, why, at, by)
    return rollout


@transaction.atomic
def resume(*, rollout_id: UUID, at: datetime, by: str) -> Rollout:
    """Go on with a halted rollout: failures so far are forgiven. Raises RolloutNotFound, RolloutOver."""
    rollout = _locked(rollout_id)
    if rollout.state != Rollout.State.HALTED:
        raise RolloutOver(state=rollout.state)
    rollout.hubs.filter(state__in=FAILURES).update(state=FORGIVEN, changed_at=at)
    rollout.state, rollout.halted_why, rollout.stage_began_at = Rollout.State.RUNNING, "", at
    rollout.save()
    audit.record(at=at, actor=by, verb="update.resumed", target=f"rollout:{rollout.pk}", detail={})
    return rollout


@transaction.atomic
def advance(*, at: datetime, stage_hours: float = STAGE_HOURS) -> list[Rollout]:
    """Take every running rollout on whose stage is over; return those that moved."""
    moved = []
    for rollout in Rollout.objects.select_for_update().filter(state=Rollout.State.RUNNING):
        if at - rollout.stage_began_at < timedelta(hours=stage_hours) or _is_awaited(rollout):
            continue
        following = [stage for stage in STAGES if stage > rollout.stage_percent]
        if following:
            rollout.stage_percent, rollout.stage_began_at = following[0], at
        else:
            rollout.state = Rollout.State.FINISHED
        rollout.save()
        detail = {"percent": rollout.stage_percent, "state": rollout.state}
        audit.record(
            at=at, actor="system", verb="update.advanced", target=f"rollout:{rollout.pk}", detail=detail
        )
        _offer(rollout, at)
        moved.append(rollout)
    return moved


@transaction.atomic
def hub_reported(*, ven_id: str, at: datetime) -> None:
    """A hub told what it is: keep its config for the hub that may replace it, its versions, counts and
    spells, and follow its updates.
    """
    hub = Hub.objects.select_for_update().filter(ven_id=ven_id).first()
    shadow = vtn_door.shadows_of([ven_id]).get(ven_id)
    if hub is None or shadow is None:
        return
    config = shadow.reported.get("config")
    text = config.get("hub_toml") if isinstance(config, dict) else None
    if isinstance(text, str) and text and text[:MOST_CONFIG] != hub.kept_config:
        hub.kept_config = text[:MOST_CONFIG]
        hub.save(update_fields=["kept_config"])
    journals.note_report(hub=hub, reported=shadow.reported, at=at)
    touched = _note_report(hub=hub, reported=shadow.reported, at=at)
    shadowing.refresh([hub, *touched], at=at)


def most_failures(in_stage: int) -> int:
    """How many hubs may fail before a stage is halted: one of the first few, then one in twenty."""
    return max(1, math.ceil(in_stage * MOST_FAILURES_SHARE))


def _note_report(*, hub: Hub, reported: Mapping[str, Any], at: datetime) -> list[Hub]:
    """Follow a hub through its rollouts; return the hubs whose documents change because one was halted."""
    touched: list[Hub] = []
    rows = RolloutHub.objects.select_related("rollout__release").filter(hub=hub)
    for row in rows.filter(rollout__state__in=(Rollout.State.RUNNING, Rollout.State.FINISHED)):
        state, why = told_of(row.rollout.release, reported)
        if (state, why) == (row.state, row.why) or (row.state == FORGIVEN and state in FAILURES):
            continue
        row.state, row.why, row.changed_at = state, why[:300], at
        row.save(update_fields=["state", "why", "changed_at"])
        rollout = _locked(row.rollout_id)
        found = standing(rollout)
        if rollout.state == Rollout.State.RUNNING and found.failed >= most_failures(found.in_stage):
            _halt(
                rollout, f"{found.failed} of {found.in_stage} hubs failed, last: {why or state}", at, "system"
            )
            touched += list(Hub.objects.filter(rollouts__rollout=rollout))
    return touched


def _is_awaited(rollout: Rollout) -> bool:
    """True while a hub of the stage that is in contact has still to say how it fared."""
    rows = rollout.hubs.exclude(state__in=(*FAILURES, INSTALLED, FORGIVEN)).select_related("hub")
    ven_ids = [str(row.hub.ven_id) for row in rows if row.hub.state == Hub.State.COMMISSIONED]
    since = clock.wall_now() - SILENT
    shadows = vtn_door.shadows_of(ven_ids).values()
    return any(each.heard_wall_at is not None and each.heard_wall_at >= since for each in shadows)


def _offer(rollout: Rollout, at: datetime) -> None:
    """Put the hubs of the stage on the list, and write it into what is wanted of them."""
    hubs = list(Hub.objects.filter(state=Hub.State.COMMISSIONED))
    hubs.sort(key=lambda hub: sha256(f"{rollout.release.sha256}{hub.serial}".encode()).digest())
    chosen = hubs[: max(1, math.ceil(len(hubs) * rollout.stage_percent / 100))]
    RolloutHub.objects.bulk_create(
        [RolloutHub(rollout=rollout, hub=hub, state=OFFERED, changed_at=at) for hub in chosen],
        ignore_conflicts=True,
    )
    shadowing.refresh(chosen, at=at)


def _halt(rollout: Rollout, why: str, at: datetime, by: str) -> None:
    rollout.state, rollout.halted_why = Rollout.State.HALTED, why[:300]
    rollout.save(update_fields=["state", "halted_why"])
    detail = {"why": why, "percent": rollout.stage_percent}
    audit.record(at=at, actor=by, verb="update.halted", target=f"rollout:{rollout.pk}", detail=detail)
    shadowing.refresh(Hub.objects.filter(rollouts__rollout=rollout), at=at)


def _locked(rollout_id: UUID) -> Rollout:
    rollout = (
        Rollout.objects.select_for_update(of=("self",))
        .select_related("release")
        .filter(pk=rollout_id)
        .first()
    )
    if rollout is None:
        raise RolloutNotFound(rollout_id=str(rollout_id))
    return rollout
