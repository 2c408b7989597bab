"""Guided steps by the pages: what will happen is shown first; then moving, leaving, a death, a new meter."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from assets.job_models import InstallJob
from assets.models import Cad
from members import joining, terms
from members.enquiry_models import Shareholding
from members.models import Consent, Home, Member, Occupancy, Role
from members.queries import consents_in_force
from members.rights_models import RightsRequest
from members.supply_models import Supply
from opendsr.kernel import blind_index, clock, outbox
from opendsr.kernel.models import AuditEntry
from settlement.models import BankDetail
from tests.factories import (
    JOINED_AT,
    PASSWORD,
    make_consent_texts,
    make_home,
    make_hub,
    make_member,
    make_staff,
    new_mpan,
)
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = JOINED_AT + timedelta(days=100, hours=3)
Visit = Callable[[object], Client]
HOSTILE = "<script>x</script>"
TOWARDS = {"address": "9 New Row", "postcode": "ol4 1aa"}


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)
    make_consent_texts()


@pytest.fixture
def mo(visit: Visit) -> Client:
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


def url(member: Member, step: str) -> str:
    return reverse("step_page", args=[member.number, step])


def take(client: Client, member: Member, step: str, **data: object) -> str:
    """Show what will happen, check that nothing has, confirm; return the words shown."""
    before = counts()
    shown = client.post(url(member, step), {**data, "do": "check"})
    assert shown.status_code == 200
    page = seen(shown)
    assert page.faults() == []
    assert counts() == before
    done = client.post(url(member, step), {**data, "do": "confirm"})
    assert done.status_code == 302, seen(done).text()
    return page.text("//*[@aria-labelledby='effects']")


def counts() -> tuple[int, ...]:
    ended = Consent.objects.filter(ends_at__isnull=False).count()
    gone = Member.objects.filter(left_at__isnull=False).count()
    return Home.objects.count(), Occupancy.objects.count(), ended, gone, Member.objects.count()


def test_a_household_moves(alice, bob, visit):
    kit = make_hub(alice.home, kinds=("ev_charger",), through_vtn=False)
    client = visit(alice.user)
    page = seen(client.get(reverse("household_page", args=[alice.member.number])))
    assert page.faults() == []
    assert "Bob Ash" in page.text()
    assert seen(client.get(url(alice.member, "move"))).faults() == []
    supply = {"supplier": "Hill Power", "payment_method": "prepayment"}
    data = TOWARDS | supply | {"stay": alice.occupancy.pk, "moved_on": "2025-09-09", "mpan": new_mpan()}

    words = take(client, alice.member, "move", **data, consent_settlement="on")

    assert "“Control my assets in campaigns” for" in words
    assert f"Hub {kit.hub.serial} stays in the home" in words
    assert "£0.00 on the account are paid out with the next batch, however little." in words
    old, new = Occupancy.objects.order_by("starts_at")
    assert old.ends_at == new.starts_at
    assert f"{new.starts_at:%Y-%m-%d %H:%M}" == "2025-09-08 23:00", "the London day began in the UTC evening"
    assert (new.household, new.home.postcode) == (alice.household, "OL4 1AA")
    assert [each.purpose for each in consents_in_force([new.pk], AT)] == ["settlement"]
    assert consents_in_force([old.pk], AT) == []
    told = [(each.occupancy_id, each.starts_on.isoformat()) for each in Supply.objects.filter(**supply)]
    assert told == [(new.pk, "2025-09-09")]
    assert set(old.consents.values_list("end_reason", flat=True)) == {"moved_house"}
    kit.hub.refresh_from_db()
    assert (kit.hub.home, kit.hub.state) == (alice.home, "commissioned")
    outbox.drain()
    assert InstallJob.objects.get().home == new.home
    assert seen(client.get(reverse("home"))).faults() == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"moved_on": "2025-09-11"}, "Choose today or a day that has passed."),
        ({"moved_on": "2025-06-01"}, "before the household moved in"),
        ({"mpan": "1234567890123"}, "The last digit does not fit"),
        ({"postcode": "x"}, "Write the postcode as in"),
        ({"stay": "x"}, "Select a valid choice"),
        ({"supplier": "E" * 61}, "at most 60 characters"),
        ({"payment_method": "cheque"}, "Select a valid choice"),
    ],
)
def test_a_move_that_cannot_be_is_said(alice, visit, wrong, words):
    data = TOWARDS | {"stay": alice.occupancy.pk, "moved_on": "2025-09-09", "mpan": new_mpan()} | wrong
    answer = visit(alice.user).post(url(alice.member, "move"), {**data, "do": "confirm"})

    assert answer.status_code == 422
    assert words in seen(answer).text()
    assert Occupancy.objects.count() == 1


def test_who_supplies_the_new_home_and_how_it_is_paid_need_not_be_said(alice, visit):
    data = TOWARDS | {"stay": alice.occupancy.pk, "moved_on": "2025-09-09", "mpan": new_mpan()}

    answer = visit(alice.user).post(url(alice.member, "move"), {**data, "supplier": " ", "do": "confirm"})

    assert (answer.status_code, Occupancy.objects.count(), Supply.objects.count()) == (302, 2, 0)


def test_nobody_moves_into_a_neighbours_home(alice, carol, visit):
    data = TOWARDS | {"stay": alice.occupancy.pk, "moved_on": "2025-09-09", "mpan": carol.home.mpan}

    assert visit(alice.user).post(url(alice.member, "move"), {**data, "do": "confirm"}).status_code == 422
    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at is None


def test_a_death_in_a_household_of_two(alice, bob, mo, visit):
    Shareholding.objects.create(member=alice.member, shares=3, share_value_pence=100, taken_at=JOINED_AT)
    assert visit(bob.user).get(url(alice.member, "bereavement")).status_code == 403

    words = take(mo, alice.member, "bereavement", successor=bob.number)

    assert "given by Alice Ash, ends" in words
    assert "Nothing changes: somebody of the household is still a member." in words
    assert "pass to who carries it on" in words
    assert "no letter goes to their address" in words
    alice.member.refresh_from_db()
    assert (alice.member.left_at, alice.member.left_reason) == (AT, "deceased")
    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at is None
    assert consents_in_force([alice.occupancy.pk], AT) == []
    assert set(Consent.objects.values_list("end_reason", flat=True)) == {"bereavement"}
    assert Shareholding.objects.get().member == bob
    Client().post(reverse("account_reset_password"), {"email": "alice@example.org"})
    assert mail.outbox == []
    assert Client().post(
        reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD}
    ).url != "/"  # fmt: skip
    assert seen(visit(bob.user).get(reverse("home"))).faults() == []


def test_a_death_of_somebody_alone(alice, mo, visit):
    make_hub(alice.home, through_vtn=False)
    words = take(mo, alice.member, "bereavement")

    assert "are owed to the estate, and held until its account is known" in words
    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at == AT
    page = reverse("household_page", args=[alice.member.number])
    assert "The estate’s account" not in seen(mo.get(page)).text()
    fay = visit(make_staff("fay@example.org", Role.FINANCE))
    clock.configure(AT + timedelta(days=1), speed=0)
    shown = seen(fay.get(page))
    assert shown.faults() == []
    assert "The estate’s account" in shown.text()
    account = {"name": "Estate", "sort_code": "401234", "account_number": "07654321"}
    assert mo.post(url(alice.member, "estate"), account).status_code == 403
    fay.post(url(alice.member, "estate"), account | {"sort_code": "x"})
    assert not alice.member.bank_details.exists()
    fay.post(url(alice.member, "estate"), account)
    assert alice.member.bank_details.get().ending == "21"
    assert mo.get(url(alice.member, "leave")).status_code == 302


def test_somebody_who_was_no_member_carries_the_household_on(alice, mo):
    assert mo.post(url(alice.member, "bereavement"), {"new_name": "Ben", "do": "check"}).status_code == 422
    take(mo, alice.member, "bereavement", new_name="Ben Ash", new_email="ben@example.org")

    ben = Member.objects.get(words__contains=blind_index.words("Ben Ash"))
    assert ben.household == alice.household
    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at is None


def test_who_leaves_takes_their_consents_and_their_home_along(alice, visit):
    client = visit(alice.user)
    words = take(client, alice.member, "leave")

    assert "“Use half-hourly readings for baselines and settlement” for" in words
    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at == AT
    assert set(Consent.objects.values_list("end_reason", flat=True)) == {"membership_ended"}
    assert seen(client.get(reverse("home"))).faults() == []
    assert client.get(reverse("household_page", args=[alice.member.number])).status_code in (200, 403, 404)


def test_bob_cannot_end_alices_membership_nor_a_stranger_see_it(alice, bob, carol, visit, sam):
    page = reverse("household_page", args=[alice.member.number])
    for user, status in ((None, 302), (carol.user, 404), (bob.user, 403), (sam, 403)):
        client = visit(user)
        assert client.get(page).status_code == status
        for step in ("move", "leave", "meter", "invite", "bereavement"):
            assert client.get(url(alice.member, step)).status_code == status, step
            assert client.post(url(alice.member, step), {"do": "confirm"}).status_code == status, step
    assert visit(alice.user).get(url(alice.member, "nonsense")).status_code == 404
    assert Member.objects.filter(left_at__isnull=False).count() == 0


def test_a_new_supplier_changes_nothing_and_a_new_meter_a_stream(alice, visit):
    cad = Cad.objects.create(home=alice.home, serial="CAD-1", paired_at=JOINED_AT)
    client = visit(alice.user)
    data = {"stay": alice.occupancy.pk, "changed_on": "2025-09-09"}
    nameless = client.post(url(alice.member, "meter"), {**data, "what": "supplier", "do": "confirm"})
    assert nameless.status_code == 422
    assert "Write who supplies you now." in seen(nameless).text()
    words = take(client, alice.member, "meter", **data, what="supplier", supplier="Other Energy")
    assert "All 2 stand: nothing has to be agreed to again." in words
    assert alice.occupancy.streams.count() == 1
    cad.refresh_from_db()
    assert cad.retired_at is None

    take(client, alice.member, "meter", **data, what="meter")
    assert alice.occupancy.streams.count() == 1, "baselines go on with the days before"
    assert len(consents_in_force([alice.occupancy.pk], AT)) == 2
    cad.refresh_from_db()
    assert cad.retired_at == AT
    assert InstallJob.objects.get().home == alice.home
    early = {**data, "changed_on": "2025-12-01", "what": "meter", "do": "confirm"}
    assert client.post(url(alice.member, "meter"), early).status_code == 422


def test_who_supplies_a_home_is_kept_day_by_day(alice, visit):
    client, stay = visit(alice.user), alice.occupancy
    page = reverse("household_page", args=[alice.member.number])
    for since, name in (
        ("2025-08-01", "First Energy"),
        ("2025-09-09", HOSTILE),
        ("2025-09-08", "Mid Energy"),
    ):
        take(client, alice.member, "meter", stay=stay.pk, changed_on=since, what="supplier", supplier=name)
    days = [(each.supplier, str(each.starts_on)) for each in stay.supplies.order_by("starts_on")]
    assert days == [("First Energy", "2025-08-01"), ("Mid Energy", "2025-09-08"), (HOSTILE, "2025-09-09")]
    shown = client.get(page)
    assert f"supplied by {HOSTILE}" in seen(shown).text()
    assert HOSTILE not in shown.content.decode()

    # The same again changes nothing; another word for the same day takes its place.
    take(client, alice.member, "meter", stay=stay.pk, changed_on="2025-09-08", what="supplier",
         supplier=" mid  energy")  # fmt: skip
    take(client, alice.member, "meter", stay=stay.pk, changed_on="2025-09-09", what="supplier",
         supplier="Last Energy")  # fmt: skip
    days = [(each.supplier, str(each.starts_on)) for each in stay.supplies.order_by("starts_on")]
    assert days == [
        ("First Energy", "2025-08-01"), ("Mid Energy", "2025-09-08"), ("Last Energy", "2025-09-09")
    ]  # fmt: skip
    early = {
        "stay": stay.pk,
        "changed_on": "2020-01-01",
        "what": "supplier",
        "supplier": "X",
        "do": "confirm",
    }
    refused = client.post(url(alice.member, "meter"), early)
    assert refused.status_code == 422
    assert "That is before it began. Choose a later day." in seen(refused).text()


def test_how_a_home_pays_is_asked_never_required_and_can_be_taken_back(alice, visit, mo):
    client, stay = visit(alice.user), alice.occupancy
    Cad.objects.create(home=alice.home, serial="CAD-1", paired_at=JOINED_AT)
    page = reverse("household_page", args=[alice.member.number])
    asked = seen(client.get(url(alice.member, "meter")))
    assert asked.faults() == []
    assert asked.tree.xpath("//select[@name='payment_method'][not(@required)]/option/@value") == [
        "", "direct_debit", "standard_credit", "prepayment", "not_said"
    ]  # fmt: skip
    data = {"stay": stay.pk, "changed_on": "2025-08-01"}
    words = take(
        client, alice.member, "meter", **data, what="supplier", supplier="Any", payment_method="prepayment"
    )
    assert "the new supplier has to list it" in words
    assert "supplied by Any, paid in advance" in seen(client.get(page)).text()
    assert "paid in advance" in seen(mo.get(page)).text()

    data["changed_on"] = "2025-08-02"
    unsaid = client.post(url(alice.member, "meter"), {**data, "what": "payment", "do": "confirm"})
    assert unsaid.status_code == 422
    assert "Choose how you pay now." in seen(unsaid).text()
    odd = client.post(
        url(alice.member, "meter"), {**data, "what": "payment", "payment_method": "cheque", "do": "confirm"}
    )
    assert odd.status_code == 422
    assert "cheque is not one of the available choices" in seen(odd).text()
    assert stay.supplies.count() == 1

    words = take(mo, alice.member, "meter", **data, what="payment", payment_method="not_said")
    assert "The CAD goes on reading." in words
    assert "the new supplier" not in words
    after = seen(client.get(page)).text()
    assert "supplied by Any" in after
    assert "paid in advance" not in after
    newest = stay.supplies.latest("starts_on")
    assert (newest.supplier, newest.payment_method) == ("", "not_said")
    assert newest.noted_by.startswith("staff:")


def test_how_a_home_pays_in_welsh(alice, visit):
    client = visit(alice.user)
    page = reverse("household_page", args=[alice.member.number])
    told = {"direct_debit": "telir drwy ddebyd uniongyrchol", "standard_credit": "telir pan ddaw'r bil",
            "prepayment": "telir ymlaen llaw"}  # fmt: skip
    for number, (method, words) in enumerate(told.items(), 1):
        take(client, alice.member, "meter", stay=alice.occupancy.pk, changed_on=f"2025-08-0{number}",
             what="payment", payment_method=method)  # fmt: skip
        assert words in seen(client.get(page, headers={"accept-language": "cy"})).text()


def test_a_new_mpan_is_looked_at_before_it_counts(alice, visit):
    client, fresh = visit(alice.user), new_mpan()
    data = {"stay": alice.occupancy.pk, "changed_on": "2025-09-09", "what": "meter"}
    odd = client.post(url(alice.member, "meter"), {**data, "mpan": fresh[:12], "do": "confirm"})
    assert odd.status_code == 422
    take(client, alice.member, "meter", **data, mpan=fresh)
    request = RightsRequest.objects.get(member=alice.member)
    assert (request.about, request.wanted, request.verdict) == ("mpan", fresh, "")
    assert Home.objects.get(pk=alice.home.pk).mpan != fresh


def test_new_terms_are_put_to_members_who_accepted_older_ones(alice, visit):
    client, mine = visit(alice.user), reverse("my_terms")
    assert "has not published any terms yet" in seen(client.get(mine)).text()
    old = terms.publish_terms(kind="terms", body="One member, one vote.", at=AT, by="staff:1")
    terms.accept_terms(member=alice.member, sha256=old.body_sha256, channel="web", at=AT)
    assert "waits for you" not in seen(client.get("/")).text()
    new = terms.publish_terms(kind="terms", body=f"{HOSTILE} Two meetings.", at=AT, by="staff:1")
    assert "Version 2 of the co-op's terms waits for you." in seen(client.get("/")).text()

    page = client.get(mine)
    assert seen(page).faults() == []
    assert f"{HOSTILE} Two meetings." in seen(page).text()
    assert HOSTILE not in page.content.decode()
    for sha256 in (old.body_sha256, "", "x"):
        refused = client.post(mine, {"terms": sha256})
        assert refused.status_code == terms.TermsChanged.status
    assert client.post(mine, {"terms": new.body_sha256}).url == mine
    assert "waits for you" not in seen(client.get("/")).text()
    assert "Version 2 on" in seen(client.get(mine)).text()
    stranger = visit(make_staff("stan@example.org", Role.MEMBER_SERVICES))
    assert stranger.get(mine).status_code == 404
    assert visit(None).get(mine).status_code == 302


def test_a_member_invites_a_housemate(alice, visit):
    client = visit(alice.user)
    assert client.post(url(alice.member, "invite"), {"email": "x"}).status_code == 422
    assert client.post(url(alice.member, "invite"), {"email": "ben@example.org"}).status_code == 302
    (letter,) = mail.outbox
    assert letter.to == ["ben@example.org"]
    link = re.search(r"http://testserver(\S+)", str(letter.body)).group(1)
    page = Client().get(link, follow=True)
    assert seen(page).heading == "A sign-in of your own"

    take(client, alice.member, "leave")
    assert Client().get(link).status_code == 404, "nobody joins a household that is over"


def test_the_account_holder_alone_decides_who_belongs_and_where_the_money_goes(alice, bob, visit):
    alices, bobs = visit(alice.user), visit(bob.user)
    page = seen(bobs.get(reverse("household_page", args=[bob.number])))
    assert page.faults() == []
    assert f"Alice Ash {alice.member.number} account holder" in page.text()
    steps = {
        each.rsplit("/", 2)[1] for each in page.tree.xpath("//section[@aria-labelledby='steps']//a/@href")
    }
    assert steps == {"meter", "leave"}
    for step in ("move", "invite", "take-back", "remove"):
        for refused in (bobs.get(url(bob, step)), bobs.post(url(bob, step), {"email": "x@example.org"})):
            assert refused.status_code == 403
    bank = {"name": "Bob Ash", "sort_code": "401234", "account_number": "01234567"}
    assert bobs.post(reverse("change_bank"), bank).status_code == 403
    assert bobs.post(reverse("choose_gift"), {"pct": "100"}).status_code == 403
    earnings = seen(bobs.get(reverse("earnings")))
    assert earnings.faults() == []
    assert "Alice Ash is the account holder of your household" in earnings.text()
    assert "Alice Ash is the account holder" not in seen(alices.get(reverse("earnings"))).text()
    assert not BankDetail.objects.exists()

    alices.post(url(alice.member, "invite"), {"email": "ben@example.org"})
    link = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body)).group(1)
    mine = seen(alices.get(reverse("household_page", args=[alice.member.number])))
    assert mine.faults() == []
    assert "ben@example.org is invited until" in mine.text()
    (invitation,) = seen(alices.get(url(alice.member, "take-back"))).tree.xpath("//option/@value")
    assert alices.post(url(alice.member, "take-back"), {"invitation": "x"}).status_code == 422
    assert alices.post(url(alice.member, "take-back"), {"invitation": invitation}).status_code == 302
    assert Client().get(link).status_code == 404, "taken back"


def test_somebody_taken_out_sees_nothing_and_is_told(alice, bob, carol, visit):
    alices, bobs = visit(alice.user), visit(bob.user)
    assert seen(bobs.get(reverse("home"))).faults() == []
    for nobodys in (alice.member.number, carol.member.number, "x"):
        wrong = alices.post(url(alice.member, "remove"), {"person": nobodys, "do": "confirm"})
        assert wrong.status_code == 422
    words = take(alices, alice.member, "remove", person=bob.number)
    assert "Bob Ash signs in still, and sees nothing of the household any more." in words
    assert "stay on the household’s account" in words
    (letter,) = mail.outbox
    assert letter.to == [bob.user.email]
    assert "Alice Ash has taken you out of the household" in letter.body
    bob.refresh_from_db()
    assert (bob.left_at, bob.left_reason) == (AT, "removed")
    assert alice.occupancy.is_current(AT)
    entry = AuditEntry.objects.get(verb="member.left.removed")
    assert (entry.actor, entry.target) == (f"member:{alice.member.number}", f"member:{bob.number}")

    assert alice.home.postcode not in seen(bobs.get(reverse("home"))).text()
    for path in ("earnings", "my_consents", "own_needs"):
        assert bobs.get(reverse(path)).status_code == 404, path
    assert alices.get(reverse("earnings")).status_code == 200


def test_who_leaves_passes_the_account_to_who_has_been_there_longest(alice, bob, visit):
    ben = make_member(
        "Ben Ash", at=AT - timedelta(days=1), household=alice.household, email="ben@example.org"
    )
    words = take(visit(alice.user), alice.member, "leave")
    assert "Bob Ash becomes the account holder." in words
    assert visit(bob.user).get(url(bob, "move")).status_code == 200
    assert visit(ben.user).get(url(ben, "move")).status_code == 403
    clock.configure(AT + timedelta(minutes=1), speed=0)
    assert "Nothing changes" in take(visit(ben.user), ben, "leave")
    clock.configure(AT + timedelta(minutes=2), speed=0)
    take(visit(bob.user), bob, "leave")
    assert visit(bob.user).get(reverse("earnings")).status_code == 200, "what is owed is the last one's"
    assert visit(alice.user).get(reverse("earnings")).status_code == 404


def test_a_housemate_sees_every_home_of_the_household(alice, bob, visit):
    second = make_home()
    joining.move_in(household=alice.household, home=second, at=JOINED_AT)
    page = seen(visit(bob.user).get(reverse("household_page", args=[bob.number])))
    homes = page.text("//*[@aria-labelledby='homes']")
    assert all(name in homes for name in (alice.home.name, second.name))
    answer = visit(bob.user).post(reverse("choose_tariff", args=[alice.occupancy.pk]), {"tariff": "none"})
    assert answer.status_code == 302


def test_member_services_find_a_member_by_number(alice, mo, visit):
    find = reverse("member_find")
    page = reverse("household_page", args=[alice.member.number])
    assert mo.get(find, {"number": alice.member.number.lower().replace("m-", "")}).url == page
    for odd in ("M-99999", "x", ""):
        assert "No member has this number." in seen(mo.get(find, {"number": odd}, follow=True)).text()
    assert visit(None).get(find).status_code == 302
    assert visit(alice.user).get(find).status_code == 403
