"""Odd input at every edge: always a 4xx or a page that says what to do, never a fault."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, OptRecord
from opendsr.kernel.ids import new_uuid
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import Scene

NUL = "\0"


@pytest.mark.parametrize(
    "path",
    [
        "statements/not-a-uuid/",
        "statements/00000000-0000-0000-0000-00000000000g/",
        "statements/00000000-0000-0000-0000-000000000000.csv",
        "statements/00000000-0000-0000-0000-000000000000.pdf",
        "campaigns/1/",
        "campaigns/%F0%9F%92%A1/",
        "api/v1/campaigns/1/report/",
        "api/v1/nothing/",
        "static/../manage.py",
        "no/such/page",
        "events/1/2/",
    ],
)
def test_an_address_that_names_nothing_is_404(path: str, scene: Scene, visit: Visit) -> None:
    assert visit(scene.sam).get(f"/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/?day=%00", "/%00", "/campaigns/?state=%00", "/records/members/member/?q=%00", "/campaigns/?page=1%00"],
)
def test_a_nul_in_the_address_is_400(path: str, scene: Scene, visit: Visit) -> None:
    response = visit(scene.fay).get(path)

    assert response.status_code == 400
    assert seen(response).heading == "The site did not understand that"


@pytest.mark.parametrize(
    "day", ["", "yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "-1", "2026-01-14T10:00", "9" * 5000]
)
def test_any_day_shows_a_day_with_readings(day: str, scene: Scene, visit: Visit) -> None:
    response = visit(scene.alice.user).get("/", {"day": day})

    assert response.status_code == 200
    assert "kWh in all" in seen(response).text()


@pytest.mark.parametrize("page", ["0", "-1", "2", "999999999999999999999", "9" * 5000, "two", "1.5", "∞", ""])
@pytest.mark.parametrize("name", ["campaign_list", "campaign_detail", "event_report"])
def test_a_page_that_does_not_exist_is_the_nearest(page: str, name: str, scene: Scene, visit: Visit) -> None:
    url = reverse(name, args=[] if name == "campaign_list" else [scene.past.pk])

    assert visit(scene.sam).get(url, {"page": page, "out": page, "state": page}).status_code == 200


def test_a_huge_page_of_statements_is_the_nearest(scene: Scene, visit: Visit) -> None:
    assert visit(scene.alice.user).get("/", {"statements": "9" * 5000}).status_code == 200


@pytest.mark.parametrize("answer", ["", "maybe", "IN", NUL, "in" * 10_000])
def test_an_answer_that_is_not_in_is_a_no(answer: str, scene: Scene, visit: Visit) -> None:
    url = reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk])

    response = visit(scene.alice.user).post(url, {"answer": answer})

    assert response.status_code == 302
    assert scene.part_of(scene.alice).state == "opted_out"


@pytest.mark.parametrize("verb", ["dispatch", "complete", "delete", "settle-all", "a" * 300])
def test_a_verb_that_is_none_is_404(verb: str, scene: Scene, visit: Visit) -> None:
    url = reverse("campaign_action", args=[scene.planned.pk, verb])

    assert visit(scene.sam).post(url).status_code == 404
    scene.planned.refresh_from_db()
    assert scene.planned.state == "planned"


GOOD: Mapping[str, str] = {
    "name": "Cold snap",
    "programme": "fast-dr",
    "direction": "turn_down",
    "zone_kind": "everywhere",
    "zone": "",
    "size_kw": "12.5",
    "day": "2026-01-20",
    "starts": "17:00",
    "ends": "18:30",
    "reason": "",
}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("hold_out_pct", "51", "Homes held out, in percent: "),
        ("hold_out_pct", "-1", "Homes held out, in percent: "),
        ("hold_out_pct", "some", "Homes held out, in percent: "),
        ("name", "", "Name: This field is required."),
        ("name", "x" * 121, "Name: Ensure this value has at most 120 characters"),
        ("name", "Cold\0snap", "Name: Null characters are not allowed."),
        ("programme", "", "Programme: This field is required."),
        ("programme", "none-such", "Programme: Select a valid choice"),
        ("programme", NUL, "Programme: Select a valid choice"),
        ("direction", "sideways", "What homes should do: Select a valid choice"),
        ("direction", NUL, "What homes should do: Select a valid choice"),
        ("zone_kind", "county", "Kind of zone: Select a valid choice"),
        ("zone", "Z\0", "Zone: Null characters are not allowed."),
        ("size_kw", "", "Size in kW: This field is required."),
        ("size_kw", "0", "Size in kW: Ensure this value is greater than or equal to 0.001."),
        ("size_kw", "-5", "Size in kW: Ensure this value is greater than or equal to 0.001."),
        ("size_kw", "lots", "Size in kW: Enter a number."),
        ("size_kw", "NaN", "Size in kW: Enter a number."),
        ("size_kw", "1e400", "Size in kW: Ensure"),
        ("size_kw", "2000001", "Size in kW: Ensure this value is less than or equal to 2000000."),
        ("size_kw", "1.23456", "Size in kW: Ensure that there are no more than 3 decimal places."),
        ("day", "soon", "Day: Enter a valid date."),
        ("day", "9999-12-31", "Day: Choose a day before the year 2100."),
        ("day", "0001-01-01", "Day: Choose a day in the future."),
        ("day", "2026-01-14", "From: Choose a start in the future."),
        ("starts", "17:10", "From: Select a valid choice"),
        ("ends", "17:00", "Until: Choose four hours at most."),
        ("ends", "23:00", "Until: Choose four hours at most."),
        ("reason", "x" * 201, "Why: Ensure this value has at most 200 characters"),
        ("key", "", "The form is incomplete. Open it again."),
        ("key", "seven", "The form is incomplete. Open it again."),
    ],
)
def test_a_wrong_field_is_named_with_its_fix(
    field: str, value: str, said: str, scene: Scene, visit: Visit
) -> None:
    sent = {**GOOD, "key": str(new_uuid()), field: value}

    response = visit(scene.sam).post(reverse("campaign_new"), sent)

    assert response.status_code == 422
    assert said in seen(response).text("//*[@class='error-summary']")
    assert seen(response).faults() == []
    assert not Campaign.objects.filter(name__startswith="Cold").exists()


def test_a_zone_that_its_kind_cannot_have_is_named(scene: Scene, visit: Visit) -> None:
    sent = {**GOOD, "key": str(new_uuid()), "zone_kind": "gsp_group", "zone": "Z9"}

    response = visit(scene.sam).post(reverse("campaign_new"), sent)

    assert "Zone: A GSP group is one letter from A to P" in seen(response).text()


def test_a_time_the_clocks_skip_is_refused_by_name(scene: Scene, visit: Visit) -> None:
    sent = {**GOOD, "key": str(new_uuid()), "day": "2026-03-29", "starts": "01:00", "ends": "03:00"}

    response = visit(scene.sam).post(reverse("campaign_new"), sent)

    assert response.status_code == 422
    assert "From: The clocks go forward: 01:00 does not exist that day." in seen(response).text()


@pytest.mark.parametrize("login", [NUL, "alice\0@example.org", "x" * 5000, "not an address", "' OR 1=1 --"])
def test_sign_in_with_odd_text_is_refused_and_said(login: str, scene: Scene, visit: Visit) -> None:
    response = visit(None).post(reverse("account_login"), {"login": login, "password": "a\0b"})

    assert response.status_code == 200
    assert "There is a problem" in seen(response).text()


def test_a_host_that_is_not_ours_is_400(scene: Scene, client: Client) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_a_form_without_its_token_is_refused_with_a_way_on(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.alice.user, backend="django.contrib.auth.backends.ModelBackend")

    response = client.post(reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk]))

    assert response.status_code == 403
    assert seen(response).heading == "The page was too old to be sent"
    assert not OptRecord.objects.filter(participation__campaign=scene.next).exists()


def test_a_body_beyond_measure_is_400(scene: Scene, visit: Visit) -> None:
    fields = {f"field{number}": "x" for number in range(1_100)}

    assert visit(scene.sam).post(reverse("campaign_new"), fields).status_code == 400
