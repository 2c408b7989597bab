"""Monitoring: what comes back from the VTN while a campaign runs, laid on its participations.

Called by the outbox consumers of `vtn.event.delivered`, `vtn.opt.received`, their like for many VENs
together, and `vtn.opt.received_for_resources`. News may come late, twice and out of order.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from campaigns import opting
from campaigns.models import OptRecord, Participation
from campaigns.stance import OVERRIDE_REASON

State = Participation.State
UNDECIDED: Final = "none"


@transaction.atomic
def receive_delivery(*, event_id: str, at: datetime) -> int:
    """The hub fetched its event at `at`; how many participations learned it."""
    return receive_deliveries(event_ids=[event_id], at=at)


@transaction.atomic
def receive_deliveries(*, event_ids: Collection[str], at: datetime) -> int:
    """Many hubs fetched their events at `at`; how many participations learned it."""
    parts = Participation.objects.filter(vtn_event_id__in=event_ids, dropped_at=None).exclude(
        state=State.CANCELLED
    )
    list(parts.select_for_update().order_by("id").values_list("id"))
    parts.filter(state=State.SENT).update(state=State.DELIVERED_TO_HUB)
    return parts.update(delivered_at=Coalesce(F("delivered_at"), at))


def lock_hubs(event_ids: Collection[str]) -> None:
    """Lock all that the events' hubs have in their campaigns, in id order, as dispatching does.

    Inside the caller's transaction, before many answers are taken in it: locked hub by hub they would cross
    with a cancellation.
    """
    meant = Participation.objects.filter(vtn_event_id__in=event_ids)
    hubs = set(meant.values_list("campaign_id", "ven_id"))
    parts = Participation.objects.filter(
        campaign__in={campaign for campaign, _ in hubs}, ven_id__in={ven for _, ven in hubs}
    )
    list(parts.select_for_update(of=("self",)).order_by("id").values_list("id"))


@transaction.atomic
def receive_opt(
    *,
    event_id: str,
    opt: str,
    reason: str,
    sequence: int,
    received_at: datetime,
    resource_ids: Collection[str] = (),
    resources_apart: Collection[str] = (),
) -> int:
    """The hub answered its event, or changed its answer; how many participations it concerns.

    With `resource_ids` it spoke for those assets alone; what it says of the event as a whole leaves
    `resources_apart` as they are. An event that is not a campaign's concerns none. "none" says that the hub
    has it and has not decided.
    """
    if opt == UNDECIDED:
        return receive_delivery(event_id=event_id, at=received_at)
    is_button = opt == OptRecord.Opt.OUT and reason == OVERRIDE_REASON
    meant = Participation.objects.filter(vtn_event_id=event_id).exclude(
        asset__resource_id__in=resources_apart
    )
    if resource_ids:
        meant = meant.filter(asset__resource_id__in=resource_ids)
    parts = list(meant.order_by("id"))
    for part in parts:
        opting.record_opt(
            participation=part,
            opt=opt,
            source=OptRecord.Source.MEMBER_BUTTON if is_button else OptRecord.Source.HUB,
            at=received_at,
            reason=reason,
            vtn_sequence=sequence,
        )
    return len(parts)
