"""A campaign's life in one table: which verb leads from which state to which, and what is already done.

Every service of this room that changes a campaign begins and finishes here. `begin` holds the campaign's row
lock until the transaction ends, so of two people who press the same button one does it and the other finds
it done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from campaigns.models import Campaign
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound

if TYPE_CHECKING:
    from members.models import User

State = Campaign.State


class Verb(StrEnum):
    """What can be done to a campaign."""

    PLAN = "plan"
    APPROVE = "approve"
    DISPATCH = "dispatch"
    COMPLETE = "complete"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Transition:
    """`verb` leads from any state in `sources` to `target`; in a state of `done` it has happened already."""

    sources: frozenset[State]
    target: State
    stamp: str
    done: frozenset[State] = frozenset()


TRANSITIONS: Final[Mapping[Verb, Transition]] = {
    Verb.PLAN: Transition(frozenset({State.DRAFT, State.PLANNED}), State.PLANNED, "planned_at"),
    Verb.APPROVE: Transition(
        frozenset({State.PLANNED}),
        State.APPROVED,
        "approved_at",
        done=frozenset({State.APPROVED, State.DISPATCHED}),
    ),
    Verb.DISPATCH: Transition(
        frozenset({State.APPROVED}), State.DISPATCHED, "dispatched_at", done=frozenset({State.DISPATCHED})
    ),
    Verb.COMPLETE: Transition(
        frozenset({State.APPROVED, State.DISPATCHED}),
        State.COMPLETED,
        "completed_at",
        done=frozenset({State.COMPLETED}),
    ),
    Verb.CANCEL: Transition(
        frozenset({State.DRAFT, State.PLANNED, State.APPROVED, State.DISPATCHED}),
        State.CANCELLED,
        "cancelled_at",
        done=frozenset({State.CANCELLED}),
    ),
}


class CampaignNotFound(NotFound):
    """There is no such campaign."""

    campaign_id: UUID


class WrongState(DomainError):
    """The campaign's state does not allow the verb; `possible` says what can be done now."""

    campaign_id: UUID
    verb: str
    state: str
    possible: list[str]


class CampaignEnded(DomainError):
    """The campaign's time is over, so there is nothing left to change."""

    campaign_id: UUID
    ends_at: datetime


def possible_verbs(campaign: Campaign) -> list[Verb]:
    """What can be done to the campaign in its state, in the order of its life."""
    return [verb for verb, transition in TRANSITIONS.items() if campaign.state in transition.sources]


def lock_campaign(campaign_id: UUID) -> Campaign:
    """The campaign under its row lock, with its programme; raises CampaignNotFound."""
    found = (
        Campaign.objects.select_for_update(of=("self",))
        .select_related("programme")
        .filter(pk=campaign_id)
        .first()
    )
    if found is None:
        raise CampaignNotFound(campaign_id=campaign_id)
    return found


def begin(campaign_id: UUID, verb: Verb) -> tuple[Campaign, bool]:
    """Lock the campaign for the verb: (campaign, True) to go on, (campaign, False) when it is done already.

    Raises WrongState in any other state. Inside a transaction only.
    """
    campaign = lock_campaign(campaign_id)
    transition = TRANSITIONS[verb]
    if campaign.state in transition.sources:
        return campaign, True
    if campaign.state in transition.done:
        return campaign, False
    raise WrongState(
        campaign_id=campaign.pk,
        verb=verb.value,
        state=campaign.state,
        possible=[each.value for each in possible_verbs(campaign)],
    )


def finish(
    campaign: Campaign,
    verb: Verb,
    *,
    at: datetime,
    by: User | None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write the verb's new state and time, and one line of the campaign's log."""
    transition = TRANSITIONS[verb]
    campaign.state = transition.target
    setattr(campaign, transition.stamp, at)
    changed = ["state", transition.stamp]
    if verb is Verb.APPROVE:
        campaign.approved_by = by
        changed.append("approved_by")
    campaign.save(update_fields=changed)
    note(campaign.pk, f"campaign.{transition.target.value}", at=at, by=by, detail=detail)


def note(
    campaign_id: UUID, verb: str, *, at: datetime, by: User | None, detail: Mapping[str, object] | None = None
) -> None:
    """Append to the campaign's log, which is the audit trail's part about it."""
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by is not None else "system",
        verb=verb,
        target=f"campaign:{campaign_id}",
        detail=detail or {},
    )


def ensure_running(campaign: Campaign, *, at: datetime) -> None:
    """Raise CampaignEnded when the campaign's time is over at `at`."""
    if at >= campaign.ends_at:
        raise CampaignEnded(campaign_id=campaign.pk, ends_at=campaign.ends_at)
