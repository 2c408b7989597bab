"""The VTN's records for staff: to be read; certificates are ended by the action, nothing is edited."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest

from opendsr.kernel import clock
from opendsr.kernel.records import ReadOnlyAdmin
from vtn.enrolling import revoke_certificate
from vtn.models import (
    Event,
    EventOpt,
    OptSchedule,
    QueuedMessage,
    ReportConfiguration,
    ReportRequest,
    Ven,
    VenCertificate,
    WireLog,
)


@admin.register(Ven)
class VenAdmin(ReadOnlyAdmin):
    list_display = ("ven_id", "ven_name", "is_registered", "registered_at", "last_seen_wall_at")
    search_fields = ("ven_id", "ven_name")
    ordering = ("ven_id",)

    @admin.display(boolean=True, description="registered")
    def is_registered(self, ven: Ven) -> bool:
        return ven.is_registered


@admin.register(VenCertificate)
class VenCertificateAdmin(ReadOnlyAdmin):
    list_display = ("ven", "serial", "not_before", "not_after", "revoked_at", "revocation_reason")
    list_select_related = ("ven",)
    search_fields = ("ven__ven_id", "fingerprint", "serial")
    ordering = ("not_after",)
    actions = ("revoke",)

    @admin.action(description="Revoke at once", permissions=["revoke"])
    def revoke(self, request: HttpRequest, certificates: QuerySet[VenCertificate]) -> None:
        user = request.user
        by = "unknown" if isinstance(user, AnonymousUser) else f"user:{user.pk}"
        revoked = sum(
            revoke_certificate(
                ven_id=certificate.ven.ven_id,
                fingerprint=certificate.fingerprint,
                reason="revoked by staff",
                at=clock.now(),
                by=by,
            )
            for certificate in certificates.select_related("ven")
        )
        self.message_user(request, f"{revoked} revoked")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("vtn.change_vencertificate")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = (
        "event_id",
        "ven",
        "starts_at",
        "duration_seconds",
        "modification_number",
        "delivered_at",
        "acknowledged_at",
        "cancelled_at",
    )
    list_select_related = ("ven",)
    search_fields = ("event_id", "key", "ven__ven_id")
    date_hierarchy = "starts_at"
    ordering = ("-starts_at",)


@admin.register(EventOpt)
class EventOptAdmin(ReadOnlyAdmin):
    list_display = ("event", "opt", "modification_number", "source", "reason", "received_at")
    list_select_related = ("event",)
    list_filter = ("opt", "source")
    search_fields = ("event__event_id", "event__ven__ven_id")
    ordering = ("-id",)


@admin.register(OptSchedule)
class OptScheduleAdmin(ReadOnlyAdmin):
    list_display = ("ven", "opt_id", "opt", "reason", "received_at", "cancelled_at")
    list_select_related = ("ven",)
    search_fields = ("ven__ven_id", "opt_id")
    ordering = ("-received_at",)


@admin.register(QueuedMessage)
class QueuedMessageAdmin(ReadOnlyAdmin):
    list_display = ("ven", "kind", "state", "attempts", "queued_at", "delivered_at", "finished_at", "note")
    list_select_related = ("ven",)
    list_filter = ("kind", "state")
    search_fields = ("ven__ven_id", "request_id")
    ordering = ("-id",)


@admin.register(WireLog)
class WireLogAdmin(ReadOnlyAdmin):
    list_display = ("recorded_wall_at", "ven", "service", "message", "code", "http_status", "reason")
    list_select_related = ("ven",)
    list_filter = ("service", "code")
    search_fields = ("ven__ven_id", "reason")
    ordering = ("-id",)


@admin.register(ReportRequest)
class ReportRequestAdmin(ReadOnlyAdmin):
    list_display = ("report_request_id", "ven", "offer", "state", "configuration_name", "latest_update_at")
    list_select_related = ("ven", "offer")
    list_filter = ("state", "configuration_name")
    search_fields = ("report_request_id", "ven__ven_id")
    ordering = ("-id",)


@admin.register(ReportConfiguration)
class ReportConfigurationAdmin(admin.ModelAdmin):
    """The rules by which reports are asked for; a VEN meets a changed one when it registers its reports."""

    list_display = ("name", "report_name", "item", "granularity_seconds", "report_back_seconds", "is_active")
    ordering = ("name",)
