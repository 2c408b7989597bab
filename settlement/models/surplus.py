"""The members' vote on a year's surplus as one person wrote it down, and what a second person did with it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid
from settlement.models.choices import Verdict


class SurplusProposal(models.Model):
    """A vote written down; it moves nothing until a second person approves it."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    year = models.CharField(max_length=20)
    period_starts_at = models.DateTimeField(help_text="A dividend goes by what was earned from then")
    period_ends_at = models.DateTimeField(help_text="until before then")
    surplus_mp = models.BigIntegerField()
    reserves_pct = models.DecimalField(max_digits=6, decimal_places=3)
    fund_pct = models.DecimalField(max_digits=6, decimal_places=3)
    dividend_pct = models.DecimalField(max_digits=6, decimal_places=3)
    votes_for = models.PositiveIntegerField()
    votes_against = models.PositiveIntegerField()
    proposed_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(period_ends_at__gt=F("period_starts_at")), name="surplusproposal_runs_forward"
            ),
            models.CheckConstraint(condition=Q(surplus_mp__gt=0), name="surplusproposal_shares_something"),
        ]

    def __str__(self) -> str:
        return f"surplus of {self.year}"


class SurplusDecision(models.Model):
    """How a proposal ended; the database refuses one approved by the person who proposed it (`sql.py`)."""

    proposal = models.OneToOneField(SurplusProposal, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(max_length=12, choices=Verdict.choices)
    by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict__in=Verdict.values), name="surplusdecision_verdict_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.verdict}"
