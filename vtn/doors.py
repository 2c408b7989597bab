"""Open doors on the people's site, for machines without a certificate yet: enrolment, CA certificates, CRLs.

The enrolment door is EST's simpleenroll (RFC 7030) with HTTP Basic: the subject's name
and its one-time code. It is slow by design (a few tries a minute and address), says the
same for every refusal, and counts wrong codes where they are kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError, Invalid, NotAllowed
from vtn import est, revoking
from vtn.enrolling import EnrolledVen
from vtn.enrolment_codes import CodeRefused
from vtn.est import EstReply
from vtn.requests import LARGEST_CSR_BYTES, CsrInvalid, csr_pem_of

TRIES_A_MINUTE: Final = 10
REDEEMERS: Final = ("vtn.enrolment_codes.redeem_code",)

Redeem = Callable[..., EnrolledVen]


@csrf_exempt
@require_POST
def simpleenroll(request: HttpRequest) -> HttpResponse:
    """Spend a one-time code: Basic `subject:code`, a signing request as the body, a certificate back."""
    if _is_too_often(_address(request)):
        response = HttpResponse("too many tries: wait a minute\n", status=429, content_type="text/plain")
        response["Retry-After"] = "60"
        return response
    try:
        subject, code = _credentials(request)
        csr_pem = csr_pem_of(_body(request))
        issued = _redeemed(subject, code, csr_pem)
    except CodeRefused:
        response = HttpResponse("enrolment refused\n", status=401, content_type="text/plain")
        response["WWW-Authenticate"] = 'Basic realm="enrolment"'
        return response
    except DomainError as error:
        return _answer(est.refused(error))
    return _answer(est.enrolled(issued.certificate_pem))


@require_GET
def cacerts(request: HttpRequest) -> HttpResponse:
    """What a hub trusts the VTN by."""
    return _answer(est.cacerts(wall=clock.wall_now()))


@require_GET
def revocation_list(request: HttpRequest, mark: str) -> HttpResponse:
    """The revocation list in force of one issuing CA, DER."""
    wall = clock.wall_now()
    found = revoking.list_of_mark(mark, wall=wall)
    if found is None:
        raise Http404
    response = HttpResponse(bytes(found.der), content_type="application/pkix-crl")
    response["Cache-Control"] = "public, max-age=600"
    response["Last-Modified"] = found.this_update.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return response


def _redeemed(subject: str, code: str, csr_pem: str) -> EnrolledVen:
    """Ask each keeper of codes (VTN_REDEEMERS) in turn; the first that knows the code decides."""
    for path in getattr(settings, "VTN_REDEEMERS", REDEEMERS):
        redeem: Redeem = import_string(path)
        try:
            return redeem(subject=subject, code=code, csr_pem=csr_pem, at=clock.now())
        except CsrInvalid:
            raise
        except (NotAllowed, Invalid):
            continue
    raise CodeRefused


def _credentials(request: HttpRequest) -> tuple[str, str]:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    try:
        subject, colon, code = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise CodeRefused from error
    if scheme.lower() != "basic" or not colon or not subject.isprintable():
        raise CodeRefused
    return subject, code


def _body(request: HttpRequest) -> bytes:
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > LARGEST_CSR_BYTES:
        raise CsrInvalid(reason="send a Content-Length of at most 16 KiB")
    return request.body


def _is_too_often(address: str) -> bool:
    minute = int(clock.wall_now().timestamp()) // 60
    key = f"vtn-enrol-{hashlib.sha256(address.encode()).hexdigest()[:32]}-{minute}"
    cache.add(key, 0, timeout=120)
    try:
        return cache.incr(key) > getattr(settings, "VTN_ENROL_TRIES_A_MINUTE", TRIES_A_MINUTE)
    except ValueError:  # pushed out of a full cache between the two
        return False


def _address(request: HttpRequest) -> str:
    """Return the peer's address, as seen by the outermost proxy that is ours."""
    proxies = getattr(settings, "TRUSTED_PROXY_COUNT", 0)
    forwarded = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")]
    if proxies and len(forwarded) >= proxies and forwarded[-proxies]:
        return forwarded[-proxies]
    return str(request.META.get("REMOTE_ADDR", ""))


def _answer(reply: EstReply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    for name, value in reply.headers:
        response[name] = value
    return response
