"""Beside a use: what it would cost at the half-hourly price the co-op follows, and what its making emitted.

Exact sums of whole Wh and ten-thousandths of a rate, rounded once. Half-hours whose rate is not known are
left out and counted, never taken for free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from metering import rates
from metering.models import HalfHourlyRate
from metering.slots import Bools, Ints
from opendsr.web import wording

Kind = HalfHourlyRate.Kind


@dataclass(frozen=True, slots=True)
class Weighed:
    """Use times rate of each half-hour, in `unit` parts of a whole, and where both are known; 0 elsewhere."""

    amount: Ints
    is_known: Bools
    unit: int

    def total(self) -> int | None:
        """Whole units of all, rounded half up; None when nothing of it is known."""
        return self._units(int(self.amount.sum())) if self.is_known.any() else None

    def totals(self) -> list[int | None]:
        """The same of each row."""
        is_known = np.asarray(self.is_known.any(axis=1)).tolist()
        amounts = self.amount.sum(axis=1).tolist()
        return [self._units(each) if known else None for each, known in zip(amounts, is_known, strict=True)]

    def _units(self, amount: int) -> int:
        return (2 * amount + self.unit) // (2 * self.unit)


@dataclass(frozen=True, slots=True)
class Beside:
    """Of each half-hour read: its cost in millipence and its carbon in grams."""

    cost: Weighed
    carbon: Weighed


def beside(used_wh: Ints, is_read: Bools, slots: Ints) -> Beside:
    """The rates of slots beside their use; places of no slot (-1) have none."""
    asked = slots[slots >= 0]
    first, past = int(asked.min()), int(asked.max()) + 1
    price, carbon = (rates.of_slots(kind, first, past) for kind in (Kind.IMPORT_PRICE, Kind.CARBON))
    return Beside(
        weighed(used_wh, is_read, slots - first, *price, unit=rates.SCALE),
        weighed(used_wh, is_read, slots - first, *carbon, unit=1_000 * rates.SCALE),
    )


def weighed(used_wh: Ints, is_read: Bools, place: Ints, rate: Ints, is_known: Bools, *, unit: int) -> Weighed:
    """Use times the rate at its place; below zero is no place. Pure."""
    there: Bools = is_known[np.maximum(place, 0)] & is_read & (place >= 0)
    amount: Ints = np.where(there, rate[np.maximum(place, 0)] * used_wh, 0)
    return Weighed(amount, there, unit)


def rate_words(kind: Kind, slots: Ints) -> tuple[list[float | None], list[str]]:
    """The rates of consecutive slots, for a figure and for a column."""
    value, is_known = rates.of_slots(kind, int(slots[0]), int(slots[-1]) + 1)
    numbers = [
        rate / rates.SCALE if known else None
        for rate, known in zip(value.tolist(), is_known.tolist(), strict=True)
    ]
    digits = 0 if kind is Kind.CARBON else 2
    return numbers, [wording.NOTHING if number is None else f"{number:,.{digits}f}" for number in numbers]


def sentence(cost_mp: int | None, carbon_g: int | None, unpriced: int = 0) -> str:
    """Cost and carbon in words, empty when neither is known."""
    words = []
    if cost_mp is not None and carbon_g is not None:
        said = _("At the half-hourly price that comes to %(cost)s; making it emitted %(carbon)s kg of CO₂.")
        words.append(said % {"cost": wording.money(cost_mp), "carbon": kilograms(carbon_g)})
    elif cost_mp is not None:
        words.append(_("At the half-hourly price that comes to %(cost)s.") % {"cost": wording.money(cost_mp)})
    elif carbon_g is not None:
        words.append(_("Making it emitted %(carbon)s kg of CO₂.") % {"carbon": kilograms(carbon_g)})
    if cost_mp is not None and unpriced:
        left = ngettext(
            "%(n)s half-hour without a price is left out.",
            "%(n)s half-hours without a price are left out.",
            unpriced,
        )
        words.append(left % {"n": f"{unpriced:,}"})
    return " ".join(words)


def kilograms(grams: int | None) -> str:
    """Carbon in kg to 100 g; an unknown amount is a dash."""
    return wording.NOTHING if grams is None else f"{grams / 1000:,.1f}"


def pounds(mp: int | None) -> str:
    """Cost for a column; an unknown amount is a dash."""
    return wording.NOTHING if mp is None else wording.money(mp)
