"""Who may: roles of staff, and the only doors through which a page gets an object for a user.

A stranger's door answers as if the thing did not exist (404); a known user without the role gets 403.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from members import entry
from members.asking import RequestNotFound
from members.models import Consent, Member, Occupancy, Role, StandingOptOut, User
from members.partner_models import Partner
from members.partnering import PartnerNotFound
from members.queries import account_holder_of, member_of, partner_of
from members.rights_models import RightsRequest
from opendsr.kernel.errors import NotAllowed, NotFound

Viewer = User | AnonymousUser

STAFF: Final = (
    Role.ADMINISTRATOR,
    Role.DISPATCHER,
    Role.DEVICE_MANAGER,
    Role.MEMBER_SERVICES,
    Role.FINANCE,
    Role.AUDITOR,
)
"""Roles that see homes by their work; installers, partners and applications never see one by its id alone."""

MANAGES_PARTNERS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
"""Roles that make partners, their accounts and the links to their homes."""

TAKES_IN_REGISTERS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
"""Roles that take in a register of members and homes."""

DECIDES_ENQUIRIES: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
"""Roles that decide who joins, and publish the rules and the terms."""

SEES_RIGHTS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES, Role.AUDITOR)
"""Roles that see what people ask of their data, and complaints."""

ANSWERS_RIGHTS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
"""Roles that answer them."""

READS_NEEDS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
"""Roles that may read what a household needs, with a reason that is kept, and write down what it says."""

_HELD: Final = "_roles_held"


class NotAccountHolder(NotAllowed):
    """Only the household's account holder may do this: `holder` names them."""

    holder: str


class Forbidden(NotAllowed):
    """The user has none of the roles this needs."""

    needs: str


class OccupancyNotFound(NotFound):
    """No such occupancy for this user."""

    occupancy_id: str


class MemberNotFound(NotFound):
    """No such member for this user."""

    number: str


class ConsentNotFound(NotFound):
    """No such consent for this user."""

    consent_id: str


class OptOutNotFound(NotFound):
    """No such standing opt-out for this user."""

    opt_out_id: str


def has_role(user: Viewer, *roles: Role) -> bool:
    """True when an active account holds one of the roles; a superuser holds all."""
    if not (user.is_authenticated and user.is_active):
        return False
    return user.is_superuser or not roles_of(user).isdisjoint(Role(role).value for role in roles)


def roles_of(user: Viewer) -> frozenset[str]:
    """The names of the roles that an active account holds.

    Asked of the database once for each user object, as Django does with permissions: a request
    has an object of its own, so that a role taken away is gone at the next one.
    """
    if not (user.is_authenticated and user.is_active):
        return frozenset()
    held: frozenset[str] | None = getattr(user, _HELD, None)
    if held is None:
        known = {role.value for role in Role}
        held = frozenset(name for name in user.groups.values_list("name", flat=True) if name in known)
        setattr(user, _HELD, held)
    return held


def require_role(user: Viewer, *roles: Role) -> None:
    """Raise Forbidden unless the user holds one of the roles."""
    if not has_role(user, *roles):
        raise Forbidden(needs=" or ".join(Role(role).value for role in roles))


def access_occupancy(user: Viewer, occupancy_id: UUID, at: datetime) -> Occupancy:
    """The occupancy, for its own household and for staff; raises OccupancyNotFound for strangers."""
    stay = Occupancy.objects.select_related("home", "household").filter(pk=occupancy_id).first()
    if stay is None or not may_see_household(user, stay.household_id, at):
        raise OccupancyNotFound(occupancy_id=str(occupancy_id))
    return stay


def access_member(user: Viewer, number: str, at: datetime) -> Member:
    """The member: oneself, somebody of one's household, or anybody for staff; raises MemberNotFound."""
    try:
        known = entry.member_number(number)
    except entry.InvalidField:
        raise MemberNotFound(number=number) from None
    member = Member.objects.select_related("household").filter(number=known).first()
    if member is None or not may_see_household(user, member.household_id, at):
        raise MemberNotFound(number=number)
    return member


def access_consent(user: Viewer, consent_id: UUID, at: datetime) -> Consent:
    """The consent, for its household and for staff; raises ConsentNotFound."""
    related = ("occupancy__home", "occupancy__household", "text", "member")
    consent = Consent.objects.select_related(*related).filter(pk=consent_id).first()
    if consent is None or not may_see_household(user, consent.occupancy.household_id, at):
        raise ConsentNotFound(consent_id=str(consent_id))
    return consent


def access_opt_out(user: Viewer, opt_out_id: UUID, at: datetime) -> StandingOptOut:
    """The standing opt-out, for its household and for staff; raises OptOutNotFound."""
    opt_out = StandingOptOut.objects.select_related("occupancy__home").filter(pk=opt_out_id).first()
    if opt_out is None or not may_see_household(user, opt_out.occupancy.household_id, at):
        raise OptOutNotFound(opt_out_id=str(opt_out_id))
    return opt_out


def own_member(user: Viewer, at: datetime) -> Member:
    """The member who signs in with this account, while their membership runs; raises MemberNotFound."""
    member = member_of(user)
    if member is None or not member.is_current(at):
        raise MemberNotFound(number="")
    return member


def household_member(user: Viewer, at: datetime) -> Member:
    """The member, to see what is their household's; raises MemberNotFound.

    While their membership runs, and after it where they were the last: what was settled later is theirs.
    """
    member = member_of(user)
    if member is None:
        raise MemberNotFound(number="")
    if not member.is_current(at) and not is_account_holder(member, at):
        raise MemberNotFound(number="")
    return member


def account_holder(user: Viewer, at: datetime) -> Member:
    """The member, to decide for the household; raises MemberNotFound, and NotAccountHolder for housemates.

    Housemates see everything, answer events, set limits and wishes and take consents back. Where the money
    goes, who belongs to the household and where it lives is decided by one person alone.
    """
    member = household_member(user, at)
    require_account_holder(member, at)
    return member


def require_account_holder(member: Member, at: datetime) -> None:
    """Raise NotAccountHolder unless the household's account is this member's."""
    holder = account_holder_of(member.household_id, at)
    if holder is not None and holder.pk != member.pk:
        raise NotAccountHolder(holder=holder.full_name)


def is_account_holder(member: Member, at: datetime) -> bool:
    """Whether the household's account is this member's (`queries.account_holder_of`)."""
    holder = account_holder_of(member.household_id, at)
    return holder is not None and holder.pk == member.pk


def access_rights_request(user: Viewer, request_id: UUID) -> RightsRequest:
    """Anybody's request, for staff who see them; raises Forbidden and RequestNotFound."""
    require_role(user, *SEES_RIGHTS)
    found = RightsRequest.objects.select_related("member__household", "home", "decided_by")
    request = found.filter(pk=request_id).first()
    if request is None:
        raise RequestNotFound(request_id=str(request_id))
    return request


def own_partner(user: Viewer) -> Partner:
    """The partner whose totals the account may see: its own, with the role; raises PartnerNotFound."""
    partner = partner_of(user) if Role.PARTNER.value in roles_of(user) else None
    if partner is None:
        raise PartnerNotFound()
    return partner


def access_partner(user: Viewer, partner_id: UUID) -> Partner:
    """Any partner, for staff who look after partners; raises Forbidden and PartnerNotFound."""
    require_role(user, *MANAGES_PARTNERS)
    partner = Partner.objects.filter(pk=partner_id).first()
    if partner is None:
        raise PartnerNotFound()
    return partner


def may_see_household(user: Viewer, household_id: UUID, at: datetime) -> bool:
    """True for the household's own members while their membership runs, and for staff."""
    if not (user.is_authenticated and user.is_active):
        return False
    member = member_of(user)
    if member is not None and member.household_id == household_id and member.is_current(at):
        return True
    return has_role(user, *STAFF)
