"""Times that come again: some weekdays, some hours, a season. Pure; London wall time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from opendsr.kernel.periods import LONDON, civil_date, is_left_out

EVERY_DAY: Final = 0b111_1111
SEASON_DAY: Final = r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
DAY: Final = timedelta(days=1)
CLOCKS_CHANGE: Final = time(1)
"""In UTC, of either change."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`weekdays`: a bit each, Monday the lowest. Hours that end before they begin run past midnight and
    belong to the day they begin on; none are the whole day. `season_from`, `season_to`: MM-DD, both included;
    none are the whole year, and a season may run over New Year.
    """

    weekdays: int = EVERY_DAY
    from_time: time | None = None
    to_time: time | None = None
    season_from: str = ""
    season_to: str = ""

    @property
    def is_always(self) -> bool:
        return self == Recurrence()

    def is_on(self, day: date) -> bool:
        """True when the day is one of its weekdays, in its season."""
        if not self.weekdays & 1 << day.weekday():
            return False
        if not self.season_from:
            return True
        mark = f"{day:%m-%d}"
        if self.season_from <= self.season_to:
            return self.season_from <= mark <= self.season_to
        return mark >= self.season_from or mark <= self.season_to

    def touches(self, starts_at: datetime, ends_at: datetime) -> bool:
        """True when any moment of [starts_at, ends_at) is one of its times."""
        if self.is_always:
            return ends_at > starts_at
        day, last = civil_date(starts_at) - DAY, civil_date(ends_at)
        while day <= last:
            if self.is_on(day):
                opens, closes = self._window(day)
                if max(opens, starts_at) < min(closes, ends_at):
                    return True
            day += DAY
        return False

    def _window(self, day: date) -> tuple[datetime, datetime]:
        from_time, to_time = self.from_time or time(), self.to_time or time()
        closes_on = day + DAY if to_time <= from_time else day
        return _moments(day, from_time)[0], _moments(closes_on, to_time)[-1]


def _moments(day: date, local: time) -> list[datetime]:
    """UTC of a UK local time: both where it comes twice, the clocks' change where they leave it out."""
    at = datetime.combine(day, local)
    if is_left_out(at):
        return [datetime.combine(day, CLOCKS_CHANGE, UTC)]
    return [at.replace(tzinfo=LONDON, fold=fold).astimezone(UTC) for fold in (0, 1)]


def season_day(text: str) -> str | None:
    """Return a day of the year as MM-DD from 12-24 or --12-24; None when it is none."""
    found = text.strip().removeprefix("--")
    if not re.fullmatch(SEASON_DAY, found, re.ASCII):
        return None
    month, day = (int(part) for part in found.split("-"))
    return found if day <= (29, 30, 31)[(month != 2) + (month in (1, 3, 5, 7, 8, 10, 12))] else None


def written(rule: Recurrence) -> dict[str, Any]:
    """Return a recurrence as plain JSON, for facts."""
    return {
        "weekdays": rule.weekdays,
        "from_time": rule.from_time.isoformat("minutes") if rule.from_time else None,
        "to_time": rule.to_time.isoformat("minutes") if rule.to_time else None,
        "season_from": rule.season_from,
        "season_to": rule.season_to,
    }


def read(document: dict[str, Any]) -> Recurrence:
    """Return the recurrence that `written` wrote; facts of before there were any are always."""
    return Recurrence(
        weekdays=int(document.get("weekdays", EVERY_DAY)),
        from_time=time.fromisoformat(document["from_time"]) if document.get("from_time") else None,
        to_time=time.fromisoformat(document["to_time"]) if document.get("to_time") else None,
        season_from=str(document.get("season_from", "")),
        season_to=str(document.get("season_to", "")),
    )
