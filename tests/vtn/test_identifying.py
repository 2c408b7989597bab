"""A certificate handed on in a header: one whole PEM, escaped once, on record; anything else is refused."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel import clock
from tests.vtn import hubs
from vtn import enrolling, identifying
from vtn.identifying import CertificateRefused, certificate_of_header, speaker
from vtn.models import VenCertificate
from vtn.pki import Authority

pytestmark = pytest.mark.django_db


def escaped(pem: str) -> str:
    """As nginx's $ssl_client_escaped_cert writes it."""
    return quote(pem, safe="")


def refusal(value: str) -> str:
    with pytest.raises(CertificateRefused) as refused:
        speaker(certificate_of_header(value), wall=clock.wall_now())
    return str(refused.value.data["reason"])


def test_the_whole_certificate_is_the_identity(hub: hubs.TestHub) -> None:
    der = certificate_of_header(escaped(hub.certificate_pem))

    assert der == hub.certificate_der
    assert speaker(der, wall=clock.wall_now()) == hub.ven


def test_line_ends_and_case_of_escapes_do_not_matter(hub: hubs.TestHub) -> None:
    windows = escaped(hub.certificate_pem.replace("\n", "\r\n"))
    lower = escaped(hub.certificate_pem).replace("%2F", "%2f").replace("%0A", "%0a")

    assert certificate_of_header(windows) == certificate_of_header(lower) == hub.certificate_der


def test_what_is_not_one_certificate_is_malformed(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    pem, theirs = hub.certificate_pem, stranger.certificate_pem
    body = "".join(pem.splitlines()[1:-1])
    for value in (
        pem,  # bare
        pem.replace("\n", " "),
        pem.replace("\n", "\t"),
        body,
        escaped(escaped(pem)),
        escaped(pem + theirs),  # a chain
        escaped(theirs) + escaped(pem),
        f"{escaped(pem)},{escaped(pem)}",  # two headers, as WSGI servers join them
        f"{escaped(pem)}, {escaped(theirs)}",
        escaped("Subject: x\n" + pem),
        escaped(pem + "x"),
        escaped(pem).replace("CERTIFICATE", "TRUSTED%20CERTIFICATE"),
        escaped(hub.key_pem),
        escaped(pem[:-40]),
        escaped(pem[:60] + pem[80:]),
        escaped(pem.replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n\n")),
        escaped(pem).replace("%0A", "%0"),
        escaped(pem) + "%00",
        "-",
        "(null)",
        "x" * 20_000,
        "Hash=abc;Cert=" + escaped(pem),
    ):
        assert refusal(value) == "malformed", value[:60]


def test_nothing_is_nobody() -> None:
    assert refusal("") == "no_certificate"
    for der in (None, b""):
        with pytest.raises(CertificateRefused, match="no_certificate"):
            speaker(der, wall=clock.wall_now())


def test_another_authoritys_certificate_is_unknown(hub: hubs.TestHub, tmp_path: object) -> None:
    foreign = Authority(tmp_path / "foreign")  # type: ignore[operator]
    issued = foreign.sign_csr(csr_pem=hubs.csr_of(hubs.new_key()), ven_id=hub.ven_id, at=clock.wall_now())

    assert refusal(escaped(issued.pem)) == "unknown"


def test_one_of_this_authority_that_is_not_on_record_is_unknown(hub: hubs.TestHub) -> None:
    """Whoever stole the issuing key can sign certificates, and still speaks for nobody."""
    from vtn import pki

    issued = pki.authority().sign_csr(
        csr_pem=hubs.csr_of(hubs.new_key()), ven_id=hub.ven_id, at=clock.wall_now()
    )

    assert refusal(escaped(issued.pem)) == "unknown"


def test_expired_not_yet_valid_and_revoked_ones_are_refused(hub: hubs.TestHub) -> None:
    row = VenCertificate.objects.get(ven=hub.ven)
    for wall in (row.not_after, row.not_before - timedelta(seconds=1)):
        with pytest.raises(CertificateRefused, match="out_of_date"):
            speaker(hub.certificate_der, wall=wall)

    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT)

    assert refusal(escaped(hub.certificate_pem)) == "revoked"


def test_the_first_word_of_a_certificate_is_noted_once(hub: hubs.TestHub) -> None:
    row = VenCertificate.objects.get(ven=hub.ven)
    assert row.first_used_wall_at is None
    first = clock.wall_now()

    speaker(hub.certificate_der, wall=first)
    speaker(hub.certificate_der, wall=first + timedelta(hours=1))

    row.refresh_from_db()
    assert row.first_used_wall_at == first


def test_the_certificates_that_may_sign_are_those_in_force(hub: hubs.TestHub) -> None:
    wall = clock.wall_now()
    assert identifying.certificates_of(hub.ven, wall=wall) == [hub.certificate_der]

    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT)

    assert identifying.certificates_of(hub.ven, wall=wall) == []


@given(value=st.text(max_size=200) | st.binary(max_size=200).map(lambda data: quote(data, safe="")))
def test_no_text_is_worse_than_refused(value: str) -> None:
    with pytest.raises(CertificateRefused):
        certificate_of_header(value)
