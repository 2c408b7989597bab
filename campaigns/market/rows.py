"""Requests from a file: one row a request, each taken or refused for itself; a check first changes nothing.

Times are ISO 8601 with their zone, or UK local; power in kW by half-hour, with spaces between; prices in
pence a kWh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.db import transaction

from campaigns.market import receiving
from campaigns.market.receiving import Asked, ReferenceReused, RequestInvalid
from campaigns.market_models import MOST_HALF_HOURS
from campaigns.models import MarketParty, MarketRequest
from members.rows import Reject, read_rows, reject_lines
from opendsr.kernel.money import MP_PER_PENNY
from opendsr.kernel.periods import LONDON, comes_twice, is_left_out

if TYPE_CHECKING:
    from members.models import User

REQUIRED: Final = (
    "buyer",
    "reference",
    "kind",
    "direction",
    "zone_kind",
    "starts_at",
    "profile_kw",
    "price_pence_per_kwh",
    "deadline_at",
)
OPTIONAL: Final = ("zone", "penalty_pence_per_kwh")
COLUMNS: Final = (*REQUIRED, *OPTIONAL)
MOST_ROWS: Final = 2_000
COLUMN_OF: Final[Mapping[str, str]] = {
    "preset": "kind",
    "profile_w": "profile_kw",
    "price_mp_per_kwh": "price_pence_per_kwh",
    "penalty_mp_per_kwh": "penalty_pence_per_kwh",
}
MOST_KW: Final = Decimal(2_000_000)
MOST_PENCE: Final = Decimal(2_000_000)
_NUMBER: Final = re.compile(r"\d{1,7}(\.\d{1,3})?")


class CellInvalid(Exception):
    """A cell that cannot be read: its column and what to write instead."""

    def __init__(self, column: str, fix: str) -> None:
        super().__init__(column, fix)
        self.column, self.fix = column, fix


@dataclass(frozen=True, slots=True)
class Report:
    """What the rows did or, of a check, would do."""

    rows: int
    taken: int
    known: int
    rejects: tuple[Reject, ...]


@transaction.atomic
def take_in(text: str, *, at: datetime, by: User | None, dry_run: bool) -> Report:
    """Take in the requests of a file; with `dry_run` nothing is kept. Raises RowsUnusable."""
    parties = {party.name.casefold(): party for party in MarketParty.objects.select_related("client")}
    rows = taken = known = 0
    rejects = []
    # Read to the end first: a file that is too long is refused before a row of it is taken in.
    for line, cells in list(read_rows(text, required=REQUIRED, optional=OPTIONAL, most_rows=MOST_ROWS)):
        rows += 1
        given = dict(zip(COLUMNS, cells, strict=True))
        try:
            party = parties.get(given["buyer"].casefold())
            if party is None:
                raise CellInvalid("buyer", "Name a buyer that is on the list of buyers.")
            _, is_new = receiving.receive_request(
                party=party, asked=_asked(given), source=MarketRequest.Source.FILE, at=at, by=by
            )
        except CellInvalid as error:
            rejects.append(Reject(line, error.column, given[error.column], "cell", error.fix, cells))
            continue
        except RequestInvalid as error:
            field, fix = next(iter(error.errors.items()))
            column = COLUMN_OF.get(field, field)
            rejects.append(Reject(line, column, given[column], error.code, fix, cells))
            continue
        except ReferenceReused as error:
            fix = "This reference came with another request: give a new one."
            rejects.append(Reject(line, "reference", error.reference, error.code, fix, cells))
            continue
        taken, known = taken + is_new, known + (not is_new)
    if dry_run:
        transaction.set_rollback(True)
    return Report(rows, taken, known, tuple(rejects))


def reject_file(report: Report) -> Iterator[str]:
    """The refused rows as a file, each with what to correct."""
    return reject_lines(COLUMNS, report.rejects)


def _asked(given: Mapping[str, str]) -> Asked:
    return Asked(
        reference=given["reference"],
        preset=given["kind"].casefold(),
        direction=given["direction"].casefold().replace(" ", "_"),
        zone_kind=given["zone_kind"].casefold().replace(" ", "_"),
        zone=given["zone"],
        starts_at=instant(given["starts_at"], column="starts_at"),
        profile_w=profile_w(given["profile_kw"], column="profile_kw"),
        price_mp_per_kwh=price_mp(given["price_pence_per_kwh"], column="price_pence_per_kwh"),
        penalty_mp_per_kwh=price_mp(given["penalty_pence_per_kwh"] or "0", column="penalty_pence_per_kwh"),
        deadline_at=instant(given["deadline_at"], column="deadline_at"),
    )


def instant(text: str, *, column: str) -> datetime:
    """UTC of an ISO time with its zone, or of a UK local one that comes once."""
    try:
        at = datetime.fromisoformat(text)
        if not 2000 <= at.year <= 2100:
            raise ValueError
    except ValueError:
        raise CellInvalid(column, "Write a time such as 2026-01-14 17:00 or 2026-01-14T17:00Z.") from None
    if at.utcoffset() is not None:
        return at.astimezone(UTC)
    if is_left_out(at):
        raise CellInvalid(column, "The clocks go forward then: that time does not exist.")
    if comes_twice(at):
        first = f"{at:%Y-%m-%dT%H:%M}+01:00"
        raise CellInvalid(column, f"That time comes twice: write {first} or, an hour later, {first[:-6]}Z.")
    return at.replace(tzinfo=LONDON).astimezone(UTC)


def profile_w(text: str, *, column: str) -> tuple[int, ...]:
    """W by half-hour of kW with spaces between."""
    words = text.split()
    if not words or len(words) > MOST_HALF_HOURS or not all(map(_NUMBER.fullmatch, words)):
        raise CellInvalid(column, "Write kW for each half-hour, with spaces between, such as 50 50 80.")
    return tuple(int(min(Decimal(word), MOST_KW + 1) * 1_000) for word in words)


def price_mp(text: str, *, column: str) -> int:
    """Millipence a kWh of pence a kWh."""
    if not _NUMBER.fullmatch(text):
        raise CellInvalid(column, "Write pence a kWh, such as 32.5.")
    return int(min(Decimal(text), MOST_PENCE + 1) * MP_PER_PENNY)
