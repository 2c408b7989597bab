"""This room's part of the record of processing."""

from __future__ import annotations

from typing import Final

from members.processing import CONSENT, INTEREST
from opendsr.kernel.processing import Processing

RECORD: Final = (
    Processing(
        models=("campaigns.PlanLine", "campaigns.Participation", "campaigns.OptRecord"),
        what="which home was asked what, when it answered what, what came of it",
        purpose="running events, and paying for them",
        basis=CONSENT,
        keeping="six years, with the statements that rest on it",
        recipients="buyers of flexibility: totals of an event, never a home",
    ),
    Processing(
        models=("campaigns.HomeTariff", "campaigns.HomePlan", "campaigns.HomePlanLine"),
        what="which tariff a household is on, and what its devices do each night because of it",
        purpose="running the household's devices when its own electricity is cheapest",
        basis=CONSENT,
        keeping="six years, as events are",
    ),
    Processing(
        models=("campaigns.Campaign", "campaigns.Freeze"),
        what="which member of staff made and approved an event, or froze all sending",
        purpose="two pairs of eyes, and knowing whose",
        basis=INTEREST,
        keeping="six years",
    ),
)
