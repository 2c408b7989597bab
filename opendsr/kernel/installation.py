"""The one row that says whose installation this is, and whether it is a demo."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from opendsr.kernel.errors import DomainError
from opendsr.kernel.models import Installation


class NotFounded(DomainError):
    """The database holds no co-op yet: `found` comes before everything else."""

    status = 503


class AlreadyFounded(DomainError):
    """The database already belongs to a co-op, or to a demo."""


class NotADemo(DomainError):
    """A demo command was pointed at a database that is not marked as a demo."""

    status = 403


def current() -> Installation:
    """The installation; raises NotFounded on an empty database."""
    row = Installation.objects.first()
    if row is None:
        raise NotFounded()
    return row


@transaction.atomic
def found(*, coop_name: str, is_demo: bool, at: datetime) -> Installation:
    """Write the row once; raises AlreadyFounded when there is one."""
    row = Installation(coop_name=coop_name, is_demo=is_demo, founded_at=at)
    Installation.objects.bulk_create([row], ignore_conflicts=True)
    kept = Installation.objects.select_for_update().get()
    if (kept.coop_name, kept.is_demo, kept.founded_at) != (coop_name, is_demo, at):
        raise AlreadyFounded(coop_name=kept.coop_name, is_demo=kept.is_demo)
    return kept


def require_demo() -> Installation:
    """The installation when it is marked as a demo; raises NotADemo otherwise, NotFounded when empty."""
    row = current()
    if not row.is_demo:
        raise NotADemo(coop_name=row.coop_name)
    return row
