"""Personal tokens: made by the member, kept as a digest, revoked in one press.

A token is the member, for what its scope covers; it ends with the membership.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from members import entry
from members.models import Member
from members.token_models import PersonalToken
from opendsr.kernel import audit, bearer
from opendsr.kernel.errors import DomainError, NotFound
from opendsr.kernel.ids import new_uuid

SCHEME: Final = "odsr"
LONGEST_DAYS: Final = 3_660
MOST_TOKENS: Final = 20


class TokenNotFound(NotFound):
    """The member has no such token."""

    token_id: str


class TooManyTokens(DomainError):
    """So many are enough: revoke one first."""

    most: int


class TokenEnded(DomainError):
    """This form made a token that was revoked since."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as its form is told it, sent again too; `secret` is kept nowhere."""

    row: PersonalToken
    secret: str


@transaction.atomic
def make_token(
    *,
    member: Member,
    name: str,
    scope: str,
    days: int | None,
    at: datetime,
    wall: datetime,
    by: str,
    key: UUID | None = None,
) -> NewToken:
    """Make a key for a program of the member's; `days` of None is until it is revoked.

    The same again under the same `key` is the same token. Raises InvalidField (name, scope, days),
    TooManyTokens, TokenEnded.
    """
    told = entry.one_line(name, field="name", longest=60)
    chosen = entry.choice(PersonalToken.Scope, scope, "scope")
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise entry.InvalidField(field="days", problem="out_of_range", least=1, most=LONGEST_DAYS)
    Member.objects.select_for_update(no_key=True).get(pk=member.pk)
    drawn = bearer.draw(SCHEME, key=key or new_uuid(), words=(member.pk, told, chosen.value, days))
    if (known := PersonalToken.objects.filter(prefix=drawn.prefix).first()) is not None:
        if known.digest != drawn.digest or known.revoked_wall_at is not None:
            raise TokenEnded
        return NewToken(known, drawn.text)
    if live_tokens(member).count() >= MOST_TOKENS:
        raise TooManyTokens(most=MOST_TOKENS)
    row = PersonalToken.objects.create(
        member=member,
        name=told,
        scope=chosen,
        prefix=drawn.prefix,
        digest=drawn.digest,
        created_wall_at=wall,
        expires_wall_at=None if days is None else wall + timedelta(days=days),
    )
    audit.record(
        at=at, actor=by, verb="token.made", target=f"member:{member.pk}",
        detail={"token": row.prefix, "scope": chosen.value},
    )  # fmt: skip
    return NewToken(row, drawn.text)


@transaction.atomic
def revoke_token(*, member: Member, token_id: UUID, at: datetime, wall: datetime, by: str) -> PersonalToken:
    """End a token, with effect on the next request; again, nothing changes. Raises TokenNotFound."""
    row = PersonalToken.objects.select_for_update().filter(pk=token_id, member=member).first()
    if row is None:
        raise TokenNotFound(token_id=str(token_id))
    if row.revoked_wall_at is None:
        row.revoked_wall_at = wall
        row.save(update_fields=["revoked_wall_at"])
        audit.record(
            at=at, actor=by, verb="token.revoked", target=f"member:{member.pk}", detail={"token": row.prefix}
        )
    return row


def live_tokens(member: Member) -> QuerySet[PersonalToken]:
    """The member's tokens that are not revoked, newest first."""
    return PersonalToken.objects.filter(member=member, revoked_wall_at=None).order_by("-created_wall_at")


def holder_of(
    secret: str, *, scopes: Collection[str], at: datetime, wall: datetime
) -> tuple[Member, PersonalToken] | None:
    """The member that a token of one of the scopes speaks for.

    None for one unknown, revoked or out of date, of another scope, or of somebody who has left.
    """
    rows = PersonalToken.objects.select_related("member__household", "member__user")
    row = bearer.holder(secret, scheme=SCHEME, rows=rows, wall=wall)
    if row is None or row.scope not in scopes:
        return None
    user = row.member.user
    if not row.member.is_current(at) or user is None or not user.is_active:
        return None
    bearer.note_use(row, wall=wall)
    return row.member, row
