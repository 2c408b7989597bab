"""The same event again and again: on chosen weekdays at one local time, sent at once or kept as drafts.

Each time is an event (or a draft) of its own from then on, changed and cancelled by itself; the series as it
was written is kept beside them, so that it is listed, a time is skipped and the rest is called off. The first
of a series has the key that was written; the others have keys made of it and their start, so that pressing
twice makes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Substr

from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.periods import LONDON, bank_holidays_england_wales
from opendsr.kernel.plain import json_object
from vtn import notices, sending
from vtn.content import EventContent
from vtn.models import Event, EventDraft, EventSeries

LONGEST_DAYS: Final = 366
MOST_TIMES: Final = 100
MOST_EVENTS: Final = 20_000


class SeriesInvalid(Invalid):
    """No such series: `field`, `reason`."""


class SeriesEnded(DomainError):
    """The series was ended, so nothing more is written into it: `series_id`, `reason`."""


class TimeSkipped(DomainError):
    """The time was left out of its series: `series_id`, `reason`."""


class UnknownSeries(NotFound):
    """No such series: `series_id`."""


class UnknownTime(NotFound):
    """The series has no time on that day: `day`, `reason`."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """On which weekdays, counted from Monday, 0, until which civil day, included."""

    weekdays: tuple[int, ...]
    until: date
    skips_holidays: bool = False


@dataclass(frozen=True, slots=True)
class Time:
    """One time of a series as it stands: `state` is draft, sent or skipped.

    `events` counts the VENs that were sent it, `cancelled` those of them to whom it was called off.
    """

    time_id: UUID
    day: date
    starts_at: datetime
    state: str
    draft_id: UUID | None
    events: int
    cancelled: int


STATES: Final = ("draft", "sent", "skipped")


def starts(starts_at: datetime, rhythm: Rhythm) -> list[datetime]:
    """When a series starts, in UTC: at the local time of `starts_at`, from its day to the last, included.

    A time that the clocks leave out is an hour later on the clock that day; of one that they show twice it is
    the former, but on the first day, which starts as written. Raises SeriesInvalid for none, or more than
    MOST_TIMES.
    """
    local = starts_at.astimezone(LONDON)
    until = rhythm.until
    days = (until - local.date()).days + 1
    if not 0 < days <= LONGEST_DAYS:
        raise SeriesInvalid(
            field="repeat_until",
            reason=f"{until:%d %B %Y} is before the start or over a year after it: write a day in between",
        )
    found = []
    for day in (local.date() + timedelta(days=number) for number in range(days)):
        is_left_out = rhythm.skips_holidays and day in bank_holidays_england_wales(day.year)
        if day.weekday() in rhythm.weekdays and not is_left_out:
            later = datetime.combine(day, local.time().replace(fold=0), LONDON)
            found.append((local if day == local.date() else later).astimezone(UTC))
    if not found:
        raise SeriesInvalid(
            field="repeat_until", reason="no chosen weekday lies in between: write a later day"
        )
    if len(found) > MOST_TIMES:
        raise SeriesInvalid(
            field="repeat_until", reason=f"{len(found)} times, at most {MOST_TIMES}: write an earlier day"
        )
    return found


def events_of(content: EventContent, key: UUID, rhythm: Rhythm | None) -> dict[UUID, EventContent]:
    """What a series says by key, in the order of its starts; without a rhythm the one event.

    Raises SeriesInvalid, NoticeInvalid.
    """
    if rhythm is None:
        return {key: content}
    notices.require_start(content)
    starting = starts(content.starts_at, rhythm)
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
def write_events(
    contents: Mapping[UUID, EventContent],
    rhythm: Rhythm | None,
    *,
    sends: bool,
    shown: Callable[[EventContent], Mapping[str, Any]],
    ven_ids: Sequence[str],
    at: datetime,
    by: str,
) -> list[str]:
    """Send every event of `events_of` or keep each as a draft: all or none; the event ids of those sent.

    With a rhythm the series is kept as written. `shown` gives content as the API does. The same keys again
    are the same events, and what was skipped meanwhile stays so. Raises SeriesEnded, TimeSkipped.
    """
    skipped: set[UUID] = set()
    if rhythm is not None:
        skipped = _keep(contents, rhythm, shown=shown, ven_ids=ven_ids, at=at, by=by)
    else:
        _require_open(contents)
    sent: list[str] = []
    for key, content in contents.items():
        if key in skipped:
            continue
        given = shown(content)
        if sends:
            sent += sending.send_written(content=content, shown=given, ven_ids=ven_ids, key=key, at=at, by=by)
        else:
            sending.save_draft(draft_id=key, content=given, ven_ids=ven_ids, at=at, by=by)
    return sent


def series(series_id: UUID) -> EventSeries:
    """The series as it was written; raises UnknownSeries."""
    found = EventSeries.objects.filter(series_id=series_id).first()
    if found is None:
        raise UnknownSeries(series_id=series_id)
    return found


def times_of(row: EventSeries) -> list[Time]:
    """What became of each time of a series, by its events and drafts, in order."""
    by_time = Substr("key", len(sending.HAND) + 2, 36)
    sent = Event.objects.filter(sent_in(row)).annotate(time_id=by_time)
    counts = sent.values_list("time_id").annotate(
        events=Count("pk"), cancelled=Count("pk", filter=Q(cancelled_at__isnull=False))
    )
    counted = {UUID(key): (events, cancelled) for key, events, cancelled in counts.order_by()}
    drafts = EventDraft.objects.filter(draft_id__in=row.times, published_at=None)
    unsent = set(drafts.values_list("draft_id", flat=True))
    found = []
    for key, starts_at in row.starts():
        events, cancelled = counted.get(key, (0, 0))
        state = "sent" if events > cancelled else "draft" if key in unsent else "skipped"
        day, draft_id = starts_at.astimezone(LONDON).date(), key if key in unsent else None
        found.append(Time(key, day, starts_at, state, draft_id, events, cancelled))
    return found


def day_named(text: str) -> date:
    """The civil day that an address names; raises UnknownTime."""
    with suppress(ValueError):
        return datetime.strptime(text, "%Y-%m-%d").date()
    raise UnknownTime(day=text, reason=f"{text[:20]!r} is no day: write it as 2026-12-16")


def sent_in(row: EventSeries) -> Q:
    """Narrows events to those of a series."""
    return _sent_at(row.times)


@transaction.atomic
def skip_time(*, series_id: UUID, day: date, reason: str, at: datetime, by: str) -> bool:
    """Leave out the series' time on a civil day: its draft is deleted, or its events are called off.

    False: again, or after its end, which changes nothing. Raises UnknownSeries, UnknownTime.
    """
    row = _locked(series_id)
    keys = [key for key, starts_at in row.starts() if starts_at.astimezone(LONDON).date() == day]
    if not keys:
        raise UnknownTime(day=day, reason=f"the series has no time on {day}: take a day of its times")
    cancelled, deleted = _call_off(keys, _sent_at(keys) & Q(closes_at__gt=at), reason=reason, at=at)
    if not cancelled and not deleted:
        return False
    row.skipped = [*row.skipped, *map(str, keys)]
    row.save(update_fields=["skipped"])
    _record("vtn.series.time_skipped", row, at=at, by=by, day=day, events=cancelled, reason=reason)
    return True


@transaction.atomic
def end_series(*, series_id: UUID, reason: str, at: datetime, by: str) -> bool:
    """End a series: its drafts are deleted, its events that have not started are called off.

    What runs goes on to its end. False: again, which changes nothing. Raises UnknownSeries.
    """
    row = _locked(series_id)
    if row.ended_at is not None:
        return False
    to_come = _sent_at(row.times) & Q(starts_at__gt=at)
    cancelled, _ = _call_off(list(map(UUID, row.times)), to_come, reason=reason, at=at)
    row.ended_at = at
    row.save(update_fields=["ended_at"])
    _record("vtn.series.ended", row, at=at, by=by, events=cancelled, reason=reason)
    return True


def _keep(
    contents: Mapping[UUID, EventContent],
    rhythm: Rhythm,
    *,
    shown: Callable[[EventContent], Mapping[str, Any]],
    ven_ids: Sequence[str],
    at: datetime,
    by: str,
) -> set[UUID]:
    """Write the series down under its first key, beside the times that it had; those that were skipped."""
    series_id, first = next(iter(contents.items()))
    written = {
        "content": json_object(shown(first)),
        "ven_ids": list(ven_ids),
        "weekdays": list(rhythm.weekdays),
        "repeat_until": rhythm.until,
        "skips_holidays": rhythm.skips_holidays,
    }
    times = {str(key): content.starts_at.isoformat() for key, content in contents.items()}
    row, is_new = EventSeries.objects.select_for_update().get_or_create(
        series_id=series_id, defaults={**written, "times": times, "created_at": at, "created_by": by}
    )
    if is_new:
        return set()
    if row.ended_at is not None:
        raise SeriesEnded(series_id=series_id, reason="this series was ended: write a new one")
    for name, value in written.items():
        setattr(row, name, value)
    row.times |= times
    row.save(update_fields=[*written, "times"])
    return set(map(UUID, row.skipped))


def _require_open(keys: Iterable[UUID]) -> None:
    """Raise where a draft of a series, still open on somebody's page, was left out of it meanwhile."""
    for key in map(str, keys):
        row = EventSeries.objects.select_for_update().filter(times__has_key=key).first()
        if row is not None and row.ended_at is not None:
            raise SeriesEnded(series_id=row.series_id, reason="this series was ended: write a new event")
        if row is not None and key in row.skipped:
            reason = "this time was skipped in its series: write a new event"
            raise TimeSkipped(series_id=row.series_id, reason=reason)


def _sent_at(keys: Iterable[object]) -> Q:
    """Narrows events to those of times, whichever VENs they went to."""
    found = Q(pk__in=[])
    for key in keys:
        found |= Q(key__startswith=f"{sending.HAND}:{key}:")
    return found


def _locked(series_id: UUID) -> EventSeries:
    return EventSeries.objects.select_for_update().get(pk=series(series_id).pk)


def _call_off(keys: Sequence[UUID], wanted: Q, *, reason: str, at: datetime) -> tuple[int, int]:
    """Delete the drafts that were not sent, call the wanted events off: how many of each, events first.

    Drafts go first: one that is being sent meanwhile is waited for, and is an event then.
    """
    drafts = EventDraft.objects.select_for_update().filter(draft_id__in=keys, published_at=None)
    unsent = list(drafts.order_by("pk").values_list("pk", flat=True))
    EventDraft.objects.filter(pk__in=unsent).delete()
    return sending.cancel_found(Event.objects.filter(wanted), reason=reason, at=at), len(unsent)


def _record(verb: str, row: EventSeries, *, at: datetime, by: str, **detail: object) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"vtn_series:{row.series_id}", detail=detail)
