"""A member's standing wishes: when to be left out, and consents taken back in two presses."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

import members.policy
import members.queries
from members import consenting, opting_out
from members.models import Consent, Member, Occupancy, StandingOptOut
from members.recurring import EVERY_DAY, Recurrence, season_day
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import day_interval
from opendsr.web import own_assets, wording
from opendsr.web.entering import signed_in
from opendsr.web.forms import DayField
from opendsr.web.refusals import say_refusal

DAYS: Final = (
    (1, _lazy("Monday")),
    (2, _lazy("Tuesday")),
    (4, _lazy("Wednesday")),
    (8, _lazy("Thursday")),
    (16, _lazy("Friday")),
    (32, _lazy("Saturday")),
    (64, _lazy("Sunday")),
)
SHARES: Final = (
    ("", _lazy("leave us out altogether")),
    (75, _lazy("ask us, but keep at least 75 % of the power")),
    (50, _lazy("ask us, but keep at least half of the power")),
    (25, _lazy("ask us, but keep at least 25 % of the power")),
)
LEFT_OUT: Final = _lazy("You are left out of events at those times. Events that had begun to ask are told.")
KEPT: Final = _lazy("Kept: no event takes your power below that at those times. Events under way are told.")


class LeaveOutForm(forms.Form):
    """When the household is to be left out; all of it empty is from now on, until taken back."""

    home = forms.ChoiceField(label=_lazy("Home"))
    first_day = DayField(
        label=_lazy("First day"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_lazy("Empty: from now."),
    )  # fmt: skip
    last_day = DayField(
        label=_lazy("Last day"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_lazy("Empty: until you take it back."),
    )  # fmt: skip
    days = forms.TypedMultipleChoiceField(
        label=_lazy("Only on these days"), required=False, coerce=int, choices=DAYS,
        widget=forms.CheckboxSelectMultiple, help_text=_lazy("None ticked: every day."),
    )  # fmt: skip
    from_time = forms.TimeField(
        label=_lazy("Only from"), required=False, widget=forms.TimeInput(attrs={"type": "time"})
    )
    to_time = forms.TimeField(
        label=_lazy("Until"), required=False, widget=forms.TimeInput(attrs={"type": "time"}),
        help_text=_lazy("Empty: the whole day. Hours may run past midnight."),
    )  # fmt: skip
    season_from = forms.CharField(
        label=_lazy("Only from this day of each year"), required=False, max_length=7,
        validators=[ProhibitNullCharactersValidator()], help_text=_lazy("Month and day, such as 12-20."),
    )  # fmt: skip
    season_to = forms.CharField(
        label=_lazy("To this day of each year"), required=False, max_length=7,
        validators=[ProhibitNullCharactersValidator()], help_text=_lazy("Such as 01-05."),
    )  # fmt: skip
    least_pct = forms.TypedChoiceField(
        label=_lazy("At these times"), required=False, coerce=int, empty_value=None, choices=SHARES,
        help_text=_lazy(
            "What can only be on or off is left out; a charger that can run slower takes part with the rest."
        ),
    )  # fmt: skip
    reason = forms.CharField(
        label=_lazy("A word for yourself"), required=False, max_length=120,
        validators=[ProhibitNullCharactersValidator()], help_text=_lazy("Such as “visitors”."),
    )  # fmt: skip

    def __init__(self, stays: list[Occupancy], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        homes = [(str(stay.pk), stay.home.name) for stay in stays]
        self.fields["home"].choices = homes  # type: ignore[attr-defined]
        if len(stays) == 1:
            self.fields["home"].widget = forms.HiddenInput()
            self.initial["home"] = str(stays[0].pk)

    def clean(self) -> dict[str, Any]:
        """Days of the year in their form, and the last day not before the first."""
        data = super().clean() or {}
        for name in ("season_from", "season_to"):
            if given := data.get(name):
                found = season_day(given)
                if found is None:
                    self.add_error(name, _("Write month and day as 12-20."))
                data[name] = found
        first, last = data.get("first_day"), data.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", _("The last day is before the first."))
        return data

    @property
    def rule(self) -> Recurrence:
        """The hours, weekdays and season."""
        data = self.cleaned_data
        return Recurrence(
            weekdays=sum(data["days"]) or EVERY_DAY,
            from_time=data["from_time"],
            to_time=data["to_time"],
            season_from=data["season_from"] or "",
            season_to=data["season_to"] or "",
        )


@require_http_methods(["GET", "POST"])
@signed_in
def preferences(request: HttpRequest) -> HttpResponse:
    """When to be left out, and what was agreed to."""
    at = clock.now()
    member = _own(request)
    stays = members.queries.occupancies_of(member, at)
    form = LeaveOutForm(stays, request.POST) if request.method == "POST" else LeaveOutForm(stays)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        stay = next(each for each in stays if str(each.pk) == data["home"])
        try:
            opting_out.start_standing_opt_out(
                occupancy=stay,
                at=at,
                starts_at=day_interval(data["first_day"]).starts_at if data["first_day"] else at,
                ends_at=day_interval(data["last_day"]).ends_at if data["last_day"] else None,
                reason=data["reason"],
                rule=form.rule,
                least_pct=data["least_pct"],
            )
        except DomainError as error:
            say_refusal(form, error, {"weekdays": "days", "ends_at": "last_day"})
        else:
            messages.success(request, KEPT if data["least_pct"] else LEFT_OUT)
            return redirect("preferences")
    homes = [stay.pk for stay in stays]
    context = {
        "form": form,
        "stays": stays,
        "own_assets": own_assets.of_homes(stays if member.is_current(at) else []),
        "opt_outs": [_opt_out(each, at) for each in members.queries.standing_opt_outs_to_come(homes, at)],
        "consents": [_consent(each) for each in members.queries.consents_in_force(homes, at)],
    }
    return render(request, "web/preferences.html", context, status=422 if form.errors else 200)


@require_POST
@signed_in
def take_back(request: HttpRequest, opt_out_id: UUID) -> HttpResponse:
    """Take part again: end a standing opt-out now."""
    at = clock.now()
    member = _own(request)
    opt_out = members.policy.access_opt_out(request.user, opt_out_id, at)
    if opt_out.occupancy.household_id != member.household_id:
        raise members.policy.OptOutNotFound(opt_out_id=str(opt_out_id))
    opting_out.end_standing_opt_out(opt_out_id=opt_out.pk, at=at)
    messages.success(request, _("Taken back: you are asked again from now on."))
    return redirect("preferences")


@require_POST
@signed_in
def withdraw(request: HttpRequest, consent_id: UUID) -> HttpResponse:
    """Take a consent back; it holds for nothing from this moment on."""
    at = clock.now()
    member = _own(request)
    consenting.withdraw_consent(consent_id=consent_id, member=member, at=at)
    messages.success(request, _("Withdrawn. Nothing is done under it any more; what was done before stands."))
    return redirect("preferences")


def _own(request: HttpRequest) -> Member:
    member = members.queries.member_of(request.user)
    if member is None:
        raise members.policy.MemberNotFound(number="")
    return member


def _opt_out(opt_out: StandingOptOut, at: datetime) -> dict[str, Any]:
    rule = opt_out.recurrence
    words = []
    if rule.weekdays != EVERY_DAY:
        words.append(", ".join(str(name) for bit, name in DAYS if rule.weekdays & bit))
    if rule.from_time and rule.to_time:
        hours = {"from": f"{rule.from_time:%H:%M}", "to": f"{rule.to_time:%H:%M}"}
        words.append(_("%(from)s to %(to)s") % hours)
    if rule.season_from:
        words.append(
            _("from %(from)s to %(to)s each year") % {"from": rule.season_from, "to": rule.season_to}
        )
    last = opt_out.ends_at - timedelta(microseconds=1) if opt_out.ends_at else None
    return {
        "id": opt_out.pk,
        "home": opt_out.occupancy.home.name,
        "when": "; ".join(words) or _("at all times"),
        "least_pct": opt_out.least_pct,
        "since": wording.day(opt_out.starts_at, "j F Y"),
        "until": wording.day(last, "j F Y") if last else "",
        "reason": opt_out.reason,
        "is_ahead": opt_out.starts_at > at,
    }


def _consent(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.pk,
        "purpose": consent.get_purpose_display(),
        "granularity": consent.get_granularity_display(),
        "home": consent.occupancy.home.name,
        "by": consent.member.full_name,
        "since": wording.day(consent.starts_at, "j F Y"),
        "words": consent.text.body,
        "version": consent.text.version,
    }
