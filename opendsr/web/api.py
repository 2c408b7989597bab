"""The machine-readable door: problem+json errors and the version 1 resources."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler

from opendsr.kernel.errors import DomainError


def problem_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a DomainError as RFC 9457 problem+json with its status; leave the rest to REST framework."""
    if isinstance(exception, DomainError):
        body = {"type": "about:blank", "title": exception.code, "status": exception.status, "detail": str(exception)}
        return Response(body, status=exception.status, content_type="application/problem+json")
    return exception_handler(exception, context)
