"""Every page on which somebody of the co-op reads what is a member's leaves one entry: who, what, why.

What was read is told by the doors it was read through (`opendsr.kernel.reads`), so no page can leave it out;
why is declared for each address (`purposes`), or told by whoever looks where looking is exceptional
(`because`). A part of a page that renews itself is one look in ten minutes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

from django.conf import settings
from django.contrib import admin
from django.core.cache import cache
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from members import looking
from members.models import User
from members.policy import roles_of
from opendsr.kernel import clock, encryption
from opendsr.kernel.reads import Reads, collecting
from opendsr.web.purposes import OWN, OWN_PREFIXES, PURPOSES, RECORDS

SHOWS_NOTHING: Final = frozenset({401, 403, 404, 405, 409, 410, 429})
RENEWED_SECONDS: Final = 600
NO_PURPOSE: Final = "no purpose stated"

logger = logging.getLogger(__name__)


class NoPurpose(LookupError):
    """A page that shows what is somebody's and says nowhere what for: add it to `purposes`."""


def because(request: HttpRequest, reason: str) -> None:
    """Say why this look is made, in the words of who looks."""
    request.read_because = reason  # type: ignore[attr-defined]


class WatchingMiddleware:
    """Keeps the keys that a page needs, collects what it reads, and records it when it has been shown."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with encryption.remembering(), collecting() as reads:
            response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse) and not response.is_async:
            pieces = cast(Iterable[bytes], response.streaming_content)
            response.streaming_content = _watched(request, pieces, reads)
        elif response.status_code not in SHOWS_NOTHING:
            _record(request, reads)
        return response


def _watched(request: HttpRequest, pieces: Iterable[bytes], reads: Reads) -> Iterator[bytes]:
    """Hand a file on piece by piece, collecting what writing it reads."""
    source = iter(pieces)
    try:
        while True:
            with encryption.remembering(), collecting(reads):
                piece = next(source, None)
            if piece is None:
                return
            yield piece
    finally:
        _record(request, reads)


def _record(request: HttpRequest, reads: Reads) -> None:
    viewer = getattr(request, "user", None)
    match = request.resolver_match
    if not reads.subjects or match is None or viewer is None or not viewer.is_authenticated:
        return
    name = match.view_name or ""
    if not reads.subjects - {viewer.key_id} or name in OWN or name.startswith(OWN_PREFIXES):
        return
    if not (viewer.is_staff or viewer.is_superuser or roles_of(viewer)):
        return  # a member sees what is their household's, by every policy
    page, why = _page(name)
    why = getattr(request, "read_because", "") or why
    if getattr(request, "htmx", False) and not _is_first(viewer.pk, page, why, reads):
        return
    looking.record(reads=reads, by=cast(User, viewer), at=clock.now(), page=page, why=why)


def _page(view_name: str) -> tuple[str, str]:
    """What the page is called and what it is for. Raises NoPurpose in tests."""
    known = PURPOSES.get(view_name)
    if known is not None:
        return known
    if view_name.startswith("admin:"):
        return _record_page(view_name.removeprefix("admin:")), RECORDS
    if settings.ENVIRONMENT == "test":
        raise NoPurpose(view_name)
    logger.error("the page %s shows what is somebody's and states no purpose", view_name)
    return view_name, NO_PURPOSE


def _record_page(name: str) -> str:
    for model in admin.site._registry:
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        if name.startswith(f"{label}_"):
            is_list = name.endswith("_changelist")
            words = model._meta.verbose_name_plural if is_list else model._meta.verbose_name
            return f"{'list' if is_list else 'record'} of the {words}"
    return "the records"


def _is_first(viewer: int, page: str, why: str, reads: Reads) -> bool:
    """True once in a while for the same person, page and people."""
    told = "|".join((str(viewer), page, why, *sorted(map(str, reads.subjects))))
    return bool(cache.add(f"look:{hashlib.sha256(told.encode()).hexdigest()}", 1, RENEWED_SECONDS))
