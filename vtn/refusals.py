"""The log of refused messages: one row and one line each, with nothing secret in either."""

from __future__ import annotations

import logging
import re
from datetime import datetime

from opendsr.kernel import clock
from vtn.models import Ven, WireLog

logger = logging.getLogger("vtn.wire")

_SECRET = re.compile(r"(registrationID[^>]*>)[^<]*", re.IGNORECASE)
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
) -> None:
    """Write the refusal down once, in the table for staff and in the process's log."""
    reason = one_line(reason)
    WireLog.objects.create(
        at=at,
        recorded_wall_at=clock.wall_now(),
        ven=ven,
        service=service[:40],
        message=message[:40],
        code=code[:40],
        http_status=http_status,
        reason=reason[:300],
        excerpt=_excerpt(body),
    )
    who = ven.ven_id if ven is not None else "unknown certificate"
    logger.warning("refused %s %s of %s: %s %s", service, message or "body", who, code, reason)


def one_line(text: str) -> str:
    """Return text with every run of white space and unprintable characters as one blank."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())


def _excerpt(body: bytes) -> str:
    start = body[:4096].decode("utf-8", "replace")
    return one_line(_SECRET.sub(r"\1…", start))[:_LONGEST_EXCERPT]
