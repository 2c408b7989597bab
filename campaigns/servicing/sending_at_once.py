"""Direct load control in one go: found by place, chosen, written and published, in one transaction.

Arrays in, a statement a table out: ten thousand homes take less than a second. What the send-time guard asks
(`guarding.py`) is asked here while its answers are held still.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
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
    rules,
    selecting,
    sending,
    vtn_door,
)
from campaigns.eligibility import Verdict
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
from campaigns.vtn_door import EventNotice, VenId
from members.care_models import HouseholdCare
from members.models import Consent, Occupancy, StandingOptOut
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval

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
    SELECT gen_random_uuid(), %s, asset, occupancy, ven, event, %s, %s, expected_w, 'sent', '', '', %s
    FROM jsonb_to_recordset(%s::jsonb)
        AS told (asset uuid, occupancy uuid, ven text, event text, expected_w int4)
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
    """The zone as it stands: assets that could be asked, what each would give, and why the others not."""

    candidates: Sequence[ZoneAsset]
    told: eligibility.Standing
    verdicts: Mapping[UUID, Verdict]
    reasons: dict[UUID, str]
    able: Sequence[ZoneAsset]
    offers: Sequence[Offer]


def start(order: Order, *, at: datetime) -> Started:
    """Plan the order and, unless it is a rehearsal or waits for approval, send it.

    Inside a transaction. Raises NobodyToAsk and Frozen.
    """
    if not order.is_rehearsal:
        _hold_still()
    campaign = _campaign(order, at=at)
    found = look(campaign, at=at, resting=order.resting)
    rule = rules.in_force()
    chosen = selecting.select(
        found.offers,
        size_w=order.size_w,
        rule=rule,
        stagger_seconds=order.contract.stagger_seconds,
    )
    if not chosen.chosen:
        counts: dict[str, int] = defaultdict(int)
        for reason in found.reasons.values():
            counts[reason or LeftOut.NOT_NEEDED.value] += 1
        raise NobodyToAsk(zone=order.contract.zone, left_out=dict(counts))
    if order.is_rehearsal:
        return _started(None, State.REHEARSED, found, chosen, events=0, displaced=0)
    campaign.save(force_insert=True)
    detail: dict[str, object] = {"expected_w": chosen.expected_w, "shortfall_w": chosen.shortfall_w}
    life.note(campaign.pk, "campaign.draft", at=at, by=None, detail={"from": order.client_name})
    life.finish(campaign, Verb.PLAN, at=at, by=None, detail={**detail, "chosen": len(chosen.chosen)})
    if not order.is_approved:
        explaining.write(campaign.pk, _to_explain(order, found, rule))  # staff approve by them
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
        told=_to_explain(order, found, rule),
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


def _hold_still() -> None:
    tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in HELD_STILL)
    participations = connection.ops.quote_name(Participation._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {participations} IN EXCLUSIVE MODE")
        cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")


def look(campaign: Campaign, *, at: datetime, resting: AbstractSet[UUID] = frozenset()) -> Found:
    """Who in the campaign's zone could be asked for its time, and what each would give; assets and stays of
    `resting` are left in peace.
    """
    interval = Interval(campaign.starts_at, campaign.ends_at)
    candidates = assets.queries.assets_in_zone(campaign.zone_kind, campaign.zone)
    homes = {asset.home_id for asset in candidates}
    told = eligibility.standing(homes, interval, at=at)
    verdicts = eligibility.may_take_part(candidates, interval, direction=campaign.direction, at=at, told=told)
    reasons = {asset_id: str(verdict.reason) for asset_id, verdict in verdicts.items()}
    trusted = vtn_door.vtn().trusted({VenId(each.ven_id) for each in candidates if each.ven_id})
    engaged = planning.engaged(interval, campaign)
    for asset in candidates:
        if reasons[asset.asset_id]:
            continue
        if asset.ven_id not in trusted:
            reasons[asset.asset_id] = LeftOut.CERTIFICATE
        elif asset.asset_id in engaged.busy:
            reasons[asset.asset_id] = LeftOut.BUSY
        elif resting and not resting.isdisjoint((asset.asset_id, told.occupancy_by_home[asset.home_id])):
            reasons[asset.asset_id] = LeftOut.RESTING
    able = [asset for asset in candidates if not reasons[asset.asset_id]]
    given = _given_w(able, told, campaign, engaged.committed_w, reasons)
    able = [asset for asset in able if asset.asset_id in given]
    stays = [told.occupancy_by_home[asset.home_id] for asset in able]
    recent = planning.asked_lately(campaign, at=at)
    substations = members.queries.substations_of({asset.home_id for asset in able})
    offers = [
        Offer(
            asset_id=asset.asset_id,
            expected_w=given[asset.asset_id][0],
            chance_out=given[asset.asset_id][1],
            asked_lately=recent.get(stay, 0),
            substation=substations.get(asset.home_id, ""),
            is_held=asset.asset_id in engaged.giving_way,
        )
        for asset, stay in zip(able, stays, strict=True)
    ]
    return Found(candidates, told, verdicts, reasons, able, offers)


def _given_w(
    able: Sequence[ZoneAsset],
    told: eligibility.Standing,
    campaign: Campaign,
    committed_w: Mapping[UUID, int],
    reasons: dict[UUID, str],
) -> dict[UUID, tuple[int, float]]:
    """(expected W, chance that it fails) by asset; those of homes that give nothing get their reason."""
    by_home: dict[UUID, list[ZoneAsset]] = defaultdict(list)
    for asset in able:
        by_home[asset.home_id].append(asset)
    interval = Interval(campaign.starts_at, campaign.ends_at)
    known = habits.habits_of([told.occupancy_by_home[home_id] for home_id in by_home], interval)
    is_turn_down = campaign.direction == Direction.TURN_DOWN
    given: dict[UUID, tuple[int, float]] = {}
    for home_id, group in by_home.items():
        stay = told.occupancy_by_home[home_id]
        habit = known.get(stay)
        if habit is None or habit.usual_w == habits.UNKNOWN:
            reasons.update(dict.fromkeys((asset.asset_id for asset in group), LeftOut.NO_METER_DATA.value))
            continue
        limit_w = expecting.home_limit_w(
            usual_w=habit.usual_w, is_turn_down=is_turn_down, committed_w=committed_w.get(stay, 0)
        )
        movable = [planning.movable_w(asset, campaign, told) for asset in group]
        for asset, share_w in zip(group, expecting.share_limit_w(movable, limit_w), strict=True):
            if share_w:
                given[asset.asset_id] = (share_w, habit.chance_out)
            else:
                reasons[asset.asset_id] = LeftOut.TOO_LITTLE_USE
    return given


def _publish(campaign: Campaign, found: Found, chosen: Selection, *, at: datetime) -> dict[str, str]:
    """Publish one event a hub; the event id by VEN."""
    by_ven: dict[str, list[int]] = defaultdict(list)
    for number in chosen.chosen:
        by_ven[str(found.able[number].ven_id)].append(number)
    in_use: dict[str, int] = defaultdict(int)
    for asset in found.candidates:
        in_use[str(asset.ven_id)] += 1
    alike: dict[tuple[int, int], EventNotice] = {}
    notices: dict[str, EventNotice] = {}
    is_turn_down = campaign.direction == Direction.TURN_DOWN
    for ven_id, numbers in sorted(by_ven.items()):
        asked = [found.able[number] for number in numbers]
        expected_w = 0 if is_turn_down else sum(found.offers[number].expected_w for number in numbers)
        least_pct = max(found.verdicts[asset.asset_id].least_pct for asset in asked)
        shape = alike.get((expected_w, least_pct))
        if shape is None:
            shape = sending.notice_for(
                campaign, ven_id=ven_id, expected_w=expected_w, least_pct=least_pct, resource_ids=()
            )
            alike[expected_w, least_pct] = shape
        is_whole = len(asked) == in_use[ven_id]
        notices[dispatching.event_key(campaign, ven_id)] = replace(
            shape,
            ven_id=VenId(ven_id),
            resource_ids=() if is_whole else tuple(sorted(asset.resource_id for asset in asked)),
        )
    published = vtn_door.vtn().publish_many(notices, at=at)
    return {str(notices[key].ven_id): str(event_id) for key, event_id in published.items()}


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
    rows = []
    for number in chosen.chosen:
        asset = found.able[number]
        rows.append(
            {
                "asset": str(asset.asset_id),
                "occupancy": str(found.told.occupancy_by_home[asset.home_id]),
                "ven": asset.ven_id,
                "event": events[str(asset.ven_id)],
                "expected_w": found.offers[number].expected_w,
            }
        )
    with connection.cursor() as cursor:
        cursor.execute(WRITE_PARTS, [campaign.pk, campaign.starts_at, campaign.ends_at, at, json.dumps(rows)])


def _to_explain(order: Order, found: Found, rule: CampaignRule) -> dict[str, Any]:
    living = found.told.occupancy_by_home
    looked = explaining.Looked(
        assets=[asset.asset_id for asset in found.candidates],
        stays=[living.get(asset.home_id) for asset in found.candidates],
        reasons=[str(found.reasons[asset.asset_id]) for asset in found.candidates],
        offers=found.offers,
    )
    return explaining.kept(
        looked, size_w=order.size_w, rule=rule, stagger_seconds=order.contract.stagger_seconds
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
