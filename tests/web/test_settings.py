"""The settings page: every setting with who, when and why; changed, refused and taken back on the web."""

from __future__ import annotations

import pytest
from django.urls import reverse

from members.models import User
from opendsr.kernel import house, installation
from opendsr.web.settings_page import TOLD
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db


def test_every_setting_is_on_the_page(scene: Scene, ada: User, visit: Visit) -> None:
    page = seen(visit(ada).get(reverse("settings_list")))

    assert set(TOLD) == set(house.SPECS)
    for told in TOLD.values():
        assert str(told.label) in page.text()
    assert "21 o’clock (as the house comes)" in page.text()
    assert page.tree.xpath("//a[@href='/campaign-rules/']")
    assert page.faults() == []


def test_a_change_holds_at_once_and_can_be_taken_back(scene: Scene, ada: User, visit: Visit) -> None:
    adas = visit(ada)
    url = reverse("setting", args=["coop_name"])

    adas.post(url, {"value": "Calder Bank Power", "why": "New rules of the society"})

    page = seen(adas.get(url))
    assert installation.current().coop_name == "Calder Bank Power"
    assert "Calder Bank Power" in page.text("//header")
    assert "New rules of the society" in page.text()
    assert ada.email in page.text("//section[@aria-labelledby='history']")
    again = page.tree.xpath("//form//input[@name='value' and @type='hidden']/@value")
    assert again == ["Calder Bank Energy Co-op"]
    adas.post(url, {"value": again[0], "why": "Taken back"})
    assert installation.current().coop_name == "Calder Bank Energy Co-op"


def test_what_cannot_be_is_said_at_the_field(scene: Scene, ada: User, visit: Visit) -> None:
    answer = visit(ada).post(reverse("setting", args=["quiet_to_hour"]), {"value": "4", "why": "Early"})

    assert answer.status_code == 422
    assert "It has to be a whole number from 5 to 11." in seen(answer).text()
    assert house.number("quiet_to_hour") == 8


def test_the_colour_comes_as_a_sheet_of_its_own(scene: Scene, ada: User, visit: Visit) -> None:
    adas = visit(ada)
    assert "house.css" not in adas.get(reverse("settings_list")).content.decode()

    adas.post(reverse("setting", args=["colour"]), {"value": "#123456", "why": "Our banner"})

    assert "/settings/house.css?v=123456" in adas.get(reverse("settings_list")).content.decode()
    assert "#123456" in visit(None).get(reverse("house_css")).content.decode()
    adas.post(reverse("setting", args=["colour"]), {"value": "", "why": "None", "back": "default"})
    assert visit(None).get(reverse("house_css")).content == b""


def test_others_are_turned_away(scene: Scene, visit: Visit) -> None:
    for user in (scene.sam, scene.alice.user):
        assert visit(user).get(reverse("settings_list")).status_code == 403
        assert visit(user).post(reverse("setting", args=["colour"]), {}).status_code == 403
    assert visit(None).get(reverse("settings_list")).status_code == 302
