"""What a contract lets its client ask, what runs under it, and how that is ended: for starts and for caps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from campaigns import cancelling, stopping
from campaigns.models import Campaign, ServicingContract, ServicingSignal
from opendsr.kernel import audit, clock
from opendsr.kernel.errors import NotFound

OVER: Final = (Campaign.State.CANCELLED, Campaign.State.COMPLETED)
SENDING: Final = (Campaign.State.APPROVED, Campaign.State.DISPATCHED)
WAITING: Final = (Campaign.State.DRAFT, Campaign.State.PLANNED)


class UnknownZone(NotFound):
    """The client has no contract for the zone now: `zone`."""

    zone: str


def contract_for(client_id: UUID, zone: str, *, at: datetime) -> ServicingContract:
    """The client's contract about the zone that holds at `at`; raises UnknownZone."""
    found = (
        ServicingContract.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), client=client_id, zone=zone)
        .filter(starts_at__lte=at)
        .select_related("programme")
        .first()
    )
    if found is None:
        raise UnknownZone(zone=zone)
    return found


def locked(contract_id: UUID) -> ServicingContract:
    """The contract, so that one cap of it is decided at a time; inside a transaction."""
    return (
        ServicingContract.objects.select_for_update(of=("self",), no_key=True)
        .select_related("client", "programme")
        .get(pk=contract_id)
    )


def hold(client_id: UUID, zone: str = "") -> None:
    """Wait for whatever is being decided under the client's contracts, about the zone or all of them, and let
    nothing else be decided under them meanwhile; inside a transaction.
    """
    found = ServicingContract.objects.filter(client=client_id, **({"zone": zone} if zone else {}))
    list(found.select_for_update(of=("self",), no_key=True).order_by("pk").values_list("pk"))


def is_stopped(start: ServicingSignal, zone: str) -> bool:
    """Whether the client stopped the start, or everything there, since it was sent: it is not decided yet."""
    stops = ServicingSignal.objects.filter(client=start.client_id, state=ServicingSignal.State.STOPPED)
    emergency = Q(
        kind=ServicingSignal.Kind.EMERGENCY_STOP,
        asked__zone__in=("", zone),
        received_wall_at__gte=start.received_wall_at,
    )
    return stops.filter(emergency | Q(kind=ServicingSignal.Kind.STOP, asked__of=str(start.pk))).exists()


def caps(contract: ServicingContract, kind: str) -> QuerySet[ServicingSignal]:
    """Every decided cap of the kind "import" or "export" under the contract, the house's own too."""
    return ServicingSignal.objects.filter(
        contract=contract, kind=ServicingSignal.Kind.CAP, asked__direction=kind
    ).exclude(state__in=(ServicingSignal.State.RECEIVED, ServicingSignal.State.REFUSED))


def newest_cap(contract: ServicingContract, kind: str, *, is_heard: bool = False) -> ServicingSignal | None:
    """The cap decided last; with `is_heard`, the operator sent last."""
    found = caps(contract, kind)
    if is_heard:
        found = found.exclude(key_id="")
    return found.order_by("-received_at", "-received_wall_at").first()


def approved_w(contract: ServicingContract) -> int:
    """Up to what a start is approved in advance: nothing until a second person has confirmed it."""
    return contract.approved_w if contract.confirmed_at is not None else 0


def asked_w(contract: ServicingContract, *, starts_at: datetime, ends_at: datetime) -> int:
    """What is asked under the contract by campaigns that run or wait in [starts_at, ends_at), in W."""
    beside = Campaign.objects.filter(
        signals__contract=contract, starts_at__lt=ends_at, ends_at__gt=starts_at
    ).exclude(state__in=OVER)
    return beside.distinct().aggregate(total=Sum("size_w"))["total"] or 0


def end(found: Sequence[Campaign], *, reason: str, at: datetime) -> list[UUID]:
    """Stop what runs and cancel what waits; the ids of those that were ended."""
    ended = []
    for campaign in found:
        if campaign.state in SENDING:
            stopping.stop_campaign(campaign_id=campaign.pk, at=at, by=None, reason=reason)
        elif campaign.state in WAITING:
            cancelling.cancel_campaign(campaign_id=campaign.pk, at=at, by=None, reason=reason)
        else:
            continue
        ended.append(campaign.pk)
    return ended


def close(signal: ServicingSignal, *, at: datetime) -> None:
    """Write down that the signal is decided, and what came of it."""
    signal.decided_wall_at = clock.wall_now()
    signal.save()
    audit.record(
        at=at,
        actor=f"servicing:{signal.client_id}",
        verb=f"campaigns.servicing.{signal.kind}",
        target=f"servicing_signal:{signal.pk}",
        detail={"state": signal.state, "reason": signal.reason, "campaign": signal.campaign_id},
    )
