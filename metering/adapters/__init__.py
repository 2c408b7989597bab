"""The kinds of file that can be read, one module each (FORMAT and `parse`); a new one is listed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from metering.adapters import (
    generic_csv,
    glowmarkt_json,
    lcl_csv,
    n3rgy_csv,
    n3rgy_json,
    octopus,
    opendsr_csv,
    power_csv,
    powershaper_csv,
    wide_csv,
)
from metering.adapters.formats import CsvFormat, Reject, Row, expected_header
from metering.adapters.rows import find_layout
from opendsr.kernel.errors import Invalid

__all__ = ["ADAPTERS", "Reject", "Row", "UnknownAdapter", "UnknownHeader", "detect", "format_named"]

ADAPTERS: Final = {
    module.FORMAT.name: module
    for module in (
        lcl_csv,
        powershaper_csv,
        n3rgy_csv,
        n3rgy_json,
        glowmarkt_json,
        octopus,
        opendsr_csv,
        power_csv,
        generic_csv,
        wide_csv,
    )
}
TOLD: Final = (generic_csv.FORMAT.name, wide_csv.FORMAT.name)
"""Adapters that no header can ask for: the caller names them."""


class UnknownAdapter(Invalid):
    """No adapter of that name."""

    adapter: str
    expected: str


class UnknownHeader(Invalid):
    """A first line that is no known header."""

    found: str
    expected: str


def format_named(name: str) -> CsvFormat:
    """The format of an adapter; raises UnknownAdapter."""
    try:
        return ADAPTERS[name].FORMAT
    except KeyError:
        raise UnknownAdapter(adapter=name, expected=", ".join(ADAPTERS)) from None


def detect(header: str | Sequence[str]) -> str:
    """The adapter that reads files with this first line (or list of column names); raises UnknownHeader."""
    line = header if isinstance(header, str) else ",".join(f'"{name}"' for name in header)
    for name, module in ADAPTERS.items():
        if name not in TOLD and find_layout(module.FORMAT, line.removeprefix("\ufeff").strip()):
            return name
    raise UnknownHeader(found=line[:200], expected=known_headers())


def known_headers() -> str:
    """What a first line may be, for a message."""
    return (
        "; ".join(
            f"{expected_header(module.FORMAT)} ({name})"
            for name, module in ADAPTERS.items()
            if name not in TOLD
        )
        + "; or generic_csv with columns named, wide_csv with one column a meter"
    )
