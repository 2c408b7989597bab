"""One home of the registry: what is fitted, how it fares, what else was done there, and its past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from assets import fitting, histories, journals, limiting, listing, measures
from assets.models import Asset
from assets.policy import ARRANGES_VISITS, MANAGES_DEVICES, access_home
from assets.registry_models import HomeMeasure, HubSpell, Product
from assets.wear import Wear
from members.models import Home
from members.policy import has_role, require_role
from metering import missing
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import cause_words, wording
from opendsr.web.entering import signed_in
from opendsr.web.home_filters import GSP_NAMES, HEALTHS
from opendsr.web.home_registry import healths_of
from opendsr.web.refusals import say_refusal, sentence

HISTORY_SHOWN: Final = 200
THINGS: Final = {
    "hub": _lazy("Hub"),
    "cad": _lazy("CAD"),
    "meter": _lazy("Meter"),
    "asset": _lazy("Asset"),
    "change": _lazy("Change"),
}
SPELLS: Final = {
    HubSpell.Cause.NO_POWER: _lazy("was without power"),
    HubSpell.Cause.CRASHED: _lazy("stopped by itself"),
    HubSpell.Cause.STOPPED: _lazy("was stopped"),
    HubSpell.Cause.NO_LAN: _lazy("had no network in the home"),
    HubSpell.Cause.NO_INTERNET: _lazy("had no way out of the home"),
    HubSpell.Cause.REFUSED: _lazy("was refused by the site"),
    HubSpell.Cause.AWAY: _lazy("could not reach a device"),
    HubSpell.Cause.SILENT: _lazy("was not heard"),
}
HAPPENINGS: Final = {
    histories.FITTED: _lazy("fitted"),
    histories.RETIRED: _lazy("taken out of use"),
    histories.REPLACED: _lazy("replaced"),
    "applied": _lazy("changed with others"),
    "undone": _lazy("taken back"),
    "kept": _lazy("not taken back"),
}


def _models(category: str) -> list[tuple[str, Any]]:
    rows = Product.objects.filter(category=category, is_offered=True).order_by("make", "model")
    return [("", _lazy("not known")), *((str(each.pk), str(each)) for each in rows)]


class DeviceForm(forms.Form):
    """A meter or CAD that is fitted now, in the place of the one before."""

    serial = forms.CharField(
        label=_lazy("Serial number"), max_length=40, validators=[ProhibitNullCharactersValidator()]
    )
    product = forms.ChoiceField(label=_lazy("Make and model"), required=False)

    def __init__(self, *args: Any, category: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["product"].choices = _models(category)  # type: ignore[attr-defined]


class AssetForm(forms.Form):
    """What an asset is, or the device that takes its place."""

    asset = forms.UUIDField(widget=forms.HiddenInput)
    product = forms.ChoiceField(label=_lazy("Make and model"), required=False)

    def __init__(self, *args: Any, kind: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Product.objects.filter(category=Product.Category.ASSET).order_by("make", "model")
        rows = rows.filter(kind=kind) if kind else rows
        self.fields["product"].choices = [  # type: ignore[attr-defined]
            ("", _lazy("not known")),
            *((str(each.pk), str(each)) for each in rows),
        ]


class MeasureForm(forms.Form):
    """A measure or service of the home."""

    kind = forms.ChoiceField(label=_lazy("Measure or service"), choices=HomeMeasure.Kind.choices)
    done_on = forms.DateField(label=_lazy("Done or begun on"), widget=forms.DateInput(attrs={"type": "date"}))
    ended_on = forms.DateField(
        label=_lazy("Ended on"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    installer = forms.CharField(
        label=_lazy("Firm"),
        required=False,
        max_length=120,
        validators=[ProhibitNullCharactersValidator()],
    )
    note = forms.CharField(
        label=_lazy("Note"),
        required=False,
        max_length=500,
        help_text=_lazy("Kept sealed. Nothing about health or means."),
        validators=[ProhibitNullCharactersValidator()],
    )


@require_GET
@signed_in
def home_page(request: HttpRequest, home_id: UUID) -> HttpResponse:
    """One home."""
    return _page(request, access_home(request.user, home_id))


@require_POST
@signed_in
def home_action(request: HttpRequest, home_id: UUID, verb: str) -> HttpResponse:
    """Fit a meter or CAD, replace or name an asset, note a measure or take it back."""
    home = access_home(request.user, home_id)
    if verb not in DEEDS:
        raise Http404
    roles, deed, made = DEEDS[verb]
    require_role(request.user, *roles)
    form = made(request)
    if form is not None and not form.is_valid():
        return _page(request, home, forms={verb: form})
    try:
        said = deed(home, {} if form is None else form.cleaned_data, request, clock.now())
    except DomainError as error:
        if error.status == 404:
            raise
        if form is None:
            messages.error(request, sentence(error))
            return redirect("home_page", home.pk)
        say_refusal(form, error)
        return _page(request, home, forms={verb: form})
    messages.success(request, said)
    return redirect("home_page", home.pk)


def _page(request: HttpRequest, home: Home, *, forms: dict[str, forms.Form] | None = None) -> HttpResponse:
    at, wall = clock.now(), clock.wall_now()
    given = forms or {}
    (fitted,) = listing.fitted([home], at=at, wall=wall)
    may_manage = has_role(request.user, *MANAGES_DEVICES)
    context = {
        "home": home,
        "gsp_name": GSP_NAMES.get(home.gsp_group, ""),
        "fitted": fitted,
        "heard": fitted.heard_wall_at,
        "healths": [HEALTHS[code] for code in healths_of(fitted)],
        "assets": [_asset(each, fitted.wears.get(each.pk)) for each in fitted.assets],
        "measures": [
            {"row": each, "done": wording.civil_day(each.done_on), "by": each.installer}
            for each in measures.measures_of(home.pk)
        ],
        "history": [
            {
                "when": wording.moment(each.at),
                "thing": THINGS[each.thing],
                "name": each.name,
                "what": HAPPENINGS[each.what],
                "other": each.other,
                "is_asset_or_hub": each.thing == "hub",
                "id": each.thing_id,
                "is_change": each.thing == "change",
                "is_fitted": each.what == histories.FITTED,
            }
            for each in histories.history_of(home.pk)[:HISTORY_SHOWN]
        ],
        "spells": [
            {
                "since": wording.moment(each.starts_at),
                "until": "" if each.ends_at is None else wording.moment(each.ends_at),
                "what": SPELLS[HubSpell.Cause(each.cause)],
                "device": each.resource_id,
            }
            for each in journals.newest_spells(home.pk)
        ],
        "causes": cause_words.rows(missing.of_home(home.pk, at=at)),
        "may_manage": may_manage,
        "may_note": has_role(request.user, *ARRANGES_VISITS),
        "measure_form": given.get("add-measure") or MeasureForm(auto_id="id_measure_%s"),
        "meter_form": given.get("meter") or DeviceForm(category="meter", auto_id="id_meter_%s"),
        "cad_form": given.get("cad") or DeviceForm(category="cad", auto_id="id_cad_%s"),
        "opened": next(iter(given), ""),
        "asset_error": _asset_error(given),
    }
    return render(request, "assets/home_page.html", context, status=422 if given else 200)


def _asset(asset: Asset, wear: Wear | None) -> dict[str, Any]:
    form = AssetForm(
        initial={"asset": asset.pk, "product": asset.product_id or ""},
        kind=asset.kind_id,
        auto_id=f"id_{asset.resource_id}_%s",
    )
    count = getattr(asset, "relay_count", None)
    return {
        "asset": asset,
        "power": wording.power(asset.rated_w),
        "drops": wording.power(asset.flexible_w),
        "cycles": None if count is None else count.cycles,
        "used_pct": None if wear is None else round(100 * wear.share),
        "is_worn": wear is not None and wear.is_worn,
        "ends": "" if wear is None or wear.ends_at is None else wording.day(wear.ends_at, "F Y"),
        "form": form,
    }


def _asset_error(given: dict[str, forms.Form]) -> str:
    """What is wrong with a replacement, for the top of the list: the page has a form for each asset."""
    form = given.get("replace-asset") or given.get("name-asset")
    if form is None:
        return ""
    return " ".join(str(each) for errors in form.errors.values() for each in errors)


def _uuid_or_none(text: object) -> UUID | None:
    return UUID(str(text)) if text else None


def _asset_of(home: Home, asset_id: UUID) -> Asset:
    asset = Asset.objects.select_related("product").filter(pk=asset_id, hub__home=home).first()
    if asset is None:
        raise Http404
    return asset


def _fit_meter(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    fitting.fit_meter(
        home=home, serial=data["serial"], product_id=_uuid_or_none(data["product"]), at=at, by=_by(request)
    )
    return _("The meter is on record; the one before it stays in the history.")


def _fit_cad(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    fitting.fit_cad(
        home=home, serial=data["serial"], product_id=_uuid_or_none(data["product"]), at=at, by=_by(request)
    )
    return _("The CAD is on record; the one before it stays in the history.")


def _replace_asset(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    asset = _asset_of(home, data["asset"])
    fitting.replace_asset(
        asset_id=asset.pk, product_id=_uuid_or_none(data["product"]), at=at, by=_by(request)
    )
    return _(
        "The new device has the place, the name and the needs of the old one, which stays in the history."
    )


def _name_asset(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    product = fitting.product_of(_uuid_or_none(data["product"]), Product.Category.ASSET)
    limiting.set_product(thing=_asset_of(home, data["asset"]), product=product, at=at, by=_by(request))
    return _("Saved.")


def _add_measure(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    measures.add_measure(
        home=home,
        kind=data["kind"],
        done_on=data["done_on"],
        ended_on=data["ended_on"],
        installer=data["installer"],
        note=data["note"],
        at=at,
        by=_by(request),
    )
    return _("Noted.")


def _remove_measure(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    measures.remove_measure(home=home, measure_id=_posted_id(request), at=at, by=_by(request))
    return _("Taken back. It can be put back below.")


def _restore_measure(home: Home, data: dict[str, Any], request: HttpRequest, at: datetime) -> str:
    measures.restore_measure(home=home, measure_id=_posted_id(request), at=at, by=_by(request))
    return _("Put back.")


def _posted_id(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("measure", ""))
    except ValueError:
        raise Http404 from None


def _by(request: HttpRequest) -> str:
    return f"staff:{request.user.pk}"


def _no_form(request: HttpRequest) -> None:
    return None


Deed = Callable[[Home, dict[str, Any], HttpRequest, datetime], str]
DEEDS: Final[dict[str, tuple[tuple[Any, ...], Deed, Callable[[HttpRequest], forms.Form | None]]]] = {
    "meter": (
        MANAGES_DEVICES,
        _fit_meter,
        lambda request: DeviceForm(request.POST, category="meter", auto_id="id_meter_%s"),
    ),
    "cad": (
        MANAGES_DEVICES,
        _fit_cad,
        lambda request: DeviceForm(request.POST, category="cad", auto_id="id_cad_%s"),
    ),
    "replace-asset": (MANAGES_DEVICES, _replace_asset, lambda request: AssetForm(request.POST)),
    "name-asset": (MANAGES_DEVICES, _name_asset, lambda request: AssetForm(request.POST)),
    "add-measure": (
        ARRANGES_VISITS,
        _add_measure,
        lambda request: MeasureForm(request.POST, auto_id="id_measure_%s"),
    ),
    "remove-measure": (ARRANGES_VISITS, _remove_measure, _no_form),
    "restore-measure": (ARRANGES_VISITS, _restore_measure, _no_form),
}
