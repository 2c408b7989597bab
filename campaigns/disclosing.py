"""What this room holds about a household, for a copy of everything: what it was asked and said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from campaigns.models import (
    HomeHabit,
    HomePlan,
    HomePlanLine,
    HomeTariff,
    MarketOfferAsset,
    OptRecord,
    Participation,
    PlanLine,
)
from members.disclosing import Person
from opendsr.kernel.disclosure import Table, table_of

NOT_DISCLOSED: Final[Mapping[str, str]] = {}


def tables(whose: Person) -> Iterator[Table]:
    """Plans it is in, its parts in events, its answers, its tariffs and the plans of its nights."""
    homes = whose.occupancy_ids
    lines = PlanLine.objects.filter(occupancy__in=homes).select_related("campaign").order_by("pk")
    yield table_of(lines, model=PlanLine, title="Plans with your home in them", more=CAMPAIGN)
    parts = Participation.objects.filter(occupancy__in=homes).select_related("campaign")
    yield table_of(
        parts.order_by("starts_at", "pk"), model=Participation, title="Your parts in events", more=CAMPAIGN
    )
    opts = OptRecord.objects.filter(participation__occupancy__in=homes).order_by("received_at", "pk")
    yield table_of(opts, model=OptRecord, title="Your answers to events")
    held = MarketOfferAsset.objects.filter(occupancy__in=homes).order_by("starts_at", "pk")
    yield table_of(held, model=MarketOfferAsset, title="Offers to buyers with a device of yours in them")
    habits = HomeHabit.objects.filter(occupancy__in=homes).order_by("pk")
    yield table_of(habits, model=HomeHabit, title="What your home usually uses, and how often it took part")
    tariffs = HomeTariff.objects.filter(occupancy__in=homes).order_by("starts_at", "pk")
    yield table_of(tariffs, model=HomeTariff, title="Your tariffs")
    nights = HomePlan.objects.filter(occupancy__in=homes).order_by("night", "pk")
    yield table_of(nights, model=HomePlan, title="Plans of your nights")
    lines_of_nights = HomePlanLine.objects.filter(plan__occupancy__in=homes).order_by("plan__night", "pk")
    yield table_of(lines_of_nights, model=HomePlanLine, title="What each device was to do in them")


CAMPAIGN: Final[Mapping[str, Any]] = {
    "event": lambda row: row.campaign.name,
    "event_starts_at": lambda row: row.campaign.starts_at,
    "event_ends_at": lambda row: row.campaign.ends_at,
}
