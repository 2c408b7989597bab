"""What goes out to a buyer: written down with its fact, sealed and posted until it arrives.

A message keeps its id however often it is sent, so a worker killed after the post and before its commit sends
a copy, which the other side knows. A refusal of the transport (4xx) is final; anything else is tried again
with growing pauses for hours. No row is locked during a call: the buyer's answer may come before it returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F

from campaigns.market import telling
from campaigns.models import MarketOffer, MarketParty, MarketRequest, UftpMessage, UftpTerms
from campaigns.uftp import arranging, reading, wire
from campaigns.uftp.arranging import NoIdentity
from campaigns.uftp.reading import Rejected
from campaigns.uftp_models import UftpSign
from opendsr.kernel import calling_out, clock, outbox

if TYPE_CHECKING:
    from members.models import User

OUTGOING: Final = "campaigns.uftp.outgoing"
PAUSES: Final = tuple(timedelta(seconds=each) for each in (5, 30, 120, 600, 1_800, 3_600, 7_200))
"""Between one try and the next; the protocol wants an hour at least."""
TEMPORARY: Final = frozenset({408, 419, 425, 429})
OPTION: Final = "1"
State = UftpMessage.State


def compose(
    kind: str,
    *,
    terms: UftpTerms,
    fields: Mapping[str, str],
    at: datetime,
    parts: Sequence[wire.Element] = (),
    conversation_id: UUID | None = None,
    answers: UftpMessage | None = None,
    request: MarketRequest | None = None,
    offer: MarketOffer | None = None,
) -> UftpMessage:
    """Write a message down, to be sent once the transaction commits; raises NoIdentity."""
    ours = arranging.identity()
    if ours is None:
        raise NoIdentity
    message_id, wall = uuid4(), clock.wall_now()
    conversation_id = conversation_id or uuid4()
    text = wire.write(
        kind,
        sender=ours.domain,
        recipient=terms.domain,
        message_id=message_id,
        conversation_id=conversation_id,
        stamped_at=wall,
        fields=fields,
        parts=parts,
    )
    row = UftpMessage.objects.create(
        party_id=terms.party_id,
        is_ours=True,
        kind=kind,
        message_id=message_id,
        conversation_id=conversation_id,
        answers=answers,
        request=request,
        offer=offer,
        xml=text.decode(),
        digest=hashlib.sha256(text).hexdigest(),
        state=State.DUE,
        at=at,
        wall_at=wall,
    )
    _record(row, at=at, due_at=None)
    return row


def respond(
    row: UftpMessage, *, kind: str, terms: UftpTerms, rejected: Rejected | None, at: datetime
) -> UftpMessage:
    """Answer a message of theirs, of this kind: accepted, or refused with the reason."""
    fields = {"Result": "Rejected" if rejected else "Accepted"}
    parts = []
    if rejected:
        fields["RejectionReason"] = rejected.words
    if kind != "TestMessage":
        fields[f"{kind}MessageID"] = str(row.message_id)
    if kind == "FlexSettlement" and rejected:
        parts = _all_disputed(row, rejected)
    return compose(
        wire.RESPONSES[kind],
        terms=terms,
        fields=fields,
        parts=parts,
        conversation_id=row.conversation_id,
        answers=row,
        request=row.request,
        at=at,
    )


@transaction.atomic
def send(*, message_pk: int, at: datetime) -> bool:
    """Post a message that is due; whether it arrived. One that is not due any more is left."""
    row = UftpMessage.objects.filter(pk=message_pk, state=State.DUE).first()
    terms = UftpTerms.objects.filter(party=row.party_id).select_related("party").first() if row else None
    ours = arranging.identity()
    if row is None or terms is None or ours is None:
        return False
    sealed = wire.seal(row.xml.encode(), private=arranging.private_key(ours))
    try:
        answer = arranging.call(terms.endpoint, wire.wrap(sealed, domain=ours.domain))
    except calling_out.NotCalled as error:
        _failed(row, str(error), is_final=False, at=at)
        return False
    if answer.status == 200:
        due = UftpMessage.objects.filter(pk=row.pk, state=State.DUE)
        due.update(state=State.SENT, reason="", attempts=F("attempts") + 1)
        return True
    is_final = 400 <= answer.status < 500 and answer.status not in TEMPORARY
    _failed(row, f"HTTP {answer.status}", is_final=is_final, at=at)
    return False


def may_go_again(row: UftpMessage) -> bool:
    """Whether a message of ours was not delivered and would still mean something."""
    is_stale = row.kind == "FlexOffer" and (row.offer is None or row.offer.state != MarketOffer.State.MADE)
    return row.is_ours and row.state == State.FAILED and not is_stale


@transaction.atomic
def send_again(*, party_id: UUID, message_pk: int, at: datetime) -> bool:
    """Put a message that was not delivered in line again; whether there was such a one.

    An offer that does not stand any more stays where it is: the buyer could not order it.
    """
    row = UftpMessage.objects.select_related("offer").filter(pk=message_pk, party=party_id).first()
    if row is None or not may_go_again(row):
        return False
    failed = UftpMessage.objects.filter(pk=row.pk, state=State.FAILED)
    if not failed.update(state=State.DUE, reason="", attempts=F("attempts") + 1):
        return False
    _record(UftpMessage.objects.get(pk=message_pk), at=at, due_at=None)
    return True


@transaction.atomic
def tell_offer(*, offer_id: UUID, at: datetime) -> UftpMessage | None:
    """Send a FlexOffer for an offer that answers a FlexRequest; None for any other, or told already."""
    offer = MarketOffer.objects.select_related("request__preset").filter(pk=offer_id).first()
    theirs = None
    if offer is not None:
        answered = UftpMessage.objects.filter(request=offer.request_id, kind="FlexRequest", is_ours=False)
        theirs = answered.filter(state=State.ACCEPTED).first()
    if offer is None or theirs is None or offer.state != MarketOffer.State.MADE:
        return None
    if UftpMessage.objects.filter(offer=offer, kind="FlexOffer").exists():
        return None
    terms = UftpTerms.objects.get(party=offer.request.party_id)
    asked, request = wire.tree(theirs.xml.encode()), offer.request
    day, stretches = reading.isps_of(
        request.starts_at, offer.offered_w, direction=request.direction, sign=UftpSign(terms.sign)
    )
    fields = {
        "ISP-Duration": wire.ISP_DURATION,
        "TimeZone": wire.TIME_ZONE,
        "Period": day.isoformat(),
        "CongestionPoint": wire.text(asked, "CongestionPoint", wire.POINT),
        "ExpirationDateTime": wire.stamp(offer.good_until),
        "FlexRequestMessageID": str(theirs.message_id),
    }
    if contract := wire.optional(asked, "ContractID"):
        fields["ContractID"] = contract
    if terms.baseline_reference:
        fields["BaselineReference"] = terms.baseline_reference
    fields["Currency"] = wire.CURRENCY
    option = wire.part(
        "OfferOption",
        {
            "OptionReference": OPTION,
            "Price": f"{reading.pounds(offer.price_mp):f}",
            "MinActivationFactor": f"{reading.least_factor(offer.offered_w, request.preset.least_w):f}",
        },
        [
            wire.part("ISP", {"Power": str(power), "Start": str(first), "Duration": str(length)})
            for first, length, power in stretches
        ],
    )
    return compose(
        "FlexOffer",
        terms=terms,
        fields=fields,
        parts=[option],
        conversation_id=theirs.conversation_id,
        request=request,
        offer=offer,
        at=at,
    )


@transaction.atomic
def tell_revocation(*, offer_id: UUID, at: datetime) -> UftpMessage | None:
    """Revoke a FlexOffer that the buyer may have; one that has not left yet is not sent any more."""
    told = UftpMessage.objects.filter(offer=offer_id, kind="FlexOffer").first()
    if told is None or told.state == State.REJECTED:
        return None
    if told.state in (State.DUE, State.FAILED) and told.attempts == 0:
        UftpMessage.objects.filter(pk=told.pk).update(state=State.FAILED, reason="withdrawn before it left")
        return None
    if UftpMessage.objects.filter(offer=offer_id, kind="FlexOfferRevocation").exists():
        return None
    return compose(
        "FlexOfferRevocation",
        terms=UftpTerms.objects.get(party=told.party_id),
        fields={"FlexOfferMessageID": str(told.message_id)},
        conversation_id=told.conversation_id,
        request=told.request,
        offer=told.offer,
        at=at,
    )


@transaction.atomic
def tell_test(*, party: MarketParty, at: datetime, by: User) -> UftpMessage:
    """Ask a buyer whether it hears us; raises NoIdentity."""
    telling.note("TestMessage", party=party, is_ours=True, at=at, by=by)
    return compose("TestMessage", terms=UftpTerms.objects.get(party=party), fields={}, at=at)


def key_text(public_key: str) -> str:
    """Our public key as UFTP passes it on."""
    return f"cs1.{public_key}"


def _all_disputed(row: UftpMessage, rejected: Rejected) -> list[wire.Element]:
    """Its answer names an order at least: refused, all of them are in dispute (UFTP 3.1, FlexSettlement)."""
    why = {"Disposition": "Disputed", "DisputeReason": rejected.words}
    named = wire.tree(row.xml.encode()).findall("FlexOrderSettlement")
    known = [each.get("OrderReference", "")[:200] for each in named] or [""]
    return [
        wire.part("FlexOrderSettlementStatus", {**({"OrderReference": each} if each else {}), **why})
        for each in known[:2_000]
    ]


def _record(row: UftpMessage, *, at: datetime, due_at: datetime | None) -> None:
    outbox.record(OUTGOING, at=at, due_at=due_at, key=f"{row.pk}:{row.attempts}", message_pk=row.pk)


def _failed(row: UftpMessage, reason: str, *, is_final: bool, at: datetime) -> None:
    row.attempts += 1
    if is_final or row.attempts > len(PAUSES):
        row.state = State.FAILED
        telling.note(
            f"{row.kind} not delivered",
            party=row.party,
            request=row.request,
            is_ours=True,
            at=at,
            by=None,
            body={"reason": reason[:200], "message_id": str(row.message_id)},
        )
    due = UftpMessage.objects.filter(pk=row.pk, state=State.DUE)
    still = due.update(state=row.state, reason=reason[:400], attempts=row.attempts)
    if still and row.state == State.DUE:
        _record(row, at=at, due_at=at + PAUSES[row.attempts - 1])
