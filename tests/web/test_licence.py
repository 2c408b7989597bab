"""The evidence of a month: dispatches, approvals, what was held back, the trail verified, nobody named."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from campaigns import freezing
from campaigns.models import Campaign, Participation, PlanLine
from members import asking
from opendsr.kernel import sealing
from opendsr.kernel.models import AuditEntry
from opendsr.web import licence
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene

pytestmark = pytest.mark.django_db
ZIP = "/load-control/2026-01.zip"


@pytest.fixture
def sams(scene: Scene, visit: Visit) -> Client:
    """Sam's browser."""
    return visit(scene.sam)


def taken(client: Client) -> dict[str, bytes]:
    response = client.get(ZIP)
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(response.content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_every_dispatch_with_who_approved_and_what_came_of_it(scene: Scene, sams: Client) -> None:
    line = scene.planned.plan_lines.order_by("pk")[:1].get()
    PlanLine.objects.filter(pk=line.pk).update(left_out="no_consent", expected_w=0)
    kept_back = Participation.objects.filter(campaign=scene.next).order_by("pk")[:1].get()
    Participation.objects.filter(pk=kept_back.pk).update(left_out="certificate")

    told = json.loads(taken(sams)["pack.json"])

    assert {each["id"] for each in told["campaigns"]} == {
        str(pk) for pk in Campaign.objects.values_list("pk", flat=True)
    }
    past = next(each for each in told["campaigns"] if each["id"] == str(scene.past.pk))
    parts = Participation.objects.filter(campaign=scene.past)
    assert past["approved_by"] == f"user:{scene.sam.pk}"
    assert past["sent"] == parts.filter(sent_at__isnull=False).count()
    assert past["opted_out"] == parts.filter(state="opted_out").count() > 0
    assert past["settlement_input_sha256"] == scene.run.input_sha256
    said_no = [each for each in told["answers"] if each["opt"] == "out"]
    assert [each["obeyed"] for each in said_no] == [each["assets"] for each in said_no] != []
    held_back = [(each["campaign"], each["by"], each["reason"], each["assets"]) for each in told["held_back"]]
    assert held_back == [
        (str(scene.planned.pk), "planning", "no_consent", 1),
        (str(scene.next.pk), "last check before sending", "certificate", 1),
    ]


def test_the_hashes_are_of_the_files_and_of_the_document(scene: Scene, sams: Client) -> None:
    files = taken(sams)

    for line in files.pop("SHA256SUMS").decode().splitlines():
        said, name = line.split("  ")
        assert hashlib.sha256(files[name]).hexdigest() == said
    told = json.loads(files["pack.json"])
    said = told.pop("sha256")
    written = json.dumps(told, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(written.encode()).hexdigest() == said
    entry = AuditEntry.objects.filter(verb="licence.evidence_taken").get()
    assert entry.detail == {"sha256": said}


def test_incidents_complaints_and_consents_without_a_name(scene: Scene, sams: Client) -> None:
    freezing.freeze(at=NOW, by=scene.sam, reason="=drill()")
    asking.open_request(
        member=scene.carol.member, kind="complaint", at=NOW, channel="web", by="test", words="Cold at night."
    )

    files = taken(sams)

    told = json.loads(files["pack.json"])
    assert [each["reason"] for each in told["incidents"] if each["what"] == "sending frozen"] == ["=drill()"]
    assert [each["opened_at"] for each in told["complaints"]] == [NOW.isoformat()]
    control = next(each for each in told["consents"] if each["purpose"] == "flexibility")
    assert control["at_the_beginning"] == control["at_the_end"] > 0
    rows = list(csv.reader(io.StringIO(files["pack.csv"].decode("utf-8-sig"))))
    assert ["incidents", "1", "reason", "'=drill()"] in rows
    whole = (files["pack.json"] + files["pack.csv"]).decode() + licence.as_html(told)
    for words in (
        "Cold at night",
        "Carol",
        scene.carol.home.name,
        scene.carol.member.number,
        scene.sam.email,
    ):
        assert words not in whole


def test_a_trail_that_was_edited_is_told(scene: Scene, sams: Client) -> None:
    sealing.seal_all()
    assert json.loads(taken(sams)["pack.json"])["audit"]["verified"]
    sealing.seal_all()
    entry = AuditEntry.objects.order_by("pk")[3]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_entry SET actor = 'somebody else' WHERE id = %s", [entry.pk])

    told = json.loads(taken(sams)["pack.json"])["audit"]

    assert (told["verified"], f"entry {entry.pk}, was edited" in told["findings"]) == (False, True)
    assert "not as it was sealed" in seen(sams.get("/load-control/?verify=yes")).text()


def test_the_page_shows_the_month(scene: Scene, sams: Client) -> None:
    page = seen(sams.get(reverse("licence_evidence")))

    assert "Load control evidence, January 2026" in page.text()
    assert scene.sam.email in page.text("//section[@aria-labelledby='dispatches']")
    assert "The month is not over" in page.text()


@pytest.mark.parametrize("month", ["2026-13", "0001-01", "abc"])
def test_a_month_that_is_none_is_not_found(sams: Client, month: str) -> None:
    assert sams.get(f"/load-control/{month}.zip").status_code == 404
    assert sams.get(f"/load-control/?month={month}").status_code == 200


def test_members_and_finance_are_turned_away(scene: Scene, visit: Visit) -> None:
    for user in (scene.alice.user, scene.fay):
        assert visit(user).get(ZIP).status_code == 403
    assert visit(None).get(ZIP).status_code == 302
