"""A night of 10,000 homes in the database: planned, sent as events, and shown on the staff's page.

Run it as `make bench-campaigns` or `python benchmarks/campaigns_night.py`. It makes a scratch database in the
cluster of DATABASE_URL (or in this clone's private one). Sending goes to a VTN on paper: what the VTN takes
for ten thousand events is `vtn_campaign.py`'s to measure.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.import_rows import make_streams, scratch_database

HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
PAGES = int(os.environ.get("BENCH_PAGES", "60"))
NIGHT = date(2026, 1, 14)
AT = datetime(2026, 1, 14, 16, 20, tzinfo=UTC)


class PaperVtn:
    """Trusts everybody and keeps what it is handed."""

    def trusted(self, ven_ids: set[str]) -> set[str]:
        return set(ven_ids)

    def publish_many(self, notices: Mapping[str, object], *, at: datetime) -> dict[str, str]:
        return {key: f"E-{number}" for number, key in enumerate(notices)}


def make_homes() -> None:
    """A car behind a hub in every home, a tank in every third, a tariff with two bands on each."""
    from datetime import time as time_of_day

    from assets.models import Asset, Hub
    from campaigns import tariffs
    from campaigns.models import HomeTariff
    from members import consenting
    from members.models import Consent, Granularity, Member, Occupancy, Purpose

    stays = list(Occupancy.objects.all())
    since = min(stay.starts_at for stay in stays)
    hubs = Hub.objects.bulk_create(
        Hub(
            home_id=stay.home_id,
            serial=f"HUB-{n}",
            state="commissioned",
            ven_id=f"VEN-{n}",
            commissioned_at=AT,
        )
        for n, stay in enumerate(stays)
    )
    kinds = (("ev_charger", 7_360, 1), ("immersion_heater", 3_000, 3))
    Asset.objects.bulk_create(
        Asset(
            hub=hub, kind_id=kind, resource_id=f"{kind}-{n}", name=kind, rated_w=rated, flexible_w=500,
            installed_at=AT,
        )
        for n, hub in enumerate(hubs)
        for kind, rated, every in kinds
        if n % every == 0
    )  # fmt: skip
    bands = {time_of_day(0): Decimal("28.5"), time_of_day(0, 30): Decimal(9), time_of_day(7): Decimal("28.5")}
    tariffs.set_bands(code="e7", name="Economy 7", bands=bands, at=AT, by="benchmark")
    HomeTariff.objects.bulk_create(
        HomeTariff(occupancy=stay, tariff_id="e7", starts_at=since) for stay in stays
    )
    text = consenting.publish_text(purpose=Purpose.FLEXIBILITY, body="I agree.", at=since)
    member_of = dict(Member.objects.values_list("household_id", "pk"))
    Consent.objects.bulk_create(
        Consent(
            occupancy=stay, purpose=Purpose.FLEXIBILITY, text=text, granularity=Granularity.NONE,
            member_id=member_of[stay.household_id], channel="paper", starts_at=since,
        )
        for stay in stays
    )  # fmt: skip


def pages_ms() -> list[float]:
    """The staff's page as its door answers it, one page after the other."""
    from django.conf import settings
    from django.contrib.auth.models import Group
    from django.test import Client

    from members.models import Role, User

    settings.ALLOWED_HOSTS = ["*"]
    settings.SECURE_SSL_REDIRECT = False
    settings.STAFF_SECOND_FACTOR = False
    sam = User.objects.create_user("sam@example.org", "correct horse battery", is_staff=True)
    sam.groups.add(Group.objects.get_or_create(name=Role.DISPATCHER.value)[0])
    client = Client()
    client.force_login(sam, backend="django.contrib.auth.backends.ModelBackend")
    taken = []
    for number in range(PAGES + 3):
        address = f"/plans/?night={NIGHT}&page={1 + number * 7 % (HOMES // 50 or 1)}"
        began = time.perf_counter()
        answer = client.get(address)
        if answer.status_code != 200 or f"{HOMES:,}" not in answer.content.decode():
            raise SystemExit(f"The benchmark measured something else: {answer.status_code}")
        taken.append(1000 * (time.perf_counter() - began))
    return taken[3:]


def main() -> None:
    """Measure, and print a line a figure."""
    lines: list[str] = []
    with scratch_database():
        from django.db import connection

        from campaigns import home_plans, vtn_door

        make_streams(HOMES)
        make_homes()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        began = time.perf_counter()
        planned = home_plans.plan_night(night=NIGHT, at=AT)
        lines.append(f"BENCH night_planned_10000_homes_seconds {time.perf_counter() - began:.2f} s")
        with patch.object(vtn_door, "vtn", PaperVtn):
            began = time.perf_counter()
            sent: Any = home_plans.send_night(night=NIGHT, at=AT)
            lines.append(
                f"BENCH night_guarded_and_sent_10000_homes_seconds {time.perf_counter() - began:.2f} s"
            )
        if planned.homes != HOMES or sent.homes != HOMES:
            raise SystemExit(f"The benchmark measured something else: {planned} {sent}")
        taken = sorted(pages_ms())
    lines.append(f"BENCH night_plans_page_median_ms {statistics.median(taken):.1f} ms")
    lines.append(f"BENCH night_plans_page_p95_ms {taken[int(0.95 * len(taken))]:.1f} ms goal 300")
    sys.stdout.write(f"{HOMES} homes, {PAGES} pages\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
