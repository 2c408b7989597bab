"""The listener's edge, called as gunicorn calls it: HTTP refusals, the log, and never a 5xx for any body."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oadr import codec
from oadr import messages as m
from tests.oadr import samples
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to
from vtn import enrolling, wsgi
from vtn.models import Event, EventOpt, OptSchedule, Ven, WireLog
from vtn.port import Vtn
from vtn.services import answering

pytestmark = pytest.mark.django_db

POLL_PATH = "/OpenADR2/Simple/2.0b/OadrPoll"


@pytest.fixture(autouse=True)
def _keep_the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Django's own test client does: the test's transaction outlives the request."""
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)


@dataclass(frozen=True, slots=True)
class Replied:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> m.Message:
        assert self.headers["Content-Type"] == "application/xml"
        return codec.parse(self.body)


def post(
    hub: hubs.TestHub | None,
    body: bytes,
    *,
    path: str = POLL_PATH,
    method: str = "POST",
    environ: dict[str, Any] | None = None,
) -> Replied:
    """Call the application as `hub` (None: a connection without certificate)."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        started.append((status, headers))

    call: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/xml",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "vtn.certificate": hub.certificate_der if hub else None,
    }
    chunks: Iterable[bytes] = wsgi.application(call | (environ or {}), start_response)
    ((status, headers),) = started
    return Replied(int(status.split()[0]), dict(headers), b"".join(chunks))


def poll_of(hub: hubs.TestHub) -> bytes:
    return codec.serialise(m.Poll(hub.ven_id))


def state() -> tuple[object, ...]:
    """Everything a message could change."""
    return (
        list(Ven.objects.order_by("pk").values_list("ven_id", "registration_id", "registered_at")),
        list(Event.objects.order_by("pk").values()),
        EventOpt.objects.count(),
        OptSchedule.objects.count(),
    )


def test_a_poll_is_answered(hub: hubs.TestHub) -> None:
    replied = post(hub, poll_of(hub))

    assert replied.status == 200
    assert replied.message == m.Response(m.EiResponse(200, "OK", ""), hub.ven_id)
    assert replied.headers["Content-Length"] == str(len(replied.body))
    assert not WireLog.objects.exists()


def test_a_bare_message_is_answered_bare(hub: hubs.TestHub) -> None:
    replied = post(hub, codec.serialise(m.Poll(hub.ven_id), is_enveloped=False))

    assert b"oadrPayload" not in replied.body
    assert replied.status == 200


def test_the_hub_is_seen_at_most_twice_a_minute(hub: hubs.TestHub, django_assert_num_queries: Any) -> None:
    post(hub, poll_of(hub))
    seen = Ven.objects.get(pk=hub.ven.pk).last_seen_wall_at
    assert seen is not None

    with django_assert_num_queries(2):  # who it is, and what is due: an idle poll writes nothing
        post(hub, poll_of(hub))


@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/xml; charset=UTF-8", 'text/xml;charset="utf-8"', ""]
)
def test_odd_content_types_of_xml_are_taken(hub: hubs.TestHub, content_type: str) -> None:
    assert post(hub, poll_of(hub), environ={"CONTENT_TYPE": content_type}).status == 200


@pytest.mark.parametrize(
    ("status", "code", "environ"),
    [
        (415, "media_type", {"CONTENT_TYPE": "application/json"}),
        (415, "charset", {"CONTENT_TYPE": "application/xml; charset=utf-16"}),
        (415, "content_encoding", {"HTTP_CONTENT_ENCODING": "gzip"}),
        (411, "no_length", {"CONTENT_LENGTH": ""}),
        (411, "no_length", {"CONTENT_LENGTH": "many"}),
        (411, "no_length", {"CONTENT_LENGTH": "-1"}),
        (413, "too_large", {"CONTENT_LENGTH": str(300 * 1024)}),
        (400, "cut_short", {"CONTENT_LENGTH": "9999"}),
    ],
)
def test_http_faults_are_4xx_and_logged_once(
    hub: hubs.TestHub, status: int, code: str, environ: dict[str, str]
) -> None:
    replied = post(hub, poll_of(hub), environ=environ)

    assert replied.status == status
    assert isinstance(replied.message, m.Response)
    entry = WireLog.objects.get()
    assert (entry.ven, entry.code, entry.http_status) == (hub.ven, code, status)


@pytest.mark.parametrize(
    ("body", "environ", "told"),
    [
        (b"<x/>", {}, "unknown message: line 1: x is no 2.0b message"),
        (b"<a>\n<b></a>", {}, "not well formed: line 2: Opening and ending tag mismatch"),
        (b"<!DOCTYPE a><a/>", {}, "has doctype: line 1: a DOCTYPE is never accepted"),
        (b"", {"CONTENT_TYPE": "application/json"}, "media type: send application/xml"),
        (
            codec.serialise(m.Poll("V")).replace(b"venID", "\u00fcn".encode()),
            {},
            "schema invalid: line 2:",
        ),
    ],
)
def test_who_sent_a_bad_body_reads_where_and_what(
    hub: hubs.TestHub, body: bytes, environ: dict[str, str], told: str
) -> None:
    reply = post(hub, body, environ=environ).message

    assert isinstance(reply, m.Response)
    assert reply.response.description.startswith(told)


@pytest.mark.parametrize(
    "path", ["/", "/OpenADR2/Simple/2.0b/", "/OpenADR2/Simple/2.0b/EiNone", "/openadr2/x"]
)
def test_other_paths_are_404(hub: hubs.TestHub, path: str) -> None:
    assert post(hub, poll_of(hub), path=path).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_other_methods_are_405(hub: hubs.TestHub, method: str) -> None:
    replied = post(hub, b"", method=method)

    assert (replied.status, replied.headers["Allow"]) == (405, "POST")


def test_the_supervisor_hears_that_it_lives() -> None:
    assert post(None, b"", path="/livez", method="GET").status == 200


# ---- who speaks


def test_no_certificate_is_403(hub: hubs.TestHub) -> None:
    replied = post(None, poll_of(hub))

    assert replied.status == 403
    assert WireLog.objects.get().code == "no_certificate"


def test_a_socket_that_knows_no_certificates_is_403(hub: hubs.TestHub) -> None:
    assert post(hub, poll_of(hub), environ={"vtn.certificate": None}).status == 403


def test_a_header_is_no_identity(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    claims = {
        "HTTP_X_SSL_CERT": hub.certificate_pem.replace("\n", ""),
        "SSL_CLIENT_S_DN_CN": hub.ven_id,
        "HTTP_SSL_CLIENT_S_DN_CN": hub.ven_id,
        "REMOTE_USER": hub.ven_id,
    }

    assert post(None, poll_of(hub), environ=claims).status == 403
    reply = post(stranger, poll_of(hub), environ=claims).message
    assert isinstance(reply, m.Response)
    assert reply.response.code == m.NOT_REGISTERED


def test_a_certificate_nobody_enrolled_is_403(hub: hubs.TestHub) -> None:
    replied = post(hub, poll_of(hub), environ={"vtn.certificate": b"another"})

    assert replied.status == 403
    entry = WireLog.objects.get()
    assert (entry.ven, entry.code) == (None, "unknown")


def test_revocation_holds_from_the_next_request(hub: hubs.TestHub) -> None:
    assert post(hub, poll_of(hub)).status == 200

    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=AT)

    replied = post(hub, poll_of(hub))
    assert replied.status == 403
    assert hub.fingerprint.encode() not in replied.body
    assert WireLog.objects.get().code == "revoked"


def test_another_hubs_certificate_is_463_and_changes_nothing(
    vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    before = state()

    reply = post(stranger, poll_of(hub)).message

    assert isinstance(reply, m.Response)
    assert reply.response.code == m.NOT_REGISTERED
    assert state() == before
    entry = WireLog.objects.get()
    assert (entry.ven, entry.message, entry.code, entry.http_status) == (
        stranger.ven,
        "oadrPoll",
        "463",
        200,
    )


# ---- bodies


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("not_well_formed", b"<oadr:oadrPayload"),
        ("not_well_formed", b""),
        (
            "has_doctype",
            b'<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>\n<x>&e;</x>',
        ),
        ("unknown_message", b"<x/>"),
        ("not_utf8", "<?xml version='1.0' encoding='utf-16'?><x/>".encode("utf-16")),
        (
            "schema_invalid",
            b'<oadrPayload xmlns="http://openadr.org/oadr-2.0b/2012/07"><oadrSignedObject/></oadrPayload>',
        ),
    ],
)
def test_a_bad_body_is_400_logged_once_and_changes_nothing(
    hub: hubs.TestHub, code: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = state()

    replied = post(hub, body)

    assert replied.status == 400
    assert isinstance(replied.message, m.Response)
    assert replied.message.response.code == m.COMPLIANCE_ERROR
    assert state() == before
    entry = WireLog.objects.get()
    assert (entry.ven, entry.service, entry.code, entry.http_status) == (hub.ven, "OadrPoll", code, 400)
    assert len([record for record in caplog.records if record.name == "vtn.wire"]) == 1


def test_the_log_keeps_no_secret_and_stays_on_one_line(
    hub: hubs.TestHub, caplog: pytest.LogCaptureFixture
) -> None:
    body = f"<x>\n<ei:registrationID>{hub.ven.registration_id}</ei:registrationID>\r\nFAKE LOG LINE</y>"

    post(hub, body.encode())

    entry = WireLog.objects.get()
    assert hub.ven.registration_id not in entry.excerpt + entry.reason
    assert "\n" not in entry.excerpt
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_a_refusal_inside_the_protocol_is_logged_once(hub: hubs.TestHub) -> None:
    body = codec.serialise(m.CancelPartyRegistration("R", "REG-made-up", hub.ven_id))

    replied = post(hub, body, path="/OpenADR2/Simple/2.0b/EiRegisterParty")

    assert isinstance(replied.message, m.CanceledPartyRegistration)
    entry = WireLog.objects.get()
    assert (entry.code, entry.message) == ("452", "oadrCancelPartyRegistration")


def test_a_database_that_is_away_is_503_to_be_tried_again(
    hub: hubs.TestHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setitem(answering.SERVICES["OadrPoll"], m.Poll, away)

    replied = post(hub, poll_of(hub))

    assert (replied.status, replied.headers["Retry-After"]) == (503, "5")


SOMEWHERE = st.sampled_from([f"/OpenADR2/Simple/2.0b/{service}" for service in answering.SERVICES])
ACCEPTABLE = {200, 400, 403, 411, 413, 415}
ONE_HUB = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=80, deadline=None, suppress_health_check=ONE_HUB)
@given(body=st.binary(max_size=300), path=SOMEWHERE)
def test_random_bytes_are_never_5xx(hub: hubs.TestHub, body: bytes, path: str) -> None:
    assert post(hub, body, path=path).status in ACCEPTABLE


@settings(max_examples=150, deadline=None, suppress_health_check=ONE_HUB)
@given(message=samples.messages, path=SOMEWHERE)
def test_any_message_at_any_service_gets_a_valid_reply(
    hub: hubs.TestHub, message: m.Message, path: str
) -> None:
    replied = post(hub, codec.serialise(message), path=path)

    assert replied.status == 200
    assert replied.message


@settings(max_examples=150, deadline=None, suppress_health_check=ONE_HUB)
@given(
    message=samples.messages,
    path=SOMEWHERE,
    place=st.floats(0, 1),
    inserted=st.binary(max_size=5),
    dropped=st.integers(0, 8),
)
def test_mutated_messages_are_never_5xx(
    hub: hubs.TestHub, message: m.Message, path: str, place: float, inserted: bytes, dropped: int
) -> None:
    body = codec.serialise(message).replace(b"VEN-1", hub.ven_id.encode())
    at = int(place * len(body))

    assert post(hub, body[:at] + inserted + body[at + dropped :], path=path).status in ACCEPTABLE


@pytest.mark.skipif(not samples.verdicts(), reason="the OpenADR sample files are not on this machine")
def test_no_sample_file_is_answered_with_5xx(hub: hubs.TestHub) -> None:
    for name, _ in samples.verdicts():
        body = (samples.SAMPLES / name).read_bytes()
        for service in answering.SERVICES:
            path = f"/OpenADR2/Simple/2.0b/{service}"
            assert post(hub, body, path=path).status in ACCEPTABLE, (name, service)


def test_a_body_that_stalls_is_a_refusal_like_any_other(hub: hubs.TestHub) -> None:
    class Stalled(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise TimeoutError("timed out")

    before = state()

    replied = post(hub, poll_of(hub), environ={"wsgi.input": Stalled()})

    assert replied.status == 400
    assert WireLog.objects.get().code == "cut_short"
    assert state() == before
