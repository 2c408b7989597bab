"""How long what is over is kept: reports by VTN_REPORT_DAYS, series of events by hand by VTN_SERIES_DAYS."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from opendsr.kernel.periods import civil_date
from vtn.models import EventDraft, EventSeries, ReceivedReport, ReportedValue

BATCH: Final = 1_000
"""Reports a transaction, so that no VEN waits for a long one."""
DEFAULT_DAYS: Final = 90


def report_days() -> int:
    """Return how many days reports are kept."""
    return int(getattr(settings, "VTN_REPORT_DAYS", DEFAULT_DAYS))


def series_days() -> int:
    """Return how many days a series is kept after the last of its civil days."""
    return int(getattr(settings, "VTN_SERIES_DAYS", DEFAULT_DAYS))


def prune_series(*, at: datetime, is_dry_run: bool = False) -> int:
    """Delete series whose last day and last time are longer ago than that, or count them; return how many.

    An ended one stays as long, so that no page left open sends what it called off; one with a draft that was
    not sent stays. Their events are kept like any, and the audit trail tells what was skipped and ended.
    """
    before = civil_date(at) - timedelta(days=series_days())
    over = EventSeries.objects.filter(repeat_until__lt=before)
    gone = 0
    for pk, times in over.order_by("pk").values_list("pk", "times"):
        if any(civil_date(datetime.fromisoformat(each)) >= before for each in times.values()):
            continue  # written again with an earlier last day: what was sent for later stands
        if EventDraft.objects.filter(draft_id__in=list(times), published_at=None).exists():
            continue
        # Asked again as it is deleted: somebody may have written it longer meanwhile.
        gone += 1 if is_dry_run else over.filter(pk=pk).delete()[0]
    return gone


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
