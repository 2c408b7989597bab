"""Records of devices in the stock admin: to look up and to correct names and limits.

What has a service (planning, commissioning, faults, retirement) is read-only here.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from assets.job_models import InstallJob, JobTest, PairingAttempt, SurveyLimits
from assets.models import Asset, AssetKind, Cad, Hub
from members.admin import DetailAdmin
from opendsr.kernel.records import ReadOnlyAdmin
from opendsr.kernel.word_search import SearchesWords


@admin.register(AssetKind)
class AssetKindAdmin(DetailAdmin):
    """What kinds of asset there are; adding one is a row here and a driver in the hub."""

    list_display = (
        "code",
        "name",
        "rated_w",
        "limit_w",
        "minimum_w",
        "step_w",
        "typical_flexible_w",
        "turn_down_hours",
        "turn_up_hours",
        "safe_state",
    )
    search_fields = ("code", "name")
    ordering = ("code",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_readonly_fields(self, request: HttpRequest, obj: AssetKind | None = None) -> tuple[str, ...]:
        return () if obj is None else ("code",)


class AssetInline(admin.TabularInline):
    """What a hub drives."""

    model = Asset
    fields = ("name", "kind", "resource_id", "rated_w", "flexible_w", "state")
    readonly_fields = fields
    can_delete = False
    extra = 0
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Hub | None = None) -> bool:
        return False


@admin.register(Hub)
class HubAdmin(SearchesWords, ReadOnlyAdmin):
    """Hubs and how far they have come; the enrolment code's hash is not shown."""

    list_display = (
        "serial",
        "home",
        "state",
        "ven_id",
        "enrolment_failures",
        "commissioned_at",
        "retired_at",
    )
    list_select_related = ("home",)
    list_filter = ("state", "commissioned_at")
    search_fields = ("serial", "ven_id", "home__postcode")
    word_fields = ("home__words",)
    ordering = ("serial",)
    fields = (
        "serial",
        "home",
        "state",
        "ven_id",
        "enrolment_code_expires_at",
        "enrolment_failures",
        "commissioned_at",
        "retired_at",
    )
    inlines = (AssetInline,)


@admin.register(Cad)
class CadAdmin(SearchesWords, DetailAdmin):
    """Consumer access devices; the model may be put right."""

    list_display = ("serial", "model", "home", "paired_at", "retired_at")
    list_select_related = ("home",)
    list_filter = (("retired_at", admin.EmptyFieldListFilter), "model")
    search_fields = ("serial", "home__postcode")
    word_fields = ("home__words",)
    ordering = ("serial",)
    readonly_fields = ("home", "serial", "product", "replaces", "paired_at", "retired_at")


@admin.register(Asset)
class AssetAdmin(SearchesWords, DetailAdmin):
    """Flexible assets; name and powers may be put right, the state changes through servicing."""

    list_display = ("name", "kind", "hub", "home", "rated_w", "flexible_w", "state", "installed_at")
    list_select_related = ("kind", "hub__home")
    list_filter = ("state", "kind")
    search_fields = ("name", "resource_id", "hub__serial", "hub__home__postcode")
    word_fields = ("hub__home__words",)
    ordering = ("resource_id",)
    readonly_fields = (
        "hub",
        "kind",
        "resource_id",
        "product",
        "replaces",
        "firmware",
        "state",
        "installed_at",
        "retired_at",
    )

    @admin.display(ordering="hub__home__postcode")
    def home(self, asset: Asset) -> str:
        """Where it is."""
        return str(asset.hub.home)


@admin.register(InstallJob)
class InstallJobAdmin(SearchesWords, ReadOnlyAdmin):
    """Visits to homes, from planned to live."""

    list_display = ("home", "state", "since", "installer", "scheduled_at", "cad_outcome", "live_at")
    list_select_related = ("home", "installer")
    list_filter = ("state", "cad_outcome")
    search_fields = ("=id", "home__postcode")
    word_fields = ("home__words",)
    ordering = ("-since",)


@admin.register(PairingAttempt)
class PairingAttemptAdmin(ReadOnlyAdmin):
    """Every try to pair a CAD, by supplier and meter."""

    list_display = ("at", "supplier", "meter_model", "outcome", "cad_serial")
    list_filter = ("outcome", "supplier")
    search_fields = ("meter_model", "supplier", "cad_serial")
    ordering = ("-at",)


@admin.register(JobTest)
class JobTestAdmin(ReadOnlyAdmin):
    """Every test made at a home."""

    list_display = ("at", "job", "kind", "asset", "is_passed")
    list_select_related = ("job__home", "asset")
    list_filter = ("kind", "is_passed")
    ordering = ("-at",)


@admin.register(SurveyLimits)
class SurveyLimitsAdmin(ReadOnlyAdmin):
    """Every version of what a survey refuses and warns of."""

    list_display = ("version", "cable_m", "signal_dbm", "published_at", "published_by")
    ordering = ("-version",)
