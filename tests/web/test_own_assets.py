"""A household says itself what its car, its hot water and its storage heaters are to do."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from assets import shadowing, vtn_door
from assets.models import Asset
from campaigns import home_plans, tariffs
from campaigns.models import HomePlan, HomePlanLine
from members import moving
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from opendsr.kernel.periods import LONDON
from tests.factories import make_asset
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene, freeze

pytestmark = pytest.mark.django_db
CAR = {"ready_by": "06:15", "amount": "40", "unit": "miles", "battery_kwh": "", "arrives_percent": ""}
WATER = {"first": "19:30", "second": "06:00", "third": "", "fourth": ""}
WARMTH = {"wanted_c": "20.5", "begins": "07:00", "ends": "23:00", "least_c": "16"}


@pytest.fixture
def alice(scene: Scene, visit: Visit) -> Client:
    return visit(scene.alice.user)


def asset_of(scene: Scene, kind: str) -> Asset:
    hub = scene.homes[0].hub.hub
    return Asset.objects.filter(hub=hub, kind=kind).first() or make_asset(hub, kind, at=NOW)


def page_of(scene: Scene, kind: str) -> str:
    return reverse("own_asset", args=[asset_of(scene, kind).pk])


def needs_of(scene: Scene, kind: str) -> dict[str, object]:
    return dict(asset_of(scene, kind).needs)


@pytest.mark.parametrize(
    ("kind", "fields", "words", "told"),
    [
        ("ev_charger", CAR, {"ready_by": "06:15", "charge_miles": 40}, "Charged for 40 miles by 06:15"),
        (
            "ev_charger",
            CAR | {"amount": "9.25", "unit": "kwh"},
            {"ready_by": "06:15", "charge_wh": 9_250},
            "Charged with 9.2 kWh by 06:15",
        ),
        (
            "ev_charger",
            CAR | {"amount": "80", "unit": "percent", "battery_kwh": "77", "arrives_percent": "30"},
            {"ready_by": "06:15", "charge_percent": 80, "battery_kwh": 77, "arrives_percent": 30},
            "Charged to 80 % by 06:15: about 38.5 kWh",
        ),
        ("immersion_heater", WATER, {"hot_by": "06:00 19:30"}, "Hot water by 06:00, 19:30."),
        (
            "storage_heater",
            WARMTH,
            {"wanted_c": 20.5, "least_c": 16, "comfort_hours": "07:00-23:00"},
            "20.5 °C from 07:00 to 23:00, at least 16 °C at other times.",
        ),
    ],
)
def test_said_kept_shown_and_taken_back(
    kind: str, fields: dict[str, str], words: dict[str, object], told: str, scene: Scene, alice: Client
) -> None:
    address = page_of(scene, kind)
    first = alice.get(address)
    assert seen(first).faults() == []
    assert "the usual" in seen(first).text()
    assert "Back to the usual" not in seen(first).text()

    answer = alice.post(address, fields)

    assert (answer.status_code, answer.headers["Location"]) == (302, address)
    assert needs_of(scene, kind) == words
    page = alice.get(address)
    assert seen(page).faults() == []
    assert told in seen(page).text()
    entry = AuditEntry.objects.filter(verb="asset.needs").latest("id")
    assert (entry.actor, entry.detail["now"]) == (f"user:{scene.alice.user.pk}", words)
    for name in ("preferences", "my_plan"):
        text = alice.get(reverse(name)).content.decode()
        assert told in seen(alice.get(reverse(name))).text()
        assert f'href="{address}"' in text
    shown = page.context["form"]
    again = {name: "" if shown[name].value() is None else shown[name].value() for name in shown.fields}
    assert alice.post(address, again).status_code == 302
    assert needs_of(scene, kind) == words

    assert alice.post(address, {"do": "usual"}).status_code == 302
    assert needs_of(scene, kind) == {}
    assert "Back to the usual." in seen(alice.get(address)).text()


def test_the_hub_is_told(scene: Scene, alice: Client) -> None:
    alice.post(page_of(scene, "ev_charger"), CAR)

    kit = scene.homes[0].hub
    desired = vtn_door.shadows_of([kit.ven_id])[kit.ven_id].desired
    assert {"ready_by": "06:15", "charge_wh": 10_000} in [each["needs"] for each in desired["assets"]]


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("ev_charger", CAR | {"ready_by": "soon"}, "ready_by"),
        ("ev_charger", CAR | {"ready_by": ""}, "ready_by"),
        ("ev_charger", CAR | {"amount": "-1"}, "amount"),
        ("ev_charger", CAR | {"amount": "NaN"}, "amount"),
        ("ev_charger", CAR | {"amount": "801"}, "amount"),
        ("ev_charger", CAR | {"amount": "201", "unit": "kwh"}, "amount"),
        ("ev_charger", CAR | {"amount": "101", "unit": "percent", "battery_kwh": "40"}, "amount"),
        ("ev_charger", CAR | {"amount": "0", "unit": "percent", "battery_kwh": "40"}, "amount"),
        ("ev_charger", CAR | {"unit": "gallons"}, "unit"),
        ("ev_charger", CAR | {"amount": "80", "unit": "percent"}, "battery_kwh"),
        ("ev_charger", CAR | {"amount": "80", "unit": "percent", "battery_kwh": "900"}, "battery_kwh"),
        (
            "ev_charger",
            CAR | {"amount": "50", "unit": "percent", "battery_kwh": "40", "arrives_percent": "60"},
            "arrives_percent",
        ),
        ("immersion_heater", WATER | {"first": ""}, "first"),
        ("immersion_heater", WATER | {"third": "25:00"}, "third"),
        ("storage_heater", WARMTH | {"wanted_c": "31"}, "wanted_c"),
        ("storage_heater", WARMTH | {"wanted_c": "23"}, "wanted_c"),
        ("storage_heater", WARMTH | {"least_c": "21"}, "least_c"),
        ("storage_heater", WARMTH | {"ends": "07:00"}, "ends"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    kind: str, fields: dict[str, str], field: str, scene: Scene, alice: Client
) -> None:
    page = alice.post(page_of(scene, kind), fields)

    assert page.status_code == 422
    assert seen(page).faults() == []
    assert set(page.context["form"].errors) == {field}
    assert needs_of(scene, kind) == {}


def test_the_battery_is_asked_once(scene: Scene, alice: Client) -> None:
    address = page_of(scene, "ev_charger")
    alice.post(address, CAR | {"amount": "80", "unit": "percent", "battery_kwh": "77.4"})
    alice.post(address, CAR | {"battery_kwh": "77.4"})

    assert needs_of(scene, "ev_charger") == {"ready_by": "06:15", "charge_miles": 40, "battery_kwh": 77.4}
    assert 'value="77.4"' in alice.get(address).content.decode()


def test_what_a_fitter_said_stays(scene: Scene, alice: Client) -> None:
    tank = asset_of(scene, "immersion_heater")
    shadowing.set_needs(asset_id=tank.pk, needs={"weekly_cycle": "sunday 03:00"}, at=NOW, by="staff:1")

    alice.post(page_of(scene, "immersion_heater"), WATER)
    assert needs_of(scene, "immersion_heater") == {"weekly_cycle": "sunday 03:00", "hot_by": "06:00 19:30"}
    alice.post(page_of(scene, "immersion_heater"), {"do": "usual"})
    assert needs_of(scene, "immersion_heater") == {"weekly_cycle": "sunday 03:00"}


def test_what_the_records_hold_of_it_breaks_no_page(scene: Scene, alice: Client) -> None:
    wrong = {"ready_by": "<b>dawn</b>", "charge_percent": "all", "charge_miles": [1], "battery_kwh": "x"}
    Asset.objects.filter(pk=asset_of(scene, "ev_charger").pk).update(needs=wrong)
    wrong = {"wanted_c": "warm", "comfort_hours": "x", "most_c": "y"}
    Asset.objects.filter(pk=asset_of(scene, "storage_heater").pk).update(needs=wrong)

    for kind in ("ev_charger", "storage_heater"):
        page = alice.get(page_of(scene, kind))
        assert (page.status_code, seen(page).faults()) == (200, [])
    assert "<b>dawn" not in alice.get(reverse("my_plan")).content.decode()


def test_others_find_no_such_page(scene: Scene, alice: Client, visit: Visit, nobody: object) -> None:
    address = page_of(scene, "ev_charger")
    for user in (scene.carol.user, scene.sam, scene.fay, nobody):
        for answer in (visit(user).get(address), visit(user).post(address, CAR)):
            assert answer.status_code == 404
    assert alice.get(reverse("own_asset", args=[uuid4()])).status_code == 404
    asset = asset_of(scene, "ev_charger")
    Asset.objects.filter(pk=asset.pk).update(state=Asset.State.RETIRED, retired_at=NOW)
    assert alice.get(address).status_code == 404
    assert needs_of(scene, "ev_charger") == {}


def test_a_household_that_moved_out_has_it_no_more(scene: Scene, alice: Client) -> None:
    address = page_of(scene, "ev_charger")
    moving.move_out(occupancy=scene.alice.occupancy, at=NOW)
    freeze(NOW + timedelta(minutes=1))

    assert alice.post(address, CAR).status_code == 404
    assert "own-assets" not in alice.get(reverse("my_plan")).content.decode()


def at_london(hour: int) -> datetime:
    return datetime.combine(NOW.astimezone(LONDON).date(), time(hour), LONDON)


def test_it_says_which_plan_uses_it(scene: Scene, alice: Client) -> None:
    address = page_of(scene, "ev_charger")
    assert "Your home has no plan yet" in seen(alice.get(address)).text()
    bands = {time(0): Decimal(28), time(0, 30): Decimal(9), time(7): Decimal(28)}
    tariffs.set_bands(code="e7", name="Economy 7", bands=bands, at=clock.now(), by="test")
    alice.post(reverse("choose_tariff", args=[scene.alice.occupancy.pk]), {"tariff": "e7"})
    freeze(at_london(17))
    assert (
        "Tonight’s plan, made from 16:00 on once prices are known, uses it."
        in seen(alice.get(address)).text()
    )

    alice.post(address, CAR | {"amount": "12", "unit": "kwh"})
    night: date = at_london(17).date()
    home_plans.plan_night(night=night, at=clock.now())
    line = HomePlanLine.objects.get(asset=asset_of(scene, "ev_charger"))
    assert 12_000 <= sum(line.power_w) // 2 < 12_115
    HomePlan.objects.update(sent_at=clock.now())

    for at in (at_london(18), at_london(11) + timedelta(days=1)):
        freeze(at)
        assert "is made already and stays; the next one uses it." in seen(alice.get(address)).text()
    freeze(at_london(13) + timedelta(days=1))
    assert "Tonight’s plan, made from 16:00 on" in seen(alice.get(address)).text()
