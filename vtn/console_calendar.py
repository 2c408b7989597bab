"""Staff page: events by month, week and day in UK time; a campaign is one entry, drafts are told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F, Func, IntegerField
from django.db.models.fields.json import KT
from django.http import HttpResponse
from django.urls import reverse
from django.utils.dateformat import format as written
from django.utils.dates import WEEKDAYS, WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import LONDON, civil_date, clock_time, day_interval, period_count
from vtn import contexts, event_calendar, sending
from vtn.console_events import STATES, known_contexts
from vtn.event_calendar import Entry, Said
from vtn.lists import chosen, paged
from vtn.models import EventDraft, EventSeries, Ven, VenGroup
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, show

VIEWS: Final = {"month": _lazy("Month"), "week": _lazy("Week"), "day": _lazy("Day")}
FIRST_DAY, LAST_DAY = date(2000, 2, 1), date(2099, 11, 30)
QUARTERS: Final = (
    (0, _lazy("Night")),
    (6, _lazy("Morning")),
    (12, _lazy("Afternoon")),
    (18, _lazy("Evening")),
)
MOST_IN_CELL: Final = {"month": 4, "week": 12, "day": event_calendar.MOST_ENTRIES}
MOST_DRAFTS: Final = 500
DRAFT: Final = "draft"
LINKED: Final = {"ven_id": "ven", "group": "group", "market_context": "market", "state": "state"}
"""The filters as an address names them."""
ENTRY_TAGS: Final = {
    "active": ("good", _lazy("Active")),
    "cancelled": ("bad", _lazy("Cancelled")),
    "completed": ("", _lazy("Completed")),
    "pending": ("info", _lazy("To come")),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """An event not sent yet, as the calendar shows it."""

    draft_id: UUID
    starts_at: datetime
    duration_seconds: int
    market_context: str
    said: str
    vens: int


@require_GET
@door(Deed.SEE)
def calendar(request: StaffRequest) -> HttpResponse:
    """What is on and when; the view, the day and the filters stay in the address."""
    at = clock.now()
    today = civil_date(at)
    view, day = chosen(request, "view", tuple(VIEWS)) or "month", _day(request, today)
    days = days_of(view, day)
    span = Interval(day_interval(days[0]).starts_at, day_interval(days[-1]).ends_at)
    filters = _filters(request)
    found = _entries(span, filters, at=at)
    is_cut = len(found) > event_calendar.MOST_ENTRIES
    found = found[: event_calendar.MOST_ENTRIES]
    drafts = _drafts(span, filters) if request.principal.may(Deed.MANAGE_EVENTS) else []
    by_day = _by_day([*found, *drafts], days)
    shown_by_day, pager = {each: rows[: MOST_IN_CELL[view]] for each, rows in by_day.items()}, None
    if view == "day":
        shown_by_day[day], pager = paged(request, by_day[day])
    items = _items(shown_by_day, filters, at=at)
    cells = {
        each: _cell(each, items[each], len(by_day[each]), view=view, day=day, today=today, filters=filters)
        for each in days
    }
    is_empty = not any(by_day.values())
    context = {
        "view": view,
        "views": [(name, words, _url(name, day, filters)) for name, words in VIEWS.items()],
        "title": title_of(view, day),
        "previous_url": _url(view, moved(view, day, -1), filters),
        "next_url": _url(view, moved(view, day, 1), filters),
        "today_url": _url(view, today, filters),
        "is_today": today in days and (view != "month" or (today.year, today.month) == (day.year, day.month)),
        "day": day,
        "zones": _zones(span),
        "changes": [each for each in map(clock_change, days) if each],
        "weekdays": [WEEKDAYS[number] for number in range(7)],
        "quarters": [_quarter_words(number) for number in range(len(QUARTERS))],
        "weeks": _weeks(days, cells, filters) if view == "month" else [],
        "cells": list(cells.values()),
        "pager": pager,
        "filters": filters,
        "is_filtered": any(filters.values()),
        "all_url": _url(view, day, {}),
        "states": [*STATES.items(), (DRAFT, _("Draft"))],
        "groups": list(VenGroup.objects.order_by("name").values_list("name", flat=True)),
        "contexts": known_contexts(filters["market_context"]),
        "is_cut": is_cut,
        "most_entries": event_calendar.MOST_ENTRIES,
        "is_empty": is_empty,
        "nearest": _nearest(span, view) if is_empty and not any(filters.values()) else [],
    }
    return show(request, "vtn/event_calendar.html", context, section="events")


def days_of(view: str, day: date) -> list[date]:
    """The civil days of a view: of a month its whole weeks, from Monday."""
    if view == "day":
        return [day]
    first, last = day, day
    if view == "month":
        first = day.replace(day=1)
        last = moved("month", first, 1) - timedelta(days=1)
    first -= timedelta(days=first.weekday())
    last += timedelta(days=6 - last.weekday())
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def moved(view: str, day: date, steps: int) -> date:
    """The day by which the view one step on or back is named."""
    if view == "day":
        return day + timedelta(days=steps)
    if view == "week":
        return day + timedelta(days=7 * steps)
    number = day.year * 12 + day.month - 1 + steps
    return date(number // 12, number % 12 + 1, 1)


def title_of(view: str, day: date) -> str:
    """The view in words: November 2026; Week 48: 23 to 29 November 2026."""
    if view == "month":
        return written(day, "F Y")
    if view == "day":
        return written(day, "l j F Y")
    days = days_of("week", day)
    first, last = days[0], days[-1]
    form = "j" if first.month == last.month else "j F" if first.year == last.year else "j F Y"
    return _("Week %(number)s: %(first)s to %(last)s") % {
        "number": first.isocalendar().week,
        "first": written(first, form),
        "last": written(last, "j F Y"),
    }


def clock_change(day: date) -> str:
    """What the clocks do on the day; "" on a day of 24 hours."""
    count = period_count(day)
    if count == 48:
        return ""
    words = {"day": written(day, "l j F")}
    if count > 48:
        return (
            _("%(day)s has 25 hours: the clocks go back, and 01:00 to 02:00 comes twice, in BST and in GMT.")
            % words
        )
    return _("%(day)s has 23 hours: the clocks go forward, and there is no 01:00 to 02:00.") % words


def _day(request: StaffRequest, today: date) -> date:
    with suppress(ValueError):
        asked = date.fromisoformat(request.GET.get("day", ""))
        return min(max(asked, FIRST_DAY), LAST_DAY)
    return today


def _filters(request: StaffRequest) -> dict[str, str]:
    return {
        "ven_id": request.GET.get("ven", "").replace("\0", "").strip()[:64],
        "group": request.GET.get("group", "").replace("\0", "")[:64],
        "market_context": request.GET.get("market", "").replace("\0", "")[:200],
        "state": chosen(request, "state", (*STATES, DRAFT)),
    }


def _entries(span: Interval, filters: Mapping[str, str], *, at: datetime) -> list[Entry]:
    return [] if filters["state"] == DRAFT else event_calendar.entries(span, at=at, **filters)


def _drafts(span: Interval, filters: Mapping[str, str]) -> list[Draft]:
    """Drafts that start in the span, under the same filters."""
    if filters["state"] not in ("", DRAFT):
        return []
    # A start is kept as text with its offset: the text narrows it to a day, the instant decides.
    margin = timedelta(days=1)
    rows = EventDraft.objects.filter(published_at=None).annotate(
        start=KT("content__starts_at"),
        vens=Func(F("ven_ids"), function="jsonb_array_length", output_field=IntegerField()),
    )
    rows = rows.filter(
        start__gte=f"{span.starts_at - margin:%Y-%m-%d}", start__lt=f"{span.ends_at + margin:%Y-%m-%d}"
    )
    if filters["ven_id"]:
        rows = rows.filter(ven_ids__has_key=filters["ven_id"])
    if filters["group"]:
        members = Ven.objects.filter(groups__name=filters["group"]).values_list("ven_id", flat=True)
        rows = rows.filter(ven_ids__has_any_keys=list(members))
    if filters["market_context"]:
        rows = rows.filter(content__market_context=filters["market_context"])
    found = []
    for draft_id, content, vens in rows.order_by("start", "pk").values_list("draft_id", "content", "vens")[
        :MOST_DRAFTS
    ]:
        with suppress(KeyError, TypeError, ValueError, IndexError):
            starts_at = datetime.fromisoformat(content["starts_at"]).astimezone(UTC)
            if span.starts_at <= starts_at < span.ends_at:
                found.append(_draft(draft_id, content, vens, starts_at))
    return found


def _draft(draft_id: UUID, content: Mapping[str, Any], vens: int, starts_at: datetime) -> Draft:
    signals = [
        {**each, "intervals": [(part["duration_seconds"], part["value"]) for part in each["intervals"]]}
        for each in content["signals"]
    ]
    lasting = sum(seconds for seconds, _value in signals[0]["intervals"])
    said = event_calendar.words(signals)
    return Draft(draft_id, starts_at, lasting, content.get("market_context", ""), said, vens)


def _by_day(rows: Iterable[Entry | Draft], days: Sequence[date]) -> dict[date, list[Entry | Draft]]:
    """Each civil day's entries, by start; what runs over midnight is on both days."""
    found: dict[date, list[Entry | Draft]] = {each: [] for each in days}
    for each in sorted(rows, key=lambda each: each.starts_at):
        first, last = civil_date(each.starts_at), civil_date(each.starts_at)
        if isinstance(each, Entry) and each.runs_until > each.starts_at:
            last = civil_date(each.runs_until - timedelta(microseconds=1))
        day = max(first, days[0])
        while day <= min(last, days[-1]):
            found[day].append(each)
            day += timedelta(days=1)
    return found


def _items(
    by_day: Mapping[date, Sequence[Entry | Draft]], filters: Mapping[str, str], *, at: datetime
) -> dict[date, list[dict[str, Any]]]:
    """What the template shows of each day; two queries for all of them, one more where some are by hand."""
    shown = {id(each): each for rows in by_day.values() for each in rows}.values()
    said = event_calendar.said_by([each for each in shown if isinstance(each, Entry)])
    series = _series_of(
        [each.draft_id for each in shown if isinstance(each, Draft)],
        [each.key for each in said.values()],
    )
    names = contexts.names()
    found = {}
    for day, rows in by_day.items():
        found[day] = [
            _draft_item(each, day, series)
            if isinstance(each, Draft)
            else _entry_item(each, said[each.pk], day, series, filters, at=at)
            for each in rows
            if isinstance(each, Draft) or each.pk in said
        ]
        for item in found[day]:
            item["context_name"] = names.get(item["market_context"], item["market_context"])
    return found


def _series_of(draft_ids: Iterable[UUID], keys: Iterable[str]) -> dict[UUID, UUID]:
    """The series of those that are times of one, by the key of the time."""
    times = set(draft_ids)
    for key in keys:
        maker, _colon, rest = key.partition(":")
        with suppress(ValueError):
            if maker == sending.HAND:
                times.add(UUID(rest.partition(":")[0]))
    if not times:
        return {}
    wanted = list(map(str, times))
    rows = EventSeries.objects.filter(times__has_any_keys=wanted).values_list("series_id", "times")
    return {UUID(time): series_id for series_id, its_times in rows for time in its_times}


def _entry_item(
    entry: Entry,
    said: Said,
    day: date,
    series: Mapping[UUID, UUID],
    filters: Mapping[str, str],
    *,
    at: datetime,
) -> dict[str, Any]:
    state = entry.state(at=at)
    tag, words = ENTRY_TAGS[state]
    is_one_thing = entry.contents == 1
    series_id = None
    if said.key.startswith(f"{sending.HAND}:"):
        with suppress(ValueError):
            series_id = series.get(UUID(said.key.split(":")[1]))
    return {
        "time": _time_words(entry.starts_at, entry.ends_at, day, is_ended=state == "cancelled"),
        "starts_at": entry.starts_at,
        "title": event_calendar.words(said.signals) if is_one_thing else event_calendar.names(said.signals),
        "contents": entry.contents,
        "url": _events_url(entry, said, filters),
        "events": entry.events,
        "cancelled": entry.cancelled if entry.cancelled < entry.events else 0,
        "undelivered": entry.events - entry.delivered,
        "is_over": at >= entry.closes_at,
        "tag": tag,
        "state": words,
        "state_code": state,
        "is_test": entry.is_test,
        "market_context": entry.market_context,
        "series_id": series_id,
        "quarter": _quarter(entry.starts_at, day),
    }


def _draft_item(draft: Draft, day: date, series: Mapping[UUID, UUID]) -> dict[str, Any]:
    ends_at = draft.starts_at + timedelta(seconds=draft.duration_seconds) if draft.duration_seconds else None
    return {
        "time": _time_words(draft.starts_at, ends_at, day, is_ended=False),
        "starts_at": draft.starts_at,
        "title": draft.said,
        "url": f"{reverse('vtn:event_compose')}?{urlencode({'draft': draft.draft_id})}",
        "is_draft": True,
        "vens": draft.vens,
        "market_context": draft.market_context,
        "series_id": series.get(draft.draft_id),
        "quarter": _quarter(draft.starts_at, day),
    }


def _events_url(entry: Entry, said: Said, filters: Mapping[str, str]) -> str:
    """One event's page, or the list of all of the entry, under the same filters."""
    if entry.events == 1:
        return reverse("vtn:event_detail", args=[said.event_id])
    kept = {LINKED[name]: value for name, value in filters.items() if value}
    alike = {"like": said.event_id} | ({} if entry.contents == 1 else {"any": "yes"})
    return f"{reverse('vtn:event_list')}?{urlencode(kept | alike)}"


def _time_words(starts_at: datetime, ends_at: datetime | None, day: date, *, is_ended: bool) -> str:
    """When it is, told on one of its days; the zone is named in the hour that comes twice."""
    begins = clock_time(starts_at)
    if is_ended:
        return begins
    if ends_at is None:
        return _("%(time)s, until cancelled") % {"time": begins}
    ends, last = clock_time(ends_at), civil_date(ends_at)
    is_midnight = ends == "00:00" and last == day + timedelta(days=1)
    if last > day and not is_midnight:
        ends = f"{WEEKDAYS_ABBR[last.weekday()]} {ends}"
    if civil_date(starts_at) < day:
        begins = f"{WEEKDAYS_ABBR[civil_date(starts_at).weekday()]} {begins}"
    return f"{begins}–{'24:00' if is_midnight else ends}"


def _quarter(starts_at: datetime, day: date) -> int:
    """Which quarter of the civil day it is shown in; what began before is in the first."""
    return 0 if civil_date(starts_at) < day else starts_at.astimezone(LONDON).hour // 6


def _quarter_words(number: int) -> dict[str, Any]:
    first, words = QUARTERS[number]
    return {"words": words, "hours": f"{first:02}:00–{first + 6:02}:00"}


def _cell(
    each: date,
    items: list[dict[str, Any]],
    count: int,
    *,
    view: str,
    day: date,
    today: date,
    filters: Mapping[str, str],
) -> dict[str, Any]:
    by_quarter = defaultdict(list)
    for item in items:
        by_quarter[item["quarter"]].append(item)
    return {
        "day": each,
        "weekday": WEEKDAYS[each.weekday()],
        "short": written(each, "j M" if each.day == 1 else "j"),
        "label": written(each, "l j F"),
        "url": _url("day", each, filters),
        "items": items,
        "quarters": [by_quarter[number] for number in range(len(QUARTERS))],
        "more": count - len(items) if view != "day" else 0,
        "is_today": each == today,
        "is_outside": view == "month" and each.month != day.month,
        "hours": period_count(each) // 2,
        "is_changed": period_count(each) != 48,
    }


def _weeks(
    days: Sequence[date], cells: Mapping[date, dict[str, Any]], filters: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "number": days[first].isocalendar().week,
            "url": _url("week", days[first], filters),
            "cells": [cells[each] for each in days[first : first + 7]],
            "has_items": any(cells[each]["items"] for each in days[first : first + 7]),
        }
        for first in range(0, len(days), 7)
    ]


def _zones(span: Interval) -> str:
    """The zones of the span's ends: GMT, or BST, then GMT."""
    ends = (span.starts_at, span.ends_at - timedelta(microseconds=1))
    names = dict.fromkeys(str(each.astimezone(LONDON).tzname()) for each in ends)
    return _(", then ").join(names)


def _nearest(span: Interval, view: str) -> list[dict[str, Any]]:
    """Where there is something, before and after a span that is empty."""
    labels = (_("The latest before"), _("The next after"))
    return [
        {"words": words, "day": civil_date(each), "url": _url(view, civil_date(each), {})}
        for words, each in zip(labels, event_calendar.nearest(span), strict=True)
        if each is not None
    ]


def _url(view: str, day: date, filters: Mapping[str, str]) -> str:
    kept = {LINKED[name]: value for name, value in filters.items() if value}
    return f"{reverse('vtn:event_calendar')}?{urlencode({'view': view, 'day': day.isoformat()} | kept)}"
