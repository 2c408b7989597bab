"""Visits by the pages: surveyed, scheduled, fitted by an installer, signed off, live by the first reading."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from PIL import Image

from assets import commissioning, jobs, photos
from assets.job_models import InstallJob, JobPhoto, JobTest, PairingAttempt, SurveyLimits
from assets.models import Asset, Cad, Hub
from assets.surveying import Found, judge, limits_in_force
from members import erasing
from members.models import Channel, Role, User
from metering.ingest import STORED
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import AuditEntry
from tests.factories import Resident, make_asset_kinds, make_resident, make_staff, signing_request
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
Visit = Callable[[object], Client]
SURVEY = {"kinds": ["immersion_heater"], "cable_m": "12", "signal_dbm": "-60", "supplier": "Any Energy",
          "meter_model": "Aclara SGM1411", "notes": "Ring twice."}  # fmt: skip
TRY = {"supplier": "Any Energy", "meter_model": "Aclara SGM1411", "cad_serial": "CAD-1"}


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)
    make_asset_kinds()


@pytest.fixture
def nia() -> Resident:
    return make_resident("Nia New", email="nia@example.org")


@pytest.fixture
def mo(visit: Visit) -> Client:
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


@pytest.fixture
def ivan() -> User:
    """An installer."""
    return make_staff("ivan@example.org", Role.INSTALLER)


@pytest.fixture
def job(nia: Resident) -> InstallJob:
    return jobs.plan_job(home=nia.home, at=AT, by="staff:1")


def do(client: Client, job: InstallJob, verb: str, **data: object) -> object:
    return client.post(reverse("visit_action", args=[job.pk, verb]), data)


@pytest.fixture
def scheduled(job: InstallJob, mo: Client, ivan: User) -> InstallJob:
    do(mo, job, "survey", **SURVEY)
    assert do(mo, job, "schedule", day="2026-04-08", at_time="09:00", installer=ivan.pk).status_code == 302
    job.refresh_from_db()
    return job


def picture(*, form: str = "JPEG", exif: bool = False) -> bytes:
    made = Image.new("RGB", (2400, 1200), "red")
    written = io.BytesIO()
    if exif:
        tags = Image.Exif()
        tags[0x010F] = "CANARYPHONE"
        tags[0x0112] = 6  # to be turned upright
        tags.get_ifd(0x8825)[1] = "N"
        made.save(written, form, exif=tags)
    else:
        made.save(written, form)
    return written.getvalue()


def code_on(mo: Client, job: InstallJob, serial: str = "HUB-777") -> str:
    sheet = mo.post(reverse("jobsheet", args=[job.pk]), {"serial": serial})
    assert sheet.status_code == 200
    assert seen(sheet).faults() == []
    return re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){4}", sheet.content.decode()).group()


def enrol(job: InstallJob, code: str) -> None:
    job.refresh_from_db()
    _key, csr = signing_request()
    with transaction.atomic():
        hub = Hub.objects.select_for_update().get(pk=job.hub_id)
        assert commissioning._refusal(hub, code, hub.serial, AT) is None
        commissioning._commission(hub, csr, AT)


def test_a_home_is_fitted_and_goes_live(job, mo, ivan, visit, nia):
    url = reverse("visit_page", args=[job.pk])
    assert seen(mo.get(url)).faults() == []
    do(mo, job, "survey", **SURVEY)
    do(mo, job, "schedule", day="2026-04-08", at_time="09:00", installer=ivan.pk)
    code = code_on(mo, job)
    phone = visit(ivan)
    assert phone.get("/").url == reverse("visit_list")
    assert "to be surveyed" not in seen(phone.get(reverse("visit_list"))).text()
    page = seen(phone.get(url))
    assert page.faults() == []
    assert "type in the code of the jobsheet" in page.text()
    assert code not in page.text()
    assert do(phone, job, "sign-off").status_code == 302
    assert "Something is left to do" in seen(phone.get(url)).text()

    enrol(job, code)
    assert "Its own key is signed for; the code is spent." in seen(phone.get(url)).text()
    do(phone, job, "pair", outcome="paired", **TRY)
    assert (
        do(phone, job, "fit", kind_code="immersion_heater", name="Hot water", rated_w="9999").status_code
        == 422
    )
    do(phone, job, "fit", kind_code="immersion_heater", name="Hot water", rated_w="")
    assert do(phone, job, "immersion", wiring="supply", thermostat_c="55").status_code == 422
    do(phone, job, "immersion", wiring="supply", thermostat_c="60")
    do(phone, job, "test", thing="manual_switch", is_passed="no")
    do(phone, job, "test", thing="manual_switch", is_passed="yes")
    do(phone, job, "test", thing=f"device:{Asset.objects.get().pk}", is_passed="yes")
    job.refresh_from_db()
    assert jobs.missing_for_sign_off(job) == ("photo",)
    do(phone, job, "photo", photo=SimpleUploadedFile("a.jpg", picture(exif=True)), caption="Relay")
    page = seen(phone.get(url))
    assert page.faults() == []
    do(phone, job, "sign-off")

    job.refresh_from_db()
    assert (job.state, job.live_at) == ("signed_off", None)
    assert "It is live by itself" in seen(phone.get(url)).text()
    clock.configure(AT + timedelta(hours=1), speed=0)
    tell_readings(nia)
    job.refresh_from_db()
    assert job.live_at == job.first_data_at == AT + timedelta(hours=1)
    assert Cad.objects.get().home == nia.home
    assert seen(mo.get(url)).faults() == []
    assert seen(mo.get(reverse("visit_list"))).cells("pairing") == [
        ["Any Energy", "Aclara SGM1411", "1", "1"]
    ]


def tell_readings(resident: Resident) -> None:
    at = clock.now()
    with transaction.atomic():
        outbox.record(STORED, at=at, run_id="x", source="cad", streams=1, stream_ids=[resident.stream_id],
                      starts_at=at, ends_at=at)  # fmt: skip
    outbox.drain()


@pytest.mark.parametrize(
    ("zone", "starts_at"), [("BST", "2026-10-25T00:30:00+00:00"), ("GMT", "2026-10-25T01:30:00+00:00")]
)
def test_a_visit_in_the_hour_that_comes_twice_says_which(zone, starts_at, scheduled, mo, ivan):
    night = {"day": "2026-10-25", "at_time": "01:30", "installer": ivan.pk}
    asked = do(mo, scheduled, "schedule", **night)
    page = seen(asked)
    assert (asked.status_code, page.faults()) == (422, [])
    assert page.tree.xpath("//*[@id='schedule-at_time_in']//input[not(@checked)]/@value") == ["BST", "GMT"]

    assert do(mo, scheduled, "schedule", **night, at_time_in=zone).status_code == 302

    scheduled.refresh_from_db()
    assert scheduled.scheduled_at.isoformat() == starts_at
    assert f"01:30 {zone}" in seen(mo.get(reverse("visit_page", args=[scheduled.pk]))).text()
    for day, at_time, words in (
        ("2027-03-28", "01:30", "Time: The clocks go forward: 01:30 does not exist that day."),
        ("9999-12-31", "09:00", "Day: Choose a day from the year 2000 to 2099."),
    ):
        wrong = do(mo, scheduled, "schedule", **night | {"day": day, "at_time": at_time})
        assert (wrong.status_code, words in seen(wrong).text()) == (422, True)


def test_readings_before_the_signature_do_not_make_it_live(scheduled, nia, mo):
    tell_readings(nia)
    scheduled.refresh_from_db()
    assert scheduled.first_data_at == AT
    assert scheduled.live_at is None
    tell_readings(make_resident("Other"))


def test_pairing_fails_thrice_and_the_home_is_finished_without(scheduled, mo, ivan, visit):
    phone, url = visit(ivan), reverse("visit_page", args=[scheduled.pk])
    assert do(phone, scheduled, "without", reason="It will not.").status_code == 422
    for outcome in ("no_answer", "refused", "not_listed"):
        assert "It does not pair" not in seen(phone.get(url)).text()
        do(phone, scheduled, "pair", outcome=outcome, note="light red", **TRY)
    page = seen(phone.get(url))
    assert page.faults() == []
    assert "Three tries failed" in page.text()
    scheduled.refresh_from_db()
    assert scheduled.escalated_at == AT
    office = seen(mo.get(reverse("visit_list"), {"state": "escalated"}))
    assert "CAD escalated" in office.text()
    assert office.cells("pairing") == [["Any Energy", "Aclara SGM1411", "3", "0"]]
    assert do(phone, scheduled, "without", reason=" ").status_code == 422
    do(phone, scheduled, "without", reason="The supplier has to list it.")

    scheduled.refresh_from_db()
    assert (scheduled.cad_outcome, scheduled.cad_note) == ("without", "The supplier has to list it.")
    assert "cad" not in jobs.missing_for_sign_off(scheduled)
    do(phone, scheduled, "pair", outcome="paired", **TRY)
    scheduled.refresh_from_db()
    assert (scheduled.cad_outcome, scheduled.escalated_at) == ("paired", None)
    with pytest.raises(IntegrityError), transaction.atomic():
        PairingAttempt.objects.update(outcome="paired")


def test_heaters_with_electronics_are_refused_with_the_reason(job, mo):
    refused = {**SURVEY, "kinds": ["storage_heater"], "heaters": ["quantum"]}
    page = mo.post(reverse("visit_action", args=[job.pk, "survey"]), refused, follow=True)
    assert "“quantum” has electronics of its own" in seen(page).text()
    job.refresh_from_db()
    assert job.state == "refused"

    do(mo, job, "survey", **{**refused, "kinds": ["storage_heater", "ev_charger"], "cable_m": "45",
                             "signal_dbm": "-85"})  # fmt: skip
    job.refresh_from_db()
    assert (job.state, [each["code"] for each in job.findings]) == ("surveyed", ["heater", "cable", "signal"])
    page = seen(mo.get(reverse("visit_page", args=[job.pk])))
    assert page.faults() == []
    assert "45 m, where up to 30 m is usual" in page.text()
    assert do(mo, job, "survey", **{**SURVEY, "cable_m": "x"}).status_code == 422


def test_refused_heaters_are_not_fitted_after_all(job, mo, ivan):
    do(mo, job, "survey", **{**SURVEY, "kinds": ["storage_heater", "ev_charger"], "heaters": ["lot_20"]})
    do(mo, job, "schedule", day="2026-04-08", at_time="09:00", installer=ivan.pk)
    code_on(mo, job)

    answer = do(mo, job, "fit", kind_code="storage_heater", name="Hall")
    assert answer.status_code == 422
    assert "The survey refused the storage heaters" in seen(answer).text()
    assert do(mo, job, "fit", kind_code="ev_charger", name="Car").status_code == 302


def test_limits_are_data(mo):
    url = reverse("survey_limits")
    assert seen(mo.get(url)).faults() == []
    assert (
        mo.post(url, {"refused_heaters": ["quantum"], "cable_m": "0", "signal_dbm": "-75"}).status_code == 422
    )
    mo.post(url, {"refused_heaters": ["quantum"], "cable_m": "20", "signal_dbm": "-70"})
    limits = limits_in_force(AT)
    assert (limits.version, limits.cable_m, limits.refused_heaters) == (1, 20, ["quantum"])
    found = Found(frozenset({"storage_heater"}), frozenset({"automatic", "quantum"}), 20, -70)
    assert [(each.code, each.found) for each in judge(found, limits)] == [("heater", "quantum")]
    with pytest.raises(IntegrityError), transaction.atomic():
        SurveyLimits.objects.update(cable_m=1)


def test_a_second_sheet_voids_the_first_code(scheduled, mo):
    first = code_on(mo, scheduled)
    second = code_on(mo, scheduled)
    scheduled.refresh_from_db()

    assert first != second
    assert scheduled.hub.enrolment_code_expires_at == scheduled.scheduled_at + timedelta(days=2)
    assert commissioning._refusal(scheduled.hub, first, "HUB-777", AT) is not None
    assert commissioning._refusal(scheduled.hub, second, "HUB-777", AT) is None
    assert first not in seen(mo.get(reverse("jobsheet", args=[scheduled.pk]))).text()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_made_anew_upright_and_small(scheduled, ivan, visit, form):
    sent = picture(form=form, exif=True)
    assert b"CANARYPHONE" in sent
    do(visit(ivan), scheduled, "photo", photo=SimpleUploadedFile("a", sent))
    kept = JobPhoto.objects.get()

    with Image.open(io.BytesIO(kept.jpeg)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (800, 1600))
        assert not opened.getexif()
    assert b"CANARYPHONE" not in kept.jpeg
    answer = visit(ivan).get(reverse("visit_photo", args=[scheduled.pk, kept.pk]))
    assert answer["Content-Type"] == "image/jpeg"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "body",
    [b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff\xe0", picture()[:900]],
    ids=["text", "svg", "torn", "half"],
)  # fmt: skip
def test_what_is_no_picture_is_refused(scheduled, ivan, visit, body):
    answer = do(visit(ivan), scheduled, "photo", photo=SimpleUploadedFile("a.jpg", body))

    assert answer.status_code == 422
    assert not JobPhoto.objects.exists()


def test_a_picture_too_large_is_refused():
    with pytest.raises(photos.PhotoUnusable):
        photos.made_anew(b"\x00" * (photos.MOST_BYTES + 1))
    written = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(written, "PNG")
    with pytest.raises(photos.PhotoUnusable):
        photos.made_anew(written.getvalue())


def test_an_installer_sees_their_own_visits_only(scheduled, visit, ivan, alice, sam):
    other = jobs.plan_job(home=alice.home, at=AT, by="staff:1")
    phone = visit(ivan)
    listed = seen(phone.get(reverse("visit_list"))).text()

    assert scheduled.home.name in listed
    assert alice.home.name not in listed
    assert phone.get(reverse("visit_page", args=[other.pk])).status_code == 404
    assert do(phone, other, "sign-off").status_code == 404
    for verb in ("survey", "schedule", "cancel"):
        assert do(phone, scheduled, verb).status_code == 403
    assert phone.get(reverse("jobsheet", args=[scheduled.pk])).status_code == 403
    assert phone.get(reverse("survey_limits")).status_code == 403
    for stranger, status in ((None, 302), (alice.user, 404), (sam, 404)):
        client = visit(stranger)
        assert client.get(reverse("visit_page", args=[scheduled.pk])).status_code == status
        assert do(client, scheduled, "sign-off").status_code == status
        photo = reverse("visit_photo", args=[scheduled.pk, scheduled.pk])
        assert client.get(photo).status_code == status
        listing = client.get(reverse("visit_list")).status_code
        assert listing == (302 if stranger is None else 403)
        assert client.post(reverse("visit_new", args=[alice.home.pk])).status_code in (302, 403)
    assert InstallJob.objects.count() == 2


def test_a_visit_is_planned_once_and_may_be_called_off(nia, mo, job, ivan):
    url = reverse("visit_new", args=[nia.home.pk])
    assert mo.post(url).url == reverse("visit_list")
    assert do(mo, job, "schedule", day="2026-04-08", at_time="09:00", installer=ivan.pk).status_code == 422
    assert do(mo, job, "nonsense").status_code == 404
    do(mo, job, "cancel", reason="They moved.")
    job.refresh_from_db()
    assert (job.state, job.survey_notes) == ("cancelled", "They moved.")
    [entry] = AuditEntry.objects.filter(verb="job.cancelled")
    assert entry.detail == {}, "the trail holds no words about people"
    assert mo.post(url).status_code == 302
    assert InstallJob.objects.filter(home=nia.home).count() == 2
    again = InstallJob.objects.exclude(pk=job.pk).get()
    do(mo, again, "survey", **SURVEY)
    past = do(mo, again, "schedule", day="2026-04-01", at_time="09:00", installer=ivan.pk)
    assert past.status_code == 422
    assert "Time: Choose a time that lies ahead." in seen(past).text()


def test_what_a_visit_told_is_forgotten_with_who_lived_there(scheduled, ivan, visit, nia, tmp_path, settings):
    settings.ERASURES_FILE = tmp_path / "erasures.jsonl"
    phone = visit(ivan)
    do(phone, scheduled, "pair", outcome="refused", note="Behind Nia's wardrobe", **TRY)
    do(phone, scheduled, "test", thing="manual_switch", is_passed="no", note="Nia's cupboard is full")
    do(phone, scheduled, "photo", photo=SimpleUploadedFile("a", picture()), caption="Nia's hall")
    scheduled.refresh_from_db()
    assert scheduled.survey_notes == "Ring twice."
    assert PairingAttempt.objects.get().note == "Behind Nia's wardrobe"

    erasing.erase_on_request(member=nia.member, at=AT, channel=Channel.WEB, by="test")
    outbox.drain()

    scheduled.refresh_from_db()
    assert (scheduled.state, scheduled.survey_notes) == ("cancelled", "")
    assert not JobPhoto.objects.exists()
    assert {PairingAttempt.objects.get().note, JobTest.objects.get().note} == {"erased"}
    assert jobs.plan_job(home=nia.home, at=AT, by="test").survey_notes == ""
