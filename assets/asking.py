"""What a household asks of an asset, read out of the words that the registry keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any, Final

WH_PER_MILE: Final = 250
"""25 kWh to 100 miles."""


def charge_wh(needs: Mapping[str, Any]) -> object:
    """What is to be charged by `ready_by`, however it is said; None where it is not."""
    miles = needs.get("charge_miles")
    return needs.get("charge_wh") if miles is None else round(float(miles) * WH_PER_MILE)


def hot_by(needs: Mapping[str, Any]) -> tuple[time, ...]:
    """The UK times of day at which hot water is wanted; none where that is not said, or with a zone."""
    try:
        times = tuple(time.fromisoformat(word) for word in str(needs.get("hot_by") or "").split())
    except ValueError:
        return ()
    return () if any(each.tzinfo is not None for each in times) else times
