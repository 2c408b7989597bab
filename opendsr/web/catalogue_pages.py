"""The catalogue of makes and models: what each draws, where it fits, how long it lasts; changed by staff."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

from assets import cataloguing
from assets.cataloguing import NUMBERS, ProductNotFound
from assets.models import AssetKind
from assets.policy import DEVICE_STAFF, MANAGES_DEVICES
from assets.registry_models import Product
from members.policy import has_role, require_role
from metering import kind_use
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import say_refusal

PRODUCTS_SHOWN: Final = 50
LABELS: Final = {
    "rated_w": _lazy("Power (W)"),
    "minimum_w": _lazy("Least power while on (W)"),
    "step_w": _lazy("Step (W); 0: on and off only"),
    "phases": _lazy("Phases (1 or 3)"),
    "width_mm": _lazy("Width (mm)"),
    "height_mm": _lazy("Height (mm)"),
    "depth_mm": _lazy("Depth (mm)"),
    "weight_g": _lazy("Weight (g)"),
    "relay_life_cycles": _lazy("Relay life (cycles)"),
    "relay_life_years": _lazy("Relay life (years)"),
    "category": _lazy("What it is"),
    "kind_id": _lazy("Kind of asset"),
    "make": _lazy("Make"),
    "model": _lazy("Model"),
    "siting": _lazy("Siting"),
    "firmware": _lazy("Software version"),
    "is_offered": _lazy("Still chosen"),
}


class ProductForm(forms.Form):
    """One make and model; what is not known stays empty."""

    category = forms.ChoiceField(label=LABELS["category"], choices=Product.Category.choices)
    kind = forms.ChoiceField(label=LABELS["kind_id"], required=False)
    make = forms.CharField(
        label=LABELS["make"], max_length=60, validators=[ProhibitNullCharactersValidator()]
    )
    model = forms.CharField(
        label=LABELS["model"], max_length=60, validators=[ProhibitNullCharactersValidator()]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = AssetKind.objects.order_by("name").values_list("code", "name")
        self.fields["kind"].choices = [("", _lazy("no flexible asset")), *kinds]  # type: ignore[attr-defined]
        for name, (least, most) in NUMBERS.items():
            self.fields[name] = forms.IntegerField(
                label=LABELS[name], required=False, min_value=least, max_value=most
            )
        self.fields["relay_life_cycles"].help_text = _("Empty: it has no relay that wears out.")
        self.fields["siting"] = forms.CharField(
            label=LABELS["siting"],
            required=False,
            max_length=300,
            help_text=_("Where it may be fitted and where not."),
            validators=[ProhibitNullCharactersValidator()],
        )
        self.fields["firmware"] = forms.CharField(
            label=LABELS["firmware"],
            required=False,
            max_length=40,
            help_text=_("The version it should run; what runs another is found by the registry."),
            validators=[ProhibitNullCharactersValidator()],
        )
        self.fields["is_offered"] = forms.BooleanField(label=LABELS["is_offered"], required=False)


@require_GET
@signed_in
def product_list(request: HttpRequest) -> HttpResponse:
    """Every model, and how many are in use."""
    require_role(request.user, *DEVICE_STAFF)
    rows = Product.objects.select_related("kind").order_by("-is_offered", "category", "make", "model")
    shown, pager = paged(request, rows, size=PRODUCTS_SHOWN)
    used = cataloguing.in_use([each.pk for each in shown])
    context = {
        "rows": [_row(each, used=used[each.pk]) for each in shown],
        "pager": pager,
        "kinds": [
            {
                "use": each,
                "expected": wording.kwh(each.kind.typical_daily_wh),
                "measured": wording.kwh(each.daily_wh),
            }
            for each in kind_use.kinds(at=clock.now())
        ],
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
    }
    return render(request, "assets/product_list.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def product_new(request: HttpRequest) -> HttpResponse:
    """A model for the catalogue."""
    require_role(request.user, *MANAGES_DEVICES)
    initial = {"relay_life_cycles": 3_000, "relay_life_years": 10, "is_offered": True, "category": "asset"}
    return _edit(request, None, ProductForm(request.POST or None, initial=initial))


@require_http_methods(["GET", "POST"])
@signed_in
def product_page(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """One model and its history; who manages devices may change it."""
    require_role(request.user, *DEVICE_STAFF)
    product = Product.objects.select_related("kind").filter(pk=product_id).first()
    if product is None:
        raise ProductNotFound(product_id=str(product_id))
    if request.method == "POST":
        require_role(request.user, *MANAGES_DEVICES)
    initial = {name: getattr(product, name) for name in cataloguing.FIELDS}
    initial["kind"] = initial.pop("kind_id") or ""
    return _edit(request, product, ProductForm(request.POST or None, initial=initial))


def _edit(request: HttpRequest, product: Product | None, form: ProductForm) -> HttpResponse:
    if form.is_bound and form.is_valid():
        values = {**form.cleaned_data, "kind_id": form.cleaned_data["kind"]}
        try:
            saved = cataloguing.save_product(
                product_id=None if product is None else product.pk,
                values=values,
                at=clock.now(),
                by=f"staff:{request.user.pk}",
            )
        except DomainError as error:
            say_refusal(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("product_page", saved.pk)
    context = {
        "product": product,
        "row": None if product is None else _row(product),
        "form": form,
        "history": [] if product is None else _history(product),
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
    }
    return render(request, "assets/product_page.html", context, status=422 if form.errors else 200)


def _row(product: Product, *, used: int | None = None) -> dict[str, Any]:
    sizes = (product.width_mm, product.height_mm, product.depth_mm)
    return {
        "product": product,
        "what": product.kind.name if product.kind else product.get_category_display(),
        "power": wording.power(product.rated_w) if product.rated_w else "",
        "size": " × ".join(str(each or "?") for each in sizes) + " mm" if any(sizes) else "",
        "weight": f"{product.weight_g / 1000:.3g} kg" if product.weight_g else "",
        "used": used,
    }


def _history(product: Product) -> list[dict[str, Any]]:
    return [
        {
            "when": wording.moment(entry.at),
            "by": entry.actor,
            "changes": [
                {"what": LABELS.get(name, name), "before": _shown(before), "now": _shown(now)}
                for name, (before, now) in entry.detail.items()
                if before is not None or now not in (None, "")
            ],
        }
        for entry in cataloguing.history_of(product)
    ]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return wording.NOTHING if value in (None, "") else str(value)
