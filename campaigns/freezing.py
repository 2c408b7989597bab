"""The freeze switch: while it is on nothing new leaves for any home.

Whatever sends asks `ensure_running` at its beginning and again as the last thing of its transaction: a send
under way when the switch is thrown is undone whole. What takes something back (a no, a cancel) is never held
up. Works from the console and from `manage.py sending`, which needs the database alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import transaction

from campaigns.models import Freeze
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError

if TYPE_CHECKING:
    from members.models import User

REASON_CHARACTERS: Final = 200


class Frozen(DomainError):
    """Nothing may be sent: frozen since `since`."""

    since: datetime


def current() -> Freeze | None:
    """The freeze in force."""
    return Freeze.objects.filter(thawed_at=None).first()


def ensure_running() -> None:
    """Raise Frozen while nothing may be sent."""
    found = current()
    if found is not None:
        raise Frozen(since=found.frozen_at)


@transaction.atomic
def freeze(*, at: datetime, by: User | None, reason: str) -> Freeze:
    """Stop everything new from leaving, until `thaw`; frozen already, the freeze that stands."""
    made, is_new = Freeze.objects.get_or_create(
        thawed_at=None,
        defaults={"frozen_at": at, "frozen_by": by, "reason": reason.strip()[:REASON_CHARACTERS]},
    )
    if is_new:
        note("freeze.on", at=at, by=by, detail={"reason": made.reason})
    return made


@transaction.atomic
def thaw(*, at: datetime, by: User | None) -> bool:
    """Let things leave again; True when they could not before. What waited goes out by itself."""
    found = Freeze.objects.select_for_update().filter(thawed_at=None).first()
    if found is None:
        return False
    found.thawed_at, found.thawed_by = at, by
    found.save(update_fields=["thawed_at", "thawed_by"])
    note("freeze.off", at=at, by=by, detail={})
    return True


def note(verb: str, *, at: datetime, by: User | None, detail: dict[str, object]) -> None:
    actor = f"user:{by.pk}" if by is not None else "command line"
    audit.record(at=at, actor=actor, verb=verb, target="campaigns:sending", detail=detail)
