"""What this house tells the VTN, which knows no members: whose hub may be sent an event by hand.

A hub in a home is sent nothing that its household has not agreed to, not even a test; a
hub that is in no home, on a bench, may be sent anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from assets.models import Hub
from campaigns import eligibility
from campaigns.models import PlanLine, Programme
from opendsr.kernel.interval import Interval


def refused_hubs(
    ven_ids: Sequence[str], *, is_test: bool, interval: Interval, at: datetime
) -> dict[str, str]:
    """Return the VENs that may not be sent an event over the interval, with the reason.

    The same rules that campaigns keep: a household, its consent, no standing opt-out.
    """
    hubs = Hub.objects.filter(ven_id__in=ven_ids).values_list("ven_id", "home_id", "state")
    homes = list(hubs)
    told = eligibility.standing({home_id for _, home_id, _ in homes}, interval, at=at)
    refused = {}
    for ven_id, home_id, state in sorted(homes):
        reason = eligibility.home_reason(home_id=home_id, hub_state=state, ven_id=ven_id, told=told)
        if not reason and told.limits_at(home_id) != eligibility.NO_LIMITS:
            reason = PlanLine.LeftOut.OWN_LIMITS  # an event made by hand knows nothing of them
        if reason:
            refused[str(ven_id)] = str(PlanLine.LeftOut(reason).label)
    return refused


def programmes_by_context() -> dict[str, str]:
    """Return the names of the programmes that run in each market context, by its URI."""
    found: dict[str, list[str]] = {}
    for uri, name in Programme.objects.order_by("name").values_list("market_context", "name"):
        found.setdefault(uri, []).append(name)
    return {uri: ", ".join(names) for uri, names in found.items()}
