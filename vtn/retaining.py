"""How long reports are kept once the feed has handed them on: VTN_REPORT_DAYS, by their receipt."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from vtn.models import ReceivedReport, ReportedValue

BATCH: Final = 1_000
"""Reports a transaction, so that no VEN waits for a long one."""
DEFAULT_DAYS: Final = 90


def report_days() -> int:
    """Return how many days reports are kept."""
    return int(getattr(settings, "VTN_REPORT_DAYS", DEFAULT_DAYS))


def prune_reports(*, at: datetime, is_dry_run: bool = False) -> int:
    """Delete reports received longer ago than that with their values, or count them; return how many.

    Those that no reader of `reports_since` can have seen yet stay, however old.
    """
    old = ReceivedReport.objects.filter(
        received_at__lt=at - timedelta(days=report_days()), feed_position__isnull=False
    )
    if is_dry_run:
        return old.count()
    deleted = 0
    while some := list(old.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            values = ReportedValue.objects.filter(report__in=some)
            values._raw_delete(values.db)
            reports = ReceivedReport.objects.filter(pk__in=some)
            deleted += reports._raw_delete(reports.db)
    return deleted
