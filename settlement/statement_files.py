"""The files of all statements of a posted round: written in the background, part by part, taken as one ZIP.

Asking records a fact for each part. Whoever delivers it writes that part whole or not at all, so that work
cut short goes on where it stopped and two workers never write one part twice. Parts follow the archive's
order, so that what a stretch of it holds is unpacked and measured once for all its homes; an index says which
part holds a member's. PDFs are not among the files: a statement's page makes its own, a second or two each.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from members.models import User
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError
from settlement import rounds, statement_csv, statement_json, statements
from settlement.models import RoundDecision, Statement, StatementFiles, StatementFilesPart, Verdict
from settlement.statements import StatementView

ASKED: Final = "settlement.statement_files.asked"
STATEMENTS_A_PART: Final = 100
INDEX: Final = "index.csv"
KEPT: Final = timedelta(days=30)
WRITTEN_ON: Final = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # a ZIP's own stamp says nothing: the same statements, the same bytes

Page = Callable[[StatementView], str]


class RoundNotPosted(DomainError):
    """Only a round that was approved has statements."""

    round: str


class NoStatements(DomainError):
    """The round touched nobody, so there is nothing to write."""

    round: str


class FilesNotReady(DomainError):
    """Some of the files are not written yet."""

    round: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Statements whose files are written, of all of the round; `of` is 0 before anybody asked."""

    done: int
    of: int

    @property
    def is_over(self) -> bool:
        """True when every file is there."""
        return 0 < self.of == self.done


@transaction.atomic
def ask_files(*, round_id: UUID, at: datetime, by: User | None) -> StatementFiles:
    """Have the files of the round's statements written; asked twice, they are written once.

    Raises RoundUnknown, RoundNotPosted and NoStatements.
    """
    round = rounds.round_by_id(round_id)
    if not RoundDecision.objects.filter(round=round, verdict=Verdict.APPROVED).exists():
        raise RoundNotPosted(round=str(round))
    count = Statement.objects.filter(round=round).count()
    if not count:
        raise NoStatements(round=str(round))
    part_count = -(-count // STATEMENTS_A_PART)
    files, is_new = StatementFiles.objects.get_or_create(
        round=round,
        defaults={"statements": count, "part_count": part_count, "asked_by": by, "asked_at": at},
    )
    if is_new:
        outbox.record_many(
            ASKED,
            [
                (f"{files.pk}:{number}", {"files_id": str(files.pk), "number": number})
                for number in range(part_count)
            ],
            at=at,
        )
        audit.record(
            at=at,
            actor=f"user:{by.pk}" if by else "system:settlement",
            verb="settlement.statement_files_asked",
            target=f"round:{round.pk}",
            detail={"statements": count},
        )
    return files


@transaction.atomic
def write_part(*, files_id: UUID, number: int, page: Page) -> bool:
    """Write one part; False when it is there, or when the files were forgotten meanwhile."""
    files = StatementFiles.objects.filter(pk=files_id).first()
    if files is None or StatementFilesPart.objects.filter(files=files, number=number).exists():
        return False
    first = number * STATEMENTS_A_PART
    found = Statement.objects.filter(round_id=files.round_id).select_related(
        "round__programme", "member", "occupancy__home"
    )
    some = list(found.order_by("occupancy_id", "id")[first : first + STATEMENTS_A_PART])
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for row, view in zip(some, statements.statement_views(some), strict=True):
            stem = f"{row.member.number}-{row.pk.hex[-12:]}"
            for ending, body in (
                ("html", page(view).encode()),
                ("csv", statement_csv.render(view).encode("utf-8-sig")),
                ("json", statement_json.render(view).encode()),
            ):
                _add(file, f"{stem}.{ending}", body, zipfile.ZIP_DEFLATED)
    made = StatementFilesPart(files=files, number=number, statements=len(some), data=held.getvalue())
    return bool(StatementFilesPart.objects.bulk_create([made], ignore_conflicts=True))


def progress_of(round_id: UUID) -> Progress:
    """How far the files of the round are."""
    files = StatementFiles.objects.filter(round_id=round_id).first()
    if files is None:
        return Progress(done=0, of=0)
    done = sum(StatementFilesPart.objects.filter(files=files).values_list("statements", flat=True))
    return Progress(done=done, of=files.statements)


@transaction.atomic
def open_files(*, round_id: UUID, at: datetime, by: User) -> Iterator[bytes]:
    """The ZIP of everything, in pieces as they are read; that it was taken is on record.

    A round of several parts is a ZIP of ZIPs with an index, a line a file in order of member number. Raises
    FilesNotReady.
    """
    progress = progress_of(round_id)
    if not progress.is_over:
        raise FilesNotReady(round=str(rounds.round_by_id(round_id)), done=progress.done, of=progress.of)
    files = StatementFiles.objects.get(round_id=round_id)
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="settlement.statement_files_taken",
        target=f"round:{round_id}",
        detail={"statements": files.statements},
    )
    return _pieces(files)


def forget(*, at: datetime) -> int:
    """Drop files asked for a month ago, of how many rounds; they can be written again at any time."""
    old = StatementFiles.objects.filter(asked_at__lt=at - KEPT)
    count = old.count()
    old.delete()
    return count


def _pieces(files: StatementFiles) -> Iterator[bytes]:
    parts = StatementFilesPart.objects.filter(files=files).order_by("number")
    if files.part_count == 1:
        yield bytes(parts.get().data)
        return
    stream = _Stream()
    held: list[tuple[str, str]] = []
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as whole:
        first = 1
        for number in range(files.part_count):
            part = parts.get(number=number)
            name = f"statements-{first:05d}-to-{first + part.statements - 1:05d}.zip"
            data = bytes(part.data)
            _add(whole, name, data, zipfile.ZIP_STORED)
            with zipfile.ZipFile(io.BytesIO(data)) as inside:
                held += [(each, name) for each in inside.namelist()]
            first += part.statements
            yield stream.taken()
        _add(whole, INDEX, _index(held), zipfile.ZIP_DEFLATED)
    yield stream.taken()


def _index(held: list[tuple[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("file", "part"))
    writer.writerows(sorted(held))
    return out.getvalue().encode("utf-8-sig")


def _add(file: zipfile.ZipFile, name: str, body: bytes, how: int) -> None:
    entry = zipfile.ZipInfo(name, WRITTEN_ON)
    entry.compress_type = how
    file.writestr(entry, body)


class _Stream(io.RawIOBase):
    """Where a ZIP is written to and read from at once; it cannot be wound back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        """What was written since it was asked last."""
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found
