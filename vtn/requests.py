"""Certificate signing requests: what a stranger sends, judged before anything is signed."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from opendsr.kernel.errors import Invalid

LARGEST_CSR_BYTES = 16 * 1024


class CsrInvalid(Invalid):
    """A signing request that cannot be honoured: `reason`."""


def proven_key(csr_pem: str) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """Return the key a request proves possession of; raises CsrInvalid.

    P-256, P-384, or RSA of 2048 to 4096 bits; names and extensions are not looked at.
    """
    data = csr_pem.encode("ascii", "replace")
    if len(data) > LARGEST_CSR_BYTES:
        raise CsrInvalid(reason="larger than 16 KiB")
    try:
        csr = x509.load_pem_x509_csr(data)
        is_proven = csr.is_signature_valid
        key = csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CsrInvalid(reason="not a certificate signing request in PEM form") from error
    if not is_proven:
        raise CsrInvalid(reason="its signature does not prove possession of the key")
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise CsrInvalid(reason=f"curve {key.curve.name}: use P-256 or P-384")
    elif isinstance(key, rsa.RSAPublicKey):
        if not 2048 <= key.key_size <= 4096:
            raise CsrInvalid(reason=f"RSA of {key.key_size} bits: use 2048 to 4096, or P-256")
    else:
        raise CsrInvalid(reason="the key is neither elliptic-curve nor RSA")
    return key


def csr_pem_of(body: bytes) -> str:
    """Return the PEM of a request that came as PEM, as DER, or as base64 of DER (RFC 7030 s.4.2.1)."""
    if len(body) > LARGEST_CSR_BYTES:
        raise CsrInvalid(reason="larger than 16 KiB")
    if b"-----BEGIN" in body:
        return body.decode("ascii", "replace")
    der = body
    if not body.startswith(b"\x30"):
        try:
            der = base64.b64decode(b"".join(body.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise CsrInvalid(reason="neither PEM nor base64 of a signing request") from error
    try:
        csr = x509.load_der_x509_csr(der)
        return csr.public_bytes(serialization.Encoding.PEM).decode()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CsrInvalid(reason="not a certificate signing request") from error
