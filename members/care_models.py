"""A household's needs, sealed under a key of its own and apart from everything else about it."""

from __future__ import annotations

from django.db import models

from members.models import Household
from opendsr.kernel.ids import new_uuid


class HouseholdCare(models.Model):
    """What a household needs; there is a row only while it needs something, and nothing of before."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    household = models.OneToOneField(Household, on_delete=models.PROTECT, related_name="care")
    key_subject = models.UUIDField(default=new_uuid, editable=False, help_text="Whose key seals it")
    sealed = models.BinaryField()
    told_at = models.DateTimeField(help_text="When the household last said so")

    class Meta:
        verbose_name_plural = "household care"

    def __str__(self) -> str:
        return "sealed"
