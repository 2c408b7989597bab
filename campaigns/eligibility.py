"""Whether an asset may take part, asked twice: by planning for a whole zone, and again when its event leaves.

`standing` reads what the rooms below say about homes for the time of a campaign; `reason_out` is the rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import members.queries
from assets.models import Asset, Hub
from campaigns.models import PlanLine
from members.models import Purpose
from opendsr.kernel.interval import Interval

LeftOut = PlanLine.LeftOut
INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who lives in each home for all of the interval, and which occupancies consent or have opted out."""

    occupancy_by_home: Mapping[UUID, UUID]
    consenting: AbstractSet[UUID]
    opted_out: AbstractSet[UUID]


def standing(home_ids: Iterable[UUID], interval: Interval, *, at: datetime) -> Standing:
    """Read the households, flexibility consents and standing opt-outs that hold over the interval.

    A consent counts when it is live at both ends of what is still to come; a household when it stays to the
    end.
    """
    start = max(at, interval.starts_at)
    end = max(start, interval.ends_at - INSTANT)
    occupancies = members.queries.current_occupancies(list(home_ids), start)
    staying = {
        home_id: occupancy.pk
        for home_id, occupancy in occupancies.items()
        if occupancy.ends_at is None or occupancy.ends_at > end
    }
    among = list(staying.values())
    consenting, consenting_to_the_end = (
        members.queries.consenting_occupancies(Purpose.FLEXIBILITY, instant, among=among)
        for instant in (start, end)
    )
    return Standing(
        occupancy_by_home=staying,
        consenting=consenting & consenting_to_the_end,
        opted_out=members.queries.standing_opt_outs(Interval(start, interval.ends_at), among=among),
    )


def reason_out(*, home_id: UUID, hub_state: str, ven_id: str | None, asset_state: str, told: Standing) -> str:
    """Why the asset may not take part, or "" when it may."""
    occupancy_id = told.occupancy_by_home.get(home_id)
    if occupancy_id is None:
        return LeftOut.NO_HOUSEHOLD
    if occupancy_id not in told.consenting:
        return LeftOut.NO_CONSENT
    if occupancy_id in told.opted_out:
        return LeftOut.STANDING_OPT_OUT
    if hub_state != Hub.State.COMMISSIONED or not ven_id:
        return LeftOut.HUB_NOT_COMMISSIONED
    if asset_state != Asset.State.ACTIVE:
        return LeftOut.ASSET_FAULTY
    return ""
