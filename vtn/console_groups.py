"""Staff pages: groups of VENs that are addressed together."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

from opendsr.kernel import clock
from vtn import grouping
from vtn.event_form import LONGEST_LIST, ven_ids_in
from vtn.lists import paged
from vtn.models import VenGroup
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, is_done, show


class GroupForm(forms.Form):
    """A group and its VENs."""

    name = forms.SlugField(
        label=_lazy("Name"),
        max_length=64,
        help_text=_lazy("Letters, digits, - and _. Never a person's name."),
    )
    description = forms.CharField(label=_lazy("Description"), required=False, max_length=200)
    ven_ids = forms.CharField(
        label=_lazy("VENs"),
        required=False,
        max_length=LONGEST_LIST,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text=_lazy("Ids, by spaces, commas or lines."),
    )


@require_http_methods(["GET", "POST"])
@door(Deed.SEE, post=Deed.MANAGE_VENS)
def group_list(request: StaffRequest) -> HttpResponse:
    """Every group by name, and a form for one more."""
    form = GroupForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and _is_saved(request, form, replacing=None):
        messages.success(request, _("The group is made."))
        return redirect("vtn:group_list")
    shown, pager = paged(request, VenGroup.objects.annotate(size=Count("vens")).order_by("name"))
    context = {"groups": shown, "pager": pager, "form": form}
    return show(request, "vtn/group_list.html", context, section="groups", status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@door(Deed.SEE, post=Deed.MANAGE_VENS)
def group_detail(request: StaffRequest, group: str) -> HttpResponse:
    """One group: who is in it, and another name, description or set of VENs for it."""
    row = grouping.group(group)
    members = list(row.vens.order_by("ven_id").values_list("ven_id", flat=True))
    if request.method == "POST":
        form = GroupForm(request.POST)
        if _is_saved(request, form, replacing=group):
            messages.success(request, _("The group is saved."))
            return redirect("vtn:group_detail", form.cleaned_data["name"])
    else:
        form = GroupForm(
            initial={"name": row.name, "description": row.description, "ven_ids": "\n".join(members)}
        )
    context: dict[str, Any] = {
        "named": row,
        "members": members,
        "form": form,
        "list_url": reverse("vtn:group_list"),
        "end_url": reverse("vtn:group_dissolve", args=[group]),
    }
    return show(
        request, "vtn/group_detail.html", context, section="groups", status=422 if form.errors else 200
    )


@require_POST
@door(Deed.MANAGE_VENS)
def group_dissolve(request: StaffRequest, group: str) -> HttpResponse:
    """Forget a group; its VENs stay."""
    grouping.dissolve_group(name=group, at=clock.now(), by=request.principal.actor)
    messages.success(request, _("The group is dissolved. Its VENs stay as they are."))
    return redirect("vtn:group_list")


def _is_saved(request: StaffRequest, form: GroupForm, *, replacing: str | None) -> bool:
    def save() -> None:
        ven_ids = ven_ids_in(form.cleaned_data["ven_ids"])
        grouping.save_group(
            **form.cleaned_data | {"ven_ids": ven_ids},
            at=clock.now(),
            by=request.principal.actor,
            replacing=replacing,
        )

    return is_done(form, save)
