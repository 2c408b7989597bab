"""EiEvent and OadrPoll: what a hub is handed, when, and how its answers are taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db.models import F

from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to, only_event
from vtn.models import Event, EventOpt, QueuedMessage
from vtn.port import START, Vtn, VtnEventId
from vtn.services.registration import poll_seconds

pytestmark = pytest.mark.django_db

END = STARTS_AT + timedelta(hours=2)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def event_id(vtn: Vtn, hub: hubs.TestHub) -> VtnEventId:
    return vtn.publish(notice_to(hub.ven_id), key="k", at=AT)


def age_delivery(seconds: int) -> None:
    """Let wall time pass since the events were last handed over."""
    ago = timedelta(seconds=seconds)
    for event in Event.objects.all():
        assert event.delivered_wall_at is not None
        shift = event.delivered_wall_at - (clock.wall_now() - ago)
        Event.objects.filter(pk=event.pk).update(delivered_wall_at=event.delivered_wall_at - shift)
        QueuedMessage.objects.filter(ven=event.ven).update(next_try_wall_at=F("next_try_wall_at") - shift)


def fetched(hub: hubs.TestHub, at: datetime = AT) -> m.DistributeEvent:
    reply = hub.says("EiEvent", m.RequestEvent("R7", hub.ven_id), at=at)
    assert isinstance(reply, m.DistributeEvent)
    return reply


# ---- polling


def test_a_poll_with_nothing_new_is_a_plain_response(hub: hubs.TestHub) -> None:
    assert hub.polls() == m.Response(m.EiResponse(200, "OK", ""), hub.ven_id)


def test_a_poll_hands_over_an_event_once(hub: hubs.TestHub, event_id: VtnEventId) -> None:
    reply = hub.polls()

    assert only_event(reply).event_id == event_id
    assert isinstance(reply, m.DistributeEvent)
    assert reply.request_id
    assert reply.response == m.EiResponse(200, "OK", "")
    assert isinstance(hub.polls(), m.Response)
    fact = OutboxFact.objects.get(topic="vtn.event.delivered")
    assert fact.payload["event_id"] == event_id
    assert fact.payload["ven_id"] == hub.ven_id


def test_an_event_unanswered_is_handed_over_again_ever_more_rarely(
    hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    only_event(hub.polls())
    for seconds in (poll_seconds(hub.ven) * times for times in (2, 4, 8)):
        age_delivery(seconds - 1)
        assert isinstance(hub.polls(), m.Response)
        age_delivery(seconds)
        assert only_event(hub.polls()).event_id == event_id
    assert OutboxFact.objects.filter(topic="vtn.event.delivered").count() == 1


def test_an_answered_event_is_not_handed_over_again(hub: hubs.TestHub, event_id: VtnEventId) -> None:
    hub.answers(only_event(hub.polls()))
    age_delivery(7200)

    assert isinstance(hub.polls(), m.Response)


def test_one_that_wants_no_answer_is_handed_over_twice(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id, response_required=False), key="k", at=AT)
    for _ in range(2):
        assert not only_event(hub.polls()).is_response_required
        age_delivery(7200)

    assert isinstance(hub.polls(), m.Response)


def test_a_hub_that_registers_again_is_handed_everything_anew(
    hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    hub.answers(only_event(hub.polls()))

    hub.registers()

    assert only_event(hub.polls()).event_id == event_id
    assert isinstance(hub.polls(), m.Response)


def test_no_hub_is_handed_anothers_event(
    hub: hubs.TestHub, stranger: hubs.TestHub, event_id: VtnEventId
) -> None:
    assert isinstance(stranger.polls(), m.Response)
    assert fetched(stranger).events == ()


# ---- the full set, rule 61


def test_every_payload_carries_the_full_live_set(vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId) -> None:
    hub.answers(only_event(hub.polls()))
    second = vtn.publish(notice_to(hub.ven_id), key="k2", at=AT)

    reply = hub.polls()

    assert isinstance(reply, m.DistributeEvent)
    assert {event.event_id for event in reply.events} == {event_id, second}


def test_a_request_is_answered_with_the_set_even_when_empty(hub: hubs.TestHub) -> None:
    reply = fetched(hub)

    assert reply.events == ()
    assert reply.response == m.EiResponse(200, "OK", "R7")
    assert reply.request_id not in ("", "R7")


def test_a_reply_limit_does_not_cancel_by_leaving_out(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k2", at=AT)

    reply = hub.says("EiEvent", m.RequestEvent("R7", hub.ven_id, reply_limit=1))

    assert isinstance(reply, m.DistributeEvent)
    assert len(reply.events) == 2


def test_a_completed_event_is_dropped(hub: hubs.TestHub, event_id: VtnEventId) -> None:
    assert only_event(fetched(hub, END - timedelta(seconds=1))).status == "active"
    assert fetched(hub, END).events == ()
    assert isinstance(hub.polls(at=END), m.Response)


def test_active_first_by_priority_then_pending_then_cancelled(vtn: Vtn, hub: hubs.TestHub) -> None:
    at = STARTS_AT + MINUTE
    later = notice_to(hub.ven_id).interval
    pending = Interval(later.starts_at + timedelta(hours=3), later.ends_at + timedelta(hours=3))
    wanted = [
        vtn.publish(notice_to(hub.ven_id, priority=1), key="active-1", at=AT),
        vtn.publish(notice_to(hub.ven_id, priority=5), key="active-5", at=AT),
        vtn.publish(notice_to(hub.ven_id, priority=0), key="active-none", at=AT),
        vtn.publish(notice_to(hub.ven_id, interval=pending, priority=3), key="pending-3", at=AT),
        vtn.publish(notice_to(hub.ven_id, interval=pending, priority=0), key="pending-none", at=AT),
        vtn.publish(notice_to(hub.ven_id), key="called-off", at=AT),
    ]
    hub.polls()
    vtn.cancel(wanted[-1], at=AT)

    assert [event.event_id for event in fetched(hub, at).events] == wanted


# ---- status by the clock, rules 13 and 14


@pytest.mark.parametrize(
    ("at", "status", "current"),
    [
        (STARTS_AT - 11 * MINUTE, "far", 0.0),
        (STARTS_AT - 10 * MINUTE, "near", 0.0),
        (STARTS_AT, "active", 2.0),
        (END - timedelta(seconds=1), "active", 2.0),
    ],
)
def test_status_and_current_value_agree_with_the_clock(
    vtn: Vtn, hub: hubs.TestHub, at: datetime, status: str, current: float
) -> None:
    vtn.publish(notice_to(hub.ven_id, ramp_up_seconds=600), key="k", at=AT)

    event = only_event(fetched(hub, at))

    assert event.status == status
    assert event.signals[0].current_value == current


def test_without_ramp_up_there_is_no_near(hub: hubs.TestHub, event_id: VtnEventId) -> None:
    assert only_event(fetched(hub, STARTS_AT - timedelta(seconds=1))).status == "far"


def test_with_a_start_tolerance_the_event_stays_until_the_last_hub_has_ended(
    vtn: Vtn, hub: hubs.TestHub
) -> None:
    vtn.publish(notice_to(hub.ven_id, start_tolerance_seconds=300), key="k", at=AT)

    assert only_event(fetched(hub, END + 4 * MINUTE)).status == "active"
    assert fetched(hub, END + 5 * MINUTE).events == ()


# ---- cancelling


def test_a_cancellation_is_sent_until_it_is_answered(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    hub.answers(only_event(hub.polls()))
    vtn.cancel(event_id, at=AT, reason="not needed")

    event = only_event(hub.polls())
    assert (event.status, event.modification_number) == ("cancelled", 1)
    assert event.modification_reason == "not needed"
    assert only_event(fetched(hub)).status == "cancelled"

    hub.answers(event, "optIn")
    assert fetched(hub).events == ()
    opts, _ = vtn.opts_since(START)
    assert [opt.opt for opt in opts] == ["in"]
    assert vtn.acknowledgement(event_id, at=AT).acknowledged_at == AT


def test_an_event_cancelled_before_it_was_handed_over_is_never_shown(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    vtn.cancel(event_id, at=AT)

    assert isinstance(hub.polls(), m.Response)
    assert fetched(hub).events == ()


# ---- answers


def test_an_answer_is_recorded_and_told_upward(vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId) -> None:
    reply = hub.answers(only_event(hub.polls()), "optOut", at=AT + MINUTE)

    assert reply.response == m.EiResponse(200, "OK", "R2")
    opt = EventOpt.objects.get()
    fact = OutboxFact.objects.get(topic="vtn.opt.received")
    assert fact.payload == {
        "event_id": event_id,
        "ven_id": hub.ven_id,
        "opt": "out",
        "modification_number": 0,
        "source": "created_event",
        "reason": "",
        "sequence": opt.pk,
        "received_at": fact.payload["received_at"],
    }
    assert fact.at == AT + MINUTE


def test_the_same_answer_again_says_nothing_new(hub: hubs.TestHub, event_id: VtnEventId) -> None:
    event = only_event(hub.polls())
    hub.answers(event)
    hub.answers(event)

    assert EventOpt.objects.count() == 1
    assert OutboxFact.objects.filter(topic="vtn.opt.received").count() == 1


def told_delays(hub: hubs.TestHub, event: m.Event, description: str) -> list[dict[str, object]]:
    """What has gone upward of draws, once the hub has answered with this description."""
    answer = hub.answer_to(event)
    (response,) = answer.event_responses
    hub.says("EiEvent", replace(answer, event_responses=(replace(response, description=description),)))
    return [fact.payload for fact in OutboxFact.objects.filter(topic="vtn.event.delays_told").order_by("at")]


def test_what_a_hub_tells_of_its_draws_goes_upward_once_a_version(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    event, drawn = only_event(hub.polls()), '{"start_seconds": {"ev": 240}, "end_seconds": {"ev": 240}}'
    told = {"event_id": event_id, "start_seconds": {"ev": 240}, "end_seconds": {"ev": 240}}
    assert told_delays(hub, event, drawn) == [told]
    assert told_delays(hub, event, drawn) == [told]
    assert EventOpt.objects.get().reason == ""

    vtn.cancel(event_id, at=AT)
    called_off = only_event(hub.polls())

    later = told_delays(hub, called_off, '{"end_seconds": {"ev": 9}}')
    assert {"event_id": event_id, "start_seconds": {}, "end_seconds": {"ev": 9}} in later


@pytest.mark.parametrize(
    "description", ["", "OK", '{"start_seconds": {"ev": -1}}', '{"end_seconds": {"\\ud800": 1}}']
)
def test_other_words_beside_an_answer_are_no_draws(
    hub: hubs.TestHub, event_id: VtnEventId, description: str
) -> None:
    assert told_delays(hub, only_event(hub.polls()), description) == []
    assert EventOpt.objects.get().opt == "in"


def test_the_latest_answer_holds(vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId) -> None:
    event = only_event(hub.polls())
    for opt in ("optIn", "optOut", "optIn"):
        hub.answers(event, opt)

    assert vtn.acknowledgement(event_id, at=AT).opt == "in"
    assert EventOpt.objects.count() == 3


def test_undecided_is_an_answer_that_is_not_a_choice(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    hub.answers(only_event(hub.polls()), "none")

    acknowledgement = vtn.acknowledgement(event_id, at=AT)
    assert (acknowledgement.state, acknowledgement.opt) == ("acknowledged", "none")


@pytest.mark.parametrize("number", [0, 2, 2**32 - 1])
def test_rule_58_another_modification_number_is_450(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId, number: int
) -> None:
    event = only_event(hub.polls())
    vtn.amend(event_id, notice_to(hub.ven_id, comment="changed"), at=AT)
    reply = hub.answers(replace(event, modification_number=number))

    assert reply.response.code == m.OUT_OF_SEQUENCE
    assert not EventOpt.objects.exists()
    assert vtn.acknowledgement(event_id, at=AT).state == "delivered"


def test_an_unknown_event_is_452(hub: hubs.TestHub, event_id: VtnEventId) -> None:
    reply = hub.answers(replace(only_event(hub.polls()), event_id="EV-made-up"))

    assert reply.response.code == m.INVALID_ID
    assert not EventOpt.objects.exists()


def test_a_neighbours_event_is_unknown(
    hub: hubs.TestHub, stranger: hubs.TestHub, event_id: VtnEventId
) -> None:
    reply = stranger.answers(only_event(hub.polls()))

    assert reply.response.code == m.INVALID_ID
    assert not EventOpt.objects.exists()


def test_rule_48_sound_answers_beside_an_unsound_one_count(
    vtn: Vtn, hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    answer = hub.answer_to(only_event(hub.polls()))
    stale = m.EventResponse(m.QualifiedEventId("EV-made-up", 0), "optIn", "R2")
    both = m.CreatedEvent(answer.response, hub.ven_id, (stale, *answer.event_responses))

    reply = hub.says("EiEvent", both)

    assert isinstance(reply, m.Response)
    assert reply.response.code == m.INVALID_ID
    assert EventOpt.objects.get().opt == "in"


def test_an_outer_error_beside_sound_answers_is_not_held_against_them(
    hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    answer = hub.answer_to(only_event(hub.polls()))
    odd = m.CreatedEvent(m.EiResponse(452, "wrong", "R2"), hub.ven_id, answer.event_responses)

    reply = hub.says("EiEvent", odd)

    assert isinstance(reply, m.Response)
    assert reply.response.code == m.OK
    assert EventOpt.objects.get().opt == "in"


def test_an_event_the_hub_could_not_take_is_out_whatever_it_calls_it(
    hub: hubs.TestHub, event_id: VtnEventId
) -> None:
    hub.answers(only_event(hub.polls()), "optIn", code=460)

    opt = EventOpt.objects.get()
    assert (opt.opt, opt.reason) == ("out", "460")


def test_an_answer_without_events_is_accepted(hub: hubs.TestHub) -> None:
    reply = hub.says("EiEvent", m.CreatedEvent(m.EiResponse(request_id="R"), hub.ven_id))

    assert isinstance(reply, m.Response)
    assert reply.response.code == m.OK
