"""Forms of the pages on data and rights: what is asked, and a password where something leaves or goes."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from members.asking import About, Kind, Verdict
from members.models import Channel, Occupancy, Purpose, User
from members.rights_models import LONGEST_WORDS

NO_NULS: Final = ProhibitNullCharactersValidator()


def words_field(label: Any, *, required: bool = False, help_text: Any = "") -> forms.CharField:
    """Several lines in somebody's own words."""
    return forms.CharField(
        label=label,
        required=required,
        max_length=LONGEST_WORDS,
        validators=[NO_NULS],
        help_text=help_text,
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class PasswordForm(forms.Form):
    """The password once more, so that a browser left open gives nothing away."""

    password = forms.CharField(
        label=_lazy("Your password, once more"),
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """It has to be this account's."""
        given = str(self.cleaned_data["password"])
        if not self.user.check_password(given):
            raise forms.ValidationError(_("That is not your password."))
        return given


class EraseForm(PasswordForm):
    """Password and a tick that all of it was read."""

    understood = forms.BooleanField(
        label=_lazy("I have read what goes and what stays. Erase me; it cannot be undone.")
    )


class RectifyForm(forms.Form):
    """What is wrong and how it should read."""

    about = forms.ChoiceField(label=_lazy("What is wrong"), choices=About.choices)
    home = forms.ChoiceField(label=_lazy("Home"), required=False)
    wanted = forms.CharField(
        label=_lazy("How it should read"),
        required=False,
        max_length=254,
        validators=[NO_NULS],
        help_text=_lazy(
            "Names and addresses change at once. The rest is looked at first: events and money hang on it."
        ),
    )
    words = words_field(_lazy("Anything we should know"))

    def __init__(self, stays: list[Occupancy], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["home"].choices = [(str(stay.home_id), stay.home.name) for stay in stays]  # type: ignore[attr-defined]
        if len(stays) < 2:
            del self.fields["home"]


class WordsForm(forms.Form):
    """A restriction, with a word of why."""

    words = words_field(_lazy("Why, if you like to say"))


class ObjectForm(forms.Form):
    """Which use is objected to, and why."""

    purpose = forms.ChoiceField(label=_lazy("What we should stop doing"), choices=Purpose.choices)
    words = words_field(_lazy("Why"), required=True)


class ComplainForm(forms.Form):
    """What went wrong."""

    words = words_field(
        _lazy("What went wrong, and what would put it right"),
        required=True,
        help_text=_lazy("About your data, an event, a payment, an installation, or how you were treated."),
    )


class OnBehalfForm(forms.Form):
    """A request that came on paper or by telephone."""

    number = forms.CharField(
        label=_lazy("Member number"), max_length=14, validators=[NO_NULS], help_text=_lazy("Such as M-00007.")
    )
    kind = forms.ChoiceField(label=_lazy("What is asked"), choices=Kind.choices)
    channel = forms.ChoiceField(
        label=_lazy("How it came"),
        choices=[(each.value, each.label) for each in (Channel.PAPER, Channel.PHONE)],
    )
    purpose = forms.ChoiceField(
        label=_lazy("For an objection: to what"),
        required=False,
        choices=[("", "---"), *Purpose.choices],
    )
    words = words_field(_lazy("In their words"))


class AnswerForm(forms.Form):
    """A verdict and its reason."""

    verdict = forms.ChoiceField(
        label=_lazy("Answer"),
        choices=[(each.value, each.label) for each in (Verdict.GRANTED, Verdict.PARTLY, Verdict.REFUSED)],
    )
    reason = words_field(
        _lazy("What the member reads"),
        required=True,
        help_text=_lazy(
            "What was done, or why not. After a refusal they may turn to the Information Commissioner "
            "(ico.org.uk) or the Energy Ombudsman: say so."
        ),
    )
