"""Revocation lists as others read them, and the hook for whoever holds connections."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from opendsr.kernel import clock, outbox
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.vtn import hubs
from vtn import enrolling, pki, revoking, tasks
from vtn.models import RevocationCode, RevocationList, VenCertificate
from vtn.revoking import LIST_LIFE, REPUBLISH_AFTER, Revocation, publish_lists

pytestmark = pytest.mark.django_db


def published(*, wall: datetime | None = None, is_forced: bool = True) -> x509.CertificateRevocationList:
    (row,) = publish_lists(at=hubs.AT, wall=wall or clock.wall_now(), is_forced=is_forced)
    return x509.load_der_x509_crl(bytes(row.der))


def serial(hub: hubs.TestHub) -> int:
    return x509.load_pem_x509_certificate(hub.certificate_pem.encode()).serial_number


def revoke(hub: hubs.TestHub, code: str = RevocationCode.UNSPECIFIED) -> None:
    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT, by="staff:7", code=code)


def test_a_list_is_signed_by_its_authority_and_names_who_ended(
    hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    revoke(hub, RevocationCode.KEY_COMPROMISE)

    crl = published()

    issuing = pki.authority().issuing()
    assert crl.is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    assert crl.issuer == issuing.subject
    entry = crl.get_revoked_certificate_by_serial_number(serial(hub))
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason == x509.ReasonFlags.key_compromise
    assert crl.get_revoked_certificate_by_serial_number(serial(stranger)) is None
    assert crl.next_update_utc is not None
    assert crl.next_update_utc - crl.last_update_utc == LIST_LIFE


def test_numbers_only_grow_and_old_lists_go(db: None) -> None:
    wall = clock.wall_now()
    numbers = []
    for days in (0, 1, 9):
        crl = published(wall=wall + timedelta(days=days))
        numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)

    assert numbers == [1, 2, 3]
    assert list(RevocationList.objects.values_list("number", flat=True)) == [3]


def test_on_schedule_a_list_is_signed_when_it_is_an_hour_old(db: None) -> None:
    wall = clock.wall_now()
    published(wall=wall, is_forced=False)

    assert publish_lists(at=hubs.AT, wall=wall + REPUBLISH_AFTER / 2) == []
    assert len(publish_lists(at=hubs.AT, wall=wall + REPUBLISH_AFTER)) == 1


def test_a_revocation_is_published_by_the_sweep_and_once_for_many(
    hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    revoke(hub)
    revoke(stranger)

    outbox.drain()

    crl = x509.load_der_x509_crl(bytes(RevocationList.objects.get().der))
    assert {entry.serial_number for entry in crl} == {serial(hub), serial(stranger)}
    assert AuditEntry.objects.filter(verb="vtn.revocation_list.published").count() == 1


def test_what_has_expired_leaves_the_list(hub: hubs.TestHub) -> None:
    revoke(hub)
    row = VenCertificate.objects.get(ven=hub.ven)

    assert len(list(published(wall=row.not_after))) == 1
    assert len(list(published(wall=row.not_after + LIST_LIFE + timedelta(seconds=1)))) == 0


def test_whoever_fetches_the_list_by_the_certificates_own_address_gets_it(
    client: Client, hub: hubs.TestHub, settings: Settings, tmp_path: Path
) -> None:
    certificate = x509.load_pem_x509_certificate(hub.certificate_pem.encode())
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (name,) = points[0].full_name or ()
    path = name.value.partition("8000")[2]
    assert client.get(path).status_code == 404
    revoke(hub)
    outbox.drain()

    response = client.get(path)

    assert (response.status_code, response["Content-Type"]) == (200, "application/pkix-crl")
    assert client.get("/pki/0123456789abcdef.crl").status_code == 404
    (tmp_path / "list.crl").write_bytes(response.content)
    (tmp_path / "hub.pem").write_text(hub.certificate_pem)
    words = ["openssl", "verify", "-crl_check", "-CRLfile", str(tmp_path / "list.crl")]
    words += ["-CAfile", str(pki.authority().certificate_path), str(tmp_path / "hub.pem")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "certificate revoked" in done.stderr + done.stdout
    assert b"BEGIN X509 CRL" in (Path(settings.VTN_PKI_DIR) / "revoked.pem").read_bytes()


def test_without_an_address_certificates_name_none(settings: Settings, db: None) -> None:
    settings.VTN_PKI_URL = ""
    certificate = x509.load_pem_x509_certificate(hubs.new_hub().certificate_pem.encode())

    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)


def test_who_holds_connections_is_told(hub: hubs.TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_registry", dict(outbox._registry))
    told: list[Revocation] = []
    revoking.on_revoked("test.told")(told.append)
    second = enrolling.issue_certificate(ven_id=hub.ven_id, csr_pem=hubs.csr_of(hubs.new_key()), at=hubs.AT)

    enrolling.revoke_certificate(
        ven_id=hub.ven_id, fingerprint=hub.fingerprint, reason="worn", at=hubs.AT, code="superseded"
    )
    revoke(hub)
    outbox.drain()

    assert told == [
        Revocation(hub.ven_id, (hub.fingerprint,), "superseded", False),
        Revocation(hub.ven_id, (second.fingerprint,), "unspecified", True),
    ]


def test_ending_what_has_ended_tells_nobody(hub: hubs.TestHub) -> None:
    revoke(hub)
    revoke(hub)

    assert OutboxFact.objects.filter(topic=enrolling.REVOKED).count() == 1


@hypothesis_settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(ended=st.sets(st.integers(0, 4)))
def test_the_list_is_exactly_those_that_ended(db: None, ended: set[int]) -> None:
    all_hubs = [hubs.new_hub() for _ in range(5)]
    for number in ended:
        revoke(all_hubs[number])

    listed = {entry.serial_number for entry in published()}

    assert listed & {serial(each) for each in all_hubs} == {serial(all_hubs[number]) for number in ended}


def test_the_regular_round_does_all_of_it(hub: hubs.TestHub) -> None:
    tasks.tend_certificates()
    tasks.tend_certificates()

    assert RevocationList.objects.count() == 1
