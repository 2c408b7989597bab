"""What VENs offer to report, what is asked of them, and what they have reported.

Re-exported by `vtn.models`. Values are kept in plain units (W, Wh, V): a report's scale is gone when it
is stored. Written by `vtn.services.reports` and `vtn.reporting` only.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class ReportOffer(models.Model):
    """One report a VEN says it can make (its METADATA), by its own specifier id; withdrawn when left out."""

    ven = models.ForeignKey("vtn.Ven", on_delete=models.PROTECT, related_name="report_offers")
    specifier_id = models.CharField(max_length=100)
    name = models.CharField(max_length=40, help_text="TELEMETRY_USAGE, TELEMETRY_STATUS, HISTORY_USAGE, ...")
    lasting_seconds = models.BigIntegerField(null=True, help_text="How much data the VEN keeps.")
    offered_at = models.DateTimeField(help_text="As the VEN dates it.")
    received_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vtn_report_offer"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["ven", "specifier_id"], name="vtn_report_offer_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.specifier_id}"


class OfferedPoint(models.Model):
    """One series of an offered report, by its rID; the anchor of every value received for it."""

    offer = models.ForeignKey(ReportOffer, on_delete=models.PROTECT, related_name="points")
    r_id = models.CharField(max_length=100)
    report_type = models.CharField(max_length=40)
    reading_type = models.CharField(max_length=40)
    item = models.CharField(max_length=40, blank=True, help_text="powerReal, energyReal, voltage, ...")
    unit = models.CharField(max_length=20, blank=True, help_text="Of stored values, without a prefix.")
    exponent = models.SmallIntegerField(default=0, help_text="Power of ten the VEN's numbers are taken by.")
    factor = models.FloatField(default=1.0, help_text="Of a pulse counter.")
    resource_ids = models.JSONField(default=list, blank=True)
    market_context = models.CharField(max_length=200, blank=True)
    min_seconds = models.BigIntegerField(null=True, help_text="Shortest sampling period.")
    max_seconds = models.BigIntegerField(null=True)
    is_on_change = models.BooleanField(default=False)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vtn_report_point"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["offer", "r_id"], name="vtn_report_point_once"),
        ]

    def __str__(self) -> str:
        return self.r_id


class ReportConfiguration(models.Model):
    """A rule: whatever VEN offers points like this is asked for them. Empty filters match anything."""

    name = models.CharField(max_length=80, unique=True)
    report_name = models.CharField(max_length=40)
    item = models.CharField(max_length=40, blank=True, help_text="powerReal, energyReal, ...")
    report_type = models.CharField(max_length=40, blank=True)
    reading_type = models.CharField(max_length=40, blank=True)
    granularity_seconds = models.PositiveIntegerField(help_text="Length of one interval; 0: the VEN's own.")
    report_back_seconds = models.PositiveIntegerField(help_text="How often it reports; 0: once.")
    is_active = models.BooleanField(default=True)

    class Meta:
        db_table = "vtn_report_configuration"

    def __str__(self) -> str:
        return self.name


class ReportRequestState(models.TextChoices):
    ASKED = "asked", "Asked for"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Being cancelled"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    REFUSED = "refused", "Refused"
    WITHDRAWN = "withdrawn", "No longer offered"


ACTIVE_REQUESTS = (ReportRequestState.ASKED, ReportRequestState.RUNNING, ReportRequestState.CANCELLING)


class ReportRequest(models.Model):
    """One report asked of a VEN; its id on the wire stays the same however often it is repeated."""

    ven = models.ForeignKey("vtn.Ven", on_delete=models.PROTECT, related_name="report_requests")
    offer = models.ForeignKey(ReportOffer, on_delete=models.PROTECT, related_name="requests")
    report_request_id = models.CharField(max_length=64, unique=True)
    configuration_name = models.CharField(max_length=80, blank=True, help_text="Empty: asked by staff.")
    r_ids = models.JSONField()
    granularity_seconds = models.PositiveIntegerField()
    report_back_seconds = models.PositiveIntegerField(help_text="0: once.")
    starts_at = models.DateTimeField()
    duration_seconds = models.PositiveIntegerField(default=0, help_text="0: until cancelled.")
    state = models.CharField(
        max_length=12, choices=ReportRequestState.choices, default=ReportRequestState.ASKED
    )
    is_report_to_follow = models.BooleanField(default=False, help_text="One last report after cancelling.")
    asked_at = models.DateTimeField()
    latest_update_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "vtn_report_request"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=ReportRequestState.values), name="vtn_report_request_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ACTIVE_REQUESTS, ended_at__isnull=True)
                | (~Q(state__in=ACTIVE_REQUESTS) & Q(ended_at__isnull=False)),
                name="vtn_report_request_ended_when",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["ven", "state"], name="vtn_report_request_by_ven")]

    def __str__(self) -> str:
        return self.report_request_id

    @property
    def is_one_shot(self) -> bool:
        """A report-back duration of nought asks once (rule 324)."""
        return self.report_back_seconds == 0

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_REQUESTS


class ReceivedReport(models.Model):
    """One report that said something new; repeats and what was older than known leave no row."""

    ven = models.ForeignKey("vtn.Ven", on_delete=models.PROTECT, related_name="received_reports")
    request = models.ForeignKey(ReportRequest, on_delete=models.PROTECT, related_name="reports")
    name = models.CharField(max_length=40)
    created_at = models.DateTimeField(help_text="As the VEN dates it.")
    received_at = models.DateTimeField()
    feed_position = models.BigIntegerField(null=True, unique=True)

    class Meta:
        db_table = "vtn_received_report"
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(feed_position=None), name="vtn_received_unplaced"),
            models.Index(fields=["ven", "-id"], name="vtn_received_by_ven"),
            models.Index(fields=["received_at"], name="vtn_received_age"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class ReportedValue(models.Model):
    """The latest word on one point's interval: a number, or a resource's status; never both."""

    id = models.BigAutoField(primary_key=True)
    point = models.ForeignKey(OfferedPoint, on_delete=models.PROTECT, related_name="values")
    report = models.ForeignKey(ReceivedReport, on_delete=models.CASCADE, related_name="values")
    starts_at = models.DateTimeField()
    duration_seconds = models.PositiveIntegerField(help_text="0: an instant.")
    value = models.FloatField(null=True)
    status = models.JSONField(null=True)
    quality = models.CharField(max_length=60, blank=True)
    confidence = models.PositiveSmallIntegerField(null=True)
    said_at = models.DateTimeField(help_text="The report's own date: the later word holds.")

    class Meta:
        db_table = "vtn_reported_value"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["point", "starts_at"], name="vtn_reported_value_once"),
            models.CheckConstraint(
                condition=Q(value__isnull=False, status__isnull=True)
                | Q(value__isnull=True, status__isnull=False),
                name="vtn_reported_value_or_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.point_id} {self.starts_at:%Y-%m-%dT%H:%M:%SZ}"
