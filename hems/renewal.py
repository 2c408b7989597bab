"""The hub renews its own certificate: at two thirds of its life, with a new key, over the link it has.

A new key and request wait beside the old until the certificate for them has come. Once
all three are on disk they take the old ones' places, the certificate last; a power cut
in between is completed by `finish` at the next start.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path

from hems.files import write_atomically
from hems.keys import CERTIFICATE, KEY, REQUEST, require_identity

NEXT_KEY, NEXT_REQUEST, NEXT_CERTIFICATE = "key.next.pem", "csr.next.pem", "certificate.next.pem"
DUE_AFTER = 2 / 3
TRY_AGAIN_SECONDS = 3600.0


class Renewal:
    """When the certificate is due, and the change to the next one. Wall time only."""

    def __init__(self, folder: Path) -> None:
        """Raises BadFolder when the hub has no certificate yet."""
        self.folder = folder
        require_identity(folder)
        self._not_before_tried = 0.0
        self._due_at: float | None = None
        finish(folder)

    def is_due(self) -> bool:
        """Two thirds of the certificate's life are over, and the last try was an hour ago."""
        if self._due_at is None:
            self._due_at = _due_at(self.folder)
        return time.time() >= self._due_at and time.monotonic() >= self._not_before_tried

    def request(self) -> bytes:
        """Return the base64 of a signing request by a new key, the same until it is answered."""
        self._not_before_tried = time.monotonic() + TRY_AGAIN_SECONDS
        return base64.encodebytes(_next_request(self.folder))

    def take(self, answer: bytes) -> None:
        """Keep the certificate that came; raises EnrolmentFailed when it is for another key."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        from hems.enrolment import EnrolmentFailed, certificates_of

        request = x509.load_pem_x509_csr((self.folder / NEXT_REQUEST).read_bytes())
        ours = [each for each in certificates_of(answer) if each.public_key() == request.public_key()]
        if len(ours) != 1:
            raise EnrolmentFailed("the answer holds no certificate for this hub's next key")
        pem = ours[0].public_bytes(serialization.Encoding.PEM)
        write_atomically(self.folder / NEXT_CERTIFICATE, pem, mode=0o600)
        finish(self.folder)
        self._due_at = None


def finish(folder: Path) -> None:
    """Complete a change that was begun."""
    if (folder / NEXT_CERTIFICATE).exists():
        # The certificate last: while it waits, the change is known to be unfinished.
        if (folder / NEXT_KEY).exists():
            (folder / NEXT_KEY).replace(folder / KEY)
        if (folder / NEXT_REQUEST).exists():
            (folder / NEXT_REQUEST).replace(folder / REQUEST)
        (folder / NEXT_CERTIFICATE).replace(folder / CERTIFICATE)


def _due_at(folder: Path) -> float:
    """Return when the certificate is due, in wall seconds."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return (starts + (ends - starts) * DUE_AFTER).timestamp()


def _next_request(folder: Path) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = serialization.Encoding.PEM
    if not (folder / NEXT_REQUEST).exists() or not (folder / NEXT_KEY).exists():
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        subject = x509.load_pem_x509_csr((folder / REQUEST).read_bytes()).subject
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        write_atomically(folder / NEXT_KEY, private, mode=0o600)
        write_atomically(folder / NEXT_REQUEST, request.public_bytes(pem))
    held = x509.load_pem_x509_csr((folder / NEXT_REQUEST).read_bytes())
    return held.public_bytes(serialization.Encoding.DER)
