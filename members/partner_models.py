"""Partners: landlords and housing associations, parties inside the co-op who see totals and never a home."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from members.models import Home, User
from opendsr.kernel.ids import new_uuid


class DateRange(Func):
    """PostgreSQL `daterange(starts_on, ends_on, '[)')`; a NULL end means open."""

    function = "DATERANGE"
    output_field = DateRangeField()


class Partner(models.Model):
    """A landlord or housing association with homes in the co-op."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(max_length=120, unique=True)
    shown_name = models.CharField(max_length=60, blank=True, help_text="What tenants know it by")
    colour = models.CharField(max_length=7, blank=True, help_text="#0b6b4f; dark enough for white letters")
    welcome = models.CharField(max_length=500, blank=True, help_text="A sentence or two to tenants")
    logo = models.BinaryField(null=True, blank=True, help_text="A PNG, made anew from what was sent")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(colour="") | Q(colour__regex=r"^#[0-9a-f]{6}$"), name="partner_colour_is_hex"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PartnerAccount(models.Model):
    """Somebody who signs in for a partner; the role `partner` goes with it."""

    user = models.OneToOneField(
        User, primary_key=True, on_delete=models.CASCADE, related_name="partner_account"
    )
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="accounts")

    def __str__(self) -> str:
        return str(self.user)


class PartnerHome(models.Model):
    """A home of a partner over Europe/London dates [starts_on, ends_on); a home has one partner at a time."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="homes")
    home = models.ForeignKey(Home, on_delete=models.PROTECT, related_name="partner_links")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The day after the last")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")),
                name="partnerhome_runs_forward",
            ),
            ExclusionConstraint(
                name="partnerhome_one_partner_a_home",
                expressions=[
                    ("home", RangeOperators.EQUAL),
                    (DateRange("starts_on", "ends_on", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.home} of {self.partner} from {self.starts_on}"
