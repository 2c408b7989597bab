"""Who supplies a household's electricity, and since when. In the `identity` schema."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from members.models import Occupancy
from opendsr.kernel.ids import new_uuid

LONGEST_SUPPLIER = 60


class Supply(models.Model):
    """The supplier of a stay from a day on, until the next. Keys nothing: readings go on whoever supplies."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    occupancy = models.ForeignKey(Occupancy, on_delete=models.PROTECT, related_name="supplies")
    supplier = models.CharField(max_length=LONGEST_SUPPLIER)
    starts_on = models.DateField(help_text="The first day, Europe/London")
    noted_at = models.DateTimeField()
    noted_by = models.CharField(max_length=120)

    class Meta:
        verbose_name_plural = "supplies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["occupancy", "starts_on"], name="supply_one_a_day"),
            models.CheckConstraint(condition=~Q(supplier=""), name="supply_names_somebody"),
        ]

    def __str__(self) -> str:
        return f"{self.supplier} since {self.starts_on}"
