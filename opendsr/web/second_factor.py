"""Signing in takes a second thing that one has: an authenticator app, and codes on paper for when it is lost.

Members may, whoever works with other people's homes and money must (`MustHaveSecondFactor`). The pages and
the codes are allauth's; here are the rule, the seal around the app's secret, and what the app shows.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final
from uuid import UUID

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from members.models import Role, User
from members.policy import STAFF, has_role
from opendsr.kernel import encryption, installation

WORKS_HERE: Final = (*STAFF, Role.INSTALLER)
SECRETS: Final = UUID("5ec0dfac-0000-4000-8000-000000000001")
"""Whose data key seals the secrets of authenticator apps: the site's own."""
SEALED, CONTEXT = "sealed:", "mfa_authenticator.data"
ACCOUNTS: Final = "/accounts/"
FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class SealingAdapter(DefaultMFAAdapter):
    """Keeps no secret in the clear, and names the co-op in the app."""

    def encrypt(self, text: str) -> str:
        """Seal a secret or the seed of recovery codes."""
        return SEALED + base64.b64encode(encryption.seal(SECRETS, text, CONTEXT)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Open it; one from before there was a seal is what it is."""
        if not encrypted_text.startswith(SEALED):
            return encrypted_text
        return encryption.unseal(SECRETS, base64.b64decode(encrypted_text.removeprefix(SEALED)), CONTEXT)

    def get_totp_issuer(self) -> str:
        """The co-op's name, as the app lists it."""
        try:
            return installation.current().coop_name
        except installation.NotFounded:
            return "OpenDSR"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The site as a passkey knows it: its host, and the co-op's name for people."""
        return super().get_public_key_credential_rp_entity() | {"name": self.get_totp_issuer()}

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """What a new passkey is called until its owner says otherwise."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return _("Passkey %(n)s") % {"n": count + 1}


class MustHaveSecondFactor:
    """Lets staff without a second factor do nothing but set one up, or sign out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.STAFF_SECOND_FACTOR and self._is_missing(request):
            return self._refusal(request)
        return self.get_response(request)

    def _is_missing(self, request: HttpRequest) -> bool:
        user = request.user
        if not user.is_authenticated or request.path.startswith(ACCOUNTS):
            return False
        return needs_second_factor(user) and not has_second_factor(user)

    def _refusal(self, request: HttpRequest) -> HttpResponse:
        page = reverse("mfa_activate_totp")
        if request.htmx:  # type: ignore[attr-defined]
            answer = HttpResponse(status=403)
            answer["HX-Redirect"] = page
            return answer
        words = _("Your work here needs a second factor: an app on your phone that shows a code.")
        if request.method in ("GET", "HEAD"):
            messages.info(request, words)
            return redirect(page)
        return render(request, "403.html", {"error": words}, status=403)


def needs_second_factor(user: User) -> bool:
    """True for whoever works with other people's homes and money, but for a demo's invented ones."""
    works_here = user.is_staff or user.is_superuser or has_role(user, *WORKS_HERE)
    return works_here and not is_demo()


def has_second_factor(user: User) -> bool:
    """True once an app or a key is set up; recovery codes alone are none."""
    return Authenticator.objects.filter(user=user, type__in=FACTORS).exists()


def is_demo() -> bool:
    """True in a demo, whose people are invented."""
    try:
        return installation.current().is_demo
    except installation.NotFounded:
        return False
