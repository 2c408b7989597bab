"""Who may: the only doors through which a page gets a campaign or a participation for a user."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import members.policy
from campaigns.life import CampaignNotFound
from campaigns.models import Campaign, Participation, ServicingClient
from campaigns.opting import ParticipationNotFound
from campaigns.servicing.contracting import ClientNotFound
from members.models import Role
from members.policy import Viewer

SEES_CAMPAIGNS: Final = (
    Role.ADMINISTRATOR,
    Role.DISPATCHER,
    Role.DEVICE_MANAGER,
    Role.MEMBER_SERVICES,
    Role.FINANCE,
    Role.AUDITOR,
)
RUNS_CAMPAIGNS: Final = (Role.ADMINISTRATOR, Role.DISPATCHER)
SEES_OPERATORS: Final = (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
SEES_EVIDENCE: Final = (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
"""The evidence of a month for a load control licence: totals and decisions, never a home."""
MANAGES_OPERATORS: Final = (Role.ADMINISTRATOR,)
ANSWERS_FOR_MEMBERS: Final = (Role.ADMINISTRATOR, Role.DISPATCHER, Role.MEMBER_SERVICES)


def may_see_campaigns(user: Viewer) -> bool:
    """True for staff whose work shows campaigns."""
    return members.policy.has_role(user, *SEES_CAMPAIGNS)


def may_run_campaigns(user: Viewer) -> bool:
    """True for those who may create, plan, approve and cancel."""
    return members.policy.has_role(user, *RUNS_CAMPAIGNS)


def require_runs_campaigns(user: Viewer) -> None:
    """Raise Forbidden unless the user may create, plan, approve and cancel."""
    members.policy.require_role(user, *RUNS_CAMPAIGNS)


def access_campaign(user: Viewer, campaign_id: UUID) -> Campaign:
    """The campaign with its programme, to look at; raises CampaignNotFound for anybody but staff."""
    if may_see_campaigns(user):
        found = Campaign.objects.select_related("programme").filter(pk=campaign_id).first()
        if found is not None:
            return found
    raise CampaignNotFound(campaign_id=campaign_id)


def access_campaign_to_run(user: Viewer, campaign_id: UUID) -> Campaign:
    """The campaign, to change it: Forbidden for staff who may only look, CampaignNotFound for others."""
    campaign = access_campaign(user, campaign_id)
    require_runs_campaigns(user)
    return campaign


def access_participation(user: Viewer, participation_id: UUID, at: datetime) -> Participation:
    """The participation, for its household and for staff; raises ParticipationNotFound for strangers."""
    found = (
        Participation.objects.select_related("campaign__programme", "asset__kind", "occupancy__home")
        .filter(pk=participation_id)
        .first()
    )
    if found is None or not members.policy.may_see_household(user, found.occupancy.household_id, at):
        raise ParticipationNotFound(participation_id=participation_id)
    return found


def access_participation_to_answer(user: Viewer, participation_id: UUID, at: datetime) -> Participation:
    """The participation, to say no or yes for it: its household, or staff who answer for members."""
    participation = access_participation(user, participation_id, at)
    if not is_own_household(user, participation, at):
        members.policy.require_role(user, *ANSWERS_FOR_MEMBERS)
    return participation


def is_own_household(user: Viewer, participation: Participation, at: datetime) -> bool:
    """True when the user is a current member of the household asked."""
    member = members.queries.member_of(user)
    return (
        member is not None
        and member.household_id == participation.occupancy.household_id
        and member.is_current(at)
    )


def require_sees_operators(user: Viewer) -> None:
    """Raise Forbidden unless the user may see network operators, their contracts and signals."""
    members.policy.require_role(user, *SEES_OPERATORS)


def may_manage_operators(user: Viewer) -> bool:
    """True for those who let operators in, take in their keys and agree to contracts, and set the rules."""
    return members.policy.has_role(user, *MANAGES_OPERATORS)


def require_manages_operators(user: Viewer) -> None:
    """Raise Forbidden unless the user may let operators in, and set the rules."""
    members.policy.require_role(user, *MANAGES_OPERATORS)


def access_operator(user: Viewer, client_id: UUID) -> ServicingClient:
    """The network operator, to look at; raises ClientNotFound where there is none."""
    require_sees_operators(user)
    found = ServicingClient.objects.filter(pk=client_id).first()
    if found is None:
        raise ClientNotFound(client_id=str(client_id))
    return found


def market_rights(user: Viewer) -> dict[str, bool]:
    """What pages of the market may offer: `may_run` (offers and orders), `may_manage` (buyers and kinds)."""
    return {"may_run": may_run_campaigns(user), "may_manage": may_manage_operators(user)}
