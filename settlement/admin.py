"""Settlement's records in the stock admin: to read, never to change.

Money moves through `settling.py` only.
"""

from __future__ import annotations

from django.contrib import admin

from opendsr.kernel.money import pounds
from opendsr.kernel.records import ReadOnly, ReadOnlyAdmin
from settlement.models import (
    Account,
    Entry,
    GiftChoice,
    HardshipMark,
    HomeDelivery,
    Posting,
    RoundDecision,
    SettlementRound,
    SettlementRun,
    SettlementTerms,
    SharePolicyVersion,
    Statement,
)
from settlement.study_models import PlaceboStudy


class PostingInline(ReadOnly, admin.TabularInline):
    model = Posting
    fields = ("account", "component", "amount_mp")
    extra = 0


class DecisionInline(ReadOnly, admin.TabularInline):
    model = RoundDecision
    extra = 0


@admin.register(SettlementRound)
class SettlementRoundAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "kind", "campaign_count", "as_known_at", "proposed_at")
    list_filter = ("kind", "programme")
    list_select_related = ("programme",)
    date_hierarchy = "proposed_at"
    inlines = (DecisionInline,)


@admin.register(SharePolicyVersion)
class SharePolicyVersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "effective_from", "published_at")
    list_filter = ("name",)


@admin.register(HardshipMark)
class HardshipMarkAdmin(ReadOnlyAdmin):
    list_display = ("household_id", "starts_at", "ends_at")


@admin.register(GiftChoice)
class GiftChoiceAdmin(ReadOnlyAdmin):
    list_display = ("household_id", "pct", "effective_from")


@admin.register(SettlementTerms)
class SettlementTermsAdmin(ReadOnlyAdmin):
    list_display = (
        "name", "version", "baseline_rule", "utilisation_pence_per_kwh", "coop_share_pct", "published_at",
    )  # fmt: skip
    list_filter = ("name",)


@admin.register(SettlementRun)
class SettlementRunAdmin(ReadOnlyAdmin):
    list_display = ("campaign", "sequence", "paid_wh", "revenue", "coop", "members", "run_at")
    list_select_related = ("campaign",)
    date_hierarchy = "run_at"

    @admin.display(ordering="revenue_mp")
    def revenue(self, run: SettlementRun) -> str:
        return pounds(run.revenue_mp)

    @admin.display(ordering="coop_mp", description="co-op")
    def coop(self, run: SettlementRun) -> str:
        return pounds(run.coop_mp)

    @admin.display(ordering="members_mp")
    def members(self, run: SettlementRun) -> str:
        return pounds(run.members_mp)


@admin.register(HomeDelivery)
class HomeDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("run", "occupancy", "standing", "delivered_wh", "paid_wh", "earned")
    list_select_related = ("run__campaign", "occupancy__household", "occupancy__home")
    list_filter = ("standing", "outcome")

    @admin.display(ordering="earned_mp")
    def earned(self, delivery: HomeDelivery) -> str:
        return pounds(delivery.earned_mp)


@admin.register(PlaceboStudy)
class PlaceboStudyAdmin(ReadOnlyAdmin):
    list_display = ("asked_at", "programme", "earliest_date", "latest_date", "homes", "events", "state")
    list_filter = ("state",)
    exclude = ("scores",)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("code", "kind", "opened_at")
    list_filter = ("kind",)
    search_fields = ("code",)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("key", "memo", "posted_at")
    search_fields = ("key", "memo")
    date_hierarchy = "posted_at"
    inlines = (PostingInline,)


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    list_display = ("member", "round", "earned", "posted", "balance", "issued_at")
    list_select_related = ("member", "round__programme")
    list_filter = ("issued_at", "round__programme")

    @admin.display(ordering="earned_mp")
    def earned(self, statement: Statement) -> str:
        return pounds(statement.earned_mp)

    @admin.display(ordering="posted_mp")
    def posted(self, statement: Statement) -> str:
        return pounds(statement.posted_mp)

    @admin.display(ordering="balance_mp")
    def balance(self, statement: Statement) -> str:
        return pounds(statement.balance_mp)
