"""Forms about network operators and the campaigns' rules: text to typed values, the rules are services'."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext_lazy as _

from campaigns.models import Programme, UseCase
from campaigns.servicing_models import (
    DEFAULT_RATE,
    HOLD_MINUTES,
    LONGEST_MINUTES,
    MOST_STAGGER_SECONDS,
    SILENCE_MINUTES,
    ZONE_KINDS,
    Scope,
)
from opendsr.web.forms import MOST_KW, ProgrammeField

NO_NUL: Final = ProhibitNullCharactersValidator()


def _kw(label: Any, *, least: str = "0", **fields: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=Decimal(least),
        max_value=Decimal(MOST_KW),
        max_digits=10,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        **fields,
    )


def watts(kw: Decimal) -> int:
    """Whole W of a form's kW."""
    return int(kw * 1000)


class OperatorForm(forms.Form):
    """A new network operator, or its trial."""

    name = forms.CharField(label=_("Network operator"), max_length=80, validators=[NO_NUL])
    is_sandbox = forms.BooleanField(
        label=_("Sandbox"),
        required=False,
        initial=True,
        help_text=_("Its signals are planned and answered, and nothing is sent to any home."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=Scope.choices,
        initial=[Scope.SIGNAL.value, Scope.READ.value],
        widget=forms.SelectMultiple(attrs={"size": len(Scope.choices)}),
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests a minute"), min_value=1, max_value=6_000, initial=DEFAULT_RATE
    )


class KeyForm(forms.Form):
    """A public key of an operator."""

    key_id = forms.CharField(
        label=_("Key id"), max_length=80, validators=[NO_NUL], help_text=_("As the operator names it: keyid.")
    )
    public_key = forms.CharField(
        label=_("Public key"),
        max_length=2_000,
        validators=[NO_NUL],
        widget=forms.Textarea(attrs={"rows": 4, "class": "code"}),
        help_text=_("Ed25519, as PEM or as 32 bytes in base64. Never the private key."),
    )
    is_rotation = forms.BooleanField(
        label=_("It replaces the others"),
        required=False,
        help_text=_("They go on for seven days, so that the operator can change over."),
    )


class ContractForm(forms.Form):
    """What an operator may ask of a zone."""

    programme = ProgrammeField(
        Programme.objects.filter(use_case=UseCase.LOAD_CONTROL).order_by("name"),
        label=_("Programme"),
        empty_label=None,
    )
    zone_kind = forms.ChoiceField(label=_("Kind of zone"), choices=ZONE_KINDS, initial="cmz")
    zone = forms.CharField(
        label=_("Zone"),
        max_length=60,
        validators=[NO_NUL],
        help_text=_("A contract about the same zone takes the place of the one before."),
    )
    max_kw = _kw(_("Most it may ask, in kW"), least="0.001")
    approved_kw = _kw(
        _("Approved in advance up to, in kW"),
        initial=0,
        help_text=_("Once a second person has confirmed it. Above it, staff approve each signal."),
    )
    longest_minutes = forms.IntegerField(
        label=_("Longest, in minutes"), min_value=1, max_value=LONGEST_MINUTES, initial=60
    )
    notice_seconds = forms.IntegerField(
        label=_("Notice, in seconds"), min_value=0, max_value=86_400, initial=0
    )
    stagger_seconds = forms.IntegerField(
        label=_("Start and end spread over, in seconds"),
        min_value=0,
        max_value=MOST_STAGGER_SECONDS,
        initial=0,
        help_text=_("What a substation may change in a minute holds whatever is agreed here."),
    )
    import_cap_kw = _kw(
        _("Import cap on silence, in kW"),
        required=False,
        help_text=_("It may cap what the zone takes; this holds when it says nothing. Empty: no such caps."),
    )
    export_cap_kw = _kw(
        _("Export cap on silence, in kW"),
        required=False,
        help_text=_("The same of what the zone exports."),
    )
    silence_minutes = forms.IntegerField(
        label=_("Silence, in minutes"),
        min_value=1,
        max_value=LONGEST_MINUTES,
        initial=SILENCE_MINUTES,
        required=False,
        help_text=_("After this long without a cap, the one above holds."),
    )
    hold_minutes = forms.IntegerField(
        label=_("A cap's asking holds, in minutes"),
        min_value=1,
        max_value=LONGEST_MINUTES,
        initial=HOLD_MINUTES,
        required=False,
        help_text=_("A device asked by a cap stays so for this long at least, and let go rests as long."),
    )


class RulesForm(forms.Form):
    """New rules for every campaign."""

    second_from_kw = _kw(_("Two people approve from, in kW"))
    substation_kw_per_minute = _kw(
        _("Most that one substation's load may change in a minute, in kW"), least="0.001"
    )
    chance_pct = forms.IntegerField(
        label=_("Chance wanted that the size is reached, in percent"), min_value=50, max_value=99
    )
    most_asks = forms.IntegerField(
        label=_("Most campaigns in four weeks that a home is asked for"), min_value=1, max_value=200
    )
    why = forms.CharField(label=_("Why"), max_length=200, validators=[NO_NUL])
