"""Personal tokens: made by the member, shown once, kept as a digest, revoked in one press.

A token is the member, for what its scope covers; it ends with the membership.
"""

from __future__ import annotations

import hashlib
import secrets
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
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound

SCHEME: Final = "odsr"
USED_EVERY: Final = timedelta(minutes=1)
LONGEST_SECRET: Final = 200
LONGEST_DAYS: Final = 3_660
MOST_TOKENS: Final = 20


class TokenNotFound(NotFound):
    """The member has no such token."""

    token_id: str


class TooManyTokens(DomainError):
    """So many are enough: revoke one first."""

    most: int


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; `secret` is told this once and known to nobody afterwards."""

    row: PersonalToken
    secret: str


@transaction.atomic
def make_token(
    *, member: Member, name: str, scope: str, days: int | None, at: datetime, wall: datetime, by: str
) -> NewToken:
    """Make a key for a program of the member's; `days` of None is until it is revoked.

    Raises InvalidField (name, scope, days), TooManyTokens.
    """
    told = entry.one_line(name, field="name", longest=60)
    chosen = entry.choice(PersonalToken.Scope, scope, "scope")
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise entry.InvalidField(field="days", problem="out_of_range", least=1, most=LONGEST_DAYS)
    Member.objects.select_for_update(no_key=True).get(pk=member.pk)
    if live_tokens(member).count() >= MOST_TOKENS:
        raise TooManyTokens(most=MOST_TOKENS)
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    row = PersonalToken.objects.create(
        member=member,
        name=told,
        scope=chosen,
        prefix=prefix,
        digest=_digest(secret),
        created_wall_at=wall,
        expires_wall_at=None if days is None else wall + timedelta(days=days),
    )
    audit.record(
        at=at, actor=by, verb="token.made", target=f"member:{member.pk}",
        detail={"token": row.prefix, "scope": chosen.value},
    )  # fmt: skip
    return NewToken(row, f"{SCHEME}_{prefix}_{secret}")


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
    scheme, _, rest = secret.partition("_")
    prefix, _, key = rest.partition("_")
    if len(secret) > LONGEST_SECRET or scheme != SCHEME or not key or "\0" in prefix:
        return None
    row = PersonalToken.objects.select_related("member__household", "member__user").filter(
        prefix=prefix[:12]
    ).first()  # fmt: skip
    if row is None or not secrets.compare_digest(row.digest, _digest(key)):
        return None
    is_over = row.expires_wall_at is not None and row.expires_wall_at <= wall
    if is_over or row.revoked_wall_at is not None or row.scope not in scopes:
        return None
    user = row.member.user
    if not row.member.is_current(at) or user is None or not user.is_active:
        return None
    if row.last_used_wall_at is None or wall - row.last_used_wall_at >= USED_EVERY:
        PersonalToken.objects.filter(pk=row.pk).update(last_used_wall_at=wall)
    return row.member, row


def _digest(secret: str) -> str:
    """A random secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
