"""Restriction and objection: what is held stays, and is used for nothing (UK GDPR Art. 18 and 21).

A restriction by anybody of a household holds for its homes: campaigns, settlement and advice find no consent
while it lasts (`queries.consenting_occupancies`, `queries.consent_windows`). Storing goes on, and the
household sees what is its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from members import asking
from members.consenting import WITHDRAWN, end_consent
from members.models import Consent, EndReason, Member, Occupancy, Purpose, User
from members.rights_models import Restriction, RightsRequest
from opendsr.kernel import audit, outbox

CREATE_MARKS: Final = """
    CREATE TRIGGER consent_mark AFTER INSERT OR UPDATE OR DELETE ON identity.members_restriction
        FOR EACH STATEMENT EXECUTE FUNCTION identity.renew_consent_mark();
"""
DROP_MARKS: Final = "DROP TRIGGER IF EXISTS consent_mark ON identity.members_restriction"


@transaction.atomic
def restrict(*, member: Member, at: datetime, channel: str, by: str, words: str = "") -> RightsRequest:
    """Stop all use of what is held about the member's household from `at` on, at once.

    Events under way are told as when a consent is withdrawn. Raises RequestOpen, InvalidField.
    """
    request = asking.open_request(
        member=member, kind=asking.Kind.RESTRICTION, at=at, channel=channel, by=by, words=words
    )
    _start(request, at, by)
    return request


@transaction.atomic
def object_to(
    *, member: Member, purpose: str, at: datetime, channel: str, by: str, words: str
) -> RightsRequest:
    """Object to one use; until it is decided nothing is used at all (Art. 18(1)(d)). Raises InvalidField."""
    if not purpose:
        purpose = "none"
    request = asking.open_request(
        member=member,
        kind=asking.Kind.OBJECTION,
        at=at,
        channel=channel,
        by=by,
        words=words,
        purpose=purpose,
    )
    _start(request, at, by)
    return request


@transaction.atomic
def lift(*, request_id: UUID, at: datetime, by: User, actor: str, verdict: str, reason: str) -> RightsRequest:
    """Let use begin again, by the member or by staff, and close what asked for the restriction."""
    request = asking.decide(request_id=request_id, verdict=verdict, reason=reason, at=at, by=by, actor=actor)
    _end(request, at, actor)
    return request


@transaction.atomic
def decide_objection(*, request_id: UUID, verdict: str, reason: str, at: datetime, by: User) -> RightsRequest:
    """Uphold or refuse an objection: upheld, the household's consents to that use end; either way the
    restriction that held meanwhile does too.
    """
    actor = asking.actor_of(by)
    request = asking.decide(request_id=request_id, verdict=verdict, reason=reason, at=at, by=by)
    if request.verdict in (asking.Verdict.GRANTED, asking.Verdict.PARTLY):
        open_ones = Consent.objects.select_for_update(of=("self",)).filter(
            Q(ends_at__isnull=True) | Q(ends_at__gt=at),
            occupancy__household_id=request.member.household_id,
            purpose=request.purpose,
        )
        for consent in open_ones.order_by("pk"):
            end_consent(consent=consent, at=at, reason=EndReason.REQUESTED, actor=actor)
    _end(request, at, actor)
    return request


def is_restricted(household_id: UUID) -> bool:
    """True while anybody of the household has restricted use."""
    return Restriction.objects.filter(member__household_id=household_id, ends_at__isnull=True).exists()


def _start(request: RightsRequest, at: datetime, by: str) -> None:
    Restriction.objects.create(member=request.member, request=request, starts_at=at)
    audit.record(at=at, actor=by, verb="restriction.started", target=f"member:{request.member_id}")
    stays = Occupancy.objects.filter(
        Q(ends_at__isnull=True) | Q(ends_at__gt=at), household_id=request.member.household_id
    )
    for occupancy_id in stays.order_by("pk").values_list("pk", flat=True):
        # The rooms above learn it as a consent that holds no more: homes drop out of what is not over.
        outbox.record(
            WITHDRAWN,
            at=at,
            key=f"restriction:{request.pk}:{occupancy_id}",
            consent_id=None,
            occupancy_id=occupancy_id,
            purpose=Purpose.FLEXIBILITY,
            source="",
            ends_at=at,
            reason="restricted",
        )


def _end(request: RightsRequest, at: datetime, by: str) -> None:
    live = Restriction.objects.filter(request=request, ends_at__isnull=True)
    if live.update(ends_at=Greatest(F("starts_at"), at)):
        audit.record(at=at, actor=by, verb="restriction.ended", target=f"member:{request.member_id}")
