"""Data rights through the web: a copy, something put right, use stopped, a complaint, erasure."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import models
from django.urls import reverse

from assets.models import Hub
from members import asking, exporting
from members.models import Consent, Home, Household, Member, Occupancy, Role, User
from members.queries import consent_windows, consenting_occupancies
from members.rights_models import DataExport, Erasure, FormerValue, RightsRequest
from metering import store
from opendsr.kernel import encryption, outbox, processing
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import AuditEntry, DataKey
from opendsr.web import processing_record, rights_export
from settlement.models import Posting, Statement
from tests.factories import PASSWORD, make_member, make_staff
from tests.web.pages import seen
from tests.web.scene import NOW, freeze

HOSTILE = '<script>alert("x")</script>=1+1'


@pytest.fixture
def mo(scene) -> User:
    """Staff: member services."""
    return make_staff("mo@example.org", Role.MEMBER_SERVICES)


@pytest.fixture(autouse=True)
def erasures(settings, tmp_path):
    settings.ERASURES_FILE = tmp_path / "erasures.jsonl"
    return settings.ERASURES_FILE


def ask(client, **data):
    return client.post(reverse("my_rights"), data)


def newest(member: Member, kind: str) -> RightsRequest:
    return RightsRequest.objects.filter(member=member, kind=kind).latest("opened_at")


def test_a_copy_of_everything(scene, visit):
    client = visit(scene.alice.user)
    ask(client, do="export")
    asked = newest(scene.alice.member, "export")
    page = seen(client.get(reverse("my_rights")))
    assert f"0 of {len(rights_export.PARTS)} parts written" in page.text()
    assert page.faults() == []
    assert RightsRequest.objects.filter(kind="export").count() == 1
    ask(client, do="export")
    assert RightsRequest.objects.filter(kind="export").count() == 1, "one at a time"

    outbox.drain()

    url = reverse("take_copy", args=[asked.pk])
    assert seen(client.get(url)).faults() == []
    assert client.post(url, {"password": "wrong"}).status_code == 422
    answer = client.post(url, {"password": PASSWORD})
    assert answer["Content-Type"] == "application/zip"
    files = zipfile.ZipFile(io.BytesIO(answer.content))
    data = json.loads(files.read("your-data.json"))
    tables = {table["name"]: table for room in data["rooms"].values() for table in room}
    [membership] = tables["members_member"]["rows"]
    assert membership["full_name"] == "Alice Ash"
    assert tables["members_home"]["rows"][0]["mpan"] == scene.alice.home.mpan
    statement = scene.statement_of(scene.alice)
    assert [row["id"] for row in tables["settlement_statement"]["rows"]] == [str(statement.pk)]
    assert tables["settlement_statement"]["in_full"][0]
    assert len(tables["campaigns_participation"]["rows"]) == 4
    assert {row["verb"] for row in tables["kernel_auditentry"]["rows"]} >= {"consent.given"}
    readings = list(csv.DictReader(io.StringIO(files.read("readings.csv").decode("utf-8-sig"))))
    held = store.every_revision(scene.alice.stream_id, Interval(NOW - timedelta(days=60), NOW))
    assert len([row for row in readings if row["period"] == "half_hour"]) == len(list(held)) > 1_900
    html = files.read("your-data.html").decode()
    assert "Alice Ash" in html
    for outside in ("<script", "<link", "src=", "href=", "url("):
        assert outside not in html, "it opens without the internet"
    for secret in ("Bob Ash", "bob@example.org", "Carol", scene.carol.home.mpan, "enrolment_code_sha256"):
        assert secret not in files.read("your-data.json").decode()
    assert AuditEntry.objects.filter(
        target=f"rights_request:{asked.pk}", verb="rights_request.taken"
    ).exists()
    assert b"Alice" not in bytes(DataExport.objects.get(pk=asked.pk).sealed)
    for other in (scene.bob.user, scene.carol.user):
        assert visit(other).post(url, {"password": PASSWORD}).status_code == 404

    exporting.forget(at=NOW + timedelta(days=31))

    assert "not ready yet" in seen(client.get(url)).text()
    assert client.post(url, {"password": PASSWORD}).status_code == 409


def test_what_came_after_somebody_moved_out_is_not_theirs(scene, visit):
    moved = scene.alice
    Occupancy.objects.filter(pk=moved.occupancy.pk).update(ends_at=NOW - timedelta(days=20))
    tables = {
        table["name"]: table
        for room in rights_export.ROOMS
        for table in json.loads(rights_export.body_of(room)(moved.member))["tables"]
    }
    assert tables["vtn_event"]["rows"] == []
    assert len(tables["assets_hub"]["rows"]) == 1


def test_every_model_that_reaches_a_person_is_in_the_copy_or_named_with_a_reason(scene):
    ours = {"kernel", "vtn", "members", "assets", "metering", "campaigns", "settlement"}
    found = [model for model in apps.get_models() if model._meta.app_label in ours]
    people = ("members.Member", "members.Household", "members.Home", "members.Occupancy", "vtn.Ven")
    reaching = processing.reaching(found, people)
    reaching |= {each._meta.label for each in found if processing.names_somebody(each)}
    whose = rights_export.members.disclosing.person(scene.alice.member)
    disclosed = {
        label for room in rights_export.ROOMS.values() for table in room(whose) for label in table.models
    } | set(rights_export.metering.disclosing.READINGS)
    named = set(rights_export.NOT_DISCLOSED) | {"kernel.DataKey"}  # a key, and no datum about anybody

    assert reaching - disclosed - named == set(), "say in a room's disclosing.py what of these is disclosed"
    assert named & disclosed == set()
    assert all(len(why) > 20 for why in rights_export.NOT_DISCLOSED.values())


def test_something_put_right(scene, visit, mo):
    client = visit(scene.alice.user)
    page = ask(client, do="rectify", about="full_name", wanted="")
    assert page.status_code == 422
    assert "cannot be left out" in seen(page).text()
    ask(client, do="rectify", about="full_name", wanted=HOSTILE)
    assert Member.objects.get(pk=scene.alice.member.pk).full_name == HOSTILE
    page = client.get(reverse("my_rights"))
    assert "<script>alert" not in page.content.decode()
    assert seen(page).faults() == []
    former = FormerValue.objects.get(subject_id=scene.alice.member.pk)
    assert (former.field, former.value) == ("full_name", "Alice Ash")

    ask(client, do="rectify", about="email", wanted="Alice.Ash@example.org")
    asked = RightsRequest.objects.get(member=scene.alice.member, about="email")
    assert User.objects.get(pk=scene.alice.user.pk).email == "alice@example.org", "staff decide that one"
    assert ask(client, do="rectify", about="mpan", wanted="12").status_code == 422

    staff = visit(mo)
    listed = seen(staff.get(reverse("rights_list")))
    assert listed.faults() == []
    assert [row[:2] for row in listed.cells("waiting")] == [
        ["Something put right: My email address", scene.alice.member.number]
    ]
    url = reverse("rights_request", args=[asked.pk])
    assert seen(staff.get(url)).faults() == []
    assert staff.post(url, {"do": "answer", "verdict": "granted", "reason": ""}).status_code == 422
    staff.post(url, {"do": "answer", "verdict": "granted", "reason": "We rang you."})
    assert User.objects.get(pk=scene.alice.user.pk).email == "alice.ash@example.org"
    assert "We rang you." in seen(client.get(reverse("my_rights"))).text()
    again = staff.post(url, {"do": "answer", "verdict": "refused", "reason": "x"}, follow=True)
    assert "answered before" in seen(again).text()
    assert [step.verb for step in asking.steps_of([asked.pk])[asked.pk]] == ["opened", "granted"]


def test_use_is_stopped_at_once_and_begins_again(scene, visit):
    client, home = visit(scene.bob.user), scene.alice.occupancy.pk
    streams = [scene.alice.stream_id]
    assert home in consenting_occupancies("flexibility", NOW)
    ask(client, do="restrict", words="I am thinking")
    outbox.drain()

    assert home not in consenting_occupancies("flexibility", NOW)
    assert consent_windows(streams)[scene.alice.stream_id] == []
    assert consent_windows(streams, purpose=None)[scene.alice.stream_id], "storing goes on"
    assert scene.part_of(scene.alice).left_out == "no_consent"
    assert "kept and not used" in seen(client.get(reverse("my_rights"))).text()
    asked = newest(scene.bob, "restriction")
    for stranger in (scene.carol.user, scene.alice.user):
        assert visit(stranger).post(reverse("lift_restriction", args=[asked.pk])).status_code == 404

    client.post(reverse("lift_restriction", args=[asked.pk]))

    assert home in consenting_occupancies("flexibility", NOW)
    assert consent_windows(streams)[scene.alice.stream_id]


def test_an_objection_stops_all_use_until_it_is_decided(scene, visit, mo):
    ask(visit(scene.alice.user), do="object", purpose="flexibility", words="It is too cold")
    asked = newest(scene.alice.member, "objection")
    assert scene.alice.occupancy.pk not in consenting_occupancies("settlement", NOW)

    url = reverse("rights_request", args=[asked.pk])
    visit(mo).post(url, {"do": "answer", "verdict": "granted", "reason": "Of course."})

    assert scene.alice.occupancy.pk in consenting_occupancies("settlement", NOW)
    assert scene.alice.occupancy.pk not in consenting_occupancies("flexibility", NOW)


def test_a_complaint_has_thirty_days(scene, visit, mo):
    client, staff = visit(scene.carol.user), visit(mo)
    assert ask(client, do="complain", words="").status_code == 422
    ask(client, do="complain", words="Nobody came.\n\n" + HOSTILE)
    asked = newest(scene.carol.member, "complaint")
    assert (asked.due_at - asked.opened_at).days == 30
    url = reverse("rights_request", args=[asked.pk])
    staff.post(url, {"do": "acknowledge"})
    assert "Being looked at" in seen(client.get(reverse("my_rights"))).text()
    assert "<script>" not in staff.get(url).content.decode().split("<main")[1]

    freeze(NOW + timedelta(days=31))
    listed = seen(staff.get(reverse("rights_list")))
    assert "1 is overdue" in listed.text()
    assert listed.cells("waiting")[0][-1] == "Overdue"
    staff.post(url, {"do": "answer", "verdict": "partly", "reason": "We come on Monday."})

    freeze()
    assert "We come on Monday." in seen(client.get(reverse("my_rights"))).text()
    verbs = [step.verb for step in asking.steps_of([asked.pk])[asked.pk]]
    assert verbs == ["opened", "acknowledged", "partly"]
    assert RightsRequest.objects.get(pk=asked.pk).decided_by == mo


def test_on_paper_and_by_telephone(scene, visit, mo):
    staff, url = visit(mo), reverse("rights_list")
    number = scene.alice.member.number
    assert staff.post(url, {"number": "M-99999", "kind": "erasure", "channel": "paper"}).status_code == 422
    for kind in ("export", "restriction", "objection", "rectification", "erasure", "complaint"):
        sent = {"number": number, "kind": kind, "channel": "phone", "words": "Said so.", "purpose": "advice"}
        assert staff.post(url, sent).status_code == 302, kind
    assert RightsRequest.objects.filter(member=scene.alice.member, channel="phone").count() == 6
    aud = make_staff("aud@example.org", Role.AUDITOR)
    assert visit(aud).get(url).status_code == 200
    assert visit(aud).post(url, sent).status_code == 403


def test_erasure_keeps_the_books(scene, visit, erasures):
    carol, client = scene.carol, visit(scene.carol.user)
    ask(client, do="complain", words="CANARY words")
    page = seen(client.get(reverse("erase_me")))
    assert page.faults() == []
    assert "You are the last of your household" in page.text()
    assert "You are owed" in page.text() or scene.statement_of(carol).balance_mp <= 0
    assert client.post(reverse("erase_me"), {"password": PASSWORD}).status_code == 422, "without the tick"
    before = list(Posting.objects.order_by("pk").values_list("account_id", "amount_mp"))
    statements = Statement.objects.filter(member=carol.member).count()

    answer = client.post(reverse("erase_me"), {"password": PASSWORD, "understood": "on"})
    outbox.drain()

    assert answer["Location"] == reverse("account_login")
    assert client.get(reverse("home")).status_code == 302
    member = Member.objects.get(pk=carol.member.pk)
    assert (member.full_name, member.user) == ("erased", None)
    assert member.left_at == NOW
    assert Household.objects.get(pk=carol.household.pk).name == "erased"
    assert not User.objects.filter(email="carol@example.org").exists()
    assert User.objects.get(pk=carol.user.pk).email == "erased"
    assert not visit(None).login(username="carol@example.org", password=PASSWORD)
    assert not Consent.objects.filter(member=member, ends_at=None).exists()
    assert Occupancy.objects.get(pk=carol.occupancy.pk).ends_at == NOW
    assert store.day_span([carol.stream_id]) is None
    assert store.day_span([scene.alice.stream_id]) is not None
    assert DataKey.objects.get(pk=member.pk).wrapped is None
    assert list(Posting.objects.order_by("pk").values_list("account_id", "amount_mp")) == before
    assert Statement.objects.filter(member=member).count() == statements == 1
    assert Hub.objects.get(home=carol.home).state == "commissioned", "the hub stays for the next household"
    [line] = [json.loads(text) for text in erasures.read_text().splitlines()]
    assert line["member_id"] == str(member.pk)
    assert erasures.stat().st_mode & 0o077 == 0
    wrote = RightsRequest.objects.get(member=member, kind="complaint")
    assert (wrote.words, wrote.verdict) == ("erased", "taken_back")


def test_erasing_one_of_two_leaves_the_other(scene, visit):
    client = visit(scene.bob.user)
    assert "Others of your household stay" in seen(client.get(reverse("erase_me"))).text()
    client.post(reverse("erase_me"), {"password": PASSWORD, "understood": "on"})
    outbox.drain()

    assert not Erasure.objects.get(member=scene.bob).household_is_gone
    assert Occupancy.objects.get(pk=scene.alice.occupancy.pk).ends_at is None
    assert store.day_span([scene.alice.stream_id]) is not None
    assert scene.alice.occupancy.pk in consenting_occupancies("flexibility", NOW)
    assert Home.objects.get(pk=scene.alice.home.pk).mpan == scene.alice.home.mpan


def test_staff_are_not_erased_by_a_press_and_nothing_goes_when_the_list_cannot_be_written(
    scene, visit, mo, settings, tmp_path
):
    member = make_member("Mo Marsh", at=NOW - timedelta(days=9))
    Member.objects.filter(pk=member.pk).update(user=mo)
    sent = {"password": PASSWORD, "understood": "on"}
    assert visit(mo).post(reverse("erase_me"), sent).status_code == 422

    (tmp_path / "file").write_text("")
    settings.ERASURES_FILE = tmp_path / "file" / "erasures.jsonl"
    page = visit(scene.carol.user).post(reverse("erase_me"), sent)
    assert page.status_code == 422
    assert "nothing was erased" in seen(page).text()
    assert not Erasure.objects.exists()
    assert Member.objects.get(pk=scene.carol.member.pk).full_name == "Carol Birch"
    assert (
        encryption.unseal(scene.carol.member.pk, encryption.seal(scene.carol.member.pk, "x", "c"), "c") == "x"
    )


def test_the_record_of_processing_knows_every_table_with_personal_data(scene, visit, mo, capsys):
    assert processing_record.undeclared() == set(), "say in a room's processing.py what these are held for"
    page = seen(visit(mo).get(reverse("processing_record")))
    assert page.faults() == []
    assert "members_rightsrequest: words, wanted, reason: sealed" in page.text()
    call_command("processing_record", csv=True)
    told = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(told) == len({row["model"] for row in told}) > 80
    assert all(all(row.values()) for row in told)


def test_a_new_model_with_personal_data_is_noticed():
    class Diary(models.Model):  # noqa: DJ008
        member = models.ForeignKey(Member, on_delete=models.CASCADE)

        class Meta:
            app_label = "elsewhere"
            apps = Apps()

    class Leaf(models.Model):  # noqa: DJ008
        diary = models.ForeignKey(Diary, on_delete=models.CASCADE)

        class Meta:
            app_label = "elsewhere"
            apps = Diary._meta.apps

    class Card(models.Model):  # noqa: DJ008
        email = models.CharField(max_length=9)

        class Meta:
            app_label = "elsewhere"
            apps = Diary._meta.apps

    assert processing.reaching([Leaf, Diary, Card], ["members.Member"]) >= {
        "elsewhere.Leaf",
        "elsewhere.Diary",
    }
    assert [processing.names_somebody(each) for each in (Card, Leaf)] == [True, False]


def test_a_member_sees_who_looked(scene, visit, mo, ada):
    alice, carol = scene.alice.member, scene.carol.member
    for member in (alice, carol):
        ask(visit(member.user), do="complain", words="Nobody came.")
    visit(mo).get(reverse("rights_list"))
    visit(mo).get(reverse("rights_request", args=[newest(alice, "complaint").pk]))
    url = reverse("admin:members_member_change", args=[alice.pk])
    ada.is_superuser = True
    ada.save()
    assert visit(ada).get(url).status_code == 200
    assert visit(scene.carol.user).get(url).status_code == 302

    looks = seen(visit(alice.user).get(reverse("my_rights"))).cells("looks")
    assert [[row[1], row[2], row[4]] for row in looks] == [
        [f"user {ada.pk}", "record of the member", "keeping the records"],
        [f"user {mo.pk}", "request", "answering this request"],
        [f"user {mo.pk}", "requests", "answering requests in time"],
    ]
    assert "what was written" in looks[1][3]
    assert AuditEntry.objects.filter(verb="identity.looked_at").count() == 3, "a list is one entry"
    assert len(seen(visit(carol.user).get(reverse("my_rights"))).cells("looks")) == 1
