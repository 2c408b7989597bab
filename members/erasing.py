"""Erasing a person while the books stay true (UK GDPR Art. 17, and 17(3)(b) for what has to stay).

The membership, its consents and its sign-in end, the person's key is shredded, so that every sealed text
about them is noise, in backups too, and what is left is known by number only: statements, postings and
payments, which have to be kept, and the audit trail. With the last of a household its home is left as by
moving out, the household's key goes too, and the rooms above drop its readings (`members.member.erased`).

Each erasure is also a line of ids in a file outside the database, written before the database says so: a
restored backup is put right by `manage.py reapply_erasures`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import F, Model, Q
from django.db.models.functions import Greatest

from members import applying, asking, caring
from members.consenting import end_consent
from members.enquiry_models import Invitation, ShortSurvey
from members.models import (
    Consent,
    EndReason,
    Home,
    Household,
    Member,
    MeterStream,
    Occupancy,
    StandingOptOut,
    User,
)
from members.moving import move_out
from members.partner_models import PartnerAccount
from members.rights_models import DataExport, DataExportPart, Erasure, Restriction, RightsRequest
from members.supply_models import Supply
from members.token_models import PersonalToken
from opendsr.kernel import audit, encryption, outbox
from opendsr.kernel.errors import DomainError
from opendsr.kernel.sealed_field import ERASED as ERASED_TEXT

ERASED: Final = "members.member.erased"
NO_NAME: Final = ERASED_TEXT
INSTANT: Final = timedelta(microseconds=1)
CLOSED: Final = "Closed, because everything about you is erased."


class WorksHere(DomainError):
    """The sign-in is a member of staff's: an administrator ends that first."""

    member: str


class ErasedBefore(DomainError):
    """There is nothing left to erase."""

    member: str


class ErasureListUnwritable(DomainError):
    """The list of erasures outside the database cannot be written, so nothing was erased."""

    status = 503
    file: str
    why: str


class ErasureListUnreadable(DomainError):
    """A line of the list of erasures makes no sense."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Line:
    """One erasure as the list has it: ids and when, nothing that names anybody."""

    member_id: UUID
    household_id: UUID | None
    home_ids: tuple[UUID, ...]
    erased_at: datetime
    account_key: UUID | None = None


@transaction.atomic
def erase_member(
    *,
    member: Member,
    at: datetime,
    by: str,
    request_id: UUID | None = None,
    premises: Collection[UUID] = (),
) -> Erasure:
    """Erase the member at `at`; nothing brings them back.

    `request_id` is the request that asked for it; `premises` are homes of `last_homes` where nothing
    of the co-op hangs any more, so that name, address and meter point go too.

    Records `members.member.erased`. Raises WorksHere, ErasedBefore, ErasureListUnwritable.
    """
    held = Member.objects.select_for_update(of=("self",)).select_related("user").get(pk=member.pk)
    if Erasure.objects.filter(member=held).exists():
        raise ErasedBefore(member=held.number)
    if held.user is not None and (held.user.is_staff or held.user.is_superuser):
        raise WorksHere(member=held.number)
    household = Household.objects.select_for_update(no_key=True).get(pk=held.household_id)
    others = Member.objects.filter(household_id=held.household_id, erasure__isnull=True).exclude(pk=held.pk)
    is_last = not others.filter(left_at__isnull=True).exists()
    going: list[UUID] = []
    _close_requests(held, at, by, request_id)
    _end_agreements(held, at, by, is_last=is_last)
    stays = Occupancy.objects.filter(household_id=held.household_id)
    streams = list(MeterStream.objects.filter(occupancy__in=stays).values_list("pk", flat=True))
    applying.forget_of(held)
    ShortSurvey.objects.filter(member=held).delete()
    PersonalToken.objects.filter(member=held).delete()
    account_key = _end_sign_in(held)
    held.full_name = NO_NAME
    held.user = None
    held.left_at = min(filter(None, (held.left_at, max(at, held.joined_at + INSTANT))))
    held.save()
    if is_last:
        Invitation.objects.filter(household_id=held.household_id).delete()
        caring.forget(held.household_id)
        StandingOptOut.objects.filter(occupancy__in=stays).update(reason="")
        Supply.objects.filter(occupancy__in=stays).delete()
        household.name = NO_NAME
        household.save(update_fields=["name"])
        going = sorted(last_homes(held) & set(premises))
        Home.objects.filter(pk__in=going).update(words=[], name_index=None, mpan_index=None)
        for home_id in going:
            _hide_in_admin_log(Home, home_id)
        _hide_in_admin_log(Household, held.household_id)
    erasure = Erasure.objects.create(
        member=held, household_is_gone=is_last, home_ids=list(map(str, going)), erased_at=at
    )
    outbox.record(
        ERASED,
        at=at,
        key=str(held.pk),
        member_id=held.pk,
        household_id=held.household_id if is_last else None,
        occupancy_ids=[str(pk) for pk in stays.order_by("pk").values_list("pk", flat=True)]
        if is_last
        else [],
        stream_ids=[str(stream) for stream in streams] if is_last else [],
    )
    audit.record(
        at=at,
        actor=by,
        verb="member.erased",
        target=f"member:{held.pk}",
        detail={"household_is_gone": is_last, "streams": len(streams) if is_last else 0},
    )
    line = _line(erasure, account_key)
    _shred(line)
    _list(line)
    return erasure


@transaction.atomic
def erase_on_request(
    *, member: Member, at: datetime, channel: str, by: str, premises: Collection[UUID] = ()
) -> Erasure:
    """Open the member's request, or take up the one that waits, and erase them. Raises as `erase_member`."""
    waiting = RightsRequest.objects.filter(member=member, kind=asking.Kind.ERASURE, verdict="").first()
    request = waiting or asking.open_request(
        member=member, kind=asking.Kind.ERASURE, at=at, channel=channel, by=by
    )
    return erase_member(member=member, at=at, by=by, request_id=request.pk, premises=premises)


def last_homes(member: Member) -> set[UUID]:
    """Homes that nobody but the member's household ever lived in, and that are on no landlord's list."""
    homes = Home.objects.filter(occupancies__household_id=member.household_id)
    others = Occupancy.objects.exclude(household_id=member.household_id)
    lonely = homes.exclude(occupancies__in=others).filter(
        partner_links__isnull=True, partner_properties__isnull=True
    )
    return set(lonely.values_list("pk", flat=True))


def is_erased(member: Member) -> bool:
    """True once nothing is left of the member but a number."""
    return Erasure.objects.filter(member=member).exists()


def reapply(*, lines: Iterator[Line], at: datetime, by: str) -> tuple[int, int, int]:
    """Erase again whoever a restored database brought back: (erased again, erased already, not known here).

    Keys are shredded in any case: they may come out of another backup than the rest.
    """
    again = already = unknown = 0
    for line in lines:
        member = Member.objects.filter(pk=line.member_id).first()
        if member is None:
            unknown += 1
        elif Erasure.objects.filter(member=member).exists():
            already += 1
        else:
            erase_member(member=member, at=at, by=by, premises=line.home_ids)
            again += 1
        _shred(line)
    return again, already, unknown


def read_list(path: Path) -> Iterator[Line]:
    """The lines of a list of erasures, each member once. Raises ErasureListUnreadable."""
    seen: set[UUID] = set()
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                given: dict[str, Any] = json.loads(text)
                line = Line(
                    member_id=UUID(given["member_id"]),
                    household_id=UUID(given["household_id"]) if given["household_id"] else None,
                    home_ids=tuple(UUID(each) for each in given["home_ids"]),
                    erased_at=datetime.fromisoformat(given["erased_at"]),
                    account_key=UUID(given["account_key"]) if given.get("account_key") else None,
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ErasureListUnreadable(file=str(path), line=number) from error
            if line.member_id not in seen:
                seen.add(line.member_id)
                yield line


def _close_requests(member: Member, at: datetime, by: str, request_id: UUID | None) -> None:
    waiting = RightsRequest.objects.filter(member=member, verdict="").order_by("pk")
    for pk in waiting.values_list("pk", flat=True):
        verdict = asking.Verdict.GRANTED if pk == request_id else asking.Verdict.TAKEN_BACK
        asking.decide(request_id=pk, verdict=verdict, reason=CLOSED, at=at, by=None, actor=by)
    live = Restriction.objects.filter(member=member, ends_at__isnull=True)
    live.update(ends_at=Greatest(F("starts_at"), at))
    exports = DataExport.objects.filter(request__member=member)
    DataExportPart.objects.filter(export__in=exports).delete()
    exports.update(sealed=None, forgotten_at=at)


def _end_agreements(member: Member, at: datetime, by: str, *, is_last: bool) -> None:
    """End what the member agreed to; with the last of a household, what it agreed to and its stays."""
    of_whom = Q(occupancy__household_id=member.household_id) if is_last else Q(member=member)
    live = Consent.objects.select_for_update(of=("self",)).filter(
        of_whom, Q(ends_at__isnull=True) | Q(ends_at__gt=at)
    )
    for consent in live.order_by("pk"):
        end_consent(consent=consent, at=at, reason=EndReason.MEMBERSHIP_ENDED, actor=by)
    if is_last:
        stays = Occupancy.objects.filter(household_id=member.household_id, ends_at__isnull=True)
        for stay in stays.order_by("pk"):
            move_out(occupancy=stay, at=max(at, stay.starts_at + INSTANT))


def _end_sign_in(member: Member) -> UUID | None:
    """Leave of the account a row that says who did what by number, and nothing to sign in with; its key."""
    user = member.user
    if user is None:
        return None
    Authenticator.objects.filter(user=user).delete()
    UserSession.objects.filter(user=user).delete()
    PartnerAccount.objects.filter(user=user).delete()
    user.groups.clear()
    user.user_permissions.clear()
    user.is_active = False
    user.last_login = None
    user.set_unusable_password()
    user.save()
    User.objects.filter(pk=user.pk).update(email_index=None)
    _hide_in_admin_log(User, user.pk)
    key: UUID = user.key_id
    return key


def _hide_in_admin_log(model: type[Model], pk: object) -> None:
    kind = ContentType.objects.get_for_model(model)
    LogEntry.objects.filter(content_type=kind, object_id=str(pk)).update(
        object_repr=NO_NAME, change_message=""
    )


def _line(erasure: Erasure, account_key: UUID | None) -> Line:
    return Line(
        member_id=erasure.member_id,
        household_id=erasure.member.household_id if erasure.household_is_gone else None,
        home_ids=tuple(UUID(str(each)) for each in erasure.home_ids),
        erased_at=erasure.erased_at,
        account_key=account_key,
    )


def _shred(line: Line) -> None:
    encryption.shred(line.member_id)
    if line.account_key is not None:
        encryption.shred(line.account_key)
    if line.household_id is not None:
        encryption.shred(line.household_id)
        for stay in Occupancy.objects.filter(household_id=line.household_id).values_list("pk", flat=True):
            encryption.shred(stay)
    for home_id in line.home_ids:
        encryption.shred(home_id)


def _list(line: Line) -> None:
    """Add the line to the list, on the disk for good before the database's commit; one writer at a time."""
    path: Path = settings.ERASURES_FILE
    told = {
        "member_id": str(line.member_id),
        "household_id": str(line.household_id) if line.household_id else None,
        "home_ids": [str(each) for each in line.home_ids],
        "erased_at": line.erased_at.isoformat(),
        "account_key": str(line.account_key) if line.account_key else None,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            path.chmod(0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ErasureListUnwritable(file=str(path), why=error.strerror or str(error)) from error
