"""Availability: what the co-op declares to a buyer that it could give, and takes back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction

from campaigns.creating import written_zone, zone_errors
from campaigns.market import telling
from campaigns.market.receiving import FURTHEST, LARGEST_W
from campaigns.models import Direction, MarketAvailability, MarketParty
from opendsr.kernel.errors import Invalid, NotFound
from opendsr.kernel.periods import is_half_hour

if TYPE_CHECKING:
    from members.models import User

WHAT: Final = ("direction", "zone_kind", "zone", "starts_at", "ends_at", "available_w")


class AvailabilityInvalid(Invalid):
    """The declaration breaks a rule; `errors` says which, by field."""

    errors: Mapping[str, str]


class AvailabilityNotFound(NotFound):
    """There is no such declaration: `availability_id`."""

    availability_id: str


@transaction.atomic
def declare(
    *,
    party: MarketParty,
    direction: str,
    zone_kind: str,
    zone: str,
    starts_at: datetime,
    ends_at: datetime,
    available_w: int,
    at: datetime,
    by: User | None,
) -> MarketAvailability:
    """Declare so much power over whole half-hours [starts_at, ends_at); raises AvailabilityInvalid."""
    zone = written_zone(zone_kind, zone)
    errors = dict(zone_errors(zone_kind, zone))
    if direction not in Direction.values:
        errors["direction"] = f"Choose one of {', '.join(Direction.values)}."
    if not 0 < available_w <= LARGEST_W:
        errors["available_w"] = "Declare more than 0 W and at most 2 GW."
    if not (is_half_hour(starts_at) and is_half_hour(ends_at)):
        errors["starts_at"] = "Choose whole half-hours."
    elif not starts_at < ends_at <= at + FURTHEST:
        errors["ends_at"] = "Choose an end after the start, within a year."
    elif ends_at <= at:
        errors["ends_at"] = "Choose an end in the future."
    if not errors:
        beside = MarketAvailability.objects.filter(
            party=party, direction=direction, zone_kind=zone_kind, zone=zone, withdrawn_at=None
        ).filter(starts_at__lt=ends_at, ends_at__gt=starts_at)
        MarketParty.objects.select_for_update().get(pk=party.pk)
        if beside.exists():
            errors["starts_at"] = "Something is declared for some of that time: withdraw it first."
    if errors:
        raise AvailabilityInvalid(errors=errors)
    made = MarketAvailability.objects.create(
        party=party,
        direction=direction,
        zone_kind=zone_kind,
        zone=zone,
        starts_at=starts_at,
        ends_at=ends_at,
        available_w=available_w,
        declared_at=at,
        declared_by=by,
    )
    telling.note("availability", party=party, is_ours=True, at=at, by=by, body=_told(made))
    return made


@transaction.atomic
def withdraw(*, availability_id: UUID, at: datetime, by: User | None) -> MarketAvailability:
    """Take a declaration back; again, nothing changes. Raises AvailabilityNotFound."""
    found = (
        MarketAvailability.objects.select_for_update(of=("self",))
        .select_related("party")
        .filter(pk=availability_id)
        .first()
    )
    if found is None:
        raise AvailabilityNotFound(availability_id=str(availability_id))
    if found.withdrawn_at is None:
        found.withdrawn_at = at
        found.save(update_fields=["withdrawn_at"])
        telling.note(
            "availability withdrawn", party=found.party, is_ours=True, at=at, by=by, body=_told(found)
        )
    return found


def _told(row: MarketAvailability) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in ((name, getattr(row, name)) for name in WHAT)
    }
