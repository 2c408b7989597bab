"""The send-time guard: whatever was planned, the last check before an event leaves asks everything again."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from assets.models import Asset, Hub
from assets.queries import zone_assets
from campaigns import eligibility, vtn_door
from campaigns.models import Campaign, Participation, PlanLine
from campaigns.vtn_door import VenId
from opendsr.kernel.interval import Interval
from opendsr.kernel.lookups import among

LeftOut = PlanLine.LeftOut


def reasons_to_hold(campaign: Campaign, parts: Sequence[Participation], *, at: datetime) -> dict[UUID, str]:
    """Why participations may not be sent at `at`, by id; those that may are absent. See `verdicts`."""
    told = verdicts(campaign, parts, at=at)
    return {part_id: verdict.reason for part_id, verdict in told.items() if verdict.reason}


def verdicts(
    campaign: Campaign, parts: Sequence[Participation], *, at: datetime
) -> dict[UUID, eligibility.Verdict]:
    """Whether participations may be sent at `at`, by id, and what their assets keep then.

    `parts` come with their asset and hub read in this transaction. Asks again: time left, the household's own
    no, who lives there, consent, standing opt-out, hub, asset.
    """
    if at >= campaign.ends_at:
        return dict.fromkeys((part.pk for part in parts), eligibility.Verdict(LeftOut.TOO_LATE))
    told, again = _asked_again(campaign, [part.asset for part in parts], at=at)
    trusted = vtn_door.vtn().trusted({VenId(part.ven_id) for part in parts})
    return {
        part.pk: eligibility.Verdict(
            str(_reason(part, again[part.asset_id], told, trusted)), again[part.asset_id].least_pct
        )
        for part in parts
    }


def held_out_no_more(campaign: Campaign, *, at: datetime) -> dict[int, str]:
    """Why lines of the plan that were held out to compare with no longer may be, by id: the same questions as
    of those that are asked.
    """
    lines = list(campaign.plan_lines.filter(left_out=LeftOut.HELD_OUT).select_related("asset__hub"))
    told, again = _asked_again(campaign, [line.asset for line in lines], at=at)
    reasons = {}
    for line in lines:
        reason = again[line.asset_id].reason
        if not reason and told.occupancy_by_home[line.asset.hub.home_id] != line.occupancy_id:
            reason = LeftOut.NO_HOUSEHOLD
        if reason:
            reasons[line.pk] = str(reason)
    return reasons


def _asked_again(
    campaign: Campaign, asked: Sequence[Asset], *, at: datetime
) -> tuple[eligibility.Standing, dict[UUID, eligibility.Verdict]]:
    """What is known of the homes now, and whether each asset may still take part."""
    interval = Interval(campaign.starts_at, campaign.ends_at)
    told = eligibility.standing({asset.hub.home_id for asset in asked}, interval, at=at)
    rows = zone_assets(Asset.objects.filter(pk__in=among(asset.pk for asset in asked)))
    again = eligibility.may_take_part(rows, interval, direction=campaign.direction, at=at, told=told)
    for asset in asked:  # one that has gone meanwhile is in no list of assets
        again.setdefault(asset.pk, eligibility.Verdict(_gone(asset)))
    return told, again


def _gone(asset: Asset) -> str:
    is_hub = asset.hub.state == Hub.State.RETIRED
    return LeftOut.HUB_NOT_COMMISSIONED if is_hub else LeftOut.ASSET_FAULTY


def _reason(
    part: Participation,
    verdict: eligibility.Verdict,
    told: eligibility.Standing,
    trusted: AbstractSet[VenId],
) -> str:
    hub = part.asset.hub
    if verdict.reason:
        return verdict.reason
    if told.occupancy_by_home[hub.home_id] != part.occupancy_id:
        return LeftOut.NO_HOUSEHOLD
    if hub.ven_id != part.ven_id:
        return LeftOut.HUB_CHANGED
    if part.ven_id not in trusted:
        return LeftOut.CERTIFICATE
    if part.state == Participation.State.OPTED_OUT:
        return LeftOut.OPTED_OUT
    return ""
