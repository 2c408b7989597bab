"""Money that no home earned: the run stops by name, and somebody may choose to hold it for the fund."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from members.models import User
from settlement import replaying, rounds, settling, statements
from settlement.models import Account, SettlementRun, Statement
from settlement.sharing import ZeroWeights
from settlement.verifying import verify
from tests.settlement.staging import (
    AFTER,
    USUAL_WH,
    Stage,
    State,
    assert_everything_sums,
    make_stage,
    make_terms,
    settle,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db


def make_unearned() -> Stage:
    """The buyer pays for standing ready, the policy shares by what was delivered, and nobody delivered."""
    published = make_terms(availability_pence_per_kw_hour=Decimal(2))
    stage = make_stage(State.OPTED_IN, published=published)
    store_history(stage.residents[0])
    store_event(stage.residents[0], *[USUAL_WH] * 4)
    return stage


def test_nothing_is_posted_until_somebody_chooses() -> None:
    stage = make_unearned()

    with pytest.raises(ZeroWeights) as stopped:
        settle(stage)

    assert (stopped.value.data["revenue_mp"], stopped.value.data["by"]) == (20_000, "wh")
    assert not SettlementRun.objects.exists()
    assert not Statement.objects.exists()


def test_held_for_the_fund_it_sums_verifies_replays_and_stays_so() -> None:
    stage = make_unearned()

    run = settle(stage, holds_unearned=True).run

    assert (run.revenue_mp, run.coop_mp, run.fund_mp, run.members_mp) == (20_000, 7_000, 13_000, 0)
    assert run.round.holds_unearned
    assert_everything_sums()
    assert Account.objects.get(kind="fund").postings.get().amount_mp == 13_000
    again = replaying.replay(run)
    assert (again.input_sha256, again.result_sha256) == (run.input_sha256, run.result_sha256)
    statement = Statement.objects.get(round=run.round)
    data = json.loads(statements.render_json(statement))
    assert verify(data) == []
    data["events"][0]["holds_unearned"] = False
    assert any("held for the fund" in problem for problem in verify(data))
    assert "what no home earned" in statements.render_csv(statement)
    assert not settling.settle_campaign(campaign_id=stage.campaign.pk, at=AFTER).is_new


def test_a_round_stops_and_another_holds_it() -> None:
    stage = make_unearned()
    fay, ada = (User.objects.create_user(f"{name}@example.org") for name in ("fay", "ada"))
    wanted = {"programme_code": "winter", "kind": "final", "campaign_ids": [stage.campaign.pk], "at": AFTER}
    stopped = rounds.propose_round(**wanted, by=fay)
    assert rounds.compute_round(round_id=stopped.pk, at=AFTER).problem.startswith("zero weights: ")
    rounds.withdraw_round(round_id=stopped.pk, at=AFTER, by=fay)

    held = rounds.propose_round(**wanted, by=fay, holds_unearned=True)
    rounds.compute_round(round_id=held.pk, at=AFTER)
    rounds.approve_round(round_id=held.pk, at=AFTER, by=ada)

    assert_everything_sums()
