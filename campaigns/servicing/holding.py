"""Holding: staff end a campaign that a cap asked, and say for how long the cap asks nobody instead.

A hold is a stop of the house's own among the contract's signals, so the operator's page has it in its place;
the newest one for the cap's kind decides. Without one the cap would ask again the next minute.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import transaction

from campaigns import cancelling, life, stopping
from campaigns.models import Campaign, ServicingContract, ServicingSignal
from campaigns.servicing import running
from campaigns.servicing.port import Ask
from opendsr.kernel import clock
from opendsr.kernel.errors import Invalid, NotFound
from opendsr.kernel.ids import new_uuid

if TYPE_CHECKING:
    from members.models import User

HELD: Final = "held_by_staff"
"""Why a cap is not met meanwhile, as its operator is told."""
UNTIL_CHANGED, NOT_AT_ALL = "until_changed", "not_at_all"
MINUTES: Final = (30, 60, 120, 240)
CHOICES: Final = (UNTIL_CHANGED, *map(str, MINUTES), NOT_AT_ALL)
CAP_HELD, CAP_LET = "campaign.cap_held", "campaign.cap_let"
Kind = ServicingSignal.Kind
State = ServicingSignal.State


class HoldInvalid(Invalid):
    """No such hold: `field`, `value`, `reason`."""

    field: str
    value: str
    reason: str


class NotHeld(NotFound):
    """Nothing holds the cap that asked the campaign: `campaign_id`."""

    campaign_id: UUID


@dataclass(frozen=True, slots=True)
class Hold:
    """A cap asks nobody from `since`, by the actor `by`, until `until`, or until its value changes (None)."""

    since: datetime
    until: datetime | None
    cap_w: int
    by: str


def asked_by_cap(campaign: Campaign) -> ServicingSignal | None:
    """The cap's signal that asked the campaign, with its contract; None of any other campaign."""
    return campaign.signals.filter(kind=Kind.CAP).select_related("contract__client").first()


def hold_of(contract: ServicingContract, kind: str, *, cap_w: int | None, at: datetime) -> Hold | None:
    """What keeps the contract's cap of that kind, now at `cap_w`, from asking anybody at `at`."""
    stops = ServicingSignal.objects.filter(contract=contract, kind=Kind.STOP, key_id="")
    newest = stops.filter(asked__direction=kind).order_by("-received_wall_at").first()
    if newest is None or newest.state != State.STOPPED:
        return None
    minutes, held_w = newest.asked["minutes"], newest.asked["size_w"]
    until = newest.received_at + timedelta(minutes=minutes) if minutes else None
    hold = Hold(newest.received_at, until, held_w, newest.answer["by"])
    if until is not None:
        return hold if at < until else None
    later = running.caps(contract, kind).filter(received_wall_at__gt=newest.received_wall_at)
    return hold if cap_w == held_w and not later.exclude(asked__size_w=held_w).exists() else None


@transaction.atomic
def stop(
    *, campaign_id: UUID, hold: str, is_cancelled: bool, at: datetime, by: User | None, reason: str
) -> bool:
    """Stop or cancel the campaign; where a cap asked it, hold the cap by `hold`, one of CHOICES. True: held.

    Raises HoldInvalid, and what cancelling raises.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    asking = asked_by_cap(campaign)
    if asking is not None and hold not in CHOICES:
        raise HoldInvalid(field="hold", value=hold[:40], reason=f"one of {', '.join(CHOICES)}")
    contract = running.locked(asking.contract_id) if asking is not None and asking.contract_id else None
    campaign.refresh_from_db()
    is_over = campaign.state in running.OVER or at >= campaign.ends_at
    if is_cancelled:
        cancelling.cancel_campaign(campaign_id=campaign_id, at=at, by=by, reason=reason)
    else:
        stopping.stop_campaign(campaign_id=campaign_id, at=at, by=by, reason=reason)
    if contract is None or asking is None or is_over or hold == NOT_AT_ALL:
        return False
    kind = asking.asked["direction"]
    newest = running.newest_cap(contract, kind) or asking
    minutes = 0 if hold == UNTIL_CHANGED else int(hold)
    _write(contract, asking, State.STOPPED, minutes=minutes, cap_w=newest.asked["size_w"], at=at, by=by)
    life.note(campaign_id, CAP_HELD, at=at, by=by, detail={"cap": kind, "minutes": minutes})
    return True


def hold_over(campaign: Campaign, *, at: datetime) -> Hold | None:
    """What keeps the cap that asked the campaign from asking again; None of any other campaign."""
    asking = asked_by_cap(campaign)
    if asking is None or asking.contract is None:
        return None
    kind = asking.asked["direction"]
    newest = running.newest_cap(asking.contract, kind) or asking
    return hold_of(asking.contract, kind, cap_w=newest.asked["size_w"], at=at)


@transaction.atomic
def let_ask(*, campaign_id: UUID, at: datetime, by: User | None) -> None:
    """End the hold of the cap that asked the campaign: it asks again from the next minute. Raises NotHeld."""
    campaign = Campaign.objects.get(pk=campaign_id)
    asking = asked_by_cap(campaign)
    contract = running.locked(asking.contract_id) if asking is not None and asking.contract_id else None
    hold = hold_over(campaign, at=at)
    if asking is None or contract is None or hold is None:
        raise NotHeld(campaign_id=campaign_id)
    _write(contract, asking, State.IN_FORCE, minutes=0, cap_w=hold.cap_w, at=at, by=by)
    life.note(campaign_id, CAP_LET, at=at, by=by, detail={"cap": asking.asked["direction"]})


def _write(
    contract: ServicingContract,
    asking: ServicingSignal,
    state: State,
    *,
    minutes: int,
    cap_w: int,
    at: datetime,
    by: User | None,
) -> None:
    wall = clock.wall_now()
    key = f"house-{new_uuid()}"
    asked = Ask(Kind.STOP, contract.zone, asking.asked["direction"], cap_w, minutes)
    answer: dict[str, Any] = {"by": "system" if by is None else f"user:{by.pk}"}
    ServicingSignal.objects.create(
        client=contract.client,
        contract=contract,
        campaign=asking.campaign,
        idempotency_key=key,
        digest=hashlib.sha256(key.encode()).hexdigest(),
        kind=Kind.STOP,
        asked=asked.shown(),
        answer=answer,
        state=state,
        received_at=at,
        received_wall_at=wall,
        decided_wall_at=wall,
    )
