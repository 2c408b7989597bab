"""Bytes of a file to blocks of readings: gzip, encodings, line ends, the header and its adapter.

A file that cannot be read at all is one `FileUnusable`; one that breaks off gives what came before the break
and a reject for the rest.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from metering.adapters import UnknownHeader, detect, documents, format_named, known_headers
from metering.adapters.columns import Block, ColumnReader
from metering.adapters.formats import CsvFormat, Layout, Reject, expected_header
from metering.adapters.power_csv import PowerReader
from metering.adapters.rows import VALUE_CHARACTERS, column_twice, find_layout, is_blank
from metering.adapters.wide_csv import WideReader
from opendsr.kernel.errors import Invalid

CHUNK_BYTES: Final = 1 << 20
SALVAGE_BYTES: Final = 8
LONGEST_LINE: Final = 1 << 20
GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_WINDOW: Final = 31
NOT_TEXT: Final = (
    (b"PK\x03\x04", "a ZIP archive or Excel workbook: save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save it as CSV"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file"),
)
Progress = Callable[[int, int | None], None]


class FileUnusable(Invalid):
    """A file of which nothing can be read."""

    file: str
    found: str
    expected: str


@dataclass(slots=True)
class Reading:
    """One pass over a file; `blocks()` once, then the rest is known."""

    name: str
    format: CsvFormat
    layout: Layout
    reader: ColumnReader | WideReader | PowerReader
    header_line: int
    _chunks: Iterator[bytes]
    _source: _Source
    _rest: bytes
    rejects: list[Reject] = field(default_factory=list)

    def blocks(self) -> Iterator[Block]:
        """The readings, in stretches of whole lines."""
        for text, line in self._stretches():
            yield self.reader.read(text, line)
        if isinstance(self.reader, PowerReader):
            yield from self.reader.finish()

    def lines(self) -> Iterator[tuple[int, str]]:
        """Every line below the header with its number, as text; instead of `blocks`."""
        for text, line in self._stretches():
            for number, each in enumerate(text.removesuffix(b"\n").split(b"\n"), start=line):
                yield number, each.rstrip(b"\r").decode("utf-8", errors="replace")

    def _stretches(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines of the file, and the number of the first of them."""
        line, rest = self.header_line + 1, self._rest
        for chunk in self._chunks:
            rest += chunk
            cut = rest.rfind(b"\n") + 1
            if not cut:
                if len(rest) > LONGEST_LINE:
                    raise FileUnusable(
                        file=self.name,
                        found=f"no line end in a megabyte after line {line}",
                        expected="lines of text",
                    )
                continue
            yield rest[:cut], line
            line += rest.count(b"\n", 0, cut)
            rest = rest[cut:]
        if self._source.damage:
            shown = rest[:VALUE_CHARACTERS].decode("utf-8", errors="replace")
            reason = f"{self._source.damage}: this row and what followed are lost"
            self.rejects.append(Reject(line, "file", shown, "damaged_file", reason))
        elif rest.strip():
            yield rest, line

    @property
    def meters(self) -> list[str]:
        """Names of the meters seen, by their number in the blocks."""
        return list(self.reader.meters)

    @property
    def content_sha256(self) -> str:
        """Of the text itself, whether it came compressed or not."""
        return self._source.sha256.hexdigest()


def open_reading(
    file: str | os.PathLike[str] | IO[Any],
    *,
    name: str,
    adapter: str | None,
    progress: Progress | None = None,
    **options: object,
) -> Reading:
    """Find header and adapter of an open file; raises FileUnusable, UnknownAdapter or BadOption."""
    format = None if adapter is None else format_named(adapter).with_options(**options)
    source = _Source(file, name, progress)
    chunks = source.chunks()
    first = next(chunks, b"")
    if documents.looks_like_one(first):
        return _document(chain([first], chunks), source, name, format, options)
    chunks = chain([first], chunks) if first else chunks
    text, header_line = b"", 0
    while True:
        line, found, text = text.partition(b"\n")
        if not found:
            more = next(chunks, None)
            if more is not None:
                text = line + more
                if len(text) > LONGEST_LINE + CHUNK_BYTES:
                    raise FileUnusable(file=name, found="no line end in a megabyte", expected="lines of text")
                continue
            text = b""
        header_line += 1
        if not found and source.damage:
            raise FileUnusable(file=name, found=source.damage, expected=_expected(format))
        header = line.decode("utf-8", errors="replace").strip()
        if not is_blank(header) and not (header_line == 1 and header.startswith("sep=")):
            break
        if not found:
            what = "nothing but blank lines" if source.bytes_read else "an empty file"
            raise FileUnusable(file=name, found=what, expected=_expected(format))
    format, layout = _format_and_layout(header, name, format, options)
    return Reading(name, format, layout, _reader(layout), header_line, chunks, source, text)


def whole_text(
    file: str | os.PathLike[str] | IO[Any], *, name: str, most_bytes: int, only_start: bool = False
) -> str:
    """All of a file, or its first megabyte, as text: decompressed, every line end a newline.

    Raises FileUnusable.
    """
    source = _Source(file, name, None)
    data = b""
    for chunk in source.chunks():
        data += chunk
        if only_start:
            break
        if len(data) > most_bytes:
            raise FileUnusable(
                file=name, found=f"more than {most_bytes >> 20} MB", expected="a smaller file: split it"
            )
    if source.damage:
        raise FileUnusable(file=name, found=source.damage, expected="a whole gzip file")
    text = data.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _document(
    chunks: Iterator[bytes], source: _Source, name: str, format: CsvFormat | None, options: dict[str, object]
) -> Reading:
    """A JSON answer of a service, read whole and recoded to the lines of its adapter."""
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > documents.MOST_BYTES:
            found = f"a JSON document of more than {documents.MOST_BYTES >> 20} MB"
            raise FileUnusable(file=name, found=found, expected="the same in smaller parts")
    if source.damage:
        raise FileUnusable(file=name, found=source.damage, expected=documents.expected(None))
    try:
        recoded = documents.recode(
            data.decode("utf-8", errors="replace"), adapter=None if format is None else format.name
        )
    except documents.NotADocument as error:
        raise FileUnusable(file=name, found=error.found, expected=error.expected) from None
    format, layout = _format_and_layout(
        recoded.header, name, format or format_named(recoded.adapter).with_options(**options), options
    )
    text = recoded.text.encode("utf-8", errors="replace")
    rejects = list(recoded.rejects)
    return Reading(name, format, layout, _reader(layout), 0, iter(()), source, text, rejects)


def _reader(layout: Layout) -> ColumnReader | WideReader | PowerReader:
    if layout.format.is_power:
        return PowerReader(layout)
    return WideReader(layout) if layout.format.is_wide else ColumnReader(layout)


def _format_and_layout(
    header: str, name: str, format: CsvFormat | None, options: dict[str, object]
) -> tuple[CsvFormat, Layout]:
    if format is None:
        try:
            format = format_named(detect(header)).with_options(**options)
        except UnknownHeader:
            raise FileUnusable(file=name, found=_shown(header), expected=known_headers()) from None
    layout = find_layout(format, header)
    if layout is None:
        raise FileUnusable(file=name, found=_shown(header), expected=_expected(format))
    return format, layout


class _Source:
    """The file's text in chunks: decompressed, hashed, not UTF-16, every line end a newline."""

    def __init__(self, file: str | os.PathLike[str] | IO[Any], name: str, progress: Progress | None) -> None:
        self.file = file
        self.name = name
        self.progress = progress
        self.sha256 = hashlib.sha256()
        self.bytes_read = 0
        self.damage = ""

    def chunks(self) -> Iterator[bytes]:
        decode: Callable[[bytes], bytes] = bytes
        only_returns = False
        for number, chunk in enumerate(filter(None, self._decompressed())):
            if number == 0:
                for magic, what in NOT_TEXT:
                    if chunk.startswith(magic):
                        raise FileUnusable(
                            file=self.name, found=what, expected="delimited text, or the same gzipped"
                        )
                decode, chunk = _decoder(chunk)
                only_returns = b"\r" in chunk and b"\n" not in decode(chunk[: 1 << 16])
            self.sha256.update(chunk)
            text = decode(chunk)
            yield text.replace(b"\r", b"\n") if only_returns else text

    def _decompressed(self) -> Iterator[bytes]:
        raw = self._raw()
        first = next(raw, b"")
        if not first.startswith(GZIP_MAGIC):
            if first:
                yield first
            yield from raw
            return
        inflate = zlib.decompressobj(GZIP_WINDOW)
        waiting = first
        while True:
            if not waiting:
                waiting = next(raw, b"")
                if not waiting:
                    break
            if inflate.eof:
                if not waiting.startswith(GZIP_MAGIC):
                    break  # padding after the last member
                inflate = zlib.decompressobj(GZIP_WINDOW)
            before = inflate.copy()
            try:
                text = inflate.decompress(waiting, CHUNK_BYTES)
            except zlib.error as error:
                self.damage = f"the gzip data is damaged ({error})"
                yield from _salvaged(before, waiting)
                return
            waiting = inflate.unconsumed_tail or inflate.unused_data
            if text:
                yield text
        pending = inflate.flush()
        if pending:
            yield pending
        if not inflate.eof:
            self.damage = "the gzip data breaks off"

    def _raw(self) -> Iterator[bytes]:
        if isinstance(self.file, str | os.PathLike):
            path = Path(self.file)
            try:
                total = path.stat().st_size
                with path.open("rb") as opened:
                    yield from self._pieces(opened, total)
            except OSError as error:
                raise FileUnusable(
                    file=self.name, found=error.strerror or str(error), expected="a file that can be read"
                ) from error
            return
        yield from self._pieces(self.file, getattr(self.file, "size", None))

    def _pieces(self, opened: IO[Any], total: int | None) -> Iterator[bytes]:
        while piece := opened.read(CHUNK_BYTES):
            data: bytes = piece.encode("utf-8") if isinstance(piece, str) else piece
            self.bytes_read += len(data)
            if self.progress is not None:
                self.progress(self.bytes_read, total)
            yield data


def _salvaged(inflate: Any, data: bytes) -> Iterator[bytes]:
    """What came out before the damage, fed a few bytes at a time."""
    for start in range(0, len(data), SALVAGE_BYTES):
        try:
            yield inflate.decompress(data[start : start + SALVAGE_BYTES])
        except zlib.error:
            return


def _decoder(first: bytes) -> tuple[Callable[[bytes], bytes], bytes]:
    """How to turn chunks into UTF-8, and the first chunk without its byte order mark."""
    if first.startswith(b"\xef\xbb\xbf"):
        return bytes, first[3:]
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if first.startswith(mark):
            return _Utf16(encoding), first[2:]
    return bytes, first


class _Utf16:
    """Chunks of UTF-16, as some spreadsheets save text, to UTF-8."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.odd = b""

    def __call__(self, chunk: bytes) -> bytes:
        chunk = self.odd + chunk
        even = len(chunk) - len(chunk) % 2
        self.odd = chunk[even:]
        return chunk[:even].decode(self.encoding, errors="replace").encode("utf-8")


def _expected(format: CsvFormat | None) -> str:
    return known_headers() if format is None else f"{expected_header(format)} ({format.name})"


def _shown(header: str) -> str:
    if twice := column_twice(header):
        return f"the column {twice[:VALUE_CHARACTERS]!r} twice"
    is_text = header.replace("\t", " ").isprintable() and 4 * header.count("\ufffd") < len(header)
    return repr(header[:VALUE_CHARACTERS]) if is_text else "not text"
