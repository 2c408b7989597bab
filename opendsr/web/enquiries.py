"""Staff pages of how people join: an enquiry and its decision, the rules, the terms, the shares."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

from assets.jobs import visit_of
from assets.models import AssetKind
from members import applying, entry, terms
from members.assessing import publish_rules, rules_in_force
from members.draft_terms import DRAFTS
from members.enquiry_models import Application, JoiningRules, Otherwise, Shareholding, TermsText
from members.mpan import has_valid_check_digit
from members.policy import DECIDES_ENQUIRIES, require_role
from members.sharing import mark_paid
from opendsr.kernel import clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.join_forms import NO_NUL
from opendsr.web.join_pages import send_link, told_in_words, verdict_in_words
from opendsr.web.refusals import say_refusal, sentence

State = Application.State
STATES: Final = {
    State.STARTED: (_lazy("started"), ""),
    State.SUBMITTED: (_lazy("waits for a decision"), "warn"),
    State.ASKED: (_lazy("asked for more"), "info"),
    State.APPROVED: (_lazy("approved"), "good"),
    State.JOINED: (_lazy("joined"), "good"),
    State.DECLINED: (_lazy("declined"), "bad"),
    State.WITHDRAWN: (_lazy("withdrawn"), ""),
}
LETTERS: Final = {
    State.APPROVED: ("approved", _lazy("You can join")),
    State.DECLINED: ("declined", _lazy("Your enquiry")),
    State.ASKED: ("asked", _lazy("A question about your enquiry")),
}


class DecisionForm(forms.Form):
    """A person's decision, with the reason that the applicant is told."""

    decision = forms.ChoiceField(
        label=_lazy("Decision"),
        choices=(
            (State.APPROVED, _lazy("Approve")),
            (State.ASKED, _lazy("Ask for more")),
            (State.DECLINED, _lazy("Decline")),
        ),
    )
    reason = forms.CharField(
        label=_lazy("Reason, or what you ask"), max_length=500, validators=[NO_NUL],
        help_text=_lazy("The applicant reads this in a letter."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip


class RulesForm(forms.Form):
    """Who can take part, and the terms of a share."""

    postcode_areas = forms.CharField(
        label=_lazy("Postcode areas or districts"), required=False, max_length=2_000, validators=[NO_NUL],
        help_text=_lazy("Such as “OL, M15, M16”. Empty: everywhere."),
    )  # fmt: skip
    area = forms.ChoiceField(label=_lazy("Outside them"), choices=Otherwise.choices)
    smart_meter = forms.ChoiceField(label=_lazy("Without a smart meter"), choices=Otherwise.choices)
    asset_kinds = forms.MultipleChoiceField(
        label=_lazy("What the co-op can control"), required=False, widget=forms.CheckboxSelectMultiple,
        help_text=_lazy("None ticked: it does not matter."),
    )  # fmt: skip
    assets = forms.ChoiceField(label=_lazy("With none of them"), choices=Otherwise.choices)
    landlord = forms.ChoiceField(
        label=_lazy("Tenants whose landlord has not agreed"), choices=Otherwise.choices
    )
    share_value_pence = forms.IntegerField(
        label=_lazy("A share costs, in pence"), min_value=1, max_value=1_000_000
    )
    least_shares = forms.IntegerField(label=_lazy("Fewest shares"), min_value=1, max_value=1_000_000)
    most_shares = forms.IntegerField(label=_lazy("Most shares"), min_value=1, max_value=1_000_000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = AssetKind.objects.order_by("name").values_list("code", "name")
        self.fields["asset_kinds"].choices = list(kinds)  # type: ignore[attr-defined]


class TermsForm(forms.Form):
    """The words, looked at before they are published."""

    kind = forms.ChoiceField(label=_lazy("Text"), choices=TermsText.Kind.choices, widget=forms.HiddenInput)
    body = forms.CharField(
        label=_lazy("Words"), max_length=terms.LONGEST, validators=[NO_NUL],
        widget=forms.Textarea(attrs={"rows": 16, "class": "wide"}),
        help_text=_lazy("Paragraphs apart by an empty line. Plain text; nothing in it is taken for HTML."),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@signed_in
def enquiry_page(request: HttpRequest, application_id: UUID) -> HttpResponse:
    """What was told, what the rules say, and the decision."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    held = applying.standing(application_id)
    form = DecisionForm(request.POST or None)
    by, at = f"staff:{request.user.pk}", clock.now()
    if request.method == "POST" and request.POST.get("do") == "paid":
        return _take_payment(request, held)
    if request.method == "POST" and form.is_valid():
        try:
            application = applying.decide(application_id=application_id, by=by, at=at, **form.cleaned_data)
        except DomainError as error:
            form.add_error(None, sentence(error))
        else:
            _tell(request, application, held.answers["email"])
            return redirect("enquiry_page", application_id)
    application = held.application
    words, tag = STATES[State(application.state)]
    context = {
        "held": held,
        "application": application,
        "state": words,
        "tag": tag,
        "since": wording.moment(application.since),
        "told": told_in_words(held.answers),
        "is_mpan_doubtful": bool(held.answers.get("mpan"))
        and not has_valid_check_digit(held.answers["mpan"]),
        "is_decidable": application.state in (State.SUBMITTED, State.ASKED, State.DECLINED, State.APPROVED)
        and bool(held.answers),
        "form": form,
        "shares": Shareholding.objects.filter(member_id=application.member_id)
        if application.member_id
        else [],
        "visit": visit_of(application.home_id),
        **verdict_in_words(applying.verdict_of(held, at)),
    }
    return render(request, "members/enquiry.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def joining_rules(request: HttpRequest) -> HttpResponse:
    """Who can take part, as data in versions."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    at = clock.now()
    rules = rules_in_force(at)
    form = RulesForm(request.POST) if request.method == "POST" else RulesForm(initial=_rules_given(rules))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            made = publish_rules(
                postcode_areas=[each for each in data["postcode_areas"].replace(",", " ").split() if each],
                asset_kinds=data["asset_kinds"],
                otherwise={name: data[name] for name in ("area", "smart_meter", "assets", "landlord")},
                share_value_pence=data["share_value_pence"],
                least_shares=data["least_shares"],
                most_shares=data["most_shares"],
                at=at,
                by=f"staff:{request.user.pk}",
            )
        except DomainError as error:
            say_refusal(form, error)
        else:
            messages.success(
                request, _("Version %(n)s holds for who hands in from now on.") % {"n": made.version}
            )
            return redirect("joining_rules")
    context = {"form": form, "rules": rules, "versions": JoiningRules.objects.order_by("-version")[:20]}
    return render(request, "members/joining_rules.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def terms_texts(request: HttpRequest) -> HttpResponse:
    """The terms and what is read before agreeing: written, looked at, published."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    at = clock.now()
    wanted = request.POST.get("kind") or request.GET.get("kind") or TermsText.Kind.ASSURANCE
    kind = TermsText.Kind(wanted) if wanted in TermsText.Kind.values else TermsText.Kind.ASSURANCE
    current = terms.newest_terms(kind, at)
    body = current.body if current else DRAFTS[kind]
    form = (
        TermsForm(request.POST)
        if request.method == "POST"
        else TermsForm(initial={"kind": kind, "body": body})
    )
    preview = ""
    if request.method == "POST" and form.is_valid():
        try:
            preview = entry.paragraphs(form.cleaned_data["body"], field="body")
        except DomainError as error:
            form.add_error("body", sentence(error))
    if preview and request.POST.get("do") == "publish":
        try:
            made = terms.publish_terms(kind=kind, body=preview, at=at, by=f"staff:{request.user.pk}")
        except DomainError as error:
            form.add_error("body", sentence(error))
            preview = ""
        else:
            messages.success(request, _("Published as version %(n)s.") % {"n": made.version})
            return redirect(f"{request.path}?kind={kind}")
    context = {
        "form": form,
        "kind": kind,
        "kinds": TermsText.Kind.choices,
        "current": current,
        "preview": preview,
        "preview_sha256": hashlib.sha256(preview.encode()).hexdigest() if preview else "",
        "versions": TermsText.objects.filter(kind=kind).order_by("-version")[:20],
    }
    return render(request, "members/terms.html", context, status=422 if form.errors else 200)


def _rules_given(rules: JoiningRules) -> dict[str, Any]:
    return {
        "postcode_areas": ", ".join(rules.postcode_areas),
        "area": rules.area_otherwise,
        "smart_meter": rules.smart_meter_otherwise,
        "asset_kinds": rules.asset_kinds,
        "assets": rules.assets_otherwise,
        "landlord": rules.landlord_otherwise,
        "share_value_pence": rules.share_value_pence,
        "least_shares": rules.least_shares,
        "most_shares": rules.most_shares,
    }


def _take_payment(request: HttpRequest, held: applying.Standing) -> HttpResponse:
    member = held.application.member
    if member is not None:
        mark_paid(member=member, by=f"staff:{request.user.pk}", at=clock.now())
        messages.success(request, _("Noted: the shares are paid."))
    return redirect("enquiry_page", held.application.pk)


def _tell(request: HttpRequest, application: Application, to: str) -> None:
    name, subject = LETTERS[State(application.state)]
    title = f"{subject} – {installation.current().coop_name}"
    if send_link(request, application, to, template=f"join/letters/{name}.txt", subject=title):
        messages.success(request, _("Decided, and the applicant is written to."))
    else:
        messages.warning(request, _("Decided, but the letter could not be sent: ring or write yourself."))
