"""What was forecast that zones could turn up or down, and what was there when the time had come."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from metering.models import HalfHourGrid
from opendsr.kernel.ids import new_uuid

HALF_HOURS = 108
"""Two days from any moment until the next one is worked out, six hours later."""
QUANTILES = 3


class FlexibilityForecast(models.Model):
    """One zone, kind of asset ("" all of them) and direction, by half-hour from `starts_at`, in W.

    `there_w` is the power that is there to be moved, `asked_w` what is left of it when homes are asked and
    some say no or are silent: 10, 50 and 90 in 100, one row of half-hours after the other. `summed_w` is the
    first before anything learnt was put in, from which later ones learn; empty in rows kept before it was.
    `before_w` is the same half-hour of the latest known day, `was_w` what was there; -1 where that is not
    known.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    issued_at = models.DateTimeField()
    starts_at = models.DateTimeField()
    zone_kind = models.CharField(max_length=16)
    zone = models.CharField(max_length=60, blank=True)
    kind = models.CharField(max_length=24, blank=True, help_text="Empty: every kind")
    direction = models.CharField(max_length=16)
    assets = models.PositiveIntegerField(help_text="That may take part at some time of it")
    most_w = ArrayField(models.PositiveIntegerField(), size=HALF_HOURS)
    there_w = ArrayField(models.PositiveIntegerField(), size=QUANTILES * HALF_HOURS)
    asked_w = ArrayField(models.PositiveIntegerField(), size=QUANTILES * HALF_HOURS)
    summed_w = ArrayField(models.PositiveIntegerField(), size=QUANTILES * HALF_HOURS, null=True, blank=True)
    before_w = ArrayField(models.IntegerField(), size=HALF_HOURS)
    was_w = ArrayField(models.IntegerField(), size=HALF_HOURS, null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["zone_kind", "zone", "kind", "direction", "issued_at"],
                name="flexibilityforecast_once_an_issue",
            ),
            models.CheckConstraint(
                condition=Q(starts_at=HalfHourGrid("starts_at")), name="flexibilityforecast_on_the_grid"
            ),
            models.CheckConstraint(
                condition=Q(most_w__len=HALF_HOURS, before_w__len=HALF_HOURS)
                & Q(there_w__len=QUANTILES * HALF_HOURS, asked_w__len=QUANTILES * HALF_HOURS),
                name="flexibilityforecast_whole",
            ),
            models.CheckConstraint(
                condition=Q(summed_w=None) | Q(summed_w__len=QUANTILES * HALF_HOURS),
                name="flexibilityforecast_sums_whole",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-issued_at"], name="flexibilityforecast_newest")]

    def __str__(self) -> str:
        return f"{self.direction} in {self.zone or 'every zone'} from {self.starts_at:%Y-%m-%d %H:%M}Z"
