"""The log of refused messages: one row and one line each, with nothing secret in either."""

from __future__ import annotations

import logging
from datetime import datetime

from opendsr.kernel import clock
from vtn.models import Ven, WireLog
from vtn.redacting import outline, redacted, without_values

logger = logging.getLogger("vtn.wire")

_LONGEST_EXCERPT = 160


def log_refusal(
    *,
    at: datetime,
    ven: Ven | None,
    service: str,
    code: str,
    http_status: int,
    reason: str,
    message: str = "",
    body: bytes = b"",
    reply: str = "",
    reply_body: bytes = b"",
    transport: str = "http",
    tolerances: tuple[str, ...] = (),
) -> None:
    """Write the refusal down once, in the table for staff and in the process's log.

    The body is kept redacted: what was refused is what somebody will want to read.
    """
    reason = one_line(without_values(reason))
    WireLog.objects.create(
        at=at,
        recorded_wall_at=clock.wall_now(),
        ven=ven,
        service=service[:40],
        message=message[:40],
        code=code[:40],
        http_status=http_status,
        reason=reason[:300],
        excerpt=one_line(outline(body, longest=_LONGEST_EXCERPT)) if body else "",
        is_refused=True,
        reply=reply[:40],
        transport=transport[:16],
        tolerances=list(tolerances),
        request_bytes=len(body),
        reply_bytes=len(reply_body),
        request_body=redacted(body) if ven is not None else "",
        reply_body=redacted(reply_body, is_ours=True) if ven is not None else "",
    )
    who = ven.ven_id if ven is not None else "unknown certificate"
    logger.warning("refused %s %s of %s: %s %s", service, message or "body", who, code, reason)


def one_line(text: str) -> str:
    """Return text with every run of white space and unprintable characters as one blank."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())
