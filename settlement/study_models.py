"""The record of a placebo study: what was asked, how far it is, and the scores when it is done."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid


class PlaceboStudy(models.Model):
    """Pretend events on event-free days, to see how far baseline rules are off; kept as it came out.

    `scores` holds plain JSON of `baselines.placebo.RuleScore`, homes by occupancy id.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    programme = models.ForeignKey(
        "campaigns.Programme", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    rules = models.JSONField(help_text="The baseline rules in full, in the order asked")
    earliest_date = models.DateField(help_text="First Europe/London day that may carry a pretend event")
    latest_date = models.DateField(help_text="Last such day")
    ordinal = models.PositiveSmallIntegerField(help_text="Half-hours from local midnight to the start")
    half_hours = models.PositiveSmallIntegerField()
    seed = models.PositiveIntegerField(help_text="Of the sample of homes and of the intervals")
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    steps_done = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)
    homes = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    scores = models.JSONField(default=list)
    failure = models.CharField(max_length=300, blank=True, default="")
    asked_by = models.CharField(max_length=80)
    asked_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True, help_text="Wall clock: a worker is at it")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "placebo studies"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(latest_date__gte=F("earliest_date")), name="placebostudy_runs_forward"
            ),
            models.CheckConstraint(
                condition=Q(ordinal__lt=48, half_hours__gte=1, half_hours__lte=12)
                & Q(ordinal__lte=48 - F("half_hours")),
                name="placebostudy_within_a_day",
            ),
            models.CheckConstraint(
                condition=Q(steps_done__lte=F("steps")), name="placebostudy_never_past_the_end"
            ),
            models.CheckConstraint(
                condition=Q(state__in=("queued", "running", "done", "failed")),
                name="placebostudy_state_known",
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=False, state__in=("done", "failed"))
                | (Q(finished_at__isnull=True) & Q(state__in=("queued", "running"))),
                name="placebostudy_finished_when_over",
            ),
        ]

    def __str__(self) -> str:
        return f"placebo study of {self.earliest_date} to {self.latest_date}"
