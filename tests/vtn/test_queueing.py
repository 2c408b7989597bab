"""The durable queue: one message at a time, at least once, until its reply; leases; waking."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Event as Flag
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from oadr import messages as m
from opendsr.kernel import clock
from tests import racing
from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to, only_event
from vtn import event_offers, queueing, registering
from vtn.event_offers import Fate, Offer
from vtn.models import Event, MessageKind, MessageState, QueuedMessage
from vtn.port import Vtn
from vtn.services import delivering, distributing

pytestmark = pytest.mark.django_db

END = STARTS_AT + timedelta(hours=2)
STAFF = "staff:1"


def let_wall_pass(seconds: int) -> None:
    for row in QueuedMessage.objects.all():
        row.next_try_wall_at -= timedelta(seconds=seconds)
        row.save()


def claimed(**changes: object) -> list[QueuedMessage]:
    settings: dict[str, object] = {
        "holder": "push-1",
        "limit": 10,
        "lease_seconds": 30,
        "at": AT,
        "wall": clock.wall_now(),
    }
    return queueing.claim(**(settings | changes))  # type: ignore[arg-type]


def ask_to_register_again(hub: hubs.TestHub) -> QueuedMessage:
    return registering.request_reregistration(ven_id=hub.ven_id, at=AT, by=STAFF)


def test_a_message_is_offered_until_its_reply_comes(hub: hubs.TestHub) -> None:
    row = ask_to_register_again(hub)

    assert hub.polls() == m.RequestReregistration(hub.ven_id)
    assert isinstance(hub.polls(), m.Response)
    let_wall_pass(20)
    assert hub.polls() == m.RequestReregistration(hub.ven_id)
    hub.says("EiRegisterParty", m.Response(m.EiResponse(), hub.ven_id))
    let_wall_pass(3600)
    assert isinstance(hub.polls(), m.Response)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.answer_code, row.finished_at) == ("answered", 2, 200, AT)


def test_the_wait_for_a_reply_doubles_up_to_ten_minutes() -> None:
    waits = [queueing.wait_seconds(poll_seconds=10, attempts=attempts) for attempts in range(12)]

    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 600]


def test_asked_twice_it_is_one_message(hub: hubs.TestHub) -> None:
    assert ask_to_register_again(hub).pk == ask_to_register_again(hub).pk


def test_after_it_was_answered_the_same_key_is_a_new_message(hub: hubs.TestHub) -> None:
    first = ask_to_register_again(hub)
    queueing.mark_answered(queued=first, at=AT)

    assert ask_to_register_again(hub).pk != first.pk


def test_events_go_first_and_the_rest_in_their_order(vtn: Vtn, hub: hubs.TestHub) -> None:
    ask_to_register_again(hub)
    registering.cancel_registration(ven_id=hub.ven_id, at=AT, by=STAFF)
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)

    said = [type(hub.polls()) for _ in range(4)]

    assert said == [m.DistributeEvent, m.RequestReregistration, m.CancelPartyRegistration, m.Response]


def test_many_events_are_one_row_of_the_queue(vtn: Vtn, hub: hubs.TestHub) -> None:
    for key in "abc":
        vtn.publish(notice_to(hub.ven_id), key=key, at=AT)

    row = QueuedMessage.objects.get()
    assert (row.kind, row.expires_at) == (MessageKind.EVENTS, END)


def test_the_row_of_events_is_answered_with_the_last_of_them(vtn: Vtn, hub: hubs.TestHub) -> None:
    for key in "ab":
        vtn.publish(notice_to(hub.ven_id), key=key, at=AT)
    reply = hub.polls()
    assert isinstance(reply, m.DistributeEvent)

    hub.answers(reply.events[0])
    assert QueuedMessage.objects.get().state == MessageState.DELIVERED
    hub.answers(reply.events[1])
    assert QueuedMessage.objects.get().state == MessageState.ANSWERED


def test_an_event_published_after_the_hand_over_is_news_again(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    hub.polls()
    vtn.publish(notice_to(hub.ven_id), key="b", at=AT)

    reply = hub.polls()

    assert isinstance(reply, m.DistributeEvent)
    assert len(reply.events) == 2


def test_events_that_are_over_expire(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)

    assert isinstance(hub.polls(at=END), m.Response)
    assert queueing.sweep(at=END, wall=clock.wall_now()) == 1
    assert QueuedMessage.objects.get().state == MessageState.EXPIRED


def test_what_nobody_answers_is_given_up_and_can_be_revived(hub: hubs.TestHub) -> None:
    row = ask_to_register_again(hub)
    for _ in range(queueing.MOST_ATTEMPTS):
        hub.polls()
        let_wall_pass(600)
    assert queueing.sweep(at=AT, wall=clock.wall_now()) == 1
    row.refresh_from_db()
    assert row.state == MessageState.DEAD
    assert "no reply after 10 times" in row.note
    assert isinstance(hub.polls(), m.Response)

    revived = queueing.revive(queued_pk=row.pk, at=AT)
    assert revived is not None
    assert revived.request_id != row.request_id
    assert hub.polls() == m.RequestReregistration(hub.ven_id)
    assert queueing.revive(queued_pk=revived.pk, at=AT) is None


def test_a_withdrawn_message_is_not_said(hub: hubs.TestHub) -> None:
    row = ask_to_register_again(hub)

    assert queueing.withdraw(queued_pk=row.pk, at=AT, note="a mistake")
    assert not queueing.withdraw(queued_pk=row.pk, at=AT)
    assert isinstance(hub.polls(), m.Response)


# ---- transports


def test_a_claim_gives_each_ven_its_next_and_no_other_holder_the_same(
    vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    ask_to_register_again(hub)
    ask_to_register_again(stranger)

    rows = claimed()

    assert [(row.ven, row.kind) for row in rows] == [
        (hub.ven, MessageKind.EVENTS),
        (stranger.ven, MessageKind.REQUEST_REREGISTRATION),
    ]
    assert claimed(holder="push-2") == []


def test_a_claim_is_for_the_vens_asked(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    ask_to_register_again(hub)
    ask_to_register_again(stranger)

    assert [row.ven for row in claimed(ven_pks=[stranger.ven.pk])] == [stranger.ven]
    assert claimed(ven_pks=[]) == []


def test_a_lease_runs_out_by_the_wall_clock(hub: hubs.TestHub) -> None:
    ask_to_register_again(hub)
    wall = clock.wall_now()
    claimed(wall=wall)

    assert claimed(holder="push-2", wall=wall + timedelta(seconds=29)) == []
    assert len(claimed(holder="push-2", wall=wall + timedelta(seconds=31))) == 1


def test_a_claimed_message_is_handed_over_and_closed_by_its_reply(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    (row,) = claimed()

    message = delivering.hand_over(queued=row, at=AT, by="mqtt")
    assert message is not None
    event = only_event(message)
    row.refresh_from_db()
    assert (row.state, row.delivered_by, row.leased_by) == ("delivered", "mqtt", "")
    assert claimed(holder="push-2") == []
    hub.answers(event)
    row.refresh_from_db()
    assert row.state == MessageState.ANSWERED
    assert delivering.hand_over(queued=row, at=AT, by="mqtt") is None


def test_pull_works_while_a_push_hangs(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    claimed()

    assert only_event(hub.polls()).event_id == event_id


def test_a_message_that_could_not_be_pushed_is_still_there_to_pull(hub: hubs.TestHub) -> None:
    ask_to_register_again(hub)
    wall = clock.wall_now()
    (row,) = claimed(wall=wall)

    queueing.release(queued=row, wall=wall, reason="connection refused", retry_seconds=60)

    assert claimed(wall=wall) == []
    assert hub.polls() == m.RequestReregistration(hub.ven_id)


def test_the_same_message_again_has_the_same_request_id(hub: hubs.TestHub) -> None:
    registering.cancel_registration(ven_id=hub.ven_id, at=AT, by=STAFF)
    first = hub.polls()
    let_wall_pass(60)

    assert isinstance(first, m.CancelPartyRegistration)
    assert hub.polls() == first


# ---- registration, from this side


def test_a_registration_cancelled_here_ends_when_the_ven_confirms(vtn: Vtn, hub: hubs.TestHub) -> None:
    ask_to_register_again(hub)
    registering.cancel_registration(ven_id=hub.ven_id, at=AT, by=STAFF)
    hub.polls()
    message = hub.polls()
    assert isinstance(message, m.CancelPartyRegistration)
    assert (message.registration_id, message.ven_id) == (hub.ven.registration_id, hub.ven_id)

    confirmed = m.CanceledPartyRegistration(
        m.EiResponse(request_id=message.request_id), message.registration_id, hub.ven_id
    )
    reply = hub.says("EiRegisterParty", confirmed)

    assert reply == m.Response(m.EiResponse(200, "OK", message.request_id), hub.ven_id)
    hub.ven.refresh_from_db()
    assert not hub.ven.is_registered
    assert not QueuedMessage.objects.filter(state__in=["queued", "delivered"]).exists()
    assert hub.registers().registration_id not in ("", message.registration_id)


def test_a_confirmation_of_nothing_ends_nothing(hub: hubs.TestHub) -> None:
    hub.says("EiRegisterParty", m.CanceledPartyRegistration(m.EiResponse(request_id="R"), "", hub.ven_id))

    hub.ven.refresh_from_db()
    assert hub.ven.is_registered


def test_a_ven_that_refuses_to_be_cancelled_stays_registered(hub: hubs.TestHub) -> None:
    row = registering.cancel_registration(ven_id=hub.ven_id, at=AT, by=STAFF)
    hub.polls()

    refused = m.CanceledPartyRegistration(m.EiResponse(451, "not now", row.request_id), "", hub.ven_id)
    hub.says("EiRegisterParty", refused)

    row.refresh_from_db()
    hub.ven.refresh_from_db()
    assert (row.state, row.answer_code, row.note) == ("answered", 451, "not now")
    assert hub.ven.is_registered


def test_a_neighbour_cannot_answer_for_this_hub(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    row = registering.cancel_registration(ven_id=hub.ven_id, at=AT, by=STAFF)
    hub.polls()

    stranger.says(
        "EiRegisterParty",
        m.CanceledPartyRegistration(m.EiResponse(request_id=row.request_id), "", stranger.ven_id),
    )

    row.refresh_from_db()
    hub.ven.refresh_from_db()
    stranger.ven.refresh_from_db()
    assert row.is_open
    assert hub.ven.is_registered
    assert stranger.ven.is_registered


def test_staff_can_clear_a_registration_at_once(hub: hubs.TestHub) -> None:
    ask_to_register_again(hub)

    registering.clear_registration(ven_id=hub.ven_id, at=AT, by=STAFF)

    assert isinstance(hub.polls(), m.Response)
    with pytest.raises(registering.VenUnregistered):
        ask_to_register_again(hub)


def test_registering_again_answers_the_request_to(hub: hubs.TestHub) -> None:
    row = ask_to_register_again(hub)
    hub.polls()
    hub.registers()

    row.refresh_from_db()
    assert row.state == MessageState.ANSWERED


# ---- waking and racing


def test_pending_tells_who_has_something_and_when(
    vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    assert queueing.pending() == {}
    ask_to_register_again(stranger)
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    hub.polls()

    pending = queueing.pending()

    assert pending[stranger.ven.pk] < clock.wall_now() < pending[hub.ven.pk]
    assert set(queueing.pending([hub.ven.pk])) == {hub.ven.pk}


@pytest.mark.django_db(transaction=True)
def test_listeners_are_woken_when_the_publisher_commits(vtn: Vtn) -> None:
    hub, other = hubs.registered_hub("hub"), hubs.registered_hub("other")
    with psycopg.connect(
        **connection.get_connection_params() | {"cursor_factory": None}, autocommit=True
    ) as ear:
        ear.execute(f"LISTEN {queueing.CHANNEL}")
        with transaction.atomic():
            vtn.publish_many(
                {hub.ven_id: notice_to(hub.ven_id), other.ven_id: notice_to(other.ven_id)}, at=AT
            )
            assert list(ear.notifies(timeout=0)) == []
        (notice,) = ear.notifies(timeout=60, stop_after=1)

    assert notice.payload == f"{hub.ven.pk},{other.ven.pk}"


@pytest.mark.django_db(transaction=True)
def test_two_holders_never_lease_the_same_row(vtn: Vtn) -> None:
    vens = [hubs.registered_hub(f"hub-{number}") for number in range(6)]
    vtn.publish_many({hub.ven_id: notice_to(hub.ven_id) for hub in vens}, at=AT)

    taken = racing.at_once(*(lambda name=name: claimed(holder=name, limit=4) for name in ("a", "b", "c")))

    rows = [row.pk for part in taken for row in part]  # type: ignore[attr-defined]
    assert len(rows) == len(set(rows)) == 6


@pytest.mark.django_db(transaction=True)
def test_an_event_published_during_a_hand_over_is_never_lost(
    vtn: Vtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher commits after the set was read and before the queue's row is marked."""
    hub = hubs.registered_hub("hub")
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    read, published = Flag(), Flag()
    settle = distributing.settle

    def slow_settle(*args: Any, **settings: Any) -> None:
        read.set()
        published.wait(60)
        settle(*args, **settings)

    monkeypatch.setattr(distributing, "settle", slow_settle)

    def publish() -> None:
        read.wait(60)
        vtn.publish(notice_to(hub.ven_id), key="b", at=AT)
        published.set()

    first, _ = racing.at_once(hub.polls, publish)
    monkeypatch.undo()

    assert isinstance(first, m.DistributeEvent)
    assert len(first.events) == 1
    reply = hub.polls()
    assert isinstance(reply, m.DistributeEvent)
    assert len(reply.events) == 2


@pytest.mark.django_db(transaction=True)
def test_a_ven_that_registers_again_while_an_event_is_published_holds_nobody_up(vtn: Vtn) -> None:
    """Each waits for a row of the other's: the queue's, and the VEN's that new events refer to."""
    hub = hubs.registered_hub("hub")
    vtn.publish(notice_to(hub.ven_id), key="a", at=AT)
    hub.answers(only_event(hub.polls()))
    published = Flag()

    def publish() -> None:
        with transaction.atomic():
            vtn.publish(notice_to(hub.ven_id, comment="b"), key="b", at=AT)
            published.set()
            _wait_for_a_wait()

    def register() -> None:
        published.wait(60)
        hub.registers()

    assert racing.at_once(publish, register) == [None, None]

    message = hub.polls()
    assert isinstance(message, m.DistributeEvent)
    assert len(message.events) == 2


@pytest.mark.django_db(transaction=True)
def test_an_opt_that_moves_to_another_event_waits_in_line(vtn: Vtn) -> None:
    """Whoever takes answers locks events from the first on; so does an opt that leaves one for another."""
    hub = hubs.registered_hub("hub")
    vtn.publish_many({key: notice_to(hub.ven_id, comment=key) for key in "ab"}, at=AT)
    message = hub.polls()
    assert isinstance(message, m.DistributeEvent)
    first, second = sorted(message.events, key=lambda event: event.vtn_comment)
    hub.opts(first, opt_id="O1")
    begun = Flag()

    def take_answers() -> None:
        with transaction.atomic():
            Event.objects.select_for_update().get(event_id=first.event_id)
            begun.set()
            _wait_for_a_wait()
            Event.objects.select_for_update().get(event_id=second.event_id)

    def move() -> None:
        begun.wait(60)
        assert hub.opts(second, opt_id="O1").response.code == m.OK

    assert racing.at_once(take_answers, move) == [None, None]


def _wait_for_a_wait() -> None:
    """Return once some session waits for a lock."""
    with psycopg.connect(
        **connection.get_connection_params() | {"cursor_factory": None}, autocommit=True
    ) as eye:
        for _ in range(600):
            if eye.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                return
            time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_rows_are_found_by_their_keys_where_statistics_say_that_none_is_open(hub: hubs.TestHub) -> None:
    """Those of a quiet hour: the index of open rows looks empty, and was read whole for each row."""
    wall = clock.wall_now()
    kept = {"ven": hub.ven, "kind": MessageKind.EVENTS, "queued_at": AT, "next_try_wall_at": wall}
    done = {"state": MessageState.ANSWERED, "finished_at": AT, "delivered_at": AT, "answer_code": m.OK}
    QueuedMessage.objects.bulk_create(
        [QueuedMessage(request_id=f"old-{number}", **kept, **done) for number in range(3_000)]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE vtn_queue")
    fresh = {"state": MessageState.DELIVERED, "delivered_at": AT}
    rows = QueuedMessage.objects.bulk_create(
        [QueuedMessage(request_id=f"new-{number}", **kept, **fresh) for number in range(1_000)]
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, xmin::text FROM vtn_queue WHERE finished_at IS NULL ORDER BY id LIMIT 500")
        fates = [
            Fate(Offer(pk, hub.ven.pk, version, False, 1, wall.timestamp(), False), "answered", AT)
            for pk, version in cursor.fetchall()
        ]
    plans: list[str] = []

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        execute(f"EXPLAIN {sql}", params, many, context)
        plans.append("\n".join(line for (line,) in context["cursor"].fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        assert event_offers.write_down(fates, by="pull") == set()

    assert QueuedMessage.objects.filter(pk__in=[row.pk for row in rows], finished_at=AT).count() == 500
    assert len(plans) == 1
    assert "vtn_queue_pkey" in plans[0]
    assert "vtn_queue_next" not in plans[0]
    assert "Seq Scan" not in plans[0]
