"""What a listener remembers: only quiet VENs, and nothing that a commit has overtaken."""

from __future__ import annotations

import select
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from oadr import messages as m
from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to, only_event
from vtn import enrolling
from vtn.models import Ven, VenCertificate
from vtn.port import Vtn
from vtn.transports import groups, standing


def quiet_ones(*fingerprints: str, wall: Any = None) -> dict[str, standing.Quiet]:
    wall = wall or clock.wall_now()
    return groups.quiet_among(groups.look_up(fingerprints, wall=wall), wall=wall)


@pytest.fixture
def settled(hub: hubs.TestHub) -> hubs.TestHub:
    """A hub that has fetched the full set it was owed for registering."""
    hub.says("EiEvent", m.RequestEvent("R", hub.ven_id))
    return hub


def test_a_registered_ven_with_nothing_due_is_quiet(settled: hubs.TestHub) -> None:
    (quiet,) = quiet_ones(settled.fingerprint).values()

    assert quiet.ven_id == settled.ven_id
    assert settled.ven_id.encode() in quiet.enveloped
    assert b"oadrPayload" not in quiet.bare


def test_who_is_not_quiet(settled: hubs.TestHub, vtn: Vtn, django_assert_num_queries: Any) -> None:
    hub = settled
    wall = clock.wall_now()
    assert not quiet_ones("0" * 64)
    assert not quiet_ones(hub.fingerprint, wall=wall + timedelta(days=4000))
    assert not quiet_ones(hub.fingerprint, wall=wall - timedelta(days=4000))
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    assert not quiet_ones(hub.fingerprint)
    event = only_event(hub.polls())
    (handed,) = quiet_ones(hub.fingerprint).values()
    assert handed.until_wall - wall.timestamp() < 60, "it has yet to answer"
    hub.answers(event)
    with django_assert_num_queries(1):
        assert quiet_ones(hub.fingerprint, "1" * 64)
    Ven.objects.filter(pk=hub.ven.pk).update(registration_id="")
    assert not quiet_ones(hub.fingerprint)


def test_a_revoked_certificate_is_not_quiet(settled: hubs.TestHub) -> None:
    enrolling.revoke_certificate(ven_id=settled.ven_id, reason="stolen", at=AT)

    assert not quiet_ones(settled.fingerprint)


def quiet(ven_key: int = 7, until_wall: float = 100.0) -> standing.Quiet:
    return standing.Quiet(ven_key, f"VEN-{ven_key}", until_wall, b"", b"")


def remembering(*ven_keys: int) -> standing.Memory:
    memory = standing.Memory()
    memory.regain()
    memory.keep(memory.begin_reading(), [(f"f{key}", quiet(key)) for key in ven_keys])
    return memory


def test_memory_finds_until_told_otherwise() -> None:
    memory = remembering(7, 8)
    assert memory.find("f7", wall=99.0) == quiet(7)
    assert memory.find("f7", wall=100.0) is None
    memory.notified("9,7")
    assert memory.find("f7", wall=1.0) is None
    assert memory.find("f8", wall=1.0) == quiet(8)
    memory.notified("*")
    assert memory.find("f8", wall=1.0) is None


@pytest.mark.parametrize("payload", ["", "x", "7,", "7;8"])
def test_a_notification_that_cannot_be_read_concerns_everybody(payload: str) -> None:
    memory = remembering(7)
    memory.notified(payload)
    assert memory.find("f7", wall=1.0) is None


def test_what_was_notified_while_it_was_looked_up_is_not_kept() -> None:
    memory = remembering()
    early, late = memory.begin_reading(), memory.begin_reading()
    memory.notified("7")
    memory.keep(early, [("f7", quiet(7)), ("f8", quiet(8))])
    assert memory.find("f7", wall=1.0) is None
    assert memory.find("f8", wall=1.0)
    memory.notified("*")
    memory.keep(late, [("f9", quiet(9))])
    assert memory.find("f9", wall=1.0) is None


def test_without_the_databases_word_nothing_is_found() -> None:
    memory = remembering(7)
    reading = memory.begin_reading()
    memory.lose_touch()
    assert memory.find("f7", wall=1.0) is None
    memory.keep(reading, [("f7", quiet(7))])
    memory.regain()
    assert memory.find("f7", wall=1.0) is None


def test_who_was_heard_is_written_once_and_never_back(hub: hubs.TestHub) -> None:
    wall = clock.wall_now()
    standing.note_seen({hub.ven.pk: wall.timestamp(), 0: 1.0})
    standing.note_seen({hub.ven.pk: wall.timestamp() - 60})
    standing.note_seen({})

    assert abs(Ven.objects.get(pk=hub.ven.pk).last_seen_wall_at - wall) < timedelta(milliseconds=1)  # type: ignore[operator]


@pytest.fixture
def barrier(transactional_db: None) -> Iterator[standing.Barrier]:
    listening = standing.Barrier(standing.connection_parameters())
    yield listening
    listening.close()


def heard(barrier: standing.Barrier) -> list[str]:
    """Ask, and return the notifications that came before the answer."""
    barrier.ask()
    payloads: list[str] = []
    while True:
        assert select.select([barrier], [], [], 10)[0], "no answer"
        more, is_answered = barrier.read()
        payloads += more
        if is_answered:
            return payloads


@pytest.mark.django_db(transaction=True)
def test_whatever_ends_the_quiet_of_a_ven_is_heard_before_the_answer(
    barrier: standing.Barrier, vtn: Vtn
) -> None:
    hub, other = hubs.registered_hub("hub"), hubs.registered_hub("other")
    mine, theirs = str(hub.ven.pk), str(other.ven.pk)
    heard(barrier)
    assert heard(barrier) == []

    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    assert heard(barrier) == [mine]
    vtn.publish_many({"a": notice_to(hub.ven_id), "b": notice_to(other.ven_id)}, at=AT)
    assert [set(payload.split(",")) for payload in heard(barrier)] == [{mine, theirs}]
    for event in hub.polls().events:  # type: ignore[union-attr]
        hub.answers(event)
    assert heard(barrier) == [], "deliveries and answers make nobody speak"
    vtn.cancel(event_id, at=AT)
    assert heard(barrier) == [mine]
    Ven.objects.filter(pk=other.ven.pk).update(last_seen_wall_at=AT)
    assert heard(barrier) == []
    Ven.objects.filter(pk=other.ven.pk).update(registration_id="")
    assert heard(barrier) == [theirs]
    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=AT)
    assert heard(barrier) == [mine]
    VenCertificate.objects.filter(ven=other.ven).delete()
    assert heard(barrier) == [theirs]


def heard_thrice(barrier: standing.Barrier) -> None:
    for _ in range(3):
        heard(barrier)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_hangs_up_is_an_error_and_not_silence(barrier: standing.Barrier) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [barrier._pq.backend_pid])
    with pytest.raises(psycopg.Error):
        heard_thrice(barrier)
