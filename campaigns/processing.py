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
        models=("campaigns.MarketOfferAsset",),
        what="which device of a home was held for an offer to a buyer of flexibility",
        purpose="promising no device twice",
        basis=CONSENT,
        keeping="six years, as events are",
        recipients="buyers of flexibility: totals of an offer, never a home",
    ),
    Processing(
        models=("campaigns.HomeHabit",),
        what="what a home usually uses by half-hour of the day, and how often it took part when asked",
        purpose="knowing within a second what homes can give when a network operator asks",
        basis=CONSENT,
        keeping="a day; replaced each night, dropped when the consent or the stay ends",
        recipients="network operators: totals of a zone, never a home",
    ),
    Processing(
        models=("campaigns.HomeTariff", "campaigns.HomePlan", "campaigns.HomePlanLine"),
        what="which tariff a household is on, and what its devices do each night because of it",
        purpose="running the household's devices when its own electricity is cheapest",
        basis=CONSENT,
        keeping="six years, as events are",
    ),
    Processing(
        models=(
            "campaigns.Campaign",
            "campaigns.Freeze",
            "campaigns.ServicingContract",
            "campaigns.ServicingSignal",
            "campaigns.CampaignRule",
            "campaigns.MarketPreset",
            "campaigns.MarketParty",
            "campaigns.MarketRequest",
            "campaigns.MarketOffer",
            "campaigns.MarketOrder",
            "campaigns.MarketStretch",
            "campaigns.MarketAvailability",
            "campaigns.MarketTold",
            "campaigns.UftpIdentity",
            "campaigns.UftpTerms",
            "campaigns.UftpPoint",
            "campaigns.UftpMessage",
            "campaigns.OperatorVtn",
            "campaigns.OperatorPlace",
            "campaigns.OperatorEvent",
            "campaigns.OperatorReport",
            "campaigns.OperatorMessage",
        ),
        what="which member of staff approved an event, froze all sending, agreed to a contract or rule, "
        "took a buyer's request in, offered or declared for it",
        purpose="two pairs of eyes, and knowing whose",
        basis=INTEREST,
        keeping="six years",
    ),
)
