"""Publishing settlement terms: a new version of how delivery is measured, paid and shared.

Versions are never edited. A programme of `campaigns/` holds the id of the version it runs under.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Max

from opendsr.kernel.errors import Invalid, NotFound
from settlement import rules
from settlement.baselines.rules import BaselineRule
from settlement.delivery import Cap, DeliveryRule, Floor
from settlement.models import SettlementTerms, SharePolicyVersion
from settlement.overriding import OverrideCost, OverridePolicy
from settlement.pay_curves import curve_from
from settlement.revenue import Basis, Contract

VERSION_LOCK = "settlement.terms"


class TermsInvalid(Invalid):
    """A field of the terms makes no sense."""

    field: str
    reason: str


class TermsUnknown(NotFound):
    """No terms with that id: a programme points at none."""

    terms_id: UUID


@transaction.atomic
def publish_terms(
    *,
    name: str,
    baseline_rule: str,
    utilisation_pence_per_kwh: Decimal,
    coop_share_pct: Decimal,
    at: datetime,
    baseline_parameters: Mapping[str, object] | None = None,
    floor: Floor = Floor.EVENT,
    cap: Cap = Cap.NONE,
    availability_pence_per_kw_hour: Decimal = Decimal(0),
    revenue_basis: Basis = Basis.HOMES,
    pay_curve: str | Mapping[str, object] = "flat",
    override_policy: OverridePolicy | None = None,
    forgives_our_failures: bool = True,
    share_policy: str = "",
) -> SettlementTerms:
    """Publish the next version of the terms of that name.

    `pay_curve` is a preset's name or a curve written out; `share_policy` the name of a published one. Raises
    rules.UnknownRule, rules.RuleInvalid, rules.RuleNeedsMore, UnknownCurve, CurveInvalid and TermsInvalid,
    naming the field.
    """
    rules.preset_for_terms(baseline_rule, baseline_parameters)
    curve_from(pay_curve)
    if share_policy and not SharePolicyVersion.objects.filter(name=share_policy).exists():
        raise TermsInvalid(field="share_policy", reason="no share policy of that name is published")
    override = override_policy or OverridePolicy()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [VERSION_LOCK, name])
    newest = SettlementTerms.objects.filter(name=name).aggregate(version=Max("version"))["version"] or 0
    terms = SettlementTerms(
        name=name,
        version=newest + 1,
        baseline_rule=baseline_rule,
        baseline_parameters=dict(baseline_parameters or {}),
        floor=floor.value,
        cap=cap.value,
        utilisation_pence_per_kwh=utilisation_pence_per_kwh,
        coop_share_pct=coop_share_pct,
        availability_pence_per_kw_hour=availability_pence_per_kw_hour,
        revenue_basis=revenue_basis.value,
        pay_curve=pay_curve if isinstance(pay_curve, str) else dict(pay_curve),
        override_cost=override.cost.value,
        override_reduced_by_pct=override.reduced_by_pct,
        forgives_our_failures=forgives_our_failures,
        share_policy=share_policy,
        published_at=at,
    )
    try:
        terms.full_clean()
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise TermsInvalid(field=field, reason=reasons[0]) from error
    terms.save(force_insert=True)
    return terms


def terms_by_id(terms_id: UUID) -> SettlementTerms:
    """The terms a programme holds the id of; raises TermsUnknown."""
    terms = SettlementTerms.objects.filter(pk=terms_id).first()
    if terms is None:
        raise TermsUnknown(terms_id=terms_id)
    return terms


def terms_in_force(terms_id: UUID, at: datetime) -> SettlementTerms:
    """The terms a programme names, or the version before them that was the newest by `at`: never retroactive.

    A programme whose terms were all published later is settled by those it names. Raises TermsUnknown.
    """
    named = terms_by_id(terms_id)
    earlier = SettlementTerms.objects.filter(
        name=named.name, version__lte=named.version, published_at__lte=at
    )
    return earlier.order_by("-version").first() or named


def terms_by_programme(
    named: Mapping[UUID, datetime],
) -> dict[UUID, SettlementTerms]:
    """`terms_in_force` of many: moment by the id a programme names; two queries, unknown ids left out."""
    found = {terms.pk: terms for terms in SettlementTerms.objects.filter(pk__in=list(named))}
    versions = list(SettlementTerms.objects.filter(name__in={terms.name for terms in found.values()}))
    chosen = {}
    for terms_id, at in named.items():
        terms = found.get(terms_id)
        if terms is None:
            continue
        earlier = [
            each
            for each in versions
            if each.name == terms.name and each.version <= terms.version and each.published_at <= at
        ]
        chosen[terms_id] = max(earlier, key=lambda each: each.version, default=terms)
    return chosen


def baseline_rule(terms: SettlementTerms) -> BaselineRule:
    """The terms' baseline rule with its parameters; raises UnknownRule when a preset has gone."""
    return rules.preset(terms.baseline_rule, terms.baseline_parameters)


def delivery_rule(terms: SettlementTerms) -> DeliveryRule:
    """Which part of the delivered energy the terms pay."""
    return DeliveryRule(floor=Floor(terms.floor), cap=Cap(terms.cap))


def contract(terms: SettlementTerms) -> Contract:
    """What the buyer pays under the terms; raises UnknownCurve when a curve's preset has gone."""
    return Contract(
        utilisation_pence_per_kwh=terms.utilisation_pence_per_kwh,
        availability_pence_per_kw_hour=terms.availability_pence_per_kw_hour,
        basis=Basis(terms.revenue_basis),
        curve=curve_from(terms.pay_curve),
    )


def override_policy(terms: SettlementTerms) -> OverridePolicy:
    """What an override costs under the terms."""
    return OverridePolicy(
        cost=OverrideCost(terms.override_cost), reduced_by_pct=terms.override_reduced_by_pct
    )
