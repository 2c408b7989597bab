"""Records of people and premises in the stock admin: to look up and to correct, never to rewrite history.

What has a service (joining, moving, consent) is read-only here; published words cannot be changed by anybody.
"""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest

from members import consenting
from members.enquiry_models import ChampionCode, JoiningRules, Shareholding, TermsAcceptance, TermsText
from members.models import (
    Consent,
    ConsentText,
    Home,
    Household,
    Member,
    MeterStream,
    Occupancy,
    StandingOptOut,
    User,
)
from members.partner_models import Partner, PartnerAccount, PartnerHome
from members.rights_models import Erasure, Restriction, RightsRequest
from members.supply_models import Supply
from opendsr.kernel import clock
from opendsr.kernel.records import ReadOnlyAdmin
from opendsr.kernel.word_search import SearchesWords

admin.site.unregister(EmailAddress)  # its table stays empty: decisions/0062


class NamesNobody:
    """Mixed into an admin page whose rows' words name somebody: its log of changes keeps the id alone."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._nameless(super().log_addition(request, obj, message), obj)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._nameless(super().log_change(request, obj, message), obj)  # type: ignore[misc]

    def _nameless(self, entry: LogEntry, obj: Any) -> LogEntry:
        entry.object_repr = f"{obj._meta.verbose_name} {obj.pk}"
        entry.save(update_fields=["object_repr"])
        return entry


class DetailAdmin(ReadOnlyAdmin):
    """A few details may be corrected; rows are neither made nor deleted here."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)


@admin.register(User)
class UserAdmin(NamesNobody, StockUserAdmin):
    """Sign-in accounts by email. Only a superuser sees or changes superusers' rights."""

    add_form = AdminUserCreationForm
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Roles", {"fields": ("is_active", "is_staff", "groups")}),
        ("Beyond roles", {"fields": ("is_superuser", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    list_display = ("email", "is_staff", "is_superuser", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")
    search_fields = ("=email",)
    search_help_text = "A whole email address."
    ordering = ("-pk",)
    readonly_fields = ("last_login", "date_joined")
    list_per_page = 50
    show_full_result_count = False

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or request.user.is_superuser:
            return fieldsets
        return [section for section in fieldsets if section[0] != "Beyond roles"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(Household)
class HouseholdAdmin(SearchesWords, DetailAdmin):
    """Who lives together."""

    list_display = ("id", "name")
    search_fields = ("members__number",)
    word_fields = ("words", "members__words")
    ordering = ("-pk",)
    readonly_fields = ("id",)


@admin.register(Member)
class MemberAdmin(SearchesWords, DetailAdmin):
    """The register of members; the name may be put right."""

    list_display = ("number", "full_name", "household", "user", "joined_at", "left_at")
    list_select_related = ("household", "user")
    list_filter = (("left_at", admin.EmptyFieldListFilter), "joined_at")
    search_fields = ("number", "=user__email")
    word_fields = ("words", "household__words")
    ordering = ("number",)
    raw_id_fields = ("household", "user")
    readonly_fields = ("number", "household", "user", "joined_at", "left_at")


@admin.register(Home)
class HomeAdmin(SearchesWords, DetailAdmin):
    """Premises; the meter point itself stays as it was registered."""

    list_display = (
        "name",
        "postcode",
        "mpan",
        "is_mpan_plausible",
        "gsp_group",
        "primary_substation",
        "cmz",
    )
    list_filter = ("gsp_group", "cmz", "primary_substation")
    search_fields = ("postcode",)
    word_fields = ("words", "occupancies__household__words")
    whole_fields = ("mpan_index",)
    ordering = ("postcode", "pk")
    readonly_fields = ("mpan", "is_mpan_plausible")

    @admin.display(boolean=True, description="check digit fits")
    def is_mpan_plausible(self, home: Home) -> bool:
        """False when somebody should read the MPAN off the bill again."""
        return not home.is_mpan_doubtful


@admin.register(Occupancy)
class OccupancyAdmin(SearchesWords, ReadOnlyAdmin):
    """Who lived where, and when."""

    list_display = ("home", "household", "starts_at", "ends_at", "id")
    list_select_related = ("home", "household")
    list_filter = (("ends_at", admin.EmptyFieldListFilter), "starts_at")
    search_fields = ("=id", "home__postcode", "household__members__number")
    word_fields = ("home__words", "household__words")
    ordering = ("-starts_at",)


@admin.register(MeterStream)
class MeterStreamAdmin(SearchesWords, ReadOnlyAdmin):
    """The link between a stream of readings and a household."""

    list_display = ("stream_id", "name", "occupancy_id", "starts_at", "ends_at")
    list_filter = ("name", ("ends_at", admin.EmptyFieldListFilter))
    search_fields = ("=stream_id", "=occupancy__id")
    word_fields = ("occupancy__home__words",)
    ordering = ("-starts_at",)


@admin.register(ConsentText)
class ConsentTextAdmin(ReadOnlyAdmin):
    """Published words, with their hash; adding publishes the next version, nothing is ever edited."""

    list_display = ("purpose", "version", "published_at", "body_sha256")
    list_filter = ("purpose",)
    ordering = ("purpose", "-version")
    fields = ("purpose", "body")

    def get_fields(self, request: HttpRequest, obj: ConsentText | None = None) -> Any:
        if obj is None:
            return ("purpose", "body")
        return ("purpose", "version", "body", "body_sha256", "published_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def save_model(self, request: HttpRequest, obj: ConsentText, form: forms.ModelForm, change: bool) -> None:
        """Publish through the service; the same words again are the version there is."""
        text = consenting.publish_text(purpose=obj.purpose, body=obj.body, at=clock.now())
        obj.pk, obj.version = text.pk, text.version


@admin.register(Consent)
class ConsentAdmin(SearchesWords, ReadOnlyAdmin):
    """Every consent that was ever given, with the words and the dates."""

    list_display = (
        "member",
        "purpose",
        "granularity",
        "source",
        "text",
        "starts_at",
        "ends_at",
        "end_reason",
    )
    list_select_related = ("member", "text")
    list_filter = ("purpose", "granularity", "source", "channel", ("ends_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "member__number", "=occupancy__id")
    word_fields = ("member__words",)
    ordering = ("-starts_at",)


@admin.register(StandingOptOut)
class StandingOptOutAdmin(SearchesWords, ReadOnlyAdmin):
    """Households that asked to be left out for a while."""

    list_display = ("occupancy", "starts_at", "ends_at", "reason")
    list_select_related = ("occupancy__home", "occupancy__household")
    list_filter = (("ends_at", admin.EmptyFieldListFilter),)
    search_fields = ("occupancy__household__members__number",)
    word_fields = ("occupancy__home__words", "occupancy__household__words")
    ordering = ("-starts_at",)


@admin.register(Partner)
class PartnerAdmin(ReadOnlyAdmin):
    """Landlords and housing associations; the page of partners makes them."""

    list_display = ("name", "id")
    search_fields = ("name",)
    ordering = ("name",)


@admin.register(RightsRequest)
class RightsRequestAdmin(ReadOnlyAdmin):
    """What people asked of their data; the page of requests answers."""

    list_display = ("member", "kind", "opened_at", "due_at", "verdict", "closed_at")
    list_select_related = ("member",)
    list_filter = ("kind", "verdict")
    search_fields = ("=id", "member__number")
    ordering = ("-opened_at",)
    fields = ("member", "kind", "channel", "opened_at", "acknowledged_at", "due_at", "verdict", "closed_at")


@admin.register(Restriction)
class RestrictionAdmin(ReadOnlyAdmin):
    """When use of what is held about somebody was stopped."""

    list_display = ("member", "starts_at", "ends_at")
    list_select_related = ("member",)
    search_fields = ("member__number",)
    ordering = ("-starts_at",)


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    """Who was erased, by number."""

    list_display = ("member", "erased_at", "household_is_gone")
    list_select_related = ("member",)
    search_fields = ("member__number",)
    ordering = ("-erased_at",)


@admin.register(PartnerAccount)
class PartnerAccountAdmin(ReadOnlyAdmin):
    """Who signs in for which partner."""

    list_display = ("user", "partner")
    list_select_related = ("user", "partner")
    search_fields = ("=user__email", "partner__name")
    ordering = ("partner__name", "pk")


@admin.register(PartnerHome)
class PartnerHomeAdmin(SearchesWords, ReadOnlyAdmin):
    """Which homes are whose, and since when."""

    list_display = ("home", "partner", "starts_on", "ends_on")
    list_select_related = ("home", "partner")
    list_filter = ("partner", ("ends_on", admin.EmptyFieldListFilter))
    search_fields = ("home__postcode", "partner__name")
    word_fields = ("home__words",)
    whole_fields = ("home__mpan_index",)
    ordering = ("home__postcode", "starts_on")


@admin.register(JoiningRules)
class JoiningRulesAdmin(ReadOnlyAdmin):
    """Every version of who can take part."""

    list_display = ("version", "published_at", "published_by")
    ordering = ("-version",)


@admin.register(TermsText)
class TermsTextAdmin(ReadOnlyAdmin):
    """Every version of the terms and of what is read before agreeing."""

    list_display = ("kind", "version", "published_at", "body_sha256")
    list_filter = ("kind",)
    ordering = ("kind", "-version")


@admin.register(TermsAcceptance)
class TermsAcceptanceAdmin(ReadOnlyAdmin):
    """Who accepted which words, and when."""

    list_display = ("member", "text", "accepted_at", "body_sha256")
    list_select_related = ("member", "text")
    search_fields = ("member__number",)
    ordering = ("-accepted_at",)


@admin.register(Supply)
class SupplyAdmin(ReadOnlyAdmin):
    """Who supplies which household, and since when; how homes pay is told in totals and on their own page."""

    list_display = ("supplier", "occupancy_id", "starts_on", "noted_at", "noted_by")
    list_filter = ("supplier",)
    fields = ("supplier", "occupancy_id", "starts_on", "noted_at", "noted_by")
    ordering = ("-noted_at",)


@admin.register(Shareholding)
class ShareholdingAdmin(ReadOnlyAdmin):
    """Shares taken, and whether they are paid."""

    list_display = ("member", "shares", "share_value_pence", "taken_at", "paid_at")
    list_select_related = ("member",)
    list_filter = (("paid_at", admin.EmptyFieldListFilter),)
    search_fields = ("member__number",)
    ordering = ("-taken_at",)


@admin.register(ChampionCode)
class ChampionCodeAdmin(ReadOnlyAdmin):
    """Codes of those who bring others in."""

    list_display = ("code", "name", "made_at", "ended_at")
    search_fields = ("code",)
    ordering = ("code",)
