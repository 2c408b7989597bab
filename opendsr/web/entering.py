"""The door of every page that is not public: signed in, or sent to sign in and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from members.models import User

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Let signed-in people through and keep what they see out of every cache.

    Others go to the sign-in page and come back to the page, never to the press of a button.
    """

    @wraps(view)
    def entered(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        response = view(request, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    return entered


def account_of(request: HttpRequest) -> User:
    """Who asks; for views that are behind `signed_in`."""
    return cast(User, request.user)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    back = request.get_full_path() if request.method in ("GET", "HEAD") else reverse("home")
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect_to_login(back)
    page = request.htmx.current_url_abs_path or reverse("home")  # type: ignore[attr-defined]
    response = HttpResponse(status=401)
    response["HX-Redirect"] = redirect_to_login(page, resolve_url("account_login")).url
    return response
