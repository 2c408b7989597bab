"""What the guided steps in a membership ask: `guided` takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

import members.queries
from members import applying, consenting, entry, inviting, leaving
from members.models import ConsentText, Member, Occupancy, Purpose
from members.mpan import has_valid_check_digit
from members.supply_models import LONGEST_SUPPLIER, PaymentMethod
from opendsr.web.join_forms import NO_NUL, PAYMENT_METHODS, WHY_PAYMENT
from opendsr.web.refusals import sentence

DAY: Final = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def _fitting_mpan(given: str) -> str:
    """The MPAN as it is kept; raises ValidationError with what is wrong."""
    try:
        mpan = entry.mpan(given)
    except entry.InvalidField as error:
        raise forms.ValidationError(sentence(error)) from error
    if not has_valid_check_digit(mpan):
        raise forms.ValidationError(_("The last digit does not fit the others: read it off the bill again."))
    return mpan


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
    supplier = forms.CharField(
        label=_lazy("Who sells you electricity in the new home"), max_length=LONGEST_SUPPLIER, required=False,
        validators=[NO_NUL], help_text=_lazy("Leave it empty if you do not know yet."),
    )  # fmt: skip
    payment_method = forms.ChoiceField(
        label=_lazy("How do you pay for electricity there?"), required=False, help_text=WHY_PAYMENT,
        choices=PAYMENT_METHODS,
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for text in offered_consents(self.at):
            self.fields[f"consent_{text.purpose}"] = forms.BooleanField(
                label=_("In the new home: %(purpose)s") % {"purpose": text.get_purpose_display()},
                required=False,
            )

    def clean_mpan(self) -> str:
        """13 digits whose last one fits."""
        return _fitting_mpan(self.cleaned_data["mpan"])

    @property
    def purposes(self) -> dict[str, str]:
        """The consents given for the new home."""
        given = [name for name in Purpose.values if self.cleaned_data.get(f"consent_{name}")]
        return {name: applying.granularity_for(name) for name in given}


class MeterForm(StepForm):
    """A new supplier, another way to pay, or a new meter."""

    stay = forms.ChoiceField(label=_lazy("Home"))
    what = forms.ChoiceField(
        label=_lazy("What changed"),
        choices=(
            ("supplier", _lazy("The supplier only")),
            ("payment", _lazy("Only how we pay")),
            ("meter", _lazy("The meter")),
        ),
    )
    changed_on = forms.DateField(
        label=_lazy("Since"), widget=DAY, help_text=_lazy("Today or a day that has passed.")
    )
    supplier = forms.CharField(
        label=_lazy("Who supplies your electricity now"), max_length=LONGEST_SUPPLIER, required=False,
        validators=[NO_NUL], help_text=_lazy("Leave it empty when they are the same."),
    )  # fmt: skip
    payment_method = forms.ChoiceField(
        label=_lazy("How you pay for electricity now"), required=False, help_text=WHY_PAYMENT,
        choices=(("", _lazy("As before")), *PaymentMethod.choices),
    )  # fmt: skip
    mpan = forms.CharField(
        label=_lazy("A new MPAN, if you were given one"), max_length=24, required=False, validators=[NO_NUL],
        help_text=_lazy("Neither a new meter nor a new supplier changes it; the network operator may."),
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )  # fmt: skip

    def clean_mpan(self) -> str:
        """Nothing, or 13 digits whose last one fits."""
        return _fitting_mpan(self.cleaned_data["mpan"]) if self.cleaned_data["mpan"] else ""

    def clean(self) -> dict[str, Any]:
        """Who changed supplier says to whom; who pays in another way, how."""
        data = super().clean() or {}
        if data.get("what") == "supplier" and not data.get("supplier"):
            self.add_error("supplier", _("Write who supplies you now."))
        if data.get("what") == "payment" and not data.get("payment_method"):
            self.add_error("payment_method", _("Choose how you pay now."))
        return data


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


class TakeBackForm(StepForm):
    """Which invitation."""

    invitation = forms.ChoiceField(label=_lazy("Sent to"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = inviting.open_to(self.member.household, self.at)
        choices = [(str(each.pk), inviting.address_of(each)) for each in found]
        self.fields["invitation"].choices = choices  # type: ignore[attr-defined]


class RemoveForm(StepForm):
    """Who of the household."""

    person = forms.ChoiceField(label=_lazy("Whom"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.others = {each.number: each for each in leaving.others_of(self.member, self.at)}
        choices = [(each.number, f"{each.full_name} ({each.number})") for each in self.others.values()]
        self.fields["person"].choices = choices  # type: ignore[attr-defined]

    @property
    def chosen_person(self) -> Member:
        """The person chosen."""
        return self.others[self.cleaned_data["person"]]


class EstateForm(forms.Form):
    """The account of whoever settles an estate."""

    name = forms.CharField(label=_lazy("Name on the account"), max_length=18, validators=[NO_NUL])
    sort_code = forms.RegexField(r"^[0-9]{6}$", label=_lazy("Sort code"), help_text=_lazy("Six digits"))
    account_number = forms.RegexField(
        r"^[0-9]{8}$", label=_lazy("Account number"), help_text=_lazy("Eight digits")
    )


def offered_consents(at: datetime) -> list[ConsentText]:
    """The newest words of each consent that anybody may give."""
    found = (consenting.newest_text(each, at) for each in Purpose if each != Purpose.PARTNER_TOTALS)
    return [text for text in found if text is not None]
