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
        start=_start(draw),
        end=_end(draw),
        home=home,
        asset=asset,
    )


def _start(draw: reporting.Draw) -> str:
    if draw.start_delay_seconds is None:
        return wording.NOTHING
    return _when(draw.starts_at, draw.start_delay_seconds) if draw.starts_at else _("called off before")


def _end(draw: reporting.Draw) -> str:
    """The time, or how long after it was called off; nothing where it had not begun by then."""
    never_began = draw.start_delay_seconds is not None and draw.starts_at is None
    if draw.end_delay_seconds is None or never_began:
        return wording.NOTHING
    if draw.ends_at is None:
        return _("%(delay)s after it was called off") % {"delay": live_board.minutes(draw.end_delay_seconds)}
    return _when(draw.ends_at, draw.end_delay_seconds)


def _when(at: datetime, delay_seconds: int) -> str:
    """The time and how much later it is."""
    told = {"time": wording.clock_second(at), "delay": live_board.minutes(delay_seconds)}
    return _("%(time)s, %(delay)s later") % told
