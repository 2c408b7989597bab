"""What leaves for a crowd is written behind: told once, never lost, in the end as if written at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from tests.vtn.hubs import notice_to
from vtn import hand_overs, lifecycle, live_events, tasks
from vtn.models import Event, EventOpt, HandOver, MessageState, QueuedMessage, Ven, VenCertificate
from vtn.notices import vtn_id
from vtn.port import Vtn, VtnEventId
from vtn.services import telling, writing_behind
from vtn.transports import groups, mqtt_work

pytestmark = pytest.mark.django_db

CROWD = hand_overs.CROWD + 1


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process with a writer, in the test's own transaction."""
    monkeypatch.setattr(groups, "close_old_connections", lambda: None)
    monkeypatch.setattr(mqtt_work, "close_old_connections", lambda: None)
    monkeypatch.setattr(hand_overs, "on_commit", lambda done: done())
    hand_overs.keep()
    yield
    hand_overs.keep(is_kept=False)
    is_killed()


@pytest.fixture
def crowd(db: None) -> list[hubs.TestHub]:
    """Hubs that have spoken before and been told all."""
    fleet = [hubs.registered_hub(f"hub{number}") for number in range(CROWD)]
    for each in fleet:
        each.says("EiEvent", m.RequestEvent("R", each.ven_id))
    VenCertificate.objects.update(first_used_wall_at=datetime.now(UTC))
    return fleet


def is_killed() -> None:
    """The process remembers nothing any more; what it wrote stands."""
    hand_overs._groups.clear()
    hand_overs._of_ven.clear()


def publish(vtn: Vtn, fleet: list[hubs.TestHub], tag: str = "one") -> dict[str, VtnEventId]:
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    interval = Interval(starts_at, starts_at + timedelta(hours=2))
    return vtn.publish_many(
        {f"{tag} {hub.ven_id}": notice_to(hub.ven_id, interval=interval) for hub in fleet}, at=clock.now()
    )


def poll(fleet: list[hubs.TestHub]) -> groups.Served:
    return groups.serve_polls([groups.Poll(hub.fingerprint, hub.ven_id, True, "test", b"") for hub in fleet])


def set_of(served: groups.Served, hub: hubs.TestHub) -> tuple[m.Event, ...]:
    message = codec.parse(served.sets[hub.fingerprint])
    assert isinstance(message, m.DistributeEvent)
    return message.events


def answer(fleet: list[hubs.TestHub], served: groups.Served) -> groups.Taken:
    said = []
    for hub in fleet:
        responses = tuple(
            m.EventResponse(m.QualifiedEventId(event.event_id, event.modification_number), "optIn", "R2")
            for event in set_of(served, hub)
        )
        created = m.CreatedEvent(m.EiResponse(request_id="R2"), hub.ven_id, responses)
        said.append(groups.Said(hub.fingerprint, "test", codec.serialise(created)))
    return groups.take_answers(said)


def write_all() -> int:
    return writing_behind.write_behind(wall=clock.wall_now(), own_before=clock.wall_now())


def delivered_facts() -> Counter[tuple[str, int]]:
    """How often each version was told of as delivered."""
    told: Counter[tuple[str, int]] = Counter()
    for fact in OutboxFact.objects.filter(topic__in=(telling.DELIVERED, telling.TOGETHER[telling.DELIVERED])):
        for part in fact.payload.get("parts", [fact.payload]):
            told[part["event_id"], part["modification_number"]] += 1
    return told


def wall_passes(**by: float) -> None:
    """Put back what is kept in wall time."""
    lasting = timedelta(**by)
    for row in HandOver.objects.all():
        row.left_wall_at -= lasting
        row.save()
    for event in Event.objects.exclude(delivered_wall_at=None):
        event.delivered_wall_at = (event.delivered_wall_at or clock.wall_now()) - lasting
        event.save()
    for queued in QueuedMessage.objects.filter(finished_at=None):
        queued.next_try_wall_at -= lasting
        queued.save()


def test_a_crowd_is_told_once_and_answers_before_anything_is_written(
    crowd: list[hubs.TestHub], vtn: Vtn
) -> None:
    publish(vtn, crowd)

    served = poll(crowd)

    assert len(served.sets) == CROWD
    (row,) = HandOver.objects.all()
    assert sorted(row.event_pks) == sorted(Event.objects.values_list("pk", flat=True))
    assert not Event.objects.exclude(delivered_modification=None).exists()
    assert len(poll(crowd).quiet) == CROWD  # and not told again

    taken = answer(crowd, served)

    assert all(taken.replies)
    assert len(taken.quiet) == CROWD
    for event in Event.objects.all():
        assert (event.delivered_modification, event.acknowledged_modification) == (0, 0)
        assert (event.delivered_at, event.delivery_count) == (row.at, 1)
        assert event.delivered_wall_at == row.left_wall_at
    assert EventOpt.objects.count() == CROWD
    assert len(poll(crowd).quiet) == CROWD

    assert write_all() == 1
    assert not HandOver.objects.exists()
    for queued in QueuedMessage.objects.filter(kind="events").order_by("-pk")[:CROWD]:
        assert (queued.state, queued.attempts, queued.delivered_by) == (MessageState.ANSWERED, 1, "pull")
    assert set(delivered_facts().values()) == {1}
    assert write_all() == 0
    assert len(poll(crowd).quiet) == CROWD


def test_who_stays_silent_is_told_again_when_due(crowd: list[hubs.TestHub], vtn: Vtn) -> None:
    publish(vtn, crowd)
    served = poll(crowd)
    silent, others = crowd[:3], crowd[3:]
    answer(others, served)
    write_all()

    assert not HandOver.objects.exists()
    assert Counter(QueuedMessage.objects.filter(kind="events").values_list("state", flat=True)) == {
        MessageState.DELIVERED: 3,
        MessageState.ANSWERED: len(others),
    }
    assert Event.objects.filter(delivered_modification=0, delivery_count=1).count() == CROWD
    assert set(delivered_facts().values()) == {1}
    assert not poll(crowd).sets
    wall_passes(hours=1)
    again = poll(crowd)
    assert again.sets.keys() == {hub.fingerprint for hub in silent}
    answer(silent, again)
    assert not QueuedMessage.objects.filter(kind="events", finished_at=None).exists()


def test_what_a_killed_process_let_go_is_written_by_another(crowd: list[hubs.TestHub], vtn: Vtn) -> None:
    publish(vtn, crowd)
    poll(crowd)
    is_killed()

    tasks.sweep_queue()
    assert HandOver.objects.count() == 1  # it may be about to do it itself
    wall_passes(seconds=60)
    tasks.sweep_queue()

    assert not HandOver.objects.exists()
    assert Event.objects.filter(delivered_modification=0, delivery_count=1).count() == CROWD
    assert delivered_facts().total() == CROWD


def test_answers_that_another_process_takes_count_and_nobody_is_told_again(
    crowd: list[hubs.TestHub], vtn: Vtn
) -> None:
    publish(vtn, crowd)
    served = poll(crowd)
    left_at = HandOver.objects.get().at
    is_killed()

    taken = answer(crowd, served)

    assert all(taken.replies)
    assert len(taken.quiet) == CROWD
    assert not QueuedMessage.objects.filter(kind="events", finished_at=None).exists()
    latest = QueuedMessage.objects.filter(kind="events").order_by("-pk")[:CROWD]
    assert {queued.state for queued in latest} == {MessageState.ANSWERED}
    wall_passes(seconds=60)
    tasks.sweep_queue()
    assert Event.objects.filter(delivered_modification=0, delivered_at=left_at).count() == CROWD
    assert set(delivered_facts().values()) == {1}
    assert not poll(crowd).sets


@pytest.mark.parametrize("is_remembered", [True, False])
def test_an_event_called_off_before_it_was_written_down_is_called_off_at_the_vens(
    crowd: list[hubs.TestHub], vtn: Vtn, is_remembered: bool
) -> None:
    published = publish(vtn, crowd)
    poll(crowd)
    if not is_remembered:
        is_killed()
        wall_passes(seconds=60)
    vtn.cancel_many(published.values(), at=clock.now())
    if not is_remembered:
        tasks.sweep_queue()

    again = poll(crowd)

    assert len(again.sets) == CROWD
    assert {set_of(again, hub)[0].status for hub in crowd} == {"cancelled"}
    answer(crowd, again)
    write_all()
    assert not QueuedMessage.objects.filter(kind="events", finished_at=None).exists()
    told = delivered_facts()
    assert {modification for _, modification in told} == {0, 1}
    assert set(told.values()) == {1}


def test_what_was_said_to_a_hub_that_was_away_is_said_again_when_it_is_back(
    crowd: list[hubs.TestHub], vtn: Vtn
) -> None:
    Ven.objects.update(transport_name="xmpp")
    publish(vtn, crowd)
    keys = {hub.ven.pk for hub in crowd}
    settings: dict[str, Any] = {
        "arrived": (),
        "online": frozenset(hub.ven_id for hub in crowd),
        "is_vouching": False,
        "vtn_id": vtn_id(),
        "holder": "bridge",
    }

    assert len(mqtt_work.fan_out(doubted=keys, returned=(), **settings).sayings) == CROWD
    assert mqtt_work.fan_out(doubted=keys, returned=(), **settings).sayings == []
    assert mqtt_work.fan_out(doubted=None, returned=(), **settings).sayings == []
    back = [crowd[0].ven_id]
    (saying,) = mqtt_work.fan_out(doubted=None, returned=back, **settings).sayings
    assert crowd[0].ven_id in saying.topic


def test_an_opt_of_its_own_in_the_meantime_is_no_answer_to_be_waited_for(
    crowd: list[hubs.TestHub], vtn: Vtn
) -> None:
    publish(vtn, crowd)
    served = poll(crowd)
    crowd[0].opts(set_of(served, crowd[0])[0], at=clock.now())
    write_all()
    assert Event.objects.filter(delivered_modification=0).count() == CROWD
    assert delivered_facts().total() == CROWD
    assert EventOpt.objects.get().opt == "out"


def test_a_few_are_written_down_at_once(crowd: list[hubs.TestHub], vtn: Vtn) -> None:
    few = crowd[: hand_overs.CROWD - 1]
    publish(vtn, few)
    assert len(poll(few).sets) == len(few)
    assert not HandOver.objects.exists()
    assert Event.objects.filter(delivered_modification=0).count() == len(few)


def test_a_bigger_crowd_takes_no_more_statements(crowd: list[hubs.TestHub], vtn: Vtn) -> None:
    counts = []
    for number, fleet in enumerate((crowd[:-1], crowd)):
        publish(vtn, fleet, tag=f"{number}")
        with CaptureQueriesContext(connection) as queries:
            answer(fleet, poll(fleet))
            write_all()
        statements = [query["sql"] for query in queries.captured_queries]
        counts.append(sum("vtn_wire_log" not in statement for statement in statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("seed", range(24))
def test_in_any_order_every_version_is_told_of_once_and_every_row_comes_to_its_end(
    crowd: list[hubs.TestHub], vtn: Vtn, seed: int
) -> None:
    dice = Random(seed)
    served = groups.Served({}, {})
    published: list[VtnEventId] = []
    seen: dict[str, dict[str, int]] = {hub.fingerprint: {} for hub in crowd}

    def hear(fresh: groups.Served) -> groups.Served:
        for hub in crowd:
            if hub.fingerprint in fresh.sets:
                for event in set_of(fresh, hub):
                    seen[hub.fingerprint][event.event_id] = event.modification_number
        return fresh

    for step in range(12):
        match dice.choice(["publish", "poll", "poll", "answer", "answer", "cancel", "write", "kill", "wait"]):
            case "publish":
                published += publish(vtn, crowd, tag=f"{step}").values()
            case "poll":
                served = hear(poll(dice.sample(crowd, dice.choice([3, CROWD]))))
            case "answer":
                told = [hub for hub in crowd if hub.fingerprint in served.sets]
                answer(dice.sample(told, dice.randint(0, len(told))), served)
            case "cancel":
                vtn.cancel_many(dice.sample(published, dice.randint(0, len(published))), at=clock.now())
            case "write":
                write_all()
            case "kill":
                is_killed()
            case "wait":
                wall_passes(seconds=60)
                tasks.sweep_queue()
    for _ in range(4):  # everybody is there, and answers
        wall_passes(hours=1)
        tasks.sweep_queue()
        write_all()
        served = hear(poll(crowd))
        answer([hub for hub in crowd if hub.fingerprint in served.sets], served)

    write_all()
    assert not HandOver.objects.exists()
    assert not QueuedMessage.objects.filter(kind="events", finished_at=None).exists()
    assert set(delivered_facts().values()) <= {1}
    by_pk = {hub.ven.pk: hub for hub in crowd}
    rows = live_events.open_events(by_pk, at=clock.now(), is_locked=False)
    assert len(rows) == len(published)
    for row in rows:
        known = seen[by_pk[row.ven_id].fingerprint].get(row.event_id)
        if row.cancelled_at is None or known is not None:
            assert known == row.modification_number  # it has heard the latest word
            assert lifecycle.is_acknowledged(row)
            assert delivered_facts()[row.event_id, row.modification_number] == 1
        else:
            assert row.delivered_modification is None  # called off before anybody had it
