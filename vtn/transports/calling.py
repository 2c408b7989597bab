"""From a request to a WSGI application and back; and the certificate that a proxy hands on.

The proxy sets both fields and drops what its peers send of that name (`nginx`).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from vtn.presenting import CertificateRefused, certificate_of_header
from vtn.transports import http1
from vtn.transports.connection import Request

CERTIFICATE_FIELD: Final = http1.CERTIFICATE_FIELD.lower()
VERIFIED_FIELD: Final = "x-client-verified"
VERIFIED: Final = "SUCCESS"


def certificate_handed_on(fields: Mapping[str, str]) -> bytes | None:
    """Return the DER of the one certificate a proxy verified and handed on, URL-escaped PEM; else None."""
    if fields.get(VERIFIED_FIELD) != VERIFIED:
        return None
    try:
        return certificate_of_header(fields.get(CERTIFICATE_FIELD, ""))
    except CertificateRefused:
        return None


def environ(request: Request, *, certificate: bytes | None) -> dict[str, Any]:
    """Return the request as PEP 3333 has it, with the VEN's certificate (DER) in `vtn.certificate`."""
    head = request.head
    path, _, query = head.target.partition("?")
    called: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/1.{head.minor_version}",
        "SERVER_NAME": "vtn",
        "SERVER_PORT": "0",
        "CONTENT_TYPE": head.fields.get("content-type", ""),
        "CONTENT_LENGTH": head.fields.get("content-length", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in head.fields.items():
        if name not in ("content-type", "content-length"):
            called[f"HTTP_{name.upper().replace('-', '_')}"] = value
    called["vtn.certificate"] = certificate
    return called


def call(application: Callable[..., Iterable[bytes]], environ: dict[str, Any], is_last: bool) -> bytes:
    """Return the whole answer of a WSGI application."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, fields: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], None]:
        started[:] = [(status, fields)]
        return lambda _: None

    chunks = application(environ, start_response)
    body = b"".join(chunks)
    status, fields = started[0]
    return http1.raw_answer(status, fields, body, is_last=is_last)
