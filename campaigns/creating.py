"""Creating a campaign: the staff's form, a market's request or a file comes in here as one checked draft."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction

from campaigns import life
from campaigns.models import MOST_HELD_OUT_PCT, Campaign, Direction, Programme, ZoneKind
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.periods import is_half_hour

if TYPE_CHECKING:
    from members.models import User

LONGEST: Final = timedelta(hours=4)
LARGEST_W: Final = 2_000_000_000
GSP_GROUP: Final = re.compile(r"[A-HJ-NP]")
POSTCODE_AREA: Final = re.compile(r"[A-Z]{1,2}")


class CampaignInvalid(Invalid):
    """The campaign as asked for breaks a rule; `errors` says which, by field."""

    errors: Mapping[str, str]


class AlreadyCreated(DomainError):
    """There is a campaign of that id, and it asks for something else."""

    campaign_id: UUID


@transaction.atomic
def create_campaign(
    *,
    programme: Programme,
    name: str,
    direction: str,
    zone_kind: str,
    zone: str,
    size_w: int,
    starts_at: datetime,
    ends_at: datetime,
    at: datetime,
    by: User | None,
    reason: str = "",
    campaign_id: UUID | None = None,
    hold_out_pct: int | None = None,
) -> Campaign:
    """Draft a campaign over whole half-hours [starts_at, ends_at), in the future and four hours at most.

    The zone is stored as written on the grid's own lists ("_g" becomes "G"); `hold_out_pct` is the
    programme's unless given. With a `campaign_id`, asking
    again for the same returns the campaign that stands. Raises CampaignInvalid with every field that is
    wrong, AlreadyCreated when the campaign of that id asks for something else.
    """
    asked = checked(
        programme=programme,
        name=name,
        direction=direction,
        zone_kind=zone_kind,
        zone=zone,
        size_w=size_w,
        starts_at=starts_at,
        ends_at=ends_at,
        at=at,
        reason=reason,
        hold_out_pct=hold_out_pct,
    )
    campaign, is_new = Campaign.objects.get_or_create(
        pk=campaign_id or new_uuid(), defaults={**asked, "created_by": by, "created_at": at}
    )
    if not is_new:
        if any(getattr(campaign, field) != value for field, value in asked.items()):
            raise AlreadyCreated(campaign_id=campaign.pk)
        return campaign
    life.note(
        campaign.pk,
        "campaign.created",
        at=at,
        by=by,
        detail={
            "programme": programme.pk,
            "size_w": size_w,
            "zone_kind": zone_kind,
            "zone": campaign.zone,
            "hold_out_pct": campaign.hold_out_pct,
        },
    )
    return campaign


def checked(
    *,
    programme: Programme,
    name: str,
    direction: str,
    zone_kind: str,
    zone: str,
    size_w: int,
    starts_at: datetime,
    ends_at: datetime,
    at: datetime,
    reason: str = "",
    hold_out_pct: int | None = None,
) -> dict[str, object]:
    """What a campaign asks, field by field as it is stored; raises CampaignInvalid with every fault."""
    name, reason = name.strip(), reason.strip()
    zone = written_zone(zone_kind, zone)
    if hold_out_pct is None:
        hold_out_pct = programme.hold_out_pct
    errors = {
        **_word_errors(name=name, reason=reason, direction=direction, size_w=size_w),
        **zone_errors(zone_kind, zone),
        **_time_errors(starts_at=starts_at, ends_at=ends_at, at=at),
        **_hold_out_errors(hold_out_pct),
    }
    if errors:
        raise CampaignInvalid(errors=errors)
    return {
        "programme": programme,
        "name": name,
        "reason": reason,
        "direction": Direction(direction),
        "zone_kind": ZoneKind(zone_kind),
        "zone": zone,
        "size_w": size_w,
        "hold_out_pct": hold_out_pct,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }


def written_zone(zone_kind: str, zone: str) -> str:
    """The zone as the grid's own lists write it."""
    zone = zone.strip()
    if zone_kind == ZoneKind.EVERYWHERE:
        return ""
    if zone_kind == ZoneKind.GSP_GROUP:
        return zone.upper().removeprefix("_")
    if zone_kind == ZoneKind.POSTCODE_AREA:
        return zone.upper()
    return zone


def _word_errors(*, name: str, reason: str, direction: str, size_w: int) -> dict[str, str]:
    errors = {}
    if not name:
        errors["name"] = "Give the campaign a name."
    elif len(name) > 120:
        errors["name"] = "Keep the name within 120 characters."
    if len(reason) > 200:
        errors["reason"] = "Keep the reason within 200 characters."
    if direction not in Direction.values:
        errors["direction"] = f"Choose one of {', '.join(Direction.values)}."
    if not 0 < size_w <= LARGEST_W:
        errors["size_w"] = "Ask for more than 0 W and at most 2 GW."
    return errors


def zone_errors(zone_kind: str, zone: str) -> dict[str, str]:
    """What is wrong with a written zone, by field."""
    if zone_kind not in ZoneKind.values:
        return {"zone_kind": f"Choose one of {', '.join(ZoneKind.values)}."}
    if zone_kind == ZoneKind.GSP_GROUP and not GSP_GROUP.fullmatch(zone):
        return {"zone": "A GSP group is one letter from A to P, without I and O."}
    if zone_kind == ZoneKind.POSTCODE_AREA and not POSTCODE_AREA.fullmatch(zone):
        return {"zone": "A postcode area is one or two letters, such as M or CF."}
    if zone_kind != ZoneKind.EVERYWHERE and not zone:
        return {"zone": "Name the zone."}
    if len(zone) > 60:
        return {"zone": "Keep the zone within 60 characters."}
    return {}


def _hold_out_errors(hold_out_pct: int) -> dict[str, str]:
    if 0 <= hold_out_pct <= MOST_HELD_OUT_PCT:
        return {}
    return {"hold_out_pct": f"Hold out 0 to {MOST_HELD_OUT_PCT} percent of the homes."}


def _time_errors(*, starts_at: datetime, ends_at: datetime, at: datetime) -> dict[str, str]:
    errors = {}
    for field, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if value.utcoffset() is None:
            errors[field] = "Give the time with its zone."
        elif not is_half_hour(value):
            errors[field] = "Choose a whole half-hour."
    if errors:
        return errors
    if starts_at <= at:
        errors["starts_at"] = "Choose a start in the future."
    if ends_at <= starts_at:
        errors["ends_at"] = "Choose an end after the start."
    elif ends_at - starts_at > LONGEST:
        errors["ends_at"] = "Choose four hours at most."
    return errors
