"""Records of campaigns in the stock admin: programmes may be edited, the rest only looked at.

Campaigns change through this room's services, never by editing a row.
"""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from campaigns.models import Campaign, OptRecord, Participation, PlanLine, Programme
from opendsr.kernel.records import ReadOnlyAdmin


@admin.register(Programme)
class ProgrammeAdmin(admin.ModelAdmin):
    list_display = (
        "name",
        "code",
        "use_case",
        "market_context",
        "start_tolerance_seconds",
        "hold_out_pct",
    )

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyAdmin):
    list_display = ("name", "programme", "state", "direction", "zone", "size_w", "starts_at", "ends_at")
    list_filter = ("state", "programme", "direction")
    search_fields = ("name", "reason")
    date_hierarchy = "starts_at"
    list_select_related = ("programme",)


@admin.register(PlanLine)
class PlanLineAdmin(ReadOnlyAdmin):
    list_display = ("campaign", "asset", "expected_w", "left_out")
    list_filter = ("left_out",)
    list_select_related = ("campaign", "asset")


@admin.register(Participation)
class ParticipationAdmin(ReadOnlyAdmin):
    list_display = (
        "campaign",
        "asset",
        "state",
        "outcome",
        "left_out",
        "expected_w",
        "sent_at",
        "responded_at",
        "changed_at",
    )
    list_filter = ("state", "outcome", "left_out")
    search_fields = ("vtn_event_id", "ven_id")
    list_select_related = ("campaign", "asset")


@admin.register(OptRecord)
class OptRecordAdmin(ReadOnlyAdmin):
    list_display = ("participation", "opt", "source", "reason", "received_at")
    list_filter = ("opt", "source")
    list_select_related = ("participation__campaign", "participation__asset")
