"""Who supplies a household's electricity, how it is paid for, and since when. In the `identity` schema."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _lazy

from members.models import Occupancy
from opendsr.kernel.ids import new_uuid

LONGEST_SUPPLIER = 60


class PaymentMethod(models.TextChoices):
    """How a household pays for electricity: Ofgem's three, by which tariffs are priced, or not telling."""

    DIRECT_DEBIT = "direct_debit", _lazy("By direct debit")
    STANDARD_CREDIT = "standard_credit", _lazy("When the bill comes")
    PREPAYMENT = "prepayment", _lazy("In advance (prepayment)")
    NOT_SAID = "not_said", _lazy("We would rather not say")


class Supply(models.Model):
    """What was told of a stay's supply from a day on; what is left empty stands as told for a day before.

    Keys nothing: readings go on whoever supplies.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    occupancy = models.ForeignKey(Occupancy, on_delete=models.PROTECT, related_name="supplies")
    supplier = models.CharField(max_length=LONGEST_SUPPLIER, blank=True)
    payment_method = models.CharField(
        max_length=16, choices=PaymentMethod.choices, blank=True, default="", db_default=""
    )
    starts_on = models.DateField(help_text="The first day, Europe/London")
    noted_at = models.DateTimeField()
    noted_by = models.CharField(max_length=120)

    class Meta:
        verbose_name_plural = "supplies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["occupancy", "starts_on"], name="supply_one_a_day"),
            models.CheckConstraint(
                condition=~Q(supplier="") | ~Q(payment_method=""), name="supply_says_something"
            ),
            models.CheckConstraint(
                condition=Q(payment_method__in=["", *PaymentMethod.values]),
                name="supply_payment_method_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.supplier or 'supply'} since {self.starts_on}"
