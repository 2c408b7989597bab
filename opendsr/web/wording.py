"""How quantities, times and states are written on every page and in the demo's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date as date_type
from datetime import datetime
from functools import lru_cache
from typing import Final

from django.utils import dateformat
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from opendsr.kernel import money as exact
from opendsr.kernel import periods
from opendsr.kernel.money import MP_PER_PENNY, MP_PER_POUND
from opendsr.kernel.periods import LONDON

NOTHING: Final = "–"
BESIDE_SHOWN: Final = 3
LONG_DAY, SHORT_DAY = "l j F Y", "D j M Y"

STATES: Final[Mapping[str, tuple[str | Promise, str]]] = {
    "draft": (_lazy("Draft"), ""),
    "planned": (_lazy("Planned"), "info"),
    "approved": (_lazy("Approved"), "info"),
    "dispatched": (_lazy("Dispatched"), "good"),
    "completed": (_lazy("Completed"), "good"),
    "cancelled": (_lazy("Cancelled"), ""),
    "sent": (_lazy("Sent"), "info"),
    "delivered_to_hub": (_lazy("With the hub"), "info"),
    "opted_in": (_lazy("Opted in"), "good"),
    "opted_out": (_lazy("Opted out"), "warn"),
    "overridden": (_lazy("Overridden"), "warn"),
    "delivered": (_lazy("Delivered"), "good"),
    "partial": (_lazy("Partial"), "warn"),
    "unresponsive": (_lazy("Unresponsive"), "bad"),
    "device_error": (_lazy("Device error"), "bad"),
    "kept_back": (_lazy("Kept back"), ""),
}
"""Word and tag colour of every state and outcome of a campaign and of a participation."""

DIRECTIONS: Final[Mapping[str, str | Promise]] = {
    "turn_down": _lazy("Use less (turn down)"),
    "turn_up": _lazy("Use more (turn up)"),
}


def state(code: str) -> str:
    """A state or outcome in a word."""
    return str(STATES[code][0])


def tag(code: str) -> str:
    """The colour class of a state's or outcome's tag."""
    return STATES[code][1] if code in STATES else ""


def kwh(wh: int | None) -> str:
    """Energy in kWh to the Wh, for columns; an unknown amount is a dash."""
    return NOTHING if wh is None else f"{wh / 1000:,.3f}"


def kw(watts: int) -> str:
    """Power in kW to 10 W, for columns."""
    return f"{watts / 1000:,.2f} kW"


def power(watts: int) -> str:
    """Power in a sentence: kW to 10 W, without idle zeros."""
    return f"{watts / 1000:,.2f}".rstrip("0").rstrip(".") + " kW"


def number(told: object) -> str:
    """A number with at most one place: 80, 7.5; what is no number as it stands."""
    try:
        return f"{float(str(told)):.1f}".removesuffix(".0")
    except ValueError:
        return str(told)[:40]


def money(mp: int) -> str:
    """What can be paid: whole pence, rounded towards zero; less than a penny is written exactly."""
    if 0 < abs(mp) < MP_PER_PENNY:
        return exact.pence(mp)
    return exact.pounds((abs(mp) // MP_PER_PENNY) * MP_PER_PENNY * (-1 if mp < 0 else 1))


def millipence(mp: int) -> str:
    """Money to the millipenny, always with five decimals so that columns align: £5.02312."""
    whole, rest = divmod(abs(mp), MP_PER_POUND)
    return f"{'-' if mp < 0 else ''}£{whole:,}.{rest:05d}"


def clock_time(at: datetime) -> str:
    """UK local time of day; the zone is named only in the hour that happens twice."""
    return periods.clock_time(at)


def clock_second(at: datetime) -> str:
    """UK local time of day to the second; the zone is named only in the hour that happens twice."""
    time, _space, zone = clock_time(at).partition(" ")
    return f"{time}:{at:%S} {zone}".rstrip()


def day(at: datetime, form: str = LONG_DAY) -> str:
    """The UK day of an instant: Thursday 15 January 2026."""
    return _written(at.astimezone(LONDON).date(), form, get_language())


def civil_day(date: date_type) -> str:
    """A UK date in a column: Thu 15 Jan 2026."""
    return _written(date, SHORT_DAY, get_language())


@lru_cache(maxsize=4096)
def _written(date: date_type, form: str, language: str | None) -> str:
    """The day in the language in force; a statement of many events writes the same few days over and over."""
    return dateformat.format(date, form)


@lru_cache(maxsize=4096)
def half_hour(starts_at: datetime, ends_at: datetime) -> str:
    """A half-hour as 17:00–17:30."""
    return f"{clock_time(starts_at)}–{clock_time(ends_at)}"


def stretch(starts_at: datetime, ends_at: datetime, *, form: str = LONG_DAY) -> str:
    """From when to when, the day named once unless it ends on another."""
    last_day = "" if day(starts_at) == day(ends_at) else f"{day(ends_at, form)}, "
    words = {
        "day": day(starts_at, form),
        "start": clock_time(starts_at),
        "end": last_day + clock_time(ends_at),
    }
    return _("%(day)s, %(start)s to %(end)s") % words


def moment(at: datetime) -> str:
    """An instant: 15 January 2026, 13:00."""
    return f"{day(at, 'j F Y')}, {clock_time(at)}"


def beside(names: Sequence[str]) -> str:
    """Which campaigns share a ramp, after the sentence about it: three by name; empty for none."""
    if not names:
        return ""
    shown = ", ".join(names[:BESIDE_SHOWN])
    if len(names) > BESIDE_SHOWN:
        return _(", beside %(names)s and %(n)s more") % {"names": shown, "n": len(names) - BESIDE_SHOWN}
    return _(", beside %(names)s") % {"names": shown}
