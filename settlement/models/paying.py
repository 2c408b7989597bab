"""Money in and out: bank details, payment batches, remittances, disputes, the society and its votes."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid
from settlement.models.choices import Verdict
from settlement.models.ledger import Account
from settlement.models.runs import SettlementRun


class Rail(models.TextChoices):
    """How a batch leaves the house."""

    BACS18 = "bacs18", "Bacs Standard 18"
    BANK_CSV = "bank_csv", "Bank CSV"
    BILL_CREDIT = "bill_credit", "Bill credit CSV"
    GOCARDLESS = "gocardless", "GoCardless outbound JSON"


class VatTreatment(models.TextChoices):
    """How VAT is treated on a line; the co-op's accountant decides."""

    OUTSIDE_SCOPE = "outside_scope", "Outside the scope of VAT"
    EXEMPT = "exempt", "Exempt"
    STANDARD = "standard", "Standard rated"


class BankDetail(models.Model):
    """Where a member is paid, sealed with the member's own key; the newest one counts, after a hold."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey("members.Member", on_delete=models.PROTECT, related_name="bank_details")
    sealed = models.BinaryField(help_text="Name, sort code, account number, GoCardless account id")
    ending = models.CharField(max_length=2, help_text="Last two digits, to recognise it by")
    changed_at = models.DateTimeField()
    usable_from = models.DateTimeField()
    changed_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(usable_from__gt=F("changed_at")), name="bankdetail_is_held_first"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["member", "-changed_at"], name="bankdetail_newest")]

    def __str__(self) -> str:
        return f"{self.member} ..{self.ending}"


class PaymentBatch(models.Model):
    """Payments proposed together and approved by a second person (`BatchDecision`)."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    number = models.PositiveIntegerField(unique=True)
    rail = models.CharField(max_length=12, choices=Rail.choices)
    processing_date = models.DateField(help_text="Bacs processing day; elsewhere the day to pay on")
    threshold_pence = models.PositiveIntegerField()
    proposed_by = models.ForeignKey("members.User", on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "payment batches"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(rail__in=Rail.values), name="paymentbatch_rail_known"),
        ]

    def __str__(self) -> str:
        return f"Batch {self.number}"


class BatchDecision(models.Model):
    """How a batch ended; the database refuses one approved by the person who proposed it (`sql.py`)."""

    batch = models.OneToOneField(PaymentBatch, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(max_length=12, choices=Verdict.choices)
    by = models.ForeignKey("members.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict__in=Verdict.values), name="batchdecision_verdict_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.verdict}"


class Payment(models.Model):
    """Whole pence to one household's account; what is left of the balance carries forward."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    batch = models.ForeignKey(PaymentBatch, on_delete=models.PROTECT, related_name="payments", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="payments")
    member = models.ForeignKey("members.Member", on_delete=models.PROTECT, related_name="payments")
    bank_detail = models.ForeignKey(
        BankDetail, null=True, on_delete=models.PROTECT, related_name="payments", db_index=False
    )
    reference = models.CharField(max_length=18)
    net_pence = models.PositiveIntegerField()
    vat_pence = models.PositiveIntegerField(default=0)
    gross_pence = models.PositiveIntegerField()
    vat_treatment = models.CharField(
        max_length=16, choices=VatTreatment.choices, default=VatTreatment.OUTSIDE_SCOPE
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "account"], name="payment_one_per_account"),
            models.UniqueConstraint(fields=["reference"], name="payment_reference"),
            models.CheckConstraint(
                condition=Q(gross_pence=F("net_pence") + F("vat_pence")) & Q(gross_pence__gt=0),
                name="payment_net_and_vat_make_gross",
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class PaymentEvent(models.Model):
    """What the bank said of a payment."""

    class Status(models.TextChoices):
        PAID = "paid", "Paid"
        RETURNED = "returned", "Returned"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="events", db_index=False)
    status = models.CharField(max_length=12, choices=Status.choices)
    reason = models.CharField(max_length=120, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["payment", "status"], name="paymentevent_once"),
            models.CheckConstraint(condition=Q(status__in=["paid", "returned"]), name="paymentevent_known"),
        ]

    def __str__(self) -> str:
        return f"{self.payment_id} {self.status}"


class Remittance(models.Model):
    """What a programme's buyer paid, and for which events; imported once by its reference."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    programme = models.ForeignKey("campaigns.Programme", on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=60)
    net_pence = models.BigIntegerField()
    vat_pence = models.BigIntegerField(default=0)
    gross_pence = models.BigIntegerField()
    vat_treatment = models.CharField(
        max_length=16, choices=VatTreatment.choices, default=VatTreatment.STANDARD
    )
    received_at = models.DateTimeField()
    entered_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["programme", "reference"], name="remittance_once"),
            models.CheckConstraint(
                condition=Q(gross_pence=F("net_pence") + F("vat_pence")) & Q(net_pence__gte=0),
                name="remittance_net_and_vat_make_gross",
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Dispute(models.Model):
    """One event a buyer's remittance differs on: what was claimed and what was paid, the rest held apart."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    remittance = models.ForeignKey(Remittance, on_delete=models.PROTECT, related_name="disputes")
    run = models.ForeignKey(SettlementRun, on_delete=models.PROTECT, related_name="disputes")
    claimed_mp = models.BigIntegerField()
    remitted_mp = models.BigIntegerField()
    reason = models.CharField(max_length=200, blank=True)
    opened_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["remittance", "run"], name="dispute_once_a_run"),
            models.CheckConstraint(condition=~Q(claimed_mp=F("remitted_mp")), name="dispute_differs"),
        ]

    def __str__(self) -> str:
        return f"{self.run} {self.claimed_mp - self.remitted_mp} mp"


class DisputeOutcome(models.Model):
    """How a dispute ended: the buyer paid the rest, or the claim was given up by the co-op."""

    class Outcome(models.TextChoices):
        PAID = "paid", "The buyer paid the rest"
        CONCEDED = "conceded", "The co-op bears it"

    dispute = models.OneToOneField(Dispute, on_delete=models.PROTECT, related_name="outcome")
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    note = models.CharField(max_length=200, blank=True)
    by = models.ForeignKey("members.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(outcome__in=["paid", "conceded"]), name="disputeoutcome_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dispute_id} {self.outcome}"


class Society(models.Model):
    """What kind of registered society the co-op is, from a day on; the newest statement counts."""

    class Form(models.TextChoices):
        COOPERATIVE = "cooperative", "Co-operative society"
        COMMUNITY_BENEFIT = "community_benefit", "Community benefit society"

    legal_form = models.CharField(max_length=20, choices=Form.choices)
    stated_at = models.DateTimeField()
    stated_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "society"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(legal_form__in=["cooperative", "community_benefit"]), name="society_form_known"
            ),
        ]

    def __str__(self) -> str:
        return self.get_legal_form_display()


class SurplusResolution(models.Model):
    """A members' vote on the surplus of a year, as it was applied to the ledger."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    year = models.CharField(max_length=20, unique=True)
    legal_form = models.CharField(max_length=20)
    surplus_mp = models.BigIntegerField()
    reserves_pct = models.DecimalField(max_digits=6, decimal_places=3)
    fund_pct = models.DecimalField(max_digits=6, decimal_places=3)
    dividend_pct = models.DecimalField(max_digits=6, decimal_places=3)
    votes_for = models.PositiveIntegerField()
    votes_against = models.PositiveIntegerField()
    applied_at = models.DateTimeField()
    applied_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(dividend_pct=0) | Q(legal_form="cooperative"),
                name="surplusresolution_dividend_needs_a_cooperative",
            ),
            models.CheckConstraint(
                condition=Q(votes_for__gt=F("votes_against")), name="surplusresolution_carried"
            ),
        ]

    def __str__(self) -> str:
        return self.year
