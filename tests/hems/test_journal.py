"""The hub's journal: why it could not work, told apart as far as it can be, and kept over power cuts."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.errors import LinkError, NoContact, Refused, Untrusted
from hems.instants import read_instant
from hems.journal import JOURNAL, MOST_KEPT, SHORTEST, Journal, cause_of, has_route

AT = datetime(2026, 11, 20, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
V4 = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


@dataclass
class Device:
    resource_id: str
    available: bool = True


def journal(folder: Path, at: datetime = AT, *, boot: str = "boot-1", way_out: bool = True) -> Journal:
    return Journal(folder, at=at, boot_id=lambda: boot, has_way_out=lambda: way_out)


def told(held: Journal) -> list[tuple[str, str, str | None]]:
    return [
        (each["cause"], each["starts_at"][11:16], (each["ends_at"] or "")[11:16]) for each in held.reported()
    ]


def no_contact(cause: Exception | None = None) -> NoContact:
    error = NoContact("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "way_out", "cause"),
    [
        (no_contact(TimeoutError()), True, "no_internet"),
        (no_contact(socket.gaierror()), True, "no_internet"),
        (no_contact(socket.gaierror()), False, "no_lan"),
        (no_contact(ConnectionRefusedError()), False, "refused"),
        (no_contact(), True, "no_internet"),
        (Refused(503), True, "refused"),
        (Untrusted("x"), True, "refused"),
    ],
    ids=str,
)
def test_what_an_error_says(error: LinkError, way_out, cause):
    assert cause_of(error, has_way_out=lambda: way_out) == cause


def test_an_outage_is_told_when_it_is_over(tmp_path: Path):
    held = journal(tmp_path)
    for minutes in (0, 1, 30):
        held.contact_failed(no_contact(TimeoutError()), AT + minutes * MINUTE)
    held.look([], AT + 30 * MINUTE)
    assert told(held) == [("no_internet", "17:00", "")]
    held.contact_made(AT + 40 * MINUTE)
    held.contact_made(AT + 50 * MINUTE)
    assert told(held) == [("no_internet", "17:00", "17:40")]


def test_another_reason_ends_the_one_before(tmp_path: Path):
    held = journal(tmp_path)
    held.contact_failed(no_contact(TimeoutError()), AT)
    held.contact_failed(Refused(503), AT + 10 * MINUTE)
    held.contact_made(AT + 20 * MINUTE)
    assert told(held) == [("no_internet", "17:00", "17:10"), ("refused", "17:10", "17:20")]


def test_what_is_over_soon_is_not_told(tmp_path: Path):
    held = journal(tmp_path)
    held.contact_failed(Refused(503), AT)
    held.contact_made(AT + MINUTE)
    assert told(held) == []


@pytest.mark.parametrize(
    ("boot", "is_stopped", "cause"),
    [
        ("boot-2", False, "no_power"),
        ("boot-1", False, "crashed"),
        ("boot-2", True, "stopped"),
        ("", False, "no_power"),
    ],
)
def test_why_it_was_off_is_known_at_the_next_start(tmp_path: Path, monkeypatch, boot, is_stopped, cause):
    monkeypatch.setattr("hems.journal.ALIVE_SECONDS", 0.0)
    held = journal(tmp_path)
    held.look([Device("res-1", available=False)], AT + 5 * MINUTE)
    if is_stopped:
        held.stop(AT + 5 * MINUTE)
    again = journal(tmp_path, AT + 60 * MINUTE, boot=boot)
    assert told(again)[-1] == (cause, "17:05", "18:00")
    assert not any(ends == "" for _, _, ends in told(again)), "what was open ended with it"


def test_devices_are_away_and_back_each_by_itself(tmp_path: Path):
    held = journal(tmp_path)
    car, tank = Device("car"), Device("tank", available=False)
    held.look([car, tank], AT)
    held.look([car, tank], AT + 10 * MINUTE)
    tank.available, car.available = True, False
    held.look([car, tank], AT + 20 * MINUTE)
    held.look([car, tank], AT + 30 * MINUTE)
    assert [(each["resource_id"], each["ends_at"] is None) for each in held.reported()] == [
        ("tank", False),
        ("car", True),
    ]


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 60), st.sampled_from(["made", "slow", "refused", "away", "back", "restart"])
        ),
        max_size=60,
    )
)
def test_spells_run_forward_and_are_never_many(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("hub")
    held, at, device = journal(folder), AT, Device("res-1")
    for minutes, what in steps:
        at += minutes * MINUTE
        device.available = {"away": False, "back": True}.get(what, device.available)
        if what == "made":
            held.contact_made(at)
        elif what == "restart":
            held = journal(folder, at)
        elif what in ("slow", "refused"):
            held.contact_failed(Refused(503) if what == "refused" else no_contact(TimeoutError()), at)
        held.look([device], at)
    spells = held.reported()
    assert len(spells) <= MOST_KEPT
    assert sum(each["ends_at"] is None and "resource_id" not in each for each in spells) <= 1
    for each in spells:
        if each["ends_at"] is not None:
            assert read_instant(each["ends_at"]) - read_instant(each["starts_at"]) >= SHORTEST


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"spells": [{"cause": "x"}]}',
        b'{"spells": [], "alive_at": "yesterday"}',
        b'{"spells": 3}',
    ],
)
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, content):
    (tmp_path / JOURNAL).write_bytes(content)
    assert journal(tmp_path).reported() == []


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([V4 + "eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0"], True),
        ([V4 + "eth0 0001A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0"], False),
        ([V4, f"{'0' * 32} 00 {'0' * 32} 00 fe80 0400 1 0 3 wlan0"], True),
        ([V4, f"{'0' * 32} 00 {'0' * 32} 00 0 ffffffff 1 0 200200 lo"], False),
        ([], True),
    ],
)
def test_a_way_out_is_read_from_the_routing_tables(tmp_path: Path, tables, expected):
    paths = [tmp_path / str(number) for number in range(2)]
    for path, text in zip(paths, tables, strict=False):
        path.write_text(text)
    assert has_route(paths) is expected
