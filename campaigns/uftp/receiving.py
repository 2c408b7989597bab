"""A message comes in: verified, told from a repeat, done and answered in one transaction.

What is not sealed by a buyer's key is counted by the hour and writes nothing else. From then on everything is
kept, refused or not: the message, what was answered and why. The same message again changes nothing; another
of its id is refused.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from datetime import datetime, timedelta
from typing import Final, Protocol

from django.db import transaction
from django.db.models import F

from campaigns.market import telling
from campaigns.market.receiving import RequestInvalid
from campaigns.models import UftpMessage, UftpRefusal, UftpTerms
from campaigns.uftp import arranging, sending, settling, trading, wire
from campaigns.uftp.reading import Rejected
from campaigns.uftp.wire import NotUftp, Payload, SealRefused
from opendsr.kernel.errors import DomainError

logger = logging.getLogger(__name__)
MOST_A_MINUTE: Final = 120
MINUTE: Final = timedelta(minutes=1)
State = UftpMessage.State


class TooManyMessages(DomainError):
    """More messages in a minute than a buyer may send: `per_minute`."""

    status = 429
    per_minute: int


class Taking(Protocol):
    """Does what a message says; raises Rejected, NotUftp or what the market's services raise."""

    def __call__(self, payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> None: ...


TAKES: Final[dict[str, Taking]] = {
    "TestMessage": trading.take_test,
    "FlexRequest": trading.take_request,
    "FlexOrder": trading.take_order,
    "FlexReservationUpdate": trading.take_reservation,
    "FlexSettlement": settling.take_settlement,
    **dict.fromkeys(wire.ANSWERS, trading.take_answer),
}


def receive(body: bytes, *, at: datetime, wall: datetime) -> UftpMessage | None:
    """Take a SignedMessage in; what is kept of it, None for a repeat.

    Raises TooLong, NotUftp, SealRefused, TooManyMessages: then the transport says so. What is refused after
    that is answered by a message.
    """
    try:
        wrapper = wire.unwrap(body)
        terms = _sender(wrapper)
        text = wire.unseal(wrapper.body, public=base64.b64decode(terms.public_key))
        payload = wire.read(text)
        return _take(payload, text, terms=terms, at=at, wall=wall)
    except DomainError as error:
        count_refusal(error.reason if isinstance(error, SealRefused) else error.code, wall=wall)
        raise


@transaction.atomic
def count_refusal(reason: str, *, wall: datetime) -> None:
    """Log what the transport refused, and count it."""
    logger.warning("uftp: refused: %s", reason)
    hour = wall.replace(minute=0, second=0, microsecond=0)
    made, is_new = UftpRefusal.objects.get_or_create(
        reason=reason[:60], hour_wall_at=hour, defaults={"latest_wall_at": wall}
    )
    if not is_new:
        UftpRefusal.objects.filter(pk=made.pk).update(count=F("count") + 1, latest_wall_at=wall)


def _sender(wrapper: wire.Wrapper) -> UftpTerms:
    """The buyer that the wrapper names. Who is unknown is told the same as who has the wrong key."""
    found = UftpTerms.objects.filter(domain=wrapper.sender_domain).first()
    if found is None or wrapper.sender_role != wire.DSO:
        raise SealRefused(reason="unknown_sender")
    return found


@transaction.atomic
def _take(
    payload: Payload, text: bytes, *, terms: UftpTerms, at: datetime, wall: datetime
) -> UftpMessage | None:
    # One buyer's messages are taken one after the other: a repeat finds what the first left.
    terms = (
        UftpTerms.objects.select_for_update(of=("self",))
        .select_related("party__programme", "party__client")
        .get(pk=terms.pk)
    )
    theirs = UftpMessage.objects.filter(party=terms.party_id, is_ours=False)
    digest = hashlib.sha256(text).hexdigest()
    known = theirs.filter(message_id=payload.message_id).first()
    if known is not None and known.digest == digest:
        return None
    if theirs.filter(wall_at__gt=wall - MINUTE).count() >= MOST_A_MINUTE:
        raise TooManyMessages(per_minute=MOST_A_MINUTE)
    row = UftpMessage(
        party=terms.party,
        kind=payload.kind,
        is_ours=False,
        message_id=payload.message_id,
        conversation_id=payload.conversation_id,
        xml=text.decode(),
        digest=digest,
        state=State.ACCEPTED if payload.kind in wire.RESPONSES else State.NOTED,
        at=at,
        wall_at=wall,
    )
    if known is not None:
        twice = Rejected(reason="Duplicate Identifier", detail="this MessageID came with another message")
        _refused(row, terms, twice, at=at)
        if payload.kind in wire.RESPONSES:
            sending.respond(known, kind=payload.kind, terms=terms, rejected=twice, at=at)
        return None
    row.save()
    rejected = _done(payload, terms=terms, row=row, at=at)
    if rejected is not None:
        row.state, row.reason = State.REJECTED, rejected.words
        _refused(row, terms, rejected, at=at)
    row.save()
    if payload.kind in wire.RESPONSES and row.state != State.WAITING:
        sending.respond(row, kind=row.kind, terms=terms, rejected=rejected, at=at)
    return row


def _done(payload: Payload, *, terms: UftpTerms, row: UftpMessage, at: datetime) -> Rejected | None:
    """Do what it says; what was begun is undone where it is refused, and why is given back."""
    try:
        with transaction.atomic():
            _require_addressed(payload, terms)
            TAKES[payload.kind](payload, terms=terms, row=row, at=at)
    except Rejected as error:
        return error
    except NotUftp as error:
        return Rejected(reason="Invalid Message", detail=f"{error.field}: {error.reason}")
    except RequestInvalid as error:
        words = "; ".join(f"{field}: {why}" for field, why in error.errors.items())
        return Rejected(reason="Invalid Message", detail=words)
    except DomainError as error:
        return Rejected(reason="Invalid Message", detail=str(error))
    return None


def _require_addressed(payload: Payload, terms: UftpTerms) -> None:
    """Raise Rejected unless it is from whom it says, to us, in a version that is spoken here."""
    ours = arranging.identity()
    if terms.is_barred:
        raise Rejected(reason="Barred Sender", detail="")
    if payload.sender_domain != terms.domain:
        raise Rejected(reason="Invalid Sender", detail=f"it was sealed by {terms.domain}")
    if ours is None or payload.recipient_domain != ours.domain:
        raise Rejected(reason="Unknown Recipient", detail=payload.recipient_domain[:80])
    if not payload.version.startswith("3."):
        raise Rejected(reason="Invalid Message", detail=f"version 3 is spoken here, not {payload.version}")


def _refused(row: UftpMessage, terms: UftpTerms, rejected: Rejected, *, at: datetime) -> None:
    logger.warning("uftp: refused %s of %s: %s", row.kind, terms.domain, rejected.words)
    telling.note(
        f"{row.kind} refused"[:40],
        party=terms.party,
        request=row.request,
        is_ours=True,
        at=at,
        by=None,
        body={"reason": rejected.words, "message_id": str(row.message_id)},
    )
