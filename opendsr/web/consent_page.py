"""Every consent a household ever gave, and what was done under each: asked, sent, kept, settled, counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

import members.policy
import members.queries
from campaigns.models import Campaign, HomePlan, Participation
from members.models import Consent, Member, Purpose, Role
from members.partner_models import PartnerHome
from members.policy import access_member, has_role, require_role
from metering import store
from opendsr.kernel import clock
from opendsr.kernel.periods import civil_date
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from settlement.models import HomeDelivery

SHOWN: Final = 20
NAMED: Final = 5
SEES_CONSENTS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES, Role.AUDITOR)


@require_GET
@signed_in
def my_consents(request: HttpRequest) -> HttpResponse:
    """What my household agreed to, ever, and what came of it."""
    return _page(request, members.policy.household_member(request.user, clock.now()))


@require_GET
@signed_in
def household_consents(request: HttpRequest, number: str) -> HttpResponse:
    """The same of any household, for member services and the auditor."""
    require_role(request.user, *SEES_CONSENTS)
    return _page(request, access_member(request.user, number, clock.now()))


def _page(request: HttpRequest, member: Member) -> HttpResponse:
    consents = Consent.objects.filter(occupancy__household_id=member.household_id)
    consents = consents.select_related("text", "member", "occupancy__home").order_by("-starts_at", "pk")
    shown, pager = paged(request, consents, size=SHOWN)
    context = {
        "member": member,
        "is_self": member.user_id == request.user.pk,
        "consents": [_row(each) for each in shown],
        "pager": pager,
        "may_look_up": has_role(request.user, *SEES_CONSENTS),
    }
    return render(request, "members/consents.html", context)


def _row(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.pk,
        "purpose": consent.get_purpose_display(),
        "detail": consent.get_granularity_display() if consent.granularity != "none" else "",
        "home": consent.occupancy.home.name,
        "by": consent.member.full_name,
        "channel": consent.get_channel_display(),
        "since": wording.day(consent.starts_at, "j F Y"),
        "until": wording.day(consent.ends_at, "j F Y") if consent.ends_at else "",
        "why_ended": consent.get_end_reason_display() if consent.ends_at else "",
        "version": consent.text.version,
        "sha256": consent.text.body_sha256,
        "words": consent.text.body,
        "done": DONE[Purpose(consent.purpose)](consent),
    }


def _within(consent: Consent, field: str) -> Q:
    """What happened while the consent held: [starts_at, ends_at) of the field."""
    held = Q(**{f"{field}__gte": consent.starts_at})
    return held if consent.ends_at is None else held & Q(**{f"{field}__lt": consent.ends_at})


def _sent(consent: Consent) -> list[str]:
    """Events and plans that left for the home's hub under a consent to flexibility."""
    asked = Campaign.objects.filter(
        pk__in=Participation.objects.filter(
            _within(consent, "sent_at"), occupancy=consent.occupancy_id
        ).values("campaign")
    ).order_by("-starts_at", "pk")
    count = asked.count()
    plans = HomePlan.objects.filter(_within(consent, "sent_at"), occupancy=consent.occupancy_id).count()
    told = []
    if count:
        newest = ", ".join(f"{each.name} ({wording.day(each.starts_at, 'j M Y')})" for each in asked[:NAMED])
        words = ngettext(
            "%(n)s event was sent to your hub: %(newest)s",
            "%(n)s events were sent to your hub, the newest: %(newest)s",
            count,
        )
        told.append(words % {"n": count, "newest": newest})
    if plans:
        told.append(
            ngettext("%(n)s night was planned for you.", "%(n)s nights were planned for you.", plans)
            % {"n": plans}
        )
    return told


def _settled(consent: Consent) -> list[str]:
    """Readings kept from these days, and events that were settled by them."""
    told = _kept(consent)
    lines = HomeDelivery.objects.filter(
        _within(consent, "run__campaign__starts_at"), occupancy=consent.occupancy_id
    )
    count = lines.values("run__campaign").distinct().count()
    if count:
        told.append(
            ngettext("%(n)s event was settled by them.", "%(n)s events were settled by them.", count)
            % {"n": count}
        )
    return told


def _kept(consent: Consent) -> list[str]:
    """From which to which day readings are kept; nothing is kept that no consent covers."""
    streams = list(consent.occupancy.streams.values_list("stream_id", flat=True))
    span = store.day_span(streams) if streams else None
    if span is None:
        return []
    first = max(span[0], civil_date(consent.starts_at))
    last = span[1] if consent.ends_at is None else min(span[1], civil_date(consent.ends_at))
    if first > last:
        return []
    days = {"first": wording.civil_day(first), "last": wording.civil_day(last)}
    return [_("Readings are kept from %(first)s to %(last)s.") % days]


def _counted(consent: Consent) -> list[str]:
    """For whose totals the home may be counted."""
    first = civil_date(consent.starts_at)
    links = PartnerHome.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=first), home=consent.occupancy.home_id
    )
    if consent.ends_at is not None:
        links = links.filter(starts_on__lte=civil_date(consent.ends_at))
    return [
        _("Counted in totals over 15 homes or more for %(partner)s.") % {"partner": link.partner.name}
        for link in links.select_related("partner").order_by("starts_on")
    ]


DONE: Final[Mapping[Purpose, Callable[[Consent], list[str]]]] = {
    Purpose.FLEXIBILITY: _sent,
    Purpose.SETTLEMENT: _settled,
    Purpose.ADVICE: _kept,
    Purpose.PARTNER_TOTALS: _counted,
}
