"""Kinds of market: what each asks of whoever enters it, as rows that staff keep up to date.

The rows that every installation begins with are typical figures, not any buyer's terms; the page says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import transaction

from campaigns.models import MarketPreset
from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid, NotFound

if TYPE_CHECKING:
    from members.models import User

LARGEST_W: Final = 2_000_000_000
LONGEST_MINUTES: Final = 1_440
MOST_NOTICE_MINUTES: Final = 10_080
FIRST: Final = (
    ("balancing", "Balancing", 30, 30, 120, 1_000_000),
    ("capacity", "Capacity", 240, 30, 240, 1_000_000),
    ("wholesale", "Wholesale", 720, 30, 240, 100_000),
    ("local", "Local network", 15, 30, 240, 10_000),
)
"""Code, name, notice, least and most minutes, least W."""


class PresetNotFound(NotFound):
    """There is no such kind of market: `code`."""

    code_asked: str


class PresetInvalid(Invalid):
    """A figure that cannot be: `field`, `reason`."""

    field: str
    reason: str


@transaction.atomic
def set_preset(
    *,
    code: str,
    notice_minutes: int,
    least_minutes: int,
    most_minutes: int,
    least_w: int,
    note: str,
    at: datetime,
    by: User,
) -> MarketPreset:
    """Put the figures of a kind of market in force; raises PresetNotFound and PresetInvalid."""
    preset = MarketPreset.objects.select_for_update().filter(pk=code).first()
    if preset is None:
        raise PresetNotFound(code_asked=code)
    ranges = (
        ("notice_minutes", notice_minutes, 0, MOST_NOTICE_MINUTES),
        ("least_minutes", least_minutes, 30, LONGEST_MINUTES),
        ("most_minutes", most_minutes, least_minutes, LONGEST_MINUTES),
        ("least_w", least_w, 1, LARGEST_W),
    )
    for field, value, least, most in ranges:
        if not least <= value <= most:
            raise PresetInvalid(field=field, reason=f"{least} to {most}")
    detail = {field: [getattr(preset, field), value] for field, value, _, _ in ranges}
    for field, value, _, _ in ranges:
        setattr(preset, field, value)
    preset.note, preset.changed_at, preset.changed_by = note.strip()[:200], at, by
    preset.save()
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="campaigns.market.preset",
        target=f"market_preset:{code}",
        detail={field: pair for field, pair in detail.items() if pair[0] != pair[1]},
    )
    return preset
