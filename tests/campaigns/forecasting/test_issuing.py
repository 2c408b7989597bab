"""Forecasts of a staged co-op: who counts, what is kept, what is compared, and what is learnt."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from assets.models import Asset
from campaigns import habits, tasks
from campaigns.forecast_models import HALF_HOURS
from campaigns.forecasting import gathering, issuing
from campaigns.models import FlexibilityForecast
from members import consenting, opting_out
from members.models import Consent, Purpose
from metering.intake_models import AssetState
from opendsr.kernel.interval import HALF_HOUR
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_dispatched,
    make_history,
    make_ready_home,
)
from tests.factories import Resident

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("paper_vtn")]
TURN_DOWN = {"zone_kind": "everywhere", "kind": "", "direction": "turn_down"}


def _settled_home(*kinds: str, use_w: int = 1_000, **fields: object) -> tuple[Resident, list[Asset]]:
    resident, kit = make_ready_home(*kinds, **fields)
    make_history({resident.stream_id: use_w})
    habits.work_out(at=NOON)
    return resident, list(kit.assets)


def _row(**where: object) -> FlexibilityForecast:
    return FlexibilityForecast.objects.get(**{**TURN_DOWN, **where})


def test_a_forecast_is_kept_for_every_zone_kind_and_direction() -> None:
    _settled_home("ev_charger", "immersion_heater", cmz="Calder", primary_substation="Mytholm")

    issuing.issue(at=NOON)

    held = set(FlexibilityForecast.objects.values_list("zone_kind", "zone", "kind", "direction"))
    zones = [("everywhere", ""), ("gsp_group", "_G"), ("gsp_group", "G"), ("cmz", "Calder")]
    assert {each[:2] for each in held} <= {*zones, ("substation", "Mytholm")}
    assert len(held) == 4 * 3 * 2
    row = _row()
    assert row.starts_at == NOON + HALF_HOUR
    assert row.assets == 2
    fan = issuing.fan_of(row.there_w)
    asked = issuing.fan_of(row.asked_w)
    assert (np.diff(fan, axis=0) >= 0).all()
    assert (fan[2] <= np.array(row.most_w)).all()
    assert fan[2].max() > 0
    assert (asked <= fan).all()


def test_nobody_who_took_back_consent_opted_out_or_is_not_trusted_counts(paper_vtn: PaperVtn) -> None:
    resident, _ = _settled_home("ev_charger")
    _stranger, kit = make_ready_home("ev_charger")
    paper_vtn.untrusted.add(str(kit.hub.ven_id))
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=NOON)

    issuing.issue(at=NOON)

    for row in FlexibilityForecast.objects.all():
        assert not any(row.there_w)
        assert not any(row.asked_w)
        assert row.assets == 0


def test_half_hours_that_a_campaign_holds_are_not_there() -> None:
    _, made = _settled_home("ev_charger")
    make_dispatched(made)

    issuing.issue(at=NOON)

    row = _row()
    held = [n for n in range(HALF_HOURS) if STARTS_AT <= row.starts_at + n * HALF_HOUR < ENDS_AT]
    assert not any(row.most_w[n] for n in held)
    assert row.most_w[held[-1] + 1] > 0


def test_the_fan_learns_what_devices_say_and_is_compared_with_what_was_there() -> None:
    _, made = _settled_home("immersion_heater", use_w=0)
    car = made[0]
    # It heats from 18:00 to 20:00 each day, and no meter would say so.
    since = NOON - timedelta(days=10)
    AssetState.objects.bulk_create(
        AssetState(
            asset=car, at=at, received_at=at, kind="tasmota", power_w=2_800 if 18 <= at.hour < 20 else 0
        )
        for at in (since + n * HALF_HOUR for n in range(48 * 13))
    )

    issuing.issue(at=NOON)
    row = _row()
    evening = next(n for n in range(HALF_HOURS) if (row.starts_at + n * HALF_HOUR).hour == 18)
    assert issuing.fan_of(row.there_w)[2, evening] == pytest.approx(2_800, abs=20)
    assert not issuing.fan_of(row.there_w)[2, evening - 4]
    assert row.before_w[evening] == 2_800

    assert issuing.compare(at=NOON + timedelta(days=3)) == 0  # readings may still come
    later = NOON + timedelta(days=4)
    assert issuing.compare(at=later) == FlexibilityForecast.objects.count()
    assert issuing.compare(at=later) == 0
    row = _row()
    assert row.was_w is not None
    known = [(row.starts_at + n * HALF_HOUR, watts) for n, watts in enumerate(row.was_w[:96])]
    assert {watts for at, watts in known if at.hour in (18, 19) and at.date() == NOON.date()} == {2_800}
    assert {watts for at, watts in known if at.hour == 12} == {0}
    told = issuing.score_of([row])
    assert told.half_hours > 90
    assert told.coverage is not None
    assert told.coverage > 0.9


def test_what_was_learnt_is_kept_while_it_holds_and_learnt_from_sums_alone() -> None:
    _settled_home("ev_charger", "immersion_heater")
    issuing.issue(at=NOON)
    first = _row()
    most_w = np.array(first.most_w)
    assert first.summed_w == first.there_w, "nothing was known to learn from"
    summed = issuing.fan_of(first.summed_w)
    # Three weeks in which four in five of the power were there, and the fans that were kept had learnt it.
    was_w = np.rint(0.8 * most_w).astype(np.int64)
    assert (np.abs(summed - was_w) > 0.1 * most_w).all(axis=1).any()
    FlexibilityForecast.objects.bulk_create(
        FlexibilityForecast(
            **TURN_DOWN, assets=2, most_w=first.most_w, asked_w=first.asked_w, before_w=first.before_w,
            issued_at=NOON - timedelta(days=days), starts_at=first.starts_at - timedelta(days=days),
            summed_w=first.summed_w, there_w=np.tile(was_w, 3).tolist(), was_w=was_w.tolist(),
        )
        for days in range(5, 27)
    )  # fmt: skip

    issuing.issue(at=NOON + timedelta(hours=6))

    row = _row(issued_at=NOON + timedelta(hours=6))
    learnt = issuing.fan_of(row.there_w)
    assert row.summed_w is not None
    assert not np.array_equal(learnt, issuing.fan_of(row.summed_w))
    held = np.abs(learnt[1] - 0.8 * np.array(row.most_w)) <= 0.1 * np.array(row.most_w)
    assert held.mean() > 0.8


def test_by_meters_alone_what_can_be_turned_up_is_not_known_afterwards() -> None:
    _settled_home("ev_charger")
    issuing.issue(at=NOON)

    issuing.compare(at=NOON + timedelta(days=5))

    up = _row(direction="turn_up")
    assert up.was_w is not None
    assert set(up.was_w) == {-1}
    assert issuing.score_of([up]).skill is None


def test_the_task_works_it_out_every_six_hours(it_is: object) -> None:
    _settled_home("ev_charger")
    for hours, issues in ((0, 1), (1, 1), (6, 2)):
        it_is(NOON + timedelta(hours=hours))  # type: ignore[operator]

        tasks.forecast_flexibility()

        assert FlexibilityForecast.objects.values("issued_at").distinct().count() == issues


def test_an_empty_co_op_has_nothing_to_forecast() -> None:
    assert issuing.issue(at=NOON) == 0


def test_a_wish_for_some_hours_leaves_a_home_out_of_those_alone() -> None:
    resident, _ = _settled_home("ev_charger")
    opting_out.start_standing_opt_out(
        occupancy=resident.occupancy, at=NOON, starts_at=STARTS_AT, ends_at=ENDS_AT
    )

    gathered = gathering.gather([NOON + n * HALF_HOUR for n in range(16)], at=NOON)

    may = [STARTS_AT - NOON <= n * HALF_HOUR < ENDS_AT - NOON for n in range(16)]
    assert gathered.may["turn_down"][0].tolist() == [not each for each in may]
    assert gathered.may["turn_up"][0].tolist() == [not each for each in may]
