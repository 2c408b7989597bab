"""What a kWh costs a home: tariffs and their half-hours, who is on which, and each home's plan of a night.

A tariff is either followed half-hour by half-hour (Octopus) or given by bands of the London day (Economy 7).
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeBoundary, RangeOperators
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from members.models import TsTzRange
from metering.models import HalfHourGrid
from opendsr.kernel.ids import new_uuid


class Tariff(models.Model):
    """One tariff of one region. `product_code` is set where its rates are fetched from Octopus."""

    code = models.CharField(
        max_length=60, primary_key=True, validators=[RegexValidator(r"^[A-Za-z0-9._-]+\Z")]
    )
    name = models.CharField(max_length=80)
    product_code = models.CharField(max_length=40, blank=True, help_text="Octopus product; empty: by bands")
    demand_pence_per_kw = models.PositiveIntegerField(
        default=0, help_text="A month, on the highest half-hour; 0: no demand charge"
    )
    asked_at = models.DateTimeField(null=True, blank=True, help_text="World time of the latest request")

    def __str__(self) -> str:
        return self.name


class TariffBand(models.Model):
    """A price from a time of the London day on, until the next band of the tariff."""

    tariff = models.ForeignKey(Tariff, on_delete=models.CASCADE, related_name="bands")
    from_time = models.TimeField()
    pence_per_kwh = models.DecimalField(max_digits=9, decimal_places=4, help_text="With VAT")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tariff", "from_time"], name="tariffband_once_a_time"),
        ]

    def __str__(self) -> str:
        return f"{self.from_time:%H:%M}: {self.pence_per_kwh} p"


class TariffRate(models.Model):
    """The price of one half-hour, with VAT."""

    pk = models.CompositePrimaryKey("tariff_id", "starts_at")
    tariff = models.ForeignKey(Tariff, on_delete=models.CASCADE, related_name="rates")
    starts_at = models.DateTimeField()
    pence_per_kwh = models.DecimalField(max_digits=9, decimal_places=4)
    known_at = models.DateTimeField(help_text="World time")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(starts_at=HalfHourGrid("starts_at")), name="tariffrate_on_the_half_hour_grid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M}Z: {self.pence_per_kwh} p"


class HomeTariff(models.Model):
    """A household's tariff while it holds, half-open; a household that moves takes it nowhere."""

    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="tariffs")
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, related_name="homes")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="hometariff_runs_forward"
            ),
            ExclusionConstraint(
                name="hometariff_one_at_a_time",
                expressions=[
                    ("occupancy", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tariff_id} from {self.starts_at:%Y-%m-%d}"


class HomePlan(models.Model):
    """The least-cost plan of one home from noon of `night` to the next noon, in London.

    Costs are of energy and of what the night adds to a demand charge, which stands apart too.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    night = models.DateField(help_text="Europe/London date on whose noon it begins")
    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="home_plans")
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    cost_mp = models.BigIntegerField()
    unplanned_cost_mp = models.BigIntegerField(help_text="The same need without a plan")
    left_out = models.CharField(max_length=24, blank=True, help_text="Why it was not sent")
    peak_w = models.PositiveIntegerField(
        null=True, blank=True, help_text="The home's highest half-hour with the plan; empty: no demand charge"
    )
    peak_so_far_w = models.PositiveIntegerField(
        null=True, blank=True, help_text="The month's highest half-hour when it was planned"
    )
    unplanned_peak_w = models.PositiveIntegerField(
        null=True, blank=True, help_text="The highest half-hour if everything started by itself"
    )
    demand_cost_mp = models.BigIntegerField(default=0, help_text="What its peak adds to the month's charge")
    unplanned_demand_cost_mp = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["night", "occupancy"], name="homeplan_one_a_night"),
        ]

    def __str__(self) -> str:
        return f"{self.night}: {self.cost_mp} mp"

    @property
    def saved_mp(self) -> int:
        """What the plan saves against doing nothing."""
        return self.unplanned_cost_mp - self.cost_mp


class HomePlanLine(models.Model):
    """One asset's power by half-hour of the plan (46, 48 or 50), and its cost with and without the plan."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    plan = models.ForeignKey(HomePlan, on_delete=models.CASCADE, related_name="lines")
    asset = models.ForeignKey("assets.Asset", on_delete=models.PROTECT, related_name="+")
    power_w = ArrayField(models.PositiveIntegerField())
    unplanned_power_w = ArrayField(models.PositiveIntegerField())
    cost_mp = models.BigIntegerField()
    unplanned_cost_mp = models.BigIntegerField()
    shortfall_wh = models.PositiveIntegerField(default=0, help_text="Of the need, what the time cannot hold")
    vtn_event_id = models.CharField(max_length=80, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="When it was called off or refused")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["plan", "asset"], name="homeplanline_one_per_asset"),
        ]
        indexes: ClassVar = [models.Index(fields=["vtn_event_id"], name="homeplanline_by_event")]

    def __str__(self) -> str:
        return f"{self.asset_id}: {self.cost_mp} mp"
