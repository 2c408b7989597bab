"""What an update is: a manifest signed by the co-op. Pure, but for the cryptography.

    {"component": "hub", "version": "1.2.0", "sha256": "...", "size": 123456, "may_go_back": false}

`component` is `hub`, or the make of a controller (`tasmota`). The signature is Ed25519 over the manifest's
bytes as they are, after a line that no other message begins with.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

PREAMBLE: Final = b"OpenDSR update manifest\n"
HUB: Final = "hub"
LARGEST_BYTES: Final = 16 * 1024 * 1024


class UpdateRefused(ValueError):
    """An update that is not installed, and why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of one component; `sha256` names its bytes."""

    component: str
    version: str
    sha256: str
    size: int
    may_go_back: bool = False


def parts_of(version: str) -> tuple[int, ...]:
    """Return a version for comparing; "14.2.0(release-tasmota)" is 14.2.0. Raises UpdateRefused."""
    found = re.match(r"\d{1,6}(\.\d{1,6}){0,3}", version)
    if found is None:
        raise UpdateRefused(f"version {version!r:.40} is none: give numbers with dots, such as 1.4.2")
    numbers = [int(part) for part in found.group().split(".")]
    return tuple([*numbers, 0, 0, 0][:4])


def verified(update: Mapping[str, Any], *, key_pem: str) -> Manifest:
    """Return the manifest of an update that the co-op signed. Raises UpdateRefused."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    text, signature = update.get("manifest"), update.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str):
        raise UpdateRefused("an update has a manifest and a signature")
    if not key_pem:
        raise UpdateRefused("this hub knows no key to verify updates by")
    try:
        key = load_pem_public_key(key_pem.encode())
    except ValueError as error:
        raise UpdateRefused(f"the key to verify updates by cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UpdateRefused("the key to verify updates by is no Ed25519 key")
    try:
        key.verify(base64.b64decode(signature, validate=True), PREAMBLE + text.encode())
    except (InvalidSignature, binascii.Error):
        raise UpdateRefused("the manifest is not signed by the co-op") from None
    return manifest_in(text)


def mark_of(key_pem: str) -> str:
    """Return what people compare a key by: 20 hex digits of its SHA-256, in fours. Raises ValueError."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    der = load_pem_public_key(key_pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digits = sha256(der).hexdigest()[:20]
    return " ".join(digits[at : at + 4] for at in range(0, 20, 4))


def manifest_in(text: str) -> Manifest:
    """Return a manifest from its JSON. Raises UpdateRefused."""
    try:
        document = json.loads(text)
        manifest = Manifest(
            component=str(document["component"]),
            version=str(document["version"]),
            sha256=str(document["sha256"]),
            size=int(document["size"]),
            may_go_back=document.get("may_go_back") is True,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UpdateRefused(f"the manifest cannot be read: {error!r:.80}") from error
    parts_of(manifest.version)
    if not re.fullmatch(r"[0-9a-f]{64}", manifest.sha256) or not 0 < manifest.size <= LARGEST_BYTES:
        raise UpdateRefused("the manifest names no file that a hub can take")
    return manifest
