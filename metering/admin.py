"""Imports in the admin site, to read: what came in, what was refused and why; never the readings."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from metering.models import ImportGap, ImportReject, ImportRun
from opendsr.kernel.records import ReadOnlyAdmin


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "imported_at",
        "source",
        "name",
        "rows_read",
        "rows_landed",
        "rows_corrected",
        "rows_unchanged",
        "rows_rejected",
        "gap_half_hours",
    )
    list_filter = ("source", "imported_at")
    search_fields = ("name", "content_sha256")
    ordering = ("-id",)
    readonly_fields = ("refused_rows", "missing_half_hours")

    @admin.display(description="Refused rows")
    def refused_rows(self, run: ImportRun) -> str:
        """A link to the run's refusals."""
        return _link("importreject", run, run.rows_rejected)

    @admin.display(description="Missing half-hours")
    def missing_half_hours(self, run: ImportRun) -> str:
        """A link to the run's gaps."""
        return _link("importgap", run, run.gap_half_hours)


@admin.register(ImportReject)
class ImportRejectAdmin(ReadOnlyAdmin):
    list_display = ("run_id", "line", "field", "value", "code", "reason", "rows")
    list_filter = ("code",)
    search_fields = ("=run__id",)
    ordering = ("-run_id", "line")


@admin.register(ImportGap)
class ImportGapAdmin(ReadOnlyAdmin):
    list_display = ("run_id", "line", "stream_id", "starts_at", "half_hours")
    search_fields = ("=run__id",)
    ordering = ("-run_id", "line")


def _link(model: str, run: ImportRun, count: int) -> str:
    address = reverse(f"admin:metering_{model}_changelist")
    return format_html('<a href="{}?run__id__exact={}">{}</a>', address, run.pk, count)
