"""A partner's look, list and invitations, and a tenancy that changes: the hub stays, the rest does not."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assets.job_models import InstallJob
from members import applying, inviting, partnering, tenancies
from members.enquiry_models import Application, Invitation, PartnerProperty
from members.models import Consent, Occupancy, Role
from members.partner_models import Partner
from members.queries import consents_in_force
from opendsr.kernel import clock, outbox
from tests.factories import make_asset_kinds, make_hub, make_staff, new_mpan
from tests.web.pages import seen
from tests.web.test_joining import agreement, things
from tests.web.test_joining import words as words

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
Visit = Callable[[object], Client]
HEADER = "reference,address,postcode,mpan,email\n"


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)
    make_asset_kinds()


@pytest.fixture
def partner(db: None) -> Partner:
    return partnering.make_partner(name="Calder Homes", by="staff:1", at=AT)


@pytest.fixture
def pat(partner: Partner, visit: Visit) -> Client:
    return visit(partnering.open_account(partner=partner, email="pat@calder.example", by="staff:1", at=AT))


@pytest.fixture
def mo(visit: Visit) -> Client:
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


def test_a_partner_lists_properties_and_invites_tenants(pat, partner):
    url = reverse("partner_properties")
    assert seen(pat.get(url)).faults() == []
    rows = HEADER + f"C-7,7 Calder Row,hx7 8aa,{new_mpan()},tom@example.org\nC-8,8 Calder Row,HX7 8AA,,\n"
    rows += "C-8,9 Calder Row,HX7 8AA,,\nC-9,,HX7 8AA,,\nC-10,=1+1,x,,\n"

    checked = seen(pat.post(url, {"rows": rows, "do": "check"}))
    assert checked.faults() == []
    assert [row[:3] for row in checked.cells("rejects")] == [
        ["4", "reference", "C-8"], ["5", "address", ""], ["6", "postcode", "x"],
    ]  # fmt: skip
    assert not PartnerProperty.objects.exists()
    assert mail.outbox == []
    assert "C-10,'=1+1" in pat.post(url, {"rows": rows, "do": "rejects"}).content.decode()
    taken = pat.post(url, {"rows": rows, "do": "take"})
    assert seen(taken).faults() == []
    assert partner.properties.count() == 2
    (letter,) = mail.outbox
    assert letter.to == ["tom@example.org"]
    assert "Calder Homes invites you" in letter.subject
    again = seen(pat.post(url, {"rows": HEADER + "C-8,8a Calder Row,HX7 8AA,,\n", "do": "take"}))
    assert again.faults() == []
    assert partner.properties.get(reference="C-8").address == "8a Calder Row"
    assert pat.post(url, {"rows": "a\nb", "do": "take"}).status_code == 422


def test_whom_it_reaches_is_not_told(pat, partner):
    """Numbers come by the month and from fifteen on, so that no tenant is found out."""
    listed = PartnerProperty.objects.create(
        partner=partner, reference="C-7", address="7 Row", postcode="HX7 8AA"
    )
    for number in range(15):
        invitation = inviting.invite_tenant(listed=listed, email=f"t{number}@example.org", by="x", at=AT)
        Application.objects.create(
            state="withdrawn", since=AT, started_at=AT, partner=partner, invitation=invitation
        )
    figures = seen(pat.get(reverse("partner_properties"))).text("//dl")
    assert figures.startswith("Invited before this month 0 Of them joined –")
    clock.configure(AT + timedelta(days=30), speed=0)
    figures = seen(pat.get(reverse("partner_properties"))).text("//dl")
    assert figures.startswith("Invited before this month 15 Of them joined 0")
    assert "@" not in seen(pat.get(reverse("partner_properties"))).text()


def test_addresses_of_old_invitations_are_forgotten(partner):
    listed = PartnerProperty.objects.create(
        partner=partner, reference="C-7", address="7 Row", postcode="HX7 8AA"
    )
    invitation = inviting.invite_tenant(listed=listed, email="tom@example.org", by="x", at=AT)
    assert inviting.address_of(invitation) == "tom@example.org"
    assert inviting.forget_old(at=AT + timedelta(days=89)) == 0
    assert inviting.forget_old(at=AT + timedelta(days=91)) == 1
    assert inviting.forget_old(at=AT + timedelta(days=91)) == 0
    assert bytes(Invitation.objects.get().email_sealed) == b""


def logo(form: str = "PNG") -> SimpleUploadedFile:
    written = io.BytesIO()
    Image.new("RGB", (900, 300), "navy").save(written, form)
    return SimpleUploadedFile("logo", written.getvalue())


def test_a_partners_look_is_on_the_pages_its_tenants_come_to(pat, partner, visit):
    url = reverse("partner_brand")
    assert seen(pat.get(url)).faults() == []
    given = {"shown_name": "Calder", "colour": "#1D4F8C", "welcome": "Warm homes for all."}
    assert pat.post(url, {**given, "logo": logo("JPEG")}).status_code == 302
    partner.refresh_from_db()
    with Image.open(io.BytesIO(bytes(partner.logo))) as kept:
        assert (kept.format, kept.size) == ("PNG", (480, 160))
    assert seen(pat.get(url)).faults() == []
    listed = PartnerProperty.objects.create(
        partner=partner, reference="C-7", address="7 Row", postcode="HX7 8AA"
    )
    invitation = inviting.invite_tenant(listed=listed, email="tom@example.org", by="x", at=AT)
    page = seen(visit(None).get(reverse("join_by", args=[inviting.token_of(invitation)]), follow=True))
    assert page.faults() == []
    assert "Calder invited you." in page.text()
    assert "Warm homes for all." in page.text()
    css = visit(None).get(reverse("brand_css", args=[partner.pk]))
    assert "background: #1d4f8c" in css.content.decode()
    image = visit(None).get(reverse("brand_logo", args=[partner.pk]))
    assert image["Content-Type"] == "image/png"
    pat.post(url, {**given, "colour": "", "drops_logo": "on"})
    for name in ("brand_css", "brand_logo"):
        assert visit(None).get(reverse(name, args=[partner.pk])).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "#ffff00"}, {"colour": "red"}, {"colour": "#12345"}, {"welcome": "x" * 501},
        {"logo": SimpleUploadedFile("l.svg", b"<svg/>")},
    ],
    ids=str,
)  # fmt: skip
def test_a_look_that_cannot_be_is_said(pat, partner, wrong):
    answer = pat.post(reverse("partner_brand"), wrong)

    assert answer.status_code == 422
    assert seen(answer).faults() == []
    partner.refresh_from_db()
    assert (partner.colour, partner.logo) == ("", None)


@given(st.integers(0, 0xFFFFFF))
def test_contrast_is_that_of_wcag(number):
    colour = f"#{number:06x}"

    assert 1 <= tenancies.contrast_to_white(colour) <= 21.000001
    assert tenancies.contrast_to_white("#000000") == pytest.approx(21)
    assert tenancies.contrast_to_white("#767676") == pytest.approx(4.54, abs=0.01)


def test_a_tenancy_changes_and_the_hub_stays(alice, mo, partner, visit, words):
    kit = make_hub(alice.home, through_vtn=False)
    row = f"home,starts_on\n{alice.home.mpan},2026-03-01\n"
    partnering.link_homes(partner=partner, text=row, by="staff:1", at=AT)
    url = reverse("tenancy_change", args=[partner.pk])
    assert seen(mo.get(url)).faults() == []
    data = {"home": alice.home.pk, "ended_on": "2026-04-01", "new_email": "tom@example.org"}
    shown = seen(mo.post(url, {**data, "do": "check"}))
    assert shown.faults() == []
    assert f"Hub {kit.hub.serial} stays, with its certificate." in shown.text()
    assert mo.post(url, {**data, "ended_on": "2026-05-01", "do": "confirm"}).status_code == 422
    assert Consent.objects.filter(ends_at__isnull=False).count() == 0
    assert mo.post(url, {**data, "do": "confirm"}).status_code == 302
    assert mo.post(url, {**data, "do": "confirm"}).status_code == 422, "nobody lives there any more"

    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at == datetime(2026, 3, 31, 23, tzinfo=UTC)
    assert set(Consent.objects.values_list("end_reason", flat=True)) == {"moved_house"}

    tenant = Client()
    tenant.get(re.search(r"http://testserver(\S+)", mail.outbox[-1].body).group(1))
    tenant.post(reverse("join"), {"full_name": "Tom Tenant", "email": "tom@example.org"})
    known = seen(tenant.get(reverse("join_home"))).tree
    assert known.xpath("//input[@name='mpan']/@value") == [alice.home.mpan]
    told = {"address": "7 Row", "postcode": "M15 5RF", "mpan": alice.home.mpan, "tenure": "social",
            "landlord_agrees": "yes"}  # fmt: skip
    tenant.post(reverse("join_home"), told)
    tenant.post(reverse("join_things"), things())
    tenant.post(reverse("join_check"))
    application = Application.objects.get()
    applying.decide(application_id=application.pk, decision="approved", reason="Fine.", by="staff:1", at=AT)
    token = applying.link_token(application)
    later = Client()
    later.get(reverse("join_continue", args=[token]))
    assert later.post(reverse("join_agree"), agreement(consent_settlement="on")).status_code == 302

    new = Occupancy.objects.get(home=alice.home, ends_at=None)
    assert new.household != alice.household
    assert new.streams.get().stream_id != alice.stream_id
    assert [each.purpose for each in consents_in_force([new.pk], AT)] == ["settlement"]
    kit.hub.refresh_from_db()
    assert (kit.hub.state, kit.hub.home) == ("commissioned", alice.home)
    outbox.drain()
    assert not InstallJob.objects.exists(), "a hub works there already"
    assert alice.home.partner_links.count() == 1


def test_strangers_have_no_say_about_a_partners_homes(alice, sam, pat, partner, visit):
    other = partnering.make_partner(name="Other", by="staff:1", at=AT)
    for name in ("partner_properties_of", "partner_brand_of", "tenancy_change"):
        url = reverse(name, args=[other.pk])
        assert visit(None).get(url).status_code == 302
        for client in (visit(alice.user), visit(sam), pat):
            assert client.get(url).status_code == 403
            assert client.post(url).status_code == 403
    for name in ("partner_properties", "partner_brand"):
        assert visit(None).get(reverse(name)).status_code == 302
        for user in (alice.user, sam):
            assert visit(user).get(reverse(name)).status_code == 404
            assert visit(user).post(reverse(name)).status_code == 404
