"""Imports in the admin site, to read: what came in, what was refused and why; never the readings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from metering.intake_models import AssetDevice, EmoncmsInput, EmoncmsKey, ReportLink, Sender
from metering.models import ImportGap, ImportReject, ImportRun, RetentionRule
from metering.telemetry import UNITS
from metering.vtn_door import VenId, declared_units
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


@admin.register(AssetDevice)
class AssetDeviceAdmin(admin.ModelAdmin):
    list_display = ("asset", "kind", "name", "tz")
    list_filter = ("kind",)
    search_fields = ("name", "asset__resource_id")
    raw_id_fields = ("asset",)


class ReportLinkForm(forms.ModelForm):
    """A link whose unit or role contradicts what the hub itself declares is refused with what to choose."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        hub, r_id, role = data.get("hub"), data.get("r_id"), str(data.get("role"))
        if hub is None or not hub.ven_id:
            return data
        declared = declared_units([VenId(hub.ven_id)]).get((VenId(hub.ven_id), str(r_id)), "")
        if declared and data.get("unit"):
            self.add_error(
                "unit",
                f"Leave this empty: the hub declares the unit of {r_id} and its values come in {declared}.",
            )
        if declared and declared != UNITS.get(role, declared):
            self.add_error(
                "role", f"The hub declares {r_id} in {declared}: choose a role that counts in that."
            )
        return data


@admin.register(ReportLink)
class ReportLinkAdmin(admin.ModelAdmin):
    form = ReportLinkForm
    list_display = ("hub", "r_id", "role", "asset", "unit")
    list_filter = ("role",)
    search_fields = ("r_id", "hub__serial")
    raw_id_fields = ("hub", "asset")


@admin.register(EmoncmsInput)
class EmoncmsInputAdmin(admin.ModelAdmin):
    list_display = ("key", "node", "name", "role", "at")
    list_filter = ("role",)
    search_fields = ("node", "name")
    fields = ("key", "node", "name", "role", "at")
    readonly_fields = ("key", "node", "name", "at")


@admin.register(EmoncmsKey)
class EmoncmsKeyAdmin(ReadOnlyAdmin):
    list_display = ("name", "home", "access", "created_at", "used_at", "revoked_at")
    exclude = ("key_sha256",)


@admin.register(Sender)
class SenderAdmin(ReadOnlyAdmin):
    list_display = ("kind", "name", "received_at", "drift_seconds", "messages", "refused", "rssi_dbm", "lqi")
    list_filter = ("kind",)
    search_fields = ("name",)
    exclude = ("password_hash",)


@admin.register(RetentionRule)
class RetentionRuleAdmin(admin.ModelAdmin):
    list_display = ("kind", "keep_days")
    readonly_fields = ("kind",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The kinds are given; how long each is kept is not."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RetentionRule | None = None) -> bool:
        """A kind without a rule would be kept for ever, unseen."""
        return False


def _link(model: str, run: ImportRun, count: int) -> str:
    address = reverse(f"admin:metering_{model}_changelist")
    return format_html('<a href="{}?run__id__exact={}">{}</a>', address, run.pk, count)
