"""Rows that assets 0001 seeds: the kinds of asset, from the figures of the founding report.

`typical_flexible_w` is a kind's daily energy times the share of it that falls between 16:00 and 21:00 (all of
an EV's, 40 % of a water tank's, 20 % of storage heating), over those five hours: a planning figure until the
co-op's own measurements replace it. The report gives hours for one-phase chargers; those of three-phase ones
are worked out the same way, 10 kWh within a stay of 12 hours.
"""

from __future__ import annotations

from typing import Any, Final

ASSET_KINDS: Final[tuple[dict[str, Any], ...]] = (
    {
        "code": "ev_charger",
        "name": "EV charger, one phase",
        "rated_w": 7360,
        "limit_w": 7360,
        "minimum_w": 1380,
        "step_w": 230,
        "typical_flexible_w": 2000,
        "turn_down_hours": "10.5",
        "turn_up_hours": "1.5",
        "turn_down_hours_at_minimum": "5.0",
        "turn_up_hours_at_minimum": "7.0",
        "typical_daily_wh": 10_000,
        "typical_weekly_wh": 60_000,
        "typical_yearly_wh": 2_900_000,
        "unavailable_days_a_year": 75,
        "safe_state": "resume",
        "switch_life": 3000,
    },
    {
        "code": "ev_charger_3ph",
        "name": "EV charger, three phase",
        "rated_w": 22_080,
        "limit_w": 22_080,
        "minimum_w": 4140,
        "step_w": 690,
        "typical_flexible_w": 2000,
        "turn_down_hours": "11.5",
        "turn_up_hours": "0.5",
        "turn_down_hours_at_minimum": "9.5",
        "turn_up_hours_at_minimum": "2.4",
        "typical_daily_wh": 10_000,
        "typical_weekly_wh": 60_000,
        "typical_yearly_wh": 2_900_000,
        "unavailable_days_a_year": 75,
        "safe_state": "resume",
        "switch_life": 3000,
    },
    {
        "code": "immersion_heater",
        "name": "Immersion heater",
        "rated_w": 3000,
        "limit_w": 3680,
        "minimum_w": 3000,
        "step_w": 0,
        "typical_flexible_w": 600,
        "turn_down_hours": "10.0",
        "turn_up_hours": "2.0",
        "turn_down_hours_at_minimum": "10.0",
        "turn_up_hours_at_minimum": "2.0",
        "typical_daily_wh": 7500,
        "typical_weekly_wh": 45_000,
        "typical_yearly_wh": 2_175_000,
        "unavailable_days_a_year": 75,
        "safe_state": "thermostat",
        "switch_life": 3000,
    },
    {
        "code": "storage_heater",
        "name": "Storage heaters",
        "rated_w": 2500,
        "limit_w": 3680,
        "minimum_w": 2500,
        "step_w": 0,
        "typical_flexible_w": 480,
        "turn_down_hours": "2.0",
        "turn_up_hours": "2.0",
        "turn_down_hours_at_minimum": "2.0",
        "turn_up_hours_at_minimum": "2.0",
        "typical_daily_wh": 12_000,
        "typical_weekly_wh": 72_000,
        "typical_yearly_wh": 1_440_000,
        "unavailable_days_a_year": 245,
        "safe_state": "thermostat",
        "switch_life": 3000,
    },
)
