"""Forms of the public pages on which somebody joins; the rules themselves are the services'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from assets.models import AssetKind
from members import entry
from members.assessing import gsp_group_of
from members.enquiry_models import JoiningRules, Tenure, Told
from members.mpan import has_valid_check_digit
from members.supply_models import LONGEST_SUPPLIER, PaymentMethod
from opendsr.web.refusals import sentence

NO_NUL = ProhibitNullCharactersValidator()
WHY_PAYMENT = _lazy(
    "In advance is by a prepayment meter, or a smart meter on pay-as-you-go. You need not say: it shows "
    "whether homes that pay in advance get as much as others, only ever as totals over 15 homes or more."
)
PAYMENT_METHODS = (("", PaymentMethod.NOT_SAID.label), *PaymentMethod.choices[:-1])
HEATERS = (
    ("", _lazy("We have none")),
    ("manual", _lazy("With an input dial and an output dial (manual)")),
    ("thermostatic", _lazy("With a thermostat, no electronics")),
    ("automatic", _lazy("Automatic: Quantum, Lot 20 or another with a display")),
    ("unsure", _lazy("I am not sure")),
)


class WhoForm(forms.Form):
    """Who asks; enough to write back."""

    full_name = forms.CharField(
        label=_lazy("Your name"), max_length=120, validators=[NO_NUL],
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )  # fmt: skip
    email = forms.EmailField(
        label=_lazy("Email address"),
        help_text=_lazy("We send you a link with which you can go on later. We do not pass it on."),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    phone = forms.CharField(
        label=_lazy("Phone"), max_length=30, required=False, validators=[NO_NUL],
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )  # fmt: skip


class HomeForm(forms.Form):
    """The home and how it is held; what is unknown now can be found out later."""

    address = forms.CharField(
        label=_lazy("Address"), max_length=200, validators=[NO_NUL],
        widget=forms.TextInput(attrs={"autocomplete": "street-address"}),
    )  # fmt: skip
    postcode = forms.CharField(
        label=_lazy("Postcode"), max_length=10, validators=[NO_NUL],
        widget=forms.TextInput(attrs={"autocomplete": "postal-code"}),
    )  # fmt: skip
    mpan = forms.CharField(
        label=_lazy("MPAN, the number of your electricity meter point"), max_length=24, validators=[NO_NUL],
        help_text=_lazy("The 13 digits at the bottom of the box with an S on your electricity bill."),
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )  # fmt: skip
    mpan_is_right = forms.BooleanField(label=_lazy("I have read it again: it is right"), required=False)
    supplier = forms.CharField(
        label=_lazy("Who sells you electricity"), max_length=LONGEST_SUPPLIER, required=False,
        validators=[NO_NUL],
        help_text=_lazy("You can change them at any time; it makes no difference here."),
    )  # fmt: skip
    payment_method = forms.ChoiceField(
        label=_lazy("How do you pay for electricity?"), required=False, help_text=WHY_PAYMENT,
        choices=PAYMENT_METHODS,
    )  # fmt: skip
    tenure = forms.ChoiceField(label=_lazy("How do you hold your home?"), choices=Tenure.choices)
    landlord = forms.CharField(
        label=_lazy("Your landlord, if you rent"), max_length=120, required=False, validators=[NO_NUL]
    )
    landlord_agrees = forms.ChoiceField(
        label=_lazy("Does your landlord agree to work on the wiring?"), required=False,
        choices=(("", _lazy("We do not rent")), *Told.choices),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_bound or "mpan_is_right" not in (self.data or {}):
            self.fields["mpan_is_right"].widget = forms.HiddenInput()

    def clean_postcode(self) -> str:
        """In its one form."""
        return _entered(entry.postcode, self.cleaned_data["postcode"])

    def clean_mpan(self) -> str:
        """Thirteen digits; an odd check digit is asked about once, then believed."""
        mpan = _entered(entry.mpan, self.cleaned_data["mpan"])
        if not has_valid_check_digit(mpan) and not self.data.get("mpan_is_right"):
            self.fields["mpan_is_right"].widget = forms.CheckboxInput()
            raise ValidationError(
                _("The last digit does not fit the others: one may be misread. Read it off your bill again, "
                  "or tick that it is right."),
                code="check_digit",
            )  # fmt: skip
        return mpan

    def clean(self) -> dict[str, Any]:
        """Tenants say whether the landlord agrees."""
        data = super().clean() or {}
        is_tenant = data.get("tenure") in (Tenure.SOCIAL, Tenure.PRIVATE)
        if is_tenant and not data.get("landlord_agrees"):
            self.add_error("landlord_agrees", _("Say whether your landlord agrees; “not sure” will do."))
        if not is_tenant:
            data["landlord_agrees"], data["landlord"] = "", ""
        return data

    @property
    def answers(self) -> dict[str, Any]:
        """What is kept."""
        return {name: value for name, value in self.cleaned_data.items() if name != "mpan_is_right"}


class ThingsForm(forms.Form):
    """What is in the home that could be controlled."""

    smart_meter = forms.ChoiceField(
        label=_lazy("Do you have a smart meter?"), choices=Told.choices, initial=Told.UNSURE
    )
    asset_kinds = forms.MultipleChoiceField(
        label=_lazy("What do you have, or will have within a year?"), required=False,
        widget=forms.CheckboxSelectMultiple, help_text=_lazy("Tick all there are."),
    )  # fmt: skip
    heaters = forms.ChoiceField(
        label=_lazy("If there are storage heaters, which?"), choices=HEATERS, required=False,
        help_text=_lazy("Those with electronics of their own cannot be controlled from outside."),
    )  # fmt: skip
    notes = forms.CharField(
        label=_lazy("Anything we should know"), required=False, max_length=1000, validators=[NO_NUL],
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_lazy("Please tell us no diagnoses; what you need at home you can tell us safely later."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = AssetKind.objects.order_by("name").values_list("code", "name")
        self.fields["asset_kinds"].choices = list(kinds)  # type: ignore[attr-defined]


class MoreForm(forms.Form):
    """The answer to what member services asked."""

    question = forms.CharField(
        label=_lazy("Your answer"), max_length=1000, validators=[NO_NUL],
        widget=forms.Textarea(attrs={"rows": 4}),
    )  # fmt: skip


class AgreeForm(forms.Form):
    """The last step: read, accept, choose what to consent to, take shares, choose a password."""

    has_read = forms.BooleanField(
        label=_lazy("I have read what it costs, who comes, what can go wrong and what it means for my bill"),
        error_messages={"required": _lazy("Please read it first, and tick.")},
    )
    accepts = forms.BooleanField(
        label=_lazy("I accept the terms"),
        error_messages={"required": _lazy("Nobody can be a member without the terms.")},
    )
    terms = forms.CharField(widget=forms.HiddenInput, max_length=64, validators=[NO_NUL])

    def __init__(
        self,
        *args: Any,
        rules: JoiningRules,
        purposes: Mapping[str, str],
        mpan: str,
        is_member: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.purposes = purposes
        for purpose, label in purposes.items():
            self.fields[f"consent_{purpose}"] = forms.BooleanField(label=label, required=False)
        if not gsp_group_of(mpan):
            self.fields["gsp_group"] = forms.CharField(
                label=_("GSP group"), max_length=2, validators=[NO_NUL],
                help_text=_("A letter. Your meter is on an independent network: ask us, if you do not know."),
            )  # fmt: skip
        if not is_member:
            price = f"£{rules.share_value_pence / 100:,.2f}"
            self.fields["shares"] = forms.IntegerField(
                label=_("Shares"), min_value=rules.least_shares, max_value=rules.most_shares,
                initial=rules.least_shares,
                help_text=_("%(price)s each. They make you an owner with one vote, however many you hold.")
                % {"price": price},
            )  # fmt: skip
            for name, label in (("password", _("Choose a password")), ("again", _("The password again"))):
                self.fields[name] = forms.CharField(
                    label=label, max_length=128, strip=False, validators=[NO_NUL],
                    widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
                )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """A password that will do, twice."""
        data = super().clean() or {}
        check_password(self, data)
        if group := data.get("gsp_group"):
            try:
                data["gsp_group"] = entry.gsp_group(group)
            except entry.InvalidField as error:
                self.add_error("gsp_group", sentence(error))
        return data

    @property
    def consents(self) -> list[str]:
        """The purposes agreed to."""
        return [purpose for purpose in self.purposes if self.cleaned_data.get(f"consent_{purpose}")]


class HousemateForm(forms.Form):
    """A name and a password, for somebody who was invited into a household; or a name, and a passkey next."""

    full_name = forms.CharField(
        label=_lazy("Your name"), max_length=120, validators=[NO_NUL],
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )  # fmt: skip
    password = forms.CharField(
        label=_lazy("Choose a password"), max_length=128, strip=False, validators=[NO_NUL],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    again = forms.CharField(
        label=_lazy("The password again"), max_length=128, strip=False, validators=[NO_NUL],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip

    def __init__(self, *args: Any, by_passkey: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by_passkey = by_passkey
        for name in ("password", "again"):
            self.fields[name].required = not by_passkey

    def clean(self) -> dict[str, Any]:
        """A password that will do, twice; with a passkey none."""
        data = super().clean() or {}
        if self.by_passkey:
            return data | {"password": None}
        check_password(self, data)
        return data


def check_password(form: forms.Form, data: Mapping[str, Any]) -> None:
    """Add an error where the password is weak or the two differ."""
    if data.get("password") is None:
        return
    if data.get("again") is not None and data["password"] != data["again"]:
        form.add_error("again", _("The two are not the same."))
    try:
        password_validation.validate_password(data["password"])
    except ValidationError as error:
        form.add_error("password", error)


def _entered(make: Any, text: str) -> str:
    try:
        return str(make(text))
    except entry.InvalidField as error:
        raise ValidationError(sentence(error)) from error
