"""Words that settlement's records are kept in."""

from __future__ import annotations

from django.db import models


class Floor(models.TextChoices):
    """Over what span using more than the baseline counts against what was delivered (`delivery.Floor`)."""

    EVENT = "event", "Netted over the event, never below zero"
    HALF_HOUR = "half_hour", "Each half-hour for itself, never below zero"


class Cap(models.TextChoices):
    """What a half-hour can earn at most (`delivery.Cap`)."""

    NONE = "none", "All that was delivered"
    INSTRUCTED = "instructed", "At most what was instructed, in each half-hour"


class Basis(models.TextChoices):
    """Whose delivery the buyer pays for (`revenue.Basis`)."""

    HOMES = "homes", "What each home delivered, never below zero"
    PORTFOLIO = (
        "portfolio",
        "What all homes delivered together in each half-hour, at most as instructed",
    )


class OverrideCost(models.TextChoices):
    """What an override costs (`overriding.OverrideCost`)."""

    NOTHING = "nothing", "An override costs nothing: the meter decides"
    REDUCED = "reduced", "An override reduces the payment for that event"
    NO_PAYMENT = "no_payment", "An overridden event is not paid"


class Standing(models.TextChoices):
    """How a household stood in a campaign, which decides whether what its meter shows is paid."""

    TOOK_PART = "took_part", "Took part"
    SILENT = "silent", "Hub fetched the event and did not answer"
    OVERRIDDEN = "overridden", "Took part until it was overridden"
    OPTED_OUT = "opted_out", "Opted out"
    NOT_REACHED = "not_reached", "Hub never fetched the event"
    DEVICE_ERROR = "device_error", "A device failed"
    HELD_OUT = "held_out", "Held out to compare with"


class Outcome(models.TextChoices):
    """How a household's part in an event ended, once its meter has spoken (`delivery.outcome_of`)."""

    DELIVERED = "delivered", "Delivered"
    PARTIAL = "partial", "Partial"
    OVERRIDDEN = "overridden", "Overridden"
    OPTED_OUT = "opted_out", "Opted out"
    UNRESPONSIVE = "unresponsive", "Unresponsive"
    DEVICE_ERROR = "device_error", "Device error"
    HELD_OUT = "held_out", "Held out"
    NOT_MEASURED = "not_measured", "Not measured"


class RoundKind(models.TextChoices):
    """What a round's figures are worth."""

    PROVISIONAL = "provisional", "Provisional"
    FINAL = "final", "Final"
    CORRECTION = "correction", "Correction"


class Verdict(models.TextChoices):
    """How a round was decided."""

    APPROVED = "approved", "Approved and posted"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Component(models.TextChoices):
    """What a posting is for."""

    AMOUNT = "amount", "Amount"
    REVENUE = "revenue", "Owed by the buyer"
    COOP = "coop", "The co-op's share"
    FUND = "fund", "The community fund's share"
    FLOOR = "floor", "The same for every home that took part"
    ENERGY = "energy", "By what was delivered"
    AVAILABILITY = "availability", "By standing ready"
    EQUAL = "equal", "In equal parts"
    GIFT = "gift", "Given to the community fund"
    PAYMENT = "payment", "Paid out"
    RETURNED = "returned", "Payment that came back"
    REMITTANCE = "remittance", "Paid by the buyer"
    DISPUTE = "dispute", "Held apart until agreed"
    ROUNDING = "rounding", "Less than a penny"
    SURPLUS = "surplus", "Surplus by the members' vote"
    WRITE_OFF = "write_off", "Written off"
