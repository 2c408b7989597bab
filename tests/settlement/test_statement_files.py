"""Files of a round's statements: written once, in parts, resumable, the same bytes each time, forgotten."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta

import pytest

from opendsr.kernel import outbox
from opendsr.kernel.models import AuditEntry, OutboxFact
from settlement import rounds, statement_files, statements, verifying
from settlement.models import RoundDecision, Statement, StatementFiles, StatementFilesPart
from tests.factories import make_coop, make_staff
from tests.settlement.staging import AFTER, make_measured, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def round(monkeypatch):
    """A posted round of five statements, two a part."""
    monkeypatch.setattr(statement_files, "STATEMENTS_A_PART", 2)
    return settle(make_measured(100, 200, 300, 400, 500)).run.round


def page(view):
    return f"page of {view.member_number}"


def write_all(files, numbers=(0, 1, 2)):
    return [statement_files.write_part(files_id=files.pk, number=number, page=page) for number in numbers]


def taken(round):
    by = make_staff("fay@example.org")
    body = b"".join(statement_files.open_files(round_id=round.pk, at=AFTER, by=by))
    with zipfile.ZipFile(io.BytesIO(body)) as whole:
        assert whole.testzip() is None
        *names, index = whole.namelist()
        parts = {name: zipfile.ZipFile(io.BytesIO(whole.read(name))) for name in names}
        told = whole.read(index).decode("utf-8-sig").splitlines()
    assert told[1:] == sorted(f"{each},{name}" for name, part in parts.items() for each in part.namelist())
    return {name: {each: part.read(each) for each in part.namelist()} for name, part in parts.items()}


def test_a_fact_a_part_is_recorded_once(round):
    files = statement_files.ask_files(round_id=round.pk, at=AFTER, by=None)
    again = statement_files.ask_files(round_id=round.pk, at=AFTER, by=None)

    assert again == files
    assert (files.statements, files.part_count) == (5, 3)
    assert OutboxFact.objects.filter(topic=statement_files.ASKED).count() == 3


def test_work_cut_short_goes_on_and_a_part_is_written_once(round):
    files = statement_files.ask_files(round_id=round.pk, at=AFTER, by=None)

    assert write_all(files, [1, 1]) == [True, False]
    assert statement_files.progress_of(round.pk) == statement_files.Progress(done=2, of=5)
    with pytest.raises(statement_files.FilesNotReady):
        statement_files.open_files(round_id=round.pk, at=AFTER, by=make_staff("sam@example.org"))
    assert write_all(files) == [True, False, True]
    assert statement_files.progress_of(round.pk).is_over


def test_the_zip_holds_what_the_pages_give_and_it_verifies(round):
    write_all(statement_files.ask_files(round_id=round.pk, at=AFTER, by=None))

    parts = taken(round)

    assert list(parts) == [
        "statements-00001-to-00002.zip",
        "statements-00003-to-00004.zip",
        "statements-00005-to-00005.zip",
    ]
    found = {name: body for part in parts.values() for name, body in part.items()}
    assert len(found) == 15
    for row in Statement.objects.select_related("member"):
        stem = f"{row.member.number}-{row.pk.hex[-12:]}"
        text = found[f"{stem}.json"].decode()
        assert text == statements.render_json(row)
        assert verifying.verify(json.loads(text)) == []
        assert found[f"{stem}.csv"].decode("utf-8-sig") == statements.render_csv(row)
        assert found[f"{stem}.html"].decode() == f"page of {row.member.number}"
    assert AuditEntry.objects.filter(verb="settlement.statement_files_taken").count() == 1


def test_the_same_statements_are_written_to_the_same_bytes(round):
    before = []
    for _ in range(2):
        files = statement_files.ask_files(round_id=round.pk, at=AFTER, by=None)
        write_all(files)
        before.append([bytes(part.data) for part in files.parts.order_by("number")])
        statement_files.forget(at=AFTER + timedelta(days=31))

    assert before[0] == before[1]
    assert not StatementFilesPart.objects.exists()


def test_the_outbox_writes_them(round):
    make_coop()
    statement_files.ask_files(round_id=round.pk, at=AFTER, by=None)

    outbox.drain()
    outbox.drain()

    assert statement_files.progress_of(round.pk).is_over
    assert StatementFilesPart.objects.count() == 3


def test_a_part_of_forgotten_files_is_not_written(round):
    files = statement_files.ask_files(round_id=round.pk, at=AFTER, by=None)
    assert statement_files.forget(at=AFTER + timedelta(days=29)) == 0
    assert statement_files.forget(at=AFTER + timedelta(days=31)) == 1

    assert write_all(files, [0]) == [False]
    assert not StatementFiles.objects.exists()


def test_a_round_that_is_not_posted_has_no_files(round):
    withdrawn = rounds.open_round(
        programme=round.programme,
        kind="final",
        campaigns=[run.campaign for run in round.runs.all()],
        known_at=AFTER,
        is_forced=False,
        at=AFTER,
        by=None,
    )
    RoundDecision.objects.create(round=withdrawn, verdict="withdrawn", at=AFTER)

    with pytest.raises(statement_files.RoundNotPosted):
        statement_files.ask_files(round_id=withdrawn.pk, at=AFTER, by=None)
