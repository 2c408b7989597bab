"""Forms of the flexibility market: text to typed values, the rules are services'."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator, ProhibitNullCharactersValidator
from django.utils.translation import gettext_lazy as _

from campaigns.market import rows
from campaigns.market.receiving import Asked
from campaigns.market.rows import CellInvalid
from campaigns.market_models import MARKET_ZONE_KINDS
from campaigns.models import Direction, MarketParty, MarketPreset, Programme, ServicingClient, UseCase
from opendsr.kernel.periods import period_starts
from opendsr.kernel.uk_times import TIME_FORMATS, UkTimeField, UkTimesForm, WhichOfTwo
from opendsr.web import wording
from opendsr.web.forms import EARLIEST_DAY, LATEST_DAY, WRONG_DAY, ProgrammeField
from opendsr.web.rows_form import RowsForm

NO_NUL: Final = ProhibitNullCharactersValidator()


def _text(label: Any, *, longest: int = 80, **fields: Any) -> forms.CharField:
    return forms.CharField(label=label, max_length=longest, validators=[NO_NUL], **fields)


def _time(label: Any) -> UkTimeField:
    return UkTimeField(
        label=label,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1800}, format=TIME_FORMATS[0]),
        validators=[
            MinValueValidator(period_starts(EARLIEST_DAY)[0], message=WRONG_DAY),
            MaxValueValidator(period_starts(LATEST_DAY)[-1], message=WRONG_DAY),
        ],
        error_messages={"invalid": _("Write a time such as 2026-01-14 17:00.")},
    )


def _directions() -> list[tuple[str, Any]]:
    return [(code, wording.DIRECTIONS[code]) for code in Direction.values]


class CellsForm(UkTimesForm):
    """Fields that are read as a file's cells are, but times, of which a form can ask which of the two."""

    def read(self, field: str, reader: Any) -> Any:
        """The field by `reader`; None, and said at the field, where it cannot be read."""
        text = self.cleaned_data.get(field)
        if text is None:
            return None
        try:
            return reader(text, column=field)
        except CellInvalid as error:
            self.add_error(field, error.fix)
            return None


class MarketRequestForm(CellsForm):
    """A buyer's request; times are UK local."""

    buyer = forms.ModelChoiceField(MarketParty.objects.order_by("name"), label=_("Buyer"), empty_label=None)
    reference = _text(_("The buyer's reference"))
    kind = forms.ModelChoiceField(MarketPreset.objects.order_by("name"), label=_("Kind"), empty_label=None)
    direction = forms.ChoiceField(label=_("What homes should do"), choices=_directions)
    zone_kind = forms.ChoiceField(label=_("Kind of zone"), choices=MARKET_ZONE_KINDS, initial="cmz")
    zone = _text(_("Zone"), longest=60, required=False, help_text=_("Leave it empty for everywhere."))
    starts_at = _time(_("From"))
    starts_in = WhichOfTwo(of="starts_at", label=_("From which of the two"))
    profile_kw = _text(
        _("kW by half-hour"),
        longest=600,
        help_text=_("With spaces between, such as 50 50 80 80 for two hours; 0 asks for nothing."),
    )
    price_pence_per_kwh = _text(_("Price, in pence a kWh"), widget=forms.TextInput({"inputmode": "decimal"}))
    penalty_pence_per_kwh = _text(
        _("Penalty, in pence a kWh that lacks"),
        initial="0",
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    deadline_at = _time(_("Offers are taken until"))
    deadline_in = WhichOfTwo(of="deadline_at", label=_("Until which of the two"))

    def asked(self) -> Asked | None:
        """What is asked; None where a field cannot be read."""
        data = self.cleaned_data
        starts_at, deadline_at = self.instant("starts_at"), self.instant("deadline_at")
        profile = self.read("profile_kw", rows.profile_w)
        price = self.read("price_pence_per_kwh", rows.price_mp)
        penalty = self.read("penalty_pence_per_kwh", rows.price_mp)
        if starts_at is None or deadline_at is None or self.errors:
            return None
        return Asked(
            reference=data["reference"],
            preset=data["kind"].pk,
            direction=data["direction"],
            zone_kind=data["zone_kind"],
            zone=data["zone"],
            starts_at=starts_at,
            profile_w=profile,
            price_mp_per_kwh=price,
            penalty_mp_per_kwh=penalty,
            deadline_at=deadline_at,
        )


class MarketFileForm(RowsForm):
    """Rows of requests."""

    most_megabytes = 2


class OrderForm(CellsForm):
    """The buyer takes an offer."""

    reference = _text(_("The order's reference"))
    ordered_kw = _text(
        _("kW by half-hour"),
        longest=600,
        required=False,
        help_text=_("Empty: all that was offered."),
    )


class DeclineForm(forms.Form):
    """No to a request."""

    reason = _text(_("Why"), longest=200, required=False)


class BuyerForm(forms.Form):
    """A new buyer."""

    name = _text(_("Buyer"))
    programme = ProgrammeField(
        Programme.objects.filter(use_case=UseCase.MARKET).order_by("name"),
        label=_("Programme that its campaigns run under"),
        empty_label=None,
    )
    is_sandbox = forms.BooleanField(
        label=_("Sandbox"),
        required=False,
        initial=True,
        help_text=_("Its requests are planned and answered, and nothing is sent to any home."),
    )
    client = forms.ModelChoiceField(
        ServicingClient.objects.filter(closed_at=None, market_party=None).order_by("name"),
        label=_("Signs at the door as"),
        required=False,
        help_text=_("A client with keys, of the page of network operators. Empty: by form and file alone."),
    )


class AvailabilityForm(CellsForm):
    """What is declared to a buyer."""

    buyer = forms.ModelChoiceField(MarketParty.objects.order_by("name"), label=_("Buyer"), empty_label=None)
    direction = forms.ChoiceField(label=_("What homes should do"), choices=_directions)
    zone_kind = forms.ChoiceField(label=_("Kind of zone"), choices=MARKET_ZONE_KINDS, initial="cmz")
    zone = _text(_("Zone"), longest=60, required=False)
    starts_at = _time(_("From"))
    starts_in = WhichOfTwo(of="starts_at", label=_("From which of the two"))
    ends_at = _time(_("Until"))
    ends_in = WhichOfTwo(of="ends_at", label=_("Until which of the two"))
    available_kw = _text(_("Power, in kW"), widget=forms.TextInput(attrs={"inputmode": "decimal"}))


class PresetForm(forms.Form):
    """What a kind of market asks."""

    code = forms.ModelChoiceField(MarketPreset.objects.order_by("name"), label=_("Kind"), empty_label=None)
    notice_minutes = forms.IntegerField(label=_("Notice, in minutes"), min_value=0, max_value=10_080)
    least_minutes = forms.IntegerField(label=_("Shortest, in minutes"), min_value=30, max_value=1_440)
    most_minutes = forms.IntegerField(label=_("Longest, in minutes"), min_value=30, max_value=1_440)
    least_kw = forms.DecimalField(
        label=_("Least size, in kW"),
        min_value=1,
        max_value=2_000_000,
        max_digits=10,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    note = _text(_("Where that stands"), longest=200, required=False)
