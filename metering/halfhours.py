"""Power samples and cumulative registers become half-hours with stated completeness. Pure; gaps stay gaps.

Columns in, columns out, for many streams at once: `stream` numbers whatever the caller means by it, instants
are microseconds since 1970 UTC (`slots.micros`), slots half-hours since then. Rows may come in any order and
twice; the outcome does not depend on it, nor on how much before or after a half-hour is given with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from metering.models import Quality
from metering.slots import MICROSECONDS, Bools, Ints

SECOND: Final = 1_000_000
HALF_HOUR_SECONDS: Final = MICROSECONDS // SECOND
HOLD_SECONDS: Final = 60
SPREAD_SECONDS: Final = 300
MOST_W: Final = 1_000_000
MEASURED_PCT: Final = 95
LEAST_PCT: Final = 50
WATT_MICROSECONDS_A_WH: Final = 3_600 * SECOND


@dataclass(frozen=True, slots=True)
class HalfHours:
    """Half-hours in order of (stream, slot), each once; `covered_pct` of each was seen, from 0 to 100.

    Energy is that of the whole half-hour: what was seen, scaled up to 30 minutes when some was not.
    """

    stream: Ints
    slot: Ints
    import_wh: Ints
    export_wh: Ints
    covered_pct: Ints

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def quality(self) -> Ints:
        """MEASURED when at least MEASURED_PCT was seen, else ESTIMATED."""
        return np.where(self.covered_pct >= MEASURED_PCT, Quality.MEASURED, Quality.ESTIMATED).astype(
            np.int64
        )

    def worth_keeping(self, least_pct: int = LEAST_PCT) -> HalfHours:
        """Without the half-hours of which too little was seen: they are gaps."""
        return self.where(self.covered_pct >= least_pct)

    def where(self, rows: Bools) -> HalfHours:
        """The chosen half-hours."""
        return HalfHours(
            self.stream[rows],
            self.slot[rows],
            self.import_wh[rows],
            self.export_wh[rows],
            self.covered_pct[rows],
        )


def from_power(stream: Ints, at: Ints, power_w: Ints, *, hold_seconds: int = HOLD_SECONDS) -> HalfHours:
    """Energy of power samples (+ import, - export); a sample holds until the next, `hold_seconds` at most.

    Of samples of one stream at one instant the greatest counts.
    """
    if not 0 < hold_seconds <= HALF_HOUR_SECONDS:
        raise ValueError(f"hold_seconds must be 1 to {HALF_HOUR_SECONDS}, not {hold_seconds}")
    order = np.lexsort((power_w, at, stream))
    stream, at, power_w = (column[order].astype(np.int64) for column in (stream, at, power_w))
    single = np.ones(len(at), dtype=bool)
    single[:-1] = (stream[1:] != stream[:-1]) | (at[1:] != at[:-1])
    stream, at, power_w = stream[single], at[single], power_w[single]
    until = at + hold_seconds * SECOND
    follows = stream[1:] == stream[:-1]
    until[:-1] = np.where(follows, np.minimum(until[:-1], at[1:]), until[:-1])
    slot = at // MICROSECONDS
    edge = (slot + 1) * MICROSECONDS
    ahead = until > edge
    parts = [(stream, slot, power_w, np.minimum(until, edge) - at)]
    parts.append((stream[ahead], slot[ahead] + 1, power_w[ahead], (until - edge)[ahead]))
    owner, place, watts, lasting = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return _gathered(owner, place, np.maximum(watts, 0) * lasting, np.maximum(-watts, 0) * lasting, lasting)


def from_registers(
    stream: Ints,
    at: Ints,
    import_wh: Ints,
    export_wh: Ints | None = None,
    *,
    spread_seconds: int = SPREAD_SECONDS,
    most_w: int = MOST_W,
    wraps_at: int | None = None,
) -> HalfHours:
    """Energy between readings of cumulative registers in Wh.

    A stretch between two readings counts when it lies within one half-hour, or when it lasts at most
    `spread_seconds` and is split at the boundary in proportion. A longer stretch tells how much but not when:
    it is a gap. So is one in which a register fell (a device that restarted; what it counted unseen is
    unknown), unless it fell past `wraps_at`, and one that would need more than `most_w`. Of readings that
    differ at one instant the greatest counts.
    """
    exports = np.zeros_like(import_wh) if export_wh is None else export_wh
    order = np.lexsort((exports, import_wh, at, stream))
    stream, at, imports, exports = (
        column[order].astype(np.int64) for column in (stream, at, import_wh, exports)
    )
    single = np.ones(len(at), dtype=bool)
    single[:-1] = (stream[1:] != stream[:-1]) | (at[1:] != at[:-1])
    stream, at, imports, exports = stream[single], at[single], imports[single], exports[single]
    start, end = at[:-1], at[1:]
    rise, export_rise = _risen(imports, wraps_at), _risen(exports, wraps_at)
    slot = start // MICROSECONDS
    edge = (slot + 1) * MICROSECONDS
    lasting = end - start
    is_told = (stream[1:] == stream[:-1]) & (rise >= 0) & (export_rise >= 0)
    is_told &= (end <= edge) | (lasting <= spread_seconds * SECOND)
    is_told &= np.maximum(rise, export_rise).astype(np.float64) * WATT_MICROSECONDS_A_WH <= (
        float(most_w) * lasting
    )
    stream, start, end, slot, edge, lasting = (
        column[is_told] for column in (stream[:-1], start, end, slot, edge, lasting)
    )
    rise, export_rise = rise[is_told], export_rise[is_told]
    before = np.minimum(end, edge) - start
    # Whole Wh on each side of the boundary, so that half-hours add up to what the register rose by.
    first, export_first = rise * before // lasting, export_rise * before // lasting
    ahead = end > edge
    parts = [(stream, slot, first, export_first, before)]
    parts.append(
        (
            stream[ahead],
            slot[ahead] + 1,
            (rise - first)[ahead],
            (export_rise - export_first)[ahead],
            (end - edge)[ahead],
        )
    )
    owner, place, energy, export, seen = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return _gathered(owner, place, energy * WATT_MICROSECONDS_A_WH, export * WATT_MICROSECONDS_A_WH, seen)


def scaled_wh(energy: Ints, seen: Ints) -> Ints:
    """Whole Wh of a half-hour from watt-microseconds seen over `seen` microseconds of it."""
    whole = np.maximum(seen, 1)
    scaled = np.where(
        seen >= MICROSECONDS,
        energy / WATT_MICROSECONDS_A_WH,
        energy / whole * (MICROSECONDS / WATT_MICROSECONDS_A_WH),
    )
    wh: Ints = np.floor(scaled + 0.5).astype(np.int64)
    return wh


def _risen(register: Ints, wraps_at: int | None) -> Ints:
    """How much the register rose from each reading to the next; below zero where it fell."""
    rise: Ints = np.diff(register)
    if wraps_at is not None:
        past_the_top = (
            (rise < 0) & (register[:-1] >= wraps_at - wraps_at // 10) & (register[1:] <= wraps_at // 10)
        )
        rise = np.where(past_the_top, rise + wraps_at, rise)
    return rise


def _gathered(stream: Ints, slot: Ints, imported: Ints, exported: Ints, seen: Ints) -> HalfHours:
    """Parts, in watt-microseconds over `seen` microseconds, added up by stream and half-hour."""
    order = np.lexsort((slot, stream))
    stream, slot = stream[order], slot[order]
    heads = np.ones(len(slot), dtype=bool)
    heads[1:] = (stream[1:] != stream[:-1]) | (slot[1:] != slot[:-1])
    starts = np.flatnonzero(heads)
    if not len(starts):
        return HalfHours(*(np.zeros(0, dtype=np.int64) for _ in range(5)))
    imported, exported, seen = (
        np.add.reduceat(column[order], starts) for column in (imported, exported, seen)
    )
    return HalfHours(
        stream=stream[starts],
        slot=slot[starts],
        import_wh=scaled_wh(imported, seen),
        export_wh=scaled_wh(exported, seen),
        covered_pct=seen * 100 // MICROSECONDS,
    )
