"""The reading store: half-hourly energy by random stream id, every revision kept, and the record of each import.

Readings come in through `ingest.py` only. The stream id has no foreign key on purpose: the link to a household
is `members.MeterStream`, in another schema under its own key.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from opendsr.kernel.ids import new_uuid


class Quality(models.TextChoices):
    """How a reading came about."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    SUBSTITUTED = "substituted"


class ImportRun(models.Model):
    """One file or batch offered to the store: how many rows landed and what happened to the rest."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    source = models.CharField(max_length=40, help_text="Adapter code, e.g. lcl_csv")
    name = models.CharField(max_length=200, help_text="File or message name as given")
    content_sha256 = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    rows_read = models.PositiveIntegerField(default=0)
    rows_landed = models.PositiveIntegerField(default=0)
    rows_unchanged = models.PositiveIntegerField(default=0)
    rows_rejected = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.source} {self.name}"


class ImportReject(models.Model):
    """A row that did not land, with its line, value and reason."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="rejects")
    line = models.PositiveIntegerField()
    field = models.CharField(max_length=40)
    value = models.CharField(max_length=200)
    reason = models.CharField(max_length=300)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["run", "line"], name="importreject_by_run")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class HalfHour(models.Model):
    """One half-hour of one stream as one source knew it; a correction is a higher revision, never an edit.

    `import_wh` and `export_wh` are apart and non-negative; a missing half-hour has no row.
    """

    pk = models.CompositePrimaryKey("stream_id", "starts_at", "source", "revision")
    stream_id = models.UUIDField()
    starts_at = models.DateTimeField()
    source = models.CharField(max_length=24)
    revision = models.PositiveSmallIntegerField(default=0)
    import_wh = models.PositiveIntegerField()
    export_wh = models.PositiveIntegerField(default=0)
    quality = models.CharField(max_length=12, choices=Quality.choices, default=Quality.MEASURED)
    known_at = models.DateTimeField(help_text="World time at which the store learned it")
    run = models.ForeignKey(ImportRun, on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        db_table = "metering_half_hour"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(starts_at__second=0) & (Q(starts_at__minute=0) | Q(starts_at__minute=30)),
                name="half_hour_on_the_grid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.starts_at:%Y-%m-%d %H:%M} r{self.revision}"
