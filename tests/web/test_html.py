"""Every page as a document: one heading, labelled fields, unique ids, nothing inline; and its headers."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import Scene

PAGES = [
    ("alice", "home", ""),
    ("carol", "home", ""),
    ("nobody", "home", ""),
    ("alice", "statement", "alice"),
    ("carol", "statement", "carol"),
    ("sam", "campaign_list", ""),
    ("sam", "campaign_new", ""),
    ("sam", "campaign_detail", "past"),
    ("sam", "campaign_detail", "next"),
    ("sam", "campaign_detail", "planned"),
    ("fay", "event_report", "past"),
    ("fay", "event_report", "next"),
]


@pytest.mark.parametrize(("who", "name", "of"), PAGES)
def test_a_page_is_sound(who: str, name: str, of: str, scene: Scene, visit: Visit, nobody: object) -> None:
    people = {"alice": scene.alice.user, "carol": scene.carol.user, "sam": scene.sam, "fay": scene.fay}
    thing = {"alice": scene.statement_of(scene.alice), "carol": scene.statement_of(scene.carol)}.get(of)
    thing = thing or getattr(scene, of, None)

    response = visit(people.get(who, nobody)).get(reverse(name, args=[thing.pk] if thing else []))  # type: ignore[arg-type]

    assert response.status_code == 200
    assert seen(response).faults() == []


@pytest.mark.parametrize(("path", "status"), [("/nope", 404), ("/campaigns/", 403), ("/?day=%00", 400)])
def test_an_error_page_is_sound(path: str, status: int, scene: Scene, visit: Visit) -> None:
    response = visit(scene.alice.user).get(path)

    assert response.status_code == status
    assert seen(response).faults() == []
    assert "Back to the start" in seen(response).text()


def test_a_fault_of_ours_is_a_page_too(scene: Scene, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("opendsr.web.member_home.upcoming_events", broken)
    client = visit(scene.alice.user)
    client.raise_request_exception = False

    response = client.get("/")

    assert response.status_code == 500
    assert seen(response).faults() == []
    assert "a bug" not in response.content.decode()


def test_the_policy_allows_our_own_files_and_one_hash(scene: Scene, visit: Visit) -> None:
    response = visit(scene.alice.user).get("/")

    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["style-src"].startswith("'self' 'sha256-")
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


def test_plotly_is_loaded_by_pages_with_a_figure_only(scene: Scene, visit: Visit) -> None:
    with_figure = seen(visit(scene.alice.user).get("/"))
    without = seen(visit(scene.sam).get("/campaigns/"))

    assert with_figure.tree.xpath("//@data-plotly") == ["/static/plotly/plotly.min.js"]
    assert not any("plotly.min" in src for src in with_figure.tree.xpath("//script/@src"))
    assert not without.tree.xpath("//@data-plotly")


def test_static_files_come_from_us_and_plotly_s_data_do_not(db: None, visit: Visit) -> None:
    client = visit(None)
    for path in ("css/opendsr.css", "js/charts.js", "django_htmx/htmx-4.min.js", "plotly/plotly.min.js"):
        assert client.head(f"/static/{path}").status_code == 200
    for path in ("plotly/widgetbundle.js", "plotly/datasets/iris.csv.gz"):
        assert client.head(f"/static/{path}").status_code == 404
