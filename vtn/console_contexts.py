"""Staff pages: market contexts, what they are called and what runs in them."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

from opendsr.kernel import clock
from vtn import contexts
from vtn.lists import paged
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, is_done, show


class ContextForm(forms.Form):
    """A market context and its name."""

    market_context = forms.CharField(
        label=_lazy("URI"),
        max_length=200,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text=_lazy("VENs read it in each event, letter by letter: http://coop.example/turn-down."),
    )
    name = forms.CharField(label=_lazy("Name"), max_length=80, help_text=_lazy("What staff call it."))
    description = forms.CharField(label=_lazy("Description"), required=False, max_length=200)


@require_http_methods(["GET", "POST"])
@door(Deed.SEE, post=Deed.MANAGE_VENS)
def context_list(request: StaffRequest) -> HttpResponse:
    """Every market context that is named, run or used, and a form to name one."""
    if request.method == "POST":
        form = ContextForm(request.POST)
        if _is_saved(request, form, replacing=None):
            messages.success(request, _("The market context is named."))
            return redirect("vtn:context_list")
    else:
        form = ContextForm(initial={"market_context": request.GET.get("uri", "").replace("\0", "")[:200]})
    found = contexts.every_context(at=clock.now())
    shown, pager = paged(request, found)
    context = {"contexts": shown, "pager": pager, "form": form, "days": contexts.COUNTED_DAYS}
    return show(
        request, "vtn/context_list.html", context, section="contexts", status=422 if form.errors else 200
    )


@require_http_methods(["GET", "POST"])
@door(Deed.SEE, post=Deed.MANAGE_VENS)
def context_detail(request: StaffRequest, context_id: int) -> HttpResponse:
    """One named market context, and other words for it."""
    row = contexts.context(context_id)
    if request.method == "POST":
        form = ContextForm(request.POST)
        if _is_saved(request, form, replacing=context_id):
            messages.success(request, _("The market context is saved."))
            return redirect("vtn:context_detail", context_id)
    else:
        form = ContextForm(
            initial={"market_context": row.uri, "name": row.name, "description": row.description}
        )
    context = {
        "named": row,
        "programme": contexts.programmes().get(row.uri, ""),
        "form": form,
        "list_url": reverse("vtn:context_list"),
        "end_url": reverse("vtn:context_forget", args=[context_id]),
    }
    return show(
        request, "vtn/context_detail.html", context, section="contexts", status=422 if form.errors else 200
    )


@require_POST
@door(Deed.MANAGE_VENS)
def context_forget(request: StaffRequest, context_id: int) -> HttpResponse:
    """Forget a market context's name; events keep its URI."""
    contexts.forget_context(context_id=context_id, at=clock.now(), by=request.principal.actor)
    messages.success(request, _("The name is forgotten. Events keep the URI."))
    return redirect("vtn:context_list")


def _is_saved(request: StaffRequest, form: ContextForm, *, replacing: int | None) -> bool:
    def save() -> None:
        contexts.save_context(
            **form.cleaned_data, at=clock.now(), by=request.principal.actor, replacing=replacing
        )

    return is_done(form, save)
