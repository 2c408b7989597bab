"""The same event again and again: on chosen weekdays at one local time, sent at once or kept as drafts.

Each time is an event (or a draft) of its own from then on, changed and cancelled by itself. The first of a
series has the key that was written; the others have keys made of it and their start, so that pressing twice
makes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import transaction

from opendsr.kernel.errors import Invalid
from opendsr.kernel.periods import LONDON, bank_holidays_england_wales
from vtn import sending
from vtn.content import EventContent

LONGEST_DAYS: Final = 366
MOST_TIMES: Final = 100
MOST_EVENTS: Final = 20_000


class SeriesInvalid(Invalid):
    """No such series: `field`, `reason`."""


def starts(
    starts_at: datetime, *, weekdays: Collection[int], until: date, skips_holidays: bool
) -> list[datetime]:
    """When a series starts, in UTC: at the local time of `starts_at`, from its day to `until`, both included.

    `weekdays` counts from Monday, 0. A time that the clocks leave out is an hour later on the clock that
    day. Raises SeriesInvalid for none, or more than MOST_TIMES.
    """
    local = starts_at.astimezone(LONDON)
    days = (until - local.date()).days + 1
    if not 0 < days <= LONGEST_DAYS:
        raise SeriesInvalid(
            field="repeat_until",
            reason=f"{until:%d %B %Y} is before the start or over a year after it: write a day in between",
        )
    found = []
    for day in (local.date() + timedelta(days=number) for number in range(days)):
        is_left_out = skips_holidays and day in bank_holidays_england_wales(day.year)
        if day.weekday() in weekdays and not is_left_out:
            found.append(datetime.combine(day, local.time(), LONDON).astimezone(UTC))
    if not found:
        raise SeriesInvalid(
            field="repeat_until", reason="no chosen weekday lies in between: write a later day"
        )
    if len(found) > MOST_TIMES:
        raise SeriesInvalid(
            field="repeat_until", reason=f"{len(found)} times, at most {MOST_TIMES}: write an earlier day"
        )
    return found


def series(content: EventContent, key: UUID, starting: Sequence[datetime]) -> dict[UUID, EventContent]:
    """The events of a series by key."""
    keys = [key, *(uuid5(key, at.isoformat()) for at in starting[1:])]
    return {each: replace(content, starts_at=at) for each, at in zip(keys, starting, strict=True)}


def require_few(times: int, vens: int) -> None:
    """Raise SeriesInvalid for more events than are written at once."""
    if times > 1 and times * vens > MOST_EVENTS:
        raise SeriesInvalid(
            field="repeat_until",
            reason=f"{times} times {vens} VENs, at most {MOST_EVENTS} events: write an earlier day, or fewer",
        )


@transaction.atomic
def send_series(
    contents: Mapping[UUID, EventContent],
    *,
    shown: Callable[[EventContent], Mapping[str, Any]],
    ven_ids: Sequence[str],
    at: datetime,
    by: str,
) -> list[str]:
    """Send every event of a series or none; returns the event ids. `shown` gives content as the API does."""
    sent = []
    for key, content in contents.items():
        sent += sending.send_written(
            content=content, shown=shown(content), ven_ids=ven_ids, key=key, at=at, by=by
        )
    return sent


@transaction.atomic
def keep_series(
    contents: Mapping[UUID, EventContent],
    *,
    shown: Callable[[EventContent], Mapping[str, Any]],
    ven_ids: Sequence[str],
    at: datetime,
    by: str,
) -> None:
    """Keep every event of a series as a draft of its own, or none."""
    for key, content in contents.items():
        sending.save_draft(draft_id=key, content=shown(content), ven_ids=ven_ids, at=at, by=by)
