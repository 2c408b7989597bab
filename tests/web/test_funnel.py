"""The funnel: counts of every stage, who is stuck, filters in the address, the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from assets import jobs
from assets.installing import install_asset
from assets.job_models import InstallJob
from assets.models import Hub
from members import applying, inviting
from members.models import Role
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from opendsr.web.funnel_rows import ORDER, Entry, conversion
from tests.factories import make_asset_kinds, make_resident, make_staff, new_mpan
from tests.web.pages import seen

AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
Visit = Callable[[object], Client]


@pytest.fixture
def mo(coop: object, visit: Visit) -> Client:
    clock.configure(AT, speed=0)
    make_asset_kinds()
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


def enquiry(name: str, *, days_ago: int = 0, code: object = None, postcode: str = "OL4 1AA") -> object:
    at = AT - timedelta(days=days_ago)
    found = applying.start(full_name=name, email="a@example.org", at=at, champion=code)
    told = {
        "address": "1 Road",
        "postcode": postcode,
        "mpan": new_mpan(),
        "tenure": "owner",
        "smart_meter": "yes",
    }
    applying.answer(application_id=found.pk, given=told, at=at)
    return found


def decided(name: str, decision: str, **other: object) -> object:
    found = enquiry(name, **other)
    at = AT - timedelta(days=other.get("days_ago", 0))
    applying.submit(application_id=found.pk, at=at)
    applying.decide(application_id=found.pk, decision=decision, reason="So.", by="staff:1", at=at)
    return found


def fitted(name: str, **changes: object) -> InstallJob:
    """A home that came from a register, with its visit."""
    resident = make_resident(name)
    job = jobs.plan_job(home=resident.home, at=AT - timedelta(days=30), by="staff:1")
    state = changes.pop("hub", None)
    if state:
        ven = {"ven_id": f"VEN-{name}", "commissioned_at": AT} if state == "commissioned" else {}
        job.hub = Hub.objects.create(home=resident.home, serial=name, state=state, **ven)
        if "asset" in changes:
            install_asset(hub=job.hub, kind_code="ev_charger", name="Car", at=AT)
            changes.pop("asset")
    for field, value in changes.items():
        setattr(job, field, value)
    job.save()
    return job


@pytest.fixture
def everybody(mo: Client) -> None:
    jo = inviting.make_champion(code="CALDER-JO", name="Jo", reward_pence=500, by="staff:1", at=AT)
    enquiry("Ann Asks", days_ago=20)
    enquiry("=HYPERLINK(1)", code=jo)
    waiting = enquiry("Wil Waits", days_ago=3, postcode="HX7 8AA")
    applying.submit(application_id=waiting.pk, at=AT - timedelta(days=2))
    decided("Ada Agrees", "approved")
    decided("Dee Declined", "declined")
    fitted("planned")
    fitted("fitted", hub="planned", asset=True)
    fitted("enrolled", hub="commissioned")
    fitted("flowing", hub="commissioned", first_data_at=AT)
    fitted("live", hub="commissioned", first_data_at=AT, signed_off_at=AT, live_at=AT)


@pytest.mark.django_db
def test_every_stage_is_counted(everybody, mo):
    page = seen(mo.get(reverse("funnel")))

    assert page.faults() == []
    table = {row[0]: row[1:] for row in page.cells("stages")}
    assert {name: row[0] for name, row in table.items()} == {
        "Enquiry": "2", "Assessed": "1", "Approved": "1", "Joined": "1", "Installed": "1",
        "Provisioned": "1", "Data flowing": "1", "Live": "1",
    }  # fmt: skip
    assert table["Enquiry"] == ["2", "1", "10", ""]
    assert table["Assessed"][2:] == ["8", "80 %"], "who was declined had come so far"
    assert table["Approved"][2:] == ["6", "75 %"]
    rows = {row[0].split(" OL")[0].split(" HX")[0].split(" M15")[0]: row for row in page.cells("everybody")}
    assert "Dee Declined" not in rows
    assert rows["Ann Asks"][3] == "They have not handed it in"
    assert "20 days" in rows["Ann Asks"][2]
    assert rows["Wil Waits"][3] == "Decide"
    assert next(iter(rows)).endswith("Test Street")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("stage=assessed", ["Wil Waits"]),
        ("stage=out", ["Dee Declined"]),
        ("champion=CALDER-JO", ["=HYPERLINK(1)"]),
        ("district=hx", ["Wil Waits"]),
        ("days=20&stage=enquiry", ["Ann Asks"]),
        ("since=2026-04-06&stage=enquiry", ["=HYPERLINK(1)"]),
    ],
)
def test_filters_are_in_the_address_and_in_the_file(everybody, mo, query, names):
    page = seen(mo.get(f"{reverse('funnel')}?{query}"))
    assert page.faults() == []
    assert [row[0].rsplit(" ", 1)[0] for row in page.cells("everybody")] == names
    (link,) = page.tree.xpath("//a[contains(@href, 'funnel.csv')]/@href")

    body = mo.get(link).content.decode("utf-8-sig")
    assert [row["name"].lstrip("'") for row in csv.DictReader(io.StringIO(body))] == names
    assert "\n=HYPERLINK" not in body
    assert AuditEntry.objects.filter(verb="funnel.exported").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["stage=x", "partner=x", "days=-1", "since=never", "page=99", "champion=%27"]
)
def test_an_odd_address_shows_what_there_is(everybody, mo, query):
    assert mo.get(f"{reverse('funnel')}?{query}").status_code == 200


@pytest.mark.django_db
def test_it_reads_everybody_in_as_many_statements(everybody, mo):
    with CaptureQueriesContext(
        connection,
    ) as few:
        mo.get(reverse("funnel"))
    for number in range(5):
        enquiry(f"More {number}")
        fitted(f"more-{number}", hub="commissioned")
    with CaptureQueriesContext(connection) as more:
        mo.get(reverse("funnel"))

    assert len(more) == len(few), "the keys of all names shown come in one statement"


@pytest.mark.django_db
def test_strangers_do_not_have_the_file(visit, coop, alice, sam):
    url = reverse("funnel_csv")
    assert visit(None).get(url).status_code == 302
    for user in (alice.user, sam):
        assert visit(user).get(url).status_code == 403


PLACES = st.lists(st.tuples(st.sampled_from(list(ORDER)), st.booleans()), max_size=60)


@given(PLACES)
def test_counts_fit_each_other(places):
    found = [
        Entry(stage, AT, AT, "declined" if is_out else "", "", None, None, None, None, "", "", "")
        for stage, is_out in places
    ]
    rows = conversion(found, AT)

    reached = [each.reached for each in rows]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] == len(found)
    assert sum(each.here for each in rows) == sum(not is_out for _stage, is_out in places)
    assert all(each.share_pct is None or 0 <= each.share_pct <= 100 for each in rows)
