"""The page of a network operator's OpenADR VTN: set up, looked at, changed, by whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings

from campaigns.models import OperatorEvent, OperatorMessage, OperatorPlace, OperatorVtn, ServicingClient
from campaigns.ven import arranging
from members.models import User
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.campaigns.servicing.operating import make_operator
from tests.campaigns.staging import NOON
from tests.campaigns.ven.neighbour import client_certificate
from tests.hems.small_vtn import Authority
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db
URL = "https://vtn.northern.example/OpenADR2/Simple/2.0b"
Do = Callable[..., Any]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def client_row() -> ServicingClient:
    return make_operator().client


def fields(authority: Authority, **changed: str) -> dict[str, str]:
    certificate, key = client_certificate(authority)
    wanted = {
        "url": URL,
        "ven_name": "COOP",
        "authority_pem": authority.pem.decode(),
        "certificate_pem": certificate,
        "private_key_pem": key,
        "is_on": "on",
    }
    return {name: value for name, value in {**wanted, **changed}.items() if value}


def address(client: ServicingClient, verb: str = "") -> str:
    name = "operator_vtn_action" if verb else "operator_vtn"
    return reverse(name, args=[client.pk, verb] if verb else [client.pk])


def test_it_is_set_up_kept_sealed_changed_and_seen(
    scene: Scene, visit: Visit, ada: User, client_row: ServicingClient, authority: Authority
) -> None:
    empty = seen(visit(ada).get(address(client_row)))
    assert empty.faults() == []
    assert "Not set up." in empty.text()
    wanted = fields(authority)

    assert visit(ada).post(address(client_row, "terms"), wanted).status_code == 302

    row = OperatorVtn.objects.get(client=client_row)
    assert (row.url, row.ven_name, row.is_on, row.changed_by) == (URL, "COOP", True, ada)
    assert b"PRIVATE KEY" not in bytes(row.sealed_key)
    page = visit(ada).get(address(client_row))
    assert "PRIVATE KEY" not in page.content.decode()
    words = seen(page).text()
    for each in (
        "not registered yet",
        "0 days left",
        arranging.shown(row, wall=clock.wall_now()).fingerprint,
    ):
        assert each in words
    assert seen(page).faults() == []
    entry = AuditEntry.objects.filter(target=f"servicing_client:{client_row.pk}").latest("pk")
    assert entry.verb == "campaigns.servicing.vtn_set"
    assert entry.detail["private_key"] == "changed"
    assert "PRIVATE" not in str(entry.detail)

    OperatorVtn.objects.update(ven_id="V-1", registration_id="R-1", registered_wall_at=clock.wall_now())
    kept = {**wanted, "private_key_pem": "", "ven_name": "COOP-2"}
    assert visit(ada).post(address(client_row, "terms"), kept).status_code == 302
    again = OperatorVtn.objects.get(client=client_row)
    assert (again.ven_name, again.ven_id, bytes(again.sealed_key)) == ("COOP-2", "V-1", bytes(row.sealed_key))
    arranging.tls_context(again)
    visit(ada).post(address(client_row, "terms"), {**kept, "url": URL.replace("vtn", "other")})
    assert OperatorVtn.objects.get(client=client_row).registration_id == ""


def test_what_cannot_be_is_said_at_its_field_and_the_key_is_not_repeated(
    scene: Scene, visit: Visit, ada: User, client_row: ServicingClient, authority: Authority
) -> None:
    admin = visit(ada)
    for changed, field in [
        ({"url": "http://vtn.example/"}, "url"),
        ({"url": "https://vtn.example:22/"}, "url"),
        ({"url": "https://user:word@vtn.example/"}, "url"),
        ({"ven_name": ""}, "ven_name"),
        ({"certificate_pem": "nonsense\x00"}, "certificate_pem"),
        (
            {"certificate_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "certificate_pem",
        ),
        ({"authority_pem": "<b>"}, "authority_pem"),
        ({"private_key_pem": ""}, "private_key_pem"),
        ({"private_key_pem": "<script>"}, "private_key_pem"),
        ({"private_key_pem": client_certificate(authority)[1]}, "private_key_pem"),
    ]:
        answer = admin.post(address(client_row, "terms"), fields(authority, **changed))

        assert answer.status_code == 422
        assert f'href="#id_{field}"' in answer.content.decode()
        assert "BEGIN PRIVATE" not in answer.content.decode()
        assert not OperatorVtn.objects.exists()


def test_places_events_and_messages_are_shown_as_text(
    scene: Scene, visit: Visit, ada: User, client_row: ServicingClient, authority: Authority
) -> None:
    visit(ada).post(address(client_row, "terms"), fields(authority))
    row, wall = OperatorVtn.objects.get(), clock.wall_now()
    place = {"name": "<i>GSP", "zone": "Calder", "moderate_pct": "10", "high_pct": "20", "special_pct": "30"}

    assert visit(ada).post(address(client_row, "place"), place).status_code == 302
    assert visit(ada).post(address(client_row, "place"), {**place, "zone": "Elsewhere"}).status_code == 422
    assert visit(ada).post(address(client_row, "place"), {**place, "high_pct": "5"}).status_code == 422
    OperatorEvent.objects.create(
        vtn=row, event_id="<i>E", modification_number=0, urgency=1, starts_at=NOON,
        ends_at=NOON + timedelta(hours=1), state="refused", reason="<i>over", opt="optOut", told_opt="",
        known_at=NOON, changed_at=NOON,
    )  # fmt: skip
    OperatorMessage.objects.create(
        vtn=row, is_ours=False, kind="oadrResponse", words="<i>no", xml="<i>xml" * 9_000, wall_at=wall
    )
    OperatorVtn.objects.update(problem="<i>refused", failures=3)

    page = visit(scene.sam).get(address(client_row))

    assert "<i>" not in page.content.decode()
    assert len(page.content) < 120_000
    assert seen(page).faults() == []
    words = seen(page).text()
    for each in ("<i>GSP", "10 %, 20 %, 30 %", "<i>E", "<i>over", "still to be told", "<i>no", "<i>refused"):
        assert each in words
    ended = {"place": str(OperatorPlace.objects.get().pk)}
    assert visit(scene.sam).post(address(client_row, "end-place"), ended).status_code == 403
    assert visit(ada).post(address(client_row, "end-place"), ended).status_code == 302
    assert OperatorPlace.objects.get().ended_at is not None
    for bad in ({}, {"place": "x"}, {"place": "99999999"}):
        assert visit(ada).post(address(client_row, "end-place"), bad).status_code == 404
    assert visit(ada).post(address(client_row, "nonsense")).status_code == 404


def test_who_connects_confirms_who_they_are_first_and_the_key_is_not_kept_meanwhile(
    scene: Scene,
    visit: Visit,
    ada: User,
    client_row: ServicingClient,
    authority: Authority,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from opendsr.web import step_up

    monkeypatch.setattr(step_up, "is_demo", lambda: False)
    monkeypatch.setattr(step_up, "is_fresh", lambda request: False)
    settings.STAFF_SECOND_FACTOR = True
    admin = visit(ada)

    answer = admin.post(address(client_row, "terms"), fields(authority))

    assert answer.status_code == 302
    assert not OperatorVtn.objects.exists()
    kept = str(admin.session.get(step_up.KEPT, ""))
    assert "PRIVATE KEY" not in kept
