"""From the first enquiry to a membership, by pages: alone, invited, with a second home, a housemate."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from assets.job_models import InstallJob
from members import applying, assessing, inviting, terms
from members.assessing import Particulars, assess
from members.enquiry_models import (
    Application,
    JoiningRules,
    Otherwise,
    PartnerProperty,
    Shareholding,
    TermsAcceptance,
    TermsText,
)
from members.models import Consent, Home, Member, Occupancy, Purpose, Role, User
from members.partner_models import PartnerHome
from members.partnering import make_partner
from members.supply_models import Supply
from opendsr.kernel import blind_index, clock, outbox
from opendsr.kernel.models import DataKey
from tests.factories import (
    make_asset_kinds,
    make_consent_texts,
    make_staff,
    new_mpan,
)
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
Visit = Callable[[object], Client]
WORDS = "a brand new staple 7"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)
    make_asset_kinds()


@pytest.fixture
def mo(visit: Visit) -> Client:
    """Staff: member services, signed in."""
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


@pytest.fixture
def words() -> None:
    """All that has to be published before somebody can join."""
    make_consent_texts()
    terms.publish_terms(kind="assurance", body="It costs nothing. An electrician comes.", at=AT, by="staff:1")
    terms.publish_terms(kind="terms", body="One member, one vote.", at=AT, by="staff:1")


def home(**other: str) -> dict[str, str]:
    return {
        "address": "3 Mill Lane", "postcode": "ol4 1aa", "mpan": new_mpan(), "tenure": "owner",
        "supplier": "Any Energy", "payment_method": "prepayment", **other,
    }  # fmt: skip


def things(**other: object) -> dict[str, object]:
    return {"smart_meter": "yes", "asset_kinds": ["ev_charger"], **other}


def hand_in(client: Client, *, who: dict[str, str] | None = None, **answers: str) -> Application:
    """Walk the public pages to the end of the questions."""
    who = {"full_name": "Nia New", "email": "nia@example.org", **(who or {})}
    assert client.post(reverse("join"), who).status_code == 302
    page = seen(client.get(reverse("join_home")))
    assert page.faults() == []
    assert client.post(reverse("join_home"), home(**answers)).url == reverse("join_things")
    assert client.post(reverse("join_things"), things()).url == reverse("join_check")
    check = seen(client.get(reverse("join_check")))
    assert check.faults() == []
    assert ("In advance (prepayment)" in check.text()) == (answers.get("payment_method") != "")
    assert client.post(reverse("join_check")).url == reverse("join_standing")
    return Application.objects.get(pk=client.session["application"])


def link_in(letter: object) -> str:
    found = re.search(r"http://testserver(\S+)", str(letter.body))
    assert found is not None
    return found.group(1)


def agreement(**other: object) -> dict[str, object]:
    sha = TermsText.objects.filter(kind="terms").latest("version").body_sha256
    return {
        "has_read": "on", "accepts": "on", "terms": sha, "shares": "5", "password": WORDS, "again": WORDS,
        **other,
    }  # fmt: skip


def test_the_story_of_somebody_who_joins(visit, mo, words):
    client = visit(None)
    start = seen(client.get(reverse("join")))
    assert start.faults() == []
    assert "It costs nothing. An electrician comes." in start.text()
    application = hand_in(client)
    assert "looks at it" in seen(client.get(reverse("join_standing"))).text()
    assert b"nia@example.org" not in bytes(application.answers_sealed)

    page = mo.get(reverse("enquiry_page", args=[application.pk]))
    assert seen(page).faults() == []
    assert "It looks as if you can take part" in seen(page).text()
    assert "Nia New" in seen(mo.get(reverse("funnel"))).text()
    mo.post(reverse("enquiry_page", args=[application.pk]), {"decision": "approved", "reason": "Welcome."})
    first, approved = mail.outbox
    assert approved.to == ["nia@example.org"]
    assert "Welcome." in approved.body

    # The session that asked is not enough: the address has to be proved.
    assert client.get(reverse("join_agree")).url == reverse("join_standing")
    assert not Member.objects.exists()
    later = Client()
    agree = seen(later.get(link_in(approved), follow=True))
    assert agree.faults() == []
    assert "One member, one vote." in agree.text()
    assert later.post(reverse("join_agree"), agreement(accepts="")).status_code == 422
    assert later.post(reverse("join_agree"), agreement(shares="0")).status_code == 422
    assert later.post(reverse("join_agree"), agreement(password="abc", again="abc")).status_code == 422
    done = later.post(
        reverse("join_agree"), agreement(consent_flexibility="on", consent_settlement="on"), follow=True
    )
    member = Member.objects.get()
    assert f"you are member {member.number}" in seen(done).text()
    assert (member.full_name, member.user.email) == ("Nia New", "nia@example.org")
    accepted = TermsAcceptance.objects.get(member=member)
    assert accepted.body_sha256 == hashlib.sha256(b"One member, one vote.").hexdigest()
    holding = Shareholding.objects.get(member=member)
    assert (holding.shares, holding.value_pence, holding.paid_at) == (5, 500, None)
    stay = Occupancy.objects.get(household=member.household)
    assert (stay.home.postcode, stay.home.gsp_group, stay.starts_at) == ("OL4 1AA", "G", AT)
    assert stay.streams.count() == 1
    assert [(each.supplier, each.payment_method, each.starts_on) for each in stay.supplies.all()] == [
        ("Any Energy", "prepayment", AT.date())
    ]
    given = {(each.purpose, each.granularity) for each in Consent.objects.filter(occupancy=stay)}
    assert given == {("flexibility", "none"), ("settlement", "half_hourly")}
    outbox.drain()
    assert InstallJob.objects.get(home=stay.home).state == "planned", "a visit is planned by itself"
    assert later.post(reverse("account_login"), {"login": "nia@example.org", "password": WORDS}).url == "/"
    assert later.get(link_in(first), follow=True).status_code == 200
    assert later.post(reverse("join_agree"), agreement()).url == reverse("join_standing")
    mo.post(reverse("enquiry_page", args=[application.pk]), {"do": "paid"})
    holding.refresh_from_db()
    assert holding.paid_at == AT


def test_it_is_left_and_taken_up_again_by_the_link(visit, words):
    client = visit(None)
    client.post(reverse("join"), {"full_name": "Nia New", "email": "Nia@Example.org"})
    (letter,) = mail.outbox
    client.post(reverse("join_home"), home())
    later = Client()
    assert later.get(reverse("join_home")).url == reverse("join")

    assert later.get(link_in(letter)).url == reverse("join_things")
    page = seen(later.get(reverse("join_home")))
    assert page.tree.xpath("//input[@name='address']/@value") == ["3 Mill Lane"]
    assert later.get(reverse("join_check")).url == reverse("join_things")
    clock.configure(AT + timedelta(days=1), speed=0)
    assert later.get(link_in(letter)[:-3] + "x/").status_code == 404


def test_an_odd_mpan_is_asked_about_once(visit):
    client = visit(None)
    client.post(reverse("join"), {"full_name": "Nia New", "email": "nia@example.org"})
    right = new_mpan()
    odd = right[:12] + str((int(right[12]) + 1) % 10)

    asked = client.post(reverse("join_home"), home(mpan=odd))
    assert asked.status_code == 422
    assert "The last digit does not fit" in seen(asked).text()
    assert seen(asked).tree.xpath("//input[@name='mpan_is_right' and @type='checkbox']")
    assert client.post(reverse("join_home"), home(mpan=odd, mpan_is_right="on")).status_code == 302


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mpan", "12"),
        ("postcode", "nowhere"),
        ("tenure", "x"),
        ("address", "\x00"),
        ("tenure", "private"),
        ("payment_method", "cheque"),
        ("payment_method", "not_said"),
        ("supplier", "E" * 61),
    ],
)
def test_what_cannot_be_kept_is_said_at_the_field(visit, name, value):
    client = visit(None)
    client.post(reverse("join"), {"full_name": HOSTILE, "email": "nia@example.org"})
    response = client.post(reverse("join_home"), home(**{name: value}))

    assert response.status_code == 422
    assert seen(response).faults() == []
    assert HOSTILE not in response.content.decode()


def test_rules_are_data_and_keep_their_versions(mo):
    url = reverse("joining_rules")
    assert seen(mo.get(url)).faults() == []
    given = {
        "postcode_areas": "ol, m15", "area": "decline", "smart_meter": "ask", "asset_kinds": ["ev_charger"],
        "assets": "decline", "landlord": "ask", "share_value_pence": "2500", "least_shares": "2",
        "most_shares": "50",
    }  # fmt: skip
    assert mo.post(url, given).status_code == 302
    assert mo.post(url, given | {"postcode_areas": "Oldham!"}).status_code == 422
    assert mo.post(url, given | {"most_shares": "1"}).status_code == 422
    mo.post(url, given | {"postcode_areas": ""})

    first, second = JoiningRules.objects.order_by("version")
    assert (first.postcode_areas, second.postcode_areas) == (["OL", "M15"], [])
    assert assessing.rules_in_force(AT) == second
    with pytest.raises(IntegrityError), transaction.atomic():
        JoiningRules.objects.update(share_value_pence=1)


FITS = Particulars("OL4 1AA", "yes", frozenset({"ev_charger"}), "owner", "")


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (FITS, "ignore"),
        (Particulars("M15 5RF", "yes", frozenset({"ev_charger"}), "owner", ""), "ignore"),
        (Particulars("M1 5RF", "yes", frozenset({"ev_charger"}), "owner", ""), "decline"),
        (Particulars("OL4 1AA", "unsure", frozenset({"ev_charger"}), "owner", ""), "ask"),
        (Particulars("OL4 1AA", "yes", frozenset({"battery"}), "owner", ""), "decline"),
        (Particulars("OL4 1AA", "yes", frozenset({"ev_charger"}), "private", "no"), "ask"),
        (Particulars("OL4 1AA", "yes", frozenset({"ev_charger"}), "private", "yes"), "ignore"),
        (Particulars("OL4 1AA", "no", frozenset(), "social", "no", is_partners=True), "decline"),
    ],
)
def test_the_strictest_rule_answers(told, outcome):
    rules = JoiningRules(
        version=1, postcode_areas=["OL", "M15"], asset_kinds=["ev_charger"], published_at=AT, published_by="x"
    )

    assert assess(told, rules).outcome == outcome
    free = JoiningRules(version=2, area_otherwise="ignore", smart_meter_otherwise="ignore",
                        assets_otherwise="ignore", landlord_otherwise="ignore", postcode_areas=["ZE"],
                        asset_kinds=["nothing"], published_at=AT, published_by="x")  # fmt: skip
    assert assess(told, free).outcome == Otherwise.IGNORE


def test_terms_are_looked_at_published_and_never_edited(mo, visit):
    url = reverse("terms_texts")
    assert seen(mo.get(url)).faults() == []
    looked = mo.post(url, {"kind": "terms", "body": HOSTILE, "do": "preview"})
    assert seen(looked).faults() == []
    assert HOSTILE not in looked.content.decode()
    assert not TermsText.objects.exists()
    for body in ("First.", "First.", "Second."):
        assert mo.post(url, {"kind": "terms", "body": body, "do": "publish"}).status_code == 302
    assert list(TermsText.objects.order_by("version").values_list("body", flat=True)) == ["First.", "Second."]
    with pytest.raises(IntegrityError), transaction.atomic():
        TermsText.objects.filter(version=1).update(body="Forged.")
    assert mo.post(url, {"kind": "terms", "body": " ", "do": "publish"}).status_code == 422


def test_newer_terms_have_to_be_read_again(visit, mo, words):
    client = approved(visit, mo)
    old = agreement()
    terms.publish_terms(kind="terms", body="Two votes.", at=AT, by="staff:1")

    refused = client.post(reverse("join_agree"), old)
    assert refused.status_code == 422
    assert "The terms have changed" in seen(refused).text()
    assert not Member.objects.exists()
    (kept,) = seen(refused).tree.xpath("//input[@name='terms']/@value")
    assert client.post(reverse("join_agree"), agreement(terms=kept)).status_code == 302
    assert TermsAcceptance.objects.get().text.version == 2


def approved(visit: Visit, mo: Client, **who: str) -> Client:
    """Somebody who came by the link of the letter of approval."""
    application = hand_in(visit(None), who=who)
    mo.post(reverse("enquiry_page", args=[application.pk]), {"decision": "approved", "reason": "Fine."})
    client = Client()
    client.get(link_in(mail.outbox[-1]))
    return client


def test_a_supplier_told_before_names_were_bounded_keeps_nobody_out(visit, mo, words):
    client = approved(visit, mo)
    application = Application.objects.get()
    applying._seal(application, applying.opened(application) | {"supplier": f"{'E' * 59} {'F' * 40}"})
    application.save()

    assert client.post(reverse("join_agree"), agreement()).status_code == 302
    assert Supply.objects.get().supplier == "E" * 59


def test_without_terms_nobody_can_join(visit, mo):
    client = approved(visit, mo)

    assert "has not published its terms" in seen(client.get(reverse("join_agree"))).text()
    data = {"has_read": "on", "accepts": "on", "terms": "x", "shares": "1", "password": WORDS, "again": WORDS}
    assert client.post(reverse("join_agree"), data).status_code == 422
    assert not Member.objects.exists()


def test_a_person_asks_declines_and_thinks_again(visit, mo):
    client = visit(None)
    application = hand_in(client)
    url = reverse("enquiry_page", args=[application.pk])
    assert mo.post(url, {"decision": "asked", "reason": ""}).status_code == 422
    mo.post(url, {"decision": "asked", "reason": "Which charger is it?"})
    page = seen(client.get(reverse("join_standing")))
    assert page.faults() == []
    assert "Which charger is it?" in page.text()
    client.post(reverse("join_standing"), {"question": "A Zappi."})
    assert "A Zappi." in seen(mo.get(url)).text()

    mo.post(url, {"decision": "declined", "reason": "Too far away."})
    assert "Too far away." in seen(client.get(reverse("join_standing"))).text()
    assert client.post(reverse("join_home"), home()).url == reverse("join_standing")
    mo.post(url, {"decision": "approved", "reason": "We are coming your way."})
    application.refresh_from_db()
    assert (application.state, application.decided_by[:6]) == ("approved", "staff:")
    with pytest.raises(IntegrityError), transaction.atomic():
        Application.objects.update(decision_reason="")


def test_what_was_told_is_forgotten_at_a_wish_and_after_a_year(visit, mo):
    client = visit(None)
    application = hand_in(client)
    client.post(reverse("join_withdraw"))
    application.refresh_from_db()
    assert (application.state, application.answers_sealed) == ("withdrawn", None)
    assert DataKey.objects.get(pk=application.pk).wrapped is None
    assert seen(mo.get(reverse("enquiry_page", args=[application.pk]))).faults() == []
    assert "forgotten" in seen(mo.get(reverse("funnel"), {"stage": "out"})).text()

    other = hand_in(Client(), who={"email": "late@example.org"})
    applying.decide(application_id=other.pk, decision="declined", reason="No.", by="staff:1", at=AT)
    assert applying.forget_old(at=AT + timedelta(days=364)) == 0
    assert applying.forget_old(at=AT + timedelta(days=366)) == 1
    with pytest.raises(applying.NotDecidable):
        applying.decide(application_id=other.pk, decision="approved", reason="Yes.", by="staff:1", at=AT)


def test_nobody_floods_an_address_with_letters(visit):
    answers = [
        visit(None).post(reverse("join"), {"full_name": "X", "email": "nia@example.org"}) for _ in range(7)
    ]

    assert [each.status_code for each in answers] == [302] * 6 + [422]
    assert len(mail.outbox) == 6


def test_a_tenant_comes_by_the_landlords_link(visit, mo, words):
    partner = make_partner(name="Calder Homes", by="staff:1", at=AT)
    listed = PartnerProperty.objects.create(
        partner=partner, reference="C-7", address="7 Calder Row", postcode="HX7 8AA", mpan=new_mpan()
    )
    invitation = inviting.invite_tenant(listed=listed, email="tom@example.org", by="staff:1", at=AT)
    client = visit(None)
    page = seen(client.get(reverse("join_by", args=[inviting.token_of(invitation)]), follow=True))
    assert page.faults() == []
    assert "Calder Homes invited you. They learn how many of their tenants joined, never who" in page.text()
    assert page.tree.xpath("//input[@name='email']/@value") == ["tom@example.org"]
    client.post(reverse("join"), {"full_name": "Tom Tenant", "email": "tom@example.org"})
    prefilled = seen(client.get(reverse("join_home"))).tree
    assert prefilled.xpath("//input[@name='address']/@value") == ["7 Calder Row"]
    told = home(address="7 Calder Row", postcode="HX7 8AA", mpan=listed.mpan, tenure="social",
                landlord_agrees="yes")  # fmt: skip
    client.post(reverse("join_home"), told)
    client.post(reverse("join_things"), things())
    client.post(reverse("join_check"))
    application = Application.objects.get()
    assert application.partner == partner
    mo.post(reverse("enquiry_page", args=[application.pk]), {"decision": "approved", "reason": "Fine."})
    later = Client()
    agree = seen(later.get(link_in(mail.outbox[-1]), follow=True))
    assert "Count my days in totals over many homes for my landlord" in agree.text()
    later.post(reverse("join_agree"), agreement())

    joined = Home.objects.get()
    assert PartnerHome.objects.get().home == joined
    assert not Consent.objects.exists(), "nothing is consented to by being a tenant"
    listed.refresh_from_db()
    assert listed.home == joined


def test_a_member_adds_a_second_home(alice, visit, mo, words):
    client = visit(alice.user)
    page = seen(client.get(reverse("join")))
    assert page.heading == "Add a home"
    application = hand_in(client, who={"full_name": "Alice Ash", "email": "alice@example.org"})
    mo.post(reverse("enquiry_page", args=[application.pk]), {"decision": "approved", "reason": "Fine."})
    agree = seen(client.get(reverse("join_agree")))
    assert not agree.tree.xpath("//input[@name='password' or @name='shares']")
    sha = TermsText.objects.get(kind="terms").body_sha256
    client.post(
        reverse("join_agree"),
        {"has_read": "on", "accepts": "on", "terms": sha, "consent_settlement": "on"},
    )

    assert Member.objects.count() == 1
    stays = Occupancy.objects.filter(household=alice.household, ends_at=None)
    assert stays.count() == 2
    second = stays.exclude(pk=alice.occupancy.pk).get()
    assert [each.purpose for each in second.consents.all()] == [Purpose.SETTLEMENT]
    assert seen(client.get(reverse("home"))).faults() == []


def test_a_home_somebody_lives_in_is_not_taken_over(alice, visit, mo, words):
    application = hand_in(visit(None), mpan=alice.home.mpan)
    mo.post(reverse("enquiry_page", args=[application.pk]), {"decision": "approved", "reason": "Fine."})
    client = Client()
    client.get(link_in(mail.outbox[-1]))

    refused = client.post(reverse("join_agree"), agreement())
    assert refused.status_code == 422
    assert "Somebody else is on record" in seen(refused).text()
    assert Member.objects.count() == 1
    assert not User.objects.filter(email="nia@example.org").exists()


def test_a_meter_on_an_independent_network_needs_its_gsp_group(visit, mo, words):
    application = hand_in(visit(None), mpan="2412345678901", mpan_is_right="on")
    mo.post(reverse("enquiry_page", args=[application.pk]), {"decision": "approved", "reason": "Fine."})
    client = Client()
    client.get(link_in(mail.outbox[-1]))
    assert client.post(reverse("join_agree"), agreement(gsp_group="Z")).status_code == 422
    assert client.post(reverse("join_agree"), agreement(gsp_group="_c")).status_code == 302

    assert Home.objects.get().gsp_group == "C"


def test_a_housemate_has_a_sign_in_of_their_own(alice, visit):
    invitation = inviting.invite_housemate(member=alice.member, email="ben@example.org", at=AT)
    url = reverse("join_by", args=[inviting.token_of(invitation)])
    client = visit(None)
    page = client.get(url, follow=True)
    assert seen(page).faults() == []
    assert "ben@example.org" in seen(page).text()
    data = {"full_name": "Ben Ash", "password": WORDS, "again": WORDS}
    assert client.post(page.request["PATH_INFO"], data).url == reverse("account_login")

    ben = Member.objects.get(words__contains=blind_index.words("ben ash"))
    assert ben.household == alice.household
    assert seen(visit(ben.user).get(reverse("home"))).faults() == []
    assert client.get(url).status_code == 404, "the link works once"


def test_a_housemate_may_join_with_a_passkey(alice, visit):
    invitation = inviting.invite_housemate(member=alice.member, email="ben@example.org", at=AT)
    client = visit(None)
    page = client.get(reverse("join_by", args=[inviting.token_of(invitation)]), follow=True)
    path = page.request["PATH_INFO"]
    assert client.post(path, {"full_name": "", "do": "passkey"}).status_code == 422
    assert client.post(path, {"full_name": "Ben Ash"}).status_code == 422, "a password, without a passkey"

    made = client.post(path, {"full_name": "Ben Ash", "do": "passkey"})

    assert made.url == reverse("mfa_add_webauthn")
    assert seen(client.get(made.url)).faults() == []
    ben = Member.objects.get(words__contains=blind_index.words("ben ash"))
    assert (ben.household, ben.user.has_usable_password()) == (alice.household, False)
    assert seen(client.get(reverse("home"))).faults() == []
    assert visit(None).get(path).status_code == 404


@pytest.mark.parametrize("token", ["x", "x:y:z", ""])
def test_a_forged_link_leads_nowhere(visit, token):
    for name in ("join_by", "join_continue", "join_household"):
        assert visit(None).get(f"{reverse(name, args=['T'])}".replace("/T/", f"/{token}/")).status_code == 404


def test_a_link_is_over_with_its_time_and_a_champions_with_its_code(visit):
    champion = inviting.make_champion(code="calder-jo", name="Jo", reward_pence=500, by="staff:1", at=AT)
    url = reverse("join_by", args=[inviting.token_of(champion)])
    assert "Jo sent you here" in seen(visit(None).get(url, follow=True)).text()
    client = visit(None)
    client.get(url)
    application = hand_in(client)
    assert application.champion == champion
    inviting.end_champion(champion_id=champion.pk, by="staff:1", at=AT)
    assert visit(None).get(url).status_code == 404


@pytest.mark.parametrize("name", ["funnel", "joining_rules", "terms_texts", "enquiry_page"])
def test_staff_pages_are_for_member_services(name, alice, visit, sam):
    url = reverse(name, args=["00000000-0000-4000-8000-000000000000"] if name == "enquiry_page" else [])

    assert visit(None).get(url).status_code == 302
    for user in (alice.user, sam):
        assert visit(user).get(url).status_code == 403
        if name != "funnel":
            assert visit(user).post(url).status_code == 403


def test_a_stranger_sees_nobodys_enquiry(visit):
    hand_in(visit(None))
    stranger = Client()

    for name in ("join_home", "join_things", "join_check", "join_standing", "join_agree"):
        assert stranger.get(reverse(name)).url == reverse("join")
    for name in ("join_withdraw", "join_letter"):
        assert stranger.post(reverse(name)).url == reverse("join")
        assert stranger.get(reverse(name)).status_code == 405
    assert Application.objects.get().state == "submitted"


def test_the_address_is_not_readable_in_the_database(visit):
    hand_in(visit(None), who={"full_name": "Canary Zebedee", "email": "canary@example.org"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM members_application a WHERE a::text LIKE '%%anary%%'")
        assert cursor.fetchone()[0] == 0
