"""Homes held out of a campaign: paid the average to the millipenny, compared with, and on a statement."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.models import PlanLine
from opendsr.web import measured, statement_page
from settlement import comparing, replaying, settling, statements
from settlement.comparing import hold_out_from
from settlement.models import SettlementRun, Statement
from settlement.sharing import By, Participant, SharePolicy, share_by
from settlement.verifying import verify
from tests.factories import Resident, make_hub, make_resident
from tests.settlement.staging import (
    EVENT,
    USUAL_WH,
    Stage,
    State,
    assert_everything_sums,
    balance_of,
    delivery_of,
    event_of,
    make_stage,
    make_terms,
    settle,
    store_event,
    store_history,
)

SPLITS = (
    {By.WH: Decimal(100)},
    {By.EQUAL: Decimal(100)},
    {By.WH: Decimal("33.3"), By.AVAILABILITY: Decimal("46.7"), By.EQUAL: Decimal(20)},
)
taking_part = st.builds(
    Participant,
    id=st.just(UUID(int=0)),
    paid_wh=st.integers(0, 10_000),
    available_wh=st.integers(0, 10_000),
    in_hardship=st.booleans(),
    keeps=st.sampled_from((Fraction(1), Fraction(1, 2), Fraction(0))),
)


@given(
    homes=st.lists(taking_part, min_size=1, max_size=12),
    held_out=st.integers(1, 6),
    revenue_mp=st.integers(0, 10**9),
    split=st.sampled_from(SPLITS),
    floor_mp=st.sampled_from((0, 7, 10_000)),
    hardship=st.sampled_from(("1", "1.5", "2")),
)
def test_each_held_out_home_gets_the_mean_of_those_that_took_part(
    homes: list[Participant],
    held_out: int,
    revenue_mp: int,
    split: dict[By, Decimal],
    floor_mp: int,
    hardship: str,
) -> None:
    if not sum(home.paid_wh for home in homes):
        homes[0] = replace(homes[0], paid_wh=1, keeps=Fraction(1, 2))
    homes[0] = replace(homes[0], available_wh=homes[0].available_wh or 1, keeps=homes[0].keeps or Fraction(1))
    homes = [replace(home, id=UUID(int=number)) for number, home in enumerate(homes, start=1)]
    beside = [
        Participant(UUID(int=100 + number), paid_wh=0, takes_part=False, is_held_out=True)
        for number in range(held_out)
    ]
    policy = SharePolicy(split=split, floor_mp=floor_mp, hardship_weight=Decimal(hardship))

    shares = share_by(policy, revenue_mp=revenue_mp, participants=[*homes, *beside], day=date(2026, 11, 24))

    assert sum(shares.earned_mp) == shares.members_mp
    mean = Fraction(sum(shares.earned_mp[: len(homes)]), len(homes))
    parts = len(split) + bool(floor_mp)
    for earned_mp in shares.earned_mp[len(homes) :]:
        assert abs(earned_mp - mean) <= 2 * parts
    assert max(shares.earned_mp[len(homes) :]) - min(shares.earned_mp[len(homes) :]) <= parts
    alone = share_by(policy, revenue_mp=revenue_mp, participants=homes, day=date(2026, 11, 24))
    if not floor_mp:
        share = Fraction(len(homes), len(homes) + held_out)
        for with_others, without in zip(shares.earned_mp, alone.earned_mp, strict=False):
            assert abs(with_others - without * share) <= 2 * parts


def hold_out(stage: Stage, *residents: Resident) -> None:
    """Write down that the plan held these homes out."""
    stage.campaign.hold_out_pct = 20
    stage.campaign.save()
    for resident in residents:
        hub = make_hub(resident.home, through_vtn=False)
        PlanLine.objects.create(
            campaign=stage.campaign, asset=hub.assets[0], occupancy=resident.occupancy, left_out="held_out"
        )


def make_compared(
    *delivered_wh: int, held_out: int = 2, swing_wh: int = 40, **terms: object
) -> tuple[Stage, list[Resident]]:
    """Homes that deliver in every half-hour, on a day on which everybody would have used more anyhow."""
    stage = make_stage(*[State.OPTED_IN] * len(delivered_wh), published=make_terms(**terms))  # type: ignore[arg-type]
    spared = [make_resident() for _ in range(held_out)]
    hold_out(stage, *spared)
    for number, (resident, wh) in enumerate(
        zip([*stage.residents, *spared], [*delivered_wh, *[0] * held_out], strict=True)
    ):
        store_history(resident, usual_wh=USUAL_WH + 10 * number)
        store_event(resident, *[USUAL_WH + 10 * number + swing_wh - wh] * len(EVENT))
    return stage, spared


def _share_of(run: SettlementRun, resident: Resident) -> str:
    """How the statement's page says the home's share comes about."""
    statement = Statement.objects.get(round=run.round, occupancy=resident.occupancy)
    (event,) = statement_page.in_words(statements.statement_view(statement)).events
    (words,) = (step.how for step in event.steps if step.label == "Your exact share")
    return words


@pytest.mark.django_db
def test_a_held_out_home_is_paid_the_average_and_told_so() -> None:
    stage, (spared, _) = make_compared(440, 240, 140)

    run = settle(stage).run

    line = delivery_of(run, spared)
    assert (line.standing, line.outcome, line.takes_part, line.paid_wh) == ("held_out", "held_out", False, 0)
    paid = [delivery_of(run, resident).earned_mp for resident in stage.residents]
    assert abs(line.earned_mp - Fraction(sum(paid), 3)) <= 2
    assert sum(paid) + 2 * line.earned_mp in range(run.members_mp - 2, run.members_mp + 3)
    assert balance_of(spared) == line.earned_mp
    assert_everything_sums()
    event = event_of(run, spared)
    assert "drawn by lot" in event.standing_words
    assert event.shares[0].weight * 5 == event.shares[0].total_weight
    assert _share_of(run, spared) == "pool / 5 homes, those held out among them"
    assert _share_of(run, stage.residents[0]) == ("pool × 3 of 5 homes, the others held out × 1.600 / 2.800")
    assert event.others == ()


@pytest.mark.django_db
def test_comparing_finds_what_was_done_whatever_the_day_did_to_everybody() -> None:
    stage, _ = make_compared(440, 240, 140, swing_wh=90)

    run = settle(stage).run

    hold_out = hold_out_from(run.hold_out)
    assert hold_out is not None
    assert hold_out.effect is not None
    assert (hold_out.homes, hold_out.held_out) == (3, 2)
    assert hold_out.effect.effect_wh == pytest.approx(-(440 + 240 + 140) / 3)
    assert hold_out.effect.low_wh <= hold_out.effect.effect_wh <= hold_out.effect.high_wh
    assert hold_out.effect.delivered_wh(half_hours=4) == pytest.approx(4 * (440 + 240 + 140))
    words = measured.held_out_words(run)
    assert "2 homes were held out by lot" in words
    assert "the 3 homes asked used 3.280 kWh less together" in words
    assert "by baseline it is 2.200 kWh" in words


@pytest.mark.django_db
def test_without_readings_of_the_homes_held_out_there_is_money_and_no_comparison() -> None:
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 0, 0, 0, 0)
    spared = make_resident()
    hold_out(stage, spared)

    run = settle(stage).run

    assert hold_out_from(run.hold_out) == comparing.HoldOut(1, 1, None, comparing.GROUP_WORDS["control"])
    assert delivery_of(run, spared).earned_mp == delivery_of(run, stage.residents[0]).earned_mp > 0
    assert "Nothing can be said by comparing" in measured.held_out_words(run)


@pytest.mark.django_db
def test_a_run_with_held_out_homes_replays_and_a_rerun_posts_nothing() -> None:
    stage, _ = make_compared(440, 240, baseline_rule="zero")

    run = settle(stage).run

    again = replaying.replay(run)
    assert (again.input_sha256, again.result_sha256) == (run.input_sha256, run.result_sha256)
    assert again.hold_out is not None
    assert again.hold_out.as_data() == run.hold_out
    rerun = settling.settle_campaign(campaign_id=stage.campaign.pk, at=run.run_at)
    assert not rerun.is_new
    assert SettlementRun.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("place", [0, -1])
def test_the_statement_of_either_verifies_and_a_changed_weight_does_not(place: int) -> None:
    stage, spared = make_compared(440, 240)
    run = settle(stage).run
    everybody = [*stage.residents, *spared]
    statement = Statement.objects.get(round=run.round, occupancy=everybody[place].occupancy)
    data = json.loads(statements.render_json(statement))

    assert verify(data) == []
    assert "homes held out" in statements.render_csv(statement)
    data["events"][0]["shares"][0]["weight"] += 1
    assert any("weight" in problem for problem in verify(data))


@pytest.mark.django_db
def test_a_held_out_home_in_another_event_that_day_is_not_compared_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, (spared, other) = make_compared(440, 240)
    elsewhere = make_stage(
        State.OPTED_IN,
        published=make_terms(),
        residents=[spared],
        starts_at=datetime.fromisoformat("2026-11-24T10:00:00+00:00"),
        half_hour_count=2,
    )

    effect = hold_out_from(settle(stage).run.hold_out).effect

    assert elsewhere.campaign.pk != stage.campaign.pk
    assert (effect.treated, effect.control) == (2, 1)
    assert np.isfinite([effect.low_wh, effect.high_wh]).all()
    assert other.occupancy.pk != spared.occupancy.pk
