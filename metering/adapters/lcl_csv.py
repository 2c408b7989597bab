"""Low Carbon London trial readings (UK Power Networks, 2011-2014): LCLid, tstp, kWh in the half-hour.

The publisher states neither zone nor stamp. The files themselves do: every home's readings begin at 00:30
and end at 00:00, and a missing day runs from 00:30 to the next 00:00, so a stamp is the END of its half-hour;
each clock-change day has 48 evenly spaced stamps, and evening use moves one hour later in the stamps when
the clocks go back, so the clock is GMT all year.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import parse_lines

FORMAT = CsvFormat(
    name="lcl_csv",
    columns={
        Role.METER: ("LCLid",),
        Role.STAMP: ("tstp", "DateTime"),
        Role.IMPORT: ("energy_kWh", "energy(kWh/hh)", "KWH/hh (per half hour)"),
    },
    stamp=Stamp.END,
    tz="UTC",
    unit=Unit.KWH,
    basis="days run 00:30 to 00:00 in the published files; 48 even stamps on clock-change days",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)
