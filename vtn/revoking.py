"""What follows a revocation: the list for those who ask the CA, the hook for those who hold connections.

This site itself refuses a revoked certificate at the next request, from its own records.
The list (RFC 5280, DER) is for everybody else: a broker, a proxy, a utility's tool. It is
signed anew at each revocation and on schedule, well before the one in force runs out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction

from opendsr.kernel import audit, outbox
from vtn import keyfiles, pki
from vtn.enrolling import REVOKED
from vtn.models import RevocationCode, RevocationList, VenCertificate
from vtn.pki import Issuer

LIST_LIFE: Final = timedelta(days=7)
REPUBLISH_AFTER: Final = timedelta(hours=1)
REVOKED_LISTS: Final = "revoked.pem"
_FLAGS: Final = {
    RevocationCode.UNSPECIFIED: x509.ReasonFlags.unspecified,
    RevocationCode.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    RevocationCode.SUPERSEDED: x509.ReasonFlags.superseded,
    RevocationCode.CESSATION: x509.ReasonFlags.cessation_of_operation,
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revocation:
    """Certificates of one VEN that have ended; `is_barred`: none is left to it, so it must be cut off."""

    ven_id: str
    fingerprints: tuple[str, ...]
    code: str
    is_barred: bool


def on_revoked(name: str) -> Callable[[Callable[[Revocation], None]], Callable[[Revocation], None]]:
    """Have a function called after each revocation, at least once, by the worker that sweeps the outbox.

    For transports that hold connections open: a broker's own list reload keeps live
    sessions, so whoever runs one ends them here. `name` is kept with the deliveries:
    never give it to another function.
    """

    def register(function: Callable[[Revocation], None]) -> Callable[[Revocation], None]:
        @outbox.consumer(REVOKED, name)
        def tell(*, fact: outbox.Fact) -> None:
            function(revocation_of(fact))

        return function

    return register


def publish_lists(*, at: datetime, wall: datetime, is_forced: bool = False) -> Sequence[RevocationList]:
    """Sign and keep a fresh list of every issuing CA whose list is old, missing or (forced) not.

    Also writes `revoked.pem` beside the certificates, for a broker or proxy on this
    machine. An issuing CA whose key cannot be opened is passed over, loudly.
    """
    published = []
    for issuer in pki.authority().issuers(at=wall):
        newest = newest_list(issuer.name)
        if newest is not None and not is_forced and wall - newest.this_update < REPUBLISH_AFTER:
            continue
        try:
            published.append(_publish(issuer, at=at, wall=wall))
        except keyfiles.KeyUnreadable as error:
            logger.error("no revocation list for %s: %s", issuer.name, error)
    if published:
        _write_file(wall=wall)
    return published


def are_listed(fingerprints: Sequence[str]) -> bool:
    """Return whether the lists in force name all these certificates: then nothing has to be signed anew."""
    rows = VenCertificate.objects.filter(fingerprint__in=fingerprints).values_list("issuer", "serial")
    lists = {issuer: newest_list(issuer) for issuer in {issuer for issuer, _ in rows}}
    loaded = {
        issuer: x509.load_der_x509_crl(bytes(found.der))
        for issuer, found in lists.items()
        if found is not None
    }
    return all(
        issuer in loaded
        and loaded[issuer].get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
        for issuer, serial in rows
    )


def newest_list(issuer: str) -> RevocationList | None:
    return RevocationList.objects.filter(issuer=issuer).order_by("-number").first()


def list_of_mark(mark: str, *, wall: datetime) -> RevocationList | None:
    """Return the list in force of the issuing CA called by `mark`, None when there is no such CA or list."""
    for issuer in pki.authority().issuers(at=wall):
        if pki.issuer_mark(issuer.certificate) == mark:
            return newest_list(issuer.name)
    return None


@transaction.atomic
def _publish(issuer: Issuer, *, at: datetime, wall: datetime) -> RevocationList:
    key = keyfiles.read_key(issuer.key_path, variable=keyfiles.ISSUING_PASSPHRASE)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise keyfiles.KeyUnreadable(path=str(issuer.key_path), fix="it is no elliptic-curve key")
    with_lock = RevocationList.objects.select_for_update().filter(issuer=issuer.name)
    highest = max(with_lock.values_list("number", flat=True), default=0)
    authority_key = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    # What has expired need not be listed (RFC 5280 s.5); it stays for one list after.
    rows = VenCertificate.objects.filter(
        issuer=issuer.name, revoked_at__isnull=False, not_after__gt=wall - LIST_LIFE
    ).order_by("pk")
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(wall)
        .next_update(wall + LIST_LIFE)
        .add_extension(x509.CRLNumber(highest + 1), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_key), critical=False
        )
    )
    count = 0
    for row in rows.iterator():
        builder = builder.add_revoked_certificate(_entry(row))
        count += 1
    signed = builder.sign(key, hashes.SHA256())
    published = RevocationList.objects.create(
        issuer=issuer.name,
        number=highest + 1,
        this_update=wall,
        next_update=wall + LIST_LIFE,
        entries=count,
        der=signed.public_bytes(serialization.Encoding.DER),
    )
    RevocationList.objects.filter(issuer=issuer.name, next_update__lt=wall).delete()
    audit.record(
        at=at,
        actor="system",
        verb="vtn.revocation_list.published",
        target=f"issuer:{pki.issuer_mark(issuer.certificate)}",
        detail={"number": highest + 1, "entries": count},
    )
    return published


def _entry(row: VenCertificate) -> x509.RevokedCertificate:
    ended_at = row.revoked_at or row.not_after
    builder = x509.RevokedCertificateBuilder().serial_number(int(row.serial, 16)).revocation_date(ended_at)
    flag = _FLAGS[RevocationCode(row.revocation_code)]
    if flag is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(flag), critical=False)
    return builder.build()


def _write_file(*, wall: datetime) -> None:
    """Write every issuing CA's list in force as PEM, where brokers and proxies read."""
    lists = [newest_list(issuer.name) for issuer in pki.authority().issuers(at=wall)]
    data = b"".join(
        x509.load_der_x509_crl(bytes(each.der)).public_bytes(serialization.Encoding.PEM)
        for each in lists
        if each is not None
    )
    keyfiles.write(pki.authority().folder / REVOKED_LISTS, data)


def revocation_of(fact: outbox.Fact) -> Revocation:
    """Return what a `vtn.certificate.revoked` tells."""
    payload = fact.payload
    named = payload["fingerprints"]
    return Revocation(
        ven_id=str(payload["ven_id"]),
        fingerprints=tuple(map(str, named)) if isinstance(named, list) else (),
        code=str(payload["code"]),
        is_barred=bool(payload["is_barred"]),
    )
