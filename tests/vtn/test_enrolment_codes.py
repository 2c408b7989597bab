"""One-time codes: for one subject, one use, five tries; and the door on the people's site that takes them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.racing import at_once
from tests.vtn import hubs
from vtn import enrolment_codes, identifying
from vtn.enrolment_codes import MOST_FAILURES, CodeRefused, SubjectInvalid, issue_code, redeem_code
from vtn.models import EnrolmentCode, Ven, VenCertificate
from vtn.port import UnknownVen
from vtn.requests import CsrInvalid

pytestmark = pytest.mark.django_db
ENROLL = "/.well-known/est/simpleenroll"


@pytest.fixture(autouse=True)
def _no_tries_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def given(subject: str = "hub-7", **how: object) -> enrolment_codes.IssuedCode:
    return issue_code(subject=subject, at=hubs.AT, by="staff:7", **how)  # type: ignore[arg-type]


def redeemed(code: str, subject: str = "hub-7", csr: str | None = None) -> enrolment_codes.EnrolledVen:
    return redeem_code(subject=subject, code=code, csr_pem=csr or hubs.csr_of(hubs.new_key()), at=hubs.AT)


def test_a_code_makes_its_bearer_a_ven_once() -> None:
    issued = given()
    enrolled = redeemed(issued.code)

    assert identifying.ven_of(enrolled.fingerprint, wall=clock.wall_now()).ven_id == enrolled.ven_id
    row = EnrolmentCode.objects.get()
    assert (row.ven.ven_id if row.ven else None, row.used_at is not None) == (enrolled.ven_id, True)
    assert issued.code not in str(EnrolmentCode.objects.values())
    fact = OutboxFact.objects.get(topic="vtn.ven.enrolled")
    assert (fact.payload["subject"], fact.payload["ven_id"]) == ("hub-7", enrolled.ven_id)
    verbs = list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["vtn.enrolment_code.issued", "vtn.certificate.issued", "vtn.enrolment_code.used"]
    with pytest.raises(CodeRefused):
        redeemed(issued.code)
    assert Ven.objects.count() == 1


def test_it_is_read_as_people_type_it() -> None:
    code = given().code.lower().replace("-", " ").replace("0", "o").replace("1", "l")

    assert redeemed(f" {code} ").ven_id


def test_a_code_is_its_subjects_alone() -> None:
    code = given("hub-7").code
    other = given("hub-8").code

    for subject, wrong in (("hub-8", code), ("hub-7", other), ("hub-9", code), ("", code)):
        with pytest.raises(CodeRefused):
            redeemed(wrong, subject)
    assert not Ven.objects.exists()


def test_five_wrong_tries_close_it_and_each_is_in_the_audit_trail() -> None:
    code = given().code
    for _ in range(MOST_FAILURES):
        with pytest.raises(CodeRefused):
            redeemed("WRONG")

    with pytest.raises(CodeRefused):
        redeemed(code)
    assert AuditEntry.objects.filter(verb="vtn.enrolment_code.wrong").count() == MOST_FAILURES
    assert redeemed(given().code).ven_id


def test_a_code_too_old_is_refused() -> None:
    code = given().code
    EnrolmentCode.objects.update(
        issued_at=clock.wall_now() - timedelta(days=2), expires_at=clock.wall_now() - timedelta(seconds=1)
    )

    with pytest.raises(CodeRefused):
        redeemed(code)


def test_no_code_lives_longer_than_a_month() -> None:
    issued = given(life=timedelta(days=365))

    assert issued.expires_at <= clock.wall_now() + timedelta(days=30)


def test_a_new_code_voids_the_one_before() -> None:
    first, second = given().code, given().code

    with pytest.raises(CodeRefused):
        redeemed(first)
    assert redeemed(second).ven_id
    assert enrolment_codes.void_code(subject="hub-7", at=hubs.AT, by="staff:7") is False


def test_a_voided_code_is_refused() -> None:
    code = given().code
    assert enrolment_codes.void_code(subject="hub-7", at=hubs.AT, by="staff:7")

    with pytest.raises(CodeRefused):
        redeemed(code)


def test_a_bad_request_does_not_spend_a_good_code() -> None:
    code = given().code
    with pytest.raises(CsrInvalid):
        redeemed(code, csr="nonsense")

    assert redeemed(code).ven_id


def test_a_replaced_hub_becomes_the_same_ven_and_the_old_one_nobody(hub: hubs.TestHub) -> None:
    hub.says("EiEvent", m.RequestEvent("R", hub.ven_id))
    issued = given(ven_id=hub.ven_id)

    enrolled = redeemed(issued.code)

    assert enrolled.ven_id == hub.ven_id
    wall = clock.wall_now()
    assert identifying.ven_of(enrolled.fingerprint, wall=wall) == hub.ven
    with pytest.raises(identifying.CertificateRefused, match="revoked"):
        identifying.ven_of(hub.fingerprint, wall=wall)
    hub.ven.refresh_from_db()
    assert hub.ven.is_registered
    assert VenCertificate.objects.get(fingerprint=hub.fingerprint).revocation_code == "superseded"


@pytest.mark.parametrize("subject", ["", "a b", "a:b", "x" * 65, "a\nb", "a\x00b"])
def test_a_subject_can_travel(subject: str) -> None:
    with pytest.raises(SubjectInvalid):
        given(subject)


def test_a_code_for_an_unknown_ven_is_not_given() -> None:
    with pytest.raises(UnknownVen):
        given(ven_id="VEN-unknown")


@pytest.mark.django_db(transaction=True)
def test_of_many_bearers_at_once_one_becomes_the_ven() -> None:
    code = given().code
    requests = [hubs.csr_of(hubs.new_key()) for _ in range(4)]

    said = at_once(*[lambda csr=csr: redeemed(code, csr=csr) for csr in requests])

    assert sum(isinstance(each, enrolment_codes.EnrolledVen) for each in said) == 1
    assert sum(isinstance(each, CodeRefused) for each in said) == 3
    assert (Ven.objects.count(), VenCertificate.objects.count()) == (1, 1)


# ---- the door


def basic(subject: str, code: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Basic {base64.b64encode(f'{subject}:{code}'.encode()).decode()}"}


def certificates_in(body: bytes) -> list[x509.Certificate]:
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))


def der_of(csr_pem: str) -> bytes:
    return x509.load_pem_x509_csr(csr_pem.encode()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("form", ["pem", "der", "base64"])
def test_the_door_gives_a_certificate_for_a_code(client: Client, form: str) -> None:
    key = hubs.new_key()
    pem = hubs.csr_of(key)
    body = {"pem": pem.encode(), "der": der_of(pem), "base64": base64.encodebytes(der_of(pem))}[form]

    response = client.post(ENROLL, body, content_type="application/pkcs10", **basic("hub-7", given().code))

    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    (certificate,) = certificates_in(response.content)
    assert certificate.public_key() == key.public_key()
    wall = clock.wall_now()
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert identifying.speaker(der, wall=wall) == Ven.objects.get()


def test_the_door_says_the_same_to_every_stranger(client: Client) -> None:
    code = given().code
    csr = hubs.csr_of(hubs.new_key())
    answers = {
        (response.status_code, response.content)
        for headers in (
            {},
            {"HTTP_AUTHORIZATION": "Bearer x"},
            {"HTTP_AUTHORIZATION": "Basic !!!"},
            {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"no colon").decode()},
            basic("hub-7", "WRONG"),
            basic("hub-8", code),
            basic("\x00", code),
        )
        if (response := client.post(ENROLL, csr, content_type="application/pkcs10", **headers))
    }

    assert answers == {(401, b"enrolment refused\n")}
    assert not Ven.objects.exists()


def test_the_door_slows_down_whoever_keeps_trying(client: Client, settings: Settings) -> None:
    settings.VTN_ENROL_TRIES_A_MINUTE = 3
    csr = hubs.csr_of(hubs.new_key())
    statuses = [
        client.post(ENROLL, csr, content_type="application/pkcs10", **basic("hub-7", "X")).status_code
        for _ in range(4)
    ]

    assert statuses == [401, 401, 401, 429]
    elsewhere = client.post(
        ENROLL, csr, content_type="application/pkcs10", REMOTE_ADDR="192.0.2.7", **basic("hub-7", "X")
    )
    assert elsewhere.status_code == 401


def test_behind_our_proxy_the_peers_address_counts_and_cannot_be_made_up(
    client: Client, settings: Settings
) -> None:
    settings.VTN_ENROL_TRIES_A_MINUTE, settings.TRUSTED_PROXY_COUNT = 1, 1
    csr = hubs.csr_of(hubs.new_key())

    def tried(forwarded: str) -> int:
        headers = basic("hub-7", "X") | {"HTTP_X_FORWARDED_FOR": forwarded}
        return client.post(ENROLL, csr, content_type="application/pkcs10", **headers).status_code

    assert tried("192.0.2.1") == 401
    assert tried("10.9.9.9, 192.0.2.1") == 429
    assert tried("192.0.2.2") == 401


@pytest.mark.parametrize("body", [b"", b"nonsense", b"-----BEGIN X-----", b"0" * 20_000, b"\x30\x80"])
def test_a_request_that_is_none_is_422_and_spends_nothing(client: Client, body: bytes) -> None:
    code = given().code

    response = client.post(ENROLL, body, content_type="application/pkcs10", **basic("hub-7", code))

    assert response.status_code == 422
    assert redeemed(code).ven_id


def test_the_door_is_for_posting(client: Client) -> None:
    assert client.get(ENROLL).status_code == 405


def test_whoever_asks_gets_the_ca(client: Client) -> None:
    response = client.get("/.well-known/est/cacerts")

    held = certificates_in(response.content)  # a set by its nature
    issuing, root = sorted(held, key=lambda each: each.issuer == each.subject)
    issuing.verify_directly_issued_by(root)


def test_a_keyless_authority_is_503_and_says_nothing(
    client: Client, settings: Settings, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENDSR_CA_PASSPHRASE", raising=False)
    settings.VTN_PKI_DIR, settings.VTN_ENCRYPTED_KEYS = tmp_path, True
    code = given().code

    response = client.post(
        ENROLL,
        hubs.csr_of(hubs.new_key()),
        content_type="application/pkcs10",
        **basic("hub-7", code),
    )

    assert response.status_code == 503
    assert urlsplit(str(tmp_path)).path.encode() not in response.content
    assert not Ven.objects.exists()
