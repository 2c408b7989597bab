"""The regression on outdoor temperature, settled by: fitted, explained, archived, verified, stopped."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from io import BytesIO

import pytest

from metering import rates
from opendsr.kernel.periods import period_starts
from settlement import replaying, statements
from settlement.computing import TemperaturesMissing
from settlement.models import Statement
from settlement.verifying import verify
from tests.settlement.cubes import days_between
from tests.settlement.staging import (
    AFTER,
    EVENT,
    Stage,
    State,
    assert_everything_sums,
    event_of,
    half_hours_of,
    make_stage,
    make_terms,
    settle,
    store,
    store_event,
)

pytestmark = pytest.mark.django_db
DAYS = days_between(date(2026, 9, 20), date(2026, 11, 23))
EVENT_DAY = date(2026, 11, 24)


def celsius(day: date) -> float:
    """Mild days and cold ones by turns; the day of the event is colder than all of them."""
    return -2.0 if day == EVENT_DAY else 4.0 + (day.toordinal() * 7 % 10)


def heating_wh(day: date) -> int:
    """400 Wh and 60 more for each degree below 15.5."""
    return round(400 + 60 * (15.5 - celsius(day)))


def tell_temperatures(*days: date) -> None:
    rows = "".join(f"{day},{celsius(day)}\n" for day in days)
    rates.import_rates(file=BytesIO(f"date,mean_celsius\n{rows}".encode()), name="t.csv", at=AFTER)


def make_heated(delivered_wh: int = 200) -> Stage:
    """A home whose use goes by the temperature, and that delivered so much in each half-hour."""
    stage = make_stage(State.OPTED_IN, published=make_terms(baseline_rule="temperature_regression"))
    (resident,) = stage.residents
    store(resident, {start: heating_wh(day) for day in DAYS for start in period_starts(day)})
    store_event(resident, *[heating_wh(EVENT_DAY) - delivered_wh] * len(EVENT))
    return stage


def test_a_colder_day_has_a_higher_baseline_than_any_before_it() -> None:
    tell_temperatures(*DAYS, EVENT_DAY)
    stage = make_heated()

    run = settle(stage).run

    half_hours = half_hours_of(run, stage.residents[0])
    assert {each.baseline_wh for each in half_hours} == {heating_wh(EVENT_DAY)}
    assert run.delivered_wh == 4 * 200
    assert max(map(heating_wh, DAYS)) < heating_wh(EVENT_DAY)
    assert_everything_sums()


def test_it_is_archived_explained_and_verified_with_its_temperatures() -> None:
    tell_temperatures(*DAYS, EVENT_DAY)
    stage = make_heated()
    run = settle(stage).run
    rates.import_rates(
        file=BytesIO(f"date,mean_celsius\n{EVENT_DAY},20\n".encode()),
        name="corrected.csv",
        at=AFTER + timedelta(days=1),
    )

    again = replaying.replay(run)
    assert (again.input_sha256, again.result_sha256) == (run.input_sha256, run.result_sha256)
    (part,) = event_of(run, stage.residents[0]).explanation.parts
    assert part.warmth == (175,) * 4
    assert all(used.warmth == (round(10 * (15.5 - celsius(used.day))),) * 4 for used in part.used)
    data = json.loads(statements.render_json(Statement.objects.get(round=run.round)))
    assert verify(data) == []
    data["events"][0]["baseline"]["parts"][0]["warmth"][0] += 20
    assert any("the baseline of" in problem for problem in verify(data))


def test_a_corrected_temperature_makes_another_run() -> None:
    tell_temperatures(*DAYS, EVENT_DAY)
    stage = make_heated()
    first = settle(stage).run
    rates.import_rates(
        file=BytesIO(f"date,mean_celsius\n{EVENT_DAY},0\n".encode()),
        name="corrected.csv",
        at=AFTER + timedelta(hours=1),
    )

    second = settle(stage, at=AFTER + timedelta(hours=2))

    assert second.is_new
    assert second.run.delivered_wh == first.delivered_wh - 4 * 120


def test_without_the_events_temperatures_it_stops_by_name_and_forced_is_the_mean() -> None:
    tell_temperatures(*DAYS)
    stage = make_heated()

    with pytest.raises(TemperaturesMissing) as stopped:
        settle(stage)

    assert stopped.value.data == {"campaign_id": stage.campaign.pk, "half_hours": 4, "of": 4}
    run = settle(stage, is_forced=True).run
    (part,) = event_of(run, stage.residents[0]).explanation.parts
    used = [sum(day.wh) / len(day.wh) for day in part.used]  # type: ignore[arg-type]
    (baseline_wh,) = {each.baseline_wh for each in half_hours_of(run, stage.residents[0])}
    assert baseline_wh == round(sum(used) / len(used))
    data = json.loads(statements.render_json(Statement.objects.get(round=run.round)))
    assert verify(data) == []


def test_days_without_temperatures_are_left_out_of_the_fit() -> None:
    tell_temperatures(*DAYS[10:], EVENT_DAY)
    stage = make_heated()

    run = settle(stage).run

    assert {each.baseline_wh for each in half_hours_of(run, stage.residents[0])} == {heating_wh(EVENT_DAY)}
    assert datetime.fromisoformat(run.half_hours[0][0]) == EVENT[0]
    data = json.loads(statements.render_json(Statement.objects.get(round=run.round)))
    assert verify(data) == []
