"""Which language a page is in: as the reader chose or the browser asks, where the page is translated at all.

Members' pages and whatever needs no account are. Those of who works here, and doors for machines, are not:
half a page in each of two languages helps nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from opendsr.web.purposes import OWN, OWN_PREFIXES

SHARED: Final = frozenset(
    {"answer_event", "baseline_explained", "household_page", "set_language", "statement", "step_page"}
)
"""Pages of members that staff may open as well."""
FOR_STAFF: Final = frozenset({"first_run", "setup", "setup_try"})


class Language(NamedTuple):
    """A language to choose: its code, and its name in itself."""

    code: str
    name: str


def is_translated(view_name: str) -> bool:
    """Whether the page of that URL name is in every language that is offered."""
    if view_name in FOR_STAFF or view_name.startswith("member_api:"):
        return False
    return view_name in OWN or view_name in SHARED or view_name.startswith(OWN_PREFIXES)


def others(request: HttpRequest) -> list[Language]:
    """The languages that the page could be read in instead; none where it is not translated."""
    match = getattr(request, "resolver_match", None)
    if match is None or not is_translated(match.view_name):
        return []
    now = translation.get_language()
    return [Language(code, name) for code, name in settings.LANGUAGES if code != now]


class EnglishWhereUntranslated:
    """Puts English in force for pages that are not translated, whatever the reader prefers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        """Before the view, when it is known whose the page is."""
        match = request.resolver_match
        if match is None or not is_translated(match.view_name):
            translation.activate(settings.LANGUAGE_CODE)
            request.LANGUAGE_CODE = settings.LANGUAGE_CODE
