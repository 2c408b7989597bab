"""What the co-op sets for itself, without whoever runs the machine: each with a kind, bounds and a default.

A value set is a row with who, when and why; the newest of a key is in force, null is the default. Secrets and
addresses of services stay in the environment. A setting is read where it is used, a query each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction

from opendsr.kernel import audit, logos
from opendsr.kernel.errors import Invalid
from opendsr.kernel.models import HouseSetting, Installation

COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
LEAST_CONTRAST: Final = 4.5
"""Of white letters on the colour: WCAG 2.2, 1.4.3."""
LONGEST_WHY: Final = 200

ON_INSTALLATION: Final = frozenset({"coop_name", "colour", "logo"})
"""Kept on the installation's own row as well, which every page reads."""

Value = int | str


class SettingInvalid(Invalid):
    """A value that cannot be: `field` names the setting, `reason` what it has to be."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting: its default, and a reader that gives the value or raises ValueError with what it has to
    be.
    """

    key: str
    default: Callable[[], Value]
    read: Callable[[str], Value]


def whole(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers in [least, most]."""

    def read(text: str) -> int:
        found = text.strip()
        if not re.fullmatch(r"\d{1,6}", found, re.ASCII) or not least <= int(found) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(found)

    return read


def line(longest: int) -> Callable[[str], str]:
    """A reader of one line of text."""

    def read(text: str) -> str:
        found = " ".join(text.split())
        if not found or len(found) > longest or not found.isprintable():
            raise ValueError(f"one line of 1 to {longest} characters")
        return found

    return read


def colour(text: str) -> str:
    """A colour such as #0b6b4f on which white letters can be read; empty is none of its own."""
    found = text.strip().lower()
    if found and (not COLOUR.fullmatch(found) or contrast_to_white(found) < LEAST_CONTRAST):
        raise ValueError("a colour such as #0b6b4f, dark enough for white letters")
    return found


def contrast_to_white(hex_colour: str) -> float:
    """How white letters stand out on it: the contrast ratio of WCAG 2.2, 1 to 21."""
    parts = [int(hex_colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


SPECS: Final[Mapping[str, Spec]] = {
    spec.key: spec
    for spec in (
        Spec("coop_name", lambda: "", line(200)),
        Spec("colour", lambda: "", colour),
        Spec("logo", lambda: "", logos.known),
        Spec("quiet_from_hour", lambda: 21, whole(18, 23)),
        Spec("quiet_to_hour", lambda: 8, whole(5, 11)),
        Spec("notices_a_day", lambda: settings.NOTICES_A_DAY, whole(1, 50)),
        Spec("step_up_minutes", lambda: settings.STEP_UP_MINUTES, whole(1, 240)),
    )
}


def value(key: str) -> Value:
    """What is in force: the newest value set, else the default."""
    newest = HouseSetting.objects.filter(key=key).order_by("-pk").first()
    return _in_force(key, newest)


def number(key: str) -> int:
    """The same, of a setting that is a number."""
    return int(value(key))


def newest() -> dict[str, HouseSetting]:
    """The newest row of each setting that was ever set."""
    rows = HouseSetting.objects.filter(key__in=SPECS).order_by("key", "-pk").distinct("key")
    return {row.key: row for row in rows}


@transaction.atomic
def put(*, key: str, text: str | None, why: str, at: datetime, by: str) -> HouseSetting | None:
    """Set one thing from what somebody typed, or with None back to its default; None when nothing changes.

    The co-op's name is the installation's from then on. Raises SettingInvalid.
    """
    spec = SPECS.get(key)
    if spec is None:
        raise SettingInvalid(field=key, reason="a setting there is")
    reason = " ".join(why.split())[:LONGEST_WHY]
    if not reason or not reason.isprintable():
        raise SettingInvalid(field="why", reason="a few words on why")
    installation = Installation.objects.select_for_update().get()
    before = HouseSetting.objects.filter(key=key).order_by("-pk").first()
    try:
        found = None if text is None else spec.read(text)
    except ValueError as error:
        raise SettingInvalid(field=key, reason=str(error)) from None
    was = installation.coop_name if key == "coop_name" else _in_force(key, before)
    if key == "coop_name" and found is None:
        raise SettingInvalid(field=key, reason="one line of 1 to 200 characters")
    if found == was or (found is None and (before is None or before.value is None)):
        return None
    if key == "coop_name" and before is None:  # the name it was founded with is part of the history
        HouseSetting.objects.create(
            key=key, value=was, why="Founded", set_at=installation.founded_at, set_by="first run"
        )
    if key in ON_INSTALLATION:
        setattr(installation, key, "" if found is None else found)
        installation.save(update_fields=[key])
    made = HouseSetting.objects.create(key=key, value=found, why=reason, set_at=at, set_by=by)
    audit.record(at=at, actor=by, verb="house.set", target=f"setting:{key}", detail={"value": found})
    return made


def _in_force(key: str, row: HouseSetting | None) -> Value:
    found: Value | None = None if row is None else row.value
    return SPECS[key].default() if found is None else found
