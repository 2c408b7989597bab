"""The evidence pack: one document in three forms, honest about how sure it is, and of no home by name."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign
from opendsr.web import evidence
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def sams(scene: Scene, visit: Visit) -> Client:
    """Sam's browser."""
    return visit(scene.sam)


def fetch(client: Client, campaign: Campaign, form: str) -> bytes:
    response = client.get(reverse(f"event_evidence_{form}", args=[campaign.pk]))
    assert response.status_code == 200
    assert f".{form}" in response["Content-Disposition"]
    return response.content


def test_the_same_figures_in_json_and_csv_as_the_settlement_has(scene: Scene, sams: Client) -> None:
    document = json.loads(fetch(sams, scene.past, "json"))
    rows = list(csv.DictReader(io.StringIO(fetch(sams, scene.past, "csv").decode())))

    assert document["status"] in ("provisional", "final")
    assert document["measured"]["delivered_wh"] == scene.run.delivered_wh
    assert document["measured"]["input_sha256"] == scene.run.input_sha256
    assert sum(each["delivered_wh"] for each in document["half_hours"]) == scene.run.delivered_wh
    told = {(row["part"], row["row"], row["name"]): row["value"] for row in rows}
    assert told["measured", "", "delivered_wh"] == str(scene.run.delivered_wh)
    assert told["half_hours", "1", "baseline_wh"] == str(document["half_hours"][0]["baseline_wh"])
    assert told["status", "", "status"] == document["status"]


def test_the_hash_is_of_the_document(scene: Scene, sams: Client) -> None:
    document = json.loads(fetch(sams, scene.past, "json"))

    said = document.pop("sha256")

    written = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(written.encode()).hexdigest() == said


def test_no_home_is_named(scene: Scene, sams: Client) -> None:
    draw_for(scene)
    whole = (
        fetch(sams, scene.past, "json").decode()
        + fetch(sams, scene.past, "csv").decode()
        + evidence.as_html(scene.past, evidence.pack(scene.past))
    )

    for resident in (scene.alice, scene.carol):
        assert resident.home.name not in whole
        assert resident.member.full_name not in whole
        assert str(resident.occupancy.pk) not in whole
    for part in scene.past.participations.select_related("asset"):
        for told in (part.pk, part.asset_id, part.asset.resource_id, part.asset.name):
            assert f'"{told}"' not in whole
            assert f",{told}\r" not in whole


def test_what_was_not_measured_is_an_estimate(scene: Scene, sams: Client) -> None:
    for campaign in (scene.next, scene.planned):
        document = json.loads(fetch(sams, campaign, "json"))
        assert (document["status"], document["measured"], document["half_hours"]) == ("estimated", None, [])
    assert "no meter was read yet" in evidence.as_html(scene.next, evidence.pack(scene.next))


def test_the_time_to_the_device_is_on_the_page_and_in_every_file(scene: Scene, sams: Client) -> None:
    part = scene.past.participations.filter(delivered_at__isnull=False)[0]
    begun_at = max(part.starts_at, part.delivered_at)
    scene.past.participations.filter(pk=part.pk).update(changed_at=begun_at + timedelta(seconds=4.5))

    name = "From the start to the change seen at the device"
    leg = {"leg": 5, "name": name, "assets": 1, "median_seconds": 4.5, "p95_seconds": 4.5}
    assert leg in json.loads(fetch(sams, scene.past, "json"))["legs"]
    rows = csv.DictReader(io.StringIO(fetch(sams, scene.past, "csv").decode()))
    told = {(row["row"], row["name"]): row["value"] for row in rows if row["part"] == "legs"}
    parts = ("leg", "name", "assets", "p95_seconds")
    assert ("5", name, "1", "4.5") in {tuple(told[n, part] for part in parts) for n, _ in told}
    page = seen(sams.get(reverse("event_report", args=[scene.past.pk]))).text("//main")
    for text in (page, evidence.as_html(scene.past, evidence.pack(scene.past))):
        assert name in text
        assert "4.5 s" in text
        assert "Devices that tell nothing of themselves are not counted" in text


def draw_for(scene: Scene) -> None:
    """Of the past event's hubs one told start and end, one the end after it was called off, one nothing."""
    first, second, _third = scene.past.participations.order_by("pk")
    scene.past.participations.filter(pk=first.pk).update(
        start_delay_seconds=243, end_delay_seconds=61, dropped_at=None
    )
    scene.past.participations.filter(pk=second.pk).update(
        end_delay_seconds=12, dropped_at=second.ends_at - timedelta(minutes=5)
    )


def test_the_files_tell_each_draw_that_a_hub_told_and_of_no_other(scene: Scene, sams: Client) -> None:
    draw_for(scene)

    document = json.loads(fetch(sams, scene.past, "json"))
    rows = csv.DictReader(io.StringIO(fetch(sams, scene.past, "csv").decode()))
    paper = evidence.as_html(scene.past, evidence.pack(scene.past))

    told, called_off = document["draws"]
    assert {name: told[name] for name in told if name != "kind"} == {
        "start_delay_seconds": 243,
        "end_delay_seconds": 61,
        "starts_at": (scene.past.starts_at + timedelta(seconds=243)).isoformat(),
        "ends_at": (scene.past.ends_at + timedelta(seconds=61)).isoformat(),
        "is_called_off": False,
    }
    assert (called_off["start_delay_seconds"], called_off["end_delay_seconds"]) == (None, 12)
    assert (called_off["ends_at"], called_off["is_called_off"]) == (None, True)
    cells = {(row["row"], row["name"]): row["value"] for row in rows if row["part"] == "draws"}
    assert len(cells) == 2 * len(told)
    for number, draw in enumerate(document["draws"], start=1):
        assert {name: cells[str(number), name] for name in draw} == {
            name: "" if value is None else str(value) for name, value in draw.items()
        }
    assert "Start and end as drawn" in paper
    assert "4 min 3 s later" in paper
    assert "12 s after it was called off" in paper
    assert "Told by the hubs of 2 of 3 assets" in paper


def test_an_event_without_draws_has_no_part_of_them(scene: Scene, sams: Client) -> None:
    assert json.loads(fetch(sams, scene.past, "json"))["draws"] == []
    assert "as drawn" not in evidence.as_html(scene.past, evidence.pack(scene.past))


def test_paper_has_the_first_draws_and_says_where_the_others_are(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_for(scene)
    monkeypatch.setattr(evidence, "DRAWS_ON_PAPER", 1)

    paper = evidence.as_html(scene.past, evidence.pack(scene.past))

    assert "4 min 3 s later" in paper
    assert "12 s after" not in paper
    assert "The first 1 are here; the CSV and JSON files have all." in paper


def test_a_name_that_a_spreadsheet_would_run_is_text(scene: Scene, sams: Client) -> None:
    scene.past.name = "=HYPERLINK(1)<b>"
    scene.past.save()

    told = fetch(sams, scene.past, "csv").decode()

    assert ",'=HYPERLINK(1)<b>" in told
    assert "&lt;b&gt;" in evidence.as_html(scene.past, evidence.pack(scene.past))


def test_the_page_leads_to_the_files_and_paper_is_a_pdf(scene: Scene, sams: Client) -> None:
    page = seen(sams.get(reverse("event_report", args=[scene.past.pk])))
    links = [link for link in page.tree.xpath("//main//a/@href") if "report." in link]

    assert len(links) == 3
    response = sams.get(reverse("event_evidence_pdf", args=[scene.past.pk]))
    assert (response.status_code, response.content[:5]) in ((200, b"%PDF-"), (302, b""))
