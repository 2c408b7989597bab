"""Who may call a webhook: whoever signs body and time with the secret that the provider was given.

`X-Signature: t=1700000000,v1=HEX`, HMAC-SHA-256 of "t.body" under NOTICE_HOOK_SECRET, at most five
minutes old.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

from opendsr.kernel.errors import NotAllowed

HEADER: Final = "X-Signature"
TOLERANCE_SECONDS: Final = 300
FORM: Final = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})", re.ASCII)


class SignatureWrong(NotAllowed):
    """The call is not signed, not with our secret, or too long ago."""


def sign(body: bytes, *, secret: str, wall: datetime) -> str:
    """The header's value, as the provider makes it."""
    stamp = str(int(wall.timestamp()))
    return f"t={stamp},v1={_mac(stamp, body, secret)}"


def verify(body: bytes, given: str, *, secret: str, wall: datetime) -> None:
    """Raise SignatureWrong unless the header fits the body; without a secret nobody may call."""
    found = FORM.fullmatch(given.strip())
    if not secret or found is None:
        raise SignatureWrong()
    stamp, mac = found.groups()
    is_fresh = abs(wall.timestamp() - int(stamp)) <= TOLERANCE_SECONDS
    if not hmac.compare_digest(mac, _mac(stamp, body, secret)) or not is_fresh:
        raise SignatureWrong()


def _mac(stamp: str, body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
