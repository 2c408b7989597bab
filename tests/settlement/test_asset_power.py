"""What each device drew: measured where it has a meter, else estimated from what may be read."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.db import connection

from members import consenting
from members.models import Granularity, Purpose
from metering.intake_models import AssetState
from metering.live import store_power
from metering.models import LivePower
from opendsr.web import statement_page
from settlement import statements
from settlement.asset_power import asset_power
from settlement.models import DeviceEstimate, Statement
from settlement.verifying import verify
from tests.factories import make_consent_texts, make_resident
from tests.settlement.staging import (
    AFTER,
    EVENT,
    State,
    make_part,
    make_stage,
    settle,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db
START = EVENT[0] - timedelta(minutes=30)


def allow_live(resident, purpose=Purpose.SETTLEMENT, days_before=1):
    make_consent_texts()
    consenting.give_consent(
        member=resident.member, occupancy=resident.occupancy, purpose=purpose, granularity=Granularity.LIVE,
        channel="web", at=START - timedelta(days=days_before),
    )  # fmt: skip


def scene(state):
    """A stage of one home that has consented to nothing yet."""
    resident = make_resident(consents=())
    return make_stage(state, residents=[resident])


def store_live(resident, watts_at):
    """A sample every ten seconds of the half-hour before the event and the event."""
    at = [START + timedelta(seconds=10 * n) for n in range(150 * 6)]
    report = store_power(
        source="cad_power", at=EVENT[-1] + timedelta(hours=1), stream_ids=[resident.stream_id] * len(at),
        measured_at=at, power_w=np.array([watts_at(each) for each in at]),
    )  # fmt: skip
    assert report.rows_stored == len(at)


def base_and_charger(at):
    return 400 + (2_000 if at < EVENT[0] else 0)


def test_a_step_at_the_command_is_seen():
    stage = scene(State.OPTED_IN)
    allow_live(stage.residents[0])
    store_live(stage.residents[0], base_and_charger)

    (charger,) = asset_power(stage.campaign, stage.residents[0].occupancy.pk, reader="tests")

    assert charger.kw == (0, 0, 0, 0)
    assert charger.confidence == pytest.approx([0.9] * 4)
    assert not charger.is_measured


def test_a_device_that_went_on_is_told_by_its_switch():
    stage = scene(State.OVERRIDDEN)
    allow_live(stage.residents[0])
    store_live(stage.residents[0], lambda at: 2_400)

    (charger,) = asset_power(stage.campaign, stage.residents[0].occupancy.pk, reader="tests")

    assert charger.kw == (2, 2, 2, 2)
    assert max(charger.confidence) < 0.9


@pytest.mark.parametrize("purpose", [None, Purpose.ADVICE])
def test_without_consent_to_settlement_live_power_is_not_looked_at(purpose):
    stage = scene(State.OPTED_IN)
    if purpose:
        allow_live(stage.residents[0], purpose)
        store_live(stage.residents[0], base_and_charger)

    (charger,) = asset_power(stage.campaign, stage.residents[0].occupancy.pk, reader="tests")

    assert charger.kw == (0, 0, 0, 0)
    assert charger.confidence == pytest.approx([0.1] * 4)


def test_a_device_with_its_own_meter_is_measured_and_the_read_is_on_record():
    stage = scene(State.OPTED_IN)
    make_part(stage.campaign, stage.residents[0], State.OPTED_IN)
    measured = stage.parts[0].asset
    for minutes, watts in ((5, 100), (20, 300), (40, 50)):
        at = EVENT[0] + timedelta(minutes=minutes)
        AssetState.objects.create(asset=measured, at=at, received_at=at, power_w=watts, kind="shelly")

    found = {
        each.asset_id: each
        for each in asset_power(stage.campaign, stage.residents[0].occupancy.pk, reader="user:7")
    }

    assert len(found) == 2
    assert found[measured.pk].is_measured
    assert found[measured.pk].kw == (0.2, 0.05, None, None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audited.metering_read WHERE reader = 'user:7'")
        assert cursor.fetchone()[0] == 1


def test_two_devices_never_draw_more_than_the_home():
    stage = scene(State.OVERRIDDEN)
    make_part(stage.campaign, stage.residents[0], State.OVERRIDDEN)
    allow_live(stage.residents[0])
    store_live(stage.residents[0], lambda at: 1_500)

    both = asset_power(stage.campaign, stage.residents[0].occupancy.pk, reader="tests")

    assert [sum(pair) for pair in zip(*(each.kw for each in both), strict=True)] == [1.5] * 4


def settled_with_live_power(**options):
    """A settled home with live power, and the run."""
    stage = scene(State.OPTED_IN)
    allow_live(stage.residents[0], days_before=60)
    store_history(stage.residents[0])
    store_live(stage.residents[0], base_and_charger)
    store_event(stage.residents[0], 200, 200, 200, 200)
    return stage, settle(stage, **options).run


def test_a_statement_says_what_each_device_drew_and_how_sure_that_is():
    stage, run = settled_with_live_power()
    name = stage.parts[0].asset.name

    kept = DeviceEstimate.objects.get(run=run)
    assert (kept.name, kept.is_measured, kept.half_hours) == (name, False, [[0, 90]] * 4)
    statement = Statement.objects.get(round=run.round)
    data = json.loads(statements.render_json(statement))
    assert data["events"][0]["devices"] == [{"name": name, "is_measured": False, "half_hours": [[0, 90]] * 4}]
    assert verify(data) == []
    rows = [row for row in csv.reader(StringIO(statements.render_csv(statement))) if row[0] == "device"]
    assert [(row[1], row[5], row[6]) for row in rows] == [(name, "0", "W")] * 4
    assert "estimated, 90 % sure" in rows[0][7]
    (event,) = statement_page.in_words(statements.statement_view(statement)).events
    assert event.devices.rows == ((name, "estimated", (("0.00", "90 %"),) * 4),)
    data["events"][0]["devices"][0]["half_hours"].pop()
    assert any("with its confidence" in problem for problem in verify(data))


def test_it_is_kept_once_and_outlives_the_live_power():
    stage, run = settled_with_live_power()
    LivePower.objects.all().delete()
    store_event(stage.residents[0], 100, 200, 200, 200, at=AFTER + timedelta(hours=1))

    second = settle(stage, at=AFTER + timedelta(hours=2)).run

    assert second.pk != run.pk
    assert DeviceEstimate.objects.get().run_id == run.pk
    statement = Statement.objects.get(round=second.round)
    assert statements.statement_view(statement).events[0].devices[0].half_hours == ((0, 90),) * 4


def test_homes_that_tell_nothing_have_no_estimate():
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 200, 200, 200, 200)

    run = settle(stage, is_forced=True).run

    assert not DeviceEstimate.objects.exists()
    statement = Statement.objects.get(round=run.round)
    (event,) = statement_page.in_words(statements.statement_view(statement)).events
    assert event.devices is None
