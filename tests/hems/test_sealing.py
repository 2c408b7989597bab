"""High security at the hub: what is not shown to be the VTN's, or to be new, is refused and nothing done."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hems.agent import Agent
from hems.keys import enrol
from hems.lines import Way
from hems.sealing import MOST_LINES, NONCES, WINDOW, Seal
from oadr import codec, signing
from oadr.messages import CreatePartyRegistration, EiResponse, Response
from oadr.signing import ReplayProtect
from tests.hems.conftest import NAME, HandClock, make_event
from tests.hems.small_vtn import Authority, SmallVtn

Wrap = Callable[[bytes], bytes]


def signer(certificate: Path, key: Path, *, age: timedelta = timedelta(), nonce: str = "") -> Wrap:
    """What signs as the holder of these files does."""
    identity = signing.load_identity(key_pem=key.read_bytes(), certificate_pem=certificate.read_bytes())
    count = iter(range(10_000))

    def wrapped(body: bytes) -> bytes:
        protect = ReplayProtect(datetime.now(UTC) - age, nonce or f"nonce-{next(count)}")
        return signing.sign(body, identity=identity, replay_protect=protect)

    return wrapped


def the_vtns(vtn: SmallVtn, **changes) -> Wrap:
    return signer(vtn.folder / "vtn-certificate.pem", vtn.folder / "vtn-key.pem", **changes)


@pytest.fixture
def high(make_folder, vtn: SmallVtn, clock: HandClock):
    """A hub of high security whose VTN signs."""
    vtn.wraps = the_vtns(vtn)
    with Agent(make_folder(), vtn=vtn.url, clock=clock, way=Way(is_signed=True)) as agent:
        yield agent


def test_both_sign_and_the_event_is_taken(high: Agent, vtn: SmallVtn) -> None:
    vtn.put(NAME, make_event())
    high.contact()

    assert high.status(high.clock.now())["failure"] == ""
    assert list(high.state.book.entries) == ["E1"]
    asked = next(each for each in vtn.heard[NAME] if isinstance(each, CreatePartyRegistration))
    assert asked.has_xml_signature


def test_what_the_hub_says_is_signed_by_its_own_certificate(high: Agent, vtn: SmallVtn) -> None:
    own = high.folder / "certificate.pem"
    der = signing.load_identity(
        key_pem=(high.folder / "key.pem").read_bytes(), certificate_pem=own.read_bytes()
    ).certificate_der
    high.contact()
    high.contact()

    parsed = [codec.parse_body(body, certificates=[der]) for body in vtn.bodies]
    assert len({each.replay_protect.nonce for each in parsed if each.replay_protect}) == len(parsed) > 5


def refuses(high: Agent, vtn: SmallVtn, wraps: Wrap | None, caplog: pytest.LogCaptureFixture) -> str:
    """Have the hub meet answers of a kind that it must not believe; return what it logs, once."""
    high.contact()
    assert high.status(high.clock.now())["failure"] == ""
    vtn.wraps = wraps
    vtn.put(NAME, make_event())
    caplog.clear()
    for _ in range(3):
        high.contact()
    assert high.state.book.entries == {}
    assert not high._orders
    (said,) = [record.getMessage() for record in caplog.records]
    return str(said)


def test_unsigned(high: Agent, vtn: SmallVtn, caplog) -> None:
    assert "it is not signed" in refuses(high, vtn, None, caplog)


def test_signed_by_another_home_of_the_same_co_op(high, vtn, authority: Authority, tmp_path, caplog) -> None:
    request = enrol(tmp_path / "other", serial="OTHER")
    (tmp_path / "other" / "certificate.pem").write_bytes(authority.sign_request(request.read_bytes()))
    wraps = signer(tmp_path / "other" / "certificate.pem", tmp_path / "other" / "key.pem")
    assert "does not hold" in refuses(high, vtn, wraps, caplog)


def test_signed_by_somebody_elses_server_of_the_same_name(high, vtn, tmp_path, caplog) -> None:
    (tmp_path / "x").mkdir()
    certificate, key = Authority("Somebody Else").server_identity(tmp_path / "x")
    assert "does not hold" in refuses(high, vtn, signer(certificate, key), caplog)


def test_changed_after_it_was_signed(high, vtn, caplog) -> None:
    sign = the_vtns(vtn)

    def wraps(body: bytes) -> bytes:
        return (
            sign(body).replace(b"COOP-VTN", b"EVIL-VTN").replace(b">OK<", b">KO<").replace(b">E1<", b">E2<")
        )

    high.contact()
    vtn.put(NAME, make_event())
    vtn.wraps = wraps
    high.contact()
    assert "does not hold" in high.status(high.clock.now())["failure"]
    assert high.state.book.entries == {}


@pytest.mark.parametrize("age", [WINDOW + timedelta(seconds=20), -WINDOW - timedelta(seconds=20)])
def test_signed_at_another_time(high, vtn, age: timedelta, caplog) -> None:
    assert "signed at another time" in refuses(high, vtn, the_vtns(vtn, age=age), caplog)


def test_said_before_also_after_a_restart(
    make_folder, vtn: SmallVtn, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    folder, said = make_folder(), []
    sign = the_vtns(vtn)

    def wraps(body: bytes) -> bytes:
        said.append(sign(body))
        return said[-1]

    vtn.wraps = wraps
    with Agent(folder, vtn=vtn.url, clock=clock, way=Way(is_signed=True)) as agent:
        vtn.put(NAME, make_event())
        agent.contact()
    assert (folder / NONCES).stat().st_mode & 0o077 == 0
    set_of_events = next(each for each in said if b"oadrDistributeEvent" in each)
    vtn.events[NAME].clear()
    (folder / "state.json").unlink()

    with Agent(folder, vtn=vtn.url, clock=clock, way=Way(is_signed=True)) as agent:
        vtn.wraps = lambda body: set_of_events if b"oadrDistributeEvent" in body else sign(body)
        agent.contact()
        assert "has been said before" in agent.status(clock.now())["failure"]
        assert agent.state.book.entries == {}


def test_nonces_that_are_too_old_anyway_are_forgotten(high: Agent, vtn: SmallVtn) -> None:
    stale = (datetime.now(UTC) - 2 * WINDOW).timestamp()
    path = high.folder / NONCES
    path.write_text("".join(f"{stale:.0f} n{number}\n" for number in range(MOST_LINES)))
    seal = Seal(high.folder, host="localhost")
    seal.opened(vtn.wraps(codec.serialise(Response(EiResponse()))))  # type: ignore[misc]
    assert len(path.read_text().splitlines()) == 1


def test_a_vtn_that_wants_signatures_gets_them_from_then_on(
    make_folder, vtn: SmallVtn, clock: HandClock
) -> None:
    folder = make_folder()
    vtn.put(NAME, make_event())
    vtn.wants_signatures, vtn.wraps = True, the_vtns(vtn)
    for _ in range(2):  # the second time it knows
        with Agent(folder, vtn=vtn.url, clock=clock) as agent:
            agent.contact()
            assert agent.status(clock.now())["failure"] == ""
            assert agent.status(clock.now())["is_signed"]
    assert json.loads((folder / "state.json").read_text())["registration"]["is_signed"]
    assert list(agent.state.book.entries) == ["E1"]
    assert len([body for body in vtn.bodies if b"Signature>" not in body]) == 1
