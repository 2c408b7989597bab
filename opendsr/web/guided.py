"""Guided steps in a membership: a household's page, moving, a new meter, a housemate, leaving, bereavement.

Each step is filled in, then shows what will happen to consents, devices and money, and is done only when that
is confirmed. Members take their own; member services take any, and bereavement is theirs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

import members.queries
from assets.jobs import note_new_meter, visit_of
from assets.models import Asset, Cad, Hub
from members import applying, consenting, entry, inviting, leaving, moving
from members.enquiry_models import Shareholding
from members.models import Consent, Member, Occupancy, Purpose, Role
from members.mpan import has_valid_check_digit
from members.policy import Forbidden, MemberNotFound, access_member, has_role, require_role
from opendsr.kernel import clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date, day_interval
from opendsr.web import letters, member_home, wording
from opendsr.web.champions import due_survey
from opendsr.web.entering import signed_in
from opendsr.web.join_forms import NO_NUL
from opendsr.web.refusals import sentence
from settlement import bank_details

TAKES_STEPS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
PAYS_ESTATES: Final = (Role.ADMINISTRATOR, Role.FINANCE)
DAY: Final = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class StepForm(forms.Form):
    """What a step asks; `member` and `at` decide what can be chosen."""

    def __init__(self, *args: Any, member: Member, at: datetime, **kwargs: Any) -> None:
        self.member, self.at = member, at
        super().__init__(*args, **kwargs)
        if "stay" in self.fields:
            stays = members.queries.occupancies_of(member, at)
            choices = [(str(each.pk), each.home.name) for each in stays]
            self.fields["stay"].choices = choices  # type: ignore[attr-defined]
            self.stays = {str(each.pk): each for each in stays}

    @property
    def chosen(self) -> Occupancy:
        """The stay chosen."""
        return self.stays[self.cleaned_data["stay"]]


class MoveForm(StepForm):
    """From where, since when, and where to."""

    stay = forms.ChoiceField(label=_lazy("You leave"))
    moved_on = forms.DateField(
        label=_lazy("Moving day"), widget=DAY, help_text=_lazy("Today or a day that has passed.")
    )
    address = forms.CharField(label=_lazy("New address"), max_length=200, validators=[NO_NUL])
    postcode = forms.CharField(label=_lazy("New postcode"), max_length=10, validators=[NO_NUL])
    mpan = forms.CharField(
        label=_lazy("MPAN of the new home"), max_length=24, validators=[NO_NUL],
        help_text=_lazy("The 13 digits at the bottom of the box with an S on the bill."),
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )  # fmt: skip
    gsp_group = forms.CharField(
        label=_lazy("GSP group, only for meters on independent networks"), max_length=2, required=False,
        validators=[NO_NUL],
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for text in _offered(self.at):
            self.fields[f"consent_{text.purpose}"] = forms.BooleanField(
                label=_("In the new home: %(purpose)s") % {"purpose": text.get_purpose_display()},
                required=False,
            )

    def clean_mpan(self) -> str:
        """13 digits whose last one fits."""
        try:
            mpan = entry.mpan(self.cleaned_data["mpan"])
        except entry.InvalidField as error:
            raise forms.ValidationError(sentence(error)) from error
        if not has_valid_check_digit(mpan):
            raise forms.ValidationError(
                _("The last digit does not fit the others: read it off the bill again.")
            )
        return mpan

    @property
    def purposes(self) -> dict[str, str]:
        """The consents given for the new home."""
        given = [name for name in Purpose.values if self.cleaned_data.get(f"consent_{name}")]
        return {name: applying.granularity_for(name) for name in given}


class MeterForm(StepForm):
    """A new supplier or a new meter."""

    stay = forms.ChoiceField(label=_lazy("Home"))
    what = forms.ChoiceField(
        label=_lazy("What changed"),
        choices=(("supplier", _lazy("The supplier only")), ("meter", _lazy("The meter"))),
    )
    changed_on = forms.DateField(
        label=_lazy("Since"), widget=DAY, help_text=_lazy("Today or a day that has passed.")
    )


class LeaveForm(StepForm):
    """Nothing to fill in, and no reason to give."""


class BereavementForm(StepForm):
    """Who carries on, if anybody."""

    successor = forms.ChoiceField(label=_lazy("Who takes the membership over"), required=False)
    new_name = forms.CharField(
        label=_lazy("Or somebody of the household who is no member yet: name"), required=False,
        max_length=120, validators=[NO_NUL],
    )  # fmt: skip
    new_email = forms.EmailField(label=_lazy("Their email address"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = leaving.others_of(self.member, self.at)
        self.others = {each.number: each for each in others}
        nobody = ("", _("nobody: the membership ends"))
        choices = [nobody, *((each.number, f"{each.full_name} ({each.number})") for each in others)]
        self.fields["successor"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """One of the two at most; a new member has an address."""
        data = super().clean() or {}
        if data.get("successor") and data.get("new_name"):
            self.add_error("new_name", _("Choose somebody, or name somebody: not both."))
        if bool(data.get("new_name")) != bool(data.get("new_email")):
            self.add_error("new_email", _("Give both, the name and the address."))
        return data


class InviteForm(StepForm):
    """Whom to invite into the household."""

    email = forms.EmailField(label=_lazy("Their email address"))


class EstateForm(forms.Form):
    """The account of whoever settles an estate."""

    name = forms.CharField(label=_lazy("Name on the account"), max_length=18, validators=[NO_NUL])
    sort_code = forms.RegexField(r"^[0-9]{6}$", label=_lazy("Sort code"), help_text=_lazy("Six digits"))
    account_number = forms.RegexField(
        r"^[0-9]{8}$", label=_lazy("Account number"), help_text=_lazy("Eight digits")
    )


TITLES: Final = {
    "move": (_lazy("Move house"), _lazy("Move")),
    "meter": (_lazy("A new supplier or meter"), _lazy("Note it")),
    "leave": (_lazy("Leave the co-op"), _lazy("Leave")),
    "bereavement": (_lazy("After a death"), _lazy("End the membership")),
    "invite": (_lazy("Invite somebody you live with"), _lazy("Send the invitation")),
}
FORMS: Final[dict[str, type[StepForm]]] = {
    "move": MoveForm,
    "meter": MeterForm,
    "leave": LeaveForm,
    "bereavement": BereavementForm,
    "invite": InviteForm,
}


@require_GET
@signed_in
def household_page(request: HttpRequest, number: str) -> HttpResponse:
    """A member's household: homes, people, shares, and the steps that can be taken."""
    at = clock.now()
    member = _member(request, number, at)
    is_staff = has_role(request.user, *TAKES_STEPS)
    stays = members.queries.occupancies_of(member, at)
    is_current = member.is_current(at)
    steps = [step for step in TITLES if is_current and (step != "bereavement" or is_staff)]
    context = {
        "member": member,
        "is_self": member.user_id == request.user.pk,
        "is_current": is_current,
        "left": wording.day(member.left_at, "j F Y") if member.left_at and not is_current else "",
        "homes": [
            {
                "home": stay.home,
                "since": wording.day(stay.starts_at, "j F Y"),
                "visit": visit_of(stay.home_id),
            }
            for stay in stays
        ],
        "survey": due_survey(member) if member.user_id == request.user.pk else None,
        "people": leaving.others_of(member, at),
        "shares": Shareholding.objects.filter(member=member).order_by("taken_at"),
        "steps": [(step, TITLES[step][0]) for step in steps],
        "is_staff": is_staff,
        "takes_estate": member.left_reason == "deceased" and has_role(request.user, *PAYS_ESTATES),
        "estate_form": EstateForm(),
    }
    return render(request, "members/household.html", context)


@require_GET
@signed_in
def member_find(request: HttpRequest) -> HttpResponse:
    """Member services look a member up by number, in any of its forms."""
    require_role(request.user, *TAKES_STEPS)
    try:
        member = access_member(request.user, request.GET.get("number", ""), clock.now())
    except MemberNotFound:
        messages.error(request, _("No member has this number."))
        return redirect("funnel")
    return redirect("household_page", member.number)


@require_http_methods(["GET", "POST"])
@signed_in
def step_page(request: HttpRequest, number: str, step: str) -> HttpResponse:
    """One step: asked, shown, confirmed."""
    at = clock.now()
    member = _member(request, number, at)
    if step == "estate":
        return _take_estate(request, member, at)
    if step not in FORMS:
        raise Http404
    if step == "bereavement" and not has_role(request.user, *TAKES_STEPS):
        raise Forbidden(needs="member_services")
    if not member.is_current(at):
        messages.error(request, _("That membership has ended."))
        return redirect("household_page", member.number)
    sent = request.POST if request.method == "POST" else None
    initial = {"moved_on": civil_date(at), "changed_on": civil_date(at)}
    form = FORMS[step](sent, member=member, at=at, initial=initial)
    effects: list[tuple[str, list[str]]] = []
    if sent is not None and form.is_valid():
        if request.POST.get("do") == "confirm" or step == "invite":
            try:
                said = _done(request, step, form, member, at)
            except DomainError as error:
                name = str(error.data.get("field", ""))
                form.add_error(name if name in form.fields else None, sentence(error))
            else:
                messages.success(request, said)
                is_gone = step == "leave" and member.user_id == request.user.pk
                return redirect("home") if is_gone else redirect("household_page", member.number)
        else:
            effects = effects_of(step, form, member, at)
    title, button = TITLES[step]
    context = {
        "member": member,
        "step": step,
        "title": title,
        "button": button,
        "form": form,
        "effects": effects,
        "is_asked_twice": step != "invite",
        "wordings": [(text.get_purpose_display(), text.body) for text in _offered(at)]
        if step == "move"
        else [],
    }
    return render(request, "members/step.html", context, status=422 if form.errors else 200)


def effects_of(step: str, form: Any, member: Member, at: datetime) -> list[tuple[str, list[str]]]:
    """What will happen to consents, devices and money, in words, before anything does."""
    if step == "meter":
        return _meter_effects(form, at)
    if step == "move":
        stays: Sequence[Occupancy] = [form.chosen]
        ending = members.queries.consents_in_force([form.chosen.pk], at)
    else:
        is_over = not leaving.others_of(member, at) and not form.cleaned_data.get("new_name")
        stays = members.queries.occupancies_of(member, at) if is_over else []
        ending = leaving.consents_of(member, at)
        if is_over:
            ending = members.queries.consents_in_force([stay.pk for stay in stays], at)
    return [
        (_("Consents"), _consents_ending(ending, step)),
        (_("Devices"), _devices(stays)),
        (_("Money"), _money(step, form, member, at)),
        *_also(step, form, member),
    ]


def _consents_ending(ending: Sequence[Consent], step: str) -> list[str]:
    words = [
        _("“%(purpose)s” for %(home)s, given by %(who)s, ends.")
        % {
            "purpose": each.get_purpose_display(),
            "home": each.occupancy.home.name,
            "who": each.member.full_name,
        }
        for each in ending
    ]
    if step == "move":
        words.append(_("For the new home only what you ticked is agreed to, from now on."))
    return words or [_("None is in force, so none ends.")]


def _devices(stays: Sequence[Occupancy]) -> list[str]:
    if not stays:
        return [_("Nothing changes: somebody of the household is still a member.")]
    homes = [stay.home_id for stay in stays]
    hubs = Hub.objects.filter(home__in=homes, state=Hub.State.COMMISSIONED).order_by("serial")
    words = [
        _("Hub %(serial)s stays in the home and asks nothing of it until whoever lives there next agrees.")
        % {"serial": hub.serial}
        for hub in hubs
    ]
    count = Asset.objects.filter(hub__home__in=homes).exclude(state=Asset.State.RETIRED).count()
    if count:
        words.append(_("Devices work by their own switches; the co-op takes them away if that is wished."))
    return words or [_("There is no hub in the home.")]


def _money(step: str, form: Any, member: Member, at: datetime) -> list[str]:
    stays = Occupancy.objects.filter(household_id=member.household_id)
    if step == "move":
        stays = stays.filter(pk=form.chosen.pk)
    balance = {"sum": wording.money(member_home.balance_mp(list(stays)))}
    heir = form.cleaned_data.get("successor") or form.cleaned_data.get("new_name")
    others = leaving.others_of(member, at)
    if step == "bereavement":
        if heir or others:
            words = [_("%(sum)s on the household’s account pass to who carries it on.") % balance]
        else:
            words = [_("%(sum)s are owed to the estate, and held until its account is known.") % balance]
    elif step == "leave" and others:
        words = [_("%(sum)s stay on the household’s account.") % balance]
    else:
        words = [_("%(sum)s on the account are paid out with the next batch, however little.") % balance]
    words.append(_("Events that are over are settled as they would have been; later ones do not count."))
    shares = sum(each.shares for each in Shareholding.objects.filter(member=member))
    if shares and step == "leave":
        words.append(
            _("Your %(shares)s shares stay yours until the society pays them back by its rules.")
            % {"shares": shares}
        )
    if shares and step == "bereavement":
        told = {"shares": shares}
        words.append(
            _("%(shares)s shares pass to who carries the household on.") % told
            if heir
            else _("%(shares)s shares belong to the estate.") % told
        )
    return words


def _also(step: str, form: Any, member: Member) -> list[tuple[str, list[str]]]:
    if step == "bereavement":
        words = [_("The sign-in of the person who died is closed, and no letter goes to their address.")]
        if form.cleaned_data.get("new_name"):
            words.append(_("%(name)s becomes a member.") % {"name": form.cleaned_data["new_name"]})
        return [(_("Letters"), words)]
    if step == "move":
        return [(_("Visit"), [_("A visit to the new home is planned, unless a hub works there already.")])]
    return []


def _meter_effects(form: Any, at: datetime) -> list[tuple[str, list[str]]]:
    consents = members.queries.consents_in_force([form.chosen.pk], at)
    is_meter = form.cleaned_data["what"] == "meter"
    has_cad = Cad.objects.filter(home_id=form.chosen.home_id, retired_at__isnull=True).exists()
    devices = [_("The hub and its devices are not touched: it is the same hub with the same certificate.")]
    if has_cad:
        devices.append(
            _("The CAD has to be paired with the new meter: a visit is planned for that.")
            if is_meter
            else _("The CAD goes on reading. Should it fall silent, the new supplier has to list it.")
        )
    return [
        (
            _("Consents"),
            [_("All %(n)s stand: nothing has to be agreed to again.") % {"n": len(consents)}],
        ),
        (_("Devices"), devices),
        (
            _("Money"),
            [
                _("Baselines go on with the home’s earlier days."),
                _("The half-hour of the change is left out, because the new register begins anew.")
                if is_meter
                else _("Nothing changes."),
            ],
        ),
    ]


def _done(request: HttpRequest, step: str, form: Any, member: Member, at: datetime) -> str:
    is_self = member.user_id == request.user.pk
    by = f"member:{member.number}" if is_self else f"staff:{request.user.pk}"
    data = form.cleaned_data
    if step == "move":
        moving.move_house(
            member=member, occupancy=form.chosen, moved_at=_start_of(data["moved_on"], at),
            address=data["address"], postcode=data["postcode"], mpan=data["mpan"],
            gsp_group=entry.gsp_group(data["gsp_group"]) if data["gsp_group"] else "",
            purposes=form.purposes, at=at, by=by, channel="web" if is_self else "phone",
        )  # fmt: skip
        return _("Moved. What was agreed to for the old home has ended.")
    if step == "meter":
        if data["what"] == "meter":
            changed_at = _start_of(data["changed_on"], at)
            note_new_meter(home=form.chosen.home, changed_at=changed_at, at=at, by=by)
        return _("Noted. All consents stand.")
    if step == "leave":
        leaving.leave(member=member, at=at, by=by)
        return _("The membership has ended. Thank you for the time together.")
    if step == "bereavement":
        parting = leaving.bereave(
            member=member, at=at, by=by, successor=form.others.get(data["successor"]),
            new_name=data["new_name"], new_email=data["new_email"],
        )  # fmt: skip
        if parting.is_household_over:
            return _("The membership has ended; what is owed is held for the estate.")
        return _("The membership has ended; the household goes on.")
    letters.count_asking(request, data["email"])
    invitation = inviting.invite_housemate(member=member, email=data["email"], at=at)
    url = request.build_absolute_uri(reverse("join_by", args=[inviting.token_of(invitation)]))
    context = {"url": url, "coop": installation.current(), "who": member.full_name}
    subject = _("An invitation from %(who)s") % {"who": member.full_name}
    if not letters.send(data["email"], subject, "join/letters/housemate.txt", context):
        return _("The letter could not be sent. Try again later.")
    return _("The invitation is on its way; its link works for 14 days.")


def _take_estate(request: HttpRequest, member: Member, at: datetime) -> HttpResponse:
    """Where an estate is to be paid; finance alone, and only after a death."""
    if request.method != "POST" or member.left_reason != "deceased":
        raise Http404
    if not has_role(request.user, *PAYS_ESTATES):
        raise Forbidden(needs="finance")
    form = EstateForm(request.POST)
    try:
        if not form.is_valid():
            raise bank_details.BankDetailInvalid(field="account", reason="form")
        payee = bank_details.Payee(**form.cleaned_data)
        bank_details.change(member=member, payee=payee, at=at, by=request.user)  # type: ignore[arg-type]
    except bank_details.BankDetailInvalid:
        messages.error(request, _("Write the name, six digits of the sort code, eight of the account."))
    else:
        messages.success(request, _("Kept. What is owed can be paid to the estate in seven days."))
    return redirect("household_page", member.number)


def _member(request: HttpRequest, number: str, at: datetime) -> Member:
    """Oneself, or anybody for member services; finance may look."""
    member = access_member(request.user, number, at)
    if member.user_id == request.user.pk or has_role(request.user, *TAKES_STEPS, *PAYS_ESTATES):
        if request.method == "POST" and member.user_id != request.user.pk:
            is_estate = request.path.endswith("/estate/")
            if not has_role(request.user, *(PAYS_ESTATES if is_estate else TAKES_STEPS)):
                raise Forbidden(needs="member_services")
        return member
    raise Forbidden(needs="member_services")


def _start_of(day: Any, at: datetime) -> datetime:
    """The start of a London day that has passed; of today, now."""
    return at if day == civil_date(at) else day_interval(day).starts_at


def _offered(at: datetime) -> list[Any]:
    """The newest words of each consent that anybody may give."""
    found = (consenting.newest_text(each, at) for each in Purpose if each != Purpose.PARTNER_TOTALS)
    return [text for text in found if text is not None]
