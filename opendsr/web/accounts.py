"""How people get an account: staff create it; there is no open sign-up, and the co-op keeps the addresses."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from opendsr.web.entering import signed_in


class AccountAdapter(DefaultAccountAdapter):
    """Closes self-service sign-up: a member's account is made when they join."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by themselves."""
        return False


@require_GET
@signed_in
def address(request: HttpRequest) -> HttpResponse:
    """In place of allauth's page, on which an address could be changed to one that nobody has confirmed."""
    return render(request, "account/address.html")
