"""Forms of a buyer that speaks UFTP: text to typed values, the rules are services'."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from campaigns.market_models import MARKET_ZONE_KINDS
from campaigns.models import MarketPreset
from campaigns.uftp_models import UftpSign
from opendsr.web.market_forms import NO_NUL, CellsForm

POINT_DIRECTIONS = [
    ("turn_down", _("Turn down only")),
    ("turn_up", _("Turn up only")),
    ("either", _("Either, as each request says")),
]
SIGNS = [
    ("", _("Ask the buyer, then choose")),
    (UftpSign.DEVIATION.value, _("Above 0: use more. Below 0: use less (the specification's)")),
    (UftpSign.REDUCTION.value, _("Above 0: use less. Below 0: use more")),
]


def _text(label: object, *, longest: int, **fields: object) -> forms.CharField:
    return forms.CharField(label=label, max_length=longest, validators=[NO_NUL], **fields)  # type: ignore[arg-type]


class IdentityForm(forms.Form):
    """Who the co-op is in UFTP."""

    domain = _text(
        _("Our domain"),
        longest=120,
        help_text=_("It names the co-op as an aggregator, such as aggregator.example.org."),
    )


class TermsForm(forms.Form):
    """How a buyer speaks UFTP."""

    domain = _text(_("Its domain"), longest=120, help_text=_("As its messages name it: dso.example.org."))
    endpoint = _text(
        _("Where it listens"),
        longest=300,
        help_text=_("https://, port 443 or 8443. Nothing else is ever called."),
    )
    public_key = _text(
        _("Its public key"),
        longest=120,
        help_text=_("cs1. and base64, as it gave it to you. Check it by telephone."),
    )
    sign = forms.ChoiceField(
        label=_("What its requests mean by a power"),
        choices=SIGNS,
        help_text=_("Buyers differ. Taken wrongly, homes would do the opposite of what is asked."),
    )
    baseline_reference = _text(_("Name of the agreed baseline"), longest=80, required=False)
    tolerance_pct = forms.IntegerField(
        label=_("Dispute a settlement that differs from our figures by more than, in percent"),
        min_value=0,
        max_value=50,
        initial=5,
    )
    is_barred = forms.BooleanField(
        label=_("Barred"), required=False, help_text=_("Every message of it is refused.")
    )


class PointForm(CellsForm):
    """A congestion point of a buyer."""

    congestion_point = _text(_("Congestion point"), longest=300, help_text=_("ean.… or ea1.…"))
    zone_kind = forms.ChoiceField(label=_("Kind of zone"), choices=MARKET_ZONE_KINDS, initial="cmz")
    zone = _text(_("Zone"), longest=60, required=False, help_text=_("Leave it empty for everywhere."))
    direction = forms.ChoiceField(label=_("What may be asked there"), choices=POINT_DIRECTIONS)
    preset = forms.ModelChoiceField(MarketPreset.objects.order_by("name"), label=_("Kind"), empty_label=None)
    price_pence_per_kwh = _text(
        _("Our price, in pence a kWh"), longest=20, widget=forms.TextInput({"inputmode": "decimal"})
    )
    penalty_pence_per_kwh = _text(
        _("Penalty, in pence a kWh that lacks"),
        longest=20,
        initial="0",
        widget=forms.TextInput({"inputmode": "decimal"}),
    )
