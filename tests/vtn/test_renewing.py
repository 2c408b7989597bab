"""Renewal over the live connection: who may, when, how many at once, and when the old one ends."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.vtn import hubs
from tests.vtn.test_wsgi import _keep_the_tests_connection as _keep_the_tests_connection
from tests.vtn.test_wsgi import post, state
from vtn import identifying, renewing
from vtn.identifying import CertificateRefused
from vtn.models import VenCertificate, WireLog
from vtn.renewing import OVERLAP, AlreadyReplaced, RenewalTooEarly, renew, retire_replaced

pytestmark = pytest.mark.django_db
REENROLL = "/.well-known/est/simplereenroll"
Later = Callable[[timedelta], datetime]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Moves the wall clock on, for this process."""
    began = clock.wall_now()

    def move(by: timedelta) -> datetime:
        monkeypatch.setattr(clock, "wall_now", lambda: began + by)
        return began + by

    return move


def renewed(hub: hubs.TestHub, fingerprint: str | None = None) -> str:
    """Renew with the hub's certificate (or the one named); return the next one's fingerprint."""
    issued = renew(
        ven=hub.ven,
        fingerprint=fingerprint or hub.fingerprint,
        csr_pem=hubs.csr_of(hubs.new_key()),
        at=hubs.AT,
    )
    return issued.fingerprint


def in_force(hub: hubs.TestHub) -> set[str]:
    return set(
        VenCertificate.objects.filter(ven=hub.ven, revoked_at=None).values_list("fingerprint", flat=True)
    )


def test_two_certificates_speak_while_one_replaces_the_other(hub: hubs.TestHub, later: Later) -> None:
    wall = later(timedelta(days=243))

    fresh = renewed(hub)

    for fingerprint in (hub.fingerprint, fresh):
        assert identifying.ven_of(fingerprint, wall=wall) == hub.ven
    entry = AuditEntry.objects.filter(verb="vtn.certificate.issued").order_by("-pk")[0]
    assert (entry.actor, entry.target) == (f"ven:{hub.ven_id}", f"ven:{hub.ven_id}")


def test_before_half_its_life_it_is_too_early(hub: hubs.TestHub, later: Later) -> None:
    later(timedelta(days=180))
    with pytest.raises(RenewalTooEarly):
        renewed(hub)

    later(timedelta(days=184))
    assert renewed(hub)


def test_a_lost_answer_is_asked_for_again_and_two_stay(hub: hubs.TestHub, later: Later) -> None:
    later(timedelta(days=243))
    lost = renewed(hub)
    later(timedelta(days=244))

    taken = renewed(hub)

    assert in_force(hub) == {hub.fingerprint, taken}
    assert VenCertificate.objects.get(fingerprint=lost).revocation_code == "superseded"


def test_the_old_one_ends_a_week_after_the_new_one_is_used_and_not_before(
    hub: hubs.TestHub, later: Later
) -> None:
    wall = later(timedelta(days=243))
    fresh = renewed(hub)
    assert retire_replaced(at=hubs.AT, wall=later(timedelta(days=300))) == 0

    wall = later(timedelta(days=301))
    identifying.ven_of(fresh, wall=wall)
    assert retire_replaced(at=hubs.AT, wall=wall + OVERLAP - timedelta(hours=1)) == 0
    assert retire_replaced(at=hubs.AT, wall=wall + OVERLAP) == 1
    assert retire_replaced(at=hubs.AT, wall=wall + OVERLAP) == 0

    assert in_force(hub) == {fresh}
    with pytest.raises(CertificateRefused, match="revoked"):
        identifying.ven_of(hub.fingerprint, wall=wall)


def test_once_its_successor_is_used_the_old_one_asks_for_nothing(hub: hubs.TestHub, later: Later) -> None:
    wall = later(timedelta(days=243))
    fresh = renewed(hub)
    identifying.ven_of(fresh, wall=wall)

    with pytest.raises(AlreadyReplaced):
        renewed(hub)
    assert in_force(hub) == {hub.fingerprint, fresh}


def test_another_vens_certificate_renews_nothing_here(
    hub: hubs.TestHub, stranger: hubs.TestHub, later: Later
) -> None:
    later(timedelta(days=243))
    with pytest.raises(VenCertificate.DoesNotExist):
        renewed(hub, stranger.fingerprint)


def test_renewing_retires_nobody_elses(hub: hubs.TestHub, stranger: hubs.TestHub, later: Later) -> None:
    wall = later(timedelta(days=243))
    identifying.ven_of(renewed(hub), wall=wall)

    assert retire_replaced(at=hubs.AT, wall=wall + OVERLAP) == 1
    assert in_force(stranger) == {stranger.fingerprint}


# ---- over the wire


def test_the_listener_renews_for_the_certificate_that_speaks(hub: hubs.TestHub, later: Later) -> None:
    wall = later(timedelta(days=243))
    key = hubs.new_key()

    replied = post(hub, hubs.csr_of(key, name="VEN-of-somebody-else").encode(), path=REENROLL)

    assert replied.status == 200, replied.body
    assert replied.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(replied.body))
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={hub.ven_id}"
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert identifying.speaker(der, wall=wall) == hub.ven


@pytest.mark.parametrize(
    ("status", "code", "days", "body"),
    [
        (409, "renewal_too_early", 10, None),
        (422, "csr_invalid", 243, b"nonsense"),
        (413, "too_large", 243, b"x" * 20_000),
        (403, "out_of_date", 366, None),
    ],
)
def test_what_cannot_be_renewed_is_said_and_logged_once(
    hub: hubs.TestHub, later: Later, status: int, code: str, days: int, body: bytes | None
) -> None:
    later(timedelta(days=days))
    before = (state(), in_force(hub))

    replied = post(hub, body or hubs.csr_of(hubs.new_key()).encode(), path=REENROLL)

    assert replied.status == status, replied.body
    assert WireLog.objects.get().code == code
    assert (state(), in_force(hub)) == before


def test_nobody_without_a_certificate_renews(hub: hubs.TestHub) -> None:
    for path in (REENROLL, "/.well-known/est/cacerts"):
        method = "POST" if path == REENROLL else "GET"
        assert post(None, b"", path=path, method=method).status == 403
    assert post(hub, b"", path="/.well-known/est/simpleenroll").status == 404
    assert post(hub, b"", path=REENROLL, method="GET").status == 405


def test_a_ven_is_given_the_ca_over_its_connection(hub: hubs.TestHub) -> None:
    replied = post(hub, b"", path="/.well-known/est/cacerts", method="GET")

    held = pkcs7.load_der_pkcs7_certificates(base64.b64decode(replied.body))
    assert set(held) == set(x509.load_pem_x509_certificates(hub.ca_pem.encode()))


def test_the_overlap_is_shorter_than_what_is_left() -> None:
    assert timedelta(days=365) / 3 > renewing.OVERLAP
