"""Receipts by webhook: what became of what was sent; and staff's second try."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from notices import choosing
from notices.kinds import Channel, NoticeClass
from notices.models import Notice
from opendsr.kernel import audit, clock
from opendsr.kernel.errors import DomainError, Invalid, NotFound

State, Reason = Notice.State, Notice.Reason
OUTCOMES: Final = {
    "delivered": (State.DELIVERED, ""),
    "bounced": (State.BOUNCED, Reason.UNDELIVERABLE.value),
    "failed": (State.FAILED, Reason.REFUSED.value),
    "complained": (State.FAILED, Reason.COMPLAINED.value),
}
RESENT: Final = "notices.resent"


class OutcomeUnknown(Invalid):
    """A receipt with a word that means nothing here; `known` lists those that do."""

    given: str
    known: str


class NoticeNotFound(NotFound):
    """No such notice."""

    notice_id: str


class NothingToResend(DomainError):
    """Only what was not sent, bounced or failed is sent again."""

    state: str


@transaction.atomic
def receive(*, provider_id: str, outcome: str, at: datetime) -> bool:
    """Keep what became of a notice; False when the id is none of ours. Raises OutcomeUnknown.

    The first word stands but for a bounce or a complaint after a delivery. Who complains of a class gets no
    more of it by that channel.
    """
    if outcome not in OUTCOMES:
        raise OutcomeUnknown(given=outcome[:40], known=", ".join(OUTCOMES))
    if not provider_id:
        return False
    notice = (
        Notice.objects.select_for_update(of=("self",))
        .select_related("member")
        .filter(provider_id=provider_id)
        .first()
    )
    if notice is None:
        return False
    state, reason = OUTCOMES[outcome]
    is_first = notice.state == State.SENT
    is_worse = notice.state == State.DELIVERED and state != State.DELIVERED
    if is_first or is_worse:
        notice.state, notice.reason, notice.answered_at = state, reason, at
        notice.save(update_fields=["state", "reason", "answered_at"])
        if reason == Reason.COMPLAINED and notice.notice_class != NoticeClass.SAFETY:
            wanted = {(NoticeClass(notice.notice_class), Channel(notice.channel)): False}
            choosing.choose(member=notice.member, wanted=wanted, at=at, how="complaint")
    return True


@transaction.atomic
def resend(*, notice_id: UUID, at: datetime, by: str) -> Notice:
    """Put a notice that did not arrive into the queue again. Raises NoticeNotFound, NothingToResend."""
    notice = Notice.objects.select_for_update().filter(pk=notice_id).first()
    if notice is None:
        raise NoticeNotFound(notice_id=str(notice_id))
    if notice.state not in (State.BOUNCED, State.FAILED) or notice.expires_at <= at:
        raise NothingToResend(state="expired" if notice.expires_at <= at else notice.state)
    notice.state, notice.reason, notice.attempts, notice.provider_id = State.QUEUED, "", 0, ""
    notice.due_at, notice.next_try_wall_at, notice.sent_at = at, clock.wall_now(), None
    notice.again += 1
    notice.save()
    audit.record(at=at, actor=by, verb=RESENT, target=f"notice:{notice.pk}")
    return notice
