"""High security at the hub: it signs with its own key, and believes what the VTN has signed.

Trusted as the VTN is who ended the TLS handshake, or whose certificate the co-op's CA (`ca.pem`) has signed
as a server of the name that the hub calls. Each signature is good once and for five minutes either way; the
ones seen are kept in `nonces`, so that a restart lets none through again.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from hems.errors import Untrusted
from hems.files import write_atomically
from hems.keys import CA, CERTIFICATE, KEY
from oadr import codec, signing
from oadr.errors import SignatureInvalid
from oadr.messages import Message

NONCES: Final = "nonces"
WINDOW: Final = timedelta(minutes=5)
MOST_LINES: Final = 5_000
"""In the file of nonces, before those that would be refused by their age are dropped from it."""


class Seal:
    """Signs and verifies for one hub whose VTN answers to `host`. Wall time only."""

    def __init__(self, folder: Path, *, host: str) -> None:
        self._host = host
        self._identity = signing.load_identity(
            key_pem=(folder / KEY).read_bytes(), certificate_pem=(folder / CERTIFICATE).read_bytes()
        )
        self._authorities = x509.load_pem_x509_certificates((folder / CA).read_bytes())
        self._path = folder / NONCES
        self._seen = _read_nonces(self._path)
        self._lines = len(self._seen)

    def sign(self, body: bytes) -> bytes:
        """Return an unsigned envelope with the hub's signature."""
        protect = signing.ReplayProtect(datetime.now(UTC), secrets.token_urlsafe(24))
        return signing.sign(body, identity=self._identity, replay_protect=protect)

    def opened(self, body: bytes, *, handshake: Collection[bytes] = ()) -> Message:
        """Return the message that the VTN signed; raises Untrusted, and WireError for what is no message.

        `handshake`: the certificate (DER) that ended the TLS handshake, over a transport that shows one.
        """
        shown = signing.certificates_shown(codec.tree_of(body))
        trusted = {each for each in shown if each in handshake or self._is_the_vtns(each)}
        try:
            parsed = codec.parse_body(body, certificates=trusted or handshake)
        except SignatureInvalid as error:
            raise Untrusted(f"what the VTN says is refused, its signature does not hold: {error}") from error
        if parsed.replay_protect is None:
            raise Untrusted("what the VTN says is refused: it is not signed")
        self._take_once(parsed.replay_protect)
        return parsed.message

    def _take_once(self, protect: signing.ReplayProtect) -> None:
        now = datetime.now(UTC)
        if abs(protect.timestamp - now) > WINDOW:
            raise Untrusted(
                "what the VTN says is refused: it was signed at another time; is the clock right?"
            )
        key = f"{protect.timestamp.timestamp():.0f} {protect.nonce}"
        if key in self._seen:
            raise Untrusted("what the VTN says is refused: it has been said before")
        self._seen.add(key)
        try:
            self._keep(key, now)
        except OSError as error:
            raise Untrusted(f"what the VTN says is refused: its nonce cannot be kept: {error}") from error

    def _keep(self, key: str, now: datetime) -> None:
        """Append, for an SD card's sake without a flush: after a power cut a minute has passed anyway."""
        self._lines += 1
        if self._lines > MOST_LINES:
            oldest = (now - WINDOW).timestamp()
            self._seen = {each for each in self._seen if float(each.partition(" ")[0]) >= oldest}
            self._lines = len(self._seen)
            content = "".join(f"{each}\n" for each in self._seen)
            write_atomically(self._path, content.encode(), mode=0o600, is_durable=False)
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{key}\n")

    def _is_the_vtns(self, certificate_der: bytes) -> bool:
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
        except ValueError:
            return False
        now = datetime.now(UTC)
        return (
            certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
            and _is_for_server(certificate, self._host)
            and any(_is_signed_by(certificate, authority) for authority in self._authorities)
        )


def _read_nonces(path: Path) -> set[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    return {line for line in lines if line.partition(" ")[0].isdecimal() and " " in line}


def _is_for_server(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        pass
    else:
        if ExtendedKeyUsageOID.SERVER_AUTH not in usages:
            return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() in [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return address in names.get_values_for_type(x509.IPAddress)


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
