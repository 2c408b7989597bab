"""One HTTPS request to a VEN, at an address that staff wrote down: with care, as `calling_out` has it.

VTN_PUSH_NETWORKS names the networks allowed besides public addresses. The
peer must show a certificate that speaks for the VEN, or one that the public or the
co-op's authorities vouch for under the URL's name; until it has, nothing is sent.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from oadr.fingerprint import full_fingerprint
from opendsr.kernel import calling_out
from opendsr.kernel.calling_out import PORTS, SECONDS, Network, NotCalled, parsed, resolved


@dataclass(frozen=True, slots=True)
class Caller:
    """What this VTN shows, whom it trusts, and which networks are allowed besides the public ones."""

    certificate: Path
    key: Path
    ca: Path
    networks: Sequence[Network] = ()
    ports: Collection[int] = PORTS
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    certificate_der: bytes


def post(url: str, body: bytes, *, caller: Caller, fingerprints: Collection[str]) -> Answer:
    """Post XML and return the answer; raises NotCalled. `fingerprints`: the VEN's certificates in force."""
    parts = parsed(url, ports=caller.ports)
    deadline = time.monotonic() + caller.seconds
    address = resolved(parts, networks=caller.networks)
    try:
        sock = calling_out.connect(address, _pinning(caller), parts.hostname or "", deadline)
        der = sock.getpeercert(binary_form=True) or b""
        if full_fingerprint(der) not in fingerprints:
            sock.close()
            sock = calling_out.connect(address, _verifying(caller), parts.hostname or "", deadline)
            der = sock.getpeercert(binary_form=True) or b""
        with sock:
            calling_out.send(sock, parts, body, deadline)
            status, answer = calling_out.receive(sock, deadline)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotCalled(str(error) or type(error).__name__) from error
    if 300 <= status < 400:
        raise NotCalled(f"HTTP {status}: a redirect is not followed")
    return Answer(status, answer, der)


def _pinning(caller: Caller) -> ssl.SSLContext:
    """Take any certificate: it is held against the VEN's own before a word is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _equipped(context, caller)


def _verifying(caller: Caller) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(caller.ca)
    return _equipped(context, caller)


def _equipped(context: ssl.SSLContext, caller: Caller) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(caller.certificate, caller.key)
    return context
