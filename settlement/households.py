"""The households of a campaign as columns, so that ten thousand are gathered, paid and written in few passes.

`gathering.py` and `archiving.py` make them, `reckoning.py` works on columns; a row reads as a `Household`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final, overload
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from settlement.baselines import EventDays, Mask, Wh

ID: Final = np.dtype("V16")
Ids = NDArray[np.void]
Rows = NDArray[np.intp]

NOBODY: Final = bytes(16)
STANDINGS: Final = (
    "took_part",
    "silent",
    "overridden",
    "opted_out",
    "not_reached",
    "device_error",
    "held_out",
)
CODE_OF: Final = {standing: code for code, standing in enumerate(STANDINGS)}
OVERRIDDEN: Final = "overridden"
HELD_OUT: Final = "held_out"


@dataclass(frozen=True, slots=True)
class Household:
    """One household of the campaign: `instructed_wh` is a half-hour's, `assets` how many were instructed,
    `event_days` are civil days.
    """

    occupancy_id: UUID
    stream_id: UUID | None
    standing: str
    takes_part: bool
    instructed_wh: int
    assets: int = 1
    event_days: frozenset[date] = frozenset()
    in_hardship: bool = False
    donates_pct: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class Households(Sequence[Household]):
    """Households as columns, a row each.

    Ids are 16 bytes, all nought for a household without a stream; `standing` are places in STANDINGS;
    `donates` holds those who give, by row.
    """

    occupancy_ids: Ids
    stream_ids: Ids
    standing: NDArray[np.uint8]
    takes_part: Mask
    instructed_wh: Wh
    assets: Wh
    event_days: EventDays
    in_hardship: Mask
    donates: Mapping[int, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, households: Sequence[Household]) -> Households:
        """The columns of single households."""
        if isinstance(households, Households):
            return households
        return cls(
            occupancy_ids=ids_of(home.occupancy_id for home in households),
            stream_ids=ids_of(home.stream_id for home in households),
            standing=np.array([CODE_OF[home.standing] for home in households], np.uint8),
            takes_part=np.array([home.takes_part for home in households], np.bool_),
            instructed_wh=np.array([home.instructed_wh for home in households], np.int64),
            assets=np.array([home.assets for home in households], np.int64),
            event_days=EventDays.of([home.event_days for home in households]),
            in_hardship=np.array([home.in_hardship for home in households], np.bool_),
            donates={row: home.donates_pct for row, home in enumerate(households) if home.donates_pct},
        )

    @classmethod
    def joined(cls, parts: Sequence[Households]) -> Households:
        """Households in stretches, one after the other, whose event days are told of the same days."""
        firsts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        return cls(
            occupancy_ids=np.concatenate([part.occupancy_ids for part in parts]),
            stream_ids=np.concatenate([part.stream_ids for part in parts]),
            standing=np.concatenate([part.standing for part in parts]),
            takes_part=np.concatenate([part.takes_part for part in parts]),
            instructed_wh=np.concatenate([part.instructed_wh for part in parts]),
            assets=np.concatenate([part.assets for part in parts]),
            event_days=EventDays(
                parts[0].event_days.days, np.concatenate([part.event_days.took_part for part in parts])
            ),
            in_hardship=np.concatenate([part.in_hardship for part in parts]),
            donates={
                first + row: pct
                for first, part in zip(firsts, parts, strict=False)
                for row, pct in part.donates.items()
            },
        )

    def __len__(self) -> int:
        return len(self.occupancy_ids)

    @overload
    def __getitem__(self, row: int) -> Household: ...
    @overload
    def __getitem__(self, row: slice) -> Households: ...
    def __getitem__(self, row: int | slice) -> Household | Households:
        if isinstance(row, slice):
            return self.rows(np.arange(len(self))[row])
        stream = self.stream_ids[row].tobytes()
        return Household(
            occupancy_id=UUID(bytes=self.occupancy_ids[row].tobytes()),
            stream_id=None if stream == NOBODY else UUID(bytes=stream),
            standing=STANDINGS[self.standing[row]],
            takes_part=bool(self.takes_part[row]),
            instructed_wh=int(self.instructed_wh[row]),
            assets=int(self.assets[row]),
            event_days=self.event_days.of_stream(row),
            in_hardship=bool(self.in_hardship[row]),
            donates_pct=self.donates.get(range(len(self))[row], Decimal(0)),
        )

    def rows(self, rows: Rows) -> Households:
        """Some of the households, in the order given."""
        return Households(
            occupancy_ids=self.occupancy_ids[rows],
            stream_ids=self.stream_ids[rows],
            standing=self.standing[rows],
            takes_part=self.takes_part[rows],
            instructed_wh=self.instructed_wh[rows],
            assets=self.assets[rows],
            event_days=EventDays(self.event_days.days, self.event_days.took_part[rows]),
            in_hardship=self.in_hardship[rows],
            donates={
                place: self.donates[row] for place, row in enumerate(rows.tolist()) if row in self.donates
            }
            if self.donates
            else {},
        )

    @property
    def has_stream(self) -> Mask:
        """Which households have a meter stream."""
        return np.asarray(self.stream_ids != np.void(NOBODY), np.bool_)

    def stands(self, *standings: str) -> Mask:
        """Which households stand so."""
        return np.isin(self.standing, [CODE_OF[standing] for standing in standings])


def order_of(ids: Ids) -> Rows:
    """Rows in order of id, equal ones as they come."""
    halves = ids.view(">u8").reshape(-1, 2).astype(np.uint64)
    return np.lexsort((halves[:, 1], halves[:, 0]))


def ids_of(ids: Iterable[UUID | None]) -> Ids:
    """A column of ids; None is all nought."""
    return np.frombuffer(b"".join(NOBODY if each is None else each.bytes for each in ids), ID)
