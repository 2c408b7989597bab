"""The sealed audit trail: writers wait for nobody; whatever is edited, deleted or moved is found by name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opendsr.kernel import audit, clock, sealing
from opendsr.kernel.models import AuditEntry, AuditSeal, SealedEntry
from tests.kernel.conftest import NOON

pytestmark = pytest.mark.django_db


def write(count: int = 1, **detail: object) -> list[AuditEntry]:
    return [
        audit.record(
            at=NOON,
            actor=f"staff:{number}",
            verb="campaign.approved",
            target=f"campaign:{number}",
            detail=detail,
        )
        for number in range(count)
    ]


@contextmanager
def without_triggers() -> Iterator[None]:
    """Be whoever has the database in hand: the owner can switch its triggers off."""
    tables = ("audit_entry", "audit_seal", "audit_sealed_entry")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def found() -> list[str]:
    return [str(each) for each in sealing.verify().findings]


def test_an_empty_trail_and_a_sealed_one(monkeypatch):
    assert sealing.verify() == sealing.Verdict(0, 0, 0, "", ())
    assert sealing.seal_all() == 0
    write(3, price="1.20", at=NOON, note="Ünïcode ✓", nested={"b": 1, "a": [1.5, None, True]})
    monkeypatch.setattr(sealing, "BATCH", 2)
    assert sealing.seal_all() == 3
    verdict = sealing.verify()
    assert (verdict.seals, verdict.entries, verdict.unsealed, verdict.findings) == (2, 3, 0, ())
    write()
    assert sealing.verify().unsealed == 1
    assert sealing.seal_all() == 1
    assert sealing.verify(head=verdict.head).findings == ()


TAMPERING = {
    "an actor is changed": ("UPDATE audit_entry SET actor = 'staff:9' WHERE id = {2}", "was edited", 2),
    "a detail is changed": ("UPDATE audit_entry SET detail = '{{\"x\": 1}}' WHERE id = {0}", "was edited", 0),
    "the time is changed": (
        "UPDATE audit_entry SET at = at + interval '1 us' WHERE id = {5}",
        "was edited",
        5,
    ),
    "the wall time is changed": (
        "UPDATE audit_entry SET recorded_wall_at = recorded_wall_at - interval '1 day' WHERE id = {1}",
        "was edited",
        1,
    ),
    "an entry is deleted": ("DELETE FROM audit_entry WHERE id = {3}", "is gone", 3),
    "two are swapped": (
        "UPDATE audit_entry SET verb = CASE id WHEN {1} THEN 'b' ELSE 'a' END WHERE id IN ({1}, {2})",
        "was edited",
        1,
    ),
    "an entry is deleted with its place": (
        "DELETE FROM audit_sealed_entry WHERE entry_id = {3}; DELETE FROM audit_entry WHERE id = {3}",
        "place 3 is empty",
        None,
    ),
    "the last is deleted with its place": (
        "DELETE FROM audit_sealed_entry WHERE entry_id = {5}; DELETE FROM audit_entry WHERE id = {5}",
        "its hash does not follow",
        None,
    ),
    "places are swapped": (
        "UPDATE audit_sealed_entry SET position = 99 WHERE entry_id = {0};"
        "UPDATE audit_sealed_entry SET position = 0 WHERE entry_id = {1};"
        "UPDATE audit_sealed_entry SET position = 1 WHERE entry_id = {0}",
        "its hash does not follow",
        None,
    ),
    "an entry and its hash are changed": (
        "UPDATE audit_sealed_entry SET sha256 = '\\x00' WHERE entry_id = {0}",
        "its hash does not follow",
        None,
    ),
    "a seal is changed": ("UPDATE audit_seal SET sha256 = '\\x00' WHERE number = 1", "does not follow", None),
    "the trail is cut": (
        "DELETE FROM audit_sealed_entry WHERE seal_id = 1; DELETE FROM audit_seal WHERE number = 1",
        "one seal is missing before it",
        None,
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_whatever_is_done_to_it_is_found_by_name(how):
    sql, words, which = TAMPERING[how]
    entries = write(6)
    sealing.seal_all()
    write(2)
    sealing.seal_all()
    assert found() == []
    with without_triggers():
        run(sql.format(*(entry.pk for entry in entries)))
    said = found()
    assert any(words in each for each in said), said
    if which is not None:
        assert any(f"entry {entries[which].pk}, " in each for each in said)


def test_a_trail_rewritten_from_the_start_is_found_by_a_head_kept_elsewhere():
    write(4)
    sealing.seal_all()
    head = sealing.verify().head
    with without_triggers():
        run("DELETE FROM audit_sealed_entry; DELETE FROM audit_seal")
        run("UPDATE audit_entry SET actor = 'staff:0'")
    sealing.seal_all()
    assert sealing.verify().findings == ()  # by itself it looks whole
    [finding] = sealing.verify(head=head).findings
    assert "was rewritten" in str(finding)
    with pytest.raises(CommandError, match="1 findings"):
        call_command("verify_audit", head=head)


def test_an_entry_put_in_and_never_sealed_is_found(monkeypatch):
    [entry] = write()
    wall = clock.wall_now()
    assert found() == []
    monkeypatch.setattr(clock, "wall_now", lambda: wall + sealing.LATE + timedelta(seconds=1))
    assert found() == [f"entry {entry.pk}, was never sealed"]


@pytest.mark.parametrize("table", ["audit_seal", "audit_sealed_entry"])
def test_postgresql_refuses_edits_of_seals(table):
    write()
    sealing.seal_all()
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET sha256 = '\\x00'"):  # noqa: S608
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            run(statement)


def test_the_command_says_what_it_verified(capsys):
    write(2)
    call_command("verify_audit", seal=True)
    said = capsys.readouterr().out
    assert said.startswith("2 entries in 1 seals are as they were sealed, 0 wait")
    call_command("verify_audit", head=said.rpartition(" ")[2].strip())
    for wrong in ("x", "0" * 63, "\x00"):
        with pytest.raises(CommandError, match="64 hex digits"):
            call_command("verify_audit", head=wrong)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_any_byte_of_any_hash_or_any_entry(data, sizes):
    """One random change of one random entry or seal is found, whatever it is."""
    with transaction.atomic():
        entries = []
        for size in sizes:
            entries += write(size, size=size)
            sealing.seal_all()
        assert found() == []
        entry = data.draw(st.sampled_from(entries))
        table, column = data.draw(
            st.sampled_from(
                [
                    ("audit_entry", "actor"),
                    ("audit_entry", "target"),
                    ("audit_sealed_entry", "sha256"),
                    ("audit_seal", "sha256"),
                ]
            )
        )
        with without_triggers():
            if column == "sha256":
                number = data.draw(st.integers(1, len(sizes)))
                where = f"entry_id = {entry.pk}" if table == "audit_sealed_entry" else f"number = {number}"
                byte = data.draw(st.integers(0, 31))
                change = f"sha256 = set_byte(sha256, {byte}, get_byte(sha256, {byte}) # 1)"
                run(f"UPDATE {table} SET {change} WHERE {where}")  # noqa: S608
            else:
                run(f"UPDATE {table} SET {column} = {column} || 'x' WHERE id = {entry.pk}")  # noqa: S608
        assert found() != []
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_writers_wait_for_nobody_and_a_late_commit_is_sealed_later():
    """One entry with a lower id is committed only after a higher one was sealed."""
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                write(1, slow=True)
                written.set()
                assert may_commit.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(60)
    write(2)
    assert sealing.seal_all() == 2
    may_commit.set()
    thread.join()
    assert sealing.seal_all() == 1
    assert AuditSeal.objects.count() == 2
    assert SealedEntry.objects.filter(seal=2).get().entry.detail == {"slow": True}
    assert found() == []
