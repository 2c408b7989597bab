"""A partner's homes and its tenants: how it looks, its list of properties, invitations, tenancy changes.

The list says nothing about anybody: who lives where, and whether they joined, is between the tenant and the
co-op. A tenancy that ends takes its consents along; the hub stays, and whoever comes next agrees anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from members import entry, inviting
from members.enquiry_models import Application, Invitation, PartnerProperty
from members.models import EndReason, Home, Occupancy
from members.moving import move_out
from members.partner_models import Partner, PartnerHome
from members.queries import current_occupancies
from members.rows import Reject, RowsUnusable, read_rows, reject_lines
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError
from opendsr.kernel.house import contrast_to_white
from opendsr.kernel.periods import civil_date

REQUIRED: Final = ("reference", "address", "postcode")
OPTIONAL: Final = ("mpan", "email")
COLUMNS: Final = (*REQUIRED, *OPTIONAL)
MOST_ROWS: Final = 5_000
MOST_INVITED: Final = 100
LEAST_CONTRAST: Final = 4.5
LOGO_BYTES: Final = 400_000
FIXES: Final = {
    "empty": "Write something here.",
    "too_long": "Write it shorter.",
    "control_character": "It holds characters that cannot be seen. Write it anew.",
    "not_a_postcode": "Write the postcode as in M15 5RF.",
    "not_13_digits": "An MPAN has 13 digits.",
    "not_an_email_address": "Write an email address, such as name@example.org.",
    "twice": "Keep one row a reference.",
    "too_many_invited": f"A file invites {MOST_INVITED} tenants at most: send the others in another.",
}


class ColourTooLight(DomainError):
    """White letters could not be read on this colour."""

    status = 422
    field: str
    contrast: float


class NobodyToLeave(DomainError):
    """Nobody of the co-op lives in the home at that moment."""

    field: str


class NotThePartners(DomainError):
    """The home is not linked to this partner."""

    field: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What rows came to, and the invitations to send."""

    rows: int
    new: int
    changed: int
    unchanged: int
    invitations: tuple[Invitation, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A tenancy that ended, and the invitation to whoever comes next."""

    stay: Occupancy
    invitation: Invitation | None


@transaction.atomic
def set_brand(
    *,
    partner: Partner,
    shown_name: str,
    colour: str,
    welcome: str,
    at: datetime,
    by: str,
    logo_png: bytes | None = None,
    drops_logo: bool = False,
) -> Partner:
    """Keep how the partner looks to its tenants; without `logo_png` the logo there is stays.

    Raises InvalidField, ColourTooLight.
    """
    held = Partner.objects.select_for_update().get(pk=partner.pk)
    colour = colour.strip().lower()
    if colour and not re.fullmatch(r"#[0-9a-f]{6}", colour, re.ASCII):
        raise entry.InvalidField(field="colour", problem="not_a_colour")
    if colour and (contrast := contrast_to_white(colour)) < LEAST_CONTRAST:
        raise ColourTooLight(field="colour", contrast=round(contrast, 1))
    held.shown_name = entry.one_line(shown_name, field="shown_name", longest=60, may_be_empty=True)
    held.colour = colour
    held.welcome = entry.one_line(welcome, field="welcome", longest=500, may_be_empty=True)
    if logo_png is not None:
        if len(logo_png) > LOGO_BYTES:
            raise entry.InvalidField(field="logo", problem="too_large")
        held.logo = logo_png
    elif drops_logo:
        held.logo = None
    held.save()
    audit.record(at=at, actor=by, verb="partner.brand_set", target=f"partner:{partner.pk}")
    return held


@transaction.atomic
def list_properties(*, partner: Partner, text: str, by: str, at: datetime, dry_run: bool = False) -> Listed:
    """Take rows of reference, address, postcode and, maybe, mpan and email; `dry_run` stores nothing.

    A known reference is put right; an email invites whoever lives there. Each row is taken or refused for
    itself. Raises RowsUnusable.
    """
    rows = list(read_rows(text, required=REQUIRED, optional=OPTIONAL, most_rows=MOST_ROWS))
    if not rows:
        raise RowsUnusable(found="a header and no row", expected="a row for each property")
    held = {each.reference: each for each in partner.properties.select_for_update()}
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    rejects: list[Reject] = []
    invitations: list[Invitation] = []
    seen: set[str] = set()
    for line, row in rows:
        try:
            reference, fields, email = _read(row)
            if reference in seen:
                raise entry.InvalidField(field="reference", problem="twice")
            if email and len(invitations) >= MOST_INVITED:
                raise entry.InvalidField(field="email", problem="too_many_invited")
        except entry.InvalidField as error:
            name, problem = str(error.data["field"]), str(error.data["problem"])
            rejects.append(Reject(line, name, row[COLUMNS.index(name)], problem, FIXES[problem], row))
            continue
        seen.add(reference)
        listed = held.get(reference) or PartnerProperty(partner=partner, reference=reference)
        before = {name: getattr(listed, name) for name in fields}
        is_new = reference not in held
        if is_new or before != fields:
            for name, value in fields.items():
                setattr(listed, name, value)
            listed.save()
        counts["new" if is_new else "unchanged" if before == fields else "changed"] += 1
        if email:
            invitations.append(inviting.invite_tenant(listed=listed, email=email, by=by, at=at))
    if dry_run:
        transaction.set_rollback(True)
    else:
        detail = {**counts, "invited": len(invitations)}
        audit.record(
            at=at, actor=by, verb="partner.properties_listed", target=f"partner:{partner.pk}", detail=detail
        )
    return Listed(len(rows), invitations=tuple(invitations), rejects=tuple(rejects), **counts)


def reject_file(listed: Listed) -> Iterator[str]:
    """The refused rows as a file, each with its reason and fix behind it."""
    return reject_lines(COLUMNS, listed.rejects)


@transaction.atomic
def change_tenancy(
    *, partner: Partner, home: Home, ended_at: datetime, by: str, at: datetime, new_email: str = ""
) -> Changed:
    """End the tenancy at `ended_at` (now or earlier): the stay and every consent of it end, the hub stays.

    With an address, whoever comes next is invited; their stay begins when they join, with consents of their
    own. Raises InvalidField, NotThePartners, NobodyToLeave, MovedOutBeforeMovingIn.
    """
    if ended_at > at:
        raise entry.InvalidField(field="ended_on", problem="in_the_future")
    if not PartnerHome.objects.filter(partner=partner, home=home, ends_on__isnull=True).exists():
        raise NotThePartners(field="home")
    stay = current_occupancies([home.pk], at).get(home.pk)
    if stay is None:
        raise NobodyToLeave(field="home")
    stay = move_out(occupancy=stay, at=ended_at, reason=EndReason.MOVED_HOUSE)
    invitation = None
    if new_email:
        listed = partner.properties.filter(home=home).first()
        if listed is None:
            listed = PartnerProperty.objects.create(
                partner=partner, reference=f"home {home.pk}"[:40], address=home.address or home.name,
                postcode=home.postcode, mpan=home.mpan, home=home,
            )  # fmt: skip
        invitation = inviting.invite_tenant(listed=listed, email=new_email, by=by, at=at)
    audit.record(at=at, actor=by, verb="tenancy.changed", target=f"home:{home.pk}")
    return Changed(stay, invitation)


def invited_and_joined(partner: Partner, at: datetime) -> tuple[int, int]:
    """How many invitations were sent, and how many tenants had joined by them, before this month began.

    By the month, so that nobody learns from one day to the next who it was.
    """
    day = civil_date(at).replace(day=1)
    sent = Invitation.objects.filter(listed__partner=partner, made_at__date__lt=day).count()
    joined = Application.objects.filter(
        partner=partner, state=Application.State.JOINED, joined_at__date__lt=day
    ).count()
    return sent, joined


def _read(row: tuple[str, ...]) -> tuple[str, dict[str, str], str]:
    reference, address, postcode, mpan, email = row
    fields = {
        "address": entry.one_line(address, field="address", longest=200),
        "postcode": entry.postcode(postcode),
        "mpan": entry.mpan(mpan) if mpan else "",
    }
    known = entry.one_line(reference, field="reference", longest=40)
    return known, fields, entry.email(email) if email else ""
