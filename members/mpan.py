"""Meter point administration numbers: the 13-digit core printed on every British electricity bill."""

from __future__ import annotations

from typing import NewType

Mpan = NewType("Mpan", str)

WEIGHTS = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)


def check_digit(first_twelve: str) -> str:
    """The thirteenth digit: the weighted sum of the first twelve, modulo 11, modulo 10."""
    return str(
        sum(int(digit) * weight for digit, weight in zip(first_twelve, WEIGHTS, strict=True)) % 11 % 10
    )


def has_valid_check_digit(mpan: str) -> bool:
    """True when the last digit fits; a wrong one is worth a second look, not a refusal."""
    return mpan[-1:] == check_digit(mpan[:12])
