"""Direct load control in one go: found by place, chosen, written and published, in one transaction.

Columns in, a statement a table out: ten thousand homes take less than a second. What the send-time guard
asks (`guarding.py`) is asked here while its answers are held still.
"""

from __future__ import annotations

import gc
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

import assets.queries
import members.queries
from assets.models import Asset, Hub
from assets.queries import ZoneAsset
from campaigns import (
    approving,
    dispatching,
    displacing,
    eligibility,
    expecting,
    freezing,
    habits,
    life,
    planning,
    ramping,
    rules,
    selecting,
    sending,
    vtn_door,
)
from campaigns.life import Verb
from campaigns.models import (
    Campaign,
    CampaignRule,
    Direction,
    Participation,
    PlanLine,
    ServicingContract,
    ServicingSignal,
)
from campaigns.selecting import Offer, Selection
from campaigns.servicing import explaining
from campaigns.vtn_door import Addressee, VenId
from members.care_models import HouseholdCare
from members.models import Consent, Occupancy, StandingOptOut
from opendsr.kernel import ids, outbox
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval
from opendsr.kernel.lookups import uuids

LeftOut = PlanLine.LeftOut
State = ServicingSignal.State
HELD_STILL: Final = (Occupancy, Consent, StandingOptOut, HouseholdCare, Hub, Asset)
"""Whoever writes one of these waits for this transaction, a second at most, and it for them.

Rows of participations are taken from others here, so whoever has locked one is waited for besides; of a stay
or an asset others lock the row without its key (`no_key`), which leaves a participation free to name it.
"""
WRITE_PARTS: Final = """
    INSERT INTO campaigns_participation
        (id, campaign_id, asset_id, occupancy_id, ven_id, vtn_event_id, starts_at, ends_at, expected_w, state,
         outcome, left_out, sent_at)
    SELECT id, %s, asset, occupancy, ven, event, %s, %s, expected_w, 'sent', '', '', %s
    FROM ROWS FROM (
        unnest(%s::uuid[]), unnest(%s::uuid[]), unnest(%s::uuid[]),
        json_array_elements_text(%s::json), json_array_elements_text(%s::json),
        unnest(string_to_array(%s, ',')::int4[])
    ) AS told (id, asset, occupancy, ven, event, expected_w)
    ORDER BY asset
"""


class NobodyToAsk(DomainError):
    """No asset in the zone may be asked now: `zone`, and how many there are, by reason."""

    zone: str
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a zone, checked against its contract."""

    contract: ServicingContract
    client_name: str
    direction: str
    size_w: int
    starts_at: datetime
    ends_at: datetime
    reference: str
    is_rehearsal: bool
    is_approved: bool
    resting: AbstractSet[UUID] = frozenset()
    """Assets and stays that are left in peace this time."""


@dataclass(frozen=True, slots=True)
class Started:
    """What came of an order; no campaign of a rehearsal."""

    campaign: Campaign | None
    state: ServicingSignal.State
    expected_w: int
    sure_w: int
    shortfall_w: int
    homes: int
    assets: int
    events: int
    displaced: int


@dataclass(frozen=True, slots=True)
class Found:
    """The zone as it stands: assets that could be asked, with the stay behind each (None: nobody lives there)
    and why not ("" may); then those that may, with their places among all, the share of its power that each
    keeps, and what it would give.
    """

    candidates: Sequence[ZoneAsset]
    stays: Sequence[UUID | None]
    reasons: Sequence[str]
    told: eligibility.Standing
    able: Sequence[ZoneAsset]
    places: Sequence[int]
    least_pct: Sequence[int]
    offers: Sequence[Offer]


def start(order: Order, *, at: datetime) -> Started:
    """Plan the order and, unless it is a rehearsal or waits for approval, send it.

    Inside a transaction. Raises NobodyToAsk and Frozen.
    """
    if not order.is_rehearsal:
        ramping.hold()
        _hold_still()
    with _no_collecting():
        return _start(order, at=at)


def _start(order: Order, *, at: datetime) -> Started:
    campaign = _campaign(order, at=at)
    found = look(campaign, at=at, resting=order.resting)
    rule, used_w = rules.in_force(), ramping.used_beside(campaign).by_substation()
    chosen = selecting.select(
        found.offers,
        size_w=order.size_w,
        rule=rule,
        stagger_seconds=order.contract.stagger_seconds,
        used_w_per_minute=used_w,
    )
    if not chosen.chosen:
        counts: dict[str, int] = defaultdict(int)
        for reason in found.reasons:
            counts[reason or LeftOut.NOT_NEEDED.value] += 1
        raise NobodyToAsk(zone=order.contract.zone, left_out=dict(counts))
    if order.is_rehearsal:
        return _started(None, State.REHEARSED, found, chosen, events=0, displaced=0)
    campaign.save(force_insert=True)
    detail: dict[str, object] = {"expected_w": chosen.expected_w, "shortfall_w": chosen.shortfall_w}
    life.note(campaign.pk, "campaign.draft", at=at, by=None, detail={"from": order.client_name})
    life.finish(campaign, Verb.PLAN, at=at, by=None, detail={**detail, "chosen": len(chosen.chosen)})
    if not order.is_approved:
        explaining.write(campaign.pk, _to_explain(order, found, rule, used_w))  # staff approve by them
        return _started(campaign, State.WAITING, found, chosen, events=0, displaced=0)
    displaced = displacing.displace(
        [found.offers[number].asset_id for number in chosen.chosen if found.offers[number].is_held],
        Interval(campaign.starts_at, campaign.ends_at),
        by=campaign,
        at=at,
    )
    life.finish(campaign, Verb.APPROVE, at=at, by=None, detail={"in_advance": str(order.contract.pk)})
    events = _publish(campaign, found, chosen, at=at)
    _write_parts(campaign, found, chosen, events, at=at)
    life.finish(
        campaign, Verb.DISPATCH, at=at, by=None, detail={"events": len(events), "sent": len(chosen.chosen)}
    )
    outbox.record(
        explaining.TO_EXPLAIN,
        at=at,
        key=str(campaign.pk),
        campaign_id=campaign.pk,
        told=_to_explain(order, found, rule, used_w),
    )
    for topic in (approving.APPROVED, dispatching.DISPATCHED):
        outbox.record(topic, at=at, key=str(campaign.pk), campaign_id=campaign.pk)
    outbox.record(
        approving.ENDED, at=at, due_at=campaign.ends_at, key=str(campaign.pk), campaign_id=campaign.pk
    )
    freezing.ensure_running()
    return _started(
        campaign, State.DISPATCHED, found, chosen, events=len(events), displaced=sum(displaced.values())
    )


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Put cyclic garbage off: fifty thousand objects that live to the end are looked through for it a dozen
    times otherwise, a sixth of the time that all this takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _hold_still() -> None:
    tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in HELD_STILL)
    participations = connection.ops.quote_name(Participation._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {participations} IN EXCLUSIVE MODE")
        cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")


def look(campaign: Campaign, *, at: datetime, resting: AbstractSet[UUID] = frozenset()) -> Found:
    """Who in the campaign's zone could be asked for its time, and what each would give; assets and stays of
    `resting` are left in peace.

    Ten thousand assets are gone through by their place in the zone: to look one up by its id takes longer.
    """
    interval = Interval(campaign.starts_at, campaign.ends_at)
    candidates = assets.queries.assets_in_zone(campaign.zone_kind, campaign.zone)
    told = eligibility.standing({asset.home_id for asset in candidates}, interval, at=at)
    lives_in = told.occupancy_by_home.get
    stays = [lives_in(asset.home_id) for asset in candidates]
    verdicts = eligibility.verdicts_in_order(
        candidates, stays, interval, direction=campaign.direction, told=told
    )
    trusted = vtn_door.vtn().trusted({VenId(each.ven_id) for each in candidates if each.ven_id})
    engaged = planning.engaged(interval, campaign)
    reasons: list[str] = []
    least_pct = [verdict.least_pct for verdict in verdicts]
    by_home: dict[int, list[int]] = {}
    for place, (asset, verdict) in enumerate(zip(candidates, verdicts, strict=True)):
        reason = str(verdict.reason) if verdict.reason else ""
        if not reason:
            if asset.ven_id not in trusted:
                reason = LeftOut.CERTIFICATE.value
            elif engaged.busy and asset.asset_id in engaged.busy:
                reason = LeftOut.BUSY.value
            elif resting and not resting.isdisjoint((asset.asset_id, stays[place])):
                reason = LeftOut.RESTING.value
            else:
                by_home.setdefault(id(stays[place]), []).append(place)  # one object a home
        reasons.append(reason)
    homes = list(by_home.values())
    given = _given_w(candidates, stays, homes, least_pct, campaign, engaged.committed_w, reasons)
    recent = planning.asked_lately(campaign, at=at)
    are_few = len(given) <= eligibility.FEW
    substations = members.queries.substations_of(
        [candidates[place].home_id for place in given] if are_few else None
    )
    able = sorted(given)
    offers = []
    for place in able:
        asset, stay = candidates[place], stays[place]
        expected_w, chance_out = given[place]
        offers.append(
            Offer(
                asset_id=asset.asset_id,
                expected_w=expected_w,
                chance_out=chance_out,
                asked_lately=recent.get(stay, 0) if recent and stay else 0,
                substation=substations.get(asset.home_id, "") if substations else "",
                is_held=bool(engaged.giving_way) and asset.asset_id in engaged.giving_way,
            )
        )
    return Found(
        candidates=candidates,
        stays=stays,
        reasons=reasons,
        told=told,
        able=[candidates[place] for place in able],
        places=able,
        least_pct=[least_pct[place] for place in able],
        offers=offers,
    )


def _given_w(
    candidates: Sequence[ZoneAsset],
    stays: Sequence[UUID | None],
    homes: Sequence[Sequence[int]],
    least_pct: Sequence[int],
    campaign: Campaign,
    committed_w: Mapping[UUID, int],
    reasons: list[str],
) -> dict[int, tuple[int, float]]:
    """(expected W, chance that it fails) by place of the asset; `homes` are the places of each home's. Those
    of homes that give nothing get their reason.
    """
    interval = Interval(campaign.starts_at, campaign.ends_at)
    staying = [stays[places[0]] for places in homes]
    are_few = len(homes) <= eligibility.FEW
    known = habits.habits_of([stay for stay in staying if stay is not None] if are_few else None, interval)
    is_turn_down = campaign.direction == Direction.TURN_DOWN
    given: dict[int, tuple[int, float]] = {}
    for stay, places in zip(staying, homes, strict=True):
        habit = known.get(stay) if stay is not None else None
        if stay is None or habit is None or habit.usual_w == habits.UNKNOWN:
            for place in places:
                reasons[place] = LeftOut.NO_METER_DATA.value
            continue
        limit_w = expecting.home_limit_w(
            usual_w=habit.usual_w,
            is_turn_down=is_turn_down,
            committed_w=committed_w.get(stay, 0) if committed_w else 0,
        )
        movable = [
            planning.movable_w(candidates[place], is_turn_down=is_turn_down, least_pct=least_pct[place])
            for place in places
        ]
        for place, share_w in zip(places, expecting.share_limit_w(movable, limit_w), strict=True):
            if share_w:
                given[place] = (share_w, habit.chance_out)
            else:
                reasons[place] = LeftOut.TOO_LITTLE_USE.value
    return given


def _publish(campaign: Campaign, found: Found, chosen: Selection, *, at: datetime) -> dict[str, str]:
    """Publish one event a hub; the event id by VEN."""
    by_ven: dict[str, list[int]] = {}
    for number in sorted(chosen.chosen):
        by_ven.setdefault(str(found.able[number].ven_id), []).append(number)
    in_use = Counter([asset.ven_id for asset in found.candidates])
    alike: dict[tuple[int, int], list[Addressee]] = {}
    is_turn_down = campaign.direction == Direction.TURN_DOWN
    key_of = dispatching.event_key(campaign, "")
    for ven_id, numbers in by_ven.items():
        expected_w = 0 if is_turn_down else sum([found.offers[number].expected_w for number in numbers])
        least_pct = max([found.least_pct[number] for number in numbers])
        is_whole = len(numbers) == in_use[ven_id]
        named = () if is_whole else tuple(sorted([found.able[number].resource_id for number in numbers]))
        alike.setdefault((expected_w, least_pct), []).append((key_of + ven_id, VenId(ven_id), named))
    published = vtn_door.vtn().publish_alike(
        [
            (
                sending.notice_for(
                    campaign, ven_id=told[0][1], expected_w=expected_w, least_pct=least_pct, resource_ids=()
                ),
                told,
            )
            for (expected_w, least_pct), told in alike.items()
        ],
        at=at,
    )
    return {key.removeprefix(key_of): str(event_id) for key, event_id in published.items()}


def _campaign(order: Order, *, at: datetime) -> Campaign:
    contract = order.contract
    return Campaign(
        programme=contract.programme,
        name=f"{order.client_name}: {contract.zone}"[:120],
        reason=f"The network operator asked {order.reference}".strip(),
        direction=order.direction,
        zone_kind=contract.zone_kind,
        zone=contract.zone,
        size_w=order.size_w,
        stagger_seconds=contract.stagger_seconds,
        starts_at=order.starts_at,
        ends_at=order.ends_at,
        created_at=at,
    )


def _write_parts(
    campaign: Campaign, found: Found, chosen: Selection, events: Mapping[str, str], *, at: datetime
) -> None:
    numbers = sorted(chosen.chosen)  # as they lie in memory: half the time
    asked = [found.able[number] for number in numbers]
    stays = [found.stays[found.places[number]] for number in numbers]
    with connection.cursor() as cursor:
        cursor.execute(
            WRITE_PARTS,
            [
                campaign.pk,
                campaign.starts_at,
                campaign.ends_at,
                at,
                "{" + ",".join(ids.ordered_uuids(len(asked))) + "}",
                uuids([asset.asset_id for asset in asked]),
                uuids([stay for stay in stays if stay is not None]),
                json.dumps([asset.ven_id for asset in asked]),
                json.dumps([events[str(asset.ven_id)] for asset in asked]),
                ",".join([str(found.offers[number].expected_w) for number in numbers]),
            ],
        )


def _to_explain(
    order: Order, found: Found, rule: CampaignRule, used_w_per_minute: Mapping[str, int]
) -> dict[str, Any]:
    looked = explaining.Looked(
        assets=[asset.asset_id for asset in found.candidates],
        stays=found.stays,
        reasons=found.reasons,
        offers=found.offers,
        places=found.places,
    )
    return explaining.kept(
        looked,
        size_w=order.size_w,
        rule=rule,
        stagger_seconds=order.contract.stagger_seconds,
        used_w_per_minute=used_w_per_minute,
    )


def _started(
    campaign: Campaign | None,
    state: ServicingSignal.State,
    found: Found,
    chosen: Selection,
    *,
    events: int,
    displaced: int,
) -> Started:
    return Started(
        campaign=campaign,
        state=state,
        expected_w=chosen.expected_w,
        sure_w=chosen.sure_w,
        shortfall_w=chosen.shortfall_w,
        homes=len({found.able[number].home_id for number in chosen.chosen}),
        assets=len(chosen.chosen),
        events=events,
        displaced=displaced,
    )
