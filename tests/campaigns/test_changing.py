"""When a device was first seen doing what its event asked: the rule, and that nothing is guessed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import changing, queries
from campaigns.models import Campaign, Participation
from metering.intake_models import AssetState
from tests.campaigns.conftest import PaperVtn
from tests.campaigns.staging import ENDS_AT, NOON, STARTS_AT, make_dispatched, make_ready_home

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
Told = tuple[int, int | None, bool | None]
"""Seconds from the start, W, on or not."""


@pytest.fixture
def part(paper_vtn: PaperVtn) -> Participation:
    """An asset asked for 1 kW less from STARTS_AT, its hub having fetched and agreed before."""
    _, kit = make_ready_home(through_vtn=False)
    campaign = make_dispatched(kit.assets)
    campaign.participations.update(state="opted_in", delivered_at=NOON, responded_at=NOON)
    return campaign.participations.get()


def tell(part: Participation, *told: Told, late: timedelta = 5 * MINUTE) -> None:
    AssetState.objects.bulk_create(
        AssetState(
            asset_id=part.asset_id,
            at=STARTS_AT + second * SECOND,
            received_at=STARTS_AT + second * SECOND + late,
            power_w=power_w,
            is_on=is_on,
            kind="openadr",
        )
        for second, power_w, is_on in told
    )


def seen(part: Participation, *, at: datetime = ENDS_AT) -> float | None:
    """Seconds from the start to the change that is on record after a pass."""
    changing.note_changes(at=at)
    part.refresh_from_db()
    return None if part.changed_at is None else (part.changed_at - STARTS_AT).total_seconds()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ([(-60, 2_000, None), (4, 2_000, None), (9, 0, None), (20, 0, None)], 10),
        ([(-60, 2_000, None), (9, 1_500, None)], 10),
        ([(-60, 2_000, None), (9, 1_501, None)], None),
        ([(-60, 400, None), (9, 200, None)], 10),
        ([(-60, 9_000, None), (9, 8_000, None), (30, 7_200, None)], 31),
        ([(-60, 2_000, None), (9, 4_000, None)], None),
        ([(-60, 99, None), (9, 0, None)], None),
        ([(-60, None, True), (9, None, False)], 10),
        ([(-60, None, False), (9, None, False)], None),
        ([(-60, None, True), (9, None, True)], None),
        ([(9, 0, False)], None),
        ([(-1_801, 2_000, None), (9, 0, None)], None),
        ([(-60, 2_000, None), (-5, 0, None), (9, 0, None)], None),
        ([(-60, 2_000, None), (2_098, 0, None)], 2_099),
        ([(-60, 2_000, None), (2_099, 0, None)], None),
        ([(-60, 2_000, True), (9, None, False)], None),
        ([], None),
    ],
)
def test_what_counts_as_a_change_down(part: Participation, told: list[Told], seconds: float | None) -> None:
    tell(part, *told)

    assert seen(part) == seconds


def test_up_is_the_other_way(part: Participation) -> None:
    Campaign.objects.update(direction="turn_up")
    tell(part, (-60, 0, None), (5, 499, None), (9, 500, None))

    assert seen(part) == 10


def test_a_state_that_came_within_its_second_is_seen_when_it_came(part: Participation) -> None:
    tell(part, (-60, 2_000, None), (3, 0, None), late=timedelta(milliseconds=250))

    assert seen(part) == 3.25


def test_an_event_fetched_after_its_start_begins_with_the_fetching(part: Participation) -> None:
    fetched = STARTS_AT + 100.5 * SECOND
    Participation.objects.filter(pk=part.pk).update(delivered_at=fetched)
    tell(part, (-60, 2_000, None), (50, 0, None), (90, 2_000, None), (100, 0, None))

    assert seen(part) == 101
    assert queries.leg_seconds(part.campaign)[-1] == (5, 1, 0.5, 0.5)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "opted_out"},
        {"state": "sent", "delivered_at": None},
        {"dropped_at": STARTS_AT + 5 * SECOND},
    ],
)
def test_who_was_not_asked_then_did_nothing_for_us(part: Participation, fields: dict[str, object]) -> None:
    Participation.objects.filter(pk=part.pk).update(**fields)
    tell(part, (-60, 2_000, None), (9, 0, None))

    assert seen(part) is None


def test_an_override_keeps_what_was_seen_before(part: Participation) -> None:
    tell(part, (-60, 2_000, None), (9, 0, None))
    assert seen(part) == 10
    Participation.objects.filter(pk=part.pk).update(state="overridden", dropped_at=STARTS_AT + MINUTE)

    assert seen(part) == 10


def test_a_pass_looks_while_it_runs_and_two_hours_after(part: Participation) -> None:
    tell(part, (-60, 2_000, None), (9, 0, None))

    assert seen(part, at=STARTS_AT - SECOND) is None
    assert seen(part, at=ENDS_AT + changing.LOOKED_AFTER) is None
    Campaign.objects.update(state="completed", completed_at=ENDS_AT)
    assert seen(part, at=ENDS_AT + changing.LOOKED_AFTER - SECOND) == 10
    assert changing.note_changes(at=ENDS_AT) == 0


def test_the_goal_holds_after_the_spread_that_hubs_draw(part: Participation) -> None:
    tell(part, (-60, 2_000, None), (309, 0, None))
    assert seen(part) == 310
    asked = {"since": STARTS_AT, "until": ENDS_AT, "direct_goal_seconds": 2}

    assert queries.legs_between(**asked, goal_seconds=10)[-1] == (False, 5, 1, 310, 310, 1)
    assert queries.legs_between(**asked, goal_seconds=9)[-1][-1] == 0


def test_many_assets_are_one_statement(
    paper_vtn: PaperVtn, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    kits = [make_ready_home(through_vtn=False)[1] for _ in range(5)]
    campaign = make_dispatched([kit.assets[0] for kit in kits])
    campaign.participations.update(state="opted_in", delivered_at=NOON)
    for part in campaign.participations.all():
        tell(part, (-60, 2_000, None), (9, 0, None))

    with django_assert_num_queries(3):  # type: ignore[operator]
        assert changing.note_changes(at=ENDS_AT) == 5


states = st.lists(
    st.tuples(
        st.integers(-2_000, 7_500),
        st.none() | st.integers(0, 4_000),
        st.none() | st.booleans(),
    ),
    max_size=8,
    unique_by=lambda each: each[0],
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=states, later=states, way=st.sampled_from(["turn_down", "turn_up"]))
def test_never_before_the_start_never_the_other_way_and_more_states_only_bring_it_forward(
    part: Participation, told: list[Told], later: list[Told], way: str
) -> None:
    Campaign.objects.filter(pk=part.campaign_id).update(direction=way)
    AssetState.objects.all().delete()
    tell(part, *told)

    first = seen(part)

    assert seen(part) == first
    if first is not None:
        assert 0 < first < 7_200
        at = round(first) - 1
        _, power_w, is_on = next(each for each in told if each[0] == at)
        before = [each for each in told if each[0] < 0]
        drawn = [each for each in sorted(before) if each[1] is not None and each[0] > -1_800]
        if drawn:
            assert power_w is not None
            assert (power_w > drawn[-1][1]) if way == "turn_up" else (power_w < drawn[-1][1])
        else:
            assert is_on is (way == "turn_up")
    known = {each[0] for each in told}
    tell(part, *(each for each in later if each[0] >= 0 and each[0] not in known))
    second = seen(part)
    if first is not None:
        assert second is not None
        assert second <= first
