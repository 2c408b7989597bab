"""Members' shares in the co-op: taken while joining, marked as paid by staff when the money has come."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from members.enquiry_models import Shareholding
from members.models import Member
from opendsr.kernel import audit


@transaction.atomic
def mark_paid(*, member: Member, by: str, at: datetime) -> int:
    """Mark the member's unpaid shares as paid; how many holdings. Again changes nothing."""
    count = Shareholding.objects.filter(member=member, paid_at__isnull=True).update(paid_at=at)
    if count:
        audit.record(at=at, actor=by, verb="shares.paid", target=f"member:{member.number}", detail={})
    return count
