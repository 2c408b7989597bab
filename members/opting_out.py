"""Standing opt-outs: a household's wish to be left out of every campaign for a while.

Planning leaves such homes out, and the check before anything is sent asks again
(`queries.standing_opt_outs`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from members import entry
from members.models import Occupancy, StandingOptOut
from members.recurring import EVERY_DAY, Recurrence, written
from opendsr.kernel import outbox
from opendsr.kernel.errors import NotFound

STARTED = "members.standing_opt_out.started"
ENDED = "members.standing_opt_out.ended"


class StandingOptOutNotFound(NotFound):
    """No standing opt-out of this id."""

    opt_out_id: str


@transaction.atomic
def start_standing_opt_out(
    *,
    occupancy: Occupancy,
    at: datetime,
    starts_at: datetime,
    ends_at: datetime | None = None,
    reason: str = "",
    rule: Recurrence | None = None,
    least_pct: int | None = None,
) -> StandingOptOut:
    """Leave the household out over [starts_at, ends_at), open-ended without an end; overlapping ones add up.
    With a `rule` only at its hours, weekdays or season. With `least_pct` (1 to 99) it is not left out: its
    assets keep at least that share of their power.

    A start before `at` counts from `at`: nobody opts out of what has happened. The same again, as a form sent
    twice, is the one that stands. Records `members.standing_opt_out.started`. Raises InvalidField when
    nothing of it lies ahead.
    """
    starts_at = max(starts_at, at)
    if ends_at is not None and ends_at <= starts_at:
        raise entry.InvalidField(field="ends_at", problem="not_after_start")
    rule = rule or Recurrence()
    if not 1 <= rule.weekdays <= EVERY_DAY:
        raise entry.InvalidField(field="weekdays", problem="none_chosen")
    if (rule.from_time is None) != (rule.to_time is None) or (
        rule.from_time is not None and rule.from_time == rule.to_time
    ):
        raise entry.InvalidField(field="to_time", problem="hours_need_both_ends")
    if least_pct is not None and not 1 <= least_pct <= 99:
        raise entry.InvalidField(field="least_pct", problem="not_a_share")
    if bool(rule.season_from) != bool(rule.season_to):
        raise entry.InvalidField(field="season_to", problem="season_needs_both_ends")
    reason = entry.one_line(reason, field="reason", longest=120, may_be_empty=True)
    wish: dict[str, Any] = {
        "occupancy": occupancy,
        "least_pct": least_pct,
        "weekdays": rule.weekdays,
        "from_time": rule.from_time,
        "to_time": rule.to_time,
        "season_from": rule.season_from,
        "season_to": rule.season_to,
        "ends_at": ends_at,
    }
    Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    stands = StandingOptOut.objects.filter(**wish, starts_at__lte=starts_at).order_by("pk")
    for each in stands:
        if each.reason == reason:
            return each
    opt_out = StandingOptOut.objects.create(**wish, starts_at=starts_at, reason=reason)
    _tell(STARTED, opt_out, at)
    return opt_out


@transaction.atomic
def end_standing_opt_out(*, opt_out_id: UUID, at: datetime) -> StandingOptOut:
    """Take the household back in from `at` on; one that has not begun is called off, an ended one stays.

    Records `members.standing_opt_out.ended`. Raises StandingOptOutNotFound.
    """
    opt_out = StandingOptOut.objects.select_for_update().filter(pk=opt_out_id).first()
    if opt_out is None:
        raise StandingOptOutNotFound(opt_out_id=str(opt_out_id))
    if opt_out.ends_at is not None and opt_out.ends_at <= at:
        return opt_out
    opt_out.ends_at = max(at, opt_out.starts_at)
    opt_out.save(update_fields=["ends_at"])
    _tell(ENDED, opt_out, at)
    return opt_out


def _tell(topic: str, opt_out: StandingOptOut, at: datetime) -> None:
    outbox.record(
        topic,
        at=at,
        key=f"{opt_out.pk}",
        opt_out_id=opt_out.pk,
        occupancy_id=opt_out.occupancy_id,
        starts_at=opt_out.starts_at,
        ends_at=opt_out.ends_at,
        least_pct=opt_out.least_pct,
        **written(opt_out.recurrence),
    )
