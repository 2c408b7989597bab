"""What a household needs the co-op to take care of: its own page, and staff's, who say why they look.

Needs, never diagnoses. Whatever is told here is sealed, obeyed by every event, and named to nobody else.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

import members.policy
import members.queries
from members import caring
from members.care import Care, Need
from members.models import Member, User
from members.policy import READS_NEEDS, require_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.refusals import say_at_fields, sentence

WRITE: Final = "write"


class NeedsForm(forms.Form):
    """What not to do to a household, and whom else to speak with."""

    needs = forms.MultipleChoiceField(
        label=_lazy("Tick what holds for you"), required=False, choices=Need.choices,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    contact_name = forms.CharField(
        label=_lazy("Somebody else we may speak with"), required=False, max_length=80,
        validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("Such as a daughter or a neighbour. Ask them first."),
    )  # fmt: skip
    contact_phone = forms.CharField(
        label=_lazy("Their phone number"), required=False, max_length=30,
        validators=[ProhibitNullCharactersValidator()], widget=forms.TextInput(attrs={"type": "tel"}),
    )  # fmt: skip


class LookForm(forms.Form):
    """Whose needs, and why they are looked at."""

    number = forms.CharField(
        label=_lazy("Member number"), max_length=12, validators=[ProhibitNullCharactersValidator()],
        widget=forms.TextInput(attrs={"placeholder": "M-00001", "autocapitalize": "characters"}),
    )  # fmt: skip
    why = forms.CharField(
        label=_lazy("Why you look"), max_length=caring.LONGEST_REASON,
        validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("A few words that the household will read, such as “you rang about your heating”."),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@signed_in
def own_needs(request: HttpRequest) -> HttpResponse:
    """What my household needs, and who of the co-op has looked."""
    member = members.queries.member_of(request.user)
    if member is None or not member.is_current(clock.now()):
        raise members.policy.MemberNotFound(number="")
    posted = request.POST if request.method == "POST" else None
    form = NeedsForm(posted, initial=_initial(caring.own_care(member.household_id)))
    if request.method == "POST" and _kept(form, member, by=f"member:{member.pk}"):
        messages.success(request, _("Kept. Every event from now on keeps to it, also those under way."))
        return redirect("own_needs")
    looks = caring.looks_at(member.household_id)
    context = {
        "form": form,
        "looks": [{"when": wording.moment(look.at), "why": look.why} for look in looks],
    }
    return render(request, "web/own_needs.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def household_needs(request: HttpRequest) -> HttpResponse:
    """Look at a household's needs, with a reason that is kept, and write down what it says on the phone."""
    require_role(request.user, *READS_NEEDS)
    look = LookForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"look": look, "member": None, "form": None}
    if request.method == "POST" and look.is_valid():
        _answer(request, look, context)
    if context.pop("is_kept", False):
        messages.success(request, _("Written down. Every event from now on keeps to it."))
        return redirect("household_needs")
    form = context["form"]
    is_wrong = bool(look.errors or (form is not None and form.errors))
    return render(request, "web/household_needs.html", context, status=422 if is_wrong else 200)


def _answer(request: HttpRequest, look: LookForm, context: dict[str, Any]) -> None:
    """Show the needs, or keep what was written down for the household."""
    at, by = clock.now(), f"staff:{request.user.pk}"
    user: User = request.user  # type: ignore[assignment]
    try:
        member = members.policy.access_member(user, look.cleaned_data["number"], at)
    except members.policy.MemberNotFound:
        look.add_error("number", _("Nobody has this number. Numbers look like M-00001."))
        return
    if request.POST.get("do") == WRITE:
        form = NeedsForm(request.POST)
        context.update(member=member, form=form)
        context["is_kept"] = _kept(form, member, by=by)
        return
    try:
        care = caring.read_needs(household=member.household, at=at, by=by, why=look.cleaned_data["why"])
    except DomainError as error:
        look.add_error("why", _said(error))
        return
    context.update(member=member, form=NeedsForm(initial=_initial(care)))


def _kept(form: NeedsForm, member: Member, *, by: str) -> bool:
    if not form.is_valid():
        return False
    data = form.cleaned_data
    try:
        caring.tell_needs(
            household=member.household,
            needs=data["needs"],
            contact_name=data["contact_name"],
            contact_phone=data["contact_phone"],
            at=clock.now(),
            by=by,
        )
    except DomainError as error:
        say_at_fields(form, {str(error.data.get("field", "")): _said(error)})
        return False
    return True


def _initial(care: Care) -> dict[str, Any]:
    return {
        "needs": sorted(care.needs),
        "contact_name": care.contact_name,
        "contact_phone": care.contact_phone,
    }


def _said(error: DomainError) -> str:
    words = {
        "contact_needs_both": _("Give both the name and the number."),
        "too_short": _("Give the reason in a few words: the household will read it."),
        "empty": _("Give the reason in a few words: the household will read it."),
    }
    return words.get(str(error.data.get("problem", "")), sentence(error))
