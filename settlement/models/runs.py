"""Rounds and runs: what was computed, from what, by whom it was approved; never changed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid
from settlement.models.choices import Outcome, RoundKind, Standing, Verdict
from settlement.models.terms import SettlementTerms


class SettlementRound(models.Model):
    """Campaigns of one programme that are settled, approved and posted together.

    A provisional round is posted by the system as soon as it is computed; a final one and a correction wait
    for a second person (`RoundDecision`). Its figures are in its runs.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    programme = models.ForeignKey("campaigns.Programme", on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(help_text="Counts up in the programme")
    kind = models.CharField(max_length=12, choices=RoundKind.choices)
    campaign_ids = models.JSONField(help_text="The campaigns it settles, in order of start")
    campaign_count = models.PositiveIntegerField()
    as_known_at = models.DateTimeField(help_text="Readings known to the store by then are used")
    is_forced = models.BooleanField(default=False, help_text="Does not wait for missing readings")
    holds_unearned = models.BooleanField(
        default=False, help_text="Money that no home earned is held for the community fund"
    )
    proposed_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["programme", "number"], name="settlementround_number"),
            models.CheckConstraint(condition=Q(kind__in=RoundKind.values), name="settlementround_kind_known"),
            models.CheckConstraint(
                condition=Q(campaign_count__gte=1), name="settlementround_settles_something"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-proposed_at"], name="settlementround_newest")]

    def __str__(self) -> str:
        return f"{self.programme_id} round {self.number}"


class RoundDecision(models.Model):
    """How a round ended; the database refuses one approved by the person who proposed it (`sql.py`)."""

    round = models.OneToOneField(SettlementRound, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(max_length=12, choices=Verdict.choices)
    by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict__in=Verdict.values), name="rounddecision_verdict_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.round_id} {self.verdict}"


class RoundProgress(models.Model):
    """How far the computing of a round is, and what stopped it; the one record here that changes."""

    round = models.OneToOneField(SettlementRound, on_delete=models.PROTECT, related_name="progress")
    done = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "round progress"

    def __str__(self) -> str:
        return f"{self.round_id} {self.done}"


class SettlementRun(models.Model):
    """One computation of one campaign, never changed; its inputs by hash and kept in `RunArchive`.

    `replaces` is the run whose amounts were posted when this one was computed: approving it posts the
    difference. The input hash is not unique in the campaign: a reading corrected there and back again needs a
    third run to bring the money back.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    round = models.ForeignKey(SettlementRound, on_delete=models.PROTECT, related_name="runs", db_index=False)
    campaign = models.ForeignKey(
        "campaigns.Campaign", on_delete=models.PROTECT, related_name="settlement_runs"
    )
    sequence = models.PositiveIntegerField()
    replaces = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    terms = models.ForeignKey(SettlementTerms, on_delete=models.PROTECT, related_name="+")
    as_known_at = models.DateTimeField(help_text="Readings known to the store by then were used")
    method = models.CharField(max_length=20, help_text="Version of the calculation, see reckoning.METHOD")
    rule = models.JSONField(help_text="The baseline rule in full, as it was applied")
    policy = models.JSONField(help_text="The share policy in full, as it was applied, and its version")
    input_sha256 = models.CharField(max_length=64)
    result_sha256 = models.CharField(max_length=64)
    missing_half_hours = models.PositiveIntegerField(
        default=0, help_text="Of paying households, when it was settled without waiting for them"
    )
    half_hours = models.JSONField(
        help_text="[start, baseline, metered, delivered Wh, homes measured, instructed Wh], taking part"
    )
    pools = models.JSONField(help_text="{part of the split: [millipence, sum of weights]}")
    delivered_wh = models.BigIntegerField(help_text="Signed sum over the households that take part")
    sold_wh = models.BigIntegerField(help_text="What the buyer pays for")
    paid_wh = models.BigIntegerField(help_text="What the members' pool is shared by")
    pay_factor = models.DecimalField(max_digits=9, decimal_places=8, help_text="Of the pay curve")
    utilisation_mp = models.BigIntegerField()
    availability_mp = models.BigIntegerField()
    revenue_mp = models.BigIntegerField()
    coop_share_pct = models.DecimalField(max_digits=6, decimal_places=3)
    coop_mp = models.BigIntegerField()
    fund_mp = models.BigIntegerField(help_text="By the policy, without gifts")
    gifts_mp = models.BigIntegerField(help_text="Given to the fund out of what households earned")
    members_mp = models.BigIntegerField()
    hold_out = models.JSONField(
        default=dict, help_text="Homes held out and what comparing with them says, see comparing.HoldOut"
    )
    run_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "sequence"], name="settlementrun_sequence"),
            models.UniqueConstraint(fields=["round", "campaign"], name="settlementrun_once_a_round"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="settlementrun_counts_from_one"),
            models.CheckConstraint(
                condition=Q(revenue_mp=F("coop_mp") + F("fund_mp") + F("members_mp"))
                & Q(revenue_mp=F("utilisation_mp") + F("availability_mp")),
                name="settlementrun_shares_sum",
            ),
            models.CheckConstraint(
                condition=Q(revenue_mp__gte=0)
                & Q(coop_mp__gte=0)
                & Q(fund_mp__gte=0)
                & Q(members_mp__gte=0)
                & Q(paid_wh__gte=0)
                & Q(sold_wh__gte=0)
                & Q(gifts_mp__gte=0)
                & Q(gifts_mp__lte=F("members_mp")),
                name="settlementrun_never_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} run {self.sequence}"


class RunArchive(models.Model):
    """What some households of a run were computed from, packed (`archiving.py`); outlives the readings."""

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="archive", db_index=False)
    first_row = models.PositiveIntegerField()
    households = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "first_row"], name="runarchive_one_per_stretch"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} from {self.first_row}"


class HomeDelivery(models.Model):
    """What one household's meter shows it delivered in a run, and what it earned: one line of an event.

    That run and occupancy are there is promised for all lines of a statement at once (`sql.py`).
    """

    run = models.ForeignKey(
        SettlementRun,
        on_delete=models.PROTECT,
        related_name="deliveries",
        db_index=False,
        db_constraint=False,
    )
    occupancy = models.ForeignKey(
        "members.Occupancy", on_delete=models.PROTECT, related_name="deliveries", db_constraint=False
    )
    row = models.PositiveIntegerField(help_text="Place in the run's archive")
    standing = models.CharField(max_length=12, choices=Standing.choices)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    takes_part = models.BooleanField(help_text="False: measured, never paid for its energy")
    is_forgiven = models.BooleanField(help_text="Did not take part through no fault of its own")
    instructed_wh = models.PositiveIntegerField()
    measured_half_hours = models.PositiveSmallIntegerField(help_text="With a reading and a baseline")
    delivered_wh = models.IntegerField(help_text="Sum over measured half-hours, signed")
    paid_wh = models.PositiveIntegerField(help_text="The part of delivered_wh that earns")
    floor_mp = models.BigIntegerField()
    energy_mp = models.BigIntegerField()
    availability_mp = models.BigIntegerField()
    equal_mp = models.BigIntegerField()
    earned_mp = models.BigIntegerField(help_text="The household's part of members_mp")
    gift_mp = models.BigIntegerField(help_text="Of earned_mp, given to the community fund")

    class Meta:
        verbose_name_plural = "home deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "occupancy"], name="homedelivery_one_per_household"),
            models.CheckConstraint(
                condition=Q(earned_mp=F("floor_mp") + F("energy_mp") + F("availability_mp") + F("equal_mp"))
                & Q(floor_mp__gte=0)
                & Q(energy_mp__gte=0)
                & Q(availability_mp__gte=0)
                & Q(equal_mp__gte=0)
                & Q(gift_mp__gte=0)
                & Q(gift_mp__lte=F("earned_mp")),
                name="homedelivery_parts_sum",
            ),
            models.CheckConstraint(
                condition=(
                    (Q(energy_mp=0) | (Q(takes_part=True) & Q(paid_wh__gt=0)))
                    & (Q(earned_mp=0) | Q(takes_part=True) | Q(is_forgiven=True))
                )
                | Q(standing=Standing.HELD_OUT.value, takes_part=False, paid_wh=0),
                name="homedelivery_paid_for_what_it_delivered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.occupancy} {self.delivered_wh} Wh"


class DeviceEstimate(models.Model):
    """What one device of a household drew in the event as it was known when the run was computed.

    Shown with its confidence beside the meter's figures, and never paid by; it outlives the live power.
    """

    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="devices", db_index=False)
    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="+")
    asset = models.ForeignKey("assets.Asset", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=120, help_text="As the device was called then")
    is_measured = models.BooleanField(help_text="By a meter of its own")
    half_hours = models.JSONField(help_text="[mean W or null, confidence in percent] of each of the event")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "asset"], name="deviceestimate_one_per_asset"),
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.run_id}"
