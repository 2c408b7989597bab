"""Certificate fingerprints: the full one that machines compare, the short one people read."""

from __future__ import annotations

import hashlib


def full_fingerprint(certificate_der: bytes) -> str:
    """Return the SHA-256 of the DER certificate as 64 lower-case hex digits: store and compare this."""
    return hashlib.sha256(certificate_der).hexdigest()


def oadr_fingerprint(certificate_der: bytes) -> str:
    """Return OpenADR's fingerprint, the last 10 bytes of the SHA-256 as `B0:BE:…`.

    80 bits: for people to read out to each other, never for a machine to trust.
    """
    tail = hashlib.sha256(certificate_der).digest()[-10:]
    return ":".join(f"{byte:02X}" for byte in tail)
