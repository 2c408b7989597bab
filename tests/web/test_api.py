"""The machines' door: what it tells, in what form, and how it refuses."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from members.models import User
from tests.web.conftest import Visit
from tests.web.scene import Scene

LIST = "/api/v1/campaigns/"


@pytest.fixture
def robots(robot: User, visit: Visit) -> Client:
    """The API application's connection."""
    return visit(robot)


def test_campaigns_come_newest_first_in_units(scene: Scene, robots: Client) -> None:
    rows = robots.get(LIST).json()["results"]

    assert [row["name"] for row in rows] == ["Friday tea-time", "Thursday tea-time", "Wednesday tea-time"]
    assert rows[2] == {
        "id": str(scene.past.pk),
        "name": "Wednesday tea-time",
        "programme": "fast-dr",
        "direction": "turn_down",
        "zone_kind": "everywhere",
        "zone": "",
        "size_w": 40_000,
        "starts_at": "2026-01-14T17:00:00Z",
        "ends_at": "2026-01-14T19:00:00Z",
        "state": "completed",
        "assets": 3,
        "homes": 2,
        "expected_w": rows[2]["expected_w"],
    }


def test_pages_follow_a_cursor(
    scene: Scene,
    robots: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr("opendsr.web.api.NewestFirst.page_size", 2)

    with django_assert_max_num_queries(5):
        first = robots.get(LIST).json()
    second = robots.get(first["next"]).json()

    assert [len(first["results"]), len(second["results"])] == [2, 1]
    assert second["next"] is None


def test_the_report_has_both_halves_and_no_household(scene: Scene, robots: Client) -> None:
    response = robots.get(reverse("api_campaign_report", args=[scene.past.pk]))

    report = response.json()
    assert report["homes"] == 2
    assert report["outcomes"] == {"opted_out": 1, report_of(scene): 2}
    settlement = report["settlement"]
    assert (
        settlement["revenue_mp"] == settlement["coop_mp"] + settlement["members_mp"] == scene.run.revenue_mp
    )
    body = response.content.decode()
    for household in scene.homes:
        assert household.resident.home.name not in body
        assert str(household.resident.occupancy.pk) not in body
        assert str(household.resident.stream_id) not in body


def report_of(scene: Scene) -> str:
    """The outcome of Alice's assets."""
    return scene.past.participations.filter(occupancy=scene.alice.occupancy)[0].outcome


def test_before_settlement_that_half_is_null(scene: Scene, robots: Client) -> None:
    assert robots.get(reverse("api_campaign_report", args=[scene.next.pk])).json()["settlement"] is None


@pytest.mark.parametrize(
    ("who", "method", "url", "status", "code"),
    [
        ("alice", "get", LIST, 403, "permission_denied"),
        ("robot", "post", LIST, 405, "method_not_allowed"),
        ("robot", "get", f"{LIST}00000000-0000-0000-0000-000000000000/report/", 404, "campaign_not_found"),
        ("robot", "get", f"{LIST}?cursor=bm90IGEgY3Vyc29yIQ", 404, "not_found"),
        ("nobody", "get", LIST, 403, "not_authenticated"),
    ],
)
def test_refusals_are_problems(
    who: str, method: str, url: str, status: int, code: str, scene: Scene, robot: User, visit: Visit
) -> None:
    user = {"alice": scene.alice.user, "robot": robot}.get(who)

    response = getattr(visit(user), method)(url)

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    if status == 405:
        assert response["Allow"] == "GET, HEAD, OPTIONS"
