"""Polls and answers served together: each VEN its own, once, and the odd one left to the application."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from oadr import codec
from oadr import messages as m
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from tests.vtn.hubs import notice_to, only_event
from vtn import enrolling, event_offers, registering
from vtn.live_events import Speaker
from vtn.models import Event, EventOpt, MessageLog, MessageState, QueuedMessage, VenCertificate
from vtn.port import Vtn
from vtn.services import distributing, telling
from vtn.services import events as taking
from vtn.transports import groups

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's transaction outlives the group."""
    monkeypatch.setattr(groups, "close_old_connections", lambda: None)


@pytest.fixture
def pair(hub: hubs.TestHub, stranger: hubs.TestHub) -> tuple[hubs.TestHub, hubs.TestHub]:
    """Two hubs that have spoken before and been told all."""
    for each in (hub, stranger):
        each.says("EiEvent", m.RequestEvent("R", each.ven_id))
    VenCertificate.objects.update(first_used_wall_at=datetime.now(UTC))
    return hub, stranger


def poll(hub: hubs.TestHub, **changes: Any) -> groups.Poll:
    settings = {
        "fingerprint": hub.fingerprint,
        "ven_id": hub.ven_id,
        "is_enveloped": True,
        "software": "test/1",
        "body": b"",
    }
    return groups.Poll(**(settings | changes))


def said(hub: hubs.TestHub, message: m.Message) -> groups.Said:
    return groups.Said(hub.fingerprint, "test/1", codec.serialise(message))


def taken_of(messages: list[groups.Said]) -> list[bytes | None]:
    return groups.take_answers(messages).replies


def a_year_from(hub: hubs.TestHub) -> Any:
    from opendsr.kernel import clock
    from opendsr.kernel.interval import Interval

    starts_at = clock.now().replace(microsecond=0) + hubs.timedelta(hours=2)
    return notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + hubs.timedelta(hours=2)))


def test_each_gets_its_own_and_the_others_hear_nothing(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)

    served = groups.serve_polls([poll(hub), poll(stranger)])

    assert set(served.quiet) == {stranger.fingerprint}
    event = only_event(codec.parse(served.sets[hub.fingerprint]))
    assert event.target.ven_ids == (hub.ven_id,)
    assert Event.objects.get().delivered_modification == 0
    assert MessageLog.objects.filter(ven=hub.ven, reply="oadrDistributeEvent").count() == 1


def test_who_claims_to_be_another_or_asks_bare_is_left_to_the_application(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)

    served = groups.serve_polls([poll(hub, ven_id=stranger.ven_id), poll(stranger, fingerprint="0" * 64)])
    assert served == groups.Served({}, {})
    assert groups.serve_polls([poll(hub, is_enveloped=False)]) == groups.Served({}, {})
    assert Event.objects.get().delivered_modification is None


def test_answers_of_many_are_taken_and_the_odd_ones_left(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)
    event = only_event(codec.parse(groups.serve_polls([poll(hub)]).sets[hub.fingerprint]))
    good = hub.answer_to(event)

    replies = taken_of(
        [
            said(stranger, good),  # claims to be the hub
            groups.Said(hub.fingerprint, "", b"<x/>"),
            said(hub, m.RequestEvent("R", hub.ven_id)),
            said(hub, good),
            groups.Said("0" * 64, "", codec.serialise(good)),
            said(stranger, m.CreatedEvent(m.EiResponse(), stranger.ven_id, good.event_responses)),
        ]
    )

    assert [reply is not None for reply in replies] == [False, False, True, True, False, False]
    assert replies[3] == codec.serialise(m.Response(m.EiResponse(200, "OK", "R2"), hub.ven_id))
    assert EventOpt.objects.count() == 1


def test_sets_asked_for_together_are_each_ones_own_in_the_shape_it_speaks(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)
    bare = codec.serialise(m.RequestEvent("R-bare", stranger.ven_id), is_enveloped=False)

    replies = taken_of(
        [
            said(hub, m.RequestEvent("R-1", hub.ven_id)),
            groups.Said(stranger.fingerprint, "test/1", bare),
            said(hub, m.RequestEvent("R-2", hub.ven_id)),
            said(stranger, m.RequestEvent("R-3", hub.ven_id)),  # claims to be the hub
        ]
    )

    assert replies[3] is None
    first, empty, again = (codec.parse_body(reply) for reply in replies[:3] if reply is not None)
    for parsed, request_id in ((first, "R-1"), (empty, "R-bare"), (again, "R-2")):
        assert isinstance(parsed.message, m.DistributeEvent)
        assert parsed.message.response is not None
        assert parsed.message.response.request_id == request_id
    assert only_event(first.message).target.ven_ids == (hub.ven_id,)
    assert isinstance(empty.message, m.DistributeEvent)
    assert (empty.message.events, empty.is_enveloped, first.is_enveloped) == ((), False, True)
    assert Event.objects.get().delivery_count == 1
    assert MessageLog.objects.filter(message="oadrRequestEvent", reply="oadrDistributeEvent").count() >= 3


def test_many_are_told_of_in_one_fact_with_the_parts_of_facts_for_one(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    for hub in pair:
        vtn.publish(a_year_from(hub), key=hub.ven_id, at=hubs.AT)
    sets = groups.serve_polls([poll(hub) for hub in pair]).sets
    events = {hub.ven_id: only_event(codec.parse(sets[hub.fingerprint])) for hub in pair}
    taken = groups.take_answers([said(hub, hub.answer_to(events[hub.ven_id])) for hub in pair])

    assert set(taken.quiet) == {hub.fingerprint for hub in pair}
    delivered = OutboxFact.objects.get(topic=telling.TOGETHER[telling.DELIVERED]).payload["parts"]
    received = OutboxFact.objects.get(topic=telling.TOGETHER[telling.RECEIVED]).payload["parts"]
    assert {part["ven_id"]: part["event_id"] for part in delivered} == {
        ven_id: event.event_id for ven_id, event in events.items()
    }
    assert [part["sequence"] for part in received] == list(
        EventOpt.objects.order_by("id").values_list("id", flat=True)
    )
    assert {part["event_id"]: part["opt"] for part in received} == {
        event.event_id: "in" for event in events.values()
    }
    assert set(QueuedMessage.objects.filter(kind="events").values_list("state", flat=True)) == {
        MessageState.ANSWERED
    }


@pytest.mark.parametrize("is_answer", [False, True])
def test_an_offer_written_since_it_was_read_is_settled_anew(
    hub: hubs.TestHub, vtn: Vtn, is_answer: bool
) -> None:
    """An event published between the reading of the queue's row and its marking is offered next."""
    vtn.publish(a_year_from(hub), key="first", at=hubs.AT)
    event = only_event(hub.polls()) if is_answer else None
    speaker = Speaker(hub.ven.pk, hub.ven_id, None)
    read = event_offers.open_offers([hub.ven.pk])
    vtn.publish(a_year_from(hub), key="second", at=hubs.AT)
    at = hubs.AT
    if event is None:
        body = distributing.distribute_many([speaker], at=at, by="pull", offers=read)[hub.ven.pk]
        message = codec.parse(body)
        assert isinstance(message, m.DistributeEvent)
        assert len(message.events) == 2
        expected = MessageState.DELIVERED
    else:
        taking.take_answers([(speaker, hub.answer_to(event))], at=at, offers=read)
        expected = MessageState.QUEUED

    row = QueuedMessage.objects.get(ven=hub.ven, kind="events")
    assert row.state == expected
    assert row.attempts == (1 if event is None else 0)


def test_who_has_answered_is_quiet_only_when_nothing_else_waits(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    for each in pair:
        vtn.publish(a_year_from(each), key=each.ven_id, at=hubs.AT)
    sets = groups.serve_polls([poll(each) for each in pair]).sets
    registering.request_reregistration(ven_id=stranger.ven_id, at=hubs.AT, by="staff:1")
    answers = [said(each, each.answer_to(only_event(codec.parse(sets[each.fingerprint])))) for each in pair]

    taken = groups.take_answers(answers)

    assert set(taken.quiet) == {hub.fingerprint}
    assert taken.quiet[hub.fingerprint].enveloped == codec.serialise(
        m.Response(m.EiResponse(description="OK"), hub.ven_id)
    )


def test_a_revoked_certificate_is_left_to_the_application(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, _ = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)
    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT)

    assert groups.serve_polls([poll(hub)]) == groups.Served({}, {})
    assert groups.take_answers([said(hub, m.CreatedEvent(m.EiResponse(), hub.ven_id))]) == groups.Taken(
        [None], {}
    )
