"""Staff pages: the API tokens of applications."""

from __future__ import annotations

from typing import Final

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from vtn import tokens
from vtn.models import ApiToken
from vtn.policy import GRANTABLE, Deed
from vtn.staff_door import StaffRequest, door, say_at_field, show

WORDS: Final = {
    Deed.SEE: _lazy("See VENs, events, opts, reports and messages"),
    Deed.MANAGE_VENS: _lazy("Change VENs, groups and registrations"),
    Deed.MANAGE_CERTIFICATES: _lazy("Enrol, issue and revoke"),
    Deed.MANAGE_EVENTS: _lazy("Send, change and cancel events"),
    Deed.MANAGE_REPORTS: _lazy("Ask for and cancel reports"),
    Deed.SEE_CONFIGURATION: _lazy("See the configuration"),
}


class TokenForm(forms.Form):
    """A new token; sent twice, by its `key`, the form makes one."""

    key = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=new_uuid)
    name = forms.CharField(label=_lazy("Application"), max_length=80)
    deeds = forms.MultipleChoiceField(
        label=_lazy("It may"),
        choices=[(deed.value, WORDS.get(deed, deed.value)) for deed in GRANTABLE],
        widget=forms.CheckboxSelectMultiple,
        initial=[Deed.SEE.value],
    )
    days = forms.IntegerField(
        label=_lazy("Days until it ends"), required=False, min_value=1, max_value=3_660, initial=365
    )


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_TOKENS)
def token_list(request: StaffRequest) -> HttpResponse:
    """The tokens, and a form for one more; its secret is shown to that form alone."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    made = None
    if request.method == "POST" and form.is_valid():
        try:
            made = tokens.create_token(
                **form.cleaned_data, at=clock.now(), wall=clock.wall_now(), by=request.principal.actor
            )
            form = TokenForm()
        except DomainError as error:
            say_at_field(form, error)
    wall = clock.wall_now()
    context = {
        "form": form,
        "made": made,
        "tokens": [
            {
                "row": row,
                "deeds": [WORDS.get(Deed(deed), deed) for deed in row.deeds],
                "is_good": row.revoked_wall_at is None
                and (row.expires_wall_at is None or row.expires_wall_at > wall),
            }
            for row in ApiToken.objects.order_by("-pk")[:200]
        ],
    }
    return show(request, "vtn/token_list.html", context, section="tokens", status=422 if form.errors else 200)


@require_POST
@door(Deed.MANAGE_TOKENS)
def token_revoke(request: StaffRequest, token_id: int) -> HttpResponse:
    """End one token."""
    tokens.revoke_token(token_id=token_id, at=clock.now(), wall=clock.wall_now(), by=request.principal.actor)
    messages.success(request, _("Revoked. It opens nothing from the next request on."))
    return redirect("vtn:token_list")
