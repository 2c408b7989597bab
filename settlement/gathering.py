"""Gathering: everything a settlement depends on, from the rooms below, as one frozen `reckoning.Input`.

Participants and event days come from `campaigns/`, stream ids from `members/`, readings from
`metering.store`. The number of queries does not depend on the number of households.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

import numpy as np

import campaigns.queries
import members.queries
from campaigns.models import Campaign, Participation
from metering import store
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import MAX_PERIODS
from settlement import terms as terms_service
from settlement.baselines import Cube, Mask, Wh, days_needed, window_half_hours
from settlement.baselines.rules import BaselineRule
from settlement.models import SettlementTerms, Standing
from settlement.reckoning import Agreement, Household, Input

State = Participation.State

# The state alone decides: an outcome is worked out from the settlement, so it must not go into it.
STANDING_OF: Final = {
    State.PLANNED.value: Standing.NOT_REACHED.value,
    State.SENT.value: Standing.NOT_REACHED.value,
    State.DELIVERED_TO_HUB.value: Standing.SILENT.value,
    State.OPTED_IN.value: Standing.TOOK_PART.value,
    State.OPTED_OUT.value: Standing.OPTED_OUT.value,
    State.OVERRIDDEN.value: Standing.OVERRIDDEN.value,
}
# Of a household's assets the one that stands highest here speaks for it: there is one meter.
PRECEDENCE: Final = (
    Standing.OVERRIDDEN.value,
    Standing.TOOK_PART.value,
    Standing.SILENT.value,
    Standing.OPTED_OUT.value,
    Standing.NOT_REACHED.value,
)
PAID: Final = frozenset(PRECEDENCE[:3])


@dataclass(frozen=True, slots=True)
class LoadedCube:
    """Readings with a row for every household, masked where it has no stream."""

    days: Sequence[date]
    net_wh: Wh
    present: Mask


def gather(campaign: Campaign, terms: SettlementTerms, *, known_at: datetime) -> Input:
    """The campaign's input under the terms, from readings known to the store by `known_at`."""
    rule = terms_service.baseline_rule(terms)
    event = event_half_hours(campaign)
    households = households_of(campaign)
    days = days_needed(rule, event, [home.event_days for home in households])
    return Input(
        campaign_id=campaign.pk,
        direction=campaign.direction,
        event=event,
        agreement=agreement_of(terms, rule),
        households=households,
        cube=load_cube(households, days, known_at=known_at),
        busy=busy_half_hours(households, window_half_hours(rule, event), event=event),
    )


def event_half_hours(campaign: Campaign) -> tuple[datetime, ...]:
    """UTC starts of the campaign's half-hours, in order."""
    return tuple(Interval(campaign.starts_at, campaign.ends_at).half_hours())


def agreement_of(terms: SettlementTerms, rule: BaselineRule) -> Agreement:
    """The published terms as values."""
    return Agreement(
        terms=str(terms),
        baseline_rule=rule,
        delivery_rule=terms_service.delivery_rule(terms),
        pence_per_kwh=terms.utilisation_pence_per_kwh,
        coop_share_pct=terms.coop_share_pct,
    )


def households_of(campaign: Campaign) -> tuple[Household, ...]:
    """The households asked, in order of occupancy id; assets left out or called off count for nothing.

    Instructed is the power expected of the assets that take part, or of all that were asked when none does.
    """
    parts = Participation.objects.filter(campaign=campaign).exclude(state=State.CANCELLED)
    asked: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
    for occupancy_id, state, expected_w in parts.values_list("occupancy_id", "state", "expected_w"):
        asked[occupancy_id].append((STANDING_OF[state], expected_w))
    occupancy_ids = sorted(asked)
    streams = members.queries.streams_of(occupancy_ids, campaign.starts_at)
    event_days = campaigns.queries.event_days(occupancy_ids)
    return tuple(
        _household(
            occupancy_id,
            streams.get(occupancy_id),
            asked[occupancy_id],
            event_days.get(occupancy_id, ()),
        )
        for occupancy_id in occupancy_ids
    )


def busy_half_hours(
    households: Sequence[Household], window: Sequence[datetime], *, event: Sequence[datetime]
) -> Mask:
    """[household, window half-hour]: it took part in another event then."""
    busy = np.zeros((len(households), len(window)), np.bool_)
    if not window:
        return busy
    span = Interval(window[0], max(window[-1], event[-1]) + HALF_HOUR)
    others = campaigns.queries.event_stretches([home.occupancy_id for home in households], span)
    own = set(event)
    for row, home in enumerate(households):
        for stretch in others.get(home.occupancy_id, ()):
            for column, start in enumerate(window):
                is_inside = stretch.starts_at < start + HALF_HOUR and start < stretch.ends_at
                busy[row, column] |= is_inside and start not in own
    return busy


def load_cube(households: Sequence[Household], days: Sequence[date], *, known_at: datetime | None) -> Cube:
    """The days' readings, a row a household in their order."""
    shape = (len(households), len(days), MAX_PERIODS)
    net_wh = np.zeros(shape, np.int64)
    present = np.zeros(shape, np.bool_)
    metered = [(row, home.stream_id) for row, home in enumerate(households) if home.stream_id is not None]
    if metered:
        loaded = store.day_cube([stream_id for _, stream_id in metered], days, known_at=known_at)
        if len(metered) == len(households):
            return loaded
        rows = [row for row, _ in metered]
        net_wh[rows] = loaded.net_wh
        present[rows] = loaded.present
    return LoadedCube(days=days, net_wh=net_wh, present=present)


def _household(
    occupancy_id: UUID,
    stream_id: UUID | None,
    asked: Iterable[tuple[str, int]],
    event_days: Collection[date],
) -> Household:
    assets = list(asked)
    standing = min((standing for standing, _ in assets), key=PRECEDENCE.index)
    takes_part = standing in PAID
    expected_w = sum(watts for own, watts in assets if not takes_part or own in PAID)
    return Household(
        occupancy_id=occupancy_id,
        stream_id=stream_id,
        standing=standing,
        takes_part=takes_part,
        instructed_wh=expected_w // 2,
        assets=sum(not takes_part or own in PAID for own, _ in assets),
        event_days=frozenset(event_days),
    )
