"""Beside the money: what events saved in carbon and at half-hourly prices, by the rates the co-op follows.

Nobody is paid by it and it is no part of a statement's numbers or hash: rates come from files of others, may
be missing, and may be read in later. Only the event's own half-hours are looked at, not what came after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from metering import rates
from metering.models import HalfHourlyRate
from metering.slots import slot_of
from settlement.event_views import EventView
from settlement.savings import Saving, carbon_saved_g, tariff_saved_mp

Kind = HalfHourlyRate.Kind


@dataclass(frozen=True, slots=True)
class EventSavings:
    """Grams of CO2, and millipence at the price of electricity used; below zero when there was more of it."""

    carbon: Saving
    bill: Saving


def event_savings(events: Sequence[EventView]) -> list[EventSavings]:
    """What each event saved; two queries for all of them.

    A half-hour in which the home sends out more than it draws, or would have, has no price of use.
    """
    slots = [slot_of(each.starts_at) for event in events for each in event.half_hours]
    if not slots:
        return [EventSavings(carbon_saved_g([], [], []), tariff_saved_mp([], [], [])) for _ in events]
    first = min(slots)
    carbon, price = (_rates(kind, first, max(slots) + 1) for kind in (Kind.CARBON, Kind.IMPORT_PRICE))
    found = []
    for event in events:
        places = [slot_of(each.starts_at) - first for each in event.half_hours]
        baseline_wh = [each.baseline_wh for each in event.half_hours]
        metered_wh = [each.metered_wh for each in event.half_hours]
        prices = [
            None if min(usual or 0, used or 0) < 0 else price[place]
            for place, usual, used in zip(places, baseline_wh, metered_wh, strict=True)
        ]
        found.append(
            EventSavings(
                carbon=carbon_saved_g(baseline_wh, metered_wh, [carbon[place] for place in places]),
                bill=tariff_saved_mp(baseline_wh, metered_wh, prices),
            )
        )
    return found


def _rates(kind: Kind, first: int, past: int) -> list[Decimal | None]:
    value, known = rates.of_slots(kind, first, past)
    return [
        Decimal(one) / rates.SCALE if is_known else None
        for one, is_known in zip(value.tolist(), known.tolist(), strict=True)
    ]
