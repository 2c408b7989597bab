"""Signed links into the co-op: a champion's for anybody, a partner's for a tenant, one for a housemate.

Addresses are sealed under the invitation's own key; what a link carries is an id and its signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.core import signing
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from members import entry, joining
from members.constraints import refused_as
from members.enquiry_models import Application, ChampionCode, Invitation, PartnerProperty
from members.models import Household, Member
from members.partner_models import Partner
from opendsr.kernel import audit, encryption
from opendsr.kernel.errors import DomainError, NotFound
from opendsr.kernel.ids import new_uuid

SALT: Final = "members.invitation"
CODE: Final = r"[A-Z0-9][A-Z0-9-]{2,23}"
TENANTS_LIFE: Final = timedelta(days=60)
HOUSEMATES_LIFE: Final = timedelta(days=14)
KEPT_AFTER: Final = timedelta(days=30)


class InvitationNotFound(NotFound):
    """No invitation behind this link, or it is over."""


class ChampionCodeTaken(DomainError):
    """Another champion has this code."""

    field: str


@dataclass(frozen=True, slots=True)
class Behind:
    """What a link stands for: one of the two."""

    invitation: Invitation | None = None
    champion: ChampionCode | None = None


@transaction.atomic
def make_champion(*, code: str, name: str, reward_pence: int, by: str, at: datetime) -> ChampionCode:
    """Make a champion's code. Raises InvalidField, ChampionCodeTaken."""
    code = code.strip().upper()
    if not re.fullmatch(CODE, code, re.ASCII):
        raise entry.InvalidField(field="code", problem="not_a_code")
    if not 0 <= reward_pence <= 100_000:
        raise entry.InvalidField(field="reward_pence", problem="out_of_range")
    name = entry.one_line(name, field="name", longest=120)
    with refused_as(members_championcode_code_key=ChampionCodeTaken(field="code")):
        champion = ChampionCode.objects.create(code=code, name=name, reward_pence=reward_pence, made_at=at)
    audit.record(at=at, actor=by, verb="champion.made", target=f"champion:{champion.pk}")
    return champion


@transaction.atomic
def note_spending(*, champion_id: UUID, pence: int, by: str, at: datetime) -> ChampionCode:
    """Add to what recruiting by this code has cost, beside the rewards; a negative sum puts a slip right.

    Raises InvalidField, InvitationNotFound.
    """
    champion = ChampionCode.objects.select_for_update().filter(pk=champion_id).first()
    if champion is None:
        raise InvitationNotFound()
    if not 0 <= champion.spent_pence + pence <= 100_000_000:
        raise entry.InvalidField(field="pence", problem="out_of_range")
    champion.spent_pence += pence
    champion.save(update_fields=["spent_pence"])
    audit.record(
        at=at, actor=by, verb="champion.spent", target=f"champion:{champion.pk}", detail={"pence": pence}
    )
    return champion


@transaction.atomic
def end_champion(*, champion_id: UUID, by: str, at: datetime) -> None:
    """Let a code lead nowhere from now on; what it brought stands. Again changes nothing."""
    if ChampionCode.objects.filter(pk=champion_id, ended_at__isnull=True).update(ended_at=at):
        audit.record(at=at, actor=by, verb="champion.ended", target=f"champion:{champion_id}")


def champions() -> QuerySet[ChampionCode]:
    """Every code with its enquiries (`enquiries`) and those of them who joined (`recruits`)."""
    joined = Q(applications__state=Application.State.JOINED)
    return ChampionCode.objects.annotate(
        enquiries=Count("applications"), recruits=Count("applications", filter=joined)
    ).order_by("code")


def cost_per_recruit_pence(champion: ChampionCode, recruits: int) -> int | None:
    """All that a code cost over those who joined by it, rounded up to a penny; None before the first."""
    if recruits < 1:
        return None
    return -(-(champion.spent_pence + champion.reward_pence * recruits) // recruits)


@transaction.atomic
def invite_tenant(*, listed: PartnerProperty, email: str, by: str, at: datetime) -> Invitation:
    """Invite whoever lives in a listed property, at one address. Raises InvalidField."""
    return _invite(Invitation.Kind.TENANT, email, by, at, TENANTS_LIFE, listed=listed)


@transaction.atomic
def invite_housemate(*, member: Member, email: str, at: datetime) -> Invitation:
    """Invite somebody of the member's household to be a member with a sign-in of their own."""
    actor = f"member:{member.number}"
    return _invite(Invitation.Kind.HOUSEHOLD, email, actor, at, HOUSEMATES_LIFE, household=member.household)


def open_to(household: Household, at: datetime) -> list[Invitation]:
    """The invitations into a household that still lead somewhere, oldest first."""
    found = Invitation.objects.filter(
        household=household, taken_at__isnull=True, expires_at__gt=at, made_at__lte=at
    )
    return list(found.order_by("made_at", "pk"))


@transaction.atomic
def take_back(*, household: Household, invitation_id: UUID, by: str, at: datetime) -> None:
    """Let a link into the household lead nowhere from now on. Raises InvitationNotFound."""
    found = Invitation.objects.filter(
        pk=invitation_id, household=household, taken_at__isnull=True, expires_at__gt=at
    )
    if not found.update(expires_at=at):
        raise InvitationNotFound()
    audit.record(at=at, actor=by, verb="invitation.taken_back", target=f"invitation:{invitation_id}")


@transaction.atomic
def join_household(*, invitation_id: UUID, full_name: str, password: str | None, at: datetime) -> Member:
    """Make the invited person a member of the household, with an account at the address invited.

    They see what the household sees and may answer for it (`policy.account_holder` says what not); consents
    stay as they are. Without a password they sign in by a passkey that they make next.
    Raises InvitationNotFound, InvalidField, EmailTaken.
    """
    invitation = Invitation.objects.select_for_update().filter(pk=invitation_id).first()
    if invitation is None or not is_open(invitation, at) or invitation.household_id is None:
        raise InvitationNotFound()
    household = Household.objects.get(pk=invitation.household_id)
    if not any(each.is_current(at) for each in household.members.all()):
        raise InvitationNotFound()
    member = joining.join_member(
        full_name=full_name, household=household, email=address_of(invitation), password=password, at=at
    )
    invitation.taken_at = at
    invitation.save(update_fields=["taken_at"])
    audit.record(
        at=at, actor=f"member:{member.number}", verb="household.joined", target=f"household:{household.pk}"
    )
    return member


def forget_old(*, at: datetime, limit: int = 500) -> int:
    """Shred the addresses of invitations that were over a month ago; how many."""
    over = Invitation.objects.filter(expires_at__lt=at - KEPT_AFTER).exclude(email_sealed=b"")
    keys = list(over.order_by("expires_at").values_list("pk", flat=True)[:limit])
    for key in keys:
        with transaction.atomic():
            Invitation.objects.filter(pk=key).update(email_sealed=b"")
            encryption.shred(key)
    return len(keys)


def is_open(invitation: Invitation, at: datetime) -> bool:
    """True while the link leads somewhere: not too old; a housemate's works once."""
    is_used = invitation.kind == Invitation.Kind.HOUSEHOLD and invitation.taken_at is not None
    return at < invitation.expires_at and not is_used


def address_of(invitation: Invitation) -> str:
    """The address it was sent to."""
    return encryption.unseal(invitation.pk, bytes(invitation.email_sealed), _context(invitation.pk))


def token_of(behind: Invitation | ChampionCode) -> str:
    """What the link carries."""
    kind = "i" if isinstance(behind, Invitation) else "c"
    return signing.dumps(f"{kind}:{behind.pk}", salt=SALT)


def behind_token(token: str, at: datetime) -> Behind:
    """What a link stands for at `at`; raises InvitationNotFound when it is forged, over or used up."""
    try:
        kind, _, key = str(signing.loads(token, salt=SALT)).partition(":")
    except signing.BadSignature:
        raise InvitationNotFound() from None
    if kind == "c":
        champion = ChampionCode.objects.filter(pk=UUID(key), ended_at__isnull=True).first()
        if champion is not None:
            return Behind(champion=champion)
    else:
        invitation = (
            Invitation.objects.select_related("listed__partner", "household").filter(pk=UUID(key)).first()
        )
        if invitation is not None and is_open(invitation, at):
            return Behind(invitation=invitation)
    raise InvitationNotFound()


def partner_behind(invitation: Invitation | None) -> Partner | None:
    """The landlord whose invitation it is."""
    return invitation.listed.partner if invitation is not None and invitation.listed is not None else None


def _invite(
    kind: Invitation.Kind,
    email: str,
    by: str,
    at: datetime,
    life: timedelta,
    *,
    listed: PartnerProperty | None = None,
    household: Household | None = None,
) -> Invitation:
    key = new_uuid()
    invitation = Invitation.objects.create(
        pk=key,
        kind=kind,
        listed=listed,
        household=household,
        email_sealed=encryption.seal(key, entry.email(email), _context(key)),
        made_at=at,
        made_by=by,
        expires_at=at + life,
    )
    audit.record(at=at, actor=by, verb=f"invitation.{kind}", target=f"invitation:{key}")
    return invitation


def _context(key: UUID) -> str:
    return f"members_invitation.email {key}"
