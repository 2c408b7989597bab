"""What each kind of asset was expected to use and what was measured, from what devices say of themselves.

An asset's own meter (`energy_wh` of its states) gives its mean day: the difference of an early and a late
reading over the time between. An asset counts with three days of it, and a meter that did not begin anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from assets.models import Asset, AssetKind

OVER: Final = timedelta(days=28)
LEAST_DAYS: Final = 3
MOST_ASSETS: Final = 500
"""Of a kind: a sample by id, so that a fleet of any size is a page."""
# Two looks into the index for each asset; a device that tells no energy is given up after a few states.
MEASURED: Final = """
    SELECT chosen.kind_id, count(*),
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY (late.energy_wh - early.energy_wh) * 86400.0 / extract(epoch FROM late.at - early.at)
           )
    FROM (
        SELECT id, kind_id, row_number() OVER (PARTITION BY kind_id ORDER BY id) AS number
        FROM assets_asset WHERE state <> 'retired'
    ) AS chosen
    CROSS JOIN LATERAL (
        SELECT at, energy_wh FROM (
            SELECT at, energy_wh FROM metering_assetstate
            WHERE asset_id = chosen.id AND at >= %(since)s AND at < %(until)s ORDER BY at LIMIT 50
        ) AS few WHERE energy_wh IS NOT NULL ORDER BY at LIMIT 1
    ) AS early
    CROSS JOIN LATERAL (
        SELECT at, energy_wh FROM (
            SELECT at, energy_wh FROM metering_assetstate
            WHERE asset_id = chosen.id AND at >= %(since)s AND at < %(until)s ORDER BY at DESC LIMIT 50
        ) AS few WHERE energy_wh IS NOT NULL ORDER BY at DESC LIMIT 1
    ) AS late
    WHERE chosen.number <= %(most)s AND late.energy_wh >= early.energy_wh
      AND late.at - early.at >= make_interval(days => %(least_days)s)
    GROUP BY chosen.kind_id
"""


@dataclass(frozen=True, slots=True)
class KindUse:
    """One kind: how many are in use, of how many a day was measured, and the median asset's mean day."""

    kind: AssetKind
    in_use: int
    measured: int
    daily_wh: int | None

    @property
    def share_pct(self) -> int | None:
        """The measured day as a share of the expected one."""
        return None if self.daily_wh is None else round(100 * self.daily_wh / self.kind.typical_daily_wh)


def kinds(*, at: datetime, over: timedelta = OVER) -> list[KindUse]:
    """Every kind of asset, by name, over the last weeks."""
    asked: dict[str, datetime | int] = {
        "since": at - over,
        "until": at,
        "most": MOST_ASSETS,
        "least_days": LEAST_DAYS,
    }
    with connection.cursor() as cursor:
        cursor.execute(MEASURED, asked)
        found = {kind: (count, round(daily_wh)) for kind, count, daily_wh in cursor.fetchall()}
    in_use = Counter(Asset.objects.exclude(state=Asset.State.RETIRED).values_list("kind_id", flat=True))
    return [
        KindUse(each, in_use[each.pk], *found.get(each.pk, (0, None)))
        for each in AssetKind.objects.order_by("name")
    ]
