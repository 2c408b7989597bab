"""The ledger: accounts, balanced entries, postings; append-only."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from opendsr.kernel.ids import new_uuid
from settlement.models.choices import Component
from settlement.models.runs import SettlementRound


class Account(models.Model):
    """A ledger account: whoever owes or is owed; a household by its occupancy, never by name."""

    class Kind(models.TextChoices):
        BUYER = "buyer", "Owed by the buyer of flexibility"
        COOP = "coop", "The co-op's share"
        FUND = "fund", "The community fund"
        RESERVE = "reserve", "The co-op's reserves"
        HOUSEHOLD = "household", "Owed to a household"
        BANK = "bank", "At the bank"
        DISPUTED = "disputed", "Held apart until agreed with the buyer"
        ROUNDING = "rounding", "Less than a penny, carried forward"
        WRITTEN_OFF = "written_off", "Written off"

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
        max_length=120, unique=True, help_text="What it is for, e.g. round:<id>; posting twice is refused"
    )
    memo = models.CharField(max_length=200)
    round = models.ForeignKey(SettlementRound, null=True, on_delete=models.PROTECT, related_name="entries")
    posted_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.key


class Posting(models.Model):
    """One leg of an entry: positive is owed to the account's holder, negative owed by it."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="postings", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings")
    component = models.CharField(
        max_length=12, choices=Component.choices, default=Component.AMOUNT, db_default=Component.AMOUNT.value
    )
    amount_mp = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["entry", "account", "component"], name="posting_one_per_component"
            ),
            models.CheckConstraint(condition=~Q(amount_mp=0), name="posting_moves_something"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.component} {self.amount_mp} mp"


class Statement(models.Model):
    """What a member is shown for a round: numbers fixed at issue, rendered as page and file on request.

    Members of one household each get the statement of the household's account: sum over households, not over
    statements.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    round = models.ForeignKey(
        SettlementRound, on_delete=models.PROTECT, related_name="statements", db_index=False
    )
    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="statements")
    member = models.ForeignKey(
        "members.Member", on_delete=models.PROTECT, related_name="statements", db_index=False
    )
    earned_mp = models.BigIntegerField(help_text="For the round's campaigns, gifts taken off")
    previous_mp = models.BigIntegerField(help_text="For the same campaigns, posted by earlier rounds")
    posted_mp = models.BigIntegerField(help_text="The difference, posted by this round")
    balance_mp = models.BigIntegerField(help_text="The household account after this round")
    issued_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["round", "member", "occupancy"], name="statement_one_per_member"),
            models.CheckConstraint(
                condition=Q(earned_mp=models.F("previous_mp") + models.F("posted_mp")),
                name="statement_posts_the_difference",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["member", "-issued_at"], name="statement_newest")]

    def __str__(self) -> str:
        return f"{self.member} {self.round}"
