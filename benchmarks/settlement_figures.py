"""The figures of months over 10,000 homes and 20 events: hours after each, the months, the page's read.

Run it as `python benchmarks/settlement_figures.py`; BENCH_HOMES=200 BENCH_EVENTS=3 makes a smoke test of it.
A scratch database, loaded and settled as `settlement_rounds.py` does, which is not timed.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

os.environ.setdefault("BENCH_EVENTS", "20")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import settle_1000_homes as single
from benchmarks import settlement_rounds as rounds_bench
from benchmarks.import_rows import make_streams, scratch_database


def main() -> None:
    """Measure and print a line a figure."""
    with scratch_database():
        measure()


def measure() -> None:
    """Settle a round, then work its months out: the first time, again, and read them as the page does."""
    from members.models import User
    from settlement import rounds
    from settlement.kpi_models import MonthFigures
    from settlement.kpis import monthly

    rounds_bench.load_readings(make_streams(rounds_bench.HOMES))
    published = rounds_bench.publish(rounds_bench.RULE)
    assets = single.make_assets()
    days = rounds_bench.event_days()
    campaigns = [single.make_campaign(assets, day, published.pk) for day in days]
    fay, ada = (User.objects.create_user(f"{name}@example.org") for name in ("fay", "ada"))
    round = rounds_bench.propose([campaign.pk for campaign in campaigns], by=fay)
    rounds.compute_round(round_id=round.pk, at=single.AT)
    rounds.approve_round(round_id=round.pk, at=single.AT, by=ada)
    months = sorted({day.replace(day=1) for day in days})
    at = single.AT + timedelta(days=60)
    for name, when in (("first", at), ("unchanged", at)):
        began = time.perf_counter()
        told = sum(monthly.tell(month, at=when) for month in months)
        sys.stdout.write(
            f"BENCH {name}: {rounds_bench.HOMES} homes, {len(days)} events, {told} of {len(months)} months "
            f"{time.perf_counter() - began:.2f} s\n"
        )
    began = time.perf_counter()
    kept = list(MonthFigures.objects.order_by("-starts_on")[:24])
    sys.stdout.write(f"BENCH read: {len(kept)} months {1000 * (time.perf_counter() - began):.1f} ms\n")


if __name__ == "__main__":
    main()
