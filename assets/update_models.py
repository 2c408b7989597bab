"""Updates of hubs and controllers: a release, its rollout in stages, and how each hub fared.

Re-exported by `assets.models`. Written by `assets.updating` only.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from opendsr.kernel.ids import new_uuid


class Release(models.Model):
    """One version of one component, signed by the co-op; the VTN keeps the bytes by their SHA-256."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    component = models.CharField(max_length=24, help_text="hub, or a make of controller such as tasmota")
    version = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()
    manifest = models.TextField(help_text="The signed bytes")
    signature = models.CharField(max_length=200)
    notes = models.CharField(max_length=300, blank=True, help_text="What is new in it, for staff")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["component", "version"], name="release_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.component} {self.version}"


class Rollout(models.Model):
    """A release on its way: to 1, then 10, then 100 per cent of the hubs; halted by failures."""

    class State(models.TextChoices):
        RUNNING = "running"
        HALTED = "halted"
        FINISHED = "finished"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    release = models.OneToOneField(Release, on_delete=models.PROTECT, related_name="rollout")
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    stage_percent = models.PositiveSmallIntegerField()
    stage_began_at = models.DateTimeField()
    began_at = models.DateTimeField()
    began_by = models.CharField(max_length=120)
    halted_why = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(stage_percent__gte=1, stage_percent__lte=100), name="rollout_stage_is_a_share"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} to {self.stage_percent} %"


class RolloutHub(models.Model):
    """How one hub of a rollout stands, as it reported last."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="hubs")
    hub = models.ForeignKey("assets.Hub", on_delete=models.PROTECT, related_name="rollouts")
    state = models.CharField(max_length=16, default="offered")
    why = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rollout", "hub"], name="rollout_hub_once"),
        ]

    def __str__(self) -> str:
        return self.state
