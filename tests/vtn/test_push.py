"""HTTP push to a VEN's own HTTPS server, with the certificates of both; and what is never called."""

from __future__ import annotations

import http.server
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oadr import codec
from oadr import messages as m
from opendsr.kernel import calling_out, clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to, only_event
from vtn.models import Event, MessageState, QueuedMessage, Ven
from vtn.port import Vtn
from vtn.transports import outbound, push

pytestmark = pytest.mark.django_db


class Home:
    """A VEN that listens: its server's certificate is the one it was enrolled with."""

    def __init__(self, hub: hubs.TestHub, folder: Path) -> None:
        self.heard: list[tuple[str, m.Message]] = []
        self.callers: list[str] = []
        self.answer: Callable[[m.Message], tuple[int, dict[str, str], bytes]] = self.nods
        self.hub = hub
        home = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = codec.parse(body)
                home.heard.append((self.path, message))
                subject = self.connection.getpeercert()["subject"]  # type: ignore[attr-defined]
                home.callers.append(subject[0][0][1])
                status, fields, answer = home.answer(message)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **fields}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        certificate, key, ca = folder / "home.pem", folder / "home.key", folder / "ca.pem"
        certificate.write_text(hub.certificate_pem)
        key.write_text(hub.key_pem)
        ca.write_text(hub.ca_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def nods(self, message: m.Message) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, codec.serialise(m.Response(m.EiResponse(), self.hub.ven_id))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture(autouse=True)
def _keep_the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "close_old_connections", lambda: None)


@pytest.fixture
def home(db: None, tmp_path: Path, settings: Any) -> Iterator[Home]:
    """Registered in push mode, its address set by staff."""
    hub = hubs.new_hub("home")
    listening = Home(hub, tmp_path)
    settings.VTN_PUSH_NETWORKS = ["127.0.0.0/8"]
    settings.VTN_PUSH_PORTS = [listening.port]
    push.set_push_url(ven_id=hub.ven_id, url=f"https://127.0.0.1:{listening.port}/")
    reply = hub.says("EiRegisterParty", m.CreatePartyRegistration("R1", is_http_pull=False))
    assert reply.response.code == m.OK  # type: ignore[union-attr]
    yield listening
    listening.close()


def pusher() -> push.Pusher:
    return push.Pusher(push.caller(at=clock.wall_now()))


def notice(home: Home) -> Any:
    from datetime import timedelta

    from opendsr.kernel.interval import Interval

    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    return notice_to(home.hub.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))


def test_an_event_is_pushed_once_and_answered(home: Home, vtn: Vtn, settings: Any) -> None:
    vtn.publish(notice(home), key="k", at=AT)

    assert pusher().round() == 1

    ((path, message),) = home.heard
    assert path == "/OpenADR2/Simple/2.0b/EiEvent"
    assert home.callers == [f"vtn.{settings.VTN_ID}"]
    assert Event.objects.get().delivered_modification == 0
    home.hub.answers(only_event(message), at=clock.now())
    assert QueuedMessage.objects.get(kind="events").state == MessageState.ANSWERED
    assert pusher().round() == 0


def test_the_reply_in_the_answer_is_taken(home: Home) -> None:
    from vtn import registering

    def confirms(message: m.Message) -> tuple[int, dict[str, str], bytes]:
        assert isinstance(message, m.CancelPartyRegistration)
        response = m.EiResponse(request_id=message.request_id)
        reply = m.CanceledPartyRegistration(response, message.registration_id, home.hub.ven_id)
        return 200, {}, codec.serialise(reply)

    home.answer = confirms
    registering.cancel_registration(ven_id=home.hub.ven_id, at=clock.now(), by="test")

    assert pusher().round() == 1

    assert not Ven.objects.get().is_registered
    assert QueuedMessage.objects.get().state == MessageState.ANSWERED


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b""),
        (302, {"Location": "https://127.0.0.1/elsewhere"}, b""),
        (200, {}, b"x" * (calling_out.MOST_BYTES + 1)),
        (200, {"Content-Length": "10", "X": "y" * 70_000}, b""),
    ],
)
def test_when_it_fails_a_poll_gets_it_at_once_and_the_ven_is_left_alone(
    home: Home, vtn: Vtn, answer: tuple[int, dict[str, str], bytes]
) -> None:
    home.answer = lambda _: answer
    vtn.publish(notice(home), key="k", at=AT)
    calls = pusher()

    assert calls.round() == 1
    assert calls.round() == 0, "left alone"

    assert Ven.objects.get().push_failures == 1
    assert QueuedMessage.objects.get(kind="events").note.startswith("push: ")
    assert isinstance(home.hub.polls(at=clock.now()), m.DistributeEvent)
    home.answer = home.nods
    assert pusher().round() in (0, 1)  # the poll has just had it


def test_a_ven_that_is_slow_or_away_takes_no_longer_than_allowed(home: Home, vtn: Vtn) -> None:
    is_over = threading.Event()
    home.answer = lambda message: (is_over.wait(120), home.nods(message))[1]
    vtn.publish(notice(home), key="k", at=AT)
    settings = push.caller(at=clock.wall_now())
    impatient = outbound.Caller(
        settings.certificate, settings.key, settings.ca, settings.networks, settings.ports, seconds=0.5
    )
    try:
        assert push.Pusher(impatient).round() == 1
    finally:
        is_over.set()
    assert Ven.objects.get().push_failures == 1


def test_another_server_at_that_address_hears_nothing(
    home: Home, vtn: Vtn, tmp_path: Path, settings: Any
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    impostor = Home(hubs.new_hub("impostor"), other)
    try:
        settings.VTN_PUSH_PORTS = [impostor.port]
        push.set_push_url(ven_id=home.hub.ven_id, url=f"https://127.0.0.1:{impostor.port}")
        vtn.publish(notice(home), key="k", at=AT)
        assert pusher().round() == 1
        assert impostor.heard == []
    finally:
        impostor.close()
    assert Ven.objects.get(ven_id=home.hub.ven_id).push_failures == 1


def test_push_mode_without_an_address_of_staffs_is_refused(db: None) -> None:
    hub = hubs.new_hub("hub")
    message = m.CreatePartyRegistration("R1", is_http_pull=False, transport_address="https://evil.example/")

    reply = hub.says("EiRegisterParty", message)

    assert reply.response.code == m.NOT_ALLOWED  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "2001:db8::1",
    ],
)  # fmt: skip
def test_special_addresses_are_not_called(address: str) -> None:
    assert not calling_out.is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::909:909"])
def test_public_addresses_are(address: str) -> None:
    assert calling_out.is_allowed(ipaddress.ip_address(address))


def test_a_network_allowed_by_name_is_called_and_no_other() -> None:
    networks = [ipaddress.ip_network("10.8.0.0/16")]
    assert calling_out.is_allowed(ipaddress.ip_address("10.8.1.1"), networks=networks)
    assert calling_out.is_allowed(ipaddress.ip_address("::ffff:10.8.1.1"), networks=networks)
    assert not calling_out.is_allowed(ipaddress.ip_address("10.9.1.1"), networks=networks)


@pytest.mark.parametrize(
    "url",
    [
        "http://ven.example/", "https://user@ven.example/", "https://ven.example:22/", "https:///path",
        "ftp://ven.example/", "https://ven.example/?x=1", "https://ven.example/#f", "https://ven.example/a b",
        "https://ven.example:99999/", "https://[::1", "",
    ],
)  # fmt: skip
def test_urls_that_are_never_called(url: str) -> None:
    with pytest.raises(calling_out.NotCalled):
        outbound.parsed(url)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]"])
def test_names_and_spellings_of_this_machine_are_not_called(host: str) -> None:
    with pytest.raises(calling_out.NotCalled):
        outbound.resolved(outbound.parsed(f"https://{host}/"))
