"""The rules that every campaign keeps: in versions, the newest in force, each with who set it and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import transaction

from campaigns.models import CampaignRule
from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid

if TYPE_CHECKING:
    from members.models import User

SECOND_FROM_W: Final = 1_000_000
SUBSTATION_W_PER_MINUTE: Final = 1_000_000
CHANCE_PCT: Final = 95
MOST_ASKS: Final = 12
"""What the house comes with, and no cap on what the whole portfolio changes."""
LARGEST_W: Final = 2_000_000_000
RANGES: Final = {
    "second_from_w": (0, LARGEST_W),
    "substation_w_per_minute": (1, LARGEST_W),
    "portfolio_w_per_minute": (1, LARGEST_W),
    "chance_pct": (50, 99),
    "most_asks": (1, 200),
}


class RuleInvalid(Invalid):
    """A rule that cannot be: `field`, `reason`."""

    field: str
    reason: str


def in_force() -> CampaignRule:
    """The newest rules; until any are set, those that the house comes with."""
    found = CampaignRule.objects.order_by("-pk").first()
    return found or CampaignRule(
        second_from_w=SECOND_FROM_W,
        substation_w_per_minute=SUBSTATION_W_PER_MINUTE,
        chance_pct=CHANCE_PCT,
        most_asks=MOST_ASKS,
    )


@transaction.atomic
def set_rules(
    *,
    second_from_w: int,
    substation_w_per_minute: int,
    chance_pct: int,
    most_asks: int,
    why: str,
    at: datetime,
    by: User,
    portfolio_w_per_minute: int | None = None,
) -> CampaignRule:
    """Put new rules in force for every campaign planned, approved or sent from now on; raises RuleInvalid.

    Without `portfolio_w_per_minute` all homes together may change as fast as they like.
    """
    values = {
        "second_from_w": second_from_w,
        "substation_w_per_minute": substation_w_per_minute,
        "portfolio_w_per_minute": portfolio_w_per_minute,
        "chance_pct": chance_pct,
        "most_asks": most_asks,
    }
    for field, (least, most) in RANGES.items():
        value = values[field]
        if value is not None and not least <= value <= most:
            raise RuleInvalid(field=field, reason=f"{least} to {most}")
    if not why.strip():
        raise RuleInvalid(field="why", reason="say why")
    made = CampaignRule.objects.create(**values, why=why.strip()[:200], set_at=at, set_by=by)
    audit.record(
        at=at, actor=f"user:{by.pk}", verb="campaigns.rules.set", target="campaigns:rules", detail=values
    )
    return made


def feeder_cap_w(rule: CampaignRule, *, stagger_seconds: int, used_w_per_minute: int = 0) -> int:
    """How much of one substation's load a campaign may change, spread over the stagger: W a minute, kept,
    less what others change at that time.
    """
    return _over_stagger_w(rule.substation_w_per_minute - used_w_per_minute, stagger_seconds)


def portfolio_cap_w(rule: CampaignRule, *, stagger_seconds: int, used_w_per_minute: int = 0) -> int | None:
    """How much a campaign may change in all, as `feeder_cap_w`; None where the rules set no cap."""
    if rule.portfolio_w_per_minute is None:
        return None
    return _over_stagger_w(rule.portfolio_w_per_minute - used_w_per_minute, stagger_seconds)


def _over_stagger_w(left_w_per_minute: int, stagger_seconds: int) -> int:
    return min(LARGEST_W, max(0, left_w_per_minute) * max(60, stagger_seconds) // 60)
