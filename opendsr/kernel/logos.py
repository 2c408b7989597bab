"""The co-op's logo: kept under its digest, served by it, and carried inside documents that fetch nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from typing import Final

from opendsr.kernel import installation
from opendsr.kernel.models import HouseLogo

LONGEST_SIDE: Final = 320
"""Pixels, twice what the largest place for it shows."""
MOST_BYTES: Final = 100_000
"""It is on every page."""


def keep(png: bytes, *, at: datetime) -> str:
    """Keep a PNG made anew, once however often it comes; returns its digest.

    Raises ValueError past MOST_BYTES.
    """
    if len(png) > MOST_BYTES:
        raise ValueError(f"a picture of at most {MOST_BYTES // 1000} kB once it is made smaller")
    digest = hashlib.sha256(png).hexdigest()
    HouseLogo.objects.get_or_create(digest=digest, defaults={"png": png, "kept_at": at})
    return digest


def known(text: str) -> str:
    """The digest of a logo that is kept, or empty for none of its own; raises ValueError otherwise."""
    digest = text.strip()
    is_kept = re.fullmatch(r"[0-9a-f]{64}", digest) and HouseLogo.objects.filter(pk=digest).exists()
    if digest and not is_kept:
        raise ValueError("a PNG, WebP or JPEG picture")
    return digest


def png(digest: str) -> bytes | None:
    """The picture of that digest."""
    found = HouseLogo.objects.filter(pk=digest).first()
    return None if found is None else bytes(found.png)


def data_uri() -> str:
    """The logo in force as a `data:` address; empty where the co-op has none."""
    body = png(installation.current().logo)
    return "" if body is None else f"data:image/png;base64,{base64.b64encode(body).decode()}"
