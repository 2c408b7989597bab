"""The first page of staff: what runs now, what waits for them, and what is not as it should be.

Each line is one count, shown to whoever works with it and only when there is something; the whole page costs
the same few statements however large the co-op is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

import campaigns.queries
import notices.queries
import settlement.queries
from assets.job_models import InstallJob
from assets.models import Hub, Rollout
from assets.policy import ARRANGES_VISITS, DEVICE_STAFF, MANAGES_DEVICES
from campaigns import freezing
from campaigns.models import Campaign
from campaigns.policy import RUNS_CAMPAIGNS, SEES_CAMPAIGNS
from members import asking
from members.enquiry_models import Application
from members.models import Role
from members.policy import ANSWERS_RIGHTS, DECIDES_ENQUIRIES, has_role, require_role
from metering.models import Completeness
from metering.policy import SEES_HEALTH
from notices.policy import RESENDS_NOTICES
from opendsr.kernel import clock
from opendsr.kernel.periods import civil_date, day_interval
from opendsr.web import campaign_page, wording
from opendsr.web.entering import signed_in
from settlement.models import Dispute, PaymentBatch
from settlement.policy import MAY_SETTLE
from vtn import desk
from vtn.models import Ven

RUNNING_SHOWN: Final = 10
SOON: Final = timedelta(days=2)
GOOD_COMPLETENESS_PERCENT: Final = 95


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to know, with the page where it is dealt with; `tag` is its colour."""

    words: str
    url: str
    tag: str = ""
    more: str = ""


Lines = Callable[[datetime], Iterator[Line]]


@require_GET
@signed_in
def today(request: HttpRequest) -> HttpResponse:
    """What runs, what waits, what is wrong: each only for those who deal with it."""
    require_role(request.user, *SEES_CAMPAIGNS)
    at = clock.now()
    freeze = freezing.current()
    context = {
        "day": wording.day(at),
        "running": _running(at),
        "waiting": [line for roles, lines in WAITING if has_role(request.user, *roles) for line in lines(at)],
        "wrong": [line for roles, lines in WRONG if has_role(request.user, *roles) for line in lines(at)],
        "freeze": freeze,
        "frozen_since": wording.moment(freeze.frozen_at) if freeze else "",
        "may_create": has_role(request.user, *RUNS_CAMPAIGNS),
    }
    return render(request, "web/today.html", context)


def _running(at: datetime) -> list[dict[str, str]]:
    """Campaigns that run now or begin within two days, the soonest first."""
    live = (Campaign.State.APPROVED, Campaign.State.DISPATCHED)
    rows = Campaign.objects.filter(state__in=live, ends_at__gt=at, starts_at__lt=at + SOON)
    shown = rows.order_by("starts_at", "pk")[:RUNNING_SHOWN]
    held = campaigns.queries.held_by(shown, at=at)
    return [
        {
            "url": reverse("campaign_detail", args=[row.pk]),
            "name": row.name,
            "when": wording.stretch(row.starts_at, row.ends_at, form=wording.SHORT_DAY),
            "where": campaign_page.where(row),
            "size": wording.kw(held[row.pk].expected_w),
            "homes": f"{held[row.pk].homes:,}",
            "out": f"{held[row.pk].opted_out:,}",
            "state": _("running now") if row.starts_at <= at else wording.state(row.state),
            "tag": "good" if row.starts_at <= at else wording.tag(row.state),
        }
        for row in shown
    ]


def _campaigns_to_approve(at: datetime) -> Iterator[Line]:
    count = Campaign.objects.filter(state=Campaign.State.PLANNED, starts_at__gt=at).count()
    if count:
        words = ngettext("%(n)s campaign is not approved yet", "%(n)s campaigns are not approved yet", count)
        yield Line(_n(words, count), f"{reverse('campaign_list')}?state={Campaign.State.PLANNED}", "warn")


def _campaigns_to_settle(at: datetime) -> Iterator[Line]:
    count = settlement.queries.unsettled_campaigns().count()
    if count:
        words = ngettext("%(n)s campaign is not settled", "%(n)s campaigns are not settled", count)
        yield Line(_n(words, count), f"{reverse('campaign_list')}?state={Campaign.State.COMPLETED}")


def _enquiries(at: datetime) -> Iterator[Line]:
    found = Application.objects.filter(state=Application.State.SUBMITTED).aggregate(
        count=Count("pk"), first=Min("since")
    )
    if found["count"]:
        days = (at - found["first"]).days
        words = ngettext(
            "%(n)s enquiry waits for a decision", "%(n)s enquiries wait for a decision", found["count"]
        )
        yield Line(
            _n(words, found["count"]), reverse("funnel"), "warn" if days >= 3 else "", _days_waited(days)
        )


def _requests(at: datetime) -> Iterator[Line]:
    found = asking.open_requests().aggregate(
        count=Count("pk"), overdue=Count("pk", filter=Q(due_at__lt=at)), due=Min("due_at")
    )
    if found["overdue"]:
        words = ngettext(
            "%(n)s request or complaint is overdue",
            "%(n)s requests or complaints are overdue",
            found["overdue"],
        )
        yield Line(_n(words, found["overdue"]), reverse("rights_list"), "bad")
    elif found["count"]:
        words = ngettext(
            "%(n)s request or complaint waits for an answer",
            "%(n)s requests or complaints wait for an answer",
            found["count"],
        )
        due = _("the first is due on %(day)s") % {"day": wording.day(found["due"], "j F")}
        yield Line(_n(words, found["count"]), reverse("rights_list"), more=due)


def _visits(at: datetime) -> Iterator[Line]:
    day = day_interval(civil_date(at))
    is_today = Q(scheduled_at__gte=day.starts_at, scheduled_at__lt=day.ends_at)
    found = InstallJob.objects.aggregate(
        today=Count("pk", filter=is_today & Q(state=InstallJob.State.SCHEDULED)),
        planned=Count("pk", filter=Q(state__in=(InstallJob.State.PLANNED, InstallJob.State.SURVEYED))),
    )
    if found["today"]:
        words = ngettext("%(n)s visit today", "%(n)s visits today", found["today"])
        yield Line(_n(words, found["today"]), reverse("visit_list"), "info")
    if found["planned"]:
        words = ngettext("%(n)s visit has no date yet", "%(n)s visits have no date yet", found["planned"])
        yield Line(_n(words, found["planned"]), reverse("visit_list"))


def _batches(at: datetime) -> Iterator[Line]:
    count = PaymentBatch.objects.filter(decision__isnull=True).count()
    if count:
        words = ngettext(
            "%(n)s payment batch waits for a second person", "%(n)s payment batches wait for a second person",
            count,
        )  # fmt: skip
        yield Line(_n(words, count), reverse("payment_list"), "warn")


def _disputes(at: datetime) -> Iterator[Line]:
    count = Dispute.objects.filter(outcome__isnull=True).count()
    if count:
        words = ngettext("%(n)s dispute with a buyer is open", "%(n)s disputes with buyers are open", count)
        yield Line(_n(words, count), reverse("dispute_list"), "warn")


def _silent_hubs(at: datetime) -> Iterator[Line]:
    in_use = Hub.objects.filter(state=Hub.State.COMMISSIONED, ven_id__isnull=False).values("ven_id")
    since = desk.online_since(clock.wall_now())
    silent = Ven.objects.filter(ven_id__in=in_use).filter(
        Q(last_seen_wall_at__lt=since) | Q(last_seen_wall_at=None)
    )
    count = silent.count()
    if count:
        words = ngettext("%(n)s hub is silent", "%(n)s hubs are silent", count)
        yield Line(_n(words, count), f"{reverse('vtn:ven_list')}?state=silent&order=silent", "warn")


def _faulty(at: datetime) -> Iterator[Line]:
    count = Rollout.objects.filter(state=Rollout.State.HALTED).count()
    if count:
        words = ngettext("%(n)s update is halted", "%(n)s updates are halted", count)
        yield Line(_n(words, count), reverse("update_list"), "bad")


def _late_data(at: datetime) -> Iterator[Line]:
    newest = Completeness.objects.order_by("-day").first()
    if newest is None or not newest.expected:
        return
    there = newest.by_d1 if newest.by_d3 is None else newest.by_d3
    percent = 100 * there // newest.expected
    if percent < GOOD_COMPLETENESS_PERCENT:
        told = {"percent": percent, "day": wording.civil_day(newest.day)}
        words = _("%(percent)s %% of the readings of %(day)s are there") % told
        yield Line(words, reverse("data_health"), "warn")


def _notices(at: datetime) -> Iterator[Line]:
    count = notices.queries.not_arrived_count(at=at)
    if count:
        words = ngettext("%(n)s notice did not arrive", "%(n)s notices did not arrive", count)
        yield Line(_n(words, count), f"{reverse('notice_log')}?state=not_arrived", "warn")


WAITING: Final[tuple[tuple[tuple[Role, ...], Lines], ...]] = (
    (RUNS_CAMPAIGNS, _campaigns_to_approve),
    (MAY_SETTLE, _campaigns_to_settle),
    (MAY_SETTLE, _batches),
    (MAY_SETTLE, _disputes),
    (ANSWERS_RIGHTS, _requests),
    (DECIDES_ENQUIRIES, _enquiries),
    (ARRANGES_VISITS, _visits),
)
"""Who deals with it, and what waits."""
WRONG: Final[tuple[tuple[tuple[Role, ...], Lines], ...]] = (
    (DEVICE_STAFF, _silent_hubs),
    (MANAGES_DEVICES, _faulty),
    (SEES_HEALTH, _late_data),
    (RESENDS_NOTICES, _notices),
)
"""Who looks after it, and what is not as it should be."""


def _n(words: str, count: int) -> str:
    return words % {"n": f"{count:,}"}


def _days_waited(days: int) -> str:
    if not days:
        return _("since today")
    return ngettext("the first for %(n)s day", "the first for %(n)s days", days) % {"n": days}
