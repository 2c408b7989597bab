"""Looking after what is fitted: faults reported and cleared, assets and hubs taken out of use.

Campaigns read an asset's state when they plan and again before anything is sent.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from assets import shadowing, vtn_door
from assets.installing import PlannedHub, plan_hub, reissue_code
from assets.models import Asset, Cad, Hub
from members import entry
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


class HubOutOfUse(DomainError):
    """Only a hub that works is replaced; a retired one is restored."""

    hub_id: str
    state: str


class HubInUse(DomainError):
    """Only a retired hub is restored."""

    hub_id: str
    state: str


class HubReplaced(DomainError):
    """Another hub has its place already."""

    hub_id: str
    by: str


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
def restore_asset(*, asset_id: UUID, at: datetime, by: str, reason: str = "") -> Asset:
    """Take an asset retired by mistake into use again. Raises AssetNotFound, HubOutOfUse."""
    asset = Asset.objects.select_related("hub").filter(pk=asset_id).first()
    if asset is None:
        raise AssetNotFound(asset_id=str(asset_id))
    if asset.hub.state == Hub.State.RETIRED:
        raise HubOutOfUse(hub_id=str(asset.hub_id), state=asset.hub.state)
    return _set_state(asset_id, Asset.State.ACTIVE, at, by, reason or "restored", is_restored=True)


@transaction.atomic
def retire_hub(*, hub_id: UUID, at: datetime, by: str, reason: str = "") -> Hub:
    """Take the hub and its assets out of use and end its certificates; retiring it again changes nothing.

    Another hub can then be commissioned in the home, whose past stays. Records `assets.hub.retired`. Raises
    HubNotFound and InvalidField.
    """
    reason = entry.one_line(reason, field="reason", longest=200, may_be_empty=True)
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
def plan_replacement(*, hub_id: UUID, serial: str, at: datetime, by: str) -> PlannedHub:
    """Plan the hub that takes another's place. The old one works until the new one is commissioned; then the
    assets hang on that, with their names and needs, and the home's past stays.

    Raises HubNotFound, HubReplaced, HubOutOfUse, and what `plan_hub` raises.
    """
    old = Hub.objects.select_for_update(of=("self",)).select_related("home").filter(pk=hub_id).first()
    if old is None:
        raise HubNotFound(hub_id=str(hub_id))
    if old.state != Hub.State.COMMISSIONED:
        raise HubOutOfUse(hub_id=str(hub_id), state=old.state)
    if (other := Hub.objects.filter(replaces=old).first()) is not None:
        raise HubReplaced(hub_id=str(hub_id), by=other.serial)
    planned = plan_hub(home=old.home, serial=serial, at=at)
    planned.hub.replaces, planned.hub.kept_config = old, old.kept_config
    planned.hub.save(update_fields=["replaces", "kept_config"])
    detail = {"replaces": old.serial}
    audit.record(
        at=at, actor=by, verb="hub.replacement_planned", target=f"hub:{planned.hub.pk}", detail=detail
    )
    return planned


@transaction.atomic
def take_over(*, hub: Hub, at: datetime, by: str) -> None:
    """Retire the hub that this one replaces and hang its assets here; called as this one is commissioned."""
    old = Hub.objects.select_for_update().filter(replaced_by=hub).first()
    if old is None or old.state == Hub.State.RETIRED:
        return
    Asset.objects.filter(hub=old).update(hub=hub)
    retire_hub(hub_id=old.pk, at=at, by=by, reason=f"replaced by {hub.serial}")


@transaction.atomic
def restore_hub(*, hub_id: UUID, at: datetime, by: str) -> PlannedHub:
    """Take a retired hub into use again: with the assets that were retired with it, a new code, and on its
    commissioning a new certificate. Raises HubNotFound, HubInUse, HubReplaced.
    """
    hub = Hub.objects.select_for_update().filter(pk=hub_id).first()
    if hub is None:
        raise HubNotFound(hub_id=str(hub_id))
    if hub.state != Hub.State.RETIRED:
        raise HubInUse(hub_id=str(hub_id), state=hub.state)
    other = (
        Hub.objects.filter(home_id=hub.home_id).exclude(pk=hub.pk).exclude(state=Hub.State.RETIRED).first()
    )
    if other is not None:
        raise HubReplaced(hub_id=str(hub_id), by=other.serial)
    for asset in hub.assets.filter(state=Asset.State.RETIRED, retired_at=hub.retired_at).order_by("pk"):
        _set_state(asset.pk, Asset.State.ACTIVE, at, by, "restored with its hub", is_restored=True)
    hub.state, hub.retired_at, hub.ven_id, hub.commissioned_at = Hub.State.PLANNED, None, None, None
    hub.save(update_fields=["state", "retired_at", "ven_id", "commissioned_at"])
    audit.record(at=at, actor=by, verb="hub.restored", target=f"hub:{hub.pk}", detail={})
    return reissue_code(hub=hub, at=at)


@transaction.atomic
def retire_cad(*, cad_id: UUID, at: datetime) -> Cad:
    """Take the CAD out of use, so that another can be paired in the home."""
    cad = Cad.objects.select_for_update().get(pk=cad_id)
    if cad.retired_at is None:
        cad.retired_at = at
        cad.save(update_fields=["retired_at"])
    return cad


def _set_state(
    asset_id: UUID, state: Asset.State, at: datetime, by: str, reason: str, *, is_restored: bool = False
) -> Asset:
    asset = (
        Asset.objects.select_for_update(of=("self",), no_key=True)
        .select_related("hub")
        .filter(pk=asset_id)
        .first()
    )
    if asset is None:
        raise AssetNotFound(asset_id=str(asset_id))
    if asset.state == state:
        return asset
    if asset.state == Asset.State.RETIRED and not is_restored:
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
    shadowing.refresh([asset.hub], at=at)
    return asset
