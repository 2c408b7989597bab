"""How a proxy presents a VEN's certificate: one header, read strictly; no database, no Django."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from opendsr.kernel.errors import NotAllowed

LONGEST_HEADER: Final = 16 * 1024

_ESCAPED = re.compile(r"(?:[A-Za-z0-9+/=._~-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_ONE_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+-----END CERTIFICATE-----(?:\r?\n)?"
)


class CertificateRefused(NotAllowed):
    """A certificate that speaks for nobody: `reason`."""


def certificate_of_header(value: str) -> bytes:
    """Return the DER of a certificate that a proxy hands on as nginx's `$ssl_client_escaped_cert`.

    Exactly one PEM block, percent-encoded once. Anything else is refused: nothing, bare or
    doubly encoded PEM, a chain, text around it, two headers joined by a comma, a block that
    is no certificate or is followed by more bytes. Whether the header may be believed at
    all is the caller's to settle first.
    """
    if not value:
        raise CertificateRefused(reason="no_certificate")
    if len(value) > LONGEST_HEADER or not _ESCAPED.fullmatch(value):
        raise CertificateRefused(reason="malformed")
    pem = unquote_to_bytes(value)
    if not _ONE_PEM.fullmatch(pem):
        raise CertificateRefused(reason="malformed")
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateRefused(reason="malformed") from error
    return certificate.public_bytes(serialization.Encoding.DER)
