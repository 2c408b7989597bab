"""The send-time guard: whatever was planned, the last check before an event leaves asks everything again."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from campaigns import eligibility, vtn_door
from campaigns.models import Campaign, Participation, PlanLine
from campaigns.vtn_door import VenId
from opendsr.kernel.interval import Interval

LeftOut = PlanLine.LeftOut


def reasons_to_hold(campaign: Campaign, parts: Sequence[Participation], *, at: datetime) -> dict[UUID, str]:
    """Why participations may not be sent at `at`, by id; those that may are absent.

    `parts` come with their asset and hub read in this transaction. Asks again: time left, the household's own
    no, who lives there, consent, standing opt-out, hub, asset.
    """
    if at >= campaign.ends_at:
        return dict.fromkeys((part.pk for part in parts), LeftOut.TOO_LATE)
    told = eligibility.standing(
        {part.asset.hub.home_id for part in parts}, Interval(campaign.starts_at, campaign.ends_at), at=at
    )
    trusted = vtn_door.vtn().trusted({VenId(part.ven_id) for part in parts})
    reasons = {part.pk: _reason(part, told, trusted) for part in parts}
    return {part_id: str(reason) for part_id, reason in reasons.items() if reason}


def held_out_no_more(campaign: Campaign, *, at: datetime) -> dict[int, str]:
    """Why lines of the plan that were held out to compare with no longer may be, by id: the same questions as
    of those that are asked.
    """
    lines = list(campaign.plan_lines.filter(left_out=LeftOut.HELD_OUT).select_related("asset__hub"))
    told = eligibility.standing(
        {line.asset.hub.home_id for line in lines}, Interval(campaign.starts_at, campaign.ends_at), at=at
    )
    reasons = {}
    for line in lines:
        hub = line.asset.hub
        reason = eligibility.reason_out(
            home_id=hub.home_id,
            hub_state=hub.state,
            ven_id=hub.ven_id,
            asset_state=line.asset.state,
            told=told,
        )
        if not reason and told.occupancy_by_home[hub.home_id] != line.occupancy_id:
            reason = LeftOut.NO_HOUSEHOLD
        if reason:
            reasons[line.pk] = str(reason)
    return reasons


def _reason(part: Participation, told: eligibility.Standing, trusted: AbstractSet[VenId]) -> str:
    hub = part.asset.hub
    reason = eligibility.reason_out(
        home_id=hub.home_id,
        hub_state=hub.state,
        ven_id=hub.ven_id,
        asset_state=part.asset.state,
        told=told,
    )
    if reason:
        return reason
    if told.occupancy_by_home[hub.home_id] != part.occupancy_id:
        return LeftOut.NO_HOUSEHOLD
    if hub.ven_id != part.ven_id:
        return LeftOut.HUB_CHANGED
    if part.ven_id not in trusted:
        return LeftOut.CERTIFICATE
    if part.state == Participation.State.OPTED_OUT:
        return LeftOut.OPTED_OUT
    return ""
