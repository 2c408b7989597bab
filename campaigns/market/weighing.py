"""What every asset could give each open request, put to the pure choice (`income.py`).

Read from what homes usually use and how often they come (`habits.py`), as a network operator's signals are:
an asset counts for a request when it can serve all of it. A home's assets share what the home uses. Where a
plan of the night would have to make room, what the home pays more for that is part of what asking costs: of
tariff and market the better one has the asset. Buyers on trial are weighed apart: they take no home from
others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np

from campaigns import making_room
from campaigns.market import income
from campaigns.market.income import Asked, Choice
from campaigns.market.receiving import is_trial
from campaigns.models import Campaign, Direction, MarketRequest
from campaigns.selecting import ASK_MP
from campaigns.servicing import sending_at_once
from opendsr.kernel import keeping
from opendsr.kernel.interval import HALF_HOUR, Interval

State = MarketRequest.State
KEPT: Final = timedelta(minutes=1)
MOST_WEIGHED: Final = 20
"""So many open requests at once, those with the nearest deadline."""


@dataclass(frozen=True, slots=True)
class Serving:
    """An asset that serves a request."""

    asset_id: UUID
    occupancy_id: UUID
    expected_w: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """What to do about a request: nothing where `serving` is empty. `able` assets could serve it.

    `tariff_mp` is what the homes of those that serve pay more for their nights, taken off the income already;
    `for_tariffs` assets stay with their plans, which are worth more.
    """

    request: MarketRequest
    offered_w: tuple[int, ...]
    income_mp: int
    serving: tuple[Serving, ...]
    able: int
    why_not: str
    tariff_mp: int = 0
    for_tariffs: int = 0

    @property
    def is_accepted(self) -> bool:
        """Whether to offer."""
        return bool(self.serving)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a list shows of a `Weighed`: the most it offers, by how many assets of how many homes."""

    offered_w: int
    income_mp: int
    serving: int
    homes: int
    able: int
    why_not: str


def outlines(requests: Sequence[MarketRequest], *, at: datetime) -> tuple[list[Outline], datetime]:
    """What `weigh` says of these, in their order, and when it said so: at most a minute ago.

    Ten thousand homes are weighed in most of a second; an offer weighs anew (`offering.make_offers`).
    """
    named = hashlib.sha256(" ".join(f"{each.pk}" for each in requests).encode()).hexdigest()

    def work() -> list[Outline]:
        found = {each.request.pk: _outline(each) for each in weigh(requests, at=at)}
        return [found[each.pk] for each in requests]

    return keeping.kept(f"campaigns:weighed:{named}", at=at, lasts=KEPT, work=work)


def _outline(weighed: Weighed) -> Outline:
    return Outline(
        offered_w=max(weighed.offered_w, default=0),
        income_mp=weighed.income_mp,
        serving=len(weighed.serving),
        homes=len({each.occupancy_id for each in weighed.serving}),
        able=weighed.able,
        why_not=weighed.why_not,
    )


def open_requests(*, at: datetime) -> list[MarketRequest]:
    """Those that may still be offered for, nearest deadline first."""
    found = MarketRequest.objects.filter(state=State.OPEN, deadline_at__gt=at)
    ordered = found.select_related("party__programme", "party__client", "preset").order_by(
        "deadline_at", "pk"
    )
    return [each for each in ordered if each.starts_at - each.notice > at]


def weigh(requests: Sequence[MarketRequest], *, at: datetime) -> list[Weighed]:
    """What to accept of these and with which assets, for the most expected income of all together.

    Those of buyers on trial are weighed among themselves.
    """
    found: dict[UUID, Weighed] = {}
    for on_trial in (False, True):
        some = [request for request in requests if is_trial(request) is on_trial]
        found |= {each.request.pk: each for each in _weighed_together(some, at=at)}
    return [found[request.pk] for request in requests]


def _weighed_together(requests: Sequence[MarketRequest], *, at: datetime) -> list[Weighed]:
    able = [sending_at_once.look(as_campaign(request, at=at), at=at) for request in requests]
    assets = sorted({offer.asset_id for found in able for offer in found.offers})
    place = {asset_id: number for number, asset_id in enumerate(assets)}
    power_w = np.zeros((len(assets), len(requests)))
    chance_out = np.zeros(len(assets))
    stays: dict[UUID, UUID] = {}
    for column, found in enumerate(able):
        for asset, offer in zip(found.able, found.offers, strict=True):
            row = place[offer.asset_id]
            power_w[row, column], chance_out[row] = offer.expected_w, offer.chance_out
            stays[offer.asset_id] = found.told.occupancy_by_home[asset.home_id]
    tariff_mp = _tariff_mp(requests, assets, power_w, at=at)
    choice = income.best_choice(
        [asked_of(request) for request in requests], power_w, chance_out, ask_mp=ASK_MP + tariff_mp
    )
    return [
        replace(
            _weighed(request, column, choice, power_w, assets, stays, len(able[column].offers)),
            tariff_mp=int(tariff_mp[choice.serves[:, column], column].sum()),
            for_tariffs=int(np.count_nonzero(tariff_mp[~choice.serves[:, column], column])),
        )
        for column, request in enumerate(requests)
    ]


def _tariff_mp(
    requests: Sequence[MarketRequest], assets: Sequence[UUID], power_w: income.Floats, *, at: datetime
) -> income.Floats:
    """What each asset's home pays more for its night if the asset serves the request [asset, request]."""
    more_mp = np.zeros(power_w.shape)
    place = {asset_id: number for number, asset_id in enumerate(assets)}
    for column, request in enumerate(requests):
        interval = Interval(request.starts_at, request.ends_at)
        can = {assets[row]: float(power_w[row, column]) for row in np.nonzero(power_w[:, column])[0].tolist()}
        if request.direction == Direction.TURN_DOWN:
            lines = making_room.lines_in(can, interval, at=at)
            for each in making_room.around(lines, interval, at=at):
                more_mp[place[each.line.asset_id], column] += each.more_mp
        else:
            for asset_id, mp in making_room.turned_up(can, interval, at=at).items():
                more_mp[place[asset_id], column] = mp
    return more_mp


def asked_of(request: MarketRequest) -> Asked:
    """The request as the choice takes it; times in half-hours."""
    starts = int(request.starts_at.timestamp()) // int(HALF_HOUR.total_seconds())
    return Asked(
        profile_w=request.profile_w,
        price_mp_per_kwh=request.price_mp_per_kwh,
        penalty_mp_per_kwh=request.penalty_mp_per_kwh,
        least_w=request.preset.least_w,
        starts=starts,
        ends=starts + len(request.profile_w),
    )


def as_campaign(request: MarketRequest, *, at: datetime) -> Campaign:
    """A campaign, not stored, that asks for all of the request."""
    return Campaign(
        programme=request.party.programme,
        name=str(request),
        direction=request.direction,
        zone_kind=request.zone_kind,
        zone=request.zone,
        size_w=request.peak_w,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        created_at=at,
    )


def _weighed(
    request: MarketRequest,
    column: int,
    choice: Choice,
    power_w: income.Floats,
    assets: Sequence[UUID],
    stays: dict[UUID, UUID],
    able: int,
) -> Weighed:
    serving = tuple(
        Serving(assets[row], stays[assets[row]], int(power_w[row, column]))
        for row in np.nonzero(choice.serves[:, column])[0].tolist()
    )
    why_not = ""
    if not serving:
        most_w = int(power_w[:, column].sum())
        if not able:
            why_not = "nobody"
        elif min(request.peak_w, most_w) < request.preset.least_w:
            why_not = "too_small"
        else:
            why_not = "others_bring_more"
    return Weighed(
        request=request,
        offered_w=choice.offered_w[column] if serving else (),
        income_mp=round(choice.income_mp[column]),
        serving=serving,
        able=able,
        why_not=why_not,
    )
