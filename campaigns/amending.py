"""Amending: what is asked may change until it is approved, and what runs may go on for longer.

Whoever was told a time keeps it: an event that homes know of is never stretched. To go on is a campaign of
its own that begins where the other ends, with its own plan, checks, approval, notices and settlement.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import transaction

from campaigns import creating, life, planning
from campaigns.creating import CampaignInvalid
from campaigns.market_models import MarketStretch
from campaigns.models import Campaign
from opendsr.kernel.errors import DomainError

if TYPE_CHECKING:
    from members.models import User

AMENDED: Final = "campaign.amended"
State = Campaign.State
AMENDABLE: Final = (State.DRAFT, State.PLANNED)
RUNNING: Final = (State.APPROVED, State.DISPATCHED)
MINUTES: Final = (30, 60, 90, 120)
"""For how long a campaign may go on at once."""


class NotAmendable(DomainError):
    """Homes hold a place in it already, or it is over: `state`."""

    campaign_id: UUID
    state: str


class AskedFromOutside(DomainError):
    """What a network operator's signal or a buyer's order asked is theirs to change."""

    campaign_id: UUID


@transaction.atomic
def amend_campaign(*, campaign_id: UUID, at: datetime, by: User, **asked: Any) -> Campaign:
    """Ask for something else in a campaign that is not approved yet, and plan it anew.

    `asked` is what `creating.create_campaign` takes of a campaign. A first approval is taken back; the log
    says what changed. Raises CampaignInvalid, NotAmendable and AskedFromOutside.
    """
    campaign = life.lock_campaign(campaign_id)
    if campaign.state not in AMENDABLE:
        raise NotAmendable(campaign_id=campaign.pk, state=campaign.state)
    if is_asked_from_outside(campaign):
        raise AskedFromOutside(campaign_id=campaign.pk)
    wanted = creating.checked(at=at, **asked)
    before = {field: getattr(campaign, field) for field in wanted}
    changed = {field: value for field, value in wanted.items() if value != before[field]}
    if changed:
        for field, value in changed.items():
            setattr(campaign, field, value)
        campaign.save(update_fields=list(changed))
        detail = {field: [str(before[field]), str(value)] for field, value in changed.items()}
        life.note(campaign.pk, AMENDED, at=at, by=by, detail={"changed": detail})
    planning.plan_campaign(campaign_id=campaign.pk, at=at)
    campaign.refresh_from_db()
    return campaign


def is_asked_from_outside(campaign: Campaign) -> bool:
    """Whether somebody else than the co-op's staff asked for it, and knows what it is."""
    return campaign.signals.exists() or MarketStretch.objects.filter(campaign=campaign).exists()


@transaction.atomic
def continue_campaign(
    *, campaign_id: UUID, continuation_id: UUID, minutes: int, at: datetime, by: User
) -> Campaign:
    """Draft and plan a campaign that goes on where this one ends; asked again, the same one.

    Assets that took part until then count as having run all the while (`eligibility`). Raises CampaignInvalid
    with what is wrong at `minutes`, NotAmendable when it does not run, CampaignEnded, AlreadyCreated.
    """
    campaign = life.lock_campaign(campaign_id)
    if campaign.state not in RUNNING:
        raise NotAmendable(campaign_id=campaign.pk, state=campaign.state)
    if minutes not in MINUTES:
        raise CampaignInvalid(errors={"minutes": f"Choose one of {', '.join(map(str, MINUTES))} minutes."})
    try:
        continuation = creating.create_campaign(
            campaign_id=continuation_id,
            programme=campaign.programme,
            name=f"{campaign.name[:100]}, continued",
            direction=campaign.direction,
            zone_kind=campaign.zone_kind,
            zone=campaign.zone,
            size_w=campaign.size_w,
            starts_at=campaign.ends_at,
            ends_at=campaign.ends_at + timedelta(minutes=minutes),
            reason=campaign.reason,
            hold_out_pct=campaign.hold_out_pct,
            at=at,
            by=by,
        )
    except CampaignInvalid as error:
        words = " ".join(error.errors.values())
        raise CampaignInvalid(errors={"minutes": words}) from error
    if continuation.state == State.DRAFT:
        planning.plan_campaign(campaign_id=continuation.pk, at=at)
        continuation.refresh_from_db()
    return continuation
