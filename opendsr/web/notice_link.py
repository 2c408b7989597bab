"""The page behind a link in a letter: it shows what a press would do; the press does it, signed in or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from campaigns import opting
from campaigns.models import Campaign
from notices import choosing, facts, links
from notices.kinds import Channel, NoticeClass
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.refusals import sentence


@dataclass(frozen=True, slots=True)
class Press:
    """What the page says before and after, and what is on the button."""

    title: str
    words: str
    label: str
    done: str


@require_http_methods(["GET", "HEAD", "POST"])
def notice_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button, or act on it. A link that means nothing is 404, one whose time is over 410."""
    at = clock.now()
    try:
        tap = links.read(token, at=at)
    except (links.LinkUnknown, links.LinkExpired) as error:
        response = render(request, "notices/link.html", {"over": error.code}, status=error.status)
    else:
        press = _skip_press(tap) if tap.action == links.SKIP else _stop_press(tap)
        problem = _act(tap, at) if request.method == "POST" else ""
        context = {"press": press, "is_done": request.method == "POST" and not problem, "problem": problem}
        response = render(request, "notices/link.html", context, status=409 if problem else 200)
    add_never_cache_headers(response)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _act(tap: links.OneTap, at: datetime) -> str:
    """Do what the link is for; returns why not, or ""."""
    try:
        if tap.action == links.SKIP:
            told = facts.of(tap.notice)
            answered = opting.skip_home(
                campaign_id=UUID(str(told["campaign_id"])),
                occupancy_id=UUID(str(told["occupancy_id"])),
                at=at,
                by=None,
                reason="link in a notice",
            )
            if not answered:
                return _("That event is over or was called off, so there is nothing to answer any more.")
        else:
            wanted = {(NoticeClass(tap.notice.notice_class), Channel(tap.notice.channel)): False}
            choosing.choose(member=tap.notice.member, wanted=wanted, at=at, how="link")
    except DomainError as error:
        return sentence(error)
    return ""


def _skip_press(tap: links.OneTap) -> Press:
    campaign = Campaign.objects.filter(pk=tap.notice.about).first() if tap.notice.about else None
    when = wording.stretch(campaign.starts_at, campaign.ends_at) if campaign else ""
    return Press(
        title=_("Skip this event?"),
        words=_("%(name)s: %(when)s. Your home is left out of it; others take part as planned.")
        % {"name": campaign.name if campaign else "", "when": when},
        label=_("Skip this event"),
        done=_("You are out of this event. On your home page you can take part after all."),
    )


def _stop_press(tap: links.OneTap) -> Press:
    what = {
        "what": NoticeClass(tap.notice.notice_class).label,
        "how": str(Channel(tap.notice.channel).label).lower(),
    }
    return Press(
        title=_("No more of these?"),
        words=_("“%(what)s” is not sent to you by %(how)s any more. What concerns safety always is.") % what,
        label=_("Send no more of these"),
        done=_("Done: no more of these. You can choose again on your page of notices."),
    )
