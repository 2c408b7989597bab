"""Bearer tokens, `<scheme>_<prefix>_<secret>`: drawn for a form, kept as a digest, looked up again.

The rooms have their own tables of them, with the same columns: prefix (unique), digest, and the wall times at
which one was created, ends, was used last and was revoked.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.utils.crypto import salted_hmac

PREFIX_DIGITS: Final = 12
LONGEST: Final = 200
USED_EVERY: Final = timedelta(minutes=1)
"""A use is noted no more often than this."""

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token before its row is written: only `text` has the secret in it."""

    prefix: str
    digest: str
    text: str


def draw(scheme: str, *, key: UUID, words: Sequence[object]) -> Drawn:
    """The token of a form: 256 bits that nobody reckons without the site's secret and the form's random key.

    The same form with the same words, sent twice, draws the same token; neither key nor secret is kept.
    """
    seed = json.dumps([scheme, str(key), *words], default=str)
    mac = partial(salted_hmac, value=seed, algorithm="sha256")
    prefix = mac("opendsr.kernel.bearer.prefix").hexdigest()[:PREFIX_DIGITS]
    secret = urlsafe_b64encode(mac("opendsr.kernel.bearer.secret").digest()).decode().rstrip("=")
    return Drawn(prefix, _digest(secret), f"{scheme}_{prefix}_{secret}")


def holder(text: str, *, scheme: str, rows: QuerySet[Row], wall: datetime) -> Row | None:
    """The row of a token that somebody sent; None for one unknown, revoked or out of date."""
    sent_scheme, _, rest = text.partition("_")
    prefix, _, secret = rest.partition("_")
    if len(text) > LONGEST or sent_scheme != scheme or not secret or "\0" in prefix:
        return None
    is_in_force = Q(expires_wall_at=None) | Q(expires_wall_at__gt=wall)
    row = rows.filter(is_in_force, prefix=prefix[:PREFIX_DIGITS], revoked_wall_at=None).first()
    if row is None or not secrets.compare_digest(row.digest, _digest(secret)):  # type: ignore[attr-defined]
        return None
    return row


def note_use(row: Model, *, wall: datetime) -> None:
    """Write down that a token was used, once a minute."""
    used = row.last_used_wall_at  # type: ignore[attr-defined]
    if used is None or wall - used >= USED_EVERY:
        type(row)._default_manager.filter(pk=row.pk).update(last_used_wall_at=wall)


def _digest(secret: str) -> str:
    """A secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
