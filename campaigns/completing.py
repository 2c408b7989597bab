"""Completing: when a campaign's time is over, whatever is known by then is written down.

Run by the outbox consumer of `campaigns.campaign.ended`, due at the campaign's end. What meters show comes
later, through `outcomes.record_outcomes`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from campaigns import life
from campaigns.life import Verb
from campaigns.models import Campaign, Participation, PlanLine
from campaigns.outcomes import note_device_errors, outcome_of
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError

COMPLETED: Final = "campaigns.campaign.completed"
State = Participation.State


class StillRunning(DomainError):
    """The campaign's time is not over."""

    campaign_id: UUID
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Completion:
    """Assets by outcome; "" took part and waits for its meter. `is_new` False: completed before."""

    campaign_id: UUID
    outcomes: Mapping[str, int]
    is_new: bool


@transaction.atomic
def complete_campaign(*, campaign_id: UUID, at: datetime) -> Completion:
    """Close the campaign at or after its end; what was never sent is cancelled. StillRunning before."""
    campaign, is_new = life.begin(campaign_id, Verb.COMPLETE)
    if is_new and at < campaign.ends_at:
        raise StillRunning(campaign_id=campaign.pk, ends_at=campaign.ends_at)
    if is_new:
        _close(campaign)
    outcomes = Counter(campaign.participations.values_list("outcome", flat=True))
    if is_new:
        life.finish(campaign, Verb.COMPLETE, at=at, by=None, detail={"outcomes": dict(outcomes)})
        outbox.record(COMPLETED, at=at, key=str(campaign.pk), campaign_id=campaign.pk)
    return Completion(campaign_id=campaign.pk, outcomes=dict(outcomes), is_new=is_new)


def _close(campaign: Campaign) -> None:
    parts = campaign.participations
    list(parts.select_for_update().order_by("id").values_list("id"))
    parts.filter(state=State.PLANNED).update(state=State.CANCELLED, left_out=PlanLine.LeftOut.TOO_LATE)
    by_state: dict[str, list[UUID]] = defaultdict(list)
    for part_id, state in parts.values_list("id", "state"):
        by_state[state].append(part_id)
    for state, part_ids in sorted(by_state.items()):
        outcome = outcome_of(
            state=state, measured_pct=None, delivered_from_pct=campaign.programme.delivered_from_pct
        )
        Participation.objects.filter(pk__in=part_ids).update(outcome=outcome)
    note_device_errors(campaign)
