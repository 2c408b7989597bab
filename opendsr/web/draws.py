"""When each asset of an event started and ended as its hub drew within the spread, in words.

For the event report's page, with the homes' names, and for the evidence pack's PDF, without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns import reporting
from campaigns.models import Participation
from campaigns.reporting import EventReport
from opendsr.web import live_board, wording


@dataclass(frozen=True, slots=True)
class DrawRow:
    """One asset's start and end; `home` and `asset` are "" where nobody is named."""

    kind: str
    start: str
    end: str
    home: str = ""
    asset: str = ""


def note(report: EventReport, spread_seconds: int) -> str:
    """Of how many of the assets asked the hub told its draw, and how far it could draw."""
    words = {
        "told": f"{report.drawn:,}",
        "asked": f"{report.sent:,}",
        "spread": live_board.minutes(spread_seconds),
    }
    return _("Told by the hubs of %(told)s of %(asked)s assets; each draws up to %(spread)s.") % words


def rows(parts: Iterable[Participation]) -> list[DrawRow]:
    """Draws of nobody by name; the parts come with their `asset__kind`."""
    return [_row(part, reporting.draw_of(part)) for part in parts]


def named_rows(parts: Iterable[Participation]) -> list[DrawRow]:
    """Draws with the home's and the asset's name; the parts come with `asset__kind` and `occupancy__home`."""
    return [
        _row(part, reporting.draw_of(part), home=part.occupancy.home.name, asset=part.asset.name)
        for part in parts
    ]


def _row(part: Participation, draw: reporting.Draw, *, home: str = "", asset: str = "") -> DrawRow:
    return DrawRow(
        kind=part.asset.kind.name,
        start=_when(draw.starts_at, draw.start_delay_seconds),
        end=_when(draw.ends_at, draw.end_delay_seconds),
        home=home,
        asset=asset,
    )


def _when(at: datetime | None, delay_seconds: int | None) -> str:
    """The time and how much later it is; without a time, the delay counts from the calling off."""
    if delay_seconds is None:
        return wording.NOTHING
    delay = live_board.minutes(delay_seconds)
    if at is None:
        return _("%(delay)s after it was called off") % {"delay": delay}
    return _("%(time)s, %(delay)s later") % {"time": wording.clock_second(at), "delay": delay}
