"""Leaving the co-op, by one's own wish or by dying: what ends, what passes on, and what is owed to whom.

The household goes on while somebody of it is a member; otherwise its stays end too. Consents that the person
gave end with the membership; somebody else of the household may agree anew. Money stays on the household's
accounts: `settlement.paying` pays what is left, or holds it for the estate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from members import caring, entry, joining
from members.consenting import end_consent
from members.enquiry_models import Invitation, Shareholding
from members.models import Consent, EndReason, LeftReason, Member, Occupancy, User
from members.moving import move_out
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError

LEFT = "members.member.left"


class NotAMember(DomainError):
    """The membership has ended already."""

    number: str


class NotOfTheHousehold(DomainError):
    """Nobody else of the household, whose membership runs, is meant."""

    field: str


@dataclass(frozen=True, slots=True)
class Parting:
    """What a parting came to: who carries the household on, if anybody."""

    member: Member
    successor: Member | None
    is_household_over: bool


@transaction.atomic
def leave(*, member: Member, at: datetime, by: str) -> Parting:
    """End the membership by the member's own wish, now. Raises NotAMember."""
    member = _current(member, at)
    return _part(member, LeftReason.REQUESTED, EndReason.MEMBERSHIP_ENDED, None, at, by)


@transaction.atomic
def remove_housemate(*, holder: Member, number: str, at: datetime, by: str) -> Parting:
    """End the membership of somebody of the holder's household, by the holder's wish, now.

    They sign in still and see nothing of the household; what they agreed to ends, as when they leave.
    `holder` comes from `policy.account_holder`. Raises NotOfTheHousehold, for the holder too, and NotAMember.
    """
    found = Member.objects.filter(number=number, household_id=holder.household_id).exclude(pk=holder.pk)
    housemate = found.first()
    if housemate is None:
        raise NotOfTheHousehold(field="person")
    housemate = _current(housemate, at)
    return _part(housemate, LeftReason.REMOVED, EndReason.MEMBERSHIP_ENDED, None, at, by)


@transaction.atomic
def bereave(
    *,
    member: Member,
    at: datetime,
    by: str,
    successor: Member | None = None,
    new_name: str = "",
    new_email: str = "",
) -> Parting:
    """End the membership of somebody who died. No letter goes to their address and nobody signs in with it.

    Shares and the household's account pass to `successor`, a member of the household, or to a new member of
    it called `new_name`, who chooses a password by the link of the sign-in page. With neither, and nobody
    else there, the household's stays end and what is owed is the estate's.
    Raises NotAMember, NotOfTheHousehold, InvalidField, EmailTaken.
    """
    member = _current(member, at)
    if successor is not None:
        is_theirs = successor.household_id == member.household_id and successor.pk != member.pk
        if not is_theirs or not successor.is_current(at):
            raise NotOfTheHousehold(field="successor")
    elif new_name:
        successor = joining.join_member(
            full_name=new_name, household=member.household, email=entry.email(new_email), at=at
        )
    if member.user_id is not None:
        User.objects.filter(pk=member.user_id).update(is_active=False)
    if successor is not None:
        Shareholding.objects.filter(member=member).update(member=successor)
    return _part(member, LeftReason.DECEASED, EndReason.BEREAVEMENT, successor, at, by)


def others_of(member: Member, at: datetime) -> list[Member]:
    """Everybody else of the household whose membership runs."""
    found = Member.objects.filter(household_id=member.household_id).exclude(pk=member.pk)
    return [each for each in found.order_by("joined_at", "number") if each.is_current(at)]


def consents_of(member: Member, at: datetime) -> list[Consent]:
    """What the member themselves gave and is in force."""
    running = Q(ends_at__isnull=True) | Q(ends_at__gt=at)
    given = Consent.objects.filter(running, member=member, starts_at__lte=at)
    return list(given.select_related("occupancy__home").order_by("purpose", "pk"))


def _part(
    member: Member,
    left: LeftReason,
    reason: EndReason,
    successor: Member | None,
    at: datetime,
    by: str,
) -> Parting:
    member.left_at, member.left_reason = at, left
    member.save(update_fields=["left_at", "left_reason"])
    others = others_of(member, at)
    running = Q(ends_at__isnull=True) | Q(ends_at__gt=at)
    for consent in Consent.objects.select_for_update().filter(running, member=member).order_by("pk"):
        end_consent(consent=consent, at=at, reason=reason, actor=by)
    if not others:
        for stay in Occupancy.objects.filter(running, household_id=member.household_id).order_by("pk"):
            move_out(occupancy=stay, at=at, reason=reason)
        Invitation.objects.filter(household_id=member.household_id, expires_at__gt=at).update(expires_at=at)
        caring.forget(member.household_id)
    outbox.record(LEFT, at=at, key=str(member.pk), member_id=member.pk, reason=left)
    audit.record(
        at=at, actor=by, verb=f"member.left.{left}", target=f"member:{member.number}",
        detail={"successor": successor.number if successor else ""},
    )  # fmt: skip
    return Parting(member, successor, is_household_over=not others)


def _current(member: Member, at: datetime) -> Member:
    held = Member.objects.select_for_update(of=("self",)).select_related("household").get(pk=member.pk)
    if not held.is_current(at) or held.joined_at >= at:
        raise NotAMember(number=held.number)
    return held
