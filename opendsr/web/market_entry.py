"""Staff page of the flexibility market: what the portfolio may enter, and the kinds of market."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

import campaigns.policy
from campaigns.market import (
    entering,
    presets,
)
from campaigns.models import (
    MarketPreset,
)
from opendsr.kernel import clock
from opendsr.web import wording
from opendsr.web.entering import account_of, signed_in
from opendsr.web.market_forms import (
    PresetForm,
)
from opendsr.web.operator_forms import watts
from opendsr.web.refusals import say_at_fields


@require_http_methods(["GET", "POST"])
@signed_in
def market_entry(request: HttpRequest) -> HttpResponse:
    """What the portfolio may enter, and the form that keeps the kinds of market true."""
    campaigns.policy.require_sees_operators(request.user)
    is_change = request.method == "POST" and request.POST.get("do") != "anew"
    form = PresetForm(request.POST if is_change else None)
    if request.method == "POST" and not is_change:
        entering.forget()
        return redirect("market_entry")
    if is_change:
        campaigns.policy.require_manages_operators(request.user)
        if form.is_valid() and _set_preset(request, form):
            messages.success(request, _("Set. Offers made from now on keep to it."))
            return redirect("market_entry")
    found = entering.entries(at=clock.now())
    context = {
        "entries": [_entry(each) for each in found],
        "worked_out": wording.moment(min(each.at for each in found)) if found else "",
        "presets": [_preset(each) for each in MarketPreset.objects.order_by("name")],
        "form": form,
        **campaigns.policy.market_rights(request.user),
    }
    return render(request, "campaigns/market_entry.html", context, status=422 if form.errors else 200)


def _set_preset(request: HttpRequest, form: PresetForm) -> bool:
    data = dict(form.cleaned_data)
    code, least_kw = data.pop("code"), data.pop("least_kw")
    try:
        presets.set_preset(
            **data, code=code.pk, least_w=watts(least_kw), at=clock.now(), by=account_of(request)
        )
    except presets.PresetInvalid as error:
        say_at_fields(form, {error.field: error.reason}, {"least_w": "least_kw"})
        return False
    return True


def _entry(entry: entering.Entry) -> dict[str, Any]:
    lacks = ""
    if not entry.may and entry.homes_wanted:
        words = _("%(power)s short: about %(n)s more homes like these")
        lacks = words % {"power": wording.power(entry.lacks_w), "n": f"{entry.homes_wanted:,}"}
    elif not entry.may:
        lacks = _("no home can be asked for that long, or their habits are not known yet")
    return {
        "kind": entry.preset.name,
        "direction": wording.DIRECTIONS[entry.direction],
        "when": wording.stretch(entry.interval.starts_at, entry.interval.ends_at, form=wording.SHORT_DAY),
        "least": wording.power(entry.preset.least_w),
        "sure": wording.power(entry.sure.watts),
        "homes": f"{entry.sure.homes:,}",
        "assets": f"{entry.sure.assets:,}",
        "may": entry.may,
        "lacks": lacks,
    }


def _preset(preset: MarketPreset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "notice": preset.notice_minutes,
        "least_minutes": preset.least_minutes,
        "most_minutes": preset.most_minutes,
        "least": wording.power(preset.least_w),
        "note": preset.note,
        "is_ours": preset.changed_at is not None,
    }
