"""What devices say of assets, a row an instant: operational telemetry, apart from members' meter readings.

The device is found by its hub, its kind and its name; what is said twice is kept once, and figures of one
instant that come in several messages meet in one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from metering.adapters.devices import Said
from metering.intake_models import AssetDevice, AssetState

KEEP: Final = timedelta(days=90)
Place = tuple[str, str, str]
"""The hub's VEN id, the kind and the name of a device."""

FIGURES: Final = (
    "power_w", "energy_wh", "session_wh", "current_ma", "voltage_mv", "temperature_dc", "is_on", "state",
)  # fmt: skip
UPSERT: Final = """
    INSERT INTO metering_assetstate AS held (asset_id, at, received_at, kind, power_w, energy_wh, session_wh,
        current_ma, voltage_mv, temperature_dc, is_on, state)
    SELECT asset_id, at, max(received_at), max(kind), max(power_w), max(energy_wh), max(session_wh),
           max(current_ma), max(voltage_mv), max(temperature_dc), bool_or(is_on), max(state)
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::int4[], %s::int8[],
                %s::int4[], %s::int4[], %s::int4[], %s::int2[], %s::bool[], %s::text[])
        AS told (asset_id, at, received_at, kind, power_w, energy_wh, session_wh, current_ma, voltage_mv,
                 temperature_dc, is_on, state)
    GROUP BY asset_id, at
    ON CONFLICT (asset_id, at) DO UPDATE SET
        power_w = greatest(held.power_w, excluded.power_w),
        energy_wh = greatest(held.energy_wh, excluded.energy_wh),
        session_wh = greatest(held.session_wh, excluded.session_wh),
        current_ma = greatest(held.current_ma, excluded.current_ma),
        voltage_mv = greatest(held.voltage_mv, excluded.voltage_mv),
        temperature_dc = greatest(held.temperature_dc, excluded.temperature_dc),
        is_on = greatest(held.is_on, excluded.is_on), state = greatest(held.state, excluded.state)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """The asset a device is, and the zone of its clock."""

    asset_id: UUID
    kind: str
    tz: str


@dataclass(frozen=True, slots=True)
class State:
    """What was said of an asset, and when it came."""

    asset_id: UUID
    kind: str
    said: Said
    received_at: datetime


def known_devices() -> Mapping[Place, Known]:
    """Every device of an asset in use, by the hub it speaks through, its kind and its name."""
    rows = AssetDevice.objects.filter(asset__hub__ven_id__isnull=False).values_list(
        "asset__hub__ven_id", "kind", "name", "asset_id", "tz"
    )
    return {(str(ven), kind, name): Known(asset, kind, tz) for ven, kind, name, asset, tz in rows}


def store(states: Iterable[State]) -> int:
    """Keep states; inside the caller's transaction. Returns the rows touched."""
    rows = [
        (
            each.asset_id,
            (each.said.at or each.received_at).replace(microsecond=0),
            each.received_at,
            each.kind,
            *(getattr(each.said, name) for name in FIGURES),
        )
        for each in states
    ]
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, [list(column) for column in zip(*rows, strict=True)])
        return int(cursor.rowcount)


def latest(asset_id: UUID) -> AssetState | None:
    """The newest state of an asset."""
    return AssetState.objects.filter(asset_id=asset_id).order_by("-at").first()


def forget(*, at: datetime) -> int:
    """Drop what is older than KEEP."""
    return AssetState.objects.filter(at__lt=at - KEEP).delete()[0]
