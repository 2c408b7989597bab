"""Enrolment and revocation."""

from __future__ import annotations

import pytest

from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.vtn import hubs
from vtn import enrolling, identifying, queries
from vtn.models import Ven, VenCertificate
from vtn.pki import CsrInvalid
from vtn.port import UnknownVen, VenId, Vtn

pytestmark = pytest.mark.django_db


def test_a_hub_is_enrolled_by_its_own_request() -> None:
    hub = hubs.new_hub("Alice's home")

    assert identifying.ven_of(hub.fingerprint, wall=clock.wall_now()) == hub.ven
    assert not hub.ven.is_registered
    entry = AuditEntry.objects.get(verb="vtn.certificate.issued")
    assert entry.target == f"ven:{hub.ven_id}"


def test_a_bad_request_enrols_nobody() -> None:
    with pytest.raises(CsrInvalid):
        enrolling.enrol_ven(ven_name="hub", csr_pem="nonsense", at=hubs.AT)

    assert not Ven.objects.exists()


def test_two_certificates_stand_while_one_replaces_the_other() -> None:
    hub = hubs.new_hub()
    second = enrolling.issue_certificate(ven_id=hub.ven_id, csr_pem=hubs.csr_of(hubs.new_key()), at=hubs.AT)

    revoked = enrolling.revoke_certificate(
        ven_id=hub.ven_id, fingerprint=hub.fingerprint, reason="replaced", at=hubs.AT, by="staff:7"
    )

    assert revoked == 1
    assert identifying.ven_of(second.fingerprint, wall=clock.wall_now()) == hub.ven
    with pytest.raises(identifying.CertificateRefused, match="revoked"):
        identifying.ven_of(hub.fingerprint, wall=clock.wall_now())
    assert AuditEntry.objects.get(verb="vtn.certificate.revoked").actor == "staff:7"


def test_revoking_all_ends_trust_and_revoking_again_changes_nothing(vtn: Vtn) -> None:
    hub, other = hubs.new_hub(), hubs.new_hub()
    assert vtn.trusted([hub.ven_id, other.ven_id, VenId("VEN-unknown")]) == {hub.ven_id, other.ven_id}

    assert enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT) == 1
    assert enrolling.revoke_certificate(ven_id=hub.ven_id, reason="again", at=hubs.AT) == 0

    assert vtn.trusted([hub.ven_id, other.ven_id]) == {other.ven_id}
    assert VenCertificate.objects.get(ven=hub.ven).revocation_reason == "stolen"


def test_a_certificate_out_of_its_dates_speaks_for_nobody(vtn: Vtn) -> None:
    hub = hubs.new_hub()
    certificate = VenCertificate.objects.get(ven=hub.ven)

    with pytest.raises(identifying.CertificateRefused, match="out_of_date"):
        identifying.ven_of(hub.fingerprint, wall=certificate.not_after)
    assert not queries.ven_states([hub.ven_id], wall=certificate.not_after)[hub.ven_id].may_connect


def test_an_unknown_ven_has_no_certificates_to_end() -> None:
    with pytest.raises(UnknownVen):
        enrolling.revoke_certificate(ven_id="VEN-unknown", reason="?", at=hubs.AT)
