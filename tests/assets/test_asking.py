"""What a household asks of an asset, in numbers: bounds and order for whatever was said."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets import asking, disclosing, shadowing
from assets.asking import MOST_WH, Comfort, charge_wh, comfort
from campaigns import needs
from hems import heating_config, house
from hems.config import manners_in
from members import joining, moving
from members.disclosing import person
from opendsr.kernel import audit, clock, outbox
from tests.factories import JOINED_AT, make_hub, make_member, make_resident

DAILY_WH = 10_000
LATER = JOINED_AT + timedelta(days=3)
PERCENTS = st.integers(1, 100)
BATTERIES = st.integers(10, 2_000).map(lambda tenths: tenths / 10)
ANYTHING = st.none() | st.booleans() | st.text(max_size=8) | st.floats() | st.integers()


def asked(percent: object, battery_kwh: object, arrives: object = None) -> int:
    words = {"charge_percent": percent, "battery_kwh": battery_kwh}
    if arrives is not None:
        words["arrives_percent"] = arrives
    found = charge_wh(words, daily_wh=DAILY_WH)
    assert isinstance(found, int)
    return found


@given(PERCENTS, BATTERIES, st.integers(0, 100))
def test_a_share_of_a_battery_is_what_lacks_to_it(percent: int, kwh: float, arrives: int) -> None:
    found = asked(percent, kwh, arrives)

    assert 0 <= found <= MOST_WH
    assert abs(found - max(0, percent - arrives) / 100 * kwh * 1000) <= 0.5 + 1e-6


@given(PERCENTS, BATTERIES)
def test_what_it_arrives_with_not_said_an_average_day_is_gone(percent: int, kwh: float) -> None:
    found = asked(percent, kwh)

    assert found == min(DAILY_WH, round(kwh * 10 * percent))


@given(PERCENTS, PERCENTS, BATTERIES, st.integers(0, 100))
def test_more_is_never_less(one: int, other: int, kwh: float, arrives: int) -> None:
    low, high = sorted((one, other))

    assert asked(low, kwh, arrives) <= asked(high, kwh, arrives)
    assert asked(low, kwh, max(one, arrives)) <= asked(low, kwh, arrives)


def test_of_77_kwh_from_30_to_80_per_cent() -> None:
    assert asked(80, 77, 30) == 38_500
    assert asked(80, 77) == DAILY_WH
    assert asked(10, 40) == 4_000
    assert charge_wh({"charge_miles": 40}, daily_wh=DAILY_WH) == 10_000
    assert charge_wh({"charge_wh": 7}, daily_wh=DAILY_WH) == 7
    assert charge_wh({}, daily_wh=DAILY_WH) is None


@given(st.dictionaries(st.sampled_from(sorted(shadowing.NEEDS)), ANYTHING))
def test_whatever_lies_there_is_read_without_harm(words: dict[str, Any]) -> None:
    told = comfort(words)

    charge_wh(words, daily_wh=DAILY_WH)
    assert 0 < told.wanted_minutes <= asking.DAY_MINUTES
    assert told.kelvin_minutes(6) >= 0


@given(st.integers(10, 60), st.integers(10, 60), st.times(), st.times())
def test_warmer_takes_more_degree_hours(one: int, other: int, begins: time, ends: time) -> None:
    low, high = (
        Comfort(wanted_c=each / 2, least_c=5, begins=begins, ends=ends) for each in sorted((one, other))
    )

    assert low.kelvin_minutes(6) <= high.kelvin_minutes(6)


def test_degree_hours_by_hand() -> None:
    assert Comfort().kelvin_minutes(6) == (16 * 13 + 8 * 9) * 60
    told = comfort({"wanted_c": 20, "least_c": "4.5", "comfort_hours": "22:00-06:00"})
    assert (told.wanted_minutes, told.kelvin_minutes(6)) == (480, 8 * 14 * 60)


def test_what_is_usual_is_what_a_hub_takes_to_be_usual() -> None:
    hubs = house.Comfort()

    assert Comfort() == Comfort(hubs.wanted_c, hubs.least_c, *hubs.hours[0])
    assert len(hubs.hours) == 1
    assert needs.CORE_HOURS == heating_config.CORE_HOURS


@pytest.mark.django_db
class TestHouseholdsWords:
    def test_a_hub_is_told_wh_alone_and_a_pair_of_hours(self) -> None:
        kit = make_hub(make_resident("Val Vale", at=JOINED_AT).home, kinds=("ev_charger", "storage_heater"))
        car, heater = kit.assets
        words = {"ready_by": "07:00", "charge_percent": 80, "battery_kwh": 77, "arrives_percent": 30}
        shadowing.set_households_words(asset_id=car.pk, words=words, at=LATER, by="user:1")
        words = {"wanted_c": 20.5, "least_c": 16, "comfort_hours": "07:00-23:00"}
        shadowing.set_households_words(asset_id=heater.pk, words=words, at=LATER, by="user:1")

        document = shadowing.desired_documents([kit.hub])[kit.hub.pk]

        assert {each["resource_id"]: each["needs"] for each in document["assets"]} == {
            car.resource_id: {"ready_by": "07:00", "charge_wh": 38_500},
            heater.resource_id: {"wanted_c": 20.5, "least_c": 16, "comfort_hours": [["07:00", "23:00"]]},
        }
        told = {each["resource_id"]: each["needs"] for each in document["assets"]}
        taken = heating_config.comfort_in(told[heater.resource_id], "needs", usual=house.Comfort())
        assert taken == house.Comfort(20.5, 16.0, 23.0, ((time(7), time(23)),))
        manners = manners_in(told[car.resource_id], "needs")
        assert (manners.ready_by, manners.charge_wh) == (time(7), 38_500)

    def test_what_a_fitter_said_stays_and_is_not_the_household_s_to_say(self) -> None:
        kit = make_hub(make_resident("Val Vale", at=JOINED_AT).home, kinds=("immersion_heater",))
        [tank] = kit.assets
        shadowing.set_needs(
            asset_id=tank.pk, needs={"minimum_c": 45, "hot_by": "05:00"}, at=LATER, by="staff:1"
        )

        shadowing.set_households_words(asset_id=tank.pk, words={"hot_by": "06:00"}, at=LATER, by="user:1")
        tank.refresh_from_db()
        assert tank.needs == {"minimum_c": 45, "hot_by": "06:00"}
        with pytest.raises(shadowing.UnknownNeed):
            shadowing.set_households_words(asset_id=tank.pk, words={"minimum_c": 5}, at=LATER, by="user:1")
        shadowing.set_households_words(asset_id=tank.pk, words={}, at=LATER, by="user:1")
        tank.refresh_from_db()
        assert tank.needs == {"minimum_c": 45}

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"charge_percent": 80}, "battery_kwh"),
            ({"charge_percent": 0, "battery_kwh": 40}, "charge_percent"),
            ({"charge_percent": 101, "battery_kwh": 40}, "charge_percent"),
            ({"charge_percent": "most", "battery_kwh": 40}, "charge_percent"),
            ({"charge_percent": 80, "battery_kwh": 0}, "battery_kwh"),
            ({"charge_percent": 80, "battery_kwh": 400}, "battery_kwh"),
            ({"charge_percent": 80, "battery_kwh": 40, "arrives_percent": -1}, "arrives_percent"),
            ({"charge_percent": 80, "battery_kwh": 40, "charge_wh": 1}, "charge_percent"),
            ({"charge_percent": 80, "battery_kwh": 40, "charge_miles": 1}, "charge_percent"),
            ({"comfort_hours": "06:00"}, "comfort_hours"),
            ({"comfort_hours": "06:00-06:00"}, "comfort_hours"),
            ({"comfort_hours": "dawn-dusk"}, "comfort_hours"),
        ],
    )
    def test_what_no_plan_can_read_is_refused(self, wrong: dict[str, object], field: str) -> None:
        kit = make_hub(make_resident("Val Vale", at=JOINED_AT).home)

        with pytest.raises(shadowing.UnknownNeed) as refused:
            shadowing.set_needs(asset_id=kit.assets[0].pk, needs=wrong, at=LATER, by="staff:1")

        assert refused.value.field == field

    def test_they_end_with_the_stay_and_the_next_household_s_do_not(self) -> None:
        val = make_resident("Val Vale", at=JOINED_AT)
        kit = make_hub(val.home, kinds=("ev_charger", "immersion_heater"))
        car, tank = kit.assets
        fitted = {"minimum_c": 45, "hot_by": "05:00"}
        shadowing.set_needs(asset_id=tank.pk, needs=fitted, at=JOINED_AT, by="staff:1")
        words = {"ready_by": "05:10", "charge_wh": 9_000}
        shadowing.set_households_words(asset_id=car.pk, words=words, at=JOINED_AT, by="user:1")
        clock.configure(LATER, speed=0)

        moving.move_out(occupancy=val.occupancy, at=LATER)
        next_one = make_member("Wyn West", at=JOINED_AT)
        joining.move_in(household=next_one.household, home=val.home, at=LATER)
        own = {"ready_by": "08:00", "charge_wh": 4_000}
        shadowing.set_households_words(asset_id=car.pk, words=own, at=LATER, by="user:2")
        outbox.drain()

        car.refresh_from_db()
        tank.refresh_from_db()
        assert car.needs == own
        assert tank.needs == {"minimum_c": 45}
        entry = audit.AuditEntry.objects.filter(target=f"asset:{tank.pk}").latest("id")
        assert (entry.actor, entry.detail["now"]) == ("system", {"minimum_c": 45})
        told = {}
        for member in (val.member, next_one):
            tables = disclosing.tables(person(member))
            [found] = [each.as_json() for each in tables if each.name == "assets_asset"]
            told[member.full_name] = [row["needs"] for row in found["rows"]]
        assert told["Val Vale"] == [{}, {}]
        assert own in told["Wyn West"]
