"""The one-time code that an installer types into a new hub: made, read back and compared.

A hundred random bits as five groups of four letters and digits; only its hash is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that nothing is mistaken for a digit."""
GROUPS: Final = 5
GROUP_LENGTH: Final = 4
MISTAKEN: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def new_code() -> str:
    """A fresh code, such as `7K3M-Q8XN-0R5T-WZ2B-H6VD`."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))


def code_sha256(code: str) -> str:
    """The hash kept instead of the code; spacing, case and easily mistaken letters do not matter."""
    return hashlib.sha256(code.strip().upper().translate(MISTAKEN).encode("utf-8", "replace")).hexdigest()


def is_code(code: str, sha256: str) -> bool:
    """True when the code has this hash; takes as long whether it matches or not."""
    return hmac.compare_digest(code_sha256(code), sha256)
