"""A member's own programs and calendar: personal tokens made and revoked; and the feed of events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import icalendar
from django import forms
from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import campaigns.queries
import members.policy
import members.queries
from campaigns.models import Campaign, Participation
from members import tokens
from members.models import Member
from members.token_models import PersonalToken
from opendsr.kernel import clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from opendsr.web import member_home, wording
from opendsr.web.entering import signed_in
from opendsr.web.join_forms import NO_NUL
from opendsr.web.refusals import say_refusal

PAST_SHOWN: Final = timedelta(days=60)
REFRESH: Final = timedelta(hours=1)
STATUS: Final = {True: "CONFIRMED", False: "CANCELLED"}


class TokenForm(forms.Form):
    """One more token; sent twice, by its `key`, the form makes one."""

    key = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=new_uuid)
    name = forms.CharField(
        label=_lazy("What it is for"), max_length=60, validators=[NO_NUL],
        help_text=_lazy("Such as “calendar on my phone”."),
    )  # fmt: skip
    scope = forms.ChoiceField(
        label=_lazy("What it may do"),
        choices=(
            (PersonalToken.Scope.CALENDAR, _lazy("show my events in a calendar")),
            (PersonalToken.Scope.READ, _lazy("see what I see here")),
            (PersonalToken.Scope.ACT, _lazy("see it, answer events and change my wishes")),
        ),
    )
    days = forms.IntegerField(
        label=_lazy("Days until it ends"), required=False, min_value=1, max_value=tokens.LONGEST_DAYS,
        help_text=_lazy("Empty: until you revoke it."),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@signed_in
def my_apps(request: HttpRequest) -> HttpResponse:
    """The member's keys, and a form for one more; its secret is shown to that form alone."""
    member, at, wall = _own(request), clock.now(), clock.wall_now()
    form = TokenForm(request.POST if request.method == "POST" else None)
    made: tokens.NewToken | None = None
    if request.method == "POST" and form.is_valid():
        try:
            made = tokens.make_token(**form.cleaned_data, member=member, at=at, wall=wall, by=_by(member))
            form = TokenForm()
        except DomainError as error:
            say_refusal(form, error)
    context = {
        "form": form,
        "made": made,
        "address": _address(request, made) if made else "",
        "docs": request.build_absolute_uri(reverse("member_api:schema")),
        "tokens": [_row(each) for each in tokens.live_tokens(member)],
    }
    return render(request, "members/my_apps.html", context, status=422 if form.errors else 200)


@require_POST
@signed_in
def revoke(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End a key, from the next request on."""
    member = _own(request)
    row = tokens.revoke_token(
        member=member, token_id=token_id, at=clock.now(), wall=clock.wall_now(), by=_by(member)
    )
    messages.success(request, _("Revoked: “%(name)s” sees nothing any more.") % {"name": row.name})
    return redirect("my_apps")


@require_GET
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    """The events of the member whose key it is, as iCalendar; nothing for a key that is not good."""
    at = clock.now()
    held = tokens.holder_of(token, scopes=(PersonalToken.Scope.CALENDAR,), at=at, wall=clock.wall_now())
    if held is None:
        return HttpResponse(_("This calendar is no longer shared."), status=404, content_type="text/plain")
    member, _row_of = held
    stays = member_home.stays_of(member, at)
    feed = icalendar.Calendar()
    coop = installation.current().coop_name
    feed.add("prodid", "-//OpenDSR//events//EN")
    feed.add("version", "2.0")
    feed.add("x-wr-calname", coop)
    feed.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    home = request.build_absolute_uri(reverse("home"))
    ids = [each.pk for each in stays]
    past = campaigns.queries.past_participations(ids, at).filter(starts_at__gte=at - PAST_SHOWN)
    coming = campaigns.queries.upcoming_participations(ids, at)
    named = {each.pk: each.home.name for each in stays} if len(stays) > 1 else {}
    answered = {"answers": Count("opts"), "answered_at": Max("opts__received_at")}
    for parts in _grouped([*past.annotate(**answered), *coming.annotate(**answered)]):
        feed.add_component(_event(parts, named.get(parts[0].occupancy_id, ""), home))
    answer = HttpResponse(feed.to_ical(), content_type="text/calendar; charset=utf-8")
    answer["Cache-Control"] = "no-store, private"
    answer["Content-Disposition"] = 'inline; filename="events.ics"'
    return answer


def _grouped(parts: list[Any]) -> list[list[Any]]:
    """Parts of one campaign in one home together, in order of time."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for part in sorted(parts, key=lambda part: (part.campaign.starts_at, str(part.pk))):
        found.setdefault((part.campaign_id, part.occupancy_id), []).append(part)
    return list(found.values())


def _event(parts: list[Any], home_name: str, url: str) -> icalendar.Event:
    """One event of a home; every answer and a cancellation make it newer, as calendars go by it."""
    campaign: Campaign = parts[0].campaign
    is_on = campaign.state != Campaign.State.CANCELLED and any(
        part.state not in (*member_home.OUT, Participation.State.CANCELLED) for part in parts
    )
    event = icalendar.Event()
    event.add("uid", f"{campaign.pk}-{parts[0].occupancy_id}@opendsr")
    changes = [campaign.created_at, campaign.cancelled_at, *(part.answered_at for part in parts)]
    event.add("dtstamp", max(filter(None, changes)))
    event.add("sequence", sum(part.answers for part in parts) + (campaign.cancelled_at is not None))
    event.add("dtstart", campaign.starts_at)
    event.add("dtend", campaign.ends_at)
    event.add("summary", f"{campaign.name} ({home_name})" if home_name else campaign.name)
    words = [campaign.reason, ", ".join(part.asset.name for part in parts)]
    event.add("description", "\n".join(filter(None, words)))
    event.add("status", STATUS[is_on])
    event.add("transp", "TRANSPARENT")
    event.add("url", url)
    return event


def _address(request: HttpRequest, made: tokens.NewToken) -> str:
    """What to give to the calendar or program: an address for a calendar, the API's for a program."""
    if made.row.scope == PersonalToken.Scope.CALENDAR:
        return request.build_absolute_uri(reverse("calendar", args=[made.secret]))
    return request.build_absolute_uri(reverse("member_api:me"))


def _row(token: PersonalToken) -> dict[str, object]:
    used, ends = token.last_used_wall_at, token.expires_wall_at
    return {
        "id": token.pk,
        "name": token.name,
        "may": token.get_scope_display(),
        "made": wording.day(token.created_wall_at, "j F Y"),
        "used": wording.moment(used) if used else _("never"),
        "ends": wording.day(ends, "j F Y") if ends else "",
        "is_over": ends is not None and ends <= clock.wall_now(),
    }


def _own(request: HttpRequest) -> Member:
    member = members.queries.member_of(request.user)
    if member is None or not member.is_current(clock.now()):
        raise members.policy.MemberNotFound(number="")
    return member


def _by(member: Member) -> str:
    return f"member:{member.number}"
