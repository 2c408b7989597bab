"""Moving out: the household's stay ends, and with it every consent, stream and opt-out that hung on it.

Hubs and assets stay with the home (`assets/`); the next household starts afresh with `joining.move_in`.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from members.consenting import end_consent
from members.models import Consent, EndReason, MeterStream, Occupancy, StandingOptOut
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError

OCCUPANCY_ENDED = "members.occupancy.ended"


class MovedOutBeforeMovingIn(DomainError):
    """The stay began at or after this moment."""

    occupancy_id: str


@transaction.atomic
def move_out(*, occupancy: Occupancy, at: datetime) -> Occupancy:
    """End the stay at `at` (now or earlier); moving out again leaves the first date standing.

    Records `members.occupancy.ended` and a fact for each consent that ends with it.
    """
    stay = Occupancy.objects.select_for_update().get(pk=occupancy.pk)
    if stay.ends_at is not None:
        return stay
    if at <= stay.starts_at:
        raise MovedOutBeforeMovingIn(occupancy_id=str(stay.pk))
    stay.ends_at = at
    stay.save(update_fields=["ends_at"])
    still_open = Q(ends_at__isnull=True) | Q(ends_at__gt=at)
    for consent in Consent.objects.select_for_update().filter(still_open, occupancy=stay).order_by("pk"):
        end_consent(consent=consent, at=at, reason=EndReason.MOVED_HOUSE, actor="moving")
    for kind in (MeterStream, StandingOptOut):
        kind.objects.filter(still_open, occupancy=stay).update(ends_at=Greatest(F("starts_at"), at))
    outbox.record(
        OCCUPANCY_ENDED, at=at, key=str(stay.pk), occupancy_id=stay.pk, home_id=stay.home_id, ends_at=at
    )
    return stay
