"""The main journeys, each told once and taken three ways (`hands.py`): mouse, no script, keyboard.

An error in the console or a breach of the content security policy fails the journey, as in every test here.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.db import transaction
from PIL import Image

from assets import commissioning, jobs
from assets.models import Hub
from campaigns import rules
from campaigns.models import Campaign, Participation
from members import terms
from members.draft_terms import DRAFTS
from members.models import Member, Role, StandingOptOut, User
from opendsr.kernel import outbox
from settlement import bank_details
from settlement.bank_details import Payee
from settlement.models import Payment, SettlementRound
from tests.browser.conftest import OpenPage
from tests.browser.hands import WAYS, Hand
from tests.factories import PASSWORD, make_consent_texts, make_resident, make_staff, new_mpan, signing_request
from tests.web.scene import EVENT_DAY, NOW, Scene, freeze
from vtn.models import Event, MarketContext

NEW_PASSWORD = "a brand new staple 7"
IN_EVENT = NOW.replace(hour=17, minute=20)


@dataclass(slots=True)
class Stage:
    """The scene, and hands for whoever comes onto it."""

    scene: Scene
    hand_of: Callable[[User | None], Hand]


@pytest.fixture(params=list(WAYS))
def stage(request: pytest.FixtureRequest, scene: Scene, open_page: OpenPage) -> Stage:
    way = WAYS[request.param]
    name = request.node.name.removeprefix("test_").replace("[", "-").rstrip("]")

    def hand_of(user: User | None) -> Hand:
        page = open_page("about:blank", user=user, width=way.width, has_javascript=way.has_javascript)
        who = user.email.partition("@")[0] if user else "nobody"
        return way.kind(page, f"{name}-{who}")

    return Stage(scene, hand_of)


def letter_link(place: int = -1) -> str:
    """The path of the link in a letter that was sent."""
    found = re.search(r"https?://[^/\s]+(/\S+)", str(mail.outbox[place].body))
    assert found is not None
    return found.group(1)


def picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (800, 600), "darkgreen").save(written, "JPEG")
    return written.getvalue()


def test_somebody_joins_and_consents(stage: Stage) -> None:
    make_consent_texts()
    for kind, words in DRAFTS.items():
        terms.publish_terms(kind=kind, body=words, at=NOW, by="test")
    nia = stage.hand_of(None)
    nia.go("/accounts/login/")
    nia.press("Join the co-op")
    nia.fill(Your_name="Nia New", Email_address="nia@example.org")
    nia.press("Begin")
    nia.fill(Address="3 Mill Lane", Postcode="OL4 1AA")
    nia.write("MPAN, the number of your electricity meter point", new_mpan())
    nia.choose("How do you hold your home?", "We own it")
    nia.press("Save and go on")
    nia.choose("Do you have a smart meter?", "Yes")
    nia.tick("EV charger, one phase")
    nia.press("Save and go on")
    nia.sees("It looks as if you can take part", "3 Mill Lane")
    nia.press("Hand it in")
    nia.sees("Somebody of the co-op looks at it")

    mo = stage.hand_of(make_staff("mo@example.org", Role.MEMBER_SERVICES))
    mo.go("/funnel/")
    mo.press("Nia New")
    mo.choose("Decision", "Approve")
    mo.write("Reason, or what you ask", "Welcome.")
    mo.press("Decide and write to them")

    nia.go(letter_link())
    nia.tick("I have read what it costs, who comes, what can go wrong and what it means for my bill")
    nia.tick("I accept the terms")
    nia.tick("Control my assets in campaigns")
    nia.fill(Shares="5", Choose_a_password=NEW_PASSWORD, The_password_again=NEW_PASSWORD)
    nia.press("Join")
    nia.sees("Welcome: you are member")
    nia.fill(Email_address="nia@example.org", Password=NEW_PASSWORD)
    nia.press("Sign in")
    nia.sees("Hello, Nia New")
    assert Member.objects.get(user__email="nia@example.org").user is not None


def test_a_member_skips_comes_back_and_reads_the_statement(stage: Stage) -> None:
    scene = stage.scene

    def states() -> set[str]:
        parts = Participation.objects.filter(campaign=scene.next, occupancy=scene.alice.occupancy)
        return set(parts.values_list("state", flat=True))

    alice = stage.hand_of(scene.alice.user)
    alice.go("/")
    alice.tap("Skip this event")
    alice.sees("You are out")
    assert states() == {"opted_out"}
    alice.keeps_its_place()
    alice.tap("Opt back in")
    alice.sees("You are in")
    assert "opted_out" not in states()
    alice.keeps_its_place()
    alice.tap("The same as a table")
    alice.sees("17:00–17:30")
    alice.press("Day before")
    alice.sees("My usage, Tuesday 13 January 2026")
    alice.press("Wednesday tea-time")
    alice.sees("Statement")
    rows = list(csv.DictReader(io.StringIO(alice.download("Download as CSV"))))
    earned = next(row for row in rows if (row["section"], row["item"]) == ("money", "earned"))
    assert int(earned["value"]) == scene.statement_of(scene.alice).earned_mp


def test_a_member_sets_limits(stage: Stage) -> None:
    alice = stage.hand_of(stage.scene.alice.user)
    alice.go("/preferences/")
    alice.fill(First_day="2026-02-02", Last_day="2026-02-08", Only_from="16:30", Until="18:00")
    alice.tick("Monday")
    alice.choose("At these times", "ask us, but keep at least half of the power")
    alice.write("A word for yourself", "visitors")
    alice.press("Leave us out")
    alice.sees("no event takes your power below that", "not below 50 %")
    kept = StandingOptOut.objects.get()
    assert (kept.least_pct, kept.weekdays) == (50, 1)
    alice.press("What your household needs")
    alice.tick("The car has to be ready at all times: never hold charging back")
    alice.press("Keep this")
    alice.sees("Every event from now on keeps to it")
    alice.press("Back to preferences")
    alice.press("Take part again")
    alice.sees("You are asked to every event that suits your home.")
    kept.refresh_from_db()
    assert kept.ends_at == kept.starts_at, "it never began"


def test_a_member_shares_events_with_calendar_and_household(stage: Stage) -> None:
    scene = stage.scene
    carol = stage.hand_of(scene.carol.user)
    carol.go("/")
    carol.open_menu("My account")
    carol.press("Apps and calendar")
    carol.write("What it is for", "kitchen calendar")
    carol.choose("What it may do", "show my events in a calendar")
    carol.press("Make it")
    carol.sees("The key for “kitchen calendar”")
    address = carol.page.locator("code.breaks").first.inner_text()
    feed = carol.page.request.get(re.sub(r"^\w+://[^/]+", "", address))
    assert "BEGIN:VEVENT" in feed.text()
    carol.press("Revoke kitchen calendar")
    carol.sees("None yet.")

    carol.open_menu("My account")
    carol.press("Membership")
    carol.press("Invite somebody you live with")
    carol.write("Their email address", "dee@example.org")
    carol.press("Send the invitation")
    dee = stage.hand_of(None)
    dee.go(letter_link())
    dee.fill(Your_name="Dee Birch", Choose_a_password=NEW_PASSWORD, The_password_again=NEW_PASSWORD)
    dee.press("Join with the password")
    dee.fill(Email_address="dee@example.org", Password=NEW_PASSWORD)
    dee.press("Sign in")
    dee.sees("Hello, Dee Birch", "Thursday tea-time")


def test_a_member_gets_back_in_with_password_and_phone_lost(stage: Stage) -> None:
    alice = stage.hand_of(None)
    alice.go("/accounts/login/")
    alice.fill(Email_address="alice@example.org", Password=PASSWORD)
    alice.press("Sign in")
    alice.open_menu("My account")
    alice.press("Passkeys and second factor")
    alice.press("Set it up")
    alice.fill(Password=PASSWORD)
    alice.press("Go on")
    secret = alice.page.locator("code").inner_text()
    alice.write("Authenticator code", format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    alice.press("Turn it on")
    alice.go("/accounts/2fa/")
    alice.press("Show them")
    paper = alice.page.locator(".codes code").first.inner_text()

    lost = stage.hand_of(None)
    lost.go("/")
    lost.press("Forgotten your password?")
    lost.write("Email address", "alice@example.org")
    lost.press("Send the link")
    lost.go(letter_link())
    lost.fill(New_password=NEW_PASSWORD)
    lost.write("New password again", NEW_PASSWORD)
    lost.press("Use this password")
    lost.go("/accounts/login/")
    lost.fill(Email_address="alice@example.org", Password=NEW_PASSWORD)
    lost.press("Sign in")
    lost.write("Code", paper)
    lost.press("Sign in")
    lost.sees("Hello, Alice Ash")
    lost.go("/accounts/sessions/")
    lost.sees("Nowhere else.")


def test_a_member_complains_and_staff_answer(stage: Stage) -> None:
    alice = stage.hand_of(stage.scene.alice.user)
    alice.go("/")
    alice.open_menu("My account")
    alice.press("Data and rights")
    alice.tap("Complain")
    alice.write("What went wrong, and what would put it right", "Nobody came on Monday.")
    alice.press("Send the complaint")
    alice.sees("Nobody came on Monday.")

    mo = stage.hand_of(make_staff("mo@example.org", Role.MEMBER_SERVICES))
    mo.go("/")
    mo.open_menu("People")
    mo.press("Requests")
    mo.press("A complaint")
    mo.press("Acknowledge")
    mo.choose("Answer", "Done")
    mo.write("What the member reads", "We are sorry: the visit is on Friday.")
    mo.press("Answer")

    alice.go("/rights/")
    alice.sees("We are sorry: the visit is on Friday.")


def test_an_installer_commissions_on_a_phone(stage: Stage) -> None:
    ivan = make_staff("ivan@example.org", Role.INSTALLER)
    mo = stage.hand_of(make_staff("mo@example.org", Role.MEMBER_SERVICES))
    home = make_resident("Nia New", at=NOW).home
    job = jobs.plan_job(home=home, at=NOW, by="test")
    mo.go(f"/visits/{job.pk}/")
    mo.tick("Immersion heater")
    mo.write("Longest cable run, in metres", "12")
    mo.write("Wi-Fi at the hub’s place, in dBm", "-60")
    mo.press("Keep the survey")
    mo.fill(Day="2026-01-20", Time="09:00")
    mo.choose("Installer", "ivan@example.org")
    mo.press("Schedule")
    mo.press("Jobsheet")
    mo.write("Serial number of the hub", "HUB-777")
    mo.press("Issue the code and show the sheet")
    code = re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){4}", mo.page.inner_text("main"))
    assert code is not None

    phone = stage.hand_of(ivan)
    phone.go("/")
    phone.press(home.name)
    phone.sees("type in the code of the jobsheet")
    _enrol("HUB-777", code.group())
    phone.go(f"/visits/{job.pk}/")
    phone.sees("Its own key is signed for; the code is spent.")
    cad = phone.within("2. CAD")
    cad.fill(Energy_supplier="Any Energy", Meter_make_and_model="Aclara SGM1411")
    cad.write("Serial number of the CAD", "CAD-1")
    cad.choose("What came of it", "Paired")
    cad.press("Log this try")
    devices = phone.within("3. Devices")
    devices.choose("Kind", "Immersion heater")
    devices.write("What the household calls it", "Hot water")
    devices.press("Record the device")
    phone.within("4. Immersion heater").press("Keep")
    tests = phone.within("5. Tests")
    tests.choose("Test", "The manual switch works with the hub off")
    tests.press("Record the test")
    tests.choose("Test", "The device answers the hub: Hot water")
    tests.press("Record the test")
    photos = phone.within("6. Photos")
    photos.attach("Photo", {"name": "relay.jpg", "mimeType": "image/jpeg", "buffer": picture()})
    photos.press("Keep the photo")
    phone.press("Sign off")
    phone.sees("It is live by itself when its first reading comes.")


def _enrol(serial: str, code: str) -> None:
    """What the hub does when the code is typed into it."""
    _key, csr = signing_request()
    with transaction.atomic():
        hub = Hub.objects.select_for_update().get(serial=serial)
        assert commissioning._refusal(hub, code, serial, NOW) is None
        commissioning._commission(hub, csr, NOW)


def test_a_dispatcher_plans_and_a_second_person_approves(stage: Stage) -> None:
    scene = stage.scene
    rules.set_rules(
        second_from_w=1, substation_w_per_minute=1_000_000, chance_pct=80, most_asks=12, why="test", at=NOW,
        by=scene.sam,
    )  # fmt: skip
    sam = stage.hand_of(scene.sam)
    sam.go("/today/")
    sam.open_menu("Campaigns")
    sam.press("Campaigns")
    sam.press("New campaign")
    sam.fill(Name="Cold snap", Size_in_kW="2.5", Day="2026-01-20")
    sam.choose("Kind of zone", "Everywhere")
    sam.press("Create and plan")
    sam.sees("Planned")
    sam.press("Approve and send")
    campaign = Campaign.objects.get(name="Cold snap")
    assert (campaign.state, campaign.first_approved_by) == ("planned", scene.sam)

    sue = stage.hand_of(make_staff("sue@example.org", Role.DISPATCHER))
    sue.go("/campaigns/")
    sue.press("Cold snap")
    sue.sees("sam@example.org")
    sue.press("Approve and send")
    sue.sees("Approved.")
    campaign.refresh_from_db()
    assert (campaign.state, campaign.approved_by.email) == ("approved", "sue@example.org")


def test_a_dispatcher_watches_and_stops_early(stage: Stage) -> None:
    scene = stage.scene
    freeze(IN_EVENT)
    scene.next.participations.update(state="opted_in", responded_at=NOW)
    sam = stage.hand_of(scene.sam)
    sam.go("/today/")
    sam.press("Thursday tea-time")
    sam.sees("How far it has come", "Power now against the plan")
    sam.tap("Stop early")
    sam.sees("Hubs let go now")
    sam.press("Yes: Stop early")
    scene.next.refresh_from_db()
    assert scene.next.ends_at <= IN_EVENT + timedelta(minutes=1) or scene.next.state != "dispatched"
    sam.press("Event report")
    sam.sees("Thursday tea-time")


def test_a_treasurer_settles_and_pays_with_a_second_person(stage: Stage) -> None:
    scene = stage.scene
    payee = Payee("Alice Ash", "401234", "01234567")
    bank_details.change(member=scene.alice.member, payee=payee, at=NOW - timedelta(days=20), by=None)
    fay = stage.hand_of(scene.fay)
    gus = stage.hand_of(make_staff("gus@example.org", Role.FINANCE))
    fay.go("/settlement/")
    fay.tap("Propose a round")
    day = EVENT_DAY.isoformat()
    fay.fill(Events_from=day, to=day)
    fay.press("Propose and compute")
    outbox.drain()
    round = SettlementRound.objects.get(kind="final")
    gus.go(f"/settlement/{round.pk}/")
    gus.tap("Approve and post")
    gus.press("Yes: approve and post")
    gus.sees("Approved and posted")

    fay.press("Payments")
    fay.choose("How", "Bank CSV")
    fay.write("From £", "0.01")
    fay.press("Propose")
    fay.sees("so a second person has to approve it")
    gus.press("Payments")
    gus.press("Batch 1")
    gus.tap("Approve")
    gus.press("Yes: approve")
    fay.go(gus.page.url)
    payment = Payment.objects.get()
    assert "01234567" in fay.download("Download the file")
    answer = f"reference,status,reason\n{payment.reference},paid,\n".encode()
    fay.press("Payments")
    fay.attach("Status file", {"name": "status.csv", "mimeType": "text/csv", "buffer": answer})
    fay.press("Take in")
    fay.sees("1 paid, 0 returned")


def test_an_administrator_names_a_market_context_and_repeats_an_event_in_it(
    stage: Stage, troubles: list[str]
) -> None:
    """A series of Sundays that begins in the night on which the clocks go back, at the first of two 01:30."""
    uri, ven_id = "http://coop.example/night", stage.scene.homes[0].hub.ven_id
    ada = stage.hand_of(make_staff("ada@example.org", Role.ADMINISTRATOR))
    ada.go("/vtn/")
    ada.press("Market contexts")
    ada.fill(URI=uri, Name="Night")
    ada.press("Name it")
    ada.sees("The market context is named.")
    ada.press("Night")
    ada.fill(Description="Sunday nights")
    ada.press("Save")
    ada.sees("The market context is saved.", "Sunday nights")
    ada.press("Events in it")
    ada.sees("No event is like that.")

    ada.press("Send an event by hand")
    ada.fill(VENs=ven_id, Market_context=uri, Starts="2026-10-25T01:30:00")
    ada.tick("Sunday")
    ada.fill(Repeat_until="2026-11-08")
    ada.press("See who gets what")
    ada.sees("This time comes twice that night")
    assert all("422" in troubles.pop() for _ in troubles)  # the console tells of a form that is refused
    ada.tick("The first, in summer time (BST)")
    ada.press("See who gets what")
    ada.sees("3 times", "Sun 8 Nov 2026, 01:30")
    assert not Event.objects.filter(market_context=uri).exists()
    ada.press("Send it now")
    ada.sees("Sent 3 events to 1 VENs.")
    events = Event.objects.filter(market_context=uri).order_by("starts_at")
    assert [each.starts_at.isoformat() for each in events] == [
        "2026-10-25T00:30:00+00:00", "2026-11-01T01:30:00+00:00", "2026-11-08T01:30:00+00:00"
    ]  # fmt: skip

    ada.tap("Skip")
    ada.fill(Reason="Windy")
    ada.press("Yes: skip it")
    ada.sees("Skipped. Whoever was sent it is being told.")
    assert [each.cancelled_at is None for each in events.all()] == [False, True, True]
    ada.press("Sun 1 Nov 2026, 01:30 GMT")
    ada.sees("1 event")
    ada.press("1 Nov 2026, 01:30 GMT")
    ada.tap("Cancel the event")
    ada.fill(Reason="Windy")
    ada.press("Yes: cancel it")
    ada.sees("Cancelled.")

    ada.press("Events")
    ada.choose("Market context", "Night")
    ada.press("Show")
    ada.sees("3 events")
    ada.press("Series")
    ada.press("25 Oct 2026, 01:30 BST")
    ada.tap("End the series")
    ada.press("Yes: end it")
    ada.sees("Ended. What has not begun is called off.")
    assert not events.filter(cancelled_at=None).exists()

    ada.press("Market contexts")
    ada.press("Night")
    ada.tap("Forget the name")
    ada.press("Yes: forget it")
    ada.sees("The name is forgotten. Events keep the URI.")
    assert not MarketContext.objects.exists()
