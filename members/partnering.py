"""Partners of the co-op: made by staff, with accounts of their own and their homes linked from a file.

What a partner then sees of its homes is counts and totals (`metering/partner_totals.py`); a link tells nobody
anything about a home, and no household is counted without its own consent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from members import entry
from members.constraints import refused_as
from members.models import Home, Role, User
from members.partner_models import Partner, PartnerAccount, PartnerHome
from members.rows import Reject, read_rows, reject_lines
from opendsr.kernel import audit, encryption
from opendsr.kernel.errors import DomainError, NotFound

COLUMNS: Final = ("home", "starts_on", "ends_on")
MOST_ROWS: Final = 20_000
FIXES: Final = {
    "not_a_row": "Write home, starts_on and, where the link ended, ends_on, as the header names them.",
    "unknown_home": "Write the MPAN or the name that the home has in the records.",
    "ambiguous_home": "Several homes are called this: write the MPAN.",
    "not_a_date": "Write the date as 2026-01-31.",
    "runs_backwards": "The day after the last has to be later than the first day.",
    "taken": "The home is linked over part of that time already: end that link first.",
    "twice": "Keep one row a home and first day.",
}


class PartnerNameTaken(DomainError):
    """There is a partner of this name."""

    field: str


class PartnerNotFound(NotFound):
    """No such partner for this user."""


class AccountInUse(DomainError):
    """The address signs in for another partner, or for staff."""

    field: str


class _HomeTaken(DomainError):
    """The home is linked over part of the time."""


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What rows came to: links that are new, those that were given another end, and those known already."""

    rows: int
    linked: int
    ended: int
    unchanged: int
    rejects: tuple[Reject, ...]


def partners() -> QuerySet[Partner]:
    """Every partner by name, with how many links to homes and how many accounts it has."""
    homes = Count("homes", distinct=True)
    return Partner.objects.annotate(
        home_count=homes, account_count=Count("accounts", distinct=True)
    ).order_by("name")


@transaction.atomic
def make_partner(*, name: str, by: str, at: datetime) -> Partner:
    """Make a partner; raises InvalidField, PartnerNameTaken. `by` is the actor for the audit trail."""
    name = entry.one_line(name, field="name", longest=120)
    with refused_as(members_partner_name_key=PartnerNameTaken(field="name")):
        partner = Partner.objects.create(name=name)
    _record(partner, by, "partner.made", at)
    return partner


@transaction.atomic
def open_account(*, partner: Partner, email: str, by: str, at: datetime) -> User:
    """Let an address sign in for the partner; again changes nothing. Raises InvalidField, AccountInUse.

    A new account has no password until its owner sets one by the link of "Forgot your password?".
    """
    address = entry.email(email)
    user = User.objects.filter(email=address).first() or User.objects.create_user(address)
    known = PartnerAccount.objects.filter(user=user).first()
    if user.is_staff or user.is_superuser or (known is not None and known.partner_id != partner.pk):
        raise AccountInUse(field="email")
    if known is None:
        PartnerAccount.objects.create(user=user, partner=partner)
        user.groups.add(Group.objects.get_or_create(name=Role.PARTNER.value)[0])
        _record(partner, by, "partner.account_opened", at, user=user.pk)
    return user


@transaction.atomic
def close_account(*, partner: Partner, user_id: int, by: str, at: datetime) -> None:
    """Take the partner's totals from an account; again changes nothing."""
    account = PartnerAccount.objects.filter(partner=partner, user_id=user_id).select_related("user").first()
    if account is not None:
        account.user.groups.remove(*Group.objects.filter(name=Role.PARTNER.value))
        account.delete()
        _record(partner, by, "partner.account_closed", at, user=user_id)


@transaction.atomic
def link_homes(*, partner: Partner, text: str, by: str, at: datetime, dry_run: bool = False) -> LinkReport:
    """Link homes by rows of home (MPAN or name), starts_on and, maybe, ends_on; `dry_run` stores nothing.

    A row of a link there is already, by home and first day, gives it the end it names. Each row is taken or
    refused for itself. Raises RowsUnusable.
    """
    rows = list(read_rows(text, required=COLUMNS[:2], optional=COLUMNS[2:], most_rows=MOST_ROWS))
    homes = _homes({row[0] for _, row in rows})
    held = {
        (link.home_id, link.starts_on): link
        for link in PartnerHome.objects.select_for_update().filter(partner=partner)
    }
    counts = {"linked": 0, "ended": 0, "unchanged": 0}
    rejects = []
    seen: set[tuple[UUID, date]] = set()
    for line, row in rows:
        told = _link(row, homes)
        if isinstance(told, _Refused):
            rejects.append(Reject(line, told.field, told.value, told.code, FIXES[told.code], row))
            continue
        home_id, starts_on, ends_on = told
        if (home_id, starts_on) in seen:
            rejects.append(Reject(line, "home", row[0], "twice", FIXES["twice"], row))
            continue
        seen.add((home_id, starts_on))
        link = held.get((home_id, starts_on))
        done = "linked" if link is None else "unchanged" if link.ends_on == ends_on else "ended"
        link = link or PartnerHome(partner=partner, home_id=home_id, starts_on=starts_on)
        link.ends_on = ends_on
        if done != "unchanged" and not _is_saved(link):
            rejects.append(Reject(line, "home", row[0], "taken", FIXES["taken"], row))
            continue
        counts[done] += 1
    if dry_run:
        transaction.set_rollback(True)
    elif counts["linked"] or counts["ended"]:
        _record(partner, by, "partner.homes_linked", at, **counts)
    return LinkReport(len(rows), rejects=tuple(rejects), **counts)


def reject_file(report: LinkReport) -> Iterator[str]:
    """The refused rows as a file, each with its reason and fix behind it, to correct and offer again."""
    return reject_lines(COLUMNS, report.rejects)


@dataclass(frozen=True, slots=True)
class _Refused:
    field: str
    value: str
    code: str


def _homes(wanted: set[str]) -> dict[str, UUID | None]:
    """The home of each MPAN or name; None for a name that several homes have."""
    packed = {"".join(each.split()).replace("-", ""): each for each in wanted}
    found: dict[str, UUID | None] = {}
    matching = Home.objects.filter(Q(mpan_index__in=list(packed)) | Q(name_index__in=list(wanted)))
    with encryption.remembering():
        for home in matching.only("pk", "mpan", "name"):
            if home.name in wanted:
                found[home.name] = None if home.name in found else home.pk
            if home.mpan in packed:
                found[packed[home.mpan]] = home.pk
    return found


def _link(row: tuple[str, ...], homes: dict[str, UUID | None]) -> tuple[UUID, date, date | None] | _Refused:
    home, starts, ends = row
    if not home:
        return _Refused("home", home, "not_a_row")
    if home not in homes:
        return _Refused("home", home, "unknown_home")
    home_id = homes[home]
    if home_id is None:
        return _Refused("home", home, "ambiguous_home")
    starts_on = _date(starts)
    if starts_on is None:
        return _Refused("starts_on", starts, "not_a_date")
    ends_on = _date(ends) if ends else None
    if ends and ends_on is None:
        return _Refused("ends_on", ends, "not_a_date")
    if ends_on is not None and ends_on <= starts_on:
        return _Refused("ends_on", ends, "runs_backwards")
    return home_id, starts_on, ends_on


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2100 else None


def _is_saved(link: PartnerHome) -> bool:
    """Save it; False when another link of the home is in the way."""
    try:
        with refused_as(partnerhome_one_partner_a_home=_HomeTaken()):
            link.save()
    except _HomeTaken:
        return False
    return True


def _record(partner: Partner, by: str, verb: str, at: datetime, **detail: object) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"partner:{partner.pk}", detail=detail)
