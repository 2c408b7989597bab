"""The settings page: every setting with who, when and why; changed, refused and taken back on the web."""

from __future__ import annotations

import io

import pytest
from django.conf import settings
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from members.models import User
from notices import delivering
from opendsr.kernel import house, installation, logos
from opendsr.web import telling
from opendsr.web.settings_page import TOLD
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene

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


def picture(form: str = "PNG", size: tuple[int, int] = (900, 300)) -> SimpleUploadedFile:
    written = io.BytesIO()
    Image.new("RGB", size, "darkgreen").save(written, form)
    return SimpleUploadedFile("logo", written.getvalue())


def test_the_logo_is_made_anew_shown_everywhere_and_taken_back(scene: Scene, ada: User, visit: Visit) -> None:
    adas, url = visit(ada), reverse("setting", args=["logo"])
    assert not seen(adas.get(url)).tree.xpath("//header//img")

    for form, size in (("JPEG", (900, 300)), ("WEBP", (100, 100))):
        assert adas.post(url, {"picture": picture(form, size), "why": f"As {form}"}).status_code == 302

    page = seen(adas.get(url))
    assert page.faults() == []
    (address,) = page.tree.xpath("//header//img/@src")
    assert address == reverse("house_logo", args=[installation.current().logo])
    served = visit(None).get(address)
    assert (served["Content-Type"], served["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert "immutable" in served["Cache-Control"]
    assert "Content-Security-Policy" in served
    (first,) = page.tree.xpath("//td//input[@name='value']/@value")
    adas.post(url, {"value": first, "why": "Taken back"})
    with Image.open(io.BytesIO(logos.png(installation.current().logo) or b"")) as kept:
        assert (kept.format, kept.size) == ("PNG", (320, 107))
    assert visit(None).get(address).status_code == 200, "letters that left still show theirs"
    statement = reverse("statement_pdf", args=[scene.statement_of(scene.alice).pk])
    bare, url_of_page = logos.data_uri(), reverse("statement", args=[scene.statement_of(scene.alice).pk])
    drawn = visit(scene.alice.user).get(statement).content
    assert drawn.startswith(b"%PDF")
    assert b"/Subtype /Image" in drawn
    assert bare.startswith("data:image/png;base64,")
    assert "/settings/logo/" in visit(scene.alice.user).get(url_of_page).content.decode()

    adas.post(url, {"why": "None", "back": "default"})
    assert not seen(visit(None).get(reverse("account_login"))).tree.xpath("//header//img")
    assert logos.data_uri() == ""


@pytest.mark.parametrize(
    "sent",
    [
        {"picture": b"<svg xmlns='http://www.w3.org/2000/svg'/>"},
        {"picture": b"\x89PNG\r\n\x1a\n torn"},
        {"value": "0" * 64},
        {"value": "../x"},
        {},
    ],
    ids=["svg", "torn", "unknown", "path", "nothing"],
)
def test_what_is_no_logo_is_refused(sent: dict[str, object], scene: Scene, ada: User, visit: Visit) -> None:
    data = {
        name: SimpleUploadedFile("l.png", each) if isinstance(each, bytes) else each
        for name, each in sent.items()
    }
    answer = visit(ada).post(reverse("setting", args=["logo"]), {"why": "Why not", **data})

    assert answer.status_code == 422
    assert installation.current().logo == ""
    assert visit(None).get(reverse("house_logo", args=["x"])).status_code == 404


def test_a_letter_shows_the_logo_by_its_whole_address(scene: Scene, ada: User, visit: Visit) -> None:
    visit(ada).post(reverse("setting", args=["logo"]), {"picture": picture(), "why": "Ours"})
    telling.tell_scheduled(campaign_id=scene.next.pk, at=NOW)
    delivering.send_due(at=NOW)

    (body, _kind), *_ = mail.outbox[0].alternatives
    address = reverse("house_logo", args=[installation.current().logo])
    assert f'<img src="{settings.SITE_URL.rstrip("/")}{address}"' in body


def test_others_are_turned_away(scene: Scene, visit: Visit) -> None:
    for user in (scene.sam, scene.alice.user):
        assert visit(user).get(reverse("settings_list")).status_code == 403
        assert visit(user).post(reverse("setting", args=["colour"]), {}).status_code == 403
    assert visit(None).get(reverse("settings_list")).status_code == 302
