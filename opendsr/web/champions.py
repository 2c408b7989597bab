"""Who brings members in and what they say: champions' codes, cost per recruit, short surveys in totals."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

import campaigns.queries
import members.queries
from members import inviting, listening
from members.enquiry_models import Occasion
from members.models import Member
from members.policy import DECIDES_ENQUIRIES, MemberNotFound, require_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web.entering import signed_in
from opendsr.web.join_forms import NO_NUL
from opendsr.web.paging import paged
from opendsr.web.refusals import say_refusal, sentence

SHOWN: Final = 50
SCORES: Final = (
    ("1", _lazy("1 – not at all")), ("2", "2"), ("3", "3"), ("4", "4"), ("5", _lazy("5 – very much")),
)  # fmt: skip


class ChampionForm(forms.Form):
    """A champion's code."""

    code = forms.CharField(
        label=_lazy("Code"), max_length=24, validators=[NO_NUL],
        help_text=_lazy("Capitals, digits and hyphens, such as CALDER-JO."),
    )  # fmt: skip
    name = forms.CharField(
        label=_lazy("Name"), max_length=120, validators=[NO_NUL],
        help_text=_lazy("Whoever comes by the link reads it."),
    )  # fmt: skip
    reward_pence = forms.IntegerField(
        label=_lazy("Reward for each who joins, in pence"), min_value=0, max_value=100_000, initial=0
    )


class SpentForm(forms.Form):
    """What recruiting by a code has cost besides."""

    champion = forms.UUIDField(widget=forms.HiddenInput)
    pence = forms.IntegerField(label=_lazy("Spent, in pence"), min_value=-100_000_000, max_value=100_000_000)


class SurveyForm(forms.Form):
    """The occasion's questions, and a word."""

    def __init__(self, occasion: Occasion, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for code, words in listening.QUESTIONS[occasion].items():
            self.fields[code] = forms.TypedChoiceField(
                label=str(words), choices=SCORES, coerce=int, widget=forms.RadioSelect
            )
        self.fields["comment"] = forms.CharField(
            label=_("Anything you want to add"), required=False, max_length=1000, validators=[NO_NUL],
            widget=forms.Textarea(attrs={"rows": 3}),
            help_text=_("The co-op reads this without your name, among those of others."),
        )  # fmt: skip


@require_http_methods(["GET", "POST"])
@signed_in
def champion_list(request: HttpRequest) -> HttpResponse:
    """Every code with its recruits and what one cost; the button pressed says what is to be done."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    at, by, do = clock.now(), f"staff:{request.user.pk}", request.POST.get("do", "")
    form = ChampionForm(request.POST if do == "make" else None)
    spent = SpentForm(request.POST) if do in ("spend", "end") else None
    try:
        if do == "make" and form.is_valid():
            inviting.make_champion(**form.cleaned_data, by=by, at=at)
            messages.success(request, _("Made. The link below is for everybody they know."))
            return redirect("champion_list")
        if do == "end" and spent is not None:
            spent.is_valid()
            if key := spent.cleaned_data.get("champion"):
                inviting.end_champion(champion_id=key, by=by, at=at)
            return redirect("champion_list")
        if do == "spend" and spent is not None:
            if spent.is_valid():
                data = spent.cleaned_data
                inviting.note_spending(champion_id=data["champion"], pence=data["pence"], by=by, at=at)
            else:
                messages.error(request, _("Write how many pence were spent, as a whole number."))
            return redirect("champion_list")
    except DomainError as error:
        if do != "make":
            messages.error(request, sentence(error))
            return redirect("champion_list")
        say_refusal(form, error)
    shown, pager = paged(request, inviting.champions(), size=SHOWN)
    context = {"form": form, "rows": [_row(request, each) for each in shown], "pager": pager}
    return render(request, "members/champions.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def survey(request: HttpRequest, occasion: str) -> HttpResponse:
    """The short survey that is open to the member."""
    member, at = _own(request), clock.now()
    first_event_at = campaigns.queries.first_event_of(member.household_id)
    due = listening.due_for(member, at=at, first_event_at=first_event_at)
    if due is None or due.occasion != occasion:
        messages.info(request, _("Nothing is asked just now. Thank you."))
        return redirect("home")
    form = SurveyForm(due.occasion, request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = dict(form.cleaned_data)
        comment = data.pop("comment")
        try:
            listening.answer(
                member=member, occasion=occasion, scores=data, comment=comment, at=at,
                first_event_at=first_event_at,
            )  # fmt: skip
        except DomainError as error:
            form.add_error(None, sentence(error))
        else:
            messages.success(request, _("Thank you. It is counted with those of others."))
            return redirect("home")
    context = {"form": form, "occasion": due.occasion.label}
    return render(request, "members/survey.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def survey_results(request: HttpRequest) -> HttpResponse:
    """What members answered, in totals."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    context = {"totals": [_total(each) for each in listening.totals()], "least": listening.LEAST_ANSWERS}
    return render(request, "members/survey_results.html", context)


def due_survey(member: Member) -> dict[str, str] | None:
    """The survey open to the member now, for their page of membership."""
    first_event_at = campaigns.queries.first_event_of(member.household_id)
    due = listening.due_for(member, at=clock.now(), first_event_at=first_event_at)
    return None if due is None else {"url": reverse("survey", args=[due.occasion.value])}


def _row(request: HttpRequest, champion: Any) -> dict[str, Any]:
    cost = inviting.cost_per_recruit_pence(champion, champion.recruits)
    link = reverse("join_by", args=[inviting.token_of(champion)])
    return {
        "champion": champion,
        "cost": _pounds(cost) if cost is not None else "",
        "reward": _pounds(champion.reward_pence),
        "spent": _pounds(champion.spent_pence),
        "link": request.build_absolute_uri(link) if champion.ended_at is None else "",
        "form": SpentForm(initial={"champion": champion.pk}, auto_id=f"spend-{champion.pk}-%s"),
    }


def _total(total: listening.OccasionTotal) -> dict[str, Any]:
    return {
        "label": total.occasion.label,
        "code": total.occasion.value,
        "answers": total.answers,
        "questions": [
            {"words": each.words, "counts": each.counts, "mean": f"{each.mean_tenths / 10:.1f}"}
            for each in total.questions
        ],
        "comments": total.comments,
    }


def _pounds(pence: int) -> str:
    return f"£{pence / 100:,.2f}"


def _own(request: HttpRequest) -> Member:
    member = members.queries.member_of(request.user)
    if member is None:
        raise MemberNotFound(number="")
    return member
