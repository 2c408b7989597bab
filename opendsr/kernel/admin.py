"""The kernel's records in the admin site: to read, not to edit; a dead delivery can be put back in line."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from opendsr.kernel import outbox
from opendsr.kernel.models import (
    AuditEntry,
    Heartbeat,
    HouseLogo,
    HouseSetting,
    Installation,
    OutboxDelivery,
    OutboxFact,
)
from opendsr.kernel.records import ReadOnlyAdmin


@admin.register(OutboxDelivery)
class OutboxDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "fact", "consumer", "state", "attempts", "next_try_at", "last_error")
    list_filter = ("state", "consumer")
    list_select_related = ("fact",)
    actions = ("revive",)

    def has_revive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("kernel.change_outboxdelivery")

    @admin.action(description="Try dead deliveries again", permissions=["revive"])
    def revive(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        revived = sum(outbox.revive(delivery_id=row.pk) for row in queryset)
        self.message_user(request, f"{revived} dead deliveries are due again.")


@admin.register(OutboxFact)
class OutboxFactAdmin(ReadOnlyAdmin):
    list_display = ("id", "topic", "key", "at", "due_at", "recorded_wall_at")
    list_filter = ("topic",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "verb", "target")
    search_fields = ("actor", "verb", "target")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "seen_wall_at")


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    list_display = ("coop_name", "is_demo", "founded_at")


@admin.register(HouseSetting)
class HouseSettingAdmin(ReadOnlyAdmin):
    list_display = ("key", "value", "set_at", "set_by", "why")
    list_filter = ("key",)


@admin.register(HouseLogo)
class HouseLogoAdmin(ReadOnlyAdmin):
    list_display = ("digest", "kept_at")
    exclude = ("png",)
