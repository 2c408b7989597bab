"""The staff page of one campaign's adjustment windows: whose use before the event was unlike their own."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

import settlement.policy
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from settlement.baselines.gaming import FEWEST_DAYS, THRESHOLD
from settlement.watching import Watch, watch_windows

SHOWN: Final = 50


@require_GET
@signed_in
def windows(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Homes flagged in the run that stands, each with its baseline with the adjustment and without."""
    run = settlement.policy.access_standing_run(request.user, campaign_id)
    watch = watch_windows(run)
    shown, pager = paged(request, watch.flagged if watch else (), size=SHOWN)
    names = settlement.policy.home_names(request.user, [str(each.occupancy_id) for each in shown])
    context = {
        "campaign": run.campaign,
        "when": wording.stretch(run.campaign.starts_at, run.campaign.ends_at),
        "rule": run.rule["title"],
        "summary": _summary(watch),
        "rows": [
            {
                "occupancy_id": each.occupancy_id,
                "home": names[str(each.occupancy_id)],
                "z": f"{each.z:+.1f}",
                "window": wording.kwh(round(each.window_wh)),
                "usual": wording.kwh(round(each.usual_wh)),
                "baseline": wording.kwh(each.baseline_wh),
                "without": wording.kwh(each.unadjusted_wh),
                "difference": wording.kwh(each.baseline_wh - each.unadjusted_wh),
            }
            for each in shown
        ],
        "pager": pager,
    }
    return render(request, "settlement/unusual_windows.html", context)


def _summary(watch: Watch | None) -> str:
    if watch is None:
        return _("The rule of this campaign has no adjustment window, so there is nothing to push.")
    words = ngettext(
        "%(flagged)s of %(known)s home that can be judged is past z = %(threshold)s.",
        "%(flagged)s of %(known)s homes that can be judged are past z = %(threshold)s.",
        watch.known,
    )
    told = words % {
        "flagged": f"{len(watch.flagged):,}",
        "known": f"{watch.known:,}",
        "threshold": f"{THRESHOLD:g}",
    }
    if watch.known == watch.homes:
        return told
    others = ngettext(
        "%(n)s home has fewer than %(days)s like days and is not judged.",
        "%(n)s homes have fewer than %(days)s like days and are not judged.",
        watch.homes - watch.known,
    )
    return f"{told} {others % {'n': f'{watch.homes - watch.known:,}', 'days': FEWEST_DAYS}}"
