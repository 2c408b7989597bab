"""Clean rows of a delimited file by the thousand: bytes to numpy columns, without a Python object a row.

`ColumnReader.read` finds line ends and delimiters in a block of bytes, gathers each field into a matrix of
characters and does the arithmetic on whole columns. A row that differs in any way from the plain pattern goes
to `rows.parse_line`, which decides and words the refusal; both readings agree on every row (tested).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from metering.adapters.formats import Flag, Layout, Reject, Role, Stamp, Unit
from metering.adapters.rows import LIKELY_KWH, QUALITIES, parse_line
from metering.adapters.stamps import DAY_MINUTES, FIRST_YEAR, LAST_YEAR, Refused, local_slots, read_civil
from metering.slots import Bools, Ints, slot_of

Bytes = NDArray[np.uint8]

NEWLINE, RETURN, SPACE, QUOTE, DOT, COMMA = 10, 13, 32, 34, 46, 44
LONGEST_METER: Final = 64
LONGEST_STAMP: Final = 40
LONGEST_NUMBER: Final = 16
KINDS_A_BLOCK: Final = 4
DATE_AND_TIME: Final = 16
NO_METER: Final = -1
BARE: Final = int(np.iinfo(np.int64).min)
TENS: Final = 10 ** np.arange(19, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Block:
    """Readings of one stretch of a file as columns; `meter` numbers the reader's `meters`."""

    line: Ints
    meter: Ints
    slot: Ints
    import_wh: Ints
    export_wh: Ints
    quality: Ints
    flags: Ints
    rejects: list[Reject]


@dataclass(slots=True)
class Field:
    """Where one field of each line starts and ends in the block."""

    data: Bytes
    starts: Ints
    ends: Ints
    lengths: Ints = field(init=False)

    def __post_init__(self) -> None:
        for _ in range(2):
            filled = self.ends > self.starts
            self.starts = self.starts + (filled & (self.data[self.starts] == SPACE))
            filled = self.ends > self.starts
            self.ends = self.ends - (filled & (self.data[self.ends - 1] == SPACE))
        self.lengths = self.ends - self.starts

    def characters(self, width: int, rows: Ints | None = None, offset: int = 0) -> Bytes:
        """The fields as rows of a matrix, padded with zero bytes on the right."""
        starts = self.starts if rows is None else self.starts[rows]
        lengths = self.lengths if rows is None else self.lengths[rows]
        reach = np.arange(offset, offset + width)
        matrix = self.data[np.minimum(starts[:, None] + reach, len(self.data) - 1)]
        if int(lengths.min(initial=width + offset)) < width + offset:
            matrix[reach >= lengths[:, None]] = 0
        return matrix


class ColumnReader:
    """Reads the blocks of one file in turn; `meters` grows as names appear."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.meters: dict[str, int] = {}

    def read(self, data: bytes, first_line: int) -> Block:
        """The readings in whole lines of text; `first_line` is the number of the first of them."""
        if not data.endswith(b"\n"):
            data += b"\n"
        characters = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(characters == NEWLINE)
        starts = np.concatenate(([0], ends[:-1] + 1))
        plain, edges = self._split(characters, starts, ends)
        block = self._plain_rows(characters, edges, plain + first_line)
        taken = np.zeros(len(starts), dtype=bool)
        taken[block.line - first_line] = True
        return self._add_others(block, data, starts, ends, np.flatnonzero(~taken), first_line)

    def _split(self, data: Bytes, starts: Ints, ends: Ints) -> tuple[Ints, list[tuple[Ints, Ints]]]:
        """Lines with the header's number of columns and nothing odd, and the edges of their columns."""
        between = len(self.layout.header) - 1
        cuts = np.flatnonzero(data == ord(self.layout.delimiter))
        counts = _in_each_line(cuts, starts, len(data))
        plain = counts == between
        odd = data == 0
        returns = np.flatnonzero(data == RETURN)
        odd[returns[data[returns + 1] != NEWLINE]] = True
        plain[np.searchsorted(ends, np.flatnonzero(odd))] = False
        chosen = np.flatnonzero(plain)
        if len(chosen) < len(starts):
            cuts = cuts[np.repeat(plain, counts)]
        table = cuts.reshape(len(chosen), between)
        line_ends = ends[chosen]
        line_ends = line_ends - ((line_ends > starts[chosen]) & (data[line_ends - 1] == RETURN))
        lefts = [starts[chosen], *(table[:, column] + 1 for column in range(between))]
        rights = [*(table[:, column] for column in range(between)), line_ends]
        edges = list(zip(lefts, rights, strict=True))
        quotes = np.flatnonzero(data == QUOTE)
        if not len(quotes):
            return chosen, edges
        wrapped = [
            (right - left >= 2) & (data[left] == QUOTE) & (data[right - 1] == QUOTE) for left, right in edges
        ]
        quoted = 2 * np.sum(wrapped, axis=0) == _in_each_line(quotes, starts, len(data))[chosen]
        edges = [
            ((left + is_wrapped)[quoted], (right - is_wrapped)[quoted])
            for (left, right), is_wrapped in zip(edges, wrapped, strict=True)
        ]
        return chosen[quoted], edges

    def _plain_rows(self, data: Bytes, edges: list[tuple[Ints, Ints]], lines: Ints) -> Block:
        fields = {role: Field(data, *edges[place]) for role, place in self.layout.places.items()}
        count = len(lines)
        if count == 0:
            return _empty()
        slot, flags, good = self._slots(fields[Role.STAMP])
        import_wh, import_flags, is_number = self._wh(fields[Role.IMPORT])
        flags |= import_flags
        good &= is_number
        export_wh = np.zeros(count, dtype=np.int64)
        if Role.EXPORT in fields:
            export_wh, export_flags, is_number = self._wh(fields[Role.EXPORT])
            flags |= export_flags
            good &= is_number
        quality = np.zeros(count, dtype=np.int64)
        if Role.QUALITY in fields:
            quality, is_known = _classified(fields[Role.QUALITY], 12, _quality)
            good &= is_known
        if Role.UNIT in fields:
            good &= _classified(fields[Role.UNIT], 8, self._unit)[1]
        if Role.METER in fields:
            good &= (fields[Role.METER].lengths > 0) & (fields[Role.METER].lengths <= LONGEST_METER)
        rows = np.flatnonzero(good)
        meter = self._meters(fields.get(Role.METER), rows)
        rows, meter = rows[meter != NO_METER], meter[meter != NO_METER]
        return Block(
            lines[rows], meter, slot[rows], import_wh[rows], export_wh[rows], quality[rows], flags[rows], []
        )

    def _meters(self, names: Field | None, rows: Ints) -> Ints:
        if names is None:
            return np.full(len(rows), self._meter(self.layout.format.meter), dtype=np.int64)
        if not len(rows):
            return np.zeros(0, dtype=np.int64)
        width = int(names.lengths[rows].max())
        texts = names.characters(width, rows).view(f"S{width}").ravel()
        turns = np.flatnonzero(np.concatenate(([True], texts[1:] != texts[:-1])))
        numbers = np.array([self._meter(_decoded(bytes(texts[turn]))) for turn in turns], dtype=np.int64)
        return np.repeat(numbers, np.diff(np.concatenate((turns, [len(rows)]))))

    def _meter(self, name: str) -> int:
        name = name.strip()
        return self.meters.setdefault(name, len(self.meters)) if name else NO_METER

    def _slots(self, stamps: Field) -> tuple[Ints, Ints, Bools]:
        """Slots and flags of the stamps, and which of them were understood.

        The first 16 characters are a date and a time of day; what follows (seconds, offset) takes few
        forms in one file, so each form is read once, by the row reader.
        """
        count = len(stamps.starts)
        width = min(int(stamps.lengths.max()), LONGEST_STAMP)
        good: Bools = (stamps.lengths >= DATE_AND_TIME) & (stamps.lengths <= LONGEST_STAMP)
        minutes, is_stamp = _civil_minutes(stamps.characters(DATE_AND_TIME))
        good &= is_stamp
        offset, tail_known = np.full(count, BARE, dtype=np.int64), np.ones(count, dtype=bool)
        if width > DATE_AND_TIME:
            offset, tail_known = _classified(stamps, width - DATE_AND_TIME, _tail, offset=DATE_AND_TIME)
        good &= tail_known
        flags = np.zeros(count, dtype=np.int64)
        bare = good & (offset == BARE)
        if bare.any() and self.layout.format.tz != "UTC":
            local, is_twice, is_real = local_slots(minutes[bare], self.layout.format.tz)
            minutes[bare] = local
            flags[bare] = np.where(is_twice, Flag.AMBIGUOUS, 0)
            good[bare] &= is_real
        minutes = np.where(offset == BARE, minutes, minutes - offset)
        good &= minutes % 30 == 0
        return minutes // 30 - (self.layout.format.stamp is Stamp.END), flags, good

    def _wh(self, numbers: Field) -> tuple[Ints, Ints, Bools]:
        """Whole Wh of plain decimals, half to even; others are left to the row reader."""
        count = len(numbers.starts)
        width = min(int(numbers.lengths.max()), LONGEST_NUMBER)
        point = DOT if self.layout.format.decimal == "." else COMMA
        good: Bools = (numbers.lengths > 0) & (numbers.lengths <= LONGEST_NUMBER)
        digits, places = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        has_point, has_digit = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        matrix = (
            np.ascontiguousarray(numbers.characters(width).T) if width else np.zeros((0, count), np.uint8)
        )
        for character in matrix:
            digit = character - np.uint8(48)
            is_digit = digit < 10
            is_point = character == point
            good &= is_digit | (is_point & ~has_point) | (character == 0)
            digits = np.where(is_digit, digits * 10 + digit, digits)
            places += is_digit & has_point
            has_point |= is_point
            has_digit |= is_digit
        good &= has_digit
        scale = 3 if self.layout.format.unit is Unit.KWH else 0
        up = TENS[np.maximum(scale - places, 0)]
        down = TENS[np.maximum(places - scale, 0)]
        good &= digits <= TENS[LONGEST_NUMBER - 1] // up
        wh, rest = np.divmod(digits * up, down)
        wh += (2 * rest > down) | ((2 * rest == down) & (wh % 2 == 1))
        good &= (wh < self.layout.format.max_kwh * 1000) & (wh >= 0)
        is_fraction = (rest > 0) & (digits < LIKELY_KWH * TENS[places])
        flagged = is_fraction if self.layout.format.unit is Unit.WH else np.zeros(count, dtype=bool)
        return wh, np.where(flagged, Flag.FRACTION, 0), good

    def _unit(self, text: str) -> int:
        if text.casefold() != self.layout.format.unit:
            raise Refused("unit", text)
        return 0

    def _add_others(
        self, block: Block, data: bytes, starts: Ints, ends: Ints, others: Ints, first_line: int
    ) -> Block:
        """The block with its unusual lines read one by one."""
        if not len(others):
            return block
        rows: list[tuple[int, ...]] = []
        rejects: list[Reject] = []
        for index in others.tolist():
            text = _decoded(data[starts[index] : ends[index]].rstrip(b"\r"))
            parsed = parse_line(self.layout, first_line + index, text)
            if isinstance(parsed, Reject):
                rejects.append(parsed)
            elif parsed is not None:
                place = self._meter(parsed.meter), slot_of(parsed.starts_at)
                wh = parsed.import_wh, parsed.export_wh
                rows.append((parsed.line, *place, *wh, parsed.quality, parsed.flags))
        added = np.array(rows, dtype=np.int64).reshape(-1, 7)
        columns = (
            block.line,
            block.meter,
            block.slot,
            block.import_wh,
            block.export_wh,
            block.quality,
            block.flags,
        )
        joined = [np.concatenate((column, added[:, place])) for place, column in enumerate(columns)]
        line, meter, slot, import_wh, export_wh, quality, flags = joined
        return Block(line, meter, slot, import_wh, export_wh, quality, flags, rejects)


def _in_each_line(places: Ints, starts: Ints, size: int) -> Ints:
    return np.diff(np.searchsorted(places, np.concatenate((starts, [size]))))


def _empty() -> Block:
    none = np.zeros(0, dtype=np.int64)
    return Block(none, none, none, none, none, none, none, [])


def _tail(text: str) -> int:
    """The offset in minutes of what follows the minutes of a stamp, or BARE; raises Refused."""
    civil = read_civil(f"2001-01-10 12:00{text}")
    if not civil.is_whole_minute:
        raise Refused("off_grid", text)
    return BARE if civil.offset is None else civil.offset


def _classified(texts: Field, width: int, read: Callable[[str], int], offset: int = 0) -> tuple[Ints, Bools]:
    """Codes of a column of few different texts, each read once, and which rows got one."""
    count = len(texts.starts)
    codes, known = np.full(count, BARE, dtype=np.int64), np.zeros(count, dtype=bool)
    matrix: NDArray[Any] = texts.characters(width, offset=offset).view(f"S{width}").ravel()
    waiting: Bools = texts.lengths <= width + offset
    for _ in range(KINDS_A_BLOCK):
        left = np.flatnonzero(waiting)
        if not len(left):
            break
        text = matrix[left[0]]
        same = waiting & (matrix == text)
        waiting &= ~same
        try:
            codes[same] = read(text.decode("ascii"))
        except (Refused, UnicodeDecodeError):
            continue
        known |= same
    return codes, known


def _quality(text: str) -> int:
    try:
        return QUALITIES[text.casefold()] if text else 0
    except KeyError:
        raise Refused("not_a_quality", text) from None


def _civil_minutes(characters: Bytes) -> tuple[Ints, Bools]:
    """Minutes since 1970 of `YYYY-MM-DD HH:MM` or `DD/MM/YYYY HH:MM`, and which rows are one of them."""
    digits = characters - np.uint8(48)
    is_digit = digits < 10
    numbers = np.where(is_digit, digits, 0).astype(np.int64)
    british = characters[:, 2] == ord("/")
    separators = np.where(
        british,
        (characters[:, 5] == ord("/")) & is_digit[:, [0, 1, 3, 4, 6, 7, 8, 9]].all(axis=1),
        (characters[:, 4] == ord("-"))
        & (characters[:, 7] == ord("-"))
        & is_digit[:, [0, 1, 2, 3, 5, 6, 8, 9]].all(axis=1),
    )
    is_time = is_digit[:, [11, 12, 14, 15]].all(axis=1) & (characters[:, 13] == ord(":"))
    is_time &= (characters[:, 10] == SPACE) | (characters[:, 10] == ord("T"))

    def two(place: int) -> Ints:
        return numbers[:, place] * 10 + numbers[:, place + 1]

    year = np.where(british, two(6) * 100 + two(8), two(0) * 100 + two(2))
    month = np.where(british, two(3), two(5))
    day = np.where(british, two(0), two(8))
    hour, minute = two(11), two(14)
    good = separators & is_time & (year >= FIRST_YEAR) & (year < LAST_YEAR) & (hour < 24) & (minute < 60)
    good &= (month >= 1) & (month <= 12)
    months = (np.where(good, year, 2000) - 1970) * 12 + np.where(good, month, 1) - 1
    first_days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    next_days = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    good &= (day >= 1) & (day <= next_days - first_days)
    return (first_days + day - 1) * DAY_MINUTES + hour * 60 + minute, good


def _decoded(text: bytes) -> str:
    """UTF-8, else Windows-1252 as spreadsheets write it."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", errors="replace")
