"""A DSO's conversation by HTTP: request, offer, order, settlement; what is refused, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from campaigns.market import offering
from campaigns.models import (
    Campaign,
    MarketOffer,
    MarketOfferAsset,
    MarketOrder,
    MarketRequest,
    MarketTold,
    UftpMessage,
    UftpRefusal,
    UftpTerms,
)
from campaigns.uftp import arranging, sending, settling, wire
from campaigns.uftp.wire import Element
from opendsr.kernel import outbox
from tests.campaigns.servicing.operating import make_habits
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_history,
    make_ready_home,
    make_rules,
)
from tests.campaigns.uftp.dso import POINT, URL, PaperDso, make_dso, post

pytestmark = pytest.mark.django_db
ItIs = Callable[[datetime], None]


@pytest.fixture
def speaker(it_is: ItIs, monkeypatch: pytest.MonkeyPatch) -> PaperDso:
    """It is noon; a live DSO that speaks UFTP, and not one home."""
    it_is(NOON)
    made = make_dso()
    monkeypatch.setattr(arranging, "call", made.call)
    return made


@pytest.fixture
def dso(speaker: PaperDso, paper_vtn: PaperVtn) -> PaperDso:
    """The same, and four homes of 3 kW in CMZ Calder."""
    make_rules()
    homes = [make_ready_home(cmz="Calder")[0] for _ in range(4)]
    make_habits(*homes)
    make_history({home.stream_id: 3_000 for home in homes})
    return speaker


def offered(dso: PaperDso) -> Element:
    """A request taken, and our offer as the DSO has it."""
    assert dso.request().status_code == 200
    offering.make_offers(request_ids=[MarketRequest.objects.latest("received_at").pk], at=NOON, by=None)
    dso.hear()
    return dso.latest("FlexOffer")


def test_a_request_becomes_an_offer_an_order_and_planned_campaigns(dso: PaperDso) -> None:
    offer = offered(dso)

    request = MarketRequest.objects.get()
    assert (request.direction, request.zone_kind, request.zone) == ("turn_down", "cmz", "Calder")
    assert (request.starts_at, request.ends_at) == (STARTS_AT, ENDS_AT)
    assert (request.profile_w, request.price_mp_per_kwh) == ([4_000, 4_000, 8_000, 8_000], 60_000)
    assert dso.latest("FlexRequestResponse").get("Result") == "Accepted"
    assert offer.get("TimeZone") == "Europe/London"
    assert offer.get("ExpirationDateTime") == wire.stamp(MarketOffer.objects.get().good_until)
    assert [dict(each.attrib) for each in offer.iter("ISP")] == [
        {"Power": "-4000", "Start": "33", "Duration": "2"},
        {"Power": "-8000", "Start": "35", "Duration": "2"},
    ]
    assert offer.find("OfferOption").get("Price") == "7.2000"
    accepted = {"Result": "Accepted", "FlexOfferMessageID": offer.get("MessageID")}
    dso.say("FlexOfferResponse", accepted)
    assert UftpMessage.objects.get(kind="FlexOffer").state == "accepted"

    dso.order(offer)

    assert dso.latest("FlexOrderResponse").get("Result") == "Accepted"
    order = MarketOrder.objects.get()
    assert (order.reference, order.ordered_w) == ("O-1", [4_000, 4_000, 8_000, 8_000])
    assert [each.state for each in Campaign.objects.all()] == ["planned", "planned"]
    assert {each.get("ConversationID") for each in dso.heard} == {offer.get("ConversationID")}


def test_a_part_is_ordered_by_its_activation_factor(dso: PaperDso) -> None:
    dso.order(offered(dso), factor="0.50")

    assert MarketOrder.objects.get().ordered_w == [2_000, 2_000, 4_000, 4_000]
    assert MarketOrder.objects.get().price_mp == 360_000


BAD_REQUESTS: Final[list[tuple[list[tuple[int, int, int]] | None, dict[str, str], str]]] = [
    (None, {"CongestionPoint": "ean.999999999999"}, "Invalid Congestion Point"),
    (None, {"ISP-Duration": "PT15M"}, "ISP Duration Rejected"),
    (None, {"TimeZone": "Europe/Amsterdam"}, "TimeZone Rejected"),
    (None, {"Period": "2026-01-13"}, "Period Out Of Bounds"),
    (None, {"ExpirationDateTime": "2026-01-14T11:59:00Z"}, "Expiration DateTime Out Of Bounds"),
    (None, {"ExpirationDateTime": "2026-01-14T16:00:01Z"}, "Expiration DateTime Out Of Bounds"),
    (None, {"RecipientDomain": "other.example.org"}, "Unknown Recipient"),
    (None, {"SenderDomain": "other.example.org"}, "Invalid Sender"),
    (None, {"Version": "2.0.0"}, "Invalid Message"),
    (None, {"Revision": "one"}, "Invalid Message"),
    ([(48, 2, -4_000)], {}, "ISPs Out Of Bounds"),
    ([(33, 2, -4_000), (34, 1, -1)], {}, "ISP Conflict"),
    ([(33, 2, 4_000)], {}, "Invalid Message: this congestion point is agreed for turn down alone"),
    ([(33, 2, -9_999_999_999)], {}, "Invalid Message: profile_w"),
]


def test_a_request_that_cannot_be_taken_is_refused_with_the_reason(speaker: PaperDso) -> None:
    for isps, change, reason in BAD_REQUESTS:
        assert speaker.request(isps, **change).status_code == 200

        answer = speaker.latest("FlexRequestResponse")
        said = answer.get("RejectionReason", "")
        assert (answer.get("Result"), said[: len(reason)]) == ("Rejected", reason)
        told = MarketTold.objects.latest("pk")
        assert (told.what, told.body["reason"]) == ("FlexRequest refused", said)
    assert not MarketRequest.objects.exists()


def test_the_same_message_again_changes_nothing_and_another_of_its_id_is_refused(speaker: PaperDso) -> None:
    one = str(uuid4())
    sealed = []
    real = speaker.sealed
    speaker.sealed = lambda text, **how: sealed.append(real(text, **how)) or sealed[-1]  # type: ignore
    speaker.request(MessageID=one)

    assert post(sealed[0]).status_code == 200
    speaker.hear()
    assert [each.tag for each in speaker.heard] == ["FlexRequestResponse"]
    speaker.request([(33, 1, -4_000)], MessageID=one)

    assert speaker.latest("FlexRequestResponse").get("RejectionReason", "").startswith("Duplicate Identifier")
    assert MarketRequest.objects.get().profile_w == [4_000, 4_000, 8_000, 8_000]


def test_strangers_and_forgers_are_counted_and_write_nothing(speaker: PaperDso) -> None:
    text = speaker.text("TestMessage", {}, [])
    forged = speaker.sealed(text, key=Ed25519PrivateKey.generate())
    unknown = speaker.sealed(text, domain="stranger.example.org")
    role = speaker.sealed(text).replace(b'"DSO"', b'"CRO"')

    assert [post(each).status_code for each in (forged, forged, unknown, role)] == [401] * 4
    assert post(b"x" * (wire.LARGEST_BYTES + 1)).status_code == 413
    assert post(b"<x/>").status_code == 400
    assert post(speaker.sealed(text), content_type="application/json").status_code == 400
    assert post(speaker.sealed(b"<FlexOffer/>")).status_code == 400
    for length, status in (("ten", 411), ("²", 411), ("9" * 5_000, 413)):
        odd = Client().generic("POST", URL, text, content_type="text/xml", CONTENT_LENGTH=length)
        assert odd.status_code == status
    counted = dict(UftpRefusal.objects.values_list("reason", "count"))
    assert counted == {"wrong_seal": 2, "unknown_sender": 2, "not_uftp": 2}
    assert not UftpMessage.objects.exists()


def test_a_barred_buyer_and_one_that_sends_too_much_are_refused(
    speaker: PaperDso, monkeypatch: pytest.MonkeyPatch
) -> None:
    UftpTerms.objects.update(is_barred=True)
    speaker.request()
    assert speaker.latest("FlexRequestResponse").get("RejectionReason") == "Barred Sender"
    monkeypatch.setattr("campaigns.uftp.receiving.MOST_A_MINUTE", 1)

    assert speaker.request().status_code == 429
    assert not MarketRequest.objects.exists()


def test_a_later_revision_takes_the_place_of_the_one_before(dso: PaperDso) -> None:
    talk = str(uuid4())
    dso.request(ConversationID=talk)
    first = MarketRequest.objects.get()
    offering.make_offers(request_ids=[first.pk], at=NOON, by=None)
    dso.hear()

    dso.request([(33, 1, -4_000)], Revision="2", ConversationID=talk)
    dso.request(Revision="2", ConversationID=talk)

    first.refresh_from_db()
    assert first.state == "withdrawn"
    assert MarketRequest.objects.exclude(pk=first.pk).get().profile_w == [4_000]
    revoked = dso.latest("FlexOfferRevocation").get("FlexOfferMessageID")
    assert revoked == dso.latest("FlexOffer").get("MessageID")
    again = dso.latest("FlexRequestResponse").get("RejectionReason", "")
    assert again.startswith("Subordinate Sequence Number")


def test_a_revision_finds_the_one_before_however_much_was_said_since(speaker: PaperDso) -> None:
    talk = str(uuid4())
    for day in range(15, 27):
        speaker.request(Period=f"2026-01-{day}", ConversationID=talk)

    speaker.request([(33, 1, -4_000)], Period="2026-01-15", Revision="2", ConversationID=talk)

    asked = MarketRequest.objects.filter(starts_at__date="2026-01-15")
    assert {each.state: each.profile_w for each in asked} == {
        "withdrawn": [4_000, 4_000, 8_000, 8_000],
        "open": [4_000],
    }
    assert MarketRequest.objects.filter(state="open").count() == 12


def test_an_offer_that_is_withdrawn_is_revoked_and_cannot_be_ordered(dso: PaperDso) -> None:
    offer = offered(dso)
    request = MarketRequest.objects.get()

    offering.decline_request(request_id=request.pk, reason="a storm", at=NOON, by=None)
    dso.hear()
    dso.order(offer)

    assert dso.latest("FlexOfferRevocation").get("FlexOfferMessageID") == offer.get("MessageID")
    answer = dso.latest("FlexOrderResponse").get("RejectionReason", "")
    assert answer.startswith("Reference Message Revoked")
    assert not MarketOrder.objects.exists()
    revocation = {"FlexOfferRevocationMessageID": dso.latest("FlexOfferRevocation").get("MessageID")}
    dso.say("FlexOfferRevocationResponse", {"Result": "Accepted", **revocation})
    assert UftpMessage.objects.get(kind="FlexOfferRevocation").state == "accepted"


def test_an_offer_that_the_buyer_refuses_lets_its_homes_go(dso: PaperDso) -> None:
    offer = offered(dso)
    assert MarketOfferAsset.objects.filter(is_held=True).exists()

    refusal = {"Result": "Rejected", "RejectionReason": "too dear"}
    dso.say("FlexOfferResponse", {**refusal, "FlexOfferMessageID": offer.get("MessageID")})

    assert not MarketOfferAsset.objects.filter(is_held=True).exists()
    assert MarketRequest.objects.get().state == "open"
    assert UftpMessage.objects.get(kind="FlexOffer").reason == "too dear"
    assert "FlexOfferRevocation" not in {each.tag for each in dso.heard}


def test_an_offer_withdrawn_before_it_left_is_not_sent_again(dso: PaperDso) -> None:
    dso.request()
    request = MarketRequest.objects.get()
    offer = offering.make_offers(request_ids=[request.pk], at=NOON, by=None)[0]
    told = sending.tell_offer(offer_id=offer.pk, at=NOON)
    assert told is not None
    offering.decline_request(request_id=request.pk, reason="a storm", at=NOON, by=None)
    sending.tell_revocation(offer_id=offer.pk, at=NOON)

    assert not sending.send_again(party_id=dso.party.pk, message_pk=told.pk, at=NOON)
    dso.hear()

    assert {each.tag for each in dso.heard} == {"FlexRequestResponse"}


BAD_ORDERS: Final[list[tuple[dict[str, str], str]]] = [
    ({"FlexOfferMessageID": str(uuid4())}, "Unknown Reference"),
    ({"FlexOfferMessageID": ""}, "Unknown Reference"),
    ({"Period": "2026-01-15"}, "Reference Period Mismatch"),
    ({"CongestionPoint": "ean.999999999999"}, "Invalid Congestion Point"),
    ({"Price": "6.0000"}, "Invalid Message: Price"),
    ({"Currency": "EUR"}, "Invalid Message: Currency"),
    ({"ActivationFactor": "0.01"}, "Invalid Message: ActivationFactor"),
    ({"ActivationFactor": "0.50", "Price": "3.6000"}, "Invalid Message: ISP 33"),
    ({"OptionReference": "2"}, "Unknown Reference"),
    ({"D-PrognosisMessageID": str(uuid4())}, "Unknown Reference: no D-Prognosis"),
]


def test_an_order_that_is_not_what_was_offered_is_refused(dso: PaperDso) -> None:
    offer = offered(dso)
    for change, reason in BAD_ORDERS:
        dso.order(offer, **change)

        answer = dso.latest("FlexOrderResponse")
        said = answer.get("RejectionReason", "")
        assert (answer.get("Result"), said[: len(reason)]) == ("Rejected", reason)
    assert not MarketOrder.objects.exists()
    assert not Campaign.objects.exists()


def test_an_order_that_comes_late_is_refused(dso: PaperDso, it_is: ItIs) -> None:
    offer = offered(dso)
    it_is(MarketOffer.objects.get().good_until)

    dso.order(offer)

    answer = dso.latest("FlexOrderResponse").get("RejectionReason", "")
    assert answer.startswith("Reference Message Expired")
    assert not MarketOrder.objects.exists()


def test_an_order_said_again_after_the_offer_ran_out_stands_as_it_was_taken(
    dso: PaperDso, it_is: ItIs
) -> None:
    offer = offered(dso)
    dso.order(offer)
    it_is(MarketOffer.objects.get().good_until)

    dso.order(offer)
    assert dso.latest("FlexOrderResponse").get("Result") == "Accepted"
    dso.order(offer, factor="0.50")
    assert dso.latest("FlexOrderResponse").get("Result") == "Rejected"

    assert MarketOrder.objects.get().ordered_w == [4_000, 4_000, 8_000, 8_000]
    assert Campaign.objects.count() == 2


def test_on_trial_all_is_answered_and_nothing_is_planned(dso: PaperDso) -> None:
    dso.party.is_sandbox = True
    dso.party.save()

    dso.order(offered(dso))

    assert dso.latest("FlexOrderResponse").get("Result") == "Accepted"
    assert not Campaign.objects.exists()


def test_a_test_and_a_reservation_are_answered(speaker: PaperDso) -> None:
    speaker.say("TestMessage", {})
    flex = {"ISP-Duration": "PT30M", "TimeZone": "Europe/London", "Period": "2026-01-14"}
    isp = wire.part("ISP", {"Power": "5000", "Start": "33"})
    speaker.say(
        "FlexReservationUpdate",
        {**flex, "CongestionPoint": POINT, "ContractID": "CMZ-1", "Reference": "R-1"},
        [isp],
    )
    speaker.say("D-PrognosisResponse", {"Result": "Accepted", "D-PrognosisMessageID": str(uuid4())})

    assert speaker.latest("TestMessageResponse").get("Result") == "Accepted"
    assert speaker.latest("FlexReservationUpdateResponse").get("Result") == "Accepted"
    assert MarketTold.objects.get(what="FlexReservationUpdate").body["most_w"] == 5_000
    refused = MarketTold.objects.get(what="D-PrognosisResponse refused")
    assert "another baseline is used" in refused.body["reason"]


def test_what_does_not_arrive_is_sent_again_with_growing_pauses(speaker: PaperDso, it_is: ItIs) -> None:
    speaker.status = None
    speaker.request()
    row = UftpMessage.objects.get(is_ours=True)
    assert (row.state, row.attempts, row.reason) == ("due", 1, "nobody there")
    at = NOON
    for pause in sending.PAUSES[:-1]:
        at += pause
        it_is(at)
        outbox.drain()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("due", len(sending.PAUSES))

    speaker.status = 200
    it_is(at + sending.PAUSES[-1])
    outbox.drain()

    row.refresh_from_db()
    assert row.state == "sent"
    assert [each.get("MessageID") for each in speaker.heard] == [str(row.message_id)]


def test_a_transport_that_says_no_ends_it_until_staff_send_it_again(speaker: PaperDso) -> None:
    speaker.status = 401
    speaker.request()
    row = UftpMessage.objects.get(is_ours=True)
    assert (row.state, row.reason) == ("failed", "HTTP 401")
    assert MarketTold.objects.filter(what="FlexRequestResponse not delivered").exists()
    speaker.status = 200

    assert sending.send_again(party_id=speaker.party.pk, message_pk=row.pk, at=NOON)
    speaker.hear()

    row.refresh_from_db()
    assert row.state == "sent"
    assert len(speaker.heard) == 1


def settlement(speaker: PaperDso, delivered: list[int], **fields: str) -> None:
    """The DSO settles order O-1: 4, 4, 8, 8 kW ordered."""
    lines = zip([33, 34, 35, 36], [-4_000, -4_000, -8_000, -8_000], delivered, strict=True)
    isps = [
        wire.part(
            "ISP",
            {
                "Start": str(isp),
                "BaselinePower": "12000",
                "OrderedFlexPower": str(ordered),
                "ActualPower": str(12_000 + said),
                "DeliveredFlexPower": str(said),
                "PowerDeficiency": str(max(0, said - ordered)),
            },
        )
        for isp, ordered, said in lines
    ]
    wanted_w = (4_000, 4_000, 8_000, 8_000)
    lacks_kw = sum(max(0, said + want) for said, want in zip(delivered, wanted_w, strict=True)) / 1_000
    penalty = lacks_kw / 2 * 0.20
    order = {
        "OrderReference": "O-1",
        "Period": "2026-01-14",
        "CongestionPoint": POINT,
        "Price": "7.2000",
        "Penalty": f"{penalty:.4f}",
        "NetSettlement": f"{7.2 - penalty:.4f}",
        **fields,
    }
    speaker.say(
        "FlexSettlement",
        {"PeriodStart": "2026-01-01", "PeriodEnd": "2026-01-31", "Currency": "GBP"},
        [wire.part("FlexOrderSettlement", order, isps)],
    )


SETTLEMENTS: Final[list[tuple[list[int], dict[str, str], str]]] = [
    ([-4_000, -4_000, -8_000, -8_000], {}, ""),
    ([-4_000, -4_000, -8_000, -7_700], {}, ""),
    ([-4_000, -4_000, -8_000, -5_000], {}, "ISP 36: delivered 8000 W by our meters, not 5000 W"),
    ([-4_000, -4_000, -8_000, 5_000], {}, "ISP 36: delivered 8000 W by our meters, not -5000 W"),
    ([-4_000, -4_000, -8_000, -8_000], {"Price": "7.0000"}, "the price ordered is 7.2000"),
    ([-4_000, -4_000, -8_000, -8_000], {"Penalty": "2.0000"}, "NetSettlement is not Price less"),
    ([-4_000, -4_000, -8_000, -8_000], {"OrderReference": "O-9"}, "no such order was taken"),
]


def test_a_settlement_is_held_against_what_meters_showed(dso: PaperDso) -> None:
    dso.order(offered(dso))
    first, second = Campaign.objects.order_by("starts_at")
    half = timedelta(minutes=30)
    measured = {
        first.pk: {STARTS_AT + n * half: 2_000 for n in (0, 1)},
        second.pk: {STARTS_AT + n * half: 4_000 for n in (2, 3)},
    }
    for delivered, change, why in SETTLEMENTS:
        settlement(dso, delivered, **change)
        row = UftpMessage.objects.filter(kind="FlexSettlement").latest("pk")

        settling.answer(message_pk=row.pk, tries=0, measured=measured, at=NOON)
        dso.hear()

        status = dso.latest("FlexSettlementResponse").find("FlexOrderSettlementStatus")
        assert status.get("Disposition") == ("Disputed" if why else "Accepted")
        assert status.get("DisputeReason", "")[: len(why)] == why
        assert settling.answer(message_pk=row.pk, tries=0, measured=measured, at=NOON) is None


def test_a_settlement_waits_a_week_for_our_figures_and_is_then_disputed(dso: PaperDso, it_is: ItIs) -> None:
    dso.order(offered(dso))
    settlement(dso, [-4_000, -4_000, -8_000, -8_000])
    assert UftpMessage.objects.get(kind="FlexSettlement").state == "waiting"

    for day in range(1, 8):
        assert "FlexSettlementResponse" not in {each.tag for each in dso.heard}
        it_is(NOON + timedelta(days=day))
        dso.hear()

    status = dso.latest("FlexSettlementResponse").find("FlexOrderSettlementStatus")
    assert status.get("Disposition") == "Disputed"
    assert status.get("DisputeReason", "").startswith("ISP 33: not measured by us")


def test_a_settlement_that_cannot_be_read_disputes_all_of_it(dso: PaperDso) -> None:
    dso.order(offered(dso))
    settlement(dso, [-4_000, -4_000, -8_000, -8_000], Period="2026-02-14")

    answer = dso.latest("FlexSettlementResponse")
    assert answer.get("RejectionReason", "").startswith("Period Out Of Bounds")
    assert answer.find("FlexOrderSettlementStatus").get("Disposition") == "Disputed"
