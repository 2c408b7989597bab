"""Staff pages of imports and message rules: each step by plain forms, each refusal in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from members.models import Role
from metering import import_jobs, ruling
from metering.intake_models import ImportJob, ImportPart, Message
from metering.models import HalfHourlyRate, RetentionRule
from opendsr.kernel import clock
from tests.factories import Resident, make_coop, make_staff
from tests.metering.meters import wh_of
from tests.metering.samples import AT
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
LCL = """LCLid,tstp,energy_kWh
ASH,2026-01-05 00:30:00,0.1
ASH,2026-01-05 01:00:00,much
ASH,2026-01-05 01:30:00,0.3
"""


@pytest.fixture(autouse=True)
def _world(db: None) -> Iterator[None]:
    clock.configure(AT, speed=0)
    make_coop()
    yield
    clock.reset()


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(
        make_staff("dan@example.org", Role.DEVICE_MANAGER),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def upload(client: Client, text: str | bytes, name: str = "r.csv", key: object = None) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    response = client.post(
        reverse("import_list"), {"key": key or uuid4(), "file": SimpleUploadedFile(name, data)}
    )
    assert response.status_code == 302, response.content
    return response["Location"]


def test_a_file_is_looked_at_then_imported_and_its_rejects_downloaded(staff, alice: Resident):
    page = upload(staff, LCL)
    assert "lcl_csv" in seen(staff.get(page)).text()
    choices = {"meters": f"ASH={alice.home.name}", "do": "preview"}

    preview = staff.post(page, choices, follow=True)
    assert seen(preview).faults() == []
    assert wh_of(alice.stream_id) == []
    assert "not a number" in seen(preview).text()
    done = staff.post(page, {**choices, "do": "import"}, follow=True)
    again = staff.post(page, {**choices, "do": "import"}, follow=True)

    assert wh_of(alice.stream_id) == [100, 300]
    assert "What was stored" in seen(done).text() == seen(again).text()
    rejects = staff.get(page + "rejects.csv")
    assert rejects["Content-Disposition"].startswith("attachment")
    assert "ASH,2026-01-05 01:00:00,much,3,energy_kWh,much" in rejects.content.decode()
    assert seen(staff.get(reverse("import_list"))).faults() == []


def test_rows_older_than_is_kept_are_told_before_they_vanish(staff, alice):
    RetentionRule.objects.filter(kind=RetentionRule.Kind.HALF_HOURLY).update(keep_days=1)
    day = AT - timedelta(days=2)
    page = upload(staff, f"LCLid,tstp,energy_kWh\nASH,{day:%Y-%m-%d} 01:00:00,0.1\n")

    preview = staff.post(page, {"meters": f"ASH={alice.home.name}", "do": "preview"}, follow=True)

    assert "): 1 of the good rows. The hourly clean-up removes them again." in seen(preview).text()
    assert seen(preview).faults() == []


def test_columns_are_mapped_by_name(staff, alice):
    page = upload(staff, "When,Used\n2026-01-05 00:00,0.25\n")
    choices = {
        "adapter": "generic_csv", "columns": "stamp=When\nimport=Used", "meters": alice.home.mpan,
        "tz": "UTC", "do": "import",
    }  # fmt: skip

    assert "No adapter knows this header" in seen(staff.get(page)).text()
    staff.post(page, choices, follow=True)

    assert wh_of(alice.stream_id) == [250]


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"meters": "ASH=Nowhere"}, "No home, MPAN or stream"),
        ({"columns": "colour=red"}, "not of the form"),
        ({"tz": "Mars/Base"}, "tz"),
        ({"adapter": "what"}, "not one of the available"),
        ({"adapter": "n3rgy_csv"}, "n3rgy_csv"),
    ],
)
def test_what_cannot_be_is_said_and_stores_nothing(staff, alice, choices, words):
    page = upload(staff, LCL)

    response = staff.post(page, {"do": "import", **choices}, follow=True)

    assert response.status_code in (200, 422)
    assert words in response.content.decode()
    assert wh_of(alice.stream_id) == []


@pytest.mark.parametrize("data", [b"\x00\xff\x00", b"PK\x03\x04zip", b"{", b"a;b\n\xff\xfe,\n"])
def test_no_file_is_a_fault(staff, data):
    page = upload(staff, data)

    assert staff.get(page).status_code == 200
    assert seen(staff.post(page, {"do": "preview"}, follow=True)).faults() == []
    assert staff.get(page + "rejects.csv").status_code < 500


def test_the_same_upload_sent_twice_is_one(staff):
    key = uuid4()

    assert upload(staff, LCL, key=key) == upload(staff, LCL, key=key)
    assert ImportJob.objects.count() == 1
    assert staff.post(reverse("import_list"), {"key": uuid4()}).status_code == 422


def test_a_large_file_goes_to_a_worker_and_survives_one_that_dies(staff, alice, monkeypatch):
    monkeypatch.setattr(import_jobs, "AT_ONCE_BYTES", 10)
    monkeypatch.setattr(import_jobs, "PART_BYTES", 32)
    page = upload(staff, LCL)
    assert ImportPart.objects.count() == 4
    running = staff.post(page, {"meters": f"ASH={alice.stream_id}", "do": "import"}, follow=True)
    job = ImportJob.objects.get()
    assert seen(running).tree.xpath("//progress")
    assert seen(running).faults() == []
    ImportJob.objects.update(touched_wall_at=clock.wall_now())
    assert import_jobs.run(job_id=job.pk, at=AT).state == "running"  # in other hands
    assert import_jobs.waiting() == []
    ImportJob.objects.update(touched_wall_at=clock.wall_now() - timedelta(minutes=4))

    assert import_jobs.waiting() == [job.pk]
    assert import_jobs.run(job_id=job.pk, at=AT).state == "done"
    assert wh_of(alice.stream_id) == [100, 300]
    assert import_jobs.forget(at=AT + timedelta(days=31)) == 4


@pytest.mark.parametrize("name", ["import_list", "message_rules"])
def test_strangers_stay_outside(alice, staff, name):
    member, dispatcher = Client(), Client()
    member.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    dispatcher.force_login(
        make_staff("s@example.org", Role.DISPATCHER), backend="django.contrib.auth.backends.ModelBackend"
    )
    page = upload(staff, LCL)

    for client in (member, dispatcher):
        for path in (reverse(name), page, page + "rejects.csv"):
            assert client.get(path).status_code == 403
    assert Client().get(reverse(name)).status_code == 302
    assert staff.get(reverse("import_detail", args=[uuid4()])).status_code == 404


RULES = json.dumps([{"id": "spikes", "match": {"field": "w", "op": ">", "value": 5}, "then": "drop"}])


def test_rules_are_tried_published_and_guarded(staff):
    Message.objects.create(
        outcome="dead",
        source="glow",
        topic="t",
        body='{"w": 9}',
        code="missing",
        received_at=AT,
        detail="send w",
    )
    url = reverse("message_rules")
    assert seen(staff.get(url)).faults() == []

    tried = staff.post(url, {"based_on": 0, "rules": RULES, "do": "try"})
    assert "Of 1 stored messages 1 match" in seen(tried).text()
    assert ruling.current() is None
    bad = staff.post(url, {"based_on": 0, "rules": '[{"id": "a", "then": "explode"}]', "do": "publish"})
    assert bad.status_code == 422
    assert "Rule a, then: “explode” will not do" in seen(bad).text()
    assert staff.post(url, {"based_on": 0, "rules": "[", "do": "publish"}).status_code == 422
    done = staff.post(url, {"based_on": 0, "rules": RULES, "do": "publish", "note": "first"}, follow=True)
    assert "Version 1" in seen(done).text()
    late = staff.post(url, {"based_on": 0, "rules": RULES, "do": "publish"})
    assert "Somebody published version 1 meanwhile" in seen(late).text()
    assert seen(late).faults() == []


def test_dead_letters_are_tried_again(staff):
    letter = Message.objects.create(
        outcome="dead", source="glow", topic="glow/x", body="{", code="not_json", received_at=AT, times=4
    )
    bare = Message.objects.create(outcome="dead", source="emoncms", topic="*", code="zero", received_at=AT)
    url = reverse("message_rules")

    page = staff.post(url, {"do": "retry", "letter": [letter.pk, bare.pk, "x"]}, follow=True)

    assert "Tried again: 0 used, 1 still not, 1 without a message to try." in seen(page).text()
    assert seen(page).faults() == []
    assert Message.objects.get(code="not_json").times == 4


AGILE = """period_from_local;period_to_local;import_p_per_kwh;export_p_per_kwh
05/01/2026 00:30;;15.5;
05/01/2026 01:00;;dear;4
05/01/2026 02:00;;-3;5
"""


def test_prices_are_looked_at_then_imported_and_their_rejects_downloaded(staff):
    page = upload(staff, AGILE.encode("utf-16"), "agile.csv")
    assert "By its header this is agile_prices." in seen(staff.get(page)).text()
    assert not seen(staff.get(page)).tree.xpath("//*[@name='meters']")

    preview = seen(staff.post(page, {"do": "preview"}, follow=True))
    assert preview.faults() == []
    assert "not a number" in preview.text()
    assert not HalfHourlyRate.objects.exists()
    staff.post(page, {"do": "import"}, follow=True)
    again = staff.post(page, {"do": "import"}, follow=True)

    assert "What was stored" in seen(again).text()
    assert HalfHourlyRate.objects.filter(kind="import_price").count() == 2
    outcome = ImportJob.objects.get().outcome
    assert (outcome["rows_read"], outcome["rows_landed"], outcome["rows_rejected"]) == (5, 4, 1)
    assert outcome["gap_half_hours"] == 3
    rejects = staff.get(page + "rejects.csv").content.decode()
    assert "05/01/2026 01:00;;dear;4;3;import_p_per_kwh;dear;not a number;Write the value" in rejects
    assert seen(staff.get(page)).faults() == seen(staff.get(reverse("import_list"))).faults() == []


def test_rates_take_no_conventions_and_what_is_none_is_told(staff):
    page = upload(staff, "a,b\n1,2\n")
    told = seen(staff.post(page, {"adapter": "agile_prices", "do": "preview"}, follow=True))
    assert "period_from_local" in told.text()

    page = upload(staff, AGILE.replace("period_from_local", "when"))
    staff.post(page, {"adapter": "carbon_intensity", "tz": "UTC", "do": "preview"})
    assert ImportJob.objects.filter(error__contains="bad option: option=tz").exists()


def test_a_large_answer_of_a_price_service_is_read_when_it_is_named(staff):
    item = {"value_inc_vat": 21.35, "valid_from": "2026-01-05T16:00:00Z", "note": "x" * 1_200_000}
    page = upload(staff, json.dumps({"results": [item]}), "rates.json")
    staff.post(page, {"adapter": "agile_prices", "do": "import"})

    assert HalfHourlyRate.objects.get().value == Decimal("21.35")


def test_decimal_commas_and_large_sites_can_be_chosen(staff, alice):
    page = upload(staff, "When;Used\n05/01/2026 00:00;0,25\n05/01/2026 00:30;55,5\n05/01/2026 01:00;99,5\n")
    choices = {
        "adapter": "generic_csv", "columns": "stamp=When\nimport=Used", "decimal": ",", "max_kwh": "60",
        "meters": alice.home.name,
    }  # fmt: skip

    told = seen(staff.post(page, {**choices, "do": "import"}, follow=True))

    assert wh_of(alice.stream_id) == [250, 55_500]
    assert "99,5" in told.text()
    assert staff.post(page, {**choices, "max_kwh": "many", "do": "import"}).status_code == 422
    assert staff.post(page, {**choices, "max_kwh": "nan", "do": "import"}).status_code == 422
