"""Releases of hub software and controllers' firmware, signed by the co-op, and what hubs say of them.

The signing key need not lie on this machine (`manage.py release_update`); how a release goes out is in
`rolling_out`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from assets import vtn_door
from assets.models import Hub, Release, Rollout, RolloutHub
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid

HUB: Final = "hub"
COMPONENTS: Final = (HUB, "tasmota")
PREAMBLE: Final = b"OpenDSR update manifest\n"
INSTALLED, OFFERED, FORGIVEN = "installed", "offered", "forgiven"
FAILURES: Final = frozenset({"failed", "taken_back", "refused"})
PUBLIC_KEY_FILE: Final = "update-key.pem"


class ReleaseUnsigned(Invalid):
    """The signature is not the co-op's over these bytes, or there is no key to know it by."""

    problem: str


class ReleaseTaken(DomainError):
    """This version is released already, and a version never changes."""

    component: str
    version: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How many hubs of a rollout's stage are where."""

    in_stage: int
    installed: int
    failed: int
    waiting: int


def public_key_pem() -> str:
    """Return the key that hubs verify updates by, "" while the co-op has none."""
    try:
        return Path(settings.UPDATE_KEY_FILE).read_text(encoding="ascii")
    except OSError:
        return ""


def key_mark() -> str:
    """Return what people compare the key by, the same as `hems doctor` says in homes; "" without a key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    pem = public_key_pem()
    if not pem:
        return ""
    der = load_pem_public_key(pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digits = sha256(der).hexdigest()[:20]
    return " ".join(digits[at : at + 4] for at in range(0, 20, 4))


def manifest_of(*, component: str, version: str, body: bytes, may_go_back: bool = False) -> str:
    """Return the manifest to sign for some bytes."""
    document = {
        "component": component,
        "version": version,
        "sha256": sha256(body).hexdigest(),
        "size": len(body),
        "may_go_back": may_go_back,
    }
    return json.dumps(document, separators=(",", ":"))


@transaction.atomic
def add_release(
    *, body: bytes, manifest: str, signature: str, notes: str = "", at: datetime, by: str
) -> Release:
    """Keep a signed release; nothing is offered to anybody yet. Raises ReleaseUnsigned, ReleaseTaken."""
    _verify(manifest, signature)
    document = json.loads(manifest)
    if document["sha256"] != sha256(body).hexdigest() or document["size"] != len(body):
        raise ReleaseUnsigned(problem="signed_for_other_bytes")
    if document["component"] not in COMPONENTS:
        raise ReleaseUnsigned(problem="unknown_component")
    held = {"component": document["component"], "version": document["version"]}
    if Release.objects.filter(**held).exists():
        raise ReleaseTaken(**held)
    release = Release.objects.create(
        **held,
        sha256=vtn_door.keep_file(body, at=at),
        size=len(body),
        manifest=manifest,
        signature=signature,
        notes=notes[:300],
        made_at=at,
        made_by=by,
    )
    audit.record(at=at, actor=by, verb="update.released", target=f"release:{release.pk}", detail=held)
    return release


def standing(rollout: Rollout) -> Standing:
    """Return how many hubs of the stage have it, failed, or are still to say."""
    states = list(rollout.hubs.values_list("state", flat=True))
    installed = states.count(INSTALLED)
    failed = sum(state in FAILURES for state in states)
    forgiven = states.count(FORGIVEN)
    return Standing(len(states), installed, failed, len(states) - installed - failed - forgiven)


def wanted_by(hubs: Iterable[Hub]) -> dict[UUID, list[dict[str, str]]]:
    """Return the signed manifests offered to each hub; of a component only the newest offered."""
    rows = (
        RolloutHub.objects.filter(hub__in=[hub.pk for hub in hubs])
        .exclude(rollout__state=Rollout.State.HALTED)
        .exclude(state__in=FAILURES)
        .select_related("rollout__release")
        .order_by("rollout__began_at")
    )
    newest: dict[UUID, dict[str, Release]] = {}
    for row in rows:
        release = row.rollout.release
        newest.setdefault(row.hub_id, {})[release.component] = release
    return {
        hub_id: [
            {"component": name, "manifest": release.manifest, "signature": release.signature}
            for name, release in sorted(releases.items())
        ]
        for hub_id, releases in newest.items()
    }


def told_of(release: Release, reported: Mapping[str, Any]) -> tuple[str, str]:
    """Return state and reason of a release in what a hub reports."""
    software = reported.get("software")
    if not isinstance(software, dict):
        return OFFERED, ""
    notes = software.get("updates")
    notes = notes if isinstance(notes, dict) else {}
    if release.component == HUB:
        if software.get("hub") == release.version and not software.get("is_trial"):
            return INSTALLED, ""
        taken_back = notes.get(f"{HUB} {release.version}")
        if isinstance(taken_back, dict):
            return "taken_back", str(taken_back.get("why", ""))
        return _noted(release, notes.get(HUB))
    controllers = software.get("controllers")
    mine = [
        name
        for name, each in (controllers.items() if isinstance(controllers, dict) else ())
        if isinstance(each, dict) and each.get("make") == release.component
    ]
    if not mine:
        return INSTALLED, "no such controller in this home"
    stand = [_noted(release, notes.get(name)) for name in mine]
    for state in (*sorted(FAILURES), "under_way", "waiting", OFFERED):
        for found in stand:
            if found[0] == state:
                return found
    return INSTALLED, ""


def _noted(release: Release, note: object) -> tuple[str, str]:
    if isinstance(note, dict) and note.get("version") in (release.version, "?"):
        return str(note.get("state", OFFERED))[:16], str(note.get("why", ""))
    return OFFERED, ""


def _verify(manifest: str, signature: str) -> None:
    import base64
    import binascii

    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    pem = public_key_pem()
    if not pem:
        raise ReleaseUnsigned(problem="the_co_op_has_no_update_key")
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ReleaseUnsigned(problem="the_update_key_is_no_ed25519_key")
    try:
        key.verify(base64.b64decode(signature, validate=True), PREAMBLE + manifest.encode())
    except (InvalidSignature, binascii.Error):
        raise ReleaseUnsigned(problem="signature") from None
