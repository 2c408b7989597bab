"""High security at the edge: signatures of the certificate that speaks, fresh, and new to every process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from oadr import codec, signing
from oadr import messages as m
from oadr.signing import ReplayProtect
from tests.oadr.signatures import fresh
from tests.racing import at_once
from tests.vtn import hubs
from tests.vtn.test_wsgi import _keep_the_tests_connection as _keep_the_tests_connection
from tests.vtn.test_wsgi import post, state
from vtn import enrolling, pki, securing
from vtn.models import Security, SeenNonce, Ven, WireLog
from vtn.securing import WINDOW, SignatureRefused
from vtn.transports import groups

pytestmark = pytest.mark.django_db


def signed(
    hub: hubs.TestHub, message: m.Message | None = None, protect: ReplayProtect | None = None
) -> bytes:
    """A message as the hub signs it."""
    identity = signing.load_identity(
        key_pem=hub.key_pem.encode(), certificate_pem=hub.certificate_pem.encode()
    )
    body = codec.serialise(message or m.Poll(hub.ven_id))
    return signing.sign(body, identity=identity, replay_protect=protect or fresh())


def verified_reply(body: bytes) -> codec.Parsed:
    """The reply, held to this VTN's own certificate."""
    return codec.parse_body(body, certificates=[securing.vtn_identity().certificate_der])


def high(hub: hubs.TestHub) -> hubs.TestHub:
    enrolling.set_security(ven_id=hub.ven_id, security="high", at=hubs.AT, by="staff:7")
    return hub


def test_who_signs_is_answered_signed(hub: hubs.TestHub) -> None:
    replied = post(hub, signed(hub))

    parsed = verified_reply(replied.body)
    assert parsed.replay_protect is not None
    assert parsed.message == m.Response(m.EiResponse(200, "OK", ""), hub.ven_id)
    assert abs(parsed.replay_protect.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_two_replies_have_two_nonces(hub: hubs.TestHub) -> None:
    replies = [verified_reply(post(hub, signed(hub, protect=fresh(nonce))).body) for nonce in "ab"]

    assert len({parsed.replay_protect.nonce for parsed in replies if parsed.replay_protect}) == 2


def test_the_same_signature_is_taken_once(hub: hubs.TestHub) -> None:
    body = signed(hub)
    assert post(hub, body).status == 200
    before = state()

    replied = post(hub, body)

    assert (replied.status, WireLog.objects.get().code) == (403, "replayed")
    assert state() == before


def test_a_nonce_is_one_vens_own(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    protect = fresh("shared")

    assert post(hub, signed(hub, protect=protect)).status == 200
    assert post(stranger, signed(stranger, protect=protect)).status == 200


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (timedelta(days=30), "signed_in_the_future"),
        (WINDOW + timedelta(seconds=30), "signed_in_the_future"),
        (-WINDOW - timedelta(seconds=30), "signed_too_long_ago"),
        (-timedelta(days=3650), "signed_too_long_ago"),
    ],
)
def test_a_signature_out_of_its_time_is_refused(hub: hubs.TestHub, offset: timedelta, code: str) -> None:
    protect = ReplayProtect(datetime.now(UTC) + offset, "n")

    assert post(hub, signed(hub, protect=protect)).status == 403
    assert WireLog.objects.get().code == code
    assert not SeenNonce.objects.exists()


@pytest.mark.parametrize("offset", [timedelta(seconds=-240), timedelta(seconds=240)])
def test_a_clock_minutes_off_is_no_harm(hub: hubs.TestHub, offset: timedelta) -> None:
    assert post(hub, signed(hub, protect=ReplayProtect(datetime.now(UTC) + offset, "n"))).status == 200


def test_a_nonce_is_kept_for_as_long_as_its_timestamp_would_pass(hub: hubs.TestHub) -> None:
    early = datetime.now(UTC) + WINDOW - timedelta(seconds=5)
    assert post(hub, signed(hub, protect=ReplayProtect(early, "n"))).status == 200

    assert securing.forget_nonces(wall=early + WINDOW) == 0
    assert securing.forget_nonces(wall=early + 2 * WINDOW + timedelta(seconds=1)) == 1


def test_a_ven_of_high_security_must_sign(hub: hubs.TestHub) -> None:
    high(hub)
    before = state()

    replied = post(hub, codec.serialise(m.Poll(hub.ven_id)))

    assert (replied.status, WireLog.objects.get().code) == (403, "unsigned")
    assert state() == before
    assert post(hub, signed(hub)).status == 200


def test_a_ven_of_high_security_is_never_answered_from_memory(hub: hubs.TestHub) -> None:
    hub.says("EiEvent", m.RequestEvent("R", hub.ven_id))
    wall = datetime.now(UTC)
    assert hub.fingerprint in groups.quiet_among(groups.look_up([hub.fingerprint], wall=wall), wall=wall)

    high(hub)

    assert not groups.look_up([hub.fingerprint], wall=wall)


def test_saying_so_at_registration_sets_it_and_saying_no_does_not_unset_it(hub: hubs.TestHub) -> None:
    service = "/OpenADR2/Simple/2.0b/EiRegisterParty"
    yes = m.CreatePartyRegistration("R", hub.ven.registration_id, hub.ven_id, has_xml_signature=True)
    assert post(hub, signed(hub, yes, fresh("1")), path=service).status == 200
    assert Ven.objects.get(pk=hub.ven.pk).security == Security.HIGH

    no = m.CreatePartyRegistration("R", hub.ven.registration_id, hub.ven_id)
    assert post(hub, codec.serialise(no), path=service).status == 403
    assert post(hub, signed(hub, no, fresh("2")), path=service).status == 200
    assert Ven.objects.get(pk=hub.ven.pk).security == Security.HIGH

    enrolling.set_security(ven_id=hub.ven_id, security="standard", at=hubs.AT, by="staff:7")
    assert post(hub, codec.serialise(m.Poll(hub.ven_id))).status == 200


def test_another_vens_signature_is_refused(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    assert post(hub, signed(stranger, m.Poll(hub.ven_id))).status == 403
    assert WireLog.objects.get().code == "signature_invalid"


def test_what_this_vtn_begins_is_signed_for_a_ven_of_high_security(hub: hubs.TestHub) -> None:
    message = m.RequestReregistration(hub.ven_id)
    assert b"Signature" not in securing.write(message, ven=hub.ven)

    hub = high(hub)
    hub.ven.refresh_from_db()

    assert verified_reply(securing.write(message, ven=hub.ven)).message == message


def test_the_vtn_signs_with_its_renewed_certificate(hub: hubs.TestHub) -> None:
    before = securing.vtn_identity()
    files = pki.authority().server_files(host="localhost", at=datetime.now(UTC))
    files.certificate.unlink()

    assert securing.vtn_identity().certificate_der != before.certificate_der


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_one_takes_a_signature() -> None:
    hub = hubs.new_hub()
    protect = fresh()
    wall = datetime.now(UTC)

    said = at_once(*[lambda: securing.take_once(hub.ven, protect, wall=wall)] * 4)

    assert [each for each in said if each is None] == [None]
    assert sum(isinstance(each, SignatureRefused) for each in said) == 3
    assert SeenNonce.objects.count() == 1
