"""Identifiers that carry no meaning: random, never derived from a person, an address or a meter number."""

from __future__ import annotations

import secrets
import uuid


def new_uuid() -> uuid.UUID:
    """A random (version 4) UUID."""
    return uuid.uuid4()


def uuid_or_none(text: str) -> uuid.UUID | None:
    """The UUID that a text from outside names; None where it names none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def random_token(bits: int = 128) -> str:
    """At least `bits` of system randomness as lower-case hexadecimal, safe in URLs, XML and file names."""
    if bits < 64:
        raise ValueError(f"a token of {bits} bits can be guessed: use 64 or more")
    return secrets.token_hex((bits + 7) // 8)


def random_tokens(count: int) -> list[str]:
    """So many tokens of 128 bits, as `random_token`, with the system asked once."""
    digits = secrets.token_hex(16 * count)
    return [digits[start : start + 32] for start in range(0, 32 * count, 32)]
