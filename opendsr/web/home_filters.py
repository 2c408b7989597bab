"""How staff narrow the registry of homes: a form whose fields are the address, and what it means."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from django import forms
from django.core.validators import ProhibitNullCharactersValidator
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _lazy

from assets import finding
from assets.finding import Criteria
from assets.models import AssetKind, Hub
from assets.registry_models import HomeMeasure, Product
from members.models import Home, Role
from members.partner_models import Partner
from members.policy import Viewer, has_role

GSP_NAMES: Final = {
    "A": "Eastern England",
    "B": "East Midlands",
    "C": "London",
    "D": "Merseyside and North Wales",
    "E": "West Midlands",
    "F": "North East England",
    "G": "North West England",
    "H": "Southern England",
    "J": "South East England",
    "K": "South Wales",
    "L": "South West England",
    "M": "Yorkshire",
    "N": "South Scotland",
    "P": "North Scotland",
}
HEALTHS: Final = {
    finding.SILENT: (_lazy("silent"), "bad"),
    finding.FAULTY: (_lazy("fault"), "bad"),
    finding.WORN: (_lazy("relay worn"), "warn"),
    finding.OUTDATED: (_lazy("other software"), "warn"),
    finding.NO_HUB: (_lazy("no hub"), ""),
    finding.NO_CAD: (_lazy("no CAD"), ""),
    finding.WELL: (_lazy("well"), "good"),
}
HUB_STATES: Final = {
    Hub.State.PLANNED: _lazy("planned"),
    Hub.State.COMMISSIONED: _lazy("in use"),
    Hub.State.RETIRED: _lazy("retired"),
}
ANY: Final = ("", _lazy("any"))
MOST_NAMES: Final = 500
SEES_NAMES: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER, Role.MEMBER_SERVICES)
"""Roles that find a home by the words of its name and address, and take names out in a file."""


class HomeFilter(forms.Form):
    """Which homes; every field may be left empty."""

    q = forms.CharField(
        label=_lazy("Serial or address"),
        required=False,
        max_length=80,
        validators=[ProhibitNullCharactersValidator()],
    )
    health = forms.ChoiceField(
        label=_lazy("Health"),
        required=False,
        choices=[ANY, *((code, words) for code, (words, _tag) in HEALTHS.items())],
    )
    kind = forms.ChoiceField(label=_lazy("Kind of asset"), required=False)
    product = forms.ChoiceField(label=_lazy("Make and model"), required=False)
    state = forms.ChoiceField(label=_lazy("Hub"), required=False, choices=[ANY, *HUB_STATES.items()])
    firmware = forms.CharField(
        label=_lazy("Software version"),
        required=False,
        max_length=40,
        validators=[ProhibitNullCharactersValidator()],
    )
    gsp_group = forms.ChoiceField(
        label=_lazy("GSP group"),
        required=False,
        choices=[ANY, *((letter, f"{letter} – {name}") for letter, name in GSP_NAMES.items())],
    )
    substation = forms.CharField(
        label=_lazy("Primary substation"),
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"list": "substations"}),
        validators=[ProhibitNullCharactersValidator()],
    )
    cmz = forms.CharField(
        label=_lazy("Constraint zone (CMZ)"),
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"list": "zones"}),
        validators=[ProhibitNullCharactersValidator()],
    )
    area = forms.RegexField(
        label=_lazy("Postcode area"),
        regex=r"^\s*[A-Za-z]{1,2}\s*$",
        required=False,
        max_length=4,
        error_messages={"invalid": _lazy("Write the one or two letters that the postcode begins with.")},
    )
    partner = forms.ChoiceField(label=_lazy("Landlord"), required=False)
    measure = forms.ChoiceField(
        label=_lazy("Measure or service"), required=False, choices=[ANY, *HomeMeasure.Kind.choices]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = AssetKind.objects.order_by("name").values_list("code", "name")
        products = Product.objects.order_by("make", "model")
        partners = Partner.objects.order_by("name").values_list("pk", "name")
        self._choices("kind", [ANY, *kinds])
        self._choices("product", [ANY, *((str(each.pk), str(each)) for each in products)])
        self._choices(
            "partner",
            [
                ANY,
                (finding.NOBODY, _lazy("none: own home")),
                (finding.ANYBODY, _lazy("any landlord")),
                *((str(pk), name) for pk, name in partners),
            ],
        )

    def criteria(self) -> Criteria:
        """What it asks for; a field that means nothing fits as if it were empty."""
        if not self.is_bound:
            return Criteria()
        self.is_valid()
        data = self.cleaned_data
        given = {each.name: str(data.get(each.name) or "").strip() for each in fields(Criteria)}
        given["area"] = given["area"].upper()
        return Criteria(**given)

    def _choices(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = choices


def names_on_record(name: str) -> list[str]:
    """Substations or zones that homes have, for a field's suggestions."""
    rows: QuerySet[Home, str] = Home.objects.exclude(**{name: ""}).values_list(name, flat=True)
    return list(rows.order_by(name).distinct()[:MOST_NAMES])


def in_words(form: HomeFilter, *, is_open: bool = True) -> str:
    """What was chosen, as text: GSP group: G; Health: silent.

    Unless `is_open` the words that a home was looked for by are left out: they may be a name.
    """
    said, criteria = [], form.criteria()
    for each in fields(Criteria):
        value = getattr(criteria, each.name)
        if value:
            field = form.fields[each.name]
            choices = dict(getattr(field, "choices", ()))
            shown = choices.get(value, value) if is_open or each.name != "q" else "…"
            said.append(f"{field.label}: {shown}")
    return "; ".join(said)


def query_of(criteria: Criteria) -> str:
    """The criteria as the end of an address, for links that keep them."""
    query = QueryDict(mutable=True)
    for each in fields(criteria):
        if value := getattr(criteria, each.name):
            query[each.name] = value
    return query.urlencode()


def sees_names(user: Viewer) -> bool:
    """True for who may have names of homes in a file."""
    return has_role(user, *SEES_NAMES)
