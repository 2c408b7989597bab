"""What the co-op wants each hub to be, written from the registry.

    serial, state    the hub's own
    assets           each with kind, rating, state, needs and longest hold
    certificates     those in force
    updates          signed manifests of the rollouts the hub is in
    restore          the config it had, or the hub it replaces, while it has none

Each document follows from the registry alone, so that writing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from assets import updating, vtn_door
from assets.asking import HOUSEHOLDS_WORDS, charge_wh, comfort_hours, hot_by
from assets.models import Asset, Hub
from members.queries import current_occupancies
from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid
from opendsr.kernel.models import AuditEntry

LONGEST_HOLD_MINUTES: Final = 240
NEEDS: Final[Mapping[str, str]] = {
    "ready_by": "a time such as 07:00",
    "charge_wh": "Wh, with ready_by",
    "charge_miles": "miles instead of charge_wh, with ready_by: 250 Wh each",
    "charge_percent": "1 to 100 instead of charge_wh, with ready_by and battery_kwh: charged up to that",
    "battery_kwh": "kWh, the size of the car's battery",
    "arrives_percent": "0 to 100: how full the car usually arrives; not said, an average day is gone",
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
    "comfort_hours": "such as 06:30-22:30: storage heaters, when wanted_c is wanted",
}
"""What a household may ask of an asset, in the words of the hub's own config, or of the night's plan."""
PLANS_ALONE: Final = frozenset({"hot_by", "battery_kwh", "arrives_percent"})
"""Kept from the hub, which knows no such word."""
AMOUNTS: Final = ("charge_wh", "charge_miles", "charge_percent")
MOST_MILES, MOST_TIMES = 800, 4
RANGES: Final[Mapping[str, tuple[int, int, str]]] = {
    "charge_miles": (0, MOST_MILES, "miles"),
    "charge_percent": (1, 100, "percent"),
    "battery_kwh": (1, 200, "kWh"),
    "arrives_percent": (0, 100, "percent"),
}
"""Word -> least, most, unit."""


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
    _ensure_known(needs)
    asset = _locked(asset_id)
    _write(asset, dict(needs), at=at, by=by)
    return asset


@transaction.atomic
def set_households_words(*, asset_id: UUID, words: Mapping[str, Any], at: datetime, by: str) -> Asset:
    """Say what a household asks itself, in place of what it asked before; what a fitter said stays.

    No words leave it to what is usual. Raises UnknownNeed.
    """
    asset = _locked(asset_id)
    theirs = HOUSEHOLDS_WORDS.get(asset.kind_id, frozenset())
    for name, value in words.items():
        if name not in theirs:
            raise UnknownNeed(field=name, given=f"{value}"[:40], known=", ".join(sorted(theirs)))
    _ensure_known(words)
    _write(asset, _without(asset.needs, theirs) | dict(words), at=at, by=by)
    return asset


@transaction.atomic
def forget_households_words(*, home_id: UUID, at: datetime) -> int:
    """A household's stay ended: what it asked of the home's assets ends too; return of how many.

    What was said since the household that lives there now moved in is its own, and stays.
    """
    stay = current_occupancies([home_id], at).get(home_id)
    forgotten = 0
    rows = Asset.objects.select_for_update(of=("self",), no_key=True).select_related("hub").order_by("pk")
    for asset in rows.filter(hub__home_id=home_id, kind_id__in=HOUSEHOLDS_WORDS):
        theirs = HOUSEHOLDS_WORDS[asset.kind_id]
        if theirs.isdisjoint(asset.needs) or (stay is not None and _was_said(asset, since=stay.starts_at)):
            continue
        _write(asset, _without(asset.needs, theirs), at=at, by="system")
        forgotten += 1
    return forgotten


def _was_said(asset: Asset, *, since: datetime) -> bool:
    entries = AuditEntry.objects.filter(verb="asset.needs", target=f"asset:{asset.pk}", at__gte=since)
    return entries.exists()


def _locked(asset_id: UUID) -> Asset:
    rows = Asset.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("hub").get(pk=asset_id)


def _write(asset: Asset, needs: dict[str, Any], *, at: datetime, by: str) -> None:
    earlier, asset.needs = asset.needs, needs
    if earlier != asset.needs:
        asset.save(update_fields=["needs"])
        detail = {"earlier": earlier, "now": asset.needs}
        audit.record(at=at, actor=by, verb="asset.needs", target=f"asset:{asset.pk}", detail=detail)
        refresh([asset.hub], at=at)


def _without(needs: Mapping[str, Any], words: Set[str]) -> dict[str, Any]:
    return {name: value for name, value in needs.items() if name not in words}


def _ensure_known(needs: Mapping[str, Any]) -> None:
    for name, value in needs.items():
        if name not in NEEDS:
            raise UnknownNeed(field="needs", given=name[:40], known=", ".join(NEEDS))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UnknownNeed(field=name, given=repr(value)[:40], known=NEEDS[name])
    _ensure_plannable(needs)


def _ensure_plannable(needs: Mapping[str, Any]) -> None:
    said = [name for name in AMOUNTS if name in needs]
    if len(said) > 1:
        raise UnknownNeed(field=said[1], given=f"{needs[said[1]]}"[:40], known=f"one of {', '.join(AMOUNTS)}")
    for name, (least, most, unit) in RANGES.items():
        value = needs.get(name)
        if value is not None and (isinstance(value, str) or not least <= value <= most):
            raise UnknownNeed(field=name, given=f"{value}"[:40], known=f"{unit}, {least} to {most}")
    if "charge_percent" in needs and "battery_kwh" not in needs:
        known = "with charge_percent, " + NEEDS["battery_kwh"]
        raise UnknownNeed(field="battery_kwh", given="", known=known)
    if "hot_by" in needs and not 0 < len(hot_by(needs)) <= MOST_TIMES:
        raise UnknownNeed(field="hot_by", given=f"{needs['hot_by']}"[:40], known=NEEDS["hot_by"])
    if "comfort_hours" in needs and not comfort_hours(needs):
        given = f"{needs['comfort_hours']}"[:40]
        raise UnknownNeed(field="comfort_hours", given=given, known=NEEDS["comfort_hours"])


def _for_hub(needs: Mapping[str, Any], *, daily_wh: int) -> dict[str, Any]:
    """In the words of the hub's config, which knows Wh alone and pairs of times."""
    told = {name: value for name, value in needs.items() if name not in PLANS_ALONE}
    if "charge_miles" in told or "charge_percent" in told:
        told.pop("charge_miles", None)
        told.pop("charge_percent", None)
        if (wh := charge_wh(needs, daily_wh=daily_wh)) is not None:
            told["charge_wh"] = wh
    if hours := comfort_hours(needs):
        told["comfort_hours"] = [[f"{each:%H:%M}" for each in hours]]
    return told


def _asset(asset: Asset) -> dict[str, Any]:
    held_minutes = min(int(asset.kind.turn_down_hours * 60), LONGEST_HOLD_MINUTES)
    return {
        "resource_id": asset.resource_id,
        "kind": asset.kind_id,
        "rated_w": asset.rated_w,
        "state": asset.state,
        "longest_minutes": held_minutes,
        "needs": _for_hub(asset.needs, daily_wh=asset.kind.typical_daily_wh),
    }
