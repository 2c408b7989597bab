"""Two documents a VEN, desired and reported, and the files that the desired one may name.

Re-exported by `vtn.models`. What the documents say is agreed between the site and its hubs; the VTN keeps and
carries them, as AWS IoT carries device shadows. Written by `vtn.shadows` only.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class VenShadow(models.Model):
    """What a VEN should be and what it says it is. `answered_version`: the desired one it has taken in."""

    ven = models.OneToOneField("vtn.Ven", on_delete=models.PROTECT, primary_key=True, related_name="shadow")
    desired = models.JSONField(default=dict)
    desired_version = models.PositiveIntegerField(default=0)
    desired_at = models.DateTimeField(null=True)
    reported = models.JSONField(default=dict)
    answered_version = models.PositiveIntegerField(default=0)
    reported_at = models.DateTimeField(null=True, help_text="When it last changed.")
    heard_wall_at = models.DateTimeField(null=True, help_text="When it was last told, changed or not.")

    class Meta:
        db_table = "vtn_shadow"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(answered_version__lte=models.F("desired_version")),
                name="vtn_shadow_answers_known",
            ),
        ]

    def __str__(self) -> str:
        return f"shadow of {self.ven_id}"


class VenFile(models.Model):
    """Bytes for VENs to fetch, named by what they are; any VEN that is let in may have them."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    body = models.BinaryField()
    kept_at = models.DateTimeField()

    class Meta:
        db_table = "vtn_file"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="vtn_file_named_by_sum"
            ),
        ]

    def __str__(self) -> str:
        return self.sha256
