"""The hours after an event: what comes back, by the run's own baseline rule without its same-day adjustment.

Worked out once a run, a few days after the event, of the homes that took part as the run counts them, and
kept (`EventAfter`). Nobody is paid by it. Half-hours in which a home took part in another event are left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np

import campaigns.queries
from metering import rates
from opendsr.kernel.interval import HALF_HOUR, Interval
from settlement import archiving, baselines, gathering
from settlement.baselines import gaming
from settlement.baselines.errors import BaselineError
from settlement.baselines.rules import Method
from settlement.households import ID
from settlement.kpi_models import EventAfter
from settlement.models import SettlementRun
from settlement.reckoning import Input
from settlement.replaying import archived_input

HALF_HOURS: Final = 8
READINGS_COME: Final = timedelta(days=2)
NO_DAYS_RULE: Final = "rule without days"
NOT_KEPT: Final = "archive not kept whole"
CANNOT: Final = "rule cannot tell"


def is_due(run: SettlementRun, *, at: datetime) -> bool:
    """True once the readings of the hours after should be in."""
    return at >= run.campaign.ends_at + HALF_HOURS * HALF_HOUR + READINGS_COME


def work_out(run: SettlementRun, *, at: datetime) -> EventAfter:
    """The hours after the run's event; one worked out before stands."""
    kept = EventAfter.objects.filter(run=run).first()
    if kept is not None:
        return kept
    try:
        half_hours, why_not = _half_hours(run)
    except archiving.ArchiveBroken:
        half_hours, why_not = [], NOT_KEPT
    except BaselineError:
        half_hours, why_not = [], CANNOT
    made, _ = EventAfter.objects.get_or_create(
        run=run, defaults={"half_hours": half_hours, "why_not": why_not, "worked_out_at": at}
    )
    return made


def _half_hours(run: SettlementRun) -> tuple[list[list[object]], str]:
    given = archived_input(run)
    rule = given.agreement.baseline_rule
    if not rule.uses_days:
        return [], NO_DAYS_RULE
    rule = gaming.unadjusted(rule)
    after = [given.event[-1] + HALF_HOUR * number for number in range(1, HALF_HOURS + 1)]
    homes = given.households
    days = baselines.days_needed(rule, after, homes.event_days)
    cube = gathering.load_cube(homes, days, known_at=None)
    warmth = rates.temperatures_of(cube.days) if rule.method is Method.REGRESSION else (None, None)
    usual = baselines.baseline(
        rule,
        cube,
        after,
        homes.event_days,
        given=baselines.Given(units=homes.assets, temperature_tenths_c=warmth[0], has_temperature=warmth[1]),
    )
    metered_wh, is_read = baselines.readings_at(cube, after)
    counts = usual.present & is_read & homes.takes_part[:, None] & ~_busy(given, after)
    return [
        [
            start.isoformat(),
            int(usual.wh[counts[:, place], place].sum()),
            int(metered_wh[counts[:, place], place].sum()),
            int(counts[:, place].sum()),
        ]
        for place, start in enumerate(after)
    ], ""


def _busy(given: Input, after: list[datetime]) -> baselines.Mask:
    ids = [UUID(bytes=each) for each in given.households.occupancy_ids.tolist()]
    span = Interval(after[0], after[-1] + HALF_HOUR)
    stretches = [
        (stretch, np.frombuffer(homes, ID))
        for stretch, homes in campaigns.queries.homes_by_stretch(ids, span)
    ]
    return gathering.busy_half_hours(given.households, after, stretches, event=given.event)
