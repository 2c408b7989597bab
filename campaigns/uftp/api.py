"""The one address of UFTP: a SignedMessage in, 200 once it is kept; answers are messages of their own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from campaigns.uftp import receiving, wire
from campaigns.uftp.wire import NotUftp, TooLong
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError

CONTENT_TYPES = frozenset({"text/xml", "application/xml"})
WORDS = {
    "seal_refused": "The message is not sealed by a key of a known sender.",
    "too_many_messages": "Too many messages in a minute.",
    "too_long": f"A message has {wire.LARGEST_BYTES} bytes at most.",
}


@csrf_exempt
@require_POST
def message(request: HttpRequest) -> HttpResponse:
    """Take a message in; what the transport refuses is said by the status and a plain sentence."""
    wall = clock.wall_now()
    try:
        length = request.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return _said(411, "Send Content-Length.")
        if request.content_type not in CONTENT_TYPES:
            raise NotUftp(field="Content-Type", reason="send text/xml")
        if len(length) > 9 or int(length) > wire.LARGEST_BYTES:
            raise TooLong(most_bytes=wire.LARGEST_BYTES)
        receiving.receive(request.body, at=clock.now(), wall=wall)
    except DomainError as error:
        words = f"{error.field}: {error.reason}." if isinstance(error, NotUftp) else WORDS[error.code]
        return _said(error.status, words)
    return _said(200, "")


def _said(status: int, words: str) -> HttpResponse:
    response = HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response
