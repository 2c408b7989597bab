"""A hub's line to a VTN that is slow because all hubs have come back at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hems import link
from hems.errors import NoContact
from hems.link import Link, QuietTime
from oadr import codec
from oadr.messages import QueryRegistration
from tests.hems.small_vtn import Authority, SmallVtn


def ask(hub: Link) -> bytes:
    return hub.exchange("EiRegisterParty", lambda: codec.serialise(QueryRegistration("R")))


def seconds_until_given_up(hub: Link) -> float:
    began = time.monotonic()
    with pytest.raises(NoContact):
        ask(hub)
    return time.monotonic() - began


def test_a_handshake_is_waited_for_longer_each_time_it_did_not_come(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(link, "LONGEST_ANSWER_SECONDS", 0.8)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        hub = Link(make_folder(), f"https://localhost:{mute.getsockname()[1]}/OpenADR2/Simple/2.0b")

        waits = [seconds_until_given_up(hub) for _ in range(5)]

    assert all(wait >= least for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.8, 0.8), strict=True))
    assert waits[0] < waits[3]


def test_patience_begins_anew_once_there_was_an_answer(
    make_folder: Callable[..., Path], vtn: SmallVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 2.0)
    hub = Link(make_folder(), vtn.url)
    answered = threading.Event()

    def dawdles(*_: object) -> int:
        answered.wait(30)
        return 503

    vtn.reply[QueryRegistration] = dawdles
    assert seconds_until_given_up(hub) >= 2.0
    answered.set()
    del vtn.reply[QueryRegistration]
    ask(hub)
    hub.close()

    answered.clear()
    vtn.reply[QueryRegistration] = dawdles
    wait = seconds_until_given_up(hub)
    answered.set()

    assert 2.0 <= wait < 4.0


def test_a_hub_that_connects_again_resumes_its_session(
    make_folder: Callable[..., Path], vtn: SmallVtn
) -> None:
    hub = Link(make_folder(), vtn.url)
    reused = []
    for _ in range(3):
        ask(hub)
        reused.append(hub._connection.sock.session_reused)  # type: ignore[union-attr]
        assert hub.peer_certificate
        hub.close()
    assert reused == [False, True, True]

    hub.change_identity()
    ask(hub)
    assert hub._connection.sock.session_reused is False  # type: ignore[union-attr]


def test_a_session_with_another_vtn_is_none_with_this_one(
    make_folder: Callable[..., Path], vtn: SmallVtn, authority: Authority, tmp_path: Path
) -> None:
    hub = Link(make_folder(), vtn.url)
    ask(hub)
    hub.close()
    port = vtn.port
    vtn.__exit__()
    with SmallVtn(authority, tmp_path / "vtn", port=port):
        ask(hub)
        assert hub._connection.sock.session_reused is False  # type: ignore[union-attr]
        hub.close()
    vtn.port = 0
    vtn.__enter__()  # the fixture ends it


def test_hubs_asked_to_come_back_do_not_come_all_at_once() -> None:
    waits = [QuietTime(60).failed(at_least_seconds=10) for _ in range(50)]

    assert all(10 <= wait <= 15 for wait in waits)
    assert max(waits) - min(waits) > 1
