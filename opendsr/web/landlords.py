"""A member's answer to its landlord: to be counted in totals over many homes, or not; by default not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

import members.policy
import members.queries
from members import consenting
from members.models import Channel, Granularity, Occupancy, Purpose
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.refusals import sentence


def landlords_of(stays: Sequence[Occupancy], at: datetime) -> list[dict[str, Any]]:
    """For each home that a partner has now: whose it is, the words to agree to, and what was answered."""
    linked = members.queries.partners_of_homes([stay.home_id for stay in stays], civil_date(at))
    words = consenting.newest_text(Purpose.PARTNER_TOTALS, at) if linked else None
    if words is None:
        return []
    agreed = {
        consent.occupancy_id: consent
        for consent in members.queries.consents_in_force([stay.pk for stay in stays], at)
        if consent.purpose == Purpose.PARTNER_TOTALS
    }
    return [
        {
            "occupancy_id": stay.pk,
            "partner": linked[stay.home_id].name,
            "home": stay.home.name if len(stays) > 1 else "",
            "words": words.body,
            "since": wording.day(agreed[stay.pk].starts_at, "j F Y") if stay.pk in agreed else "",
        }
        for stay in stays
        if stay.home_id in linked
    ]


@require_POST
@signed_in
def answer_landlord(request: HttpRequest, occupancy_id: UUID) -> HttpResponse:
    """Agree to be counted for the home's landlord, or take that back; pressed again, nothing changes."""
    at = clock.now()
    member = members.queries.member_of(request.user)
    stay = members.policy.access_occupancy(request.user, occupancy_id, at)
    if member is None or stay.household_id != member.household_id:
        raise Http404
    agreed = [
        consent
        for consent in members.queries.consents_in_force([stay.pk], at)
        if consent.purpose == Purpose.PARTNER_TOTALS
    ]
    try:
        if request.POST.get("answer") == "withdraw":
            for consent in agreed:
                consenting.withdraw_consent(consent_id=consent.pk, member=member, at=at)
            messages.success(request, _("Your home is not counted any more, from this month on."))
        else:
            if not agreed:
                consenting.give_consent(
                    member=member,
                    occupancy=stay,
                    purpose=Purpose.PARTNER_TOTALS,
                    granularity=Granularity.DAILY,
                    channel=Channel.WEB,
                    at=at,
                )
            messages.success(request, _("Thank you. Your home is counted from the next month on."))
    except DomainError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise
        messages.error(request, sentence(error))
    return redirect("usage")
