"""API tokens: told to their form, kept as a digest, revocable, good for the listed deeds only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from opendsr.kernel import audit, bearer
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.ids import new_uuid
from vtn import policy
from vtn.models import ApiToken
from vtn.policy import GRANTABLE, Principal

SCHEME: Final = "vtn"


class TokenInvalid(Invalid):
    """A token that cannot be made: `field`, `reason`."""


class TokenEnded(DomainError):
    """The form made a token that was revoked since: `reason`."""


class UnknownToken(NotFound):
    """No such token: `token_id`."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as its form is told it, sent again too; `secret` is kept nowhere."""

    row: ApiToken
    secret: str


@transaction.atomic
def create_token(
    *,
    name: str,
    deeds: Collection[str],
    days: int | None,
    at: datetime,
    wall: datetime,
    by: str,
    key: UUID | None = None,
) -> NewToken:
    """Make a token for an application; the same again under the same `key` is the same token.

    Raises TokenInvalid, TokenEnded.
    """
    unknown = set(deeds) - {deed.value for deed in GRANTABLE}
    if unknown or not deeds:
        allowed = ", ".join(GRANTABLE)
        raise TokenInvalid(field="deeds", reason=f"choose one or more of {allowed}")
    if not name.strip():
        raise TokenInvalid(field="name", reason="name the application")
    if days is not None and not 0 < days <= 3_660:
        raise TokenInvalid(field="days", reason="1 to 3660, or none")
    told, chosen = name.strip()[:80], sorted(set(deeds))
    drawn = bearer.draw(SCHEME, key=key or new_uuid(), words=(by, told, chosen, days))
    row, is_new = ApiToken.objects.get_or_create(
        prefix=drawn.prefix,
        defaults={
            "name": told,
            "digest": drawn.digest,
            "deeds": chosen,
            "created_by": by,
            "created_wall_at": wall,
            "expires_wall_at": None if days is None else wall + timedelta(days=days),
        },
    )
    if row.digest != drawn.digest or row.revoked_wall_at is not None:
        raise TokenEnded(reason="this form made a token that was revoked: open the page anew")
    if is_new:
        audit.record(
            at=at,
            actor=by,
            verb="vtn.token.created",
            target=f"vtn_token:{row.pk}",
            detail={"deeds": row.deeds},
        )
    return NewToken(row, drawn.text)


@transaction.atomic
def revoke_token(*, token_id: int, at: datetime, wall: datetime, by: str) -> None:
    """End a token, with effect on the next request; again, nothing changes. Raises UnknownToken."""
    row = ApiToken.objects.select_for_update().filter(pk=token_id).first()
    if row is None:
        raise UnknownToken(token_id=token_id)
    if row.revoked_wall_at is None:
        row.revoked_wall_at = wall
        row.save(update_fields=["revoked_wall_at"])
        audit.record(at=at, actor=by, verb="vtn.token.revoked", target=f"vtn_token:{row.pk}")


def principal_of(secret: str, *, wall: datetime) -> Principal | None:
    """Return what the holder of a token may do; None for one unknown, revoked or out of date."""
    row = bearer.holder(secret, scheme=SCHEME, rows=ApiToken.objects.all(), wall=wall)
    if row is None:
        return None
    bearer.note_use(row, wall=wall)
    return policy.application(row.pk, row.deeds)
