"""Words that settlement's records are kept in."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class Floor(models.TextChoices):
    """Over what span using more than the baseline counts against what was delivered (`delivery.Floor`)."""

    EVENT = "event", _lazy("Netted over the event, never below zero")
    HALF_HOUR = "half_hour", _lazy("Each half-hour for itself, never below zero")


class Cap(models.TextChoices):
    """What a half-hour can earn at most (`delivery.Cap`)."""

    NONE = "none", _lazy("All that was delivered")
    INSTRUCTED = "instructed", _lazy("At most what was instructed, in each half-hour")


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

    TOOK_PART = "took_part", _lazy("Took part")
    SILENT = "silent", _lazy("Hub fetched the event and did not answer")
    OVERRIDDEN = "overridden", _lazy("Took part until it was overridden")
    OPTED_OUT = "opted_out", _lazy("Opted out")
    NOT_REACHED = "not_reached", _lazy("Hub never fetched the event")
    DEVICE_ERROR = "device_error", _lazy("A device failed")
    HELD_OUT = "held_out", _lazy("Held out to compare with")


class Outcome(models.TextChoices):
    """How a household's part in an event ended, once its meter has spoken (`delivery.outcome_of`)."""

    DELIVERED = "delivered", _lazy("Delivered")
    PARTIAL = "partial", _lazy("Partial")
    OVERRIDDEN = "overridden", _lazy("Overridden")
    OPTED_OUT = "opted_out", _lazy("Opted out")
    UNRESPONSIVE = "unresponsive", _lazy("Unresponsive")
    DEVICE_ERROR = "device_error", _lazy("Device error")
    HELD_OUT = "held_out", _lazy("Held out")
    NOT_MEASURED = "not_measured", _lazy("Not measured")


class RoundKind(models.TextChoices):
    """What a round's figures are worth."""

    PROVISIONAL = "provisional", _lazy("Provisional")
    FINAL = "final", _lazy("Final")
    CORRECTION = "correction", _lazy("Correction")


class Verdict(models.TextChoices):
    """How a round was decided."""

    APPROVED = "approved", "Approved and posted"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Component(models.TextChoices):
    """What a posting is for."""

    AMOUNT = "amount", _lazy("Amount")
    REVENUE = "revenue", _lazy("Owed by the buyer")
    COOP = "coop", _lazy("The co-op's share")
    FUND = "fund", _lazy("The community fund's share")
    FLOOR = "floor", _lazy("The same for every home that took part")
    ENERGY = "energy", _lazy("By what was delivered")
    AVAILABILITY = "availability", _lazy("By standing ready")
    EQUAL = "equal", _lazy("In equal parts")
    GIFT = "gift", _lazy("Given to the community fund")
    PAYMENT = "payment", _lazy("Paid out")
    RETURNED = "returned", _lazy("Payment that came back")
    REMITTANCE = "remittance", _lazy("Paid by the buyer")
    DISPUTE = "dispute", _lazy("Held apart until agreed")
    ROUNDING = "rounding", _lazy("Less than a penny")
    SURPLUS = "surplus", _lazy("Surplus by the members' vote")
    WRITE_OFF = "write_off", _lazy("Written off")
