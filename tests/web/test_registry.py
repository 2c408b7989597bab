"""The registry of hubs and their updates: what staff see, what they may do, and what strangers get."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from assets import installing, rolling_out, updating, vtn_door
from assets.models import Asset, Hub, Release, Rollout
from members.models import Role
from opendsr.kernel import clock
from tests.factories import HubKit, make_home, make_hub, make_resident, make_staff, new_serial
from tests.web.pages import seen
from vtn import shadows
from vtn.models import Ven

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
Visit = Callable[[object], Client]


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)


@pytest.fixture
def kit() -> HubKit:
    return make_hub(make_home(name="4 Weir Lane"), at=AT, kinds=("ev_charger", "immersion_heater"))


@pytest.fixture
def dev(visit: Visit) -> Client:
    """Staff: device manager, signed in."""
    return visit(make_staff("dev@example.org", Role.DEVICE_MANAGER))


@pytest.fixture
def ada(visit: Visit) -> Client:
    """Staff who may look and no more."""
    return visit(make_staff("ada@example.org", Role.AUDITOR))


def text_of(page: object) -> str:
    return seen(page).text()


def tell(hub: Hub, reported: dict) -> None:
    body = json.dumps({"version": 1, "reported": reported}).encode()
    shadows.take_report(ven=Ven.objects.get(ven_id=hub.ven_id), body=body, at=AT)
    rolling_out.hub_reported(ven_id=str(hub.ven_id), at=AT)


def release(version: str = "1.2.0") -> Release:
    return Release.objects.create(
        component="hub",
        version=version,
        sha256="0" * 64,
        size=123_456,
        manifest=updating.manifest_of(component="hub", version=version, body=b"x"),
        signature="",
        made_at=AT,
        made_by="x",
    )


def test_the_list_finds_by_serial_home_and_state(dev, kit):
    make_hub(make_home(name="9 Mill Row"), at=AT)
    page = seen(dev.get(reverse("hub_list")))
    assert page.faults() == []
    assert "2 hubs" in page.text()
    for query, found in ((kit.hub.serial, True), ("weir", True), ("mill", False)):
        assert (kit.hub.serial in text_of(dev.get(reverse("hub_list"), {"q": query}))) is found
    assert "No hub is called so" in text_of(dev.get(reverse("hub_list"), {"state": "retired"}))
    for odd in ({"state": "nonsense"}, {"page": "x"}, {"q": HOSTILE}):
        assert dev.get(reverse("hub_list"), odd).status_code == 200


def test_an_empty_registry_says_how_it_fills(dev):
    assert "No hub yet." in text_of(dev.get(reverse("hub_list")))


def test_a_hub_that_differs_is_shown_thing_by_thing(dev, kit):
    car = kit.assets[0]
    silent = seen(dev.get(reverse("hub_page", args=[kit.hub.pk])))
    assert "It has not said yet what it is." in silent.text()
    reported = {
        "software": {"hub": "1.0.0", "controllers": {}, "updates": {}},
        "assets": [
            {"resource_id": car.resource_id, "kind": "ev_charger", "rated_w": 3600, "is_in_service": True}
        ],
        "config": {"kind": "real", "hub_toml": HOSTILE},
        "faults": [HOSTILE],
    }
    tell(kit.hub, reported)
    page = dev.get(reverse("hub_page", args=[kit.hub.pk]))
    assert seen(page).faults() == []
    assert HOSTILE not in page.content.decode()
    text = text_of(page)
    for words in (f"{car.resource_id} rated_w", "7360", "3600", "not there", "4 Weir Lane", "1.0.0"):
        assert words in text
    assert "3 differences" in text_of(dev.get(reverse("hub_list")))


def test_whatever_a_hub_reports_its_page_opens(dev, kit):
    for reported in (
        {"assets": 3, "software": "x", "config": [], "certificate": "y", "faults": {"a": 1}},
        {"assets": [None, {"resource_id": None}], "software": {"updates": 3, "controllers": []}},
        {"software": {"updates": {"hub": None}, "controllers": {"r": None}}},
    ):
        tell(kit.hub, reported)
        assert dev.get(reverse("hub_page", args=[kit.hub.pk])).status_code == 200
        assert dev.get(reverse("hub_list")).status_code == 200


def test_needs_are_said_line_by_line(dev, kit):
    url = reverse("hub_action", args=[kit.hub.pk, "needs"])
    car = kit.assets[0]
    sent = {"asset": str(car.pk), "needs": "ready_by = 07:00\ncharge_wh=9000\n\n"}
    assert dev.post(url, sent).status_code == 302
    assert Asset.objects.get(pk=car.pk).needs == {"ready_by": "07:00", "charge_wh": 9000}
    document = vtn_door.shadows_of([kit.ven_id])[kit.ven_id].desired
    assert {"ready_by": "07:00", "charge_wh": 9000} in [each["needs"] for each in document["assets"]]
    for needs, words in (
        ("colour = white", "means nothing to a hub"),
        ("ready_by", "write a name"),
        ("= 3", "means nothing to a hub"),
        ("\x00", "Null"),
    ):
        page = dev.post(url, {**sent, "needs": needs})
        assert page.status_code == 422
        assert words in text_of(page)
        assert Asset.objects.get(pk=car.pk).needs == {"ready_by": "07:00", "charge_wh": 9000}
    for asset in ("", "x", str(uuid4()), "\x00"):
        assert dev.post(url, {"asset": asset, "needs": ""}).status_code == 404


def test_replace_retire_restore_and_the_code_is_shown_once(dev, kit):
    serial = new_serial()
    page = dev.post(reverse("hub_action", args=[kit.hub.pk, "replace"]), {"serial": serial})
    assert "One-time code for the installer" in text_of(page)
    new = Hub.objects.get(serial=serial)
    assert new.replaces == kit.hub
    again = seen(dev.get(reverse("hub_page", args=[new.pk])))
    assert "One-time code" not in again.text()
    assert "Takes the place of" in again.text()
    page = dev.post(reverse("hub_action", args=[kit.hub.pk, "replace"]), {"serial": new_serial()})
    assert page.status_code == 422
    assert "has its place already" in text_of(page)
    assert (
        dev.post(reverse("hub_action", args=[kit.hub.pk, "replace"]), {"serial": "\x00"}).status_code == 422
    )

    dev.post(reverse("hub_action", args=[new.pk, "retire"]), {"reason": HOSTILE})
    dev.post(reverse("hub_action", args=[kit.hub.pk, "retire"]))
    assert Hub.objects.get(pk=kit.hub.pk).state == Hub.State.RETIRED
    page = dev.post(reverse("hub_action", args=[kit.hub.pk, "restore"]))
    assert "One-time code for the installer" in text_of(page)
    assert Hub.objects.get(pk=kit.hub.pk).state == Hub.State.PLANNED


def test_a_planned_hub_has_a_page(dev):
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=AT)
    assert seen(dev.get(reverse("hub_page", args=[planned.hub.pk]))).faults() == []


def test_updates_begin_halt_and_go_on(dev, kit, settings, tmp_path):
    settings.UPDATE_KEY_FILE = tmp_path / "none.pem"
    empty = seen(dev.get(reverse("update_list")))
    assert "No update yet." in empty.text()
    assert "no update key yet" in empty.text()
    made = release()

    def press(verb: str, **sent: str) -> str:
        return text_of(dev.post(reverse("update_action", args=[made.pk, verb]), sent, follow=True))

    assert dev.post(reverse("update_action", args=[made.pk, "halt"])).status_code == 404
    assert "Offered to 1 % of hubs: 0 of 1 have it" in press("begin")
    assert "Halt" in press("begin")
    assert "a complaint" in press("halt", why="a complaint\x00")
    assert "halted or finished" in press("halt")
    press("resume")
    assert Rollout.objects.get().state == Rollout.State.RUNNING
    assert seen(dev.get(reverse("update_list"))).faults() == []
    for odd in ("nonsense", "delete"):
        assert dev.post(reverse("update_action", args=[made.pk, odd])).status_code == 404
    assert dev.post(reverse("update_action", args=[uuid4(), "begin"])).status_code == 404


def test_who_may_look_and_who_may_act(ada, kit, visit):
    made = release()
    pages = [reverse("hub_list"), reverse("hub_page", args=[kit.hub.pk]), reverse("update_list")]
    presses = [
        reverse("hub_action", args=[kit.hub.pk, verb]) for verb in ("replace", "retire", "restore", "needs")
    ]
    presses.append(reverse("update_action", args=[made.pk, "begin"]))
    for url in pages:
        page = ada.get(url)
        assert page.status_code == 200
        assert "Retire" not in text_of(page)
        assert "Offer it" not in text_of(page)
    member = visit(make_resident("Alice Archer", at=AT, email="alice@example.org").user)
    money = visit(make_staff("fay@example.org", Role.FINANCE))
    for client, status in ((ada, 403), (member, 403), (money, 403), (visit(None), 302)):
        for url in presses:
            assert client.post(url).status_code == status
    for client, status in ((member, 403), (money, 403), (visit(None), 302)):
        for url in pages:
            assert client.get(url).status_code == status
    for url in presses:
        assert ada.get(url).status_code in (403, 405)
    assert Hub.objects.get(pk=kit.hub.pk).state == Hub.State.COMMISSIONED
    assert not Rollout.objects.exists()


def test_what_is_not_there_is_not_found(dev):
    assert dev.get(reverse("hub_page", args=[uuid4()])).status_code == 404
    assert dev.post(reverse("hub_action", args=[uuid4(), "retire"])).status_code == 404


def test_ten_thousand_hubs_are_a_page_of_fifty(dev, django_assert_max_num_queries):
    homes = [make_home() for _ in range(3)]
    Hub.objects.bulk_create(
        Hub(home=homes[number % 3], serial=f"BULK-{number:05}", state=Hub.State.RETIRED)
        for number in range(10_000)
    )
    with django_assert_max_num_queries(14):
        page = seen(dev.get(reverse("hub_list"), {"page": "200"}))
    assert "10,000 hubs" in page.text()
    assert page.text().count("BULK-") == 50
