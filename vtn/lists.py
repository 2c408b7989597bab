"""Long lists a page at a time, their filters kept in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

PAGE_SIZE: Final = 50
LONGEST_SEARCH: Final = 100


@dataclass(frozen=True, slots=True)
class Pager:
    """What `vtn/partials/_pager.html` shows; an empty address means there is no such page."""

    number: int
    pages: int
    count: int
    previous_url: str
    next_url: str


def paged(
    request: HttpRequest,
    rows: QuerySet[Any, Any] | Sequence[Any],
    *,
    size: int = PAGE_SIZE,
    parameter: str = "page",
) -> tuple[list[Any], Pager]:
    """Rows of the page that the address asks for; a page that does not exist is the nearest that does."""
    paginator = Paginator(rows, size)
    page = paginator.get_page(request.GET.get(parameter))
    number = page.number
    return list(page.object_list), Pager(
        number=number,
        pages=paginator.num_pages,
        count=paginator.count,
        previous_url=_url(request, parameter, number - 1) if page.has_previous() else "",
        next_url=_url(request, parameter, number + 1) if page.has_next() else "",
    )


def search_words(request: HttpRequest) -> str:
    """What was searched for, without what no column can hold."""
    return request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]


def chosen(request: HttpRequest, name: str, values: tuple[str, ...]) -> str:
    """The value of a filter, "" when it is none of those offered."""
    value = request.GET.get(name, "")
    return value if value in values else ""


def _url(request: HttpRequest, parameter: str, number: int) -> str:
    query = request.GET.copy()
    query[parameter] = str(number)
    return f"?{query.urlencode()}"
