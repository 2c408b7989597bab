"""Outbox consumers of the pages: work that needs both a room's service and a page's words."""

from __future__ import annotations

from uuid import UUID

from django.utils import translation

from members import exporting
from opendsr.kernel import clock, encryption, outbox
from opendsr.kernel.outbox import Fact
from opendsr.web import rights_export, statement_page, statement_pdf
from settlement import statement_files
from settlement.statements import StatementView


@outbox.consumer(statement_files.ASKED, "web.write_statement_files", queue="settlement")
def write_statement_files(*, fact: Fact) -> None:
    """Write one part of a round's statement files; delivered twice, it is written once."""
    with translation.override("en-gb"):
        statement_files.write_part(
            files_id=UUID(str(fact.payload["files_id"])), number=int(str(fact.payload["number"])), page=_page
        )


@outbox.consumer(exporting.ASKED, "web.write_export_part", queue="outbox")
def write_export_part(*, fact: Fact) -> None:
    """Write one part of a member's copy of everything; delivered twice, it is written once."""
    part = str(fact.payload["part"])
    with translation.override("en-gb"), encryption.remembering():
        exporting.write_part(
            request_id=UUID(str(fact.payload["request_id"])),
            part=part,
            body=rights_export.body_of(part),
            assemble=rights_export.assemble,
            at=clock.now(),
        )


def _page(view: StatementView) -> str:
    return statement_pdf.html(statement_page.in_words(view))
