"""What the co-op sets for itself, on one page: each value, who set it when and why, and those before it.

Rules that have pages of their own stand below with links; what the machine's environment holds is named there
too, without a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

from assets.photos import FORMATS, MOST_BYTES, PhotoUnusable, made_anew
from campaigns import rules
from campaigns.models import CampaignRule
from members.enquiry_models import JoiningRules
from members.models import ConsentText, Role
from members.policy import has_role, require_role
from metering.models import RetentionRule
from opendsr.kernel import clock, house, installation, logos
from opendsr.kernel.models import HouseSetting
from opendsr.web import live_board, step_up, wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from settlement.models import SharePolicyVersion, Society

SEES_SETTINGS: Final = (Role.ADMINISTRATOR, Role.AUDITOR)
SETS: Final = (Role.ADMINISTRATOR,)
SHOWN: Final = 25
MAY_BE_EMPTY: Final = ("colour", "logo")
A_YEAR_SECONDS: Final = 31_536_000
Words = str | Promise


@dataclass(frozen=True, slots=True)
class Told:
    """How a setting is called and explained; `unit` stands behind its value."""

    label: Words
    help: Words
    unit: Words = ""


TOLD: Final[Mapping[str, Told]] = {
    "coop_name": Told(
        _lazy("Name of the co-op"),
        _lazy("As it stands in the register: it is on every page, letter and statement from then on."),
    ),
    "colour": Told(
        _lazy("Colour"),
        _lazy("Of the band at the head of every page, such as #0b6b4f. Empty: none."),
    ),
    "logo": Told(
        _lazy("Logo"),
        _lazy(
            "On every page, email and printed document, in place of the house. PNG, WebP or JPEG; it is made "
            "anew as a PNG of at most 320 pixels a side, without anything but the picture."
        ),
    ),
    "quiet_from_hour": Told(
        _lazy("Quiet from"), _lazy("Notices wait from this hour on, London time: 18 to 23."), _lazy("o’clock")
    ),
    "quiet_to_hour": Told(
        _lazy("Quiet until"), _lazy("They leave from this hour on, London time: 5 to 11."), _lazy("o’clock")
    ),
    "notices_a_day": Told(
        _lazy("Notices a day"),
        _lazy("To one member at most; more waits for the morning. Safety is not counted."),
    ),
    "step_up_minutes": Told(
        _lazy("Second factor again after"),
        _lazy("Whoever approves, pays out or thaws gives it once more when the last time is longer ago."),
        _lazy("minutes"),
    ),
}


class SettingForm(forms.Form):
    """A new value and why."""

    value = forms.CharField(
        label=_lazy("New value"), max_length=200, required=False,
        validators=[ProhibitNullCharactersValidator()],
    )  # fmt: skip
    why = forms.CharField(
        label=_lazy("Why"), max_length=house.LONGEST_WHY, validators=[ProhibitNullCharactersValidator()]
    )


class LogoForm(SettingForm):
    """A picture, or the digest of one that was set before, and why."""

    value = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    picture = forms.FileField(
        label=_lazy("Picture"), required=False,
        widget=forms.FileInput(attrs={"accept": ",".join(f"image/{form.lower()}" for form in FORMATS)}),
    )  # fmt: skip
    field_order = ("value", "picture", "why")

    def clean_picture(self) -> bytes | None:
        """The picture made anew as a PNG."""
        file = self.cleaned_data["picture"]
        if file is None:
            return None
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_("The picture is larger than 10 MB."))
        try:
            return made_anew(file.read(), longest=logos.LONGEST_SIDE, form="PNG").body
        except PhotoUnusable as error:
            raise forms.ValidationError(sentence(error)) from error


@require_GET
@signed_in
def settings_list(request: HttpRequest) -> HttpResponse:
    """Every setting with its value, and the rules that have pages of their own."""
    require_role(request.user, *SEES_SETTINGS)
    rows = house.newest()
    names = live_board.names({row.set_by for row in rows.values()})
    context = {
        "rows": [
            {
                "key": key,
                "label": told.label,
                "help": told.help,
                "value": _value(key),
                "is_default": key not in rows or rows[key].value is None,
                **_set_by(rows.get(key), names),
            }
            for key, told in TOLD.items()
        ],
        "elsewhere": [each for each in _elsewhere() if each["url"]],
        "environment": list(_environment()),
        "may_set": has_role(request.user, *SETS),
    }
    return render(request, "web/settings.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def setting(request: HttpRequest, key: str) -> HttpResponse:
    """One setting: its history, the form that sets it, and a way back to any value before."""
    require_role(request.user, *(SETS if request.method == "POST" else SEES_SETTINGS))
    told = TOLD.get(key)
    if told is None:
        raise Http404
    posted = request.POST if request.method == "POST" else None
    form: SettingForm
    if key == "logo":
        form = LogoForm(posted, request.FILES or None)
        form.fields["picture"].help_text = told.help  # type: ignore[assignment]
        is_old_one = request.POST.get("back") == "default" or request.POST.get("value")
        form.fields["picture"].required = not is_old_one
    else:
        form = SettingForm(posted, initial={"value": house_value(key)})
        form.fields["value"].help_text = told.help  # type: ignore[assignment]
        form.fields["value"].required = key not in MAY_BE_EMPTY
    if request.method == "POST":
        step_up.require(request, _("Change a setting: %(what)s") % {"what": str(told.label)})
        if form.is_valid() and _put(request, key, form):
            return redirect("setting", key)
    history = HouseSetting.objects.filter(key=key).order_by("-pk")
    shown, pager = paged(request, history, size=SHOWN)
    names = live_board.names({row.set_by for row in shown})
    context = {
        "told": told,
        "key": key,
        "value": _value(key),
        "logo": house_value(key) if key == "logo" else "",
        "default": _words(key, house.SPECS[key].default()),
        "history": [_row(key, row, names, is_newest=place == 0) for place, row in enumerate(shown)],
        "pager": pager,
        "form": form,
        "may_set": has_role(request.user, *SETS),
        "has_default": key != "coop_name",
    }
    return render(request, "web/setting.html", context, status=422 if form.errors else 200)


@require_GET
def house_css(request: HttpRequest) -> HttpResponse:
    """The co-op's colour, for every page; nothing of anybody's."""
    colour = str(house.value("colour"))
    rule = f".masthead {{ border-top: 0.4rem solid {colour}; }}\n"
    answer = HttpResponse(rule if colour else "", content_type="text/css; charset=utf-8")
    patch_cache_control(answer, public=True, max_age=300)
    return answer


@require_GET
def house_logo(request: HttpRequest, digest: str) -> HttpResponse:
    """A logo by its digest, for every page and letter; nothing of anybody's, and never another picture."""
    body = logos.png(digest)
    if body is None:
        raise Http404
    answer = HttpResponse(body, content_type="image/png")
    patch_cache_control(answer, public=True, max_age=A_YEAR_SECONDS, immutable=True)
    return answer


def house_value(key: str) -> str:
    """The value in force as a form shows it."""
    return installation.current().coop_name if key == "coop_name" else str(house.value(key))


def _put(request: HttpRequest, key: str, form: SettingForm) -> bool:
    is_default = request.POST.get("back") == "default"
    text = None if is_default else form.cleaned_data["value"]
    picture = None if is_default else form.cleaned_data.get("picture")
    try:
        if picture is not None:
            text = logos.keep(picture, at=clock.now())
        made = house.put(
            key=key, text=text, why=form.cleaned_data["why"], at=clock.now(), by=f"user:{request.user.pk}"
        )
    except (house.SettingInvalid, ValueError) as error:
        field = "picture" if key == "logo" else "value"
        reason = str(error)
        if isinstance(error, house.SettingInvalid):
            field, reason = ("why" if error.field == "why" else field), error.reason
        form.add_error(field, _("It has to be %(what)s.") % {"what": reason})
        return False
    messages.success(request, _("Set. It holds from now on.") if made else _("That is how it is already."))
    return True


def _value(key: str) -> str:
    return _words(key, house_value(key))


def _words(key: str, value: object) -> str:
    if value in ("", None):
        return _("none of its own")
    if key == "logo":
        return _("a picture")
    unit = str(TOLD[key].unit)
    return f"{value} {unit}" if unit else str(value)


def _set_by(row: HouseSetting | None, names: Mapping[str, str]) -> dict[str, str]:
    if row is None:
        return {"by": "", "at": "", "why": ""}
    return {"by": names.get(row.set_by, row.set_by), "at": wording.moment(row.set_at), "why": row.why}


def _row(key: str, row: HouseSetting, names: Mapping[str, str], *, is_newest: bool) -> dict[str, Any]:
    is_default = row.value is None
    return {
        "value": _("Back to what the house comes with") if is_default else _words(key, row.value),
        "again": "" if is_newest or is_default else str(row.value),
        "logo": row.value if key == "logo" else "",
        **_set_by(row, names),
    }


def _elsewhere() -> Iterator[dict[str, Any]]:
    """Rules in versions that have pages of their own: the newest of each."""
    rule = CampaignRule.objects.select_related("set_by").order_by("-pk").first()
    held = rules.in_force()
    yield {
        "label": _("Rules of planning"),
        "url": reverse("campaign_rules"),
        "value": _(
            "two people from %(kw)s; a minute changes %(here)s at a substation, %(together)s in all;"
            " %(pct)s %% certain, %(asks)s asks in four weeks"
        )
        % {
            "kw": wording.power(held.second_from_w),
            "here": wording.power(held.substation_w_per_minute),
            "together": _("any power")
            if held.portfolio_w_per_minute is None
            else wording.power(held.portfolio_w_per_minute),
            "pct": held.chance_pct,
            "asks": held.most_asks,
        },
        "by": str(rule.set_by or "") if rule else "",
        "at": wording.moment(rule.set_at) if rule else "",
        "why": rule.why if rule else "",
    }
    policy = SharePolicyVersion.objects.select_related("published_by").order_by("-pk").first()
    yield {
        "label": _("Sharing the income"),
        "url": reverse("policy_list"),
        "value": str(policy or _("none published")),
        "by": str(policy.published_by or "") if policy else "",
        "at": wording.moment(policy.effective_from) if policy else "",
        "why": policy.why if policy else "",
    }
    society = Society.objects.select_related("stated_by").order_by("-pk").first()
    yield {
        "label": _("The society"),
        "url": reverse("surplus"),
        "value": str(society or _("not stated")),
        "by": str(society.stated_by or "") if society else "",
        "at": wording.moment(society.stated_at) if society else "",
        "why": "",
    }
    joining = JoiningRules.objects.order_by("-pk").first()
    yield {
        "label": _("Rules of joining"),
        "url": reverse("joining_rules"),
        "value": _("version %(n)s") % {"n": joining.version} if joining else _("what the house comes with"),
        "by": "", "at": "", "why": "",
    }  # fmt: skip
    texts = ConsentText.objects.order_by("-published_at").first()
    yield {
        "label": _("Texts that members agree to"),
        "url": reverse("terms_texts"),
        "value": str(texts or _("none published")),
        "by": "",
        "at": wording.moment(texts.published_at) if texts else "",
        "why": "",
    }
    kept: Sequence[str] = [
        f"{each.get_kind_display()}: {each.keep_days} {_('days')}"
        for each in RetentionRule.objects.order_by("kind")
    ]
    yield {
        "label": _("How long readings are kept"),
        "url": reverse("admin:index"),
        "value": "; ".join(kept) or _("what the house comes with"),
        "by": "", "at": "", "why": "",
    }  # fmt: skip


def _environment() -> Iterator[tuple[str, str]]:
    """What is set where the machine is looked after, and why not here: it names services and their keys."""
    backend = settings.EMAIL_BACKEND.rsplit(".", 1)[0].rsplit(".", 1)[-1]
    host = settings.EMAIL_HOST if backend == "smtp" else _("nowhere: %(how)s") % {"how": backend}
    yield _("Letters leave by"), str(host)
    yield _("Text messages leave by"), str(settings.SMS_PROVIDER)
    yield _("Members reach the site at"), str(settings.SITE_URL)
    yield _("Staff need a second factor"), _("yes") if settings.STAFF_SECOND_FACTOR else _("no")
