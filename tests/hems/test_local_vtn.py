"""The 2.0a VTN in the home and the smallest VEN there is: with each other, and with strangers and rubbish."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.agent import Agent
from hems.der_ven import DerVen, duration_of, over_http, part, parts, seconds_of
from hems.devices import Order
from hems.drivers.manners import MEMBERS_OVERRIDE, Manners
from hems.drivers.real_device import AssetSettings
from hems.instants import written
from hems.local_vtn import PATH, LocalVtn, OadrDevice, level_of
from oadr import simple
from oadr.messages import CreatedEvent, RequestEvent
from tests.hems.conftest import FIVE, NAME, HandClock, make_event
from tests.hems.small_vtn import SmallVtn
from tests.redises import free_port

PASSWORD = "of-this-device-alone"
HOUR = timedelta(hours=1)


@pytest.fixture
def vtn() -> Iterator[LocalVtn]:
    local = LocalVtn("127.0.0.1", 0)
    yield local
    local.close()


@pytest.fixture
def device(vtn: LocalVtn) -> OadrDevice:
    made = OadrDevice(
        AssetSettings("r1", "ev_charger", 7360, Manners(), {"ven_id": "DER-1"}), vtn, password=PASSWORD
    )
    vtn.serve("DER-2", "another")
    vtn.start()
    return made


class Hand:
    """A device's clock, and the member's hand on it."""

    def __init__(self, at: datetime) -> None:
        self.at, self.is_on_it = at, False


@pytest.fixture
def hand() -> Hand:
    return Hand(FIVE - timedelta(minutes=5))


@pytest.fixture
def ven(vtn: LocalVtn, device: OadrDevice, hand: Hand) -> DerVen:
    return DerVen(
        "DER-1",
        over_http("127.0.0.1", vtn.port, "DER-1", PASSWORD),
        now=lambda: hand.at.timestamp(),
        is_out=lambda: hand.is_on_it,
    )


def turn(device: OadrDevice, vtn: LocalVtn, ven: DerVen, hand: Hand, at: datetime) -> int:
    """The hub acts at a world time, then the device asks."""
    vtn.at = hand.at = at
    device.apply(at)
    level = ven.turn()
    assert ven.failure == ""
    return level


def order(limit_w: int = 0) -> Order:
    return Order("E1", "r1", FIVE, FIVE + HOUR, FIVE + HOUR, "down", limit_w)


def test_a_device_hears_follows_answers_and_is_free_again(vtn, device, ven, hand):
    assert turn(device, vtn, ven, hand, FIVE - timedelta(minutes=5)) == 0
    device.plan([order()])
    assert turn(device, vtn, ven, hand, FIVE - timedelta(minutes=4)) == 0
    assert device.available
    assert list(vtn.heard(device._device)[1].values()) == ["optIn"]
    assert turn(device, vtn, ven, hand, FIVE) == 3
    assert turn(device, vtn, ven, hand, FIVE + HOUR) == 0
    assert device.telemetry(FIVE + HOUR).is_available


def test_a_device_that_lost_its_hub_runs_the_event_to_its_end(vtn, device, ven, hand):
    device.plan([order()])
    turn(device, vtn, ven, hand, FIVE - timedelta(minutes=4))
    vtn.close()
    hand.at = FIVE + timedelta(minutes=59)
    assert ven.turn() == 3
    assert ven.failure
    hand.at = FIVE + HOUR
    assert ven.turn() == 0


def test_an_order_cut_short_is_heard_at_the_next_question(vtn, device, ven, hand):
    device.plan([order()])
    assert turn(device, vtn, ven, hand, FIVE) == 3
    device.plan([])
    assert turn(device, vtn, ven, hand, FIVE + timedelta(minutes=1)) == 0


def test_a_hand_on_the_device_is_an_opt_out_and_seen(vtn, device, ven, hand):
    device.plan([order()])
    assert turn(device, vtn, ven, hand, FIVE) == 3
    hand.is_on_it = True
    assert turn(device, vtn, ven, hand, FIVE + timedelta(minutes=1)) == 0
    device.apply(FIVE + timedelta(minutes=2))
    assert device.telemetry(FIVE + timedelta(minutes=2)).interlock == MEMBERS_OVERRIDE
    hand.is_on_it = False
    assert turn(device, vtn, ven, hand, FIVE + timedelta(minutes=3)) == 3
    device.apply(FIVE + timedelta(minutes=3))
    assert device.telemetry(FIVE + timedelta(minutes=3)).interlock == ""


@pytest.mark.parametrize(("limit_w", "level"), [(0, 3), (1, 2), (3679, 2), (3680, 1), (7359, 1)])
def test_limits_are_levels(vtn, device, ven, hand, limit_w, level):
    assert level_of(limit_w, 7360) == level
    device.plan([order(limit_w)])
    assert turn(device, vtn, ven, hand, FIVE) == level


def test_what_is_no_turn_down_is_not_told(vtn, device, ven, hand):
    device.plan([order(7360), Order("E2", "r1", FIVE, FIVE + HOUR, FIVE + HOUR, "up", 7360)])
    assert turn(device, vtn, ven, hand, FIVE) == 0


def test_a_device_that_does_not_ask_is_away(vtn, device, ven, hand):
    turn(device, vtn, ven, hand, FIVE)
    device.apply(FIVE + timedelta(seconds=61))
    assert not device.available


class TestStrangers:
    def post(self, vtn: LocalVtn, body: bytes, *, who: str | None = f"DER-1:{PASSWORD}", path: str = PATH,
             method: str = "POST") -> tuple[int, bytes]:  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", vtn.port, timeout=5)
        fields = {} if who is None else {"Authorization": "Basic " + base64.b64encode(who.encode()).decode()}
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def ask(self, ven_id: str) -> bytes:
        return simple.serialise(RequestEvent("r", ven_id))

    @pytest.mark.parametrize("who", [None, "DER-1:wrong", "DER-9:x", "", ":", f"DER-2:{PASSWORD}"])
    def test_without_its_password_nobody_is_let_in(self, vtn, device, who):
        assert self.post(vtn, self.ask("DER-1"), who=who)[0] == 401

    def test_of_another_nothing_is_told(self, vtn, device):
        device.plan([order()])
        device.apply(FIVE)
        status, answer = self.post(vtn, self.ask("DER-1"), who="DER-2:another")
        assert status == 200
        assert part(answer.decode(), "responseCode") == "463"
        status, answer = self.post(vtn, self.ask("DER-2"), who="DER-2:another")
        assert (status, parts(answer.decode(), "oadrEvent")) == (200, [])

    @pytest.mark.parametrize(
        "body", [b"", b"<x/>", b"{}", b"<!DOCTYPE x [<!ENTITY e 'e'>]><x>&e;</x>", b"\xff"]
    )
    def test_what_is_no_message_is_400(self, vtn, device, body):
        assert self.post(vtn, body)[0] == 400

    def test_elsewhere_otherwise_and_too_large(self, vtn, device):
        assert self.post(vtn, b"x", path="/")[0] == 404
        assert self.post(vtn, b"", method="GET")[0] == 405
        assert self.post(vtn, b"x" * 70_000)[0] == 413


def test_the_hub_carries_a_campaign_to_a_2_0a_device(
    make_folder: Callable[..., Path], vtn_upstream: SmallVtn, clock: HandClock
):
    folder, port = make_folder(), free_port()
    (folder / "device.password").write_text(PASSWORD)
    (folder / "device.password").chmod(0o600)
    (folder / "hub.toml").write_text(
        f'[local_vtn]\nhost = "127.0.0.1"\nport = {port}\n[[assets]]\nresource_id = "res-ev"\n'
        'kind = "ev_charger"\ndriver = "oadr2a"\nven_id = "DER-1"\npassword_file = "device.password"\n'
    )
    exchange = over_http("127.0.0.1", port, "DER-1", PASSWORD)
    ven = DerVen("DER-1", exchange, now=lambda: clock.at.timestamp())
    with Agent(folder, vtn=vtn_upstream.url, clock=clock) as agent:
        vtn_upstream.put(NAME, make_event())
        agent.contact()
        agent.step(clock.at)
        assert ven.turn() == 0
        clock.at = FIVE
        agent.step(clock.at)
        assert ven.turn() == 3
        agent.step(clock.at)
        assert agent.status(clock.at)["assets"][0]["is_available"]
    clock.at += timedelta(minutes=1)
    assert ven.turn() == 3, "the hub is gone: the event runs on"
    clock.at = FIVE + timedelta(minutes=90)
    assert ven.turn() == 0


@pytest.fixture
def vtn_upstream(authority, tmp_path: Path) -> Iterator[SmallVtn]:
    (tmp_path / "upstream").mkdir()
    with SmallVtn(authority, tmp_path / "upstream") as small:
        yield small


class TestTheSmallestVen:
    @given(
        at=st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)).map(
            lambda at: at.replace(microsecond=0)
        )
    )
    def test_instants_are_read(self, at: datetime):
        aware = at.replace(tzinfo=UTC)
        assert seconds_of(written(aware)) == int(aware.timestamp())

    @given(
        days=st.integers(0, 30),
        hours=st.integers(0, 99),
        minutes=st.integers(0, 99),
        seconds=st.integers(0, 99),
    )
    def test_durations_are_read(self, days: int, hours: int, minutes: int, seconds: int):
        text = f"P{days}DT{hours}H{minutes}M{seconds}S"
        assert duration_of(text) == days * 86_400 + hours * 3600 + minutes * 60 + seconds

    @pytest.mark.parametrize("text", ["", "P", "PT", "1H", "PT5", "P1M", "P1Y", "PTH", "P1H"])
    def test_what_is_no_duration_is_refused(self, text: str):
        with pytest.raises(ValueError, match="no duration"):
            duration_of(text)

    @given(text=st.text(alphabet="<>/ab:xn ", max_size=60), name=st.sampled_from(["a", "ab", "x"]))
    def test_any_text_is_searched_to_its_end(self, text: str, name: str):
        assert all(isinstance(found, str) for found in parts(text, name))

    def test_elements_are_found_whatever_their_prefix(self):
        text = "<o:a i='1'><n:a>x</n:a></o:a><a/><b><a> y </a></b>"
        assert parts(text, "a") == ["<n:a>x</n:a>", " y "]
        assert part(text, "b") == "<a> y </a>"
        assert part(text, "c") == ""

    def test_what_it_says_is_2_0a(self):
        from hems.der_ven import created_event, request_event

        asked = simple.parse_body(request_event("DER-1", "r1").encode()).message
        assert asked == RequestEvent("r1", "DER-1")
        said = simple.parse_body(created_event("DER-1", "r1", [("e1", 2, "optOut")]).encode()).message
        assert isinstance(said, CreatedEvent)
        assert (said.ven_id, said.event_responses[0].opt_type) == ("DER-1", "optOut")

    def test_an_answer_that_is_none_changes_nothing(self):
        answers = iter(["<x/>", OSError("away")])

        def exchange(_body: str) -> str:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return answer

        clock = [0.0]
        ven = DerVen("DER-1", exchange, now=lambda: clock[0])
        ven.events = {"e": (0, 10_000, 2)}
        assert ven.turn() == 2
        clock[0] += 20
        assert ven.turn() == 2
        assert ven.failure == "away"
