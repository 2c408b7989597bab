"""Settings from the environment, with errors that name the variable, the value and the fix.

An unset or empty variable takes the default, None included; without a default it is required. Read by
`opendsr.settings`, the clock, the broker and the key ring.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final, Literal, TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
D = TypeVar("D")


class Required(Enum):
    """Marks a variable that has no default."""

    IT = 1


REQUIRED: Final = Required.IT
RequiredType = Literal[Required.IT]

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


def env_str(name: str, default: D | RequiredType = REQUIRED) -> str | D:
    """The variable's text, stripped."""
    return _read(name, default, lambda text: text, "text")


def env_bool(name: str, default: D | RequiredType = REQUIRED) -> bool | D:
    """True for 1/true/yes/on, False for 0/false/no/off, in any case; anything else is an error."""
    return _read(name, default, _parse_bool, "one of true, false, 1, 0, yes, no, on, off")


def env_int(name: str, default: D | RequiredType = REQUIRED) -> int | D:
    """A whole number."""
    return _read(name, default, int, "a whole number, such as 30")


def env_float(name: str, default: D | RequiredType = REQUIRED) -> float | D:
    """A number; infinities and NaN are errors."""
    return _read(name, default, _parse_float, "a number, such as 2.5")


def env_list(name: str, default: D | RequiredType = REQUIRED) -> list[str] | D:
    """Comma separated items, stripped, empty ones dropped."""
    return _read(name, default, _parse_list, "comma separated items, such as a,b,c")


def env_secret(name: str, default: D | RequiredType = REQUIRED) -> str | D:
    """The secret in NAME, or in the file named by NAME_FILE, stripped; both set is an error.

    The value never appears in an error.
    """
    path = os.environ.get(f"{name}_FILE", "").strip()
    text = os.environ.get(name, "").strip()
    if path and text:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one and unset the other.")
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ImproperlyConfigured(
                f"{name}_FILE={path!r} cannot be read ({reason}): "
                f"point it at a readable text file that holds the secret."
            ) from error
        if not text:
            raise ImproperlyConfigured(f"{name}_FILE={path!r} is empty: write the secret into that file.")
    if text:
        return text
    if isinstance(default, Required):
        raise ImproperlyConfigured(
            f"{name} is not set: set {name} to the secret, or {name}_FILE to a file that holds it."
        )
    return default


def _read(name: str, default: D | RequiredType, parse: Callable[[str], T], wanted: str) -> T | D:
    text = os.environ.get(name, "").strip()
    if not text:
        if isinstance(default, Required):
            raise ImproperlyConfigured(f"{name} is not set: set it to {wanted}.")
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={text!r} is not understood: set it to {wanted}.") from error


def _parse_bool(text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(text)


def _parse_float(text: str) -> float:
    number = float(text)
    if number - number != 0.0:
        raise ValueError(text)
    return number


def _parse_list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
