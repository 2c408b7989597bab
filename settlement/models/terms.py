"""Published terms and share policies: versioned, never edited."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from opendsr.kernel.ids import new_uuid
from settlement.models.choices import Basis, Cap, Floor, OverrideCost


def _flat() -> str:
    """The curve of terms that name none."""
    return "flat"


class SettlementTerms(models.Model):
    """A version of how delivery is measured, paid and shared; a programme holds its id; never edited."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField(default=1)
    baseline_rule = models.CharField(max_length=40, help_text="Preset name in settlement.baselines")
    baseline_parameters = models.JSONField(default=dict, blank=True)
    floor = models.CharField(max_length=12, choices=Floor.choices, default=Floor.EVENT)
    cap = models.CharField(max_length=12, choices=Cap.choices, default=Cap.NONE)
    utilisation_pence_per_kwh = models.DecimalField(max_digits=10, decimal_places=4)
    availability_pence_per_kw_hour = models.DecimalField(max_digits=10, decimal_places=4, default=0)
    revenue_basis = models.CharField(max_length=12, choices=Basis.choices, default=Basis.HOMES)
    pay_curve = models.JSONField(default=_flat, help_text="Name of a curve, or one written out")
    override_cost = models.CharField(
        max_length=12, choices=OverrideCost.choices, default=OverrideCost.NOTHING
    )
    override_reduced_by_pct = models.DecimalField(max_digits=6, decimal_places=3, default=0)
    forgives_our_failures = models.BooleanField(
        default=True, help_text="A home we never reached, or whose device failed, counts as standing ready"
    )
    coop_share_pct = models.DecimalField(
        max_digits=6, decimal_places=3, help_text="Where no share policy is named"
    )
    share_policy = models.CharField(
        max_length=80,
        blank=True,
        help_text="Name of a share policy: its version in force at the event",
    )
    published_at = models.DateTimeField()

    class Meta:
        verbose_name = "settlement terms"
        verbose_name_plural = "settlement terms"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "version"], name="settlementterms_one_per_version"),
            models.CheckConstraint(
                condition=Q(coop_share_pct__gte=0) & Q(coop_share_pct__lte=100),
                name="settlementterms_share_in_range",
            ),
            models.CheckConstraint(
                condition=Q(override_reduced_by_pct__gte=0) & Q(override_reduced_by_pct__lte=100),
                name="settlementterms_override_in_range",
            ),
            models.CheckConstraint(
                condition=Q(utilisation_pence_per_kwh__gte=0) & Q(availability_pence_per_kw_hour__gte=0),
                name="settlementterms_rate_not_negative",
            ),
            models.CheckConstraint(condition=Q(floor__in=Floor.values), name="settlementterms_floor_known"),
            models.CheckConstraint(condition=Q(cap__in=Cap.values), name="settlementterms_cap_known"),
            models.CheckConstraint(
                condition=Q(revenue_basis__in=Basis.values), name="settlementterms_basis_known"
            ),
            models.CheckConstraint(
                condition=Q(override_cost__in=OverrideCost.values), name="settlementterms_override_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class SharePolicyVersion(models.Model):
    """A version of a share policy, in force from a moment on; never edited, never retroactive."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField()
    effective_from = models.DateTimeField()
    policy = models.JSONField(help_text="As sharing.SharePolicy.as_data writes it")
    why = models.CharField(max_length=200, blank=True)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "version"], name="sharepolicyversion_one_per_version"),
            models.CheckConstraint(
                condition=Q(effective_from__gte=models.F("published_at")),
                name="sharepolicyversion_never_retroactive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class HardshipMark(models.Model):
    """A household that counts more in the split for a while; who and why stays with member services."""

    household = models.ForeignKey("members.Household", on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=models.F("starts_at")),
                name="hardshipmark_runs_forward",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.household_id} from {self.starts_at:%Y-%m-%d}"


class GiftChoice(models.Model):
    """A household's wish to give part of what it earns to the community fund; the newest one counts."""

    household = models.ForeignKey("members.Household", on_delete=models.PROTECT, related_name="+")
    pct = models.DecimalField(max_digits=6, decimal_places=3)
    effective_from = models.DateTimeField()
    chosen_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(pct__gte=0) & Q(pct__lte=100), name="giftchoice_in_range"),
        ]
        indexes: ClassVar = [models.Index(fields=["household", "-effective_from"], name="giftchoice_newest")]

    def __str__(self) -> str:
        return f"{self.pct} % from {self.effective_from:%Y-%m-%d}"
