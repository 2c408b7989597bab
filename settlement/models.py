"""Money and the numbers behind it: versioned terms, settlement runs, measured delivery, ledger, statements.

Amounts are integer millipence (`_mp`), energies integer Wh. Everything but the accounts is append-only and
each ledger entry sums to zero; both are held by the database (`settlement/sql.py`).
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid
from settlement.study_models import PlaceboStudy as PlaceboStudy


class Floor(models.TextChoices):
    """Over what span using more than the baseline counts against what was delivered (`delivery.Floor`)."""

    EVENT = "event", "Netted over the event, never below zero"
    HALF_HOUR = "half_hour", "Each half-hour for itself, never below zero"


class Cap(models.TextChoices):
    """What a half-hour can earn at most (`delivery.Cap`)."""

    NONE = "none", "All that was delivered"
    INSTRUCTED = "instructed", "At most what was instructed, in each half-hour"


class Standing(models.TextChoices):
    """How a household stood in a campaign, which decides whether what its meter shows is paid."""

    TOOK_PART = "took_part", "Took part"
    SILENT = "silent", "Hub fetched the event and did not answer"
    OVERRIDDEN = "overridden", "Took part until it was overridden"
    OPTED_OUT = "opted_out", "Opted out"
    NOT_REACHED = "not_reached", "Hub never fetched the event"


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
    coop_share_pct = models.DecimalField(max_digits=6, decimal_places=3)
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
                condition=Q(utilisation_pence_per_kwh__gte=0), name="settlementterms_rate_not_negative"
            ),
            models.CheckConstraint(condition=Q(floor__in=Floor.values), name="settlementterms_floor_known"),
            models.CheckConstraint(condition=Q(cap__in=Cap.values), name="settlementterms_cap_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class SettlementRun(models.Model):
    """One computation of one campaign, never changed; its inputs by hash.

    A rerun on the inputs of the newest run is that run. The hash is not unique in the campaign: a reading
    corrected there and back again needs a third run to bring the money back.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    campaign = models.ForeignKey(
        "campaigns.Campaign", on_delete=models.PROTECT, related_name="settlement_runs"
    )
    sequence = models.PositiveIntegerField()
    terms = models.ForeignKey(SettlementTerms, on_delete=models.PROTECT, related_name="+")
    as_known_at = models.DateTimeField(help_text="Readings known to the store by then were used")
    method = models.CharField(max_length=20, help_text="Version of the calculation, see reckoning.METHOD")
    rule = models.JSONField(help_text="The baseline rule in full, as it was applied")
    input_sha256 = models.CharField(max_length=64)
    missing_half_hours = models.PositiveIntegerField(
        default=0, help_text="Of paying households, when it was settled without waiting for them"
    )
    delivered_wh = models.BigIntegerField(help_text="Signed sum over the households that take part")
    paid_wh = models.BigIntegerField(help_text="The part that earns")
    revenue_mp = models.BigIntegerField()
    coop_mp = models.BigIntegerField()
    members_mp = models.BigIntegerField()
    run_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "sequence"], name="settlementrun_sequence"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="settlementrun_counts_from_one"),
            models.CheckConstraint(
                condition=Q(revenue_mp=F("coop_mp") + F("members_mp")), name="settlementrun_shares_sum"
            ),
            models.CheckConstraint(
                condition=Q(revenue_mp__gte=0) & Q(coop_mp__gte=0) & Q(members_mp__gte=0) & Q(paid_wh__gte=0),
                name="settlementrun_never_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} run {self.sequence}"


class HomeDelivery(models.Model):
    """What one household's meter shows it delivered in a run, and how its baseline was made."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    run = models.ForeignKey(
        SettlementRun, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="deliveries")
    stream_id = models.UUIDField(null=True, help_text="Empty when the household has no meter stream")
    standing = models.CharField(max_length=12, choices=Standing.choices)
    takes_part = models.BooleanField(help_text="False: measured, never paid")
    instructed_wh = models.PositiveIntegerField()
    delivered_wh = models.BigIntegerField(help_text="Sum over measured half-hours, signed")
    paid_wh = models.PositiveIntegerField(help_text="The part of delivered_wh that earns")
    earned_mp = models.BigIntegerField(help_text="The household's part of members_mp")
    explanation = models.JSONField(help_text="Days used with their readings, days left out and why")

    class Meta:
        verbose_name_plural = "home deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "occupancy"], name="homedelivery_one_per_household"),
            models.CheckConstraint(
                condition=Q(earned_mp=0) | (Q(takes_part=True) & Q(paid_wh__gt=0) & Q(earned_mp__gt=0)),
                name="homedelivery_paid_for_what_it_delivered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.occupancy} {self.delivered_wh} Wh"


class PeriodDelivery(models.Model):
    """One settlement period of a household's delivery; missing readings are null, never zero."""

    delivery = models.ForeignKey(
        HomeDelivery, on_delete=models.PROTECT, related_name="periods", db_index=False
    )
    starts_at = models.DateTimeField()
    baseline_wh = models.IntegerField(null=True)
    metered_wh = models.IntegerField(null=True, help_text="Import less export")
    delivered_wh = models.IntegerField(null=True)

    class Meta:
        verbose_name_plural = "period deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery", "starts_at"], name="perioddelivery_one_per_period"),
            models.CheckConstraint(
                condition=Q(delivered_wh__isnull=True)
                | Q(delivered_wh=F("baseline_wh") - F("metered_wh"))
                | Q(delivered_wh=F("metered_wh") - F("baseline_wh")),
                name="perioddelivery_is_the_difference",
            ),
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
    """One balanced ledger entry of two postings or more; never changed, a correction is another entry."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    key = models.CharField(
        max_length=120, unique=True, help_text="What it is for, e.g. run:<id>; posting twice is refused"
    )
    memo = models.CharField(max_length=200)
    run = models.ForeignKey(SettlementRun, null=True, on_delete=models.PROTECT, related_name="entries")
    posted_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.key


class Posting(models.Model):
    """One leg of an entry: positive is owed to the account's holder, negative owed by it."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="postings", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings")
    amount_mp = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "account"], name="posting_one_per_account"),
            models.CheckConstraint(condition=~Q(amount_mp=0), name="posting_moves_something"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount_mp} mp"


class Statement(models.Model):
    """What a member is shown for a run: numbers fixed at issue, rendered as HTML and CSV on request.

    Members of one household each get the statement of the household's account: sum over deliveries, not over
    statements.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    run = models.ForeignKey(
        SettlementRun, on_delete=models.PROTECT, related_name="statements", db_index=False
    )
    delivery = models.ForeignKey(HomeDelivery, on_delete=models.PROTECT, related_name="statements")
    member = models.ForeignKey(
        "members.Member", on_delete=models.PROTECT, related_name="statements", db_index=False
    )
    earned_mp = models.BigIntegerField(help_text="For this campaign, by this run")
    previous_mp = models.BigIntegerField(help_text="For this campaign, posted by earlier runs")
    posted_mp = models.BigIntegerField(help_text="The difference, posted by this run")
    balance_mp = models.BigIntegerField(help_text="The household account after this run")
    issued_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "member"], name="statement_one_per_member"),
            models.CheckConstraint(
                condition=Q(earned_mp=F("previous_mp") + F("posted_mp")),
                name="statement_posts_the_difference",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["member", "-issued_at"], name="statement_newest")]

    def __str__(self) -> str:
        return f"{self.member} {self.run}"
