"""Reports for staff and machines: offers, requests by hand, a graph, a table, a CSV; the prompts on them."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from oadr import messages as m
from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT
from tests.vtn.people import browser
from tests.vtn.test_api import Api
from tests.vtn.test_reports import USAGE, asked, register, tells, update
from vtn import report_pages
from vtn.models import OfferedPoint, ReportedValue, ReportRequest

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _an_hour_later() -> None:
    clock.configure(AT + timedelta(hours=1), speed=0)


@pytest.fixture
def dee(db: None) -> Client:
    return browser("device_manager")


def page_of(client: Client, hub: hubs.TestHub, query: str = "") -> str:
    response = client.get(reverse("vtn:ven_reports", args=[hub.ven_id]) + query)
    assert response.status_code == 200
    return response.content.decode()


def told(hub: hubs.TestHub) -> str:
    """A hub that reported three five-minute values and left one out."""
    request_id = asked(hub)
    update(hub, tells(request_id, (0, 1.5), (1, 2.0), (3, 0.25)))
    return request_id


def test_a_ven_that_offers_nothing_says_so(dee: Client, hub: hubs.TestHub) -> None:
    shown = page_of(dee, hub)

    assert "has not said what it can report" in shown
    assert "No report is asked of it" in shown


def test_values_are_drawn_and_listed(dee: Client, hub: hubs.TestHub, settings: Settings) -> None:
    settings.VTN_PLOTLY = "plotly/plotly.min.js"
    told(hub)

    shown = page_of(dee, hub)

    assert "3 values, newest first" in shown
    assert "1,500 W" in shown
    assert 'data-figure="reported"' in shown
    assert '"shape": "hv"' in shown
    settings.VTN_PLOTLY = ""
    assert "data-figure" not in page_of(dee, hub)


def test_a_gap_in_the_data_is_a_gap_in_the_line(hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    update(hub, tells(request_id, (0, 1.0), (1, 1.0), (9, 1.0)))

    figure = report_pages.figure_of(list(report_pages.values_of(hub.ven)), element_id="x", label="y")

    assert figure is not None
    assert figure.data["data"][0]["y"] == [1000.0, 1000.0, None, 1000.0]


def test_the_csv_has_every_value_and_no_formula(dee: Client, hub: hubs.TestHub) -> None:
    told(hub)
    OfferedPoint.objects.filter(r_id="house").update(r_id="=cmd()")

    response = dee.get(reverse("vtn:ven_reports_csv", args=[hub.ven_id]))

    body = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(body)))
    assert [row["value"] for row in rows] == ["1500.0", "2000.0", "250.0"]
    assert rows[0]["starts_at"] == "2026-11-24T12:00:00Z"
    assert {row["r_id"] for row in rows} == {"'=cmd()"}
    assert "attachment" in response["Content-Disposition"]


def test_a_report_is_asked_for_by_series_and_cancelled_with_one_to_follow(
    dee: Client, hub: hubs.TestHub
) -> None:
    register(hub, USAGE)
    dee.post(
        reverse("vtn:report_ask", args=[hub.ven_id]),
        {
            "specifier_id": "usage-1",
            "r_id": ["volts"],
            "granularity_minutes": "5",
            "report_back_minutes": "10",
        },
    )
    request = ReportRequest.objects.get(configuration_name="")
    assert (request.r_ids, request.granularity_seconds, request.report_back_seconds) == (["volts"], 300, 600)
    wanted = hub.polls(at=clock.now())
    assert isinstance(wanted, m.CreateReport)

    dee.post(reverse("vtn:report_cancel", args=[hub.ven_id, request.report_request_id]), {"to_follow": "yes"})

    assert "told to report this no more" in page_of(dee, hub)
    request.refresh_from_db()
    assert (request.state, request.is_report_to_follow) == ("cancelling", True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"specifier_id": "none", "granularity_minutes": "5", "report_back_minutes": "0"}, "none"),
        (
            {"specifier_id": "usage-1", "granularity_minutes": "x", "report_back_minutes": "0"},
            "whole numbers",
        ),
        (
            {"specifier_id": "usage-1", "r_id": "no", "granularity_minutes": "1", "report_back_minutes": "0"},
            "not offered: no",
        ),
    ],
)
def test_what_cannot_be_asked_is_said(
    fields: dict[str, Any], words: str, dee: Client, hub: hubs.TestHub
) -> None:
    register(hub, USAGE)

    dee.post(reverse("vtn:report_ask", args=[hub.ven_id]), fields)

    assert words in page_of(dee, hub)
    assert not ReportRequest.objects.filter(configuration_name="").exists()


def test_metadata_is_asked_for(dee: Client, hub: hubs.TestHub) -> None:
    dee.post(reverse("vtn:report_metadata", args=[hub.ven_id]))

    wanted = hub.polls(at=clock.now())
    assert isinstance(wanted, m.CreateReport)
    assert wanted.report_requests[0].report_specifier_id == "METADATA"
    assert dee.post(reverse("vtn:report_metadata", args=["VEN-none"])).status_code == 404
    assert dee.post(reverse("vtn:report_cancel", args=[hub.ven_id, "RR-none"])).status_code == 302


# ---- the API


def test_the_api_subscribes_asks_once_and_cancels(hub: hubs.TestHub) -> None:
    api = Api()
    register(hub, USAGE)
    (offer,) = api("get", f"/vens/{hub.ven_id}/reports/")["results"]
    assert [point["r_id"] for point in offer["points"]] == ["house", "volts"]
    path = f"/vens/{hub.ven_id}/report-requests/"
    body = {
        "specifier_id": "usage-1",
        "r_ids": ["house"],
        "granularity_seconds": 60,
        "report_back_seconds": 600,
    }

    first = api("post", path, body, status=201, Idempotency_Key="r")
    assert api("post", path, body, status=201, Idempotency_Key="r") == first
    once = api("post", path, {"specifier_id": "usage-1"}, status=201)
    assert once["report_back_seconds"] == 0
    cancel = f"{path}{first['report_request_id']}/cancel/"
    assert api("post", cancel, {"report_to_follow": True}, status=202)["kind"] == "cancel_report"
    assert api("post", f"{path}RR-none/cancel/", {}, status=404)["code"] == "unknown_report_request"
    assert api("post", path, {"specifier_id": "none"}, status=404)["code"] == "unknown_offer"
    problem = api("post", path, {"specifier_id": "usage-1", "r_ids": ["no"]}, status=422)
    assert problem["errors"][0]["field"] == "r_ids"
    assert len(api("get", path)["results"]) == 3
    assert api("post", f"/vens/{hub.ven_id}/reports/ask-metadata/", status=202)["kind"] == "create_report"


def test_the_api_gives_values_as_json_and_csv(hub: hubs.TestHub) -> None:
    api = Api()
    told(hub)

    rows = api("get", f"/vens/{hub.ven_id}/report-data/?r_id=house&starts_from=2026-11-24T12:05:00Z")[
        "results"
    ]

    assert [row["value"] for row in rows] == [2000.0, 250.0]
    assert (rows[0]["unit"], rows[0]["duration_seconds"]) == ("W", 300)
    response = api.client.get(
        f"/api/vtn/v1/vens/{hub.ven_id}/report-data.csv?starts_before=2026-11-24T12:05:00Z"
    )
    body = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert body.splitlines()[1].startswith(f"{hub.ven_id},usage-1,TELEMETRY_USAGE,house,2026-11-24T12:00:00Z")
    assert len(body.splitlines()) == 2


# ---- the prompts


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("metadata", m.CreateReport),
        ("own_reports", m.RegisterReport),
        ("one_shot", m.CreateReport),
        ("periodic", m.CreateReport),
        ("cancel_report", m.CancelReport),
        ("cancel_to_follow", m.CancelReport),
    ],
)
def test_prompts_on_reports_reach_the_ven(name: str, message: type, dee: Client, hub: hubs.TestHub) -> None:
    register(hub, USAGE)

    dee.post(reverse("vtn:prompt_press", args=[name]), {"ven": hub.ven_id, "run_id": str(uuid4())})

    got = hub.polls(at=clock.now())
    assert isinstance(got, message)
    if isinstance(got, m.CancelReport):
        assert got.is_report_to_follow == (name == "cancel_to_follow")


def test_without_an_offer_there_is_nothing_to_ask(dee: Client, hub: hubs.TestHub) -> None:
    dee.post(reverse("vtn:prompt_press", args=["one_shot"]), {"ven": hub.ven_id})

    assert "offers no report" in dee.get(f"/vtn/prompts/?ven={hub.ven_id}").content.decode()


def test_another_ven_s_values_are_not_told(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    api = Api()
    told(hub)

    assert api("get", f"/vens/{stranger.ven_id}/report-data/")["count"] == 0
    assert ReportedValue.objects.count() == 3
