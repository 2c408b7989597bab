"""Consents that have turned another year old: their households are reminded of them, once a year."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db.models import Q

from members.models import Consent
from opendsr.kernel.periods import civil_date

PIECE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Renewal:
    """A consent in force and how many whole years it has been so."""

    consent: Consent
    years: int


def whole_years(first: date, day: date) -> int:
    """Anniversaries of `first` up to and including `day`; one of 29 February falls on 1 March. Pure."""
    return day.year - first.year - ((day.month, day.day) < (first.month, first.day))


def due(at: datetime) -> Iterator[Renewal]:
    """Consents in force at `at` that are a year old or more (London dates), by id."""
    today = civil_date(at)
    in_force = Consent.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=at), starts_at__lt=at)
    old = in_force.filter(starts_at__date__lte=_a_year_before(today))
    for consent in old.select_related("occupancy").order_by("pk").iterator(chunk_size=PIECE):
        years = whole_years(civil_date(consent.starts_at), today)
        if years:
            yield Renewal(consent, years)


def _a_year_before(day: date) -> date:
    return day.replace(year=day.year - 1) if (day.month, day.day) != (2, 29) else date(day.year - 1, 3, 1)
