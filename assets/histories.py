"""The past of a home: what was fitted when, what took its place, and what was done, newest first.

Read from the rows themselves, which are never deleted: a replacement retires the old one and points at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from assets.models import Asset, Cad, Hub
from assets.registry_models import ChangeRow, Meter

FITTED, RETIRED, REPLACED = "fitted", "retired", "replaced"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to a thing of a home; `thing` is hub, cad, meter, asset or change."""

    at: datetime
    thing: str
    name: str
    what: str
    other: str = ""
    thing_id: UUID | None = None


def history_of(home_id: UUID) -> list[Happening]:
    """Everything that was ever fitted in the home, taken out or replaced, newest first."""
    found: list[Happening] = []
    for hub in Hub.objects.filter(home_id=home_id).select_related("replaces", "replaced_by"):
        successor = getattr(hub, "replaced_by", None)
        found += _life(
            "hub", hub.pk, hub.serial, hub.commissioned_at, hub.retired_at, hub.replaces, successor
        )
    for cad in Cad.objects.filter(home_id=home_id).select_related("replaces", "replaced_by"):
        successor = getattr(cad, "replaced_by", None)
        found += _life("cad", cad.pk, cad.serial, cad.paired_at, cad.retired_at, cad.replaces, successor)
    for meter in Meter.objects.filter(home_id=home_id).select_related("replaces", "replaced_by"):
        successor = getattr(meter, "replaced_by", None)
        found += _life(
            "meter", meter.pk, meter.serial, meter.fitted_at, meter.removed_at, meter.replaces, successor
        )
    assets = Asset.objects.filter(hub__home_id=home_id).select_related("replaces", "replaced_by")
    for asset in assets:
        successor = getattr(asset, "replaced_by", None)
        found += _life(
            "asset", asset.pk, asset.name, asset.installed_at, asset.retired_at, asset.replaces, successor
        )
    changes = ChangeRow.objects.filter(home_id=home_id, state__in=("applied", "undone", "kept"))
    for row in changes.select_related("change_set").order_by("-pk")[:50]:
        words = f"{row.before or '–'} → {row.after or '–'}"
        happening = Happening(
            row.changed_at, "change", row.change_set.field, row.state, words, row.change_set_id
        )
        found.append(happening)
    return sorted(found, key=lambda each: (each.at, each.thing, each.name, each.what), reverse=True)


def _life(
    thing: str,
    thing_id: UUID,
    name: str,
    since: datetime | None,
    until: datetime | None,
    replaces: object | None,
    replaced_by: object | None,
) -> list[Happening]:
    found = []
    if since is not None:
        found.append(
            Happening(since, thing, name, FITTED, "" if replaces is None else str(replaces), thing_id)
        )
    if until is not None:
        what = RETIRED if replaced_by is None else REPLACED
        found.append(
            Happening(until, thing, name, what, "" if replaced_by is None else str(replaced_by), thing_id)
        )
    return found
