"""What hubs tell of themselves and what the site sees of them: versions, relay counts, spells out of work.

A hub's report comes through its shadow (`vtn.shadow.reported`); `watch` looks every few minutes at who is
heard. Whatever a hub may say, this reads it: an entry that means nothing is passed over, the others count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from assets import vtn_door
from assets.models import Asset, Hub
from assets.registry_models import HubSpell, RelayCount, UpSpell
from assets.wear import MOST_TOLD, Count, counted
from opendsr.kernel import lookups

Cause = HubSpell.Cause
SILENT_AFTER: Final = timedelta(minutes=30)
DOWN_AFTER: Final = timedelta(minutes=15)
"""Three looks of `watch` missed: the site itself was not at work."""
SPELLS_KEPT: Final = timedelta(days=396)
OLDEST_TOLD: Final = timedelta(days=60)
MOST_TOLD_SPELLS: Final = 50
TOLD_BY_HUBS: Final = frozenset(Cause.values) - {Cause.SILENT.value}


@dataclass(frozen=True, slots=True)
class Spell:
    """One spell of a home's hub; open ones end at the moment asked about."""

    home_id: UUID
    cause: str
    resource_id: str
    starts_at: datetime
    ends_at: datetime


@transaction.atomic
def note_report(*, hub: Hub, reported: Mapping[str, Any], at: datetime) -> None:
    """Keep a hub's version, its devices' versions and relay counts, and the spells it tells of."""
    _note_versions(hub, reported)
    _note_counts(hub, reported.get("counts"), at)
    spells = [
        spell
        for entry in _listed(reported.get("journal"))[-MOST_TOLD_SPELLS:]
        if (spell := _told_spell(hub, entry, at)) is not None
    ]
    unique = {(each.cause, each.resource_id, each.starts_at): each for each in spells}
    HubSpell.objects.bulk_create(
        unique.values(),
        update_conflicts=True,
        unique_fields=["hub", "cause", "resource_id", "starts_at"],
        update_fields=["ends_at"],
    )


@transaction.atomic
def watch(*, at: datetime, wall: datetime) -> int:
    """Note that the site is at work, and which hubs are not heard; how many fell silent or came back.

    A hub is silent from when it was heard last, or commissioned. Nobody is called silent before the site has
    itself been back for as long: until then the hubs could not be heard.
    """
    up = _beat(at, wall)
    HubSpell.objects.filter(starts_at__lt=at - SPELLS_KEPT).delete()
    UpSpell.objects.filter(seen_at__lt=at - SPELLS_KEPT).delete()
    hubs = list(Hub.objects.filter(state=Hub.State.COMMISSIONED).only("pk", "ven_id", "commissioned_at"))
    heard = vtn_door.heard_wall_at()
    open_spells = {
        each.hub_id: each
        for each in HubSpell.objects.select_for_update().filter(cause=Cause.SILENT, ends_at=None)
    }
    in_use = {hub.pk for hub in hubs}
    begun, ended = [], []
    for hub in hubs:
        seen_wall_at = heard.get(str(hub.ven_id))
        seen_at = hub.commissioned_at or at
        if seen_wall_at is not None:
            seen_at = at - (wall - seen_wall_at)
        if at - seen_at <= SILENT_AFTER:
            if (spell := open_spells.get(hub.pk)) is not None:
                spell.ends_at = max(seen_at, spell.starts_at + timedelta(seconds=1))
                ended.append(spell)
        elif hub.pk not in open_spells and at - up.starts_at >= SILENT_AFTER:
            begun.append(HubSpell(hub=hub, cause=Cause.SILENT, starts_at=seen_at))
    for hub_id, spell in open_spells.items():
        if hub_id not in in_use:
            spell.ends_at = max(at, spell.starts_at + timedelta(seconds=1))
            ended.append(spell)
    HubSpell.objects.bulk_create(begun, ignore_conflicts=True)
    HubSpell.objects.bulk_update(ended, ["ends_at"], batch_size=1_000)
    return len(begun) + len(ended)


def spells_between(
    starts_at: datetime, ends_at: datetime, *, home_ids: Collection[UUID] | None = None
) -> list[Spell]:
    """Spells that touch [starts_at, ends_at), of these homes or of all, by start; open ones end with it."""
    rows = HubSpell.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=starts_at), starts_at__lt=ends_at
    ).order_by("starts_at", "pk")
    if home_ids is not None:
        rows = rows.filter(hub__home_id__in=lookups.among(home_ids))
    values = rows.values_list("hub__home_id", "cause", "resource_id", "starts_at", "ends_at")
    return [
        Spell(home_id, cause, resource_id, begins, ends or ends_at)
        for home_id, cause, resource_id, begins, ends in values
    ]


def newest_spells(home_id: UUID, *, most: int = 20) -> list[HubSpell]:
    """The newest spells of the home's hubs, newest first."""
    return list(HubSpell.objects.filter(hub__home=home_id).order_by("-starts_at", "-pk")[:most])


def site_up(starts_at: datetime, ends_at: datetime) -> list[tuple[datetime, datetime]]:
    """When the site was at work, and looked who is heard, within [starts_at, ends_at)."""
    rows = UpSpell.objects.filter(seen_at__gt=starts_at, starts_at__lt=ends_at).order_by("starts_at")
    return [
        (max(since, starts_at), min(until, ends_at))
        for since, until in rows.values_list("starts_at", "seen_at")
    ]


def site_down(starts_at: datetime, ends_at: datetime) -> list[tuple[datetime, datetime]]:
    """When the site itself was not at work within [starts_at, ends_at); what came before its first sign of
    life is not known and not told.
    """
    spans = list(UpSpell.objects.order_by("starts_at").values_list("starts_at", "seen_at"))
    gaps = ((before[1], after[0]) for before, after in pairwise(spans))
    return [
        (max(since, starts_at), min(until, ends_at))
        for since, until in gaps
        if since < until and until > starts_at and since < ends_at
    ]


def hubs_in_use(
    starts_at: datetime, ends_at: datetime, *, home_ids: Collection[UUID] | None = None
) -> dict[UUID, list[tuple[datetime, datetime | None]]]:
    """When each home had a hub at work within [starts_at, ends_at)."""
    rows = Hub.objects.filter(
        Q(retired_at=None) | Q(retired_at__gt=starts_at), commissioned_at__lt=ends_at
    ).values_list("home_id", "commissioned_at", "retired_at")
    if home_ids is not None:
        rows = rows.filter(home_id__in=lookups.among(home_ids))
    found: dict[UUID, list[tuple[datetime, datetime | None]]] = {}
    for home_id, since, until in rows:
        if since is not None:
            found.setdefault(home_id, []).append((since, until))
    return found


def _beat(at: datetime, wall: datetime) -> UpSpell:
    newest = UpSpell.objects.select_for_update().order_by("-pk").first()
    if newest is None or wall - newest.seen_wall_at > DOWN_AFTER or at < newest.seen_at:
        return UpSpell.objects.create(starts_at=at, seen_at=at, seen_wall_at=wall)
    newest.seen_at, newest.seen_wall_at = at, wall
    newest.save(update_fields=["seen_at", "seen_wall_at"])
    return newest


def _note_versions(hub: Hub, reported: Mapping[str, Any]) -> None:
    software = reported.get("software")
    software = software if isinstance(software, dict) else {}
    version = software.get("hub")
    if isinstance(version, str) and version[:40] != hub.firmware:
        hub.firmware = version[:40]
        hub.save(update_fields=["firmware"])
    controllers = software.get("controllers")
    told = {
        str(name): str(each["version"])[:40]
        for name, each in (controllers.items() if isinstance(controllers, dict) else ())
        if isinstance(each, dict) and isinstance(each.get("version"), str)
    }
    for asset in Asset.objects.filter(hub=hub, resource_id__in=list(told)):
        if asset.firmware != told[asset.resource_id]:
            asset.firmware = told[asset.resource_id]
            asset.save(update_fields=["firmware"])


def _note_counts(hub: Hub, counts: object, at: datetime) -> None:
    cycles = counts.get("cycles") if isinstance(counts, dict) else None
    if not isinstance(counts, dict) or not isinstance(cycles, dict):
        return
    told = {
        str(name): value
        for name, value in cycles.items()
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOLD
    }
    since = _instant(counts.get("since")) or at
    assets = Asset.objects.filter(hub=hub, resource_id__in=list(told))
    held = {row.asset_id: row for row in RelayCount.objects.select_for_update().filter(asset__in=assets)}
    for asset in assets:
        row = held.get(asset.pk)
        before = None if row is None else Count(row.cycles, row.told, row.told_by)
        now = counted(before, told=told[asset.resource_id], told_by=str(hub.ven_id))
        if row is None:
            row = RelayCount(asset=asset, counted_from_at=min(max(since, asset.installed_at), at))
        row.cycles, row.told, row.told_by = now.cycles, now.told, now.told_by
        row.told_at = max(at, row.counted_from_at)
        row.save()


def _told_spell(hub: Hub, entry: object, at: datetime) -> HubSpell | None:
    if not isinstance(entry, dict) or entry.get("cause") not in TOLD_BY_HUBS:
        return None
    starts_at, ends_at = _instant(entry.get("starts_at")), _instant(entry.get("ends_at"))
    if starts_at is None or not at - OLDEST_TOLD <= starts_at <= at:
        return None
    if entry.get("ends_at") is not None and (ends_at is None or not starts_at < ends_at):
        return None
    name = entry.get("resource_id", "")
    if not isinstance(name, str) or len(name) > 64:
        return None
    return HubSpell(
        hub=hub,
        cause=entry["cause"],
        resource_id=name,
        starts_at=starts_at,
        ends_at=None if ends_at is None else min(ends_at, max(at, starts_at + timedelta(seconds=1))),
    )


def _instant(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
