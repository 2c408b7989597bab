"""The first day: founded once by who has the address, then everything tried for real."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from members.models import Role, User
from opendsr.kernel.models import AuditEntry, Installation
from opendsr.web import first_run
from settlement.voting import legal_form
from tests.campaigns.test_octopus import Octopus
from tests.campaigns.test_octopus import octopus as octopus
from tests.factories import make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen
from vtn import ceremony

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert("x")</script>'
GIVEN = {
    "coop_name": f"Sunny {HOSTILE}",
    "legal_form": "community_benefit",
    "email": "Ada@Sunny.example",
    "password": "a long enough staple 7",
    "again": "a long enough staple 7",
}


@pytest.fixture
def address(settings: Any, tmp_path: Path) -> str:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    out = StringIO()
    call_command("first_run", stdout=out)
    (found,) = re.findall(r"/first-run/\S+", out.getvalue())
    return str(found)


def test_from_nothing_to_a_site_that_works(address: str, client: Client, settings: Any) -> None:
    assert "first_run" in seen(client.get(reverse("account_login"))).text()
    assert seen(client.get(address)).faults() == []
    assert client.post(address, GIVEN)["Location"] == reverse("setup")
    assert legal_form() == "community_benefit"
    ada = User.objects.get(email="ada@sunny.example")
    assert [group.name for group in ada.groups.all()] == [Role.ADMINISTRATOR]
    assert not ada.is_superuser

    page = client.get(reverse("setup"))
    assert seen(page).faults() == []
    assert HOSTILE not in page.content.decode()
    assert "letters go nowhere" in seen(page).text()
    assert "No hub can be let in" in seen(page).text()
    settings.STAFF_SECOND_FACTOR = True
    assert client.get(reverse("setup"))["Location"] == reverse("mfa_activate_totp")
    settings.STAFF_SECOND_FACTOR = False

    page = client.post(reverse("setup_try", args=["authority"]), follow=True)
    assert (Path(settings.VTN_PKI_DIR) / ceremony.ISSUING).exists()
    assert "a root is safer kept off the network" in seen(page).text()
    client.post(reverse("setup_try", args=["letter"]))
    (letter,) = mail.outbox
    assert letter.to == ["ada@sunny.example"]
    assert AuditEntry.objects.filter(verb=first_run.TRIED).count() == 2


def test_a_mail_server_that_is_not_there_is_told(address: str, client: Client, settings: Any) -> None:
    client.post(address, GIVEN)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 2
    assert "never tried" in seen(client.get(reverse("setup"))).text()
    page = client.post(reverse("setup_try", args=["letter"]), follow=True)
    assert "did not take it" in seen(page).text()
    assert "refused" in seen(page).text()


def test_prices_are_asked_for(address: str, client: Client, settings: Any, octopus: Octopus) -> None:
    client.post(address, GIVEN)
    settings.OCTOPUS_URL = f"http://127.0.0.1:{octopus.server_port}/v1/"
    octopus.failing = 1
    page = client.post(reverse("setup_try", args=["prices"]), follow=True)
    assert "no answer" in seen(page).text()
    row = {"code": "AGILE-24-10-01", "display_name": "Agile", "direction": "IMPORT"}
    octopus.told["/v1/products/"] = {"count": 1, "next": None, "results": [row]}
    page = client.post(reverse("setup_try", args=["prices"]), follow=True)
    assert "answered" in seen(page).text()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"coop_name": "\u202eYnnus"}, "on one line, in plain letters"),
        ({"coop_name": ""}, "required"),
        ({"legal_form": "plc"}, "plc"),
        ({"email": "ada"}, "valid email"),
        ({"password": "short", "again": "short"}, "at least 12"),
        ({"again": "another"}, "not the same"),
    ],
)
def test_a_mistake_founds_nothing(address: str, client: Client, wrong: dict[str, str], words: str) -> None:
    page = client.post(address, {**GIVEN, **wrong})
    assert page.status_code == 422
    assert words in seen(page).text()
    assert not Installation.objects.exists()
    assert not User.objects.exists()


def test_the_address_works_once_and_no_other_does(address: str, client: Client) -> None:
    assert client.get("/first-run/guess/").status_code == 404
    client.post(address, GIVEN)
    mallory = Client()
    assert mallory.post(address, {**GIVEN, "email": "mallory@example.org"}).status_code == 302
    assert not User.objects.filter(email="mallory@example.org").exists()
    assert Installation.objects.count() == 1
    with pytest.raises(CommandError, match="already"):
        call_command("first_run")


def test_only_an_administrator_sets_up(coop: object, visit: Visit) -> None:
    mo = visit(make_staff("mo@coop.example", Role.MEMBER_SERVICES))
    assert mo.get(reverse("setup")).status_code == 403
    assert mo.post(reverse("setup_try", args=["letter"])).status_code == 403
    ada = visit(make_staff("ada@coop.example", Role.ADMINISTRATOR))
    assert ada.post(reverse("setup_try", args=["nonsense"])).status_code == 404
