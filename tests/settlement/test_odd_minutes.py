"""Events that begin or end inside a half-hour: measured by the part they cover, all others as ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from campaigns.models import Campaign, Participation
from opendsr.web.statement_page import in_words
from settlement import archiving, gathering, statement_json, statements, verifying
from settlement.delivery import Cap, DeliveryRule, Floor, instructed_wh, measure
from settlement.models import Cap as CapChoice
from settlement.models import Statement
from settlement.readiness import readiness_of
from settlement.reckoning import reckon
from settlement.replaying import replay
from settlement.revenue import Basis
from tests.settlement.staging import (
    AFTER,
    EVENT,
    USUAL_WH,
    Stage,
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
from tests.settlement.test_money import some_input

MINUTE = timedelta(minutes=1)
FROM_17_07 = EVENT[0] + 7 * MINUTE
TO_18_19 = EVENT[0] + 79 * MINUTE
COVERED = (1_380, 1_800, 1_140)
DELIVERED = (383, 500, 316)
"""What a home gives that turns 1 kW off for 23, 30 and 19 minutes, in Wh."""


def a_campaign(starts_at: datetime, ends_at: datetime) -> Campaign:
    return Campaign(starts_at=starts_at, ends_at=ends_at)


@given(st.integers(0, 3_000), st.integers(1, 10_000))
def test_a_campaign_is_cut_at_the_half_hours_and_nothing_of_it_is_lost(start_s: int, length_s: int) -> None:
    starts_at = datetime(2026, 3, 29, 0, 20, tzinfo=UTC) + timedelta(seconds=start_s)
    campaign = a_campaign(starts_at, starts_at + timedelta(seconds=length_s))

    event, covered = gathering.event_half_hours(campaign), gathering.covered_seconds(campaign)

    assert event[0] <= starts_at < event[0] + 30 * MINUTE
    assert event[-1] < campaign.ends_at <= event[-1] + 30 * MINUTE
    assert all(start.minute % 30 == start.second == 0 for start in event)
    assert sum(covered or [1_800] * len(event)) == length_s
    assert all(0 < seconds <= 1_800 for seconds in covered)
    assert set(covered[1:-1]) <= {1_800}


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_an_event_on_half_hours_comes_to_the_same_to_the_millipenny(seed: int, homes: int) -> None:
    plain = some_input(np.random.default_rng(seed), homes)

    cut = replace(plain, covered_seconds=(1_800,) * len(plain.event))

    assert gathering.covered_seconds(a_campaign(plain.event[0], plain.event[-1] + 30 * MINUTE)) == ()
    assert reckon(cut).result_sha256 == reckon(plain).result_sha256
    assert reckon(cut).revenue == reckon(plain).revenue


WH = arrays(np.int64, (3, 3), elements=st.integers(-2_000, 2_000))


@given(WH, WH, st.integers(0, 900), st.tuples(*[st.integers(1, 1_800)] * 3), st.sampled_from(list(Cap)))
def test_a_part_counts_up_to_what_was_instructed_of_it(
    baseline_wh: np.ndarray, metered_wh: np.ndarray, asked_wh: int, covered: tuple[int, ...], cap: Cap
) -> None:
    everything = np.ones((3, 3), np.bool_)
    asked = instructed_wh(np.array([asked_wh] * 3), 3, covered)

    told = measure(
        baseline_wh=baseline_wh,
        has_baseline=everything,
        metered_wh=metered_wh,
        has_reading=everything,
        direction="turn_down",
        instructed_half_hour_wh=np.array([asked_wh] * 3),
        takes_part=everything[0],
        rule=DeliveryRule(Floor.EVENT, cap),
        covered_seconds=covered,
    )

    assert (asked == [[asked_wh * seconds // 1_800 for seconds in covered]] * 3).all()
    difference = baseline_wh - metered_wh
    for column, seconds in enumerate(covered):
        bounded = np.clip(difference[:, column], -asked[:, column], asked[:, column])
        expected = difference[:, column] if seconds == 1_800 else bounded
        assert (told.half_hour_wh[:, column] == expected).all()
    assert (told.paid_wh >= 0).all()


def a_stage_from_17_07_to_18_19(*delivered: tuple[int, int, int], **terms: object) -> Stage:
    """Homes of which 1 kW was asked, and what each gave in the three half-hours."""
    states = [Participation.State.OPTED_IN] * len(delivered)
    published = make_terms(**terms) if terms else None  # type: ignore[arg-type]
    stage = make_stage(*states, expected_w=1_000, starts_at=FROM_17_07, published=published)
    Campaign.objects.update(ends_at=TO_18_19)
    Participation.objects.update(ends_at=TO_18_19)
    stage.campaign.refresh_from_db()
    for resident, given_wh in zip(stage.residents, delivered, strict=True):
        store_history(resident)
        store_event(resident, *(USUAL_WH - wh for wh in given_wh), event=EVENT[:3])
    return stage


@pytest.mark.django_db
@pytest.mark.parametrize("cap", [CapChoice.NONE, CapChoice.INSTRUCTED])
def test_a_home_that_gave_what_was_asked_is_paid_for_all_of_it(coop: object, cap: CapChoice) -> None:
    stage = a_stage_from_17_07_to_18_19(DELIVERED, cap=cap, availability_pence_per_kw_hour=Decimal(10))

    settled = settle(stage)

    line = delivery_of(settled.run, stage.residents[0])
    assert (line.instructed_wh, line.delivered_wh, line.paid_wh) == (1_199, 1_199, 1_199)
    assert line.outcome == "delivered"
    assert settled.run.utilisation_mp == 1_199 * 300
    hours = Fraction(72, 60)
    assert settled.run.availability_mp == stage.campaign.size_w * hours * 10
    assert [row[-1] for row in settled.run.half_hours] == list(DELIVERED)
    assert balance_of(stage.residents[0]) == line.earned_mp > 0
    assert_everything_sums()


@pytest.mark.django_db
def test_what_a_home_did_beside_the_event_neither_earns_nor_costs_more_than_its_part(coop: object) -> None:
    stage = a_stage_from_17_07_to_18_19((500, 500, -400))

    run = settle(stage).run

    event = event_of(run, stage.residents[0])
    assert [each.delivered_wh for each in event.half_hours] == [383, 500, -316]
    assert [each.covered_words for each in event.half_hours] == ["23 min", "", "19 min"]
    assert event.sold_wh == 567
    kept = Statement.objects.get(round=run.round, occupancy=stage.residents[0].occupancy)
    (page,) = in_words(statements.statement_view(kept)).events
    assert [row.label for row in page.rows] == ["17:00–17:30 (23 min)", "17:30–18:00", "18:00–18:30 (19 min)"]
    assert page.in_part.startswith("Of a half-hour that the event covers in part")


@pytest.mark.django_db
@pytest.mark.parametrize("basis", [Basis.HOMES, Basis.PORTFOLIO])
def test_its_statement_can_be_worked_out_again_and_its_run_replayed(coop: object, basis: Basis) -> None:
    stage = a_stage_from_17_07_to_18_19(DELIVERED, (200, 700, 50), (-50, 20, 316), revenue_basis=basis)

    run = settle(stage).run

    assert replay(run).result_sha256 == run.result_sha256
    for kept in Statement.objects.filter(round=run.round):
        data = statement_json.as_data(statements.statement_view(kept))
        assert verifying.verify(data) == []
        (event,) = data["events"]
        assert (event["instructed_half_hour_wh"], event["half_hours"][0]["covered_seconds"]) == (500, 1_380)
        event["half_hours"][0]["covered_seconds"] -= 60
        data["sha256"] = verifying.content_sha256(data)
        assert verifying.verify(data)


@pytest.mark.django_db
def test_readings_of_the_half_hour_it_begins_in_are_waited_for(coop: object) -> None:

    stage = a_stage_from_17_07_to_18_19(DELIVERED)
    stage.campaign.starts_at -= 30 * MINUTE

    told = readiness_of(stage.campaign, known_at=AFTER)

    assert list(told.missing.values()) == [(EVENT[0] - 30 * MINUTE,)]


def test_an_archive_of_before_covers_its_half_hours_whole() -> None:
    plain = some_input(np.random.default_rng(3), 2)
    cut = replace(plain, covered_seconds=(60, 1_800, 1_800, 1_799)[: len(plain.event)])

    told = [
        archiving.joined([archiving.unpack(data) for _, _, data in archiving.packed(each)])
        for each in (plain, cut)
    ]

    assert [each.covered_seconds for each in told] == [(), cut.covered_seconds]
    assert reckon(told[1]).result_sha256 == reckon(cut).result_sha256 != reckon(plain).result_sha256
