"""How long readings are kept, by rule: rows that a co-op sets for itself; `retention.py` does as they say."""

from __future__ import annotations

from datetime import datetime, timedelta

from metering.models import RetentionRule


def in_force() -> list[RetentionRule]:
    """Every rule, by kind."""
    return list(RetentionRule.objects.order_by("kind"))


def half_hours_kept_from(at: datetime) -> datetime | None:
    """Half-hours that began before this are removed at `at`; None when no rule removes any."""
    rule = RetentionRule.objects.filter(kind=RetentionRule.Kind.HALF_HOURLY).first()
    return None if rule is None else at - timedelta(days=rule.keep_days)
