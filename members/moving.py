"""Moving out: the household's stay ends, and with it every consent, stream and opt-out that hung on it.

Hubs and assets stay with the home (`assets/`); the next household starts afresh with `joining.move_in`. A
household that moves within the co-op takes its membership along and agrees anew for the home it moves to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from members import consenting, entry, joining, supplying
from members.assessing import gsp_group_of
from members.consenting import end_consent
from members.models import Channel, Consent, EndReason, Home, Member, MeterStream, Occupancy, StandingOptOut
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date

OCCUPANCY_ENDED = "members.occupancy.ended"
MOVED_IN = "members.household.moved_in"


class MovedOutBeforeMovingIn(DomainError):
    """The stay began at or after this moment."""

    occupancy_id: str


class NotTheirHome(DomainError):
    """The member's household does not live there."""

    occupancy_id: str


class GspGroupUnknown(DomainError):
    """The meter is on an independent network: somebody has to say which GSP group it is in."""

    field: str


@transaction.atomic
def move_house(
    *,
    member: Member,
    occupancy: Occupancy,
    moved_at: datetime,
    address: str,
    postcode: str,
    mpan: str,
    purposes: Mapping[str, str],
    at: datetime,
    by: str,
    gsp_group: str = "",
    supplier: str = "",
    payment_method: str = "",
    channel: str = Channel.WEB,
) -> Occupancy:
    """End the household's stay and begin the next one in another home, both at `moved_at` (now or earlier).

    What was agreed to ended with the old stay; `purposes` are given anew, from `at` on, for the new home. Who
    supplies it and how it is paid is asked anew too; "" is not said. The hub stays where it is. Raises
    InvalidField, NotTheirHome, MovedOutBeforeMovingIn, HomeOccupied, GspGroupUnknown, and what `give_consent`
    raises.
    """
    if occupancy.household_id != member.household_id or not occupancy.is_current(at):
        raise NotTheirHome(occupancy_id=str(occupancy.pk))
    if moved_at > at:
        raise entry.InvalidField(field="moved_on", problem="in_the_future")
    home = home_of_mpan(address=address, postcode=postcode, mpan=mpan, gsp_group=gsp_group, at=at)
    move_out(occupancy=occupancy, at=moved_at)
    stay = joining.move_in(household=member.household, home=home, at=moved_at)
    joining.open_stream(occupancy=stay, at=moved_at)
    if supplier or payment_method:
        supplying.note_supply(
            occupancy=stay, supplier=supplier, payment_method=payment_method,
            starts_on=civil_date(moved_at), at=at, by=by,
        )  # fmt: skip
    for purpose, granularity in purposes.items():
        consenting.give_consent(
            member=member, occupancy=stay, purpose=purpose, granularity=granularity, channel=channel, at=at
        )
    outbox.record(MOVED_IN, at=at, key=str(stay.pk), occupancy_id=stay.pk, home_id=home.pk)
    audit.record(
        at=at, actor=by, verb="household.moved", target=f"household:{member.household_id}",
        detail={"from": occupancy.home_id, "to": home.pk},
    )  # fmt: skip
    return stay


def home_of_mpan(*, address: str, postcode: str, mpan: str, gsp_group: str, at: datetime) -> Home:
    """The home of the meter point: known already, when somebody lived there before, or registered now."""
    mpan = entry.mpan(mpan)
    known = Home.objects.filter(mpan_index=mpan).first()
    if known is not None:
        return known
    group = gsp_group or gsp_group_of(mpan)
    if not group:
        raise GspGroupUnknown(field="gsp_group")
    address = entry.one_line(address, field="address", longest=200)
    return joining.register_home(
        name=address[:80], address=address, postcode=postcode, mpan=mpan, gsp_group=group, at=at
    )


@transaction.atomic
def move_out(*, occupancy: Occupancy, at: datetime, reason: EndReason = EndReason.MOVED_HOUSE) -> Occupancy:
    """End the stay at `at` (now or earlier); moving out again leaves the first date standing.

    Records `members.occupancy.ended` and a fact for each consent that ends with it.
    """
    stay = Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    if stay.ends_at is not None:
        return stay
    if at <= stay.starts_at:
        raise MovedOutBeforeMovingIn(occupancy_id=str(stay.pk))
    stay.ends_at = at
    stay.save(update_fields=["ends_at"])
    still_open = Q(ends_at__isnull=True) | Q(ends_at__gt=at)
    for consent in Consent.objects.select_for_update().filter(still_open, occupancy=stay).order_by("pk"):
        end_consent(consent=consent, at=at, reason=reason, actor="moving")
    for kind in (MeterStream, StandingOptOut):
        kind.objects.filter(still_open, occupancy=stay).update(ends_at=Greatest(F("starts_at"), at))
    outbox.record(
        OCCUPANCY_ENDED, at=at, key=str(stay.pk), occupancy_id=stay.pk, home_id=stay.home_id, ends_at=at
    )
    return stay
