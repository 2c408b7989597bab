"""Needs told, read and forgotten. Sealed at rest; whoever of the staff reads them leaves a reason.

Planning and sending learn of them by `care_of` and tell nobody which need it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from members import entry
from members.care import Care, Need
from members.care_models import HouseholdCare
from members.models import Household, Occupancy
from opendsr.kernel import audit, encryption, outbox
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.lookups import among
from opendsr.kernel.models import AuditEntry

CHANGED: Final = "members.care.changed"
READ: Final = "care.read"
LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Look:
    """A member of staff looked at a household's needs, and why."""

    at: datetime
    by: str
    why: str


@transaction.atomic
def tell_needs(
    *,
    household: Household,
    needs: Iterable[str],
    contact_name: str = "",
    contact_phone: str = "",
    at: datetime,
    by: str,
) -> Care:
    """Keep what a household needs, in place of what it said before; nothing at all forgets it.

    What changed is in no log, only that it did. Records `members.care.changed`, upon which running events are
    looked at again. Raises InvalidField.
    """
    care = Care(
        needs=frozenset(entry.choice(Need, need, "needs") for need in needs),
        contact_name=entry.one_line(contact_name, field="contact_name", longest=80, may_be_empty=True),
        contact_phone=entry.one_line(contact_phone, field="contact_phone", longest=30, may_be_empty=True),
    )
    if bool(care.contact_name) != bool(care.contact_phone):
        missing = "contact_phone" if care.contact_name else "contact_name"
        raise entry.InvalidField(field=missing, problem="contact_needs_both")
    Household.objects.select_for_update().get(pk=household.pk)
    kept = HouseholdCare.objects.filter(household=household).first()
    if care == (Care() if kept is None else _unsealed(kept)):
        return care
    if care == Care():
        _forget(household.pk)
    else:
        if kept is None:
            kept = HouseholdCare(household=household)
        kept.sealed = encryption.seal(kept.key_subject, care.written(), _context(household.pk))
        kept.told_at = at
        kept.save()
    audit.record(at=at, actor=by, verb="care.changed", target=f"household:{household.pk}")
    stays = Occupancy.objects.filter(household=household, ends_at__isnull=True)
    for occupancy_id in stays.order_by("pk").values_list("pk", flat=True):
        outbox.record(CHANGED, at=at, key=str(new_uuid()), occupancy_id=occupancy_id)
    return care


def forget(household_id: UUID) -> None:
    """Delete a household's needs and destroy their key: for whoever leaves or is erased."""
    with transaction.atomic():
        _forget(household_id)


def own_care(household_id: UUID) -> Care:
    """What the household itself has said; for its own page."""
    kept = HouseholdCare.objects.filter(household=household_id).first()
    return Care() if kept is None else _unsealed(kept)


@transaction.atomic
def read_needs(*, household: Household, at: datetime, by: str, why: str) -> Care:
    """What a household needs, for staff who say why: who, when and why stay in the audit trail, and the
    household sees it. Raises InvalidField without a reason.
    """
    reason = entry.one_line(why, field="why", longest=LONGEST_REASON)
    if len(reason) < 5:
        raise entry.InvalidField(field="why", problem="too_short")
    audit.record(at=at, actor=by, verb=READ, target=f"household:{household.pk}", detail={"why": reason})
    return own_care(household.pk)


def looks_at(household_id: UUID, *, newest: int = 20) -> list[Look]:
    """Who of the staff looked at the household's needs, newest first."""
    entries = AuditEntry.objects.filter(verb=READ, target=f"household:{household_id}")
    shown = entries.order_by("-at", "-pk")[:newest]
    return [Look(each.at, each.actor, str(each.detail.get("why", ""))) for each in shown]


def care_of(occupancy_ids: Collection[UUID] | None) -> Mapping[UUID, Care]:
    """The needs of the households of these stays, for planning and the check before sending; most have none.

    None asks of all.
    """
    kept = HouseholdCare.objects.filter(household__occupancies__isnull=False)
    if occupancy_ids is not None:
        kept = HouseholdCare.objects.filter(household__occupancies__in=among(occupancy_ids))
    held = list(kept.values_list("household__occupancies__pk", "household_id", "key_subject", "sealed"))
    read: dict[str, Care] = {}
    care_of: dict[UUID, Care] = {}
    with encryption.remembering():
        for _, _, subject, _ in held:
            encryption.expect(subject)
        for occupancy_id, household_id, subject, sealed in held:
            text = encryption.unseal(subject, bytes(sealed), _context(household_id))
            if text not in read:  # most that need something need the same
                read[text] = Care.read(text)
            care_of[occupancy_id] = read[text]
    return care_of


def _forget(household_id: UUID) -> None:
    for kept in HouseholdCare.objects.filter(household=household_id):
        kept.delete()
        encryption.shred(kept.key_subject)


def _unsealed(kept: HouseholdCare) -> Care:
    text = encryption.unseal(kept.key_subject, bytes(kept.sealed), _context(kept.household_id))
    return Care.read(text)


def _context(household_id: UUID) -> str:
    return f"members_householdcare.sealed {household_id}"
