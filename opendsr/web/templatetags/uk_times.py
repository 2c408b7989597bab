"""Times in templates: UK local, with the zone named in the hour that comes twice."""

from __future__ import annotations

from datetime import datetime

from django import template

from opendsr.web import wording

register = template.Library()
DAY = "j M Y"


@register.filter
def uk_time(at: datetime | None) -> str:
    """An instant in a column: 14 Jan 2026, 13:00; nothing of none."""
    return f"{wording.day(at, DAY)}, {wording.clock_time(at)}" if at else ""


@register.filter
def uk_second(at: datetime | None) -> str:
    """An instant to the second: 14 Jan 2026, 13:00:05; nothing of none."""
    return f"{wording.day(at, DAY)}, {wording.clock_second(at)}" if at else ""
