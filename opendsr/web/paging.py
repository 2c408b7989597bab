"""Long lists a page at a time, by links that keep the rest of the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Pager:
    """What `partials/_pager.html` shows; an empty address means there is no such page."""

    number: int
    pages: int
    count: int
    previous_url: str
    next_url: str


def paged(
    request: HttpRequest,
    rows: QuerySet[Any, Row] | Sequence[Row],
    *,
    size: int,
    parameter: str = "page",
    anchor: str = "",
) -> tuple[list[Row], Pager]:
    """Rows of the page that the address asks for; a page that does not exist is the nearest that does."""
    paginator = Paginator(rows, size)
    page = paginator.get_page(request.GET.get(parameter))
    number = page.number
    pager = Pager(
        number=number,
        pages=paginator.num_pages,
        count=paginator.count,
        previous_url=_url(request, parameter, number - 1, anchor) if page.has_previous() else "",
        next_url=_url(request, parameter, number + 1, anchor) if page.has_next() else "",
    )
    return list(page.object_list), pager


def _url(request: HttpRequest, parameter: str, number: int, anchor: str) -> str:
    query = request.GET.copy()
    query[parameter] = str(number)
    return f"?{query.urlencode()}{'#' + anchor if anchor else ''}"
