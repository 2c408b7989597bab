"""What each device drew: measured where it has a meter, else estimated from what may be read."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from members import consenting
from members.models import Granularity, Purpose
from metering.intake_models import AssetState
from metering.live import store_power
from settlement.asset_power import asset_power
from tests.factories import make_consent_texts, make_resident
from tests.settlement.staging import EVENT, State, make_part, make_stage

pytestmark = pytest.mark.django_db
START = EVENT[0] - timedelta(minutes=30)


def allow_live(resident, purpose=Purpose.SETTLEMENT):
    make_consent_texts()
    consenting.give_consent(
        member=resident.member, occupancy=resident.occupancy, purpose=purpose, granularity=Granularity.LIVE,
        channel="web", at=START - timedelta(days=1),
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
