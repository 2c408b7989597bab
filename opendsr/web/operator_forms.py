"""Forms about network operators and the campaigns' rules: text to typed values, the rules are services'."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, cast

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
        widget=forms.CheckboxSelectMultiple,
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
        help_text=_(
            "It may cap what the zone takes; this holds when it says nothing, and plans of the night"
            " charge cars within it. Empty: no such caps."
        ),
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
    portfolio_kw_per_minute = _kw(
        _("Most that all homes together may change in a minute, in kW"),
        least="0.001",
        required=False,
        help_text=_("Empty: no cap. It holds back no direct load control, which the substations' cap does."),
    )
    chance_pct = forms.IntegerField(
        label=_("Chance wanted that the size is reached, in percent"), min_value=50, max_value=99
    )
    most_asks = forms.IntegerField(
        label=_("Most campaigns in four weeks that a home is asked for"), min_value=1, max_value=200
    )
    why = forms.CharField(label=_("Why"), max_length=200, validators=[NO_NUL])


class SecretText(forms.Textarea):
    """A text that is never sent back, whatever else is wrong with its form."""

    def format_value(self, value: Any) -> str:
        return ""


def _pem(label: Any, *, widget: type[forms.Textarea] = forms.Textarea, **fields: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=40_000,
        validators=[NO_NUL],
        widget=widget(attrs={"rows": 4, "class": "code", "autocomplete": "off", "spellcheck": "false"}),
        **fields,
    )


class VtnForm(forms.Form):
    """Where an operator's OpenADR VTN is, and who the co-op is there."""

    url = forms.CharField(
        label=_("Address of its VTN"),
        max_length=300,
        validators=[NO_NUL],
        help_text=_("https://, with all of its path: it ends in /Simple/2.0b as a rule."),
    )
    ven_name = forms.CharField(
        label=_("Our venName"), max_length=120, validators=[NO_NUL], help_text=_("As agreed with it.")
    )
    authority_pem = _pem(
        _("Its certificate authority"),
        required=False,
        help_text=_("PEM. It alone is trusted then. Empty: the public authorities."),
    )
    certificate_pem = _pem(
        _("Our certificate"), help_text=_("PEM, as it issued it to us, with those between if there are any.")
    )
    private_key_pem = _pem(
        _("Our private key"),
        widget=SecretText,
        required=False,
        help_text=_("PEM, without a password. Kept sealed and never shown."),
    )
    is_on = forms.BooleanField(
        label=_("Speak with it"),
        required=False,
        initial=True,
        help_text=_("Off, it is heard no more, and what its events started is let go."),
    )

    def __init__(self, *args: Any, holds_key: bool, **more: Any) -> None:
        """`holds_key`: none has to be given, the one that is held stays."""
        super().__init__(*args, **more)
        self.fields["private_key_pem"].required = not holds_key
        if holds_key:
            self.fields["private_key_pem"].help_text = _("Empty: the one that is held. It is never shown.")


class PlaceForm(forms.Form):
    """What an operator's VTN calls a zone of its contracts."""

    name = forms.CharField(
        label=_("Its name for the zone"),
        max_length=255,
        validators=[NO_NUL],
        help_text=_("A group, resource or other target of its events; or their market context."),
    )
    zone = forms.ChoiceField(label=_("Zone of the contract"))
    moderate_pct = forms.IntegerField(
        label=_("SIMPLE level 1 asks, in percent of the contract's most"),
        min_value=1,
        max_value=100,
        initial=33,
    )
    high_pct = forms.IntegerField(label=_("Level 2, in percent"), min_value=1, max_value=100, initial=67)
    special_pct = forms.IntegerField(label=_("Level 3, in percent"), min_value=1, max_value=100, initial=100)

    def __init__(self, *args: Any, zones: Sequence[str], **more: Any) -> None:
        super().__init__(*args, **more)
        cast(forms.ChoiceField, self.fields["zone"]).choices = [(zone, zone) for zone in zones]
