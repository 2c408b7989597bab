"""Outbox consumers of the pages: work that needs both a room's service and a page's words."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import translation

from campaigns.cancelling import CANCELLED
from campaigns.completing import COMPLETED
from campaigns.dispatching import DISPATCHED
from members import exporting
from opendsr.kernel import clock, encryption, outbox
from opendsr.kernel.outbox import Fact
from opendsr.web import rights_export, statement_page, statement_pdf, telling, telling_yearly
from settlement import statement_files
from settlement.posting import SETTLED
from settlement.rounds import POSTED
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


@outbox.consumer(DISPATCHED, "web.tell_scheduled", queue="settlement")
def tell_scheduled(*, fact: Fact) -> None:
    """An event left for the hubs: its households are told."""
    telling.tell_scheduled(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())


@outbox.consumer(telling.REMIND, "web.tell_reminder", queue="settlement")
def tell_reminder(*, fact: Fact) -> None:
    """The afternoon before an event."""
    telling.tell_reminder(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())


@outbox.consumer(telling.STARTED, "web.tell_started", queue="settlement")
def tell_started(*, fact: Fact) -> None:
    """An event begins."""
    telling.tell_started(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())


@outbox.consumer(COMPLETED, "web.tell_ended", queue="settlement")
def tell_ended(*, fact: Fact) -> None:
    """An event is over."""
    telling.tell_ended(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())


@outbox.consumer(CANCELLED, "web.tell_cancelled", queue="settlement")
def tell_cancelled(*, fact: Fact) -> None:
    """An event was called off."""
    telling.tell_cancelled(campaign_id=_uuid(fact, "campaign_id"), at=clock.now())


@outbox.consumer(SETTLED, "web.tell_result", queue="settlement")
def tell_result(*, fact: Fact) -> None:
    """An event was settled, or settled again."""
    telling.tell_result(run_id=_uuid(fact, "run_id"), at=clock.now())


@outbox.consumer(POSTED, "web.tell_statement", queue="settlement")
def tell_statement(*, fact: Fact) -> None:
    """A round was posted; of a round's campaigns the first to come tells, the others add nothing."""
    telling.tell_statement(round_id=_uuid(fact, "round_id"), at=clock.now())


@shared_task(ignore_result=True)
def tell_by_the_calendar(**_: object) -> None:
    """Consents a year old, hubs that fell silent; run twice, the second adds nothing."""
    at = clock.now()
    telling_yearly.remind_of_consents(at=at)
    telling_yearly.tell_of_silent_hubs(at=at)


def _uuid(fact: Fact, name: str) -> UUID:
    return UUID(str(fact.payload[name]))


def _page(view: StatementView) -> str:
    return statement_pdf.html(statement_page.in_words(view))
