"""What the co-op wants each hub to be, written from the registry.

    serial, state    the hub's own
    assets           each with kind, rating, state, needs and longest hold
    certificates     those in force
    updates          signed manifests of the rollouts the hub is in
    restore          the config it had, or the hub it replaces, while it has none

Each document follows from the registry alone, so that writing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from assets import updating, vtn_door
from assets.asking import charge_wh, hot_by
from assets.models import Asset, Hub
from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid

LONGEST_HOLD_MINUTES: Final = 240
NEEDS: Final[Mapping[str, str]] = {
    "ready_by": "a time such as 07:00",
    "charge_wh": "Wh, with ready_by",
    "charge_miles": "miles instead of charge_wh, with ready_by: 250 Wh each",
    "hot_by": "times such as 06:30 19:00, at most 4: hot water that the night's plan has ready",
    "minimum_c": "C: hot water is never held back when colder",
    "maximum_c": "C",
    "weekly_cycle": "such as sunday 03:00",
    "solar_from_w": "W of surplus from which it runs on own solar",
    "least_on_seconds": "seconds",
    "least_off_seconds": "seconds",
    "wanted_c": "C: storage heaters, in the hours of comfort",
    "least_c": "C: storage heaters, at other times",
    "most_c": "C: storage heaters",
}
"""What a household may ask of an asset, in the words of the hub's own config, or of the night's plan."""
PLANS_ALONE: Final = frozenset({"hot_by"})
"""Kept from the hub, which knows no such word."""
MOST_MILES, MOST_TIMES = 800, 4


class UnknownNeed(Invalid):
    """No hub knows this need."""

    field: str
    given: str
    known: str


def desired_documents(hubs: Iterable[Hub]) -> dict[UUID, dict[str, Any]]:
    """Return the document of each hub, a few queries for any number."""
    hubs = [hub for hub in hubs if hub.ven_id]
    assets: dict[UUID, list[Asset]] = {}
    ids = [hub.pk for hub in hubs]
    for asset in Asset.objects.filter(hub__in=ids).select_related("kind").order_by("resource_id"):
        assets.setdefault(asset.hub_id, []).append(asset)
    ven_ids = [str(hub.ven_id) for hub in hubs]
    certificates, reported = vtn_door.certificates_of(ven_ids), vtn_door.shadows_of(ven_ids)
    updates = updating.wanted_by(hubs)
    key_pem = updating.public_key_pem()
    documents = {}
    for hub in hubs:
        document: dict[str, Any] = {
            "serial": hub.serial,
            "state": hub.state,
            "assets": [_asset(asset) for asset in assets.get(hub.pk, [])],
            "certificates": certificates.get(str(hub.ven_id), []),
            "updates": updates.get(hub.pk, []),
        }
        if key_pem:
            document["update_key_pem"] = key_pem
        held = reported.get(str(hub.ven_id))
        config = None if held is None else held.reported.get("config")
        has_config = isinstance(config, dict) and config.get("kind") == "real"
        if hub.kept_config and not has_config:
            document["restore"] = {"hub_toml": hub.kept_config}
        documents[hub.pk] = document
    return documents


def refresh(hubs: Iterable[Hub], *, at: datetime) -> int:
    """Write what is wanted of these hubs; return how many documents are others than before."""
    hubs = [hub for hub in hubs if hub.ven_id]
    if not hubs:
        return 0
    documents = desired_documents(hubs)
    return vtn_door.desire({str(hub.ven_id): documents[hub.pk] for hub in hubs}, at=at)


def refresh_all(*, at: datetime) -> int:
    """Write what is wanted of every commissioned hub: catches whatever changed beside the services."""
    return refresh(Hub.objects.filter(state=Hub.State.COMMISSIONED).order_by("pk"), at=at)


@transaction.atomic
def set_needs(*, asset_id: UUID, needs: Mapping[str, Any], at: datetime, by: str) -> Asset:
    """Say what a household asks of an asset; its hub follows. Raises UnknownNeed.

    What the hub finds wrong with a value it reports, and keeps what it had.
    """
    for name, value in needs.items():
        if name not in NEEDS:
            raise UnknownNeed(field="needs", given=name[:40], known=", ".join(NEEDS))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UnknownNeed(field=name, given=repr(value)[:40], known=NEEDS[name])
    _ensure_plannable(needs)
    asset = Asset.objects.select_for_update(of=("self",), no_key=True).select_related("hub").get(pk=asset_id)
    earlier, asset.needs = asset.needs, dict(needs)
    if earlier != asset.needs:
        asset.save(update_fields=["needs"])
        detail = {"earlier": earlier, "now": asset.needs}
        audit.record(at=at, actor=by, verb="asset.needs", target=f"asset:{asset.pk}", detail=detail)
        refresh([asset.hub], at=at)
    return asset


def _ensure_plannable(needs: Mapping[str, Any]) -> None:
    if (miles := needs.get("charge_miles")) is not None:
        if "charge_wh" in needs:
            raise UnknownNeed(
                field="charge_miles", given=f"{miles}", known="either charge_miles or charge_wh"
            )
        if isinstance(miles, str) or not 0 <= miles <= MOST_MILES:
            raise UnknownNeed(field="charge_miles", given=f"{miles}"[:40], known=f"miles, 0 to {MOST_MILES}")
    if "hot_by" in needs and not 0 < len(hot_by(needs)) <= MOST_TIMES:
        raise UnknownNeed(field="hot_by", given=f"{needs['hot_by']}"[:40], known=NEEDS["hot_by"])


def _for_hub(needs: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in needs.items() if name not in PLANS_ALONE}
    if told.pop("charge_miles", None) is not None:
        told["charge_wh"] = charge_wh(needs)
    return told


def _asset(asset: Asset) -> dict[str, Any]:
    held_minutes = min(int(asset.kind.turn_down_hours * 60), LONGEST_HOLD_MINUTES)
    return {
        "resource_id": asset.resource_id,
        "kind": asset.kind_id,
        "rated_w": asset.rated_w,
        "state": asset.state,
        "longest_minutes": held_minutes,
        "needs": _for_hub(asset.needs),
    }
