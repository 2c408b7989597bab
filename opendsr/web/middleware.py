"""Turns the errors that services anticipate into pages with the right status; anything else propagates."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from opendsr.kernel.errors import DomainError
from opendsr.kernel.problem import MEDIA_TYPE, problem
from opendsr.web.refusals import sentence

PAGES = {403: "403.html", 404: "404.html"}
NO_SUCH_API = {
    400: ("bad_request", "The address holds what no address may hold."),
    404: ("not_found", "There is nothing at this address."),
}


class DomainErrorMiddleware:
    """Renders the page of a DomainError that a view did not handle itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Map the error to its own status: the 403 and 404 pages, or a page that says the refusal."""
        if not isinstance(exception, DomainError):
            return None
        page = PAGES.get(exception.status, "web/error.html")
        return render(request, page, {"error": sentence(exception)}, status=exception.status)


class NoSuchApiMiddleware:
    """Answers addresses of APIs that do not exist by a problem of RFC 9457, as those that do answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        words = NO_SUCH_API.get(response.status_code)
        if words is None or request.resolver_match is not None or not request.path.startswith("/api/"):
            return response
        body = problem(response.status_code, *words)
        return JsonResponse(body, status=response.status_code, content_type=MEDIA_TYPE)


class NoNulMiddleware:
    """Refuses addresses with a NUL character, which PostgreSQL cannot hold, before anything looks them up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "\0" in unquote(request.META.get("QUERY_STRING", "")):
            raise BadRequest("the address holds a NUL character")
        return self.get_response(request)
