"""What a household asks of its own car charger, hot water and storage heaters: a page each, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

import assets.policy
from assets import asking, shadowing
from assets.models import Asset
from campaigns import needs
from campaigns.models import HomePlan, HomeTariff
from members.models import Occupancy
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import LONDON
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.refusals import say_refusal

USUAL: Final = "usual"
KWH, MILES, PERCENT = "kwh", "miles", "percent"
UNITS: Final = (
    (KWH, _lazy("kWh")),
    (MILES, _lazy("miles to drive")),
    (PERCENT, _lazy("per cent full")),
)
MOST: Final = {KWH: 200, MILES: shadowing.MOST_MILES, PERCENT: 100}
MOST_C: Final = 23
"""Above this a storage heater stores nothing, unless the fitter said otherwise."""


def _time(label: Any, *, required: bool = True, help_text: Any = "") -> forms.TimeField:
    return forms.TimeField(
        label=label,
        required=required,
        help_text=help_text,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )


def _count(
    label: Any, least: int, most: int, *, step: str, required: bool = True, help_text: Any = ""
) -> forms.DecimalField:
    widget = forms.NumberInput(attrs={"step": step, "inputmode": "decimal"})
    return forms.DecimalField(
        label=label, min_value=least, max_value=most, required=required, decimal_places=3, max_digits=6,
        help_text=help_text, widget=widget,
    )  # fmt: skip


class AssetForm(forms.Form):
    """What is asked of one kind of device, to and from the words of the registry."""

    def __init__(self, asset: Asset, posted: QueryDict | None = None) -> None:
        self.asset = asset
        super().__init__(posted, initial=self.said(asset.needs))

    def said(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """What the fields show: what was said, else what is usual."""
        raise NotImplementedError

    @property
    def words(self) -> dict[str, Any]:
        """What was filled in, in the words of the registry."""
        raise NotImplementedError


class CarForm(AssetForm):
    """When the car has to be ready, and how much."""

    field_names: ClassVar[Mapping[str, str]] = {
        "charge_wh": "amount",
        "charge_miles": "amount",
        "charge_percent": "amount",
    }

    ready_by = _time(_lazy("Ready by"))
    amount = _count(_lazy("How much"), 0, MOST[MILES], step="any")
    unit = forms.ChoiceField(
        label=_lazy("Counted in"), choices=UNITS, widget=forms.RadioSelect,
        help_text=_lazy("A hundred miles are taken to be 25 kWh."),
    )  # fmt: skip
    battery_kwh = _count(
        _lazy("Size of the car’s battery, kWh"), 1, 200, step="0.1", required=False,
        help_text=_lazy("Only for per cent. It is in the car’s papers; it is kept, so you give it once."),
    )  # fmt: skip
    arrives_percent = _count(
        _lazy("How full the car usually comes home, per cent"), 0, 100, step="1", required=False,
        help_text=_lazy("Only for per cent. Empty: an average day’s driving is taken to be gone."),
    )  # fmt: skip

    def said(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Ready by 07:00 with an average day's energy, unless something else was said."""
        unit, amount = KWH, Decimal(self.asset.kind.typical_daily_wh) / 1000
        if "charge_percent" in told:
            unit, amount = PERCENT, told["charge_percent"]
        elif "charge_miles" in told:
            unit, amount = MILES, told["charge_miles"]
        elif isinstance(told.get("charge_wh"), int | float):
            amount = Decimal(str(told["charge_wh"])) / 1000
        return {
            "ready_by": told.get("ready_by", needs.READY_BY),
            "amount": _plain(amount),
            "unit": unit,
            "battery_kwh": told.get("battery_kwh"),
            "arrives_percent": told.get("arrives_percent"),
        }

    def clean(self) -> dict[str, Any]:
        """An amount that its unit allows, and a battery to take per cent of."""
        data = super().clean() or {}
        unit, amount = data.get("unit"), data.get("amount")
        if unit and amount is not None and amount > MOST[unit]:
            self.add_error("amount", _("Give at most %(most)s.") % {"most": MOST[unit]})
        if unit == PERCENT and amount is not None and amount < 1:
            self.add_error("amount", _("Give at least 1 per cent."))
        is_missing = "battery_kwh" in data and data["battery_kwh"] is None
        if unit == PERCENT and is_missing:
            self.add_error("battery_kwh", _("Per cent of what? Give the size of the battery."))
        arrives = data.get("arrives_percent")
        if unit == PERCENT and amount is not None and arrives is not None and arrives >= amount:
            self.add_error("arrives_percent", _("That is as full as you want it: nothing would be charged."))
        return data

    @property
    def words(self) -> dict[str, Any]:
        """What was filled in, in the words of the registry."""
        data = self.cleaned_data
        unit, amount = data["unit"], data["amount"]
        words: dict[str, Any] = {"ready_by": f"{data['ready_by']:%H:%M}"}
        if unit == KWH:
            words["charge_wh"] = int(amount * 1000)
        else:
            words["charge_miles" if unit == MILES else "charge_percent"] = _plain(amount)
        kept = ("battery_kwh", "arrives_percent")
        return words | {name: _plain(data[name]) for name in kept if data[name] is not None}


class WaterForm(AssetForm):
    """By when water has to be hot, up to four times a day."""

    field_names: ClassVar[Mapping[str, str]] = {"hot_by": "first"}

    first = _time(_lazy("Hot water by"))
    second = _time(_lazy("and by"), required=False)
    third = _time(_lazy("and by (a third time)"), required=False)
    fourth = _time(_lazy("and by (a fourth time)"), required=False)

    def said(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """In the morning and in the evening, unless something else was said."""
        times = asking.hot_by(told) or needs.USUALLY_HOT_BY
        return dict(zip(("first", "second", "third", "fourth"), times, strict=False))

    @property
    def words(self) -> dict[str, Any]:
        """What was filled in, in the words of the registry."""
        times = {each for each in self.cleaned_data.values() if each is not None}
        return {"hot_by": " ".join(f"{each:%H:%M}" for each in sorted(times))}


class WarmthForm(AssetForm):
    """How warm it is to be, when, and at other times."""

    field_names: ClassVar[Mapping[str, str]] = {"comfort_hours": "ends"}

    wanted_c = _count(_lazy("How warm you want it, °C"), 5, 30, step="0.5")
    begins = _time(_lazy("In the hours from"))
    ends = _time(_lazy("to"), help_text=_lazy("May run past midnight."))
    least_c = _count(_lazy("At other times at least, °C"), 5, 30, step="0.5")

    def said(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """As a hub has it, unless something else was said."""
        found = asking.comfort(told)
        return {
            "wanted_c": _plain(found.wanted_c),
            "least_c": _plain(found.least_c),
            "begins": found.begins,
            "ends": found.ends,
        }

    def clean(self) -> dict[str, Any]:
        """Temperatures that go up in their order, and hours that are some."""
        data = super().clean() or {}
        wanted, least = data.get("wanted_c"), data.get("least_c")
        told = self.asset.needs.get("most_c")
        most = told if isinstance(told, int | float) else MOST_C
        if wanted is not None and wanted >= most:
            words = {"most": wording.number(most)}
            self.add_error(
                "wanted_c", _("Give less than %(most)s °C: above that the heaters store nothing.") % words
            )
        if wanted is not None and least is not None and least > wanted:
            self.add_error("least_c", _("That is warmer than what you want in your own hours."))
        if data.get("begins") is not None and data.get("begins") == data.get("ends"):
            self.add_error("ends", _("That is when it begins. For the whole day give 00:00 and 23:59."))
        return data

    @property
    def words(self) -> dict[str, Any]:
        """What was filled in, in the words of the registry."""
        data = self.cleaned_data
        hours = f"{data['begins']:%H:%M}-{data['ends']:%H:%M}"
        return {
            "wanted_c": _plain(data["wanted_c"]),
            "least_c": _plain(data["least_c"]),
            "comfort_hours": hours,
        }


FORMS: Final[Mapping[str, type[CarForm | WaterForm | WarmthForm]]] = {
    **dict.fromkeys(asking.CAR_KINDS, CarForm),
    "immersion_heater": WaterForm,
    "storage_heater": WarmthForm,
}


@dataclass(frozen=True, slots=True)
class OwnAsset:
    """A device with a page of its own: where that is, and what is asked of it in words."""

    url: str
    name: str
    home: str
    asked: str
    is_usual: bool


@require_http_methods(["GET", "POST"])
@signed_in
def own_asset(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """What the household asks of one device; a press leaves it to what is usual again."""
    at = clock.now()
    asset = assets.policy.access_own_asset(request.user, asset_id, at)
    if asset.kind_id not in FORMS:
        raise assets.policy.AssetNotFound(asset_id=str(asset_id))
    make = FORMS[asset.kind_id]
    is_usual_wanted = request.method == "POST" and request.POST.get("do") == USUAL
    form = make(asset, request.POST if request.method == "POST" and not is_usual_wanted else None)
    if is_usual_wanted or form.is_valid():
        words = {} if is_usual_wanted else form.words
        try:
            shadowing.set_households_words(
                asset_id=asset.pk, words=words, at=at, by=f"user:{request.user.pk}"
            )
        except DomainError as error:
            say_refusal(form, error, form.field_names)
        else:
            done = _("Back to the usual.") if is_usual_wanted else _("Kept.")
            messages.success(request, f"{done} {_what_follows(asset, at)}")
            return redirect("own_asset", asset.pk)
    context = {
        "asset": asset,
        "form": form,
        "now": _asked(asset),
        "usual": _asked(asset, {}),
        "is_usual": _is_usual(asset),
        "what_follows": _what_follows(asset, at),
        "is_told_to_hub": not asking.HOUSEHOLDS_WORDS[asset.kind_id] <= shadowing.PLANS_ALONE,
    }
    return render(request, "web/own_asset.html", context, status=422 if form.errors else 200)


def of_homes(stays: Sequence[Occupancy]) -> list[OwnAsset]:
    """The devices of homes that have such a page, by home and name; one query."""
    names = {stay.home_id: stay.home.name for stay in stays}
    found = Asset.objects.filter(hub__home__in=names, kind_id__in=FORMS).exclude(state=Asset.State.RETIRED)
    return [
        OwnAsset(
            url=reverse("own_asset", args=[asset.pk]),
            name=asset.name,
            home=names[asset.hub.home_id] if len(stays) > 1 else "",
            asked=_asked(asset),
            is_usual=_is_usual(asset),
        )
        for asset in found.select_related("hub", "kind").order_by("hub__home_id", "name", "pk")
    ]


def _is_usual(asset: Asset) -> bool:
    return asking.HOUSEHOLDS_WORDS[asset.kind_id].isdisjoint(asset.needs)


def _asked(asset: Asset, told: Mapping[str, Any] | None = None) -> str:
    """In words, what is asked of it; with `told`, what those would ask."""
    told = asset.needs if told is None else told
    if asset.kind_id in asking.CAR_KINDS:
        return _car(asset, told)
    if asset.kind_id == "immersion_heater":
        times = asking.hot_by(told) or needs.USUALLY_HOT_BY
        return _("Hot water by %(times)s.") % {"times": ", ".join(f"{each:%H:%M}" for each in times)}
    found = asking.comfort(told)
    return _("%(wanted)s °C from %(begins)s to %(ends)s, at least %(least)s °C at other times.") % {
        "wanted": wording.number(found.wanted_c),
        "least": wording.number(found.least_c),
        "begins": f"{found.begins:%H:%M}",
        "ends": f"{found.ends:%H:%M}",
    }


def _car(asset: Asset, told: Mapping[str, Any]) -> str:
    daily_wh = asset.kind.typical_daily_wh
    wh = asking.charge_wh(told, daily_wh=daily_wh)
    charged_wh = wh if isinstance(wh, int | float) else daily_wh
    words = {
        "time": str(told.get("ready_by", f"{needs.READY_BY:%H:%M}")),
        "kwh": wording.number(charged_wh / 1000),
        "miles": wording.number(told.get("charge_miles", 0)),
        "percent": wording.number(told.get("charge_percent", 0)),
    }
    if "charge_percent" in told:
        return _("Charged to %(percent)s %% by %(time)s: about %(kwh)s kWh a night.") % words
    if "charge_miles" in told:
        return _("Charged for %(miles)s miles by %(time)s: about %(kwh)s kWh a night.") % words
    return _("Charged with %(kwh)s kWh by %(time)s.") % words


def _what_follows(asset: Asset, at: datetime) -> str:
    """From which night's plan on a change is used, as plans are made."""
    home_id, local = asset.hub.home_id, at.astimezone(LONDON)
    if not HomeTariff.objects.filter(occupancy__home=home_id, occupancy__ends_at=None, ends_at=None).exists():
        return _("Your home has no plan yet: choose your tariff beside your plan, and the next one uses it.")
    # A night runs from noon to noon.
    night = local.date() - timedelta(days=0 if local.time() >= needs.NOON else 1)
    sent = HomePlan.objects.filter(occupancy__home=home_id, night=night).exclude(sent_at=None)
    if sent.exists():
        words = {"day": wording.civil_day(night)}
        return _("The plan for the night of %(day)s is made already and stays; the next one uses it.") % words
    return _("Tonight’s plan, made from 16:00 on once prices are known, uses it.")


def _plain(number: Any) -> int | float | None:
    """A whole number as such, so that 80 is not shown as 80.0; None for what is no number."""
    try:
        found = float(str(number))
    except ValueError:
        return None
    return int(found) if found.is_integer() else found
