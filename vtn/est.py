"""Enrolment over Secure Transport (RFC 7030), the parts a hub needs: bodies in, bodies out.

simpleenroll is on the people's site (`vtn.doors`: one-time code, no certificate yet),
simplereenroll on the VENs' listener (the certificate in force speaks), cacerts on both.
Requests are PKCS #10 as base64, DER or PEM; certificates go back as the base64 of a
certs-only PKCS #7.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from oadr.fingerprint import full_fingerprint
from opendsr.kernel.errors import DomainError
from vtn import pki, renewing
from vtn.models import Ven
from vtn.requests import csr_pem_of

PREFIX: Final = "/.well-known/est/"
CACERTS, ENROLL, REENROLL = f"{PREFIX}cacerts", f"{PREFIX}simpleenroll", f"{PREFIX}simplereenroll"
CERTS_ONLY: Final = "application/pkcs7-mime; smime-type=certs-only"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EstReply:
    """`code` names a refusal, "" when there is none."""

    status: int
    body: bytes
    content_type: str
    code: str = ""
    reason: str = ""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        if self.content_type == CERTS_ONLY:
            return (("Content-Type", CERTS_ONLY), ("Content-Transfer-Encoding", "base64"))
        return (("Content-Type", self.content_type),)


def cacerts(*, wall: datetime) -> EstReply:
    """Return what to trust the listener by: the issuing CA and the root."""
    return _certificates(pki.authority().ca_pem(at=wall).encode())


def reenroll(*, ven: Ven, certificate_der: bytes, body: bytes, at: datetime) -> EstReply:
    """Return the next certificate of the VEN that speaks with `certificate_der`, or why not."""
    try:
        issued = renewing.renew(
            ven=ven, fingerprint=full_fingerprint(certificate_der), csr_pem=csr_pem_of(body), at=at
        )
    except DomainError as error:
        return refused(error)
    return _certificates(issued.certificate_pem.encode())


def enrolled(certificate_pem: str) -> EstReply:
    """Return a certificate issued for a one-time code."""
    return _certificates(certificate_pem.encode())


def refused(error: DomainError, *, status: int | None = None) -> EstReply:
    """Return an error in plain words; what is wrong on this side is for the log."""
    if error.status >= 500:
        logger.error("%s", error)
        return EstReply(503, b"the certificate authority is not available\n", "text/plain", error.code, "")
    return EstReply(status or error.status, f"{error}\n".encode(), "text/plain", error.code, str(error))


def _certificates(pem: bytes) -> EstReply:
    der = pkcs7.serialize_certificates(x509.load_pem_x509_certificates(pem), serialization.Encoding.DER)
    return EstReply(200, base64.encodebytes(der), CERTS_ONLY)
