"""How long after an event's start and end a VEN acts, within startafter, told in words that both ends know.

OpenADR lets a VEN draw its delay and has no element to tell it. A hub of ours tells it in the description of
its answer (oadrCreatedEvent, responseDescription), as JSON; what else stands there is no such telling:

    {"start_seconds": {"ev-1": 240}, "end_seconds": {"ev-1": 240}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MOST_RESOURCES: Final = 200
LONGEST_ID: Final = 100
LONGEST_SECONDS: Final = 86_400
LONGEST_TEXT: Final = 16_384
STARTS: Final = "start_seconds"
ENDS: Final = "end_seconds"


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds after the event's start, and after its end or its being called off, by resource id."""

    start_seconds: Mapping[str, int] = field(default_factory=dict)
    end_seconds: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.start_seconds or self.end_seconds)


def written(delays: Delays) -> str:
    """The description that tells them; "" where there is nothing to tell."""
    told = {STARTS: dict(delays.start_seconds), ENDS: dict(delays.end_seconds)}
    return json.dumps({name: each for name, each in told.items() if each}) if delays else ""


def read(description: str) -> Delays | None:
    """What a description tells, None when it is none of ours or anything in it is out of bounds."""
    if not description.startswith("{") or len(description) > LONGEST_TEXT:
        return None
    try:
        told = json.loads(description)
    except (ValueError, RecursionError):
        return None
    parts = {name: told.get(name, {}) for name in (STARTS, ENDS)}
    if not all(_is_sound(each) for each in parts.values()):
        return None
    return Delays(**parts) or None


def _is_sound(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and len(told) <= MOST_RESOURCES
        and all(0 < len(name) <= LONGEST_ID and name.isprintable() for name in told)
        and all(type(each) is int and 0 <= each <= LONGEST_SECONDS for each in told.values())
    )
