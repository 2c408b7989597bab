"""Staff pages of what is fitted: every hub, what it should be and what it says it is, and its updates.

Who looks after homes may look; who manages devices may replace, retire, restore and say what assets need.
"""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from assets import rolling_out, servicing, shadowing, updating, vtn_door
from assets.differences import differences
from assets.models import Asset, Hub, Release, Rollout
from assets.policy import DEVICE_STAFF, MANAGES_DEVICES, access_hub
from members.policy import has_role, require_role
from opendsr.kernel import blind_index, clock
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence

HUBS_SHOWN: Final = 50
STATES: Final = {
    Hub.State.PLANNED: (_lazy("planned"), "info"),
    Hub.State.COMMISSIONED: (_lazy("in use"), "good"),
    Hub.State.RETIRED: (_lazy("retired"), ""),
}
ASSET_STATES: Final = {
    Asset.State.ACTIVE: (_lazy("in service"), "good"),
    Asset.State.FAULTY: (_lazy("faulty"), "bad"),
    Asset.State.RETIRED: (_lazy("retired"), ""),
}
ROLLOUT_STATES: Final = {
    Rollout.State.RUNNING: (_lazy("under way"), "info"),
    Rollout.State.HALTED: (_lazy("halted"), "bad"),
    Rollout.State.FINISHED: (_lazy("finished"), "good"),
}
VERBS: Final = ("replace", "retire", "restore", "needs")


class FindForm(forms.Form):
    """Which hubs to show; kept in the address."""

    q = forms.CharField(
        label=_lazy("Serial or home"), required=False, max_length=80,
        validators=[ProhibitNullCharactersValidator()],
    )  # fmt: skip
    state = forms.ChoiceField(
        label=_lazy("State"), required=False,
        choices=[("", _lazy("any")), *((code, words) for code, (words, _tag) in STATES.items())],
    )  # fmt: skip


class ReplaceForm(forms.Form):
    """The hub that takes this one's place."""

    serial = forms.CharField(
        label=_lazy("Serial number of the new hub"), max_length=40,
        validators=[ProhibitNullCharactersValidator()],
    )  # fmt: skip


class NeedsForm(forms.Form):
    """What a household asks of an asset, a line each."""

    needs = forms.CharField(
        label=_lazy("Needs, a line each"), required=False, max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=_lazy("Such as “ready_by = 07:00”. An empty field leaves it to the hub’s own config."),
        validators=[ProhibitNullCharactersValidator()],
    )  # fmt: skip

    def clean_needs(self) -> dict[str, Any]:
        """The lines as names and values; numbers are numbers."""
        needs: dict[str, Any] = {}
        for line in self.cleaned_data["needs"].splitlines():
            name, mark, value = (part.strip() for part in line.partition("="))
            if not name and not mark:
                continue
            if not mark or not value:
                raise forms.ValidationError(
                    _("“%(line)s”: write a name, “=” and a value.") % {"line": line[:60]}
                )
            needs[name] = int(value) if value.isascii() and value.isdecimal() and len(value) < 9 else value
        return needs


@require_GET
@signed_in
def hub_list(request: HttpRequest) -> HttpResponse:
    """Every hub, those in use first."""
    require_role(request.user, *DEVICE_STAFF)
    form = FindForm(request.GET or None)
    in_use = Asset.objects.filter(hub=OuterRef("pk")).exclude(state=Asset.State.RETIRED).order_by()
    counted = in_use.values("hub").annotate(number=Count("pk")).values("number")
    hubs = Hub.objects.select_related("home").annotate(asset_count=Coalesce(Subquery(counted), 0))
    if form.is_bound and form.is_valid():
        if words := form.cleaned_data["q"].strip():
            hubs = hubs.filter(Q(serial__icontains=words) | Q(home__words__contains=blind_index.words(words)))
        if form.cleaned_data["state"]:
            hubs = hubs.filter(state=form.cleaned_data["state"])
    shown, pager = paged(request, hubs.order_by("state", "serial"), size=HUBS_SHOWN)
    shadows = vtn_door.shadows_of([hub.ven_id for hub in shown if hub.ven_id])
    context = {
        "form": form,
        "is_narrowed": form.is_bound,
        "hubs": [_row(hub, shadows.get(str(hub.ven_id))) for hub in shown],
        "pager": pager,
    }
    return render(request, "assets/hub_list.html", context)


@require_GET
@signed_in
def hub_page(request: HttpRequest, hub_id: UUID) -> HttpResponse:
    """One hub: what it should be beside what it says it is."""
    require_role(request.user, *DEVICE_STAFF)
    return _hub_page(request, access_hub(request.user, hub_id, clock.now()))


@require_POST
@signed_in
def hub_action(request: HttpRequest, hub_id: UUID, verb: str) -> HttpResponse:
    """Replace, retire or restore a hub, or say what one of its assets needs."""
    require_role(request.user, *MANAGES_DEVICES)
    hub = access_hub(request.user, hub_id, clock.now())
    if verb not in VERBS:
        raise Http404
    by, at = f"staff:{request.user.pk}", clock.now()
    if verb == "needs":
        return _take_needs(request, hub)
    form = ReplaceForm(request.POST)
    try:
        if verb == "replace":
            if not form.is_valid():
                return _hub_page(request, hub, replace_form=form)
            serial = form.cleaned_data["serial"]
            planned = servicing.plan_replacement(hub_id=hub.pk, serial=serial, at=at, by=by)
            return _hub_page(request, planned.hub, code=planned.enrolment_code)
        if verb == "restore":
            planned = servicing.restore_hub(hub_id=hub.pk, at=at, by=by)
            return _hub_page(request, planned.hub, code=planned.enrolment_code)
        servicing.retire_hub(hub_id=hub.pk, at=at, by=by, reason=request.POST.get("reason", ""))
        messages.success(request, _("The hub is retired; its certificate speaks for nobody any more."))
    except DomainError as error:
        if verb == "replace":
            form.add_error("serial", sentence(error))
            return _hub_page(request, hub, replace_form=form)
        messages.error(request, sentence(error))
    return redirect("hub_page", hub.pk)


@require_GET
@signed_in
def update_list(request: HttpRequest) -> HttpResponse:
    """Releases and how far they have gone."""
    require_role(request.user, *DEVICE_STAFF)
    releases, pager = paged(
        request, Release.objects.select_related("rollout").order_by("-made_at", "component"), size=HUBS_SHOWN
    )
    context = {
        "releases": [_release(release) for release in releases],
        "pager": pager,
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
        "key_mark": updating.key_mark(),
    }
    return render(request, "assets/update_list.html", context)


@require_POST
@signed_in
def update_action(request: HttpRequest, release_id: UUID, verb: str) -> HttpResponse:
    """Begin, halt or resume a rollout."""
    require_role(request.user, *MANAGES_DEVICES)
    release = Release.objects.filter(pk=release_id).first()
    if release is None or verb not in ("begin", "halt", "resume"):
        raise Http404
    by, at = f"staff:{request.user.pk}", clock.now()
    try:
        if verb == "begin":
            rolling_out.begin(release=release, at=at, by=by)
            messages.success(request, _("The first hubs are offered it. You can halt it at any time."))
        elif not hasattr(release, "rollout"):
            raise Http404
        elif verb == "halt":
            why = request.POST.get("why", "").replace("\0", "")[:200].strip() or _("halted by staff")
            rolling_out.halt(rollout_id=release.rollout.pk, why=why, at=at, by=by)
            messages.success(request, _("Halted. Hubs that have it keep it; nobody else is offered it."))
        else:
            rolling_out.resume(rollout_id=release.rollout.pk, at=at, by=by)
            messages.success(request, _("It goes on. Hubs that failed are not asked again."))
    except DomainError as error:
        messages.error(request, sentence(error))
    return redirect("update_list")


def _take_needs(request: HttpRequest, hub: Hub) -> HttpResponse:
    wanted = request.POST.get("asset", "")
    asset = next((each for each in hub.assets.all() if str(each.pk) == wanted), None)
    if asset is None:
        raise Http404
    form = NeedsForm(request.POST, auto_id=f"id_{asset.resource_id}_%s")
    if form.is_valid():
        try:
            shadowing.set_needs(
                asset_id=asset.pk,
                needs=form.cleaned_data["needs"],
                at=clock.now(),
                by=f"staff:{request.user.pk}",
            )
        except DomainError as error:
            form.add_error("needs", sentence(error))
        else:
            messages.success(request, _("The hub is told at its next contact."))
            return redirect("hub_page", hub.pk)
    return _hub_page(request, hub, needs_form=form, needs_of=asset)


def _hub_page(
    request: HttpRequest,
    hub: Hub,
    *,
    code: str = "",
    replace_form: ReplaceForm | None = None,
    needs_form: NeedsForm | None = None,
    needs_of: Asset | None = None,
) -> HttpResponse:
    shadow = vtn_door.shadows_of([str(hub.ven_id)]).get(str(hub.ven_id)) if hub.ven_id else None
    reported = {} if shadow is None else shadow.reported
    told = {str(each.get("resource_id")): each for each in _dicts(reported.get("assets"))}
    software = reported.get("software")
    config = reported.get("config")
    assets = hub.assets.select_related("kind").order_by("name", "pk")
    has_errors = bool((replace_form and replace_form.errors) or (needs_form and needs_form.errors))
    context = {
        "hub": hub,
        "code": code,
        "code_until": wording.moment(hub.enrolment_code_expires_at) if hub.enrolment_code_expires_at else "",
        "row": _row(hub, shadow),
        "shadow": shadow,
        "replaces": hub.replaces,
        "replaced_by": Hub.objects.filter(replaces=hub).first(),
        "differences": [] if shadow is None else differences(shadow.desired, reported),
        "assets": [
            {
                "asset": asset,
                "state": ASSET_STATES[Asset.State(asset.state)],
                "power": wording.power(asset.rated_w),
                "driver": str(told.get(asset.resource_id, {}).get("driver", ""))[:40],
                "is_available": told.get(asset.resource_id, {}).get("is_available"),
                "form": needs_form if needs_of == asset else _needs_form(asset),
                "is_open": needs_of == asset,
            }
            for asset in assets
        ],
        "needs_known": shadowing.NEEDS,
        "software": software if isinstance(software, dict) else {},
        "hub_toml": str(config.get("hub_toml", "")) if isinstance(config, dict) else "",
        "certificate": reported.get("certificate") if isinstance(reported.get("certificate"), dict) else {},
        "desired_json": json.dumps(shadow.desired, indent=2, ensure_ascii=False) if shadow else "",
        "reported_json": json.dumps(reported, indent=2, ensure_ascii=False),
        "desired_at": wording.moment(shadow.desired_at) if shadow and shadow.desired_at else "",
        "replace_form": replace_form or ReplaceForm(),
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
    }
    return render(request, "assets/hub_page.html", context, status=422 if has_errors else 200)


def _row(hub: Hub, shadow: Any) -> dict[str, Any]:
    words, tag = STATES[Hub.State(hub.state)]
    found = [] if shadow is None else differences(shadow.desired, shadow.reported)
    software = {} if shadow is None else shadow.reported.get("software")
    version = software.get("hub", "") if isinstance(software, dict) else ""
    return {
        "hub": hub,
        "state": words,
        "tag": tag,
        "asset_count": getattr(hub, "asset_count", None),
        "version": str(version)[:40],
        "heard": None if shadow is None else shadow.heard_wall_at,
        "difference_count": len(found),
        "is_in_step": shadow is not None and shadow.is_in_step,
    }


def _release(release: Release) -> dict[str, Any]:
    rollout = getattr(release, "rollout", None)
    standing = None if rollout is None else updating.standing(rollout)
    return {
        "release": release,
        "made": wording.moment(release.made_at),
        "rollout": rollout,
        "state": None if rollout is None else ROLLOUT_STATES[Rollout.State(rollout.state)],
        "standing": standing,
        "failures": []
        if rollout is None
        else list(rollout.hubs.filter(state__in=updating.FAILURES).select_related("hub")[:20]),
    }


def _needs_form(asset: Asset) -> NeedsForm:
    lines = "\n".join(f"{name} = {value}" for name, value in asset.needs.items())
    return NeedsForm(initial={"needs": lines}, auto_id=f"id_{asset.resource_id}_%s")


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
