"""API tokens: shown once, kept as a digest, revocable, good for the listed deeds only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid, NotFound
from vtn import policy
from vtn.models import ApiToken
from vtn.policy import GRANTABLE, Principal

PREFIX: Final = "vtn"
USED_EVERY: Final = timedelta(minutes=1)
LONGEST_SECRET: Final = 200


class TokenInvalid(Invalid):
    """A token that cannot be made: `field`, `reason`."""


class UnknownToken(NotFound):
    """No such token: `token_id`."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; `secret` is told this once and known to nobody afterwards."""

    row: ApiToken
    secret: str


@transaction.atomic
def create_token(
    *, name: str, deeds: Collection[str], days: int | None, at: datetime, wall: datetime, by: str
) -> NewToken:
    """Make a token for an application; raises TokenInvalid."""
    unknown = set(deeds) - {deed.value for deed in GRANTABLE}
    if unknown or not deeds:
        allowed = ", ".join(GRANTABLE)
        raise TokenInvalid(field="deeds", reason=f"choose one or more of {allowed}")
    if not name.strip():
        raise TokenInvalid(field="name", reason="name the application")
    if days is not None and not 0 < days <= 3_660:
        raise TokenInvalid(field="days", reason="1 to 3660, or none")
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        name=name.strip()[:80],
        prefix=prefix,
        digest=_digest(secret),
        deeds=sorted(set(deeds)),
        created_by=by,
        created_wall_at=wall,
        expires_wall_at=None if days is None else wall + timedelta(days=days),
    )
    audit.record(
        at=at, actor=by, verb="vtn.token.created", target=f"vtn_token:{row.pk}", detail={"deeds": row.deeds}
    )
    return NewToken(row, f"{PREFIX}_{prefix}_{secret}")


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
    if len(secret) > LONGEST_SECRET:
        return None
    scheme, _, rest = secret.partition("_")
    prefix, _, key = rest.partition("_")
    if scheme != PREFIX or not key or "\0" in prefix:
        return None
    row = ApiToken.objects.filter(prefix=prefix[:12]).first()
    if row is None or not secrets.compare_digest(row.digest, _digest(key)):
        return None
    if row.revoked_wall_at is not None or (row.expires_wall_at is not None and row.expires_wall_at <= wall):
        return None
    if row.last_used_wall_at is None or wall - row.last_used_wall_at >= USED_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_wall_at=wall)
    return policy.application(row.pk, row.deeds)


def _digest(secret: str) -> str:
    """A random secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
