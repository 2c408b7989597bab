"""What is kept of a month once it was worked out, and what came after each event; see `kpis/`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settlement.models.runs import SettlementRun


class EventAfter(models.Model):
    """The hours after an event, of the homes that took part: what they used and what they usually use then.

    Worked out once a run. Empty half-hours, with `why_not`, where the run's rule cannot tell.
    """

    run = models.OneToOneField(
        SettlementRun, primary_key=True, on_delete=models.PROTECT, related_name="hours_after"
    )
    half_hours = models.JSONField(help_text="[start, baseline Wh, metered Wh, homes measured]")
    why_not = models.CharField(max_length=40, blank=True)
    worked_out_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "hours after events"

    def __str__(self) -> str:
        return f"after {self.run_id}"


class MonthFigures(models.Model):
    """The figures of one month as the page shows them; `mark` says what they rest on."""

    starts_on = models.DateField(primary_key=True, help_text="First Europe/London date of the month")
    figures = models.JSONField()
    mark = models.CharField(max_length=64)
    worked_out_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "figures of months"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(starts_on__day=1), name="monthfigures_of_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_on:%Y-%m}"
