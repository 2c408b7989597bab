"""Why each asset of a zone is in or out of what an operator started: kept with it, written out afterwards.

The transaction that publishes keeps the numbers that the choice was made from, as columns in an outbox fact.
Its consumer makes the same choice again and writes a line an asset, with its words.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction

from campaigns import selecting
from campaigns.models import Campaign, CampaignRule, PlanLine
from campaigns.selecting import Offer

TO_EXPLAIN: Final = "campaigns.servicing.to_explain"
NOBODY: Final = bytes(16)
NO_OFFER: Final = -1
COLUMNS: Final = {
    "expected_w": "<i8",
    "chance_out": "<f8",
    "asked_lately": "<i8",
    "substation": "<i4",
    "is_held": "?",
    "offer": "<i4",
    "reason": "<i4",
}
RULE: Final = ("substation_w_per_minute", "chance_pct", "most_asks")
WRITE: Final = """
    INSERT INTO campaigns_planline (campaign_id, asset_id, occupancy_id, expected_w, left_out, why)
    SELECT %s, asset, occupancy, expected_w, left_out, why
    FROM jsonb_to_recordset(%s::jsonb)
        AS told (asset uuid, occupancy uuid, expected_w int4, left_out text, why text)
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """The assets of a zone with the stay behind each (None: nobody lives there), why they may not be asked
    ("" may), and what those that may would give, with the places of these among the assets.
    """

    assets: Sequence[UUID]
    stays: Sequence[UUID | None]
    reasons: Sequence[str]
    offers: Sequence[Offer]
    places: Sequence[int]


def kept(
    looked: Looked,
    *,
    size_w: int,
    rule: CampaignRule,
    stagger_seconds: int,
    used_w_per_minute: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What `write` needs, as plain JSON of some hundred kilobytes for ten thousand assets."""
    offers = looked.offers
    offer_at = [NO_OFFER] * len(looked.assets)
    for number, place in enumerate(looked.places):
        offer_at[place] = number
    substations = sorted({offer.substation for offer in offers})
    reasons = sorted(set(looked.reasons))
    substation_at = {name: place for place, name in enumerate(substations)}
    reason_at = {name: place for place, name in enumerate(reasons)}
    columns: dict[str, Sequence[float]] = {
        "expected_w": [offer.expected_w for offer in offers],
        "chance_out": [offer.chance_out for offer in offers],
        "asked_lately": [offer.asked_lately for offer in offers],
        "substation": [substation_at[offer.substation] for offer in offers],
        "is_held": [offer.is_held for offer in offers],
        "offer": offer_at,
        "reason": [reason_at[reason] for reason in looked.reasons],
    }
    return {
        "size_w": size_w,
        "stagger_seconds": stagger_seconds,
        "used_w_per_minute": dict(used_w_per_minute or {}),
        "rule": {name: getattr(rule, name) for name in RULE},
        "substations": substations,
        "reasons": reasons,
        "assets": _text(b"".join(asset.bytes for asset in looked.assets)),
        "stays": _text(b"".join(NOBODY if stay is None else stay.bytes for stay in looked.stays)),
        **{name: _text(np.array(values, COLUMNS[name]).tobytes()) for name, values in columns.items()},
    }


@transaction.atomic
def write(campaign_id: UUID, told: Any) -> None:
    """Write the lines out of what `kept` returned; where they are written already, nothing."""
    campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
    if PlanLine.objects.filter(campaign=campaign).exists():
        return
    with connection.cursor() as cursor:
        cursor.execute(WRITE, [campaign_id, json.dumps(_lines(told))])


def _lines(told: Any) -> list[dict[str, object]]:
    assets = _ids(told["assets"])
    stays = [None if stay.bytes == NOBODY else stay for stay in _ids(told["stays"])]
    columns = {
        name: np.frombuffer(base64.b64decode(told[name]), kind).tolist() for name, kind in COLUMNS.items()
    }
    asset_of = {place: asset for asset, place in zip(assets, columns["offer"], strict=True)}
    offers = [
        Offer(asset_of[place], expected_w, chance_out, asked, told["substations"][substation], is_held)
        for place, (expected_w, chance_out, asked, substation, is_held) in enumerate(
            zip(*(columns[name] for name in list(COLUMNS)[:5]), strict=True)
        )
    ]
    chosen = selecting.select(
        offers,
        size_w=told["size_w"],
        rule=CampaignRule(**told["rule"]),
        stagger_seconds=told["stagger_seconds"],
        used_w_per_minute=told.get("used_w_per_minute"),
    )
    is_in = set(chosen.chosen)
    lines: list[dict[str, object]] = []
    for asset, stay, place, reason in zip(assets, stays, columns["offer"], columns["reason"], strict=True):
        expected_w = offers[place].expected_w if place in is_in else 0
        left_out = told["reasons"][reason] or PlanLine.LeftOut.NOT_NEEDED.value
        lines.append(
            {
                "asset": str(asset),
                "occupancy": stay and str(stay),
                "expected_w": expected_w,
                "left_out": "" if expected_w else left_out,
                "why": "" if place == NO_OFFER else chosen.why(place),
            }
        )
    return lines


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ids(text: str) -> list[UUID]:
    data = base64.b64decode(text)
    return [UUID(bytes=data[start : start + 16]) for start in range(0, len(data), 16)]
