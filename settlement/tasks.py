"""Outbox consumers and Celery tasks of settlement: thin wrappers around services."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from campaigns.completing import COMPLETED
from campaigns.uftp import settling as uftp_settling
from opendsr.kernel import audit, clock, outbox
from opendsr.kernel.outbox import Fact
from settlement import posting, queries, rounds, settling, statement_files, studying
from settlement.kpis import monthly


@outbox.consumer(COMPLETED, "settlement.await", queue="settlement")
def await_readings(*, fact: Fact) -> None:
    """Note that the campaign waits for its readings; staff or `settle_what_is_ready` settle it later."""
    audit.record(
        at=fact.at,
        actor=settling.SYSTEM,
        verb="settlement.awaited",
        target=f"campaign:{fact.payload['campaign_id']}",
    )


@outbox.consumer(rounds.PROPOSED, "settlement.compute", queue="settlement")
def compute_round(*, fact: Fact) -> None:
    """Compute a proposed round; a run twice does nothing new, what stops it is noted for its page."""
    rounds.compute_round(round_id=UUID(str(fact.payload["round_id"])), at=fact.at)


@outbox.consumer(rounds.POSTED, "settlement.tell_campaign", queue="settlement")
def tell_campaign(*, fact: Fact) -> None:
    """Hand to a campaign of a posted round what the run that stands for it measured, whichever came last."""
    run = queries.newest_run(UUID(str(fact.payload["campaign_id"])))
    if run is not None:
        posting.tell_campaign(run, at=fact.at)


@outbox.consumer(uftp_settling.RECEIVED, "settlement.buyer_settlement", queue="settlement")
def compare_buyer_settlement(*, fact: Fact) -> None:
    """Hand what the runs that stand measured to the answer of a buyer's settlement."""
    message_pk = int(str(fact.payload["message_pk"]))
    uftp_settling.answer(
        message_pk=message_pk,
        tries=int(str(fact.payload["tries"])),
        measured=queries.delivered_wh(uftp_settling.campaigns_of(message_pk=message_pk)),
        at=clock.now(),
    )


@shared_task(ignore_result=True)
def settle_again(**_: object) -> None:
    """Run twice, count once: unchanged readings change nothing."""
    settling.settle_again(at=clock.now())


@shared_task(ignore_result=True)
def settle_what_is_ready(**_: object) -> None:
    """Run twice, count once: a campaign that is settled on the same readings posts nothing."""
    settling.settle_what_is_ready(at=clock.now())


@shared_task(ignore_result=True)
def run_placebo_studies(**_: object) -> None:
    """Run twice, count once: each study is claimed under a lease."""
    studying.run_due(at=clock.now())


@shared_task(ignore_result=True)
def tell_months(**_: object) -> None:
    """Run twice, count once: a month whose ground is the same keeps the same figures."""
    monthly.tell_due(at=clock.now())


@shared_task(ignore_result=True)
def forget_statement_files(**_: object) -> None:
    """Run twice, count once: what is forgotten is gone."""
    statement_files.forget(at=clock.now())
