"""Gathering: everything a settlement depends on, from the rooms below, as one frozen `reckoning.Input`.

Participants and event days come from `campaigns/`, stream ids from `members/`, readings from
`metering.store`. The number of queries does not depend on the number of households.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

import campaigns.queries
import members.queries
from campaigns.models import Campaign, Participation
from members.models import Occupancy, Purpose
from metering import purposes, rates
from metering.store import DayCube
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import MAX_PERIODS
from settlement import policies
from settlement import terms as terms_service
from settlement.baselines import Cube, EventDays, Mask, Wh, days_needed, window_half_hours
from settlement.baselines.rules import BaselineRule, Method
from settlement.comparing import LIKE
from settlement.delivery import A_HALF_HOUR
from settlement.households import CODE_OF, HELD_OUT, ID, Households, Ids, ids_of, order_of
from settlement.models import SettlementTerms, Standing
from settlement.reckoning import Agreement, Input, Temperatures

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
PAID_RANKS: Final = 4  # the first so many of PRECEDENCE take part
CODE_BY_RANK: Final = np.array([CODE_OF[standing] for standing in PRECEDENCE], np.uint8)
RANK_OF: Final = np.argsort(CODE_BY_RANK)
PAID_CODES: Final = CODE_BY_RANK[:PAID_RANKS]


@dataclass(frozen=True, slots=True)
class LoadedCube:
    """Readings with a row for every household, masked where it has no stream."""

    days: Sequence[date]
    net_wh: Wh
    present: Mask


@dataclass(frozen=True, slots=True)
class Asked:
    """A campaign before its readings are loaded: who was asked, under what, and which days it needs.

    `busy` is [household, window half-hour]: it took part in another event then.
    """

    campaign: Campaign
    agreement: Agreement
    event: tuple[datetime, ...]
    households: Households
    days: tuple[date, ...]
    busy: Mask


def gather(campaign: Campaign, terms: SettlementTerms, *, known_at: datetime) -> Input:
    """The campaign's input under the terms, from readings known to the store by `known_at`."""
    asked = ask(campaign, terms)
    return given_of(asked, load_cube(asked.households, asked.days, known_at=known_at))


def ask(campaign: Campaign, terms: SettlementTerms) -> Asked:
    """Everything of the input but the readings."""
    return ask_together([(campaign, terms)])[0]


def ask_together(pairs: Sequence[tuple[Campaign, SettlementTerms]]) -> list[Asked]:
    """The same for several campaigns, each under its terms."""
    rules = [terms_service.baseline_rule(terms) for _, terms in pairs]
    households = households_of_many([campaign for campaign, _ in pairs])
    events = [event_half_hours(campaign) for campaign, _ in pairs]
    windows = [window_half_hours(rule, event) for rule, event in zip(rules, events, strict=True)]
    stretches = _stretches(households, windows)
    return [
        Asked(
            campaign=campaign,
            agreement=agreement_of(terms, rule, campaign.starts_at),
            event=event,
            households=homes,
            days=_days_needed(rule, event, homes),
            busy=busy_half_hours(homes, window, stretches, event=event),
        )
        for (campaign, terms), rule, homes, event, window in zip(
            pairs, rules, households, events, windows, strict=True
        )
    ]


def given_of(asked: Asked, cube: Cube, *, holds_unearned: bool = False) -> Input:
    """The input, with a cube whose rows are the households', and temperatures where the rule wants them."""
    temperatures = None
    if asked.agreement.baseline_rule.method is Method.REGRESSION:
        temperatures = Temperatures(*rates.temperatures_of(cube.days))
    return Input(
        campaign_id=asked.campaign.pk,
        direction=asked.campaign.direction,
        event=asked.event,
        agreement=asked.agreement,
        households=asked.households,
        cube=cube,
        busy=asked.busy,
        declared_w=asked.campaign.size_w,
        delivered_from_pct=asked.campaign.programme.delivered_from_pct,
        holds_unearned=holds_unearned,
        temperatures=temperatures,
        covered_seconds=covered_seconds(asked.campaign),
    )


def load_together(asked: Sequence[Asked], *, known_at: datetime) -> Iterator[Cube]:
    """A cube for each campaign, from one reading of the store for all of them."""
    days = sorted({day for each in asked for day in each.days})
    streams = dict.fromkeys(
        stream for each in asked for stream in each.households.stream_ids[each.households.has_stream].tolist()
    )
    loaded = purposes.day_cube(
        Purpose.SETTLEMENT,
        [UUID(bytes=stream) for stream in streams],
        days,
        reader="settlement",
        known_at=known_at,
    )
    row_of = {stream: row for row, stream in enumerate(streams)}
    place_of = {day: place for place, day in enumerate(days)}
    for each in asked:
        yield _part_of(loaded, each, row_of, place_of)


def _part_of(
    loaded: DayCube, asked: Asked, row_of: Mapping[bytes, int], place_of: Mapping[date, int]
) -> LoadedCube:
    """The campaign's rows and days; with every row wanted in order a view, from the first day to the last."""
    rows = [row_of.get(stream, -1) for stream in asked.households.stream_ids.tolist()]
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


def _days_needed(rule: BaselineRule, event: Sequence[datetime], homes: Households) -> tuple[date, ...]:
    """The rule's days, and those that held-out homes are compared by."""
    needed = set(days_needed(rule, event, homes.event_days))
    if homes.stands(HELD_OUT).any():
        needed.update(days_needed(LIKE, event, homes.event_days))
    return tuple(sorted(needed))


def event_half_hours(campaign: Campaign) -> tuple[datetime, ...]:
    """UTC starts of the half-hours that the campaign touches, in order."""
    into = timedelta(minutes=campaign.starts_at.minute % 30, seconds=campaign.starts_at.second)
    began_at = campaign.starts_at.replace(microsecond=0) - into
    return tuple(Interval(began_at, campaign.ends_at).half_hours())


def covered_seconds(campaign: Campaign) -> tuple[int, ...]:
    """How much of each of `event_half_hours` the campaign covers; nothing when it covers all of it whole."""
    covered = tuple(
        int((min(start + HALF_HOUR, campaign.ends_at) - max(start, campaign.starts_at)).total_seconds())
        for start in event_half_hours(campaign)
    )
    return covered if min(covered, default=A_HALF_HOUR) < A_HALF_HOUR else ()


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


def households_of(campaign: Campaign) -> Households:
    """The households asked or held out, in order of occupancy id; assets left out or called off count for
    nothing.

    Instructed is the power expected of the assets that take part, or of all that were asked when none does.
    """
    return households_of_many([campaign])[0]


def households_of_many(asked_in: Sequence[Campaign]) -> list[Households]:
    """The same for several campaigns, in the same few queries."""
    assets: dict[UUID, list[tuple[int, int, bytes]]] = {campaign.pk: [] for campaign in asked_in}
    for campaign_id, state, outcome, expected_w, homes in campaigns.queries.asked_by_campaign(assets):
        standing = DEVICE_ERROR if outcome == DEVICE_ERROR else STANDING_OF[state]
        assets[campaign_id].append((CODE_OF[standing], expected_w, homes))
    held_out = campaigns.queries.held_out_by_campaign(assets)
    asked = [
        with_held_out(by_home(assets[campaign.pk]), held_out.get(campaign.pk, ())) for campaign in asked_in
    ]
    everybody = _everybody([each.ids for each in asked])
    occupancy_ids = [UUID(bytes=occupancy) for occupancy in everybody.tolist()]
    own_days = campaigns.queries.event_days(occupancy_ids)
    event_days = EventDays.of([own_days.get(occupancy_id, NO_DAYS) for occupancy_id in occupancy_ids])
    streams_at = members.queries.streams_at_each(occupancy_ids, [campaign.starts_at for campaign in asked_in])
    specials = [policies.special_households(campaign.starts_at) for campaign in asked_in]
    household_of: dict[UUID, UUID] = {}
    if any(specials):
        stays = Occupancy.objects.filter(pk__in=among(occupancy_ids))
        household_of = dict(stays.values_list("pk", "household_id"))
    found = []
    streams_then: dict[UUID, UUID] = {}
    streams = ids_of(None for _ in occupancy_ids)
    for campaign, each, special in zip(asked_in, asked, specials, strict=True):
        rows = np.searchsorted(everybody, each.ids)
        if streams_at[campaign.starts_at] != streams_then:
            streams_then = streams_at[campaign.starts_at]
            streams = ids_of(map(streams_then.get, occupancy_ids))
        apart = {
            place: special[household_of[occupancy_ids[row]]]
            for place, row in enumerate(rows.tolist() if special else ())
            if household_of[occupancy_ids[row]] in special
        }
        in_hardship = np.zeros(len(rows), np.bool_)
        in_hardship[[place for place, how in apart.items() if how.in_hardship]] = True
        found.append(
            Households(
                occupancy_ids=each.ids,
                stream_ids=streams[rows],
                standing=each.standing,
                takes_part=np.isin(each.standing, PAID_CODES),
                instructed_wh=each.instructed_wh,
                assets=each.assets,
                event_days=EventDays(event_days.days, event_days.took_part[rows]),
                in_hardship=in_hardship,
                donates={place: how.donates_pct for place, how in apart.items() if how.donates_pct},
            )
        )
    return found


def _everybody(asked: Sequence[Ids]) -> Ids:
    """Every id that occurs, in order; the columns are in order themselves, and often all the same."""
    if asked and all(np.array_equal(asked[0], ids) for ids in asked[1:]):
        return asked[0]
    return np.unique(np.concatenate([ids_of(()), *asked]))


@dataclass(frozen=True, slots=True)
class ByHome:
    """What a campaign asked of each home, in order of occupancy id: `instructed_wh` is a half-hour's."""

    ids: Ids
    standing: NDArray[np.uint8]
    instructed_wh: Wh
    assets: Wh


def by_home(alike: Sequence[tuple[int, int, bytes]]) -> ByHome:
    """Assets that are alike as (standing code, expected W, their homes), put together by home.

    The asset that stands highest in PRECEDENCE speaks for the home: there is one meter.
    """
    homes = np.frombuffer(b"".join(ids for _, _, ids in alike), ID)
    counts = [len(ids) // ID.itemsize for _, _, ids in alike]
    order = order_of(homes)
    rank = np.repeat(RANK_OF[[code for code, _, _ in alike]], counts)[order] if alike else RANK_OF[:0]
    watts = np.repeat(np.array([watts for _, watts, _ in alike], np.int64), counts)[order]
    homes = homes[order]
    first = np.flatnonzero(np.concatenate(([True], homes[1:] != homes[:-1]))) if len(homes) else order
    speaks = np.minimum.reduceat(rank, first) if len(homes) else rank
    sizes = np.diff(np.append(first, len(homes)))
    is_counted = (rank < PAID_RANKS) | np.repeat(speaks >= PAID_RANKS, sizes)
    together = (
        np.add.reduceat(np.stack((watts * is_counted, is_counted.astype(np.int64))), first, axis=1)
        if len(homes)
        else np.zeros((2, 0), np.int64)
    )
    return ByHome(homes[first], CODE_BY_RANK[speaks], together[0] // 2, together[1])


def with_held_out(asked: ByHome, occupancy_ids: Collection[UUID]) -> ByHome:
    """The homes asked and those held out to compare with, of which nothing is instructed."""
    if not occupancy_ids:
        return asked
    ids = ids_of(occupancy_ids)
    ids = ids[~np.isin(ids, asked.ids)]
    count = len(ids)
    together = np.concatenate((asked.ids, ids))
    order = order_of(together)
    return ByHome(
        together[order],
        np.concatenate((asked.standing, np.full(count, CODE_OF[HELD_OUT], np.uint8)))[order],
        np.concatenate((asked.instructed_wh, np.zeros(count, np.int64)))[order],
        np.concatenate((asked.assets, np.ones(count, np.int64)))[order],
    )


def busy_half_hours(
    households: Households,
    window: Sequence[datetime],
    stretches: Sequence[tuple[Interval, Ids]],
    *,
    event: Sequence[datetime],
) -> Mask:
    """[household, window half-hour]: it took part in another event then, by the stretches that asked whom."""
    busy = np.zeros((len(households), len(window)), np.bool_)
    own = set(event)
    for stretch, homes in stretches:
        inside = [
            stretch.starts_at < start + HALF_HOUR and start < stretch.ends_at and start not in own
            for start in window
        ]
        if any(inside):
            busy[np.isin(households.occupancy_ids, homes)] |= np.array(inside, np.bool_)
    return busy


def _stretches(
    households: Sequence[Households], windows: Sequence[Sequence[datetime]]
) -> list[tuple[Interval, Ids]]:
    """When any event asked whom for a change around the windows, in one query; none without a window."""
    starts = [start for window in windows for start in window]
    if not starts:
        return []
    everybody = _everybody([homes.occupancy_ids for homes in households])
    occupancy_ids = [UUID(bytes=occupancy) for occupancy in everybody.tolist()]
    span = Interval(min(starts), max(starts) + HALF_HOUR)
    return [
        (stretch, np.frombuffer(homes, ID))
        for stretch, homes in campaigns.queries.homes_by_stretch(occupancy_ids, span)
    ]


def load_cube(households: Households, days: Sequence[date], *, known_at: datetime | None) -> Cube:
    """The days' readings, a row a household in their order."""
    shape = (len(households), len(days), MAX_PERIODS)
    net_wh = np.zeros(shape, np.int64)
    present = np.zeros(shape, np.bool_)
    rows = np.flatnonzero(households.has_stream)
    if len(rows):
        loaded = purposes.day_cube(
            Purpose.SETTLEMENT,
            [UUID(bytes=stream) for stream in households.stream_ids[rows].tolist()],
            days,
            reader="settlement",
            known_at=known_at,
        )
        if len(rows) == len(households):
            return loaded
        net_wh[rows] = loaded.net_wh
        present[rows] = loaded.present
    return LoadedCube(days=days, net_wh=net_wh, present=present)
