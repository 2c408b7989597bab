"""Gathering: everything a settlement depends on, from the rooms below, as one frozen `reckoning.Input`.

Participants and event days come from `campaigns/`, stream ids from `members/`, readings from
`metering.store`. The number of queries does not depend on the number of households.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

import numpy as np

import campaigns.queries
import members.queries
from campaigns.models import Campaign, Participation
from members.models import Occupancy, Purpose
from metering import purposes
from metering.store import DayCube
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import MAX_PERIODS
from settlement import policies
from settlement import terms as terms_service
from settlement.baselines import Cube, Mask, Wh, days_needed, window_half_hours
from settlement.baselines.rules import BaselineRule
from settlement.models import SettlementTerms, Standing
from settlement.reckoning import Agreement, Household, Input

State = Participation.State
DEVICE_ERROR: Final = Standing.DEVICE_ERROR.value

# The state decides: an outcome is worked out from the settlement, so it must not go into it. The one that is
# not, a device that failed, is taken in.
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
    Standing.DEVICE_ERROR.value,
    Standing.SILENT.value,
    Standing.OPTED_OUT.value,
    Standing.NOT_REACHED.value,
)
NO_DAYS: Final[frozenset[date]] = frozenset()
PAID: Final = frozenset(PRECEDENCE[:4])


@dataclass(frozen=True, slots=True)
class LoadedCube:
    """Readings with a row for every household, masked where it has no stream."""

    days: Sequence[date]
    net_wh: Wh
    present: Mask


@dataclass(frozen=True, slots=True)
class Asked:
    """A campaign before its readings are loaded: who was asked, under what, and which days it needs."""

    campaign: Campaign
    agreement: Agreement
    event: tuple[datetime, ...]
    households: tuple[Household, ...]
    days: tuple[date, ...]


def gather(campaign: Campaign, terms: SettlementTerms, *, known_at: datetime) -> Input:
    """The campaign's input under the terms, from readings known to the store by `known_at`."""
    asked = ask(campaign, terms)
    return given_of(asked, load_cube(asked.households, asked.days, known_at=known_at))


def ask(campaign: Campaign, terms: SettlementTerms) -> Asked:
    """Everything of the input but the readings."""
    return ask_together([(campaign, terms)])[0]


def ask_together(pairs: Sequence[tuple[Campaign, SettlementTerms]]) -> list[Asked]:
    """The same for several campaigns, each under its terms."""
    found = []
    for (campaign, terms), households in zip(
        pairs, households_of_many([campaign for campaign, _ in pairs]), strict=True
    ):
        rule = terms_service.baseline_rule(terms)
        event = event_half_hours(campaign)
        days = days_needed(rule, event, {home.event_days for home in households})
        agreement = agreement_of(terms, rule, campaign.starts_at)
        found.append(Asked(campaign, agreement, event, households, tuple(days)))
    return found


def given_of(asked: Asked, cube: Cube) -> Input:
    """The input, with a cube whose rows are the households'."""
    return Input(
        campaign_id=asked.campaign.pk,
        direction=asked.campaign.direction,
        event=asked.event,
        agreement=asked.agreement,
        households=asked.households,
        cube=cube,
        busy=busy_half_hours(
            asked.households,
            window_half_hours(asked.agreement.baseline_rule, asked.event),
            event=asked.event,
        ),
        declared_w=asked.campaign.size_w,
        delivered_from_pct=asked.campaign.programme.delivered_from_pct,
    )


def load_together(asked: Sequence[Asked], *, known_at: datetime) -> Iterator[Cube]:
    """A cube for each campaign, from one reading of the store for all of them."""
    days = sorted({day for each in asked for day in each.days})
    streams = list(
        dict.fromkeys(home.stream_id for each in asked for home in each.households if home.stream_id)
    )
    loaded = purposes.day_cube(Purpose.SETTLEMENT, streams, days, reader="settlement", known_at=known_at)
    row_of = {stream_id: row for row, stream_id in enumerate(streams)}
    place_of = {day: place for place, day in enumerate(days)}
    for each in asked:
        yield _part_of(loaded, each, row_of, place_of)


def _part_of(
    loaded: DayCube, asked: Asked, row_of: Mapping[UUID, int], place_of: Mapping[date, int]
) -> LoadedCube:
    """The campaign's rows and days; with every row wanted in order a view, from the first day to the last."""
    rows = [row_of.get(home.stream_id, -1) if home.stream_id else -1 for home in asked.households]
    if rows == list(range(len(loaded.net_wh))) and asked.days:
        between = slice(place_of[asked.days[0]], place_of[asked.days[-1]] + 1)
        return LoadedCube(loaded.days[between], loaded.net_wh[:, between], loaded.present[:, between])
    places = [place_of[day] for day in asked.days]
    net_wh, present = loaded.net_wh[:, places], loaded.present[:, places]
    index = np.array(rows, np.intp)
    if not len(net_wh):
        shape = (len(rows), len(places), MAX_PERIODS)
        return LoadedCube(asked.days, np.zeros(shape, np.int64), np.zeros(shape, np.bool_))
    has_stream = (index >= 0)[:, None, None]
    return LoadedCube(
        asked.days, np.where(has_stream, net_wh[index], 0), np.where(has_stream, present[index], False)
    )


def event_half_hours(campaign: Campaign) -> tuple[datetime, ...]:
    """UTC starts of the campaign's half-hours, in order."""
    return tuple(Interval(campaign.starts_at, campaign.ends_at).half_hours())


def agreement_of(terms: SettlementTerms, rule: BaselineRule, at: datetime) -> Agreement:
    """The published terms as values, with the share policy in force at `at`."""
    name, policy = policies.policy_for(terms, at)
    return Agreement(
        terms=str(terms),
        baseline_rule=rule,
        delivery_rule=terms_service.delivery_rule(terms),
        contract=terms_service.contract(terms),
        share_policy=policy,
        policy_name=name,
        override_policy=terms_service.override_policy(terms),
        forgives_our_failures=terms.forgives_our_failures,
    )


def households_of(campaign: Campaign) -> tuple[Household, ...]:
    """The households asked, in order of occupancy id; assets left out or called off count for nothing.

    Instructed is the power expected of the assets that take part, or of all that were asked when none does.
    """
    return households_of_many([campaign])[0]


def households_of_many(asked_in: Sequence[Campaign]) -> list[tuple[Household, ...]]:
    """The same for several campaigns, in the same few queries."""
    asked: dict[UUID, dict[bytes, list[tuple[str, int]]]] = {campaign.pk: {} for campaign in asked_in}
    for campaign_id, state, outcome, expected_w, homes in campaigns.queries.asked_by_campaign(asked):
        asset = (DEVICE_ERROR if outcome == DEVICE_ERROR else STANDING_OF[state], expected_w)
        own = asked[campaign_id]
        for home in homes:
            own.setdefault(home, []).append(asset)
    occupancy_of = {
        home: UUID(bytes=home) for home in sorted({home for own in asked.values() for home in own})
    }
    everybody = list(occupancy_of.values())
    own_days = campaigns.queries.event_days(everybody)
    streams_at = members.queries.streams_at_each(everybody, [campaign.starts_at for campaign in asked_in])
    household_of = dict(Occupancy.objects.filter(pk__in=everybody).values_list("pk", "household_id"))
    found = []
    for campaign in asked_in:
        streams = streams_at[campaign.starts_at]
        special = policies.special_households(campaign.starts_at)
        found.append(
            tuple(
                _household(
                    occupancy_id := occupancy_of[home],
                    streams.get(occupancy_id),
                    sorted(assets) if len(assets) > 1 else assets,
                    own_days.get(occupancy_id, NO_DAYS),
                    special.get(household_of[occupancy_id], policies.ORDINARY)
                    if special
                    else policies.ORDINARY,
                )
                for home, assets in sorted(asked[campaign.pk].items())
            )
        )
    return found


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
        loaded = purposes.day_cube(
            Purpose.SETTLEMENT,
            [stream_id for _, stream_id in metered],
            days,
            reader="settlement",
            known_at=known_at,
        )
        if len(metered) == len(households):
            return loaded
        rows = [row for row, _ in metered]
        net_wh[rows] = loaded.net_wh
        present[rows] = loaded.present
    return LoadedCube(days=days, net_wh=net_wh, present=present)


def _household(
    occupancy_id: UUID,
    stream_id: UUID | None,
    assets: Sequence[tuple[str, int]],
    event_days: frozenset[date],
    special: policies.Special,
) -> Household:
    if len(assets) > 1:
        standing = min((standing for standing, _ in assets), key=PRECEDENCE.index)
        counted = [watts for own, watts in assets if standing not in PAID or own in PAID]
    else:
        standing, counted = assets[0][0], [assets[0][1]]
    return Household(
        occupancy_id=occupancy_id,
        stream_id=stream_id,
        standing=standing,
        takes_part=standing in PAID,
        instructed_wh=sum(counted) // 2,
        assets=len(counted),
        event_days=event_days,
        in_hardship=special.in_hardship,
        donates_pct=special.donates_pct,
    )
