"""Share policies: published in versions, in force from a moment on; and whom a policy treats apart.

A version is never edited and never reaches back: an event is shared by the version in force when it started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, Q

from members.models import Household, User
from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid
from settlement.models import GiftChoice, HardshipMark, SettlementTerms, SharePolicyVersion
from settlement.sharing import PolicyInvalid, SharePolicy, policy_from

LOCK: Final = "settlement.share_policy"


class PolicyRetroactive(Invalid):
    """A version would begin before it is published, or before the version in front of it."""

    effective_from: datetime
    not_before: datetime


class PolicyNotInForce(Invalid):
    """No version of the policy was in force at the event."""

    policy: str
    at: datetime


class GiftInvalid(Invalid):
    """A gift that is no percentage."""

    pct: Decimal


@dataclass(frozen=True, slots=True)
class Special:
    """How a household differs in the split."""

    in_hardship: bool = False
    donates_pct: Decimal = Decimal(0)


ORDINARY: Final = Special()


@transaction.atomic
def publish_policy(
    *,
    name: str,
    policy: SharePolicy | Mapping[str, Any],
    effective_from: datetime,
    at: datetime,
    by: User | None = None,
    why: str = "",
) -> SharePolicyVersion:
    """Publish the next version of the policy of that name; raises PolicyInvalid, PolicyRetroactive."""
    name = name.strip()
    if not name:
        raise PolicyInvalid(field="name", reason="a policy has a name")
    checked = policy if isinstance(policy, SharePolicy) else policy_from(policy)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [LOCK, name])
    newest = SharePolicyVersion.objects.filter(name=name).order_by("-version").first()
    not_before = max(at, newest.effective_from) if newest else at
    if effective_from < not_before:
        raise PolicyRetroactive(effective_from=effective_from, not_before=not_before)
    published = SharePolicyVersion.objects.create(
        name=name,
        version=newest.version + 1 if newest else 1,
        effective_from=effective_from,
        policy=checked.as_data(),
        why=why[:200],
        published_at=at,
        published_by=by,
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.policy_published",
        target=f"share_policy:{published.pk}",
        detail={"name": name, "version": published.version},
    )
    return published


def policy_for(terms: SettlementTerms, at: datetime) -> tuple[str, SharePolicy]:
    """Name with version, and the policy the terms share by at `at`; raises PolicyNotInForce."""
    if not terms.share_policy:
        return "", SharePolicy(coop_pct=terms.coop_share_pct)
    version = in_force(terms.share_policy, at)
    if version is None:
        raise PolicyNotInForce(policy=terms.share_policy, at=at)
    return str(version), policy_from(version.policy)


def in_force(name: str, at: datetime) -> SharePolicyVersion | None:
    """The version of the policy in force at `at`, None before the first."""
    versions = SharePolicyVersion.objects.filter(name=name, effective_from__lte=at)
    return versions.order_by("-effective_from", "-version").first()


def policy_names() -> list[str]:
    """Every published policy by name."""
    rows = SharePolicyVersion.objects.values("name").annotate(newest=Max("version")).order_by("name")
    return [row["name"] for row in rows]


def special_households(at: datetime) -> dict[UUID, Special]:
    """Households in hardship or giving to the fund at `at`; the others are ORDINARY."""
    marks = HardshipMark.objects.filter(starts_at__lte=at).filter(Q(ends_at__isnull=True) | Q(ends_at__gt=at))
    hard = set(marks.values_list("household_id", flat=True))
    gifts = GiftChoice.objects.filter(effective_from__lte=at)
    newest = gifts.order_by("household_id", "-effective_from", "-id").distinct("household_id")
    giving = dict(newest.values_list("household_id", "pct"))
    return {
        household_id: Special(household_id in hard, giving.get(household_id, Decimal(0)))
        for household_id in hard | giving.keys()
    }


@transaction.atomic
def choose_gift(*, household: Household, pct: Decimal, at: datetime, by: User | None) -> GiftChoice:
    """Give this part of what is earned from now on to the community fund; 0 ends it. Raises GiftInvalid."""
    if not (pct.is_finite() and 0 <= pct <= 100):
        raise GiftInvalid(pct=pct)
    chosen = GiftChoice.objects.create(household=household, pct=pct, effective_from=at, chosen_by=by)
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.gift_chosen",
        target=f"household:{household.pk}",
        detail={"pct": str(pct)},
    )
    return chosen
