"""A hub's certificate over EST (RFC 7030): the first by a one-time code, the next by the one before.

The first time the site is known by the machine's own trust store (or `ca_file`), as a
browser would; from then on the VTN by the co-op's CA. The key never leaves the hub.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hems.errors import BadAddress, HubError
from hems.files import write_atomically
from hems.keys import CA, CERTIFICATE, REQUEST

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

EST = "/.well-known/est"
LARGEST_ANSWER = 256 * 1024
PATIENCE_SECONDS = 20.0
LOCAL = ("localhost", "127.0.0.1", "::1")

Ask = Callable[[str, str, bytes, dict[str, str]], bytes]


class EnrolmentFailed(HubError):
    """No certificate came; trying again, or another code, is up to whoever stands there."""


def fetch(folder: Path, *, site: str, reference: str, code: str, ca_file: Path | None = None) -> None:
    """Trade the code for the hub's certificate, and put it and the CA into the folder.

    `site` is the people's site, https://HOST[:PORT] (http on this machine only, for trying
    out); `reference` is what the code was given for, mostly the hub's serial.
    """
    ask = _site(site, ca_file)
    basic = base64.b64encode(f"{reference}:{code}".encode()).decode()
    body = base64.encodebytes(_der((folder / REQUEST).read_bytes()))
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/pkcs10"}
    trusted = ask("GET", f"{EST}/cacerts", b"", {})
    issued = ask("POST", f"{EST}/simpleenroll", body, headers)
    keep(folder, issued=issued, trusted=trusted)


def keep(folder: Path, *, issued: bytes, trusted: bytes | None = None) -> None:
    """Write the certificate (and the CA) that EST answers carried; raises EnrolmentFailed on odd ones."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    certificates = certificates_of(issued)
    request = x509.load_pem_x509_csr((folder / REQUEST).read_bytes())
    ours = [each for each in certificates if each.public_key() == request.public_key()]
    if len(ours) != 1:
        raise EnrolmentFailed("the answer holds no certificate for this hub's key")
    if trusted is not None:
        pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates_of(trusted))
        write_atomically(folder / CA, pem)
    write_atomically(folder / CERTIFICATE, ours[0].public_bytes(serialization.Encoding.PEM))


def certificates_of(answer: bytes) -> list[Certificate]:
    """Return the certificates in a certs-only answer, which is a set: self-signed ones last."""
    from cryptography.hazmat.primitives.serialization import pkcs7

    try:
        certificates = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer))
    except ValueError as error:
        raise EnrolmentFailed("the answer is no certs-only PKCS #7") from error
    return sorted(certificates, key=lambda each: each.issuer == each.subject)


def _site(site: str, ca_file: Path | None) -> Ask:
    parts = urlsplit(site)
    is_local = parts.scheme == "http" and parts.hostname in LOCAL
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise BadAddress(f"--site {site!r}: give https://HOST[:PORT]; a code never travels in the clear")

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection
        if is_local:
            connection = http.client.HTTPConnection(host, port or 80, timeout=PATIENCE_SECONDS)
        else:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            connection = http.client.HTTPSConnection(
                host, port or 443, timeout=PATIENCE_SECONDS, context=context
            )
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            answer = response.read(LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise EnrolmentFailed(f"{site} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            said = " ".join(answer[:200].decode("utf-8", "replace").split())
            raise EnrolmentFailed(f"{site} answered {response.status}: {said}")
        return answer

    return ask


def _der(csr_pem: bytes) -> bytes:
    return base64.b64decode(b"".join(csr_pem.split(b"-----")[2].split()))
