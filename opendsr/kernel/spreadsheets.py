"""Text in files that people open in a spreadsheet."""

from __future__ import annotations

from typing import Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def inert(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: one that would gets an apostrophe in front."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
