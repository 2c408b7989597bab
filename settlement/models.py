"""Money and the numbers behind it: versioned terms, settlement runs, measured delivery, the ledger, statements.

Amounts are integer millipence (`_mp`), energies integer Wh. The ledger is append-only and each entry sums to zero;
both are held by the database (`settlement/sql.py`).
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from opendsr.kernel.ids import new_uuid


class SettlementTerms(models.Model):
    """A version of how delivery is measured, paid and shared; a programme holds its id."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField(default=1)
    baseline_rule = models.CharField(max_length=40, help_text="Preset name in settlement.baselines")
    baseline_parameters = models.JSONField(default=dict, blank=True)
    utilisation_pence_per_kwh = models.DecimalField(max_digits=10, decimal_places=4)
    coop_share_pct = models.DecimalField(max_digits=6, decimal_places=3)
    published_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "version"], name="settlementterms_one_per_version"),
            models.CheckConstraint(
                condition=Q(coop_share_pct__gte=0) & Q(coop_share_pct__lte=100), name="settlementterms_share_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class SettlementRun(models.Model):
    """One computation of one campaign: immutable inputs by hash, so a rerun with the same inputs posts nothing."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    campaign = models.ForeignKey("campaigns.Campaign", on_delete=models.PROTECT, related_name="settlement_runs")
    sequence = models.PositiveIntegerField()
    terms = models.ForeignKey(SettlementTerms, on_delete=models.PROTECT, related_name="+")
    as_known_at = models.DateTimeField(help_text="Readings known to the store by then were used")
    input_sha256 = models.CharField(max_length=64)
    delivered_wh = models.BigIntegerField()
    revenue_mp = models.BigIntegerField()
    coop_mp = models.BigIntegerField()
    members_mp = models.BigIntegerField()
    run_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "sequence"], name="settlementrun_sequence"),
            models.UniqueConstraint(fields=["campaign", "input_sha256"], name="settlementrun_once_per_input"),
            models.CheckConstraint(
                condition=Q(revenue_mp=models.F("coop_mp") + models.F("members_mp")), name="settlementrun_shares_sum"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} run {self.sequence}"


class HomeDelivery(models.Model):
    """What one household's meter shows it delivered in a run, and how its baseline was made."""

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="deliveries")
    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="+")
    stream_id = models.UUIDField()
    takes_part = models.BooleanField(default=True, help_text="False when it opted out: measured, never paid")
    instructed_wh = models.PositiveIntegerField()
    delivered_wh = models.BigIntegerField(help_text="Sum over half-hours of baseline less metered, signed")
    paid_wh = models.PositiveIntegerField(help_text="The part of delivered_wh that earns")
    earned_mp = models.BigIntegerField(help_text="The household's part of members_mp")
    explanation = models.JSONField(help_text="Days used, days left out with reasons, and missing half-hours")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "occupancy"], name="homedelivery_one_per_household"),
        ]

    def __str__(self) -> str:
        return f"{self.occupancy} {self.delivered_wh} Wh"


class PeriodDelivery(models.Model):
    """One settlement period of a household's delivery; missing readings are null, never zero."""

    delivery = models.ForeignKey(HomeDelivery, on_delete=models.PROTECT, related_name="periods")
    starts_at = models.DateTimeField()
    baseline_wh = models.IntegerField(null=True)
    metered_wh = models.IntegerField(null=True, help_text="Import less export")
    delivered_wh = models.IntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery", "starts_at"], name="perioddelivery_one_per_period"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.delivered_wh}"


class Account(models.Model):
    """A ledger account: the buyer of flexibility, the co-op, or a household (by occupancy, never by name)."""

    class Kind(models.TextChoices):
        BUYER = "buyer", "Owed by the buyer of flexibility"
        COOP = "coop", "The co-op's share"
        HOUSEHOLD = "household", "Owed to a household"
        ROUNDING = "rounding", "Carried forward"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    code = models.CharField(max_length=60, unique=True)
    occupancy = models.OneToOneField(
        "members.Occupancy", null=True, blank=True, on_delete=models.PROTECT, related_name="account"
    )
    opened_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind="household", occupancy__isnull=False)
                | (~Q(kind="household") & Q(occupancy__isnull=True)),
                name="account_household_has_occupancy",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Entry(models.Model):
    """One balanced ledger entry; never changed, a correction is another entry."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    key = models.CharField(max_length=120, unique=True, help_text="What it is for, e.g. run:<id>; posting twice is refused")
    memo = models.CharField(max_length=200)
    run = models.ForeignKey(SettlementRun, null=True, on_delete=models.PROTECT, related_name="entries")
    posted_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class Posting(models.Model):
    """One leg of an entry: positive is owed to the account's holder, negative owed by it."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="postings")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings")
    amount_mp = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "account"], name="posting_one_per_account"),
        ]
        indexes: ClassVar = [models.Index(fields=["account"], name="posting_by_account")]

    def __str__(self) -> str:
        return f"{self.account} {self.amount_mp} mp"


class Statement(models.Model):
    """What a member is shown for a run: numbers fixed at issue, rendered as HTML and CSV on request."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="statements")
    delivery = models.ForeignKey(HomeDelivery, on_delete=models.PROTECT, related_name="statements")
    member = models.ForeignKey("members.Member", on_delete=models.PROTECT, related_name="statements")
    earned_mp = models.BigIntegerField()
    balance_mp = models.BigIntegerField(help_text="The household account after this run")
    issued_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "member"], name="statement_one_per_member"),
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.run}"
