"""A partner's tenants: its look, its list of properties, invitations, and tenancies that change.

A partner sees and changes its own look and list; member services those of any. What a tenant decides shows
on neither: the partner learns numbers by the month, from fifteen invitations on.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods

import members.queries
from assets.models import Hub
from assets.photos import MOST_BYTES, PhotoUnusable, made_anew
from members import inviting, tenancies
from members.enquiry_models import Invitation
from members.models import Home
from members.partner_models import Partner
from members.policy import access_partner, own_partner
from metering.aggregates import LEAST_HOMES
from opendsr.kernel import clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date, day_interval
from opendsr.web import letters
from opendsr.web.entering import signed_in
from opendsr.web.guided_forms import DAY
from opendsr.web.join_forms import NO_NUL
from opendsr.web.paging import paged
from opendsr.web.refusals import say_refusal, sentence
from opendsr.web.rows_form import REJECTS_SHOWN, RowsForm, reject_response

SHOWN: Final = 50
LOGO_SIDE: Final = 480


class BrandForm(forms.Form):
    """How the partner looks to its tenants."""

    shown_name = forms.CharField(
        label=_lazy("Name that tenants know"), max_length=60, required=False, validators=[NO_NUL]
    )
    colour = forms.CharField(
        label=_lazy("Colour"), max_length=7, required=False, validators=[NO_NUL],
        help_text=_lazy("Such as #0b6b4f, dark enough for white letters. Empty: the co-op’s own."),
    )  # fmt: skip
    welcome = forms.CharField(
        label=_lazy("A sentence or two of welcome"), max_length=500, required=False, validators=[NO_NUL],
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    logo = forms.FileField(
        label=_lazy("Logo"), required=False,
        help_text=_lazy("PNG, JPEG or WebP, up to 10 MB. It is made anew and smaller."),
    )  # fmt: skip
    drops_logo = forms.BooleanField(label=_lazy("Take the logo away"), required=False)

    def clean_logo(self) -> bytes | None:
        """The logo made anew as a PNG."""
        file = self.cleaned_data.get("logo")
        if not file:
            return None
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_("The logo is larger than 10 MB."))
        try:
            return made_anew(file.read(), longest=LOGO_SIDE, form="PNG").body
        except PhotoUnusable as error:
            raise forms.ValidationError(sentence(error)) from error


class PropertiesForm(RowsForm):
    """Rows of properties, and of tenants to invite."""

    most_megabytes = 1
    rows_help = _lazy(
        "A header, then a row a property: reference, address, postcode and, where known, mpan and email. "
        "An email invites whoever lives there by a link of their own. A known reference is put right."
    )


class TenancyForm(forms.Form):
    """Which tenancy ended, and who comes next."""

    home = forms.ChoiceField(label=_lazy("Home"))
    ended_on = forms.DateField(
        label=_lazy("The day after the last"), widget=DAY,
        help_text=_lazy("Today or a day that has passed."),
    )  # fmt: skip
    new_email = forms.EmailField(
        label=_lazy("Email address of the new tenant"), required=False,
        help_text=_lazy("They are invited; nothing is theirs until they agree to it."),
    )  # fmt: skip

    def __init__(self, partner: Partner, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        links = partner.homes.filter(ends_on__isnull=True).select_related("home").order_by("home__postcode")
        self.homes = {str(link.home_id): link.home for link in links}
        choices = [(key, home.name) for key, home in self.homes.items()]
        self.fields["home"].choices = choices  # type: ignore[attr-defined]

    @property
    def chosen(self) -> Home:
        """The home."""
        return self.homes[self.cleaned_data["home"]]


@require_http_methods(["GET", "POST"])
@signed_in
def partner_brand(request: HttpRequest, partner_id: UUID | None = None) -> HttpResponse:
    """The partner's look, with how tenants see it."""
    partner = _partner(request, partner_id)
    initial = {name: getattr(partner, name) for name in ("shown_name", "colour", "welcome")}
    is_sent = request.method == "POST"
    form = BrandForm(request.POST, request.FILES) if is_sent else BrandForm(initial=initial)
    if is_sent and form.is_valid():
        data = form.cleaned_data
        try:
            tenancies.set_brand(
                partner=partner, shown_name=data["shown_name"], colour=data["colour"],
                welcome=data["welcome"], logo_png=data["logo"], drops_logo=data["drops_logo"],
                at=clock.now(), by=_actor(request, partner_id),
            )  # fmt: skip
        except DomainError as error:
            say_refusal(form, error)
        else:
            messages.success(request, _("Kept. Tenants see it on the pages they come to by your links."))
            return redirect(request.path)
    context = {"form": form, "partner": partner, "is_staff": partner_id is not None}
    return render(request, "members/partner_brand.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def partner_properties(request: HttpRequest, partner_id: UUID | None = None) -> HttpResponse:
    """The list of properties; rows are checked first, then taken, with the invitations in them sent."""
    partner, at = _partner(request, partner_id), clock.now()
    do = request.POST.get("do", "check")
    form = PropertiesForm(request.POST, request.FILES) if request.method == "POST" else PropertiesForm()
    report: tenancies.Listed | None = None
    if form.is_bound and form.is_valid():
        rows = form.cleaned_data["rows"]
        try:
            report = tenancies.list_properties(
                partner=partner, text=rows, by=_actor(request, partner_id), at=at, dry_run=do != "take"
            )
        except DomainError as error:
            form.add_error("rows", sentence(error))
        else:
            if do == "rejects":
                return reject_response(tenancies.reject_file(report), name="refused-properties.csv")
            if do == "take":
                _send_invitations(request, partner, report.invitations)
            form = PropertiesForm(initial={"rows": rows} if do != "take" or report.rejects else {})
    shown, pager = paged(request, partner.properties.order_by("reference"), size=SHOWN, anchor="list")
    sent, joined = tenancies.invited_and_joined(partner, at)
    context = {
        "form": form,
        "partner": partner,
        "is_staff": partner_id is not None,
        "report": report,
        "is_taken": do == "take",
        "rejects": report.rejects[:REJECTS_SHOWN] if report else [],
        "more_rejects": max(0, len(report.rejects) - REJECTS_SHOWN) if report else 0,
        "rows": shown,
        "pager": pager,
        "sent": f"{sent:,}",
        "joined": f"{joined:,}" if sent >= LEAST_HOMES else "",
        "least": LEAST_HOMES,
    }
    return render(request, "members/partner_properties.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def tenancy_change(request: HttpRequest, partner_id: UUID) -> HttpResponse:
    """One tenancy ends and the next may begin: what will happen is shown before it is confirmed."""
    partner, at = access_partner(request.user, partner_id), clock.now()
    sent = request.POST if request.method == "POST" else None
    form = TenancyForm(partner, sent, initial={"ended_on": civil_date(at)})
    effects: list[tuple[str, list[str]]] = []
    if sent is not None and form.is_valid():
        data = form.cleaned_data
        if request.POST.get("do") != "confirm":
            effects = _effects(form, at)
        else:
            ended_on = data["ended_on"]
            try:
                changed = tenancies.change_tenancy(
                    partner=partner, home=form.chosen, by=f"staff:{request.user.pk}", at=at,
                    ended_at=at if ended_on == civil_date(at) else day_interval(ended_on).starts_at,
                    new_email=data["new_email"],
                )  # fmt: skip
            except DomainError as error:
                say_refusal(form, error)
            else:
                if changed.invitation is not None:
                    _send_invitations(request, partner, (changed.invitation,))
                messages.success(request, _("The tenancy has ended; the hub waits for whoever agrees next."))
                return redirect("partner_detail", partner.pk)
    context = {"form": form, "partner": partner, "effects": effects}
    return render(request, "members/tenancy.html", context, status=422 if form.errors else 200)


@require_GET
@cache_control(public=True, max_age=300)
def brand_css(request: HttpRequest, partner_id: UUID) -> HttpResponse:
    """The partner's colour, for the pages its tenants come to."""
    partner = Partner.objects.filter(pk=partner_id).only("colour").first()
    if partner is None or not partner.colour:
        raise Http404
    return HttpResponse(
        f".brand-band {{ background: {partner.colour}; color: #ffffff; border-color: {partner.colour}; }}\n",
        content_type="text/css; charset=utf-8",
    )


@require_GET
@cache_control(public=True, max_age=300)
def brand_logo(request: HttpRequest, partner_id: UUID) -> HttpResponse:
    """The partner's logo, as it was made anew."""
    partner = Partner.objects.filter(pk=partner_id).only("logo").first()
    if partner is None or partner.logo is None:
        raise Http404
    return HttpResponse(bytes(partner.logo), content_type="image/png")


def _effects(form: TenancyForm, at: Any) -> list[tuple[str, list[str]]]:
    home = form.chosen
    stay = members.queries.current_occupancies([home.pk], at).get(home.pk)
    if stay is None:
        return [(_("Who lives there"), [_("Nobody of the co-op lives there, so no tenancy can end.")])]
    consents = members.queries.consents_in_force([stay.pk], at)
    hub = Hub.objects.filter(home=home, state=Hub.State.COMMISSIONED).first()
    return [
        (
            _("Consents"),
            [
                _("All %(n)s that this household gave for the home end.") % {"n": len(consents)},
                _("Nobody’s readings are kept and nothing is controlled until the next household agrees."),
            ],
        ),
        (
            _("Devices"),
            [
                _("Hub %(serial)s stays, with its certificate.") % {"serial": hub.serial}
                if hub
                else _("There is no hub in the home.")
            ],
        ),
        (
            _("Money"),
            [
                _("What this household earned stays theirs and is paid out with the next batch."),
                _("The next household begins with an account and a baseline of its own."),
            ],
        ),
    ]


def _send_invitations(request: HttpRequest, partner: Partner, invitations: tuple[Invitation, ...]) -> None:
    coop = installation.current()
    name = partner.shown_name or partner.name
    subject = _("%(partner)s invites you to %(coop)s") % {"partner": name, "coop": coop.coop_name}
    failed = 0
    for invitation in invitations:
        url = request.build_absolute_uri(reverse("join_by", args=[inviting.token_of(invitation)]))
        context = {"url": url, "coop": coop, "partner": name, "welcome": partner.welcome}
        address = inviting.address_of(invitation)
        failed += not letters.send(address, subject, "join/letters/tenant.txt", context)
    if invitations:
        messages.success(request, _("%(n)s invitations are on their way.") % {"n": len(invitations) - failed})
    if failed:
        messages.warning(request, _("%(n)s could not be sent. Send those rows again later.") % {"n": failed})


def _partner(request: HttpRequest, partner_id: UUID | None) -> Partner:
    return own_partner(request.user) if partner_id is None else access_partner(request.user, partner_id)


def _actor(request: HttpRequest, partner_id: UUID | None) -> str:
    return f"{'partner' if partner_id is None else 'staff'}:{request.user.pk}"
