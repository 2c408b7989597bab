"""What an import tells its caller: every row accounted for, each refusal with its line, value and reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from metering.adapters.formats import Reject
from opendsr.kernel.interval import Interval


@dataclass(frozen=True, slots=True)
class Gap:
    """Half-hours that nothing in the file filled; `line` is the row of the half-hour before them."""

    line: int
    meter: str
    stream_id: UUID
    starts_at: datetime
    half_hours: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of an import: rows_read = rows_landed + rows_summed + rows_unchanged + rows_rejected.

    `rows_summed` went into a day's or month's total because the household consents to nothing finer.
    `rows_corrected` of those landed replaced a value. `rows_expiring` of the good rows began before
    `kept_from`: the retention rules remove them at the next run of their job. `rejects` and `gaps` are the
    earliest by line; the counts cover all. `run_id` is None and nothing was kept after a dry run.
    """

    run_id: int | None
    source: str
    name: str
    convention: str
    rows_read: int = 0
    rows_landed: int = 0
    rows_corrected: int = 0
    rows_summed: int = 0
    rows_unchanged: int = 0
    rows_rejected: int = 0
    gap_half_hours: int = 0
    rows_expiring: int = 0
    kept_from: datetime | None = None
    rejects: tuple[Reject, ...] = ()
    gaps: tuple[Gap, ...] = ()
    stream_ids: tuple[UUID, ...] = field(default=(), repr=False)
    interval: Interval | None = None

    @property
    def changed_nothing(self) -> bool:
        """True when the store is as it was: every good row was known already, or there was none."""
        return self.rows_landed + self.rows_summed == 0
