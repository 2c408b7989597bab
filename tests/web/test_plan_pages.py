"""The member's plan page and the staff's page of all plans."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from campaigns import home_plans, tariffs
from campaigns.models import HomePlan, HomePlanLine, HomeTariff, ServicingContract
from opendsr.kernel import clock
from opendsr.kernel.periods import civil_date
from tests.campaigns.servicing.operating import make_operator
from tests.web.conftest import Visit
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db


def make_tariff() -> None:
    bands = {time(0): Decimal(28), time(0, 30): Decimal(9), time(7): Decimal(28)}
    tariffs.set_bands(code="e7", name="Economy 7", bands=bands, at=clock.now(), by="test")


def test_a_member_chooses_a_tariff_and_sees_plan_reason_and_saving(scene: Scene, visit: Visit) -> None:
    make_tariff()
    alice = visit(scene.alice.user)
    assert "Choose your tariff" in alice.get(reverse("my_plan")).content.decode()

    address = reverse("choose_tariff", args=[scene.alice.occupancy.pk])
    assert alice.post(address, {"tariff": "e7"}).status_code == 302
    assert "Prices of the next day" in alice.get(reverse("my_plan")).content.decode()
    at = clock.now()
    home_plans.plan_night(night=civil_date(at), at=at)

    page = alice.get(reverse("my_plan")).content.decode()
    assert "the cheapest half-hours in which it is ready in time: 9.0 p/kWh" in page
    assert "Saved against doing nothing" in page
    assert HomePlan.objects.get().saved_mp > 0
    sam = visit(scene.sam).get(reverse("night_plans")).content.decode()
    assert scene.alice.home.name in sam


def test_under_a_demand_charge_the_member_sees_the_peak_and_why(scene: Scene, visit: Visit) -> None:
    make_tariff()
    tariffs.set_demand_charge(code="e7", pence_per_kw=650, at=clock.now(), by="test")
    alice = visit(scene.alice.user)
    alice.post(reverse("choose_tariff", args=[scene.alice.occupancy.pk]), {"tariff": "e7"})
    at = clock.now()
    home_plans.plan_night(night=civil_date(at), at=at)

    page = alice.get(reverse("my_plan")).content.decode()

    plan = HomePlan.objects.get()
    assert plan.demand_cost_mp < plan.unplanned_demand_cost_mp
    assert "Your highest half-hour" in page
    assert "£6.50 a month for each kW" in page
    assert "what runs tonight is spread out" in page


def test_under_an_import_cap_member_and_staff_see_what_it_leaves_no_room_for(
    scene: Scene, visit: Visit
) -> None:
    make_tariff()
    scene.alice.home.primary_substation = "Mill Lane"
    scene.alice.home.save(update_fields=["primary_substation"])
    alice = visit(scene.alice.user)
    alice.post(reverse("choose_tariff", args=[scene.alice.occupancy.pk]), {"tariff": "e7"})
    at = clock.now()
    operator = make_operator(zone_kind="substation", zone="Mill Lane", import_cap_w=0)
    ServicingContract.objects.filter(pk=operator.contract.pk).update(starts_at=at - timedelta(days=1))
    home_plans.plan_night(night=civil_date(at), at=at)

    page = alice.get(reverse("my_plan")).content.decode()
    staff = visit(scene.sam).get(reverse("night_plans")).content.decode()

    (car,) = HomePlanLine.objects.filter(asset__kind="ev_charger")
    missing = f"{car.shortfall_wh / 1000:.1f}"
    assert car.shortfall_wh > 0
    assert f"It leaves no room for {missing} kWh that you asked for." in page
    assert "The time is too short" not in page
    assert "Primary substation Mill Lane: the import cap of 0 kW" in staff
    assert f"It leaves no room for {missing} kWh that 1 home asked for." in staff
    in_welsh = alice.get(reverse("my_plan"), headers={"accept-language": "cy"}).content.decode()
    assert "gadael lle ar gyfer" in in_welsh


def test_a_stranger_and_a_wrong_tariff_change_nothing(scene: Scene, visit: Visit) -> None:
    make_tariff()
    address = reverse("choose_tariff", args=[scene.alice.occupancy.pk])

    assert visit(scene.carol.user).post(address, {"tariff": "e7"}).status_code == 404
    assert visit(scene.alice.user).post(address, {"tariff": "nonsense\x00"}, follow=True).status_code == 200

    assert not HomeTariff.objects.exists()


def test_a_night_that_is_none_and_an_empty_one(scene: Scene, visit: Visit) -> None:
    sam = visit(scene.sam)
    for night in ("", "nonsense", "9999-99-99", (civil_date(clock.now()) + timedelta(1)).isoformat()):
        page = sam.get(reverse("night_plans"), {"night": night})
        assert page.status_code == 200
        assert "No plan was made" in page.content.decode()
