"""What a file of readings looks like, as data: columns, unit, zone, which end of a half-hour a stamp names.

Each adapter is one `CsvFormat`; a caller overrides its conventions by name (`stamp="end"`, `unit="wh"`,
`tz="Europe/London"`). Rows come out of it as `Row`, what cannot be read as `Reject`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opendsr.kernel.errors import Invalid

DELIMITERS: Final = (",", ";", "\t", "|")

# 100 A on three phases at 230 V carries 34.5 kWh in half an hour: no home's supply can do more than this.
HOME_LIMIT_KWH: Final = 40


class BadOption(Invalid):
    """An import option that the adapter does not have, or a value it cannot take."""

    option: str
    value: object
    expected: str


class Role(StrEnum):
    """What a column of a file holds."""

    METER = "meter"
    STAMP = "stamp"
    IMPORT = "import"
    EXPORT = "export"
    QUALITY = "quality"
    UNIT = "unit"


class Stamp(StrEnum):
    """Which end of its half-hour a stamp names."""

    START = "start"
    END = "end"


class Unit(StrEnum):
    """What a number counts."""

    WH = "wh"
    KWH = "kwh"


class Ambiguous(StrEnum):
    """What to do with a local time that happens twice, on the day the clocks go back."""

    REJECT = "reject"
    IN_ORDER = "in_order"


class Flag:
    """Bits that travel with a row until the import is checked as a whole."""

    AMBIGUOUS = 1  # read as the earlier of two instants
    FRACTION = 2  # a fraction of a Wh in a Wh column


@dataclass(frozen=True, slots=True)
class Row:
    """One half-hour of one meter as a file gives it; `starts_at` is UTC and on the half-hour."""

    line: int
    meter: str
    starts_at: datetime
    import_wh: int
    export_wh: int = 0
    quality: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be stored; `rows` > 1 when one entry stands for many rows of the same meter."""

    line: int
    field: str
    value: str
    code: str
    reason: str
    rows: int = 1
    meter: str = ""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """One kind of delimited file. `columns` gives each role its accepted header names, any case.

    Stamp and import are always needed, the meter column when it is named here; without one a file is of a
    single meter, called `meter`. In a wide file every column but the stamp is a meter; in one of power the
    value is W at an instant. `basis` says why the stamp convention is believed.
    """

    name: str
    columns: Mapping[Role, tuple[str, ...]]
    stamp: Stamp
    tz: str
    unit: Unit
    basis: str
    meter: str = "meter"
    decimal: str = "."
    delimiter: str | None = None
    ambiguous: Ambiguous = Ambiguous.REJECT
    max_kwh: float = HOME_LIMIT_KWH
    is_wide: bool = False
    is_power: bool = False

    @property
    def convention(self) -> str:
        """The reading of stamps and values in words, kept with each import."""
        if self.is_power:
            return f"power samples in W at times in {self.tz}, made half-hours of"
        return f"stamps are the {self.stamp} of the half-hour in {self.tz}, values in {self.unit}"

    @property
    def needed(self) -> tuple[Role, ...]:
        """Roles without which a header is not of this format."""
        return tuple(role for role in (Role.METER, Role.STAMP, Role.IMPORT) if role in self.columns)

    def with_options(self, **options: Any) -> CsvFormat:
        """This format read otherwise; raises BadOption."""
        changes: dict[str, object] = {}
        for name, value in options.items():
            if value is None:
                continue
            reader = OPTIONS.get(name)
            if reader is None:
                raise BadOption(option=name, value=value, expected=", ".join(sorted(OPTIONS)))
            try:
                changes[name] = reader(value)
            except (ValueError, TypeError, AttributeError, ZoneInfoNotFoundError) as error:
                raise BadOption(option=name, value=value, expected=EXPECTED[name]) from error
            if name == "columns" and not self._is_enough(changes[name]):
                raise BadOption(option=name, value=value, expected=EXPECTED[name])
        return replace(self, **changes)  # type: ignore[arg-type]

    def _is_enough(self, columns: Any) -> bool:
        return ({Role.STAMP} if self.is_wide else {Role.STAMP, Role.IMPORT}) <= set(columns)


@dataclass(frozen=True, slots=True)
class Layout:
    """A format matched to one file's header: where each role stands."""

    format: CsvFormat
    delimiter: str
    header: tuple[str, ...]
    places: Mapping[Role, int]

    def field_name(self, role: Role) -> str:
        """The column's name as the file spells it."""
        place = self.places.get(role)
        return str(role) if place is None else self.header[place]


def match(format: CsvFormat, header: Sequence[str], delimiter: str) -> Layout | None:
    """The layout of a header in this format, or None when a needed column is absent or stands twice."""
    folded = [" ".join(name.split()).casefold() for name in header]
    places: dict[Role, int] = {}
    for role, names in format.columns.items():
        wanted = {" ".join(name.split()).casefold() for name in names}
        found = [place for place, name in enumerate(folded) if name in wanted]
        if len(found) > 1 or (not found and role in format.needed):
            return None
        if found:
            places[role] = found[0]
    if format.is_wide and (len(set(folded) - {""}) < len(list(filter(None, folded))) or len(folded) < 2):
        return None
    return Layout(format, delimiter, tuple(name.strip() for name in header), places)


def expected_header(format: CsvFormat) -> str:
    """The needed column names, for a message."""
    return ",".join(format.columns[role][0] for role in format.needed)


def _zone(value: str) -> str:
    return "UTC" if value.upper() in {"UTC", "GMT", "Z"} else ZoneInfo(value).key


def _columns(value: Mapping[str, str | Sequence[str]]) -> dict[Role, tuple[str, ...]]:
    return {
        Role(role.casefold()): (names,) if isinstance(names, str) else tuple(names)
        for role, names in value.items()
    }


def _one_of(allowed: str) -> Any:
    def read(value: str) -> str:
        if value not in allowed or len(value) != 1:
            raise ValueError(value)
        return value

    return read


def _limit(value: float) -> float:
    limit = float(value)
    if not 0 < limit <= 1_000_000:
        raise ValueError(value)
    return limit


OPTIONS: Final[Mapping[str, Any]] = {
    "stamp": lambda value: Stamp(value.casefold()),
    "tz": _zone,
    "unit": lambda value: Unit(value.casefold()),
    "meter": str,
    "decimal": _one_of(".,"),
    "delimiter": _one_of("".join(DELIMITERS)),
    "ambiguous": lambda value: Ambiguous(value.casefold()),
    "max_kwh": _limit,
    "columns": _columns,
}
EXPECTED: Final[Mapping[str, str]] = {
    "stamp": "start or end",
    "tz": "an IANA zone such as Europe/London or UTC",
    "unit": "wh or kwh",
    "meter": "text",
    "decimal": ". or ,",
    "delimiter": "one of , ; | or a tab",
    "ambiguous": "reject or in_order",
    "max_kwh": "kWh in half an hour, above 0",
    "columns": f"column names for stamp and import, and if there are any for {Role.METER}, {Role.EXPORT}, "
    f"{Role.QUALITY}, {Role.UNIT}",
}
