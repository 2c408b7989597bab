"""Where a hub is not as it should be: its two documents side by side. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assets.models import Asset, Release
from assets.updating import INSTALLED, told_of


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be: `what` of the hub, desired and reported."""

    what: str
    desired: str
    reported: str


def differences(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> list[Difference]:
    """Say what of a hub is not as it should be. Whatever a hub may say, this reads it."""
    found = []
    told = {
        str(each.get("resource_id")): each
        for each in _listed(reported.get("assets"))
        if isinstance(each, dict)
    }
    for wanted in _listed(desired.get("assets")):
        name = wanted["resource_id"]
        is_wanted = wanted["state"] == Asset.State.ACTIVE
        has = told.pop(name, None)
        if has is None:
            if wanted["state"] != Asset.State.RETIRED:
                found.append(Difference(name, str(wanted["kind"]), "not there"))
            continue
        for key in ("kind", "rated_w"):
            if has.get(key) != wanted[key]:
                found.append(Difference(f"{name} {key}", str(wanted[key]), str(has.get(key))[:80]))
        if bool(has.get("is_in_service")) != is_wanted:
            service = {True: "in service", False: "out of service"}
            now = bool(has.get("is_in_service"))
            found.append(Difference(name, service[is_wanted], service[now]))
        if is_wanted and has.get("is_available") is False:
            found.append(Difference(name, "answers", "away"))
        needs = has.get("needs")
        for key, value in wanted["needs"].items():
            held = needs.get(key) if isinstance(needs, dict) else None
            if str(held) != str(value):
                found.append(Difference(f"{name} {key}", str(value), str(held)[:80]))
    found += [Difference(name[:80], "not in the registry", "there") for name in told]
    certificate = reported.get("certificate")
    serial = certificate.get("serial_number") if isinstance(certificate, dict) else None
    serials = [each["serial_number"] for each in _listed(desired.get("certificates"))]
    if serials and serial is not None and serial not in serials:
        found.append(Difference("certificate", ", ".join(serials), str(serial)[:80]))
    found += _updates(desired, reported)
    found += [Difference("fault", "", str(fault)[:200]) for fault in _listed(reported.get("faults"))]
    return found


def _updates(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> list[Difference]:
    """Say which update a hub should have and has not."""
    found = []
    for update in desired.get("updates", []):
        manifest = json.loads(update["manifest"])
        release = Release(component=manifest["component"], version=manifest["version"])
        state, why = told_of(release, reported)
        if state != INSTALLED:
            said = f"{state}: {why}" if why else state
            found.append(Difference(f"update of {release.component}", release.version, said[:200]))
    return found


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
