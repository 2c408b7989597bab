"""Looking after what is fitted: faults reported and cleared, assets and hubs taken out of use.

Campaigns read an asset's state when they plan and again before anything is sent.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from assets import vtn_door
from assets.models import Asset, Cad, Hub
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError, NotFound

ASSET_STATE_CHANGED = "assets.asset.state_changed"
HUB_RETIRED = "assets.hub.retired"


class AssetNotFound(NotFound):
    """No such asset."""

    asset_id: str


class HubNotFound(NotFound):
    """No such hub."""

    hub_id: str


class AssetRetired(DomainError):
    """A retired asset stays retired; another one is installed in its place."""

    asset_id: str


@transaction.atomic
def report_fault(*, asset_id: UUID, at: datetime, by: str, reason: str = "") -> Asset:
    """Keep the asset out of campaigns until the fault is cleared. Raises AssetNotFound, AssetRetired."""
    return _set_state(asset_id, Asset.State.FAULTY, at, by, reason)


@transaction.atomic
def clear_fault(*, asset_id: UUID, at: datetime, by: str, reason: str = "") -> Asset:
    """Let the asset take part again. Raises AssetNotFound, AssetRetired."""
    return _set_state(asset_id, Asset.State.ACTIVE, at, by, reason)


@transaction.atomic
def retire_asset(*, asset_id: UUID, at: datetime, by: str, reason: str = "") -> Asset:
    """Take the asset out of use for good; its past stays. Raises AssetNotFound, AssetRetired."""
    return _set_state(asset_id, Asset.State.RETIRED, at, by, reason)


@transaction.atomic
def retire_hub(*, hub_id: UUID, at: datetime, by: str, reason: str = "") -> Hub:
    """Take the hub and its assets out of use and end its certificates; retiring it again changes nothing.

    Another hub can then be commissioned in the home, whose past stays. Records `assets.hub.retired`.
    """
    hub = Hub.objects.select_for_update().filter(pk=hub_id).first()
    if hub is None:
        raise HubNotFound(hub_id=str(hub_id))
    if hub.state == Hub.State.RETIRED:
        return hub
    for asset in hub.assets.exclude(state=Asset.State.RETIRED).order_by("pk"):
        _set_state(asset.pk, Asset.State.RETIRED, at, by, reason)
    hub.state = Hub.State.RETIRED
    hub.retired_at = at
    hub.enrolment_code_sha256 = ""
    hub.enrolment_code_expires_at = None
    hub.save()
    if hub.ven_id:
        vtn_door.revoke(ven_id=hub.ven_id, reason=reason or "hub retired", at=at, by=by)
    outbox.record(HUB_RETIRED, at=at, key=str(hub.pk), hub_id=hub.pk, home_id=hub.home_id, ven_id=hub.ven_id)
    audit.record(at=at, actor=by, verb="hub.retired", target=f"hub:{hub.pk}", detail={"reason": reason})
    return hub


@transaction.atomic
def retire_cad(*, cad_id: UUID, at: datetime) -> Cad:
    """Take the CAD out of use, so that another can be paired in the home."""
    cad = Cad.objects.select_for_update().get(pk=cad_id)
    if cad.retired_at is None:
        cad.retired_at = at
        cad.save(update_fields=["retired_at"])
    return cad


def _set_state(asset_id: UUID, state: Asset.State, at: datetime, by: str, reason: str) -> Asset:
    asset = Asset.objects.select_for_update(of=("self",)).filter(pk=asset_id).first()
    if asset is None:
        raise AssetNotFound(asset_id=str(asset_id))
    if asset.state == state:
        return asset
    if asset.state == Asset.State.RETIRED:
        raise AssetRetired(asset_id=str(asset_id))
    earlier, asset.state = asset.state, state
    asset.retired_at = at if state == Asset.State.RETIRED else None
    asset.save(update_fields=["state", "retired_at"])
    outbox.record(
        ASSET_STATE_CHANGED, at=at, asset_id=asset.pk, hub_id=asset.hub_id, state=state, earlier=earlier
    )
    audit.record(
        at=at,
        actor=by,
        verb=f"asset.{state}",
        target=f"asset:{asset.pk}",
        detail={"earlier": earlier, "reason": reason},
    )
    return asset
