"""How people get an account: staff create it; there is no open sign-up, and the co-op keeps the addresses."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from opendsr.kernel.models import Installation
from opendsr.web.entering import signed_in


class AccountAdapter(DefaultAccountAdapter):
    """Closes self-service sign-up: a member's account is made when they join."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by themselves."""
        return False

    def format_email_subject(self, subject: str) -> str:
        """The subject as it is: it names the co-op, and needs no domain in front."""
        return subject

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a letter that knows what the co-op is called, in the reader's language."""
        row = Installation.objects.first()
        named = {"coop_name": row.coop_name if row else "OpenDSR"}
        super().send_mail(template_prefix, email, named | context)


@require_GET
@signed_in
def address(request: HttpRequest) -> HttpResponse:
    """In place of allauth's page, on which an address could be changed to one that nobody has confirmed."""
    return render(request, "account/address.html")
