"""Pages of partners: their own totals and nothing else; staff's page of links; the member's answer."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from members import partnering
from members.models import Granularity, Purpose, Role
from members.partner_models import Partner, PartnerAccount, PartnerHome
from metering.models import PartnerDay, PartnerMonth
from opendsr.kernel import clock
from tests.factories import make_consent_texts, make_home, make_resident, make_staff
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
MARCH = date(2026, 3, 1)
Visit = Callable[[object], Client]


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)


@pytest.fixture
def partner(db: None) -> Partner:
    return partnering.make_partner(name="Calder Homes", by="staff:1", at=AT)


@pytest.fixture
def pat(partner: Partner, visit: Visit) -> Client:
    """Somebody of the partner, signed in."""
    return visit(partnering.open_account(partner=partner, email="pat@calder.example", by="staff:1", at=AT))


@pytest.fixture
def mo(visit: Visit) -> Client:
    """Staff: member services, signed in."""
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


@pytest.fixture
def told(partner: Partner) -> PartnerMonth:
    """March: one day withheld, the others of 20 homes and 240 kWh."""
    month = PartnerMonth.objects.create(
        partner_id=partner.pk, starts_on=MARCH, homes=20, stream_ids=[], told_at=AT
    )
    PartnerDay.objects.create(month=month, day=MARCH, withheld="stands_out")
    for number in range(1, 31):
        day = MARCH + timedelta(days=number)
        PartnerDay.objects.create(month=month, day=day, homes=20, import_wh=240_000, export_wh=0)
    return month


def test_a_partner_comes_to_its_totals_and_sees_no_other_page(pat, told):
    assert pat.get("/").url == reverse("partner_home")
    page = seen(pat.get(reverse("partner_home")))

    assert page.faults() == []
    assert page.heading == "Calder Homes"
    assert "Your homes in the co-op 0 Counted in March 2026 20" in page.text()
    march = next(row for row in page.cells("totals") if row[0] == "Mar 2026")
    assert march == ["Mar 2026", "20", "7,200.0", "30 of 31 days (one home would stand out)"]
    for name in ("data_health", "import_list", "campaign_list", "partner_list", "round_list"):
        assert pat.get(reverse(name)).status_code == 403, name
    assert pat.get(reverse("usage")).url == reverse("home")


def test_days_and_weeks_and_the_file_say_the_same(pat, told):
    days = seen(pat.get(reverse("partner_home"), {"view": "day"})).cells("totals")
    assert len(days) == 31
    assert days[-1] == ["Sun 1 Mar", "–", "–", "Withheld: one home would stand out"]
    weeks = seen(pat.get(reverse("partner_home"), {"view": "week", "day": "2026-03-29"})).cells("totals")
    assert weeks[0] == ["23 Mar – 29 Mar 2026", "20", "1,680.0", ""]
    assert len(weeks) == 5

    rows = list(csv.DictReader(io.StringIO(pat.get(reverse("partner_csv")).content.decode("utf-8-sig"))))
    assert [rows[0]["withheld"], rows[0]["import_wh"], rows[1]["import_wh"]] == ["stands_out", "", "240000"]
    assert len(rows) == 31


@pytest.mark.parametrize("query", ["?view=nope", "?view=day&day=x", "?day=9999-12-31", "?day=0001-01-01"])
def test_an_odd_address_shows_what_there_is(pat, told, query):
    assert pat.get(reverse("partner_home") + query).status_code == 200


def test_before_the_first_month_the_page_says_when_it_comes(pat):
    page = seen(pat.get(reverse("partner_home")))

    assert "A month is told 5 days after its end." in page.text()
    assert page.faults() == []
    assert len(pat.get(reverse("partner_csv")).content.decode().splitlines()) == 1


def test_a_partner_does_not_see_another_partners_totals(visit, told):
    other = partnering.make_partner(name="Other", by="staff:1", at=AT)
    user = partnering.open_account(partner=other, email="o@other.example", by="staff:1", at=AT)

    assert "240" not in visit(user).get(reverse("partner_csv")).content.decode()


def test_staff_make_a_partner_and_its_account(mo):
    page = mo.post(reverse("partner_list"), {"name": "Calder Homes"}, follow=True)
    assert seen(page).faults() == []
    partner = Partner.objects.get()
    url = reverse("partner_detail", args=[partner.pk])

    assert mo.post(reverse("partner_list"), {"name": "Calder Homes"}).status_code == 422
    assert mo.post(reverse("partner_list"), {"name": "\x00"}).status_code in (400, 422)
    assert seen(mo.get(reverse("partner_list"))).faults() == []
    assert mo.post(url, {"do": "account", "email": "mo@example.org"}).status_code == 422
    assert mo.post(url, {"do": "account", "email": "pat@calder.example"}).status_code == 302
    account = PartnerAccount.objects.get()
    assert "pat@calder.example" in seen(mo.get(url)).text()
    mo.post(url, {"do": "close", "user": "x"})
    mo.post(url, {"do": "close", "user": account.pk})
    assert not PartnerAccount.objects.exists()


def test_staff_check_link_correct_and_take_the_refused_rows_away(mo, partner):
    make_home(name="1 Mill Lane")
    url = reverse("partner_detail", args=[partner.pk])
    text = "home,starts_on\n1 Mill Lane,2026-03-01\nNowhere,2026-03-01\n"

    checked = mo.post(
        url, {"do": "check", "file": SimpleUploadedFile("h.csv", b"\xef\xbb\xbf" + text.encode())}
    )
    page = seen(checked)
    assert page.faults() == []
    assert page.cells("rejects")[0][:3] == ["3", "home", "Nowhere"]
    assert page.tree.xpath("//textarea")[0].text.strip() == text.strip()
    assert not PartnerHome.objects.exists()
    file = mo.post(url, {"do": "rejects", "rows": text})
    assert "Nowhere,2026-03-01,,3,home,Nowhere," in file.content.decode()

    stored = seen(mo.post(url, {"do": "link", "rows": text}))
    assert "What was linked" in stored.text()
    assert stored.cells("homes") == [["1 Mill Lane", "Sun 1 Mar 2026", ""]]
    assert mo.post(url, {"do": "link", "rows": text.replace("Nowhere", "1 Mill Lane")}).status_code == 200
    assert mo.post(url, {"do": "link", "rows": "home,starts_on\n1 Mill Lane,2026-03-01\n"}).status_code == 302


@pytest.mark.parametrize(
    "data",
    [
        {}, {"rows": " "}, {"rows": "a,b\n1,2"}, {"rows": "x" * 2_000_001},
        {"file": SimpleUploadedFile("h.csv", "home,starts_on\né".encode("latin-1"))},
        {"file": SimpleUploadedFile("h.csv", b"")},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_list_of_homes_is_told(mo, partner, data):
    response = mo.post(reverse("partner_detail", args=[partner.pk]), {"do": "check", **data})

    assert response.status_code == 422
    assert seen(response).faults() == []


def test_a_member_agrees_and_takes_it_back(alice, carol, visit, partner):
    make_consent_texts()
    row = f"home,starts_on\n{alice.home.mpan},2026-03-01\n"
    partnering.link_homes(partner=partner, text=row, by="staff:1", at=AT)
    client, url = visit(alice.user), reverse("answer_landlord", args=[alice.occupancy.pk])
    consents = alice.occupancy.consents.filter(purpose=Purpose.PARTNER_TOTALS)

    page = seen(client.get(reverse("usage")))
    assert page.faults() == []
    assert "Totals for Calder Homes" in page.text()
    assert "so your home is not counted" in page.text()
    assert "Calder Homes" not in seen(visit(carol.user).get(reverse("usage"))).text()
    assert visit(carol.user).post(url, {"answer": "agree"}).status_code == 404
    for _ in range(2):
        assert "from the next month on" in seen(client.post(url, {"answer": "agree"}, follow=True)).text()
    assert consents.get().granularity == Granularity.DAILY
    clock.configure(AT + timedelta(days=1), speed=0)
    assert "not counted any more" in seen(client.post(url, {"answer": "withdraw"}, follow=True)).text()
    assert consents.get().ends_at == AT + timedelta(days=1)


def test_without_words_to_agree_to_nothing_is_asked(visit, partner):
    dana = make_resident("Dana Dale", email="dana@example.org", consents=())
    row = f"home,starts_on\n{dana.home.mpan},2026-03-01\n"
    partnering.link_homes(partner=partner, text=row, by="staff:1", at=AT)

    assert "Calder Homes" not in seen(visit(dana.user).get(reverse("usage"))).text()
    url = reverse("answer_landlord", args=[dana.occupancy.pk])
    assert visit(dana.user).post(url, {"answer": "agree"}, follow=True).status_code == 200
    assert not dana.occupancy.consents.exists()


def test_a_new_account_chooses_its_password_by_the_link_and_lands_on_the_totals(partner, told):
    partnering.open_account(partner=partner, email="pat@calder.example", by="staff:1", at=AT)
    client = Client()
    client.post(reverse("account_reset_password"), {"email": "pat@calder.example"})
    (letter,) = mail.outbox
    link = re.search(r"http://\S+", str(letter.body))
    assert link is not None
    page = client.get(link.group(), follow=True)
    words = "a brand new staple 7"
    client.post(page.request["PATH_INFO"], {"password1": words, "password2": words})

    inside = Client()
    signed_in = inside.post(
        reverse("account_login"), {"login": "pat@calder.example", "password": words}, follow=True
    )

    assert signed_in.request["PATH_INFO"] == reverse("partner_home")
