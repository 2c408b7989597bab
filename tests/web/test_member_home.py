"""A member's home: the next event, saying no and yes, what was earned, what was used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from campaigns import cancelling, opting
from campaigns.models import OptRecord, Participation
from members import consenting, joining, moving, opting_out
from members.models import Member
from opendsr.kernel import blind_index, outbox
from settlement import settling
from tests.factories import JOINED_AT, make_home, make_member
from tests.web.conftest import Visit
from tests.web.pages import Seen, seen
from tests.web.scene import ENDS_AT, NOW, Scene, freeze

DURING = datetime(2026, 1, 15, 17, 40, tzinfo=UTC)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def alices(scene: Scene, visit: Visit) -> Client:
    """Alice's browser."""
    return visit(scene.alice.user)


def answer(client: Client, scene: Scene, word: str, **headers: str) -> Seen:
    """Press a button of Alice's event and look at what comes back."""
    url = reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk])
    response = client.post(url, {"answer": word}, headers=headers, follow=True)
    assert response.status_code in (200, 409)
    return seen(response)


def test_the_next_event_says_when_what_why_and_what_no_costs(scene: Scene, alices: Client) -> None:
    page = seen(alices.get("/"))

    event = page.text("//article")
    assert page.heading == "Hello, Alice Ash"
    assert "Thursday 15 January 2026, 17:00 to 19:00" in event
    assert "use less, by about" in event
    assert "ev charger, immersion heater" in event
    assert "The substation is near its limit" in event
    assert "Free of charge, at any time, without a reason. You would miss about £" in event
    assert "You are in" in event


def test_skip_and_opt_back_in_with_a_page_load_each(scene: Scene, alices: Client) -> None:
    out = answer(alices, scene, "out").text("//article")
    parts = Participation.objects.filter(campaign=scene.next, occupancy=scene.alice.occupancy)

    assert "You are out" in out
    assert "Opt back in" in out
    assert set(parts.values_list("state", flat=True)) == {"opted_out"}
    assert (
        OptRecord.objects.filter(participation__in=parts, source="portal", by=scene.alice.user).count() == 2
    )

    back = answer(alices, scene, "in").text("//article")

    assert "You are in" in back
    assert "Skip this event" in back


def test_a_press_by_htmx_answers_with_the_event_alone(scene: Scene, alices: Client) -> None:
    url = reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk])

    body = alices.post(url, {"answer": "out"}, headers=HTMX).content.decode()

    assert body.lstrip().startswith("<article")
    assert "<html" not in body
    assert "You are out" in body


def test_the_second_press_changes_nothing(scene: Scene, alices: Client) -> None:
    answer(alices, scene, "out")
    records = OptRecord.objects.count()

    again = answer(alices, scene, "out")

    assert "You are out" in again.text("//article")
    assert OptRecord.objects.count() == records


def test_bob_can_undo_what_alice_did(scene: Scene, visit: Visit, alices: Client) -> None:
    answer(alices, scene, "out")

    assert "You are in" in answer(visit(scene.bob.user), scene, "in").text("//article")


def test_staff_who_answer_for_a_member_are_recorded_as_staff(scene: Scene, visit: Visit) -> None:
    url = reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk])
    visit(scene.sam).post(url, {"answer": "out"})

    opts = OptRecord.objects.filter(participation__campaign=scene.next)
    assert {(opt.source, opt.by.email) for opt in opts} == {("staff", "sam@example.org")}


def test_during_the_event_the_button_stops_it(scene: Scene, alices: Client) -> None:
    freeze(DURING)

    page = seen(alices.get("/")).text("//article")
    assert "On now" in page
    assert "Stop it now" in page

    assert "You are out" in answer(alices, scene, "out").text("//article")
    assert scene.part_of(scene.alice).state == "overridden"


def test_one_asset_out_is_partly_out_and_leads_both_ways(scene: Scene, alices: Client) -> None:
    opting.skip(participation=scene.part_of(scene.alice), at=NOW, by=None)

    event = seen(alices.get("/")).text("//article")
    assert "Partly out" in event
    assert "Skip this event" in event
    assert "Opt back in" in event


@pytest.mark.parametrize("by_htmx", [False, True])
def test_a_press_after_the_end_is_told_and_changes_nothing(
    by_htmx: bool, scene: Scene, alices: Client
) -> None:
    freeze(scene.next.ends_at)

    page = answer(alices, scene, "out", **(HTMX if by_htmx else {}))

    assert "It was over at 19:00 on Thursday 15 January 2026." in page.text("//body")
    assert scene.part_of(scene.alice).state == "sent"


def test_a_press_on_a_cancelled_event_is_told(scene: Scene, alices: Client) -> None:
    cancelling.cancel_campaign(campaign_id=scene.next.pk, at=NOW, by=scene.sam)

    page = answer(alices, scene, "out")

    assert "over or was called off" in page.text()
    assert "Nothing is planned for your home" in page.text()


@pytest.mark.parametrize("by_htmx", [False, True])
def test_why_one_cannot_opt_back_in_is_said_in_words(by_htmx: bool, scene: Scene, alices: Client) -> None:
    stay = scene.alice.occupancy
    opting_out.start_standing_opt_out(occupancy=stay, at=NOW, starts_at=NOW, reason="visitors")
    outbox.drain()

    page = answer(alices, scene, "in", **(HTMX if by_htmx else {})).text("//body")

    assert "You cannot opt back in just now. The reason: household has opted out for now." in page
    assert "You are out" in page


def test_without_consent_the_event_is_gone(scene: Scene, alices: Client) -> None:
    consent = scene.alice.occupancy.consents.get(purpose="flexibility")
    consenting.withdraw_consent(consent_id=consent.pk, member=scene.alice.member, at=NOW)
    outbox.drain()

    assert "Nothing is planned for your home" in seen(alices.get("/")).text()
    assert "there is nothing to answer any more" in answer(alices, scene, "out").text()


def test_what_was_earned_agrees_with_the_ledger(scene: Scene, alices: Client) -> None:
    statement = scene.statement_of(scene.alice)

    earned = seen(alices.get("/")).text("//*[@aria-labelledby='earned']")

    pounds = f"£{statement.balance_mp // 100_000}.{statement.balance_mp // 1000 % 100:02d}"
    assert pounds in earned
    assert f"£{statement.balance_mp // 100_000}.{statement.balance_mp % 100_000:05d}" in earned
    assert "Wednesday tea-time" in earned
    assert f"{scene.line_of(scene.alice).delivered_wh / 1000:.3f} kWh less" in earned


def test_an_event_over_and_not_settled_is_being_worked_out(scene: Scene, alices: Client) -> None:
    freeze(scene.next.ends_at + timedelta(hours=1))

    earned = seen(alices.get("/")).text("//*[@aria-labelledby='earned']")

    assert "Being worked out Thursday tea-time, Thursday 15 January 2026" in earned


def test_the_settled_day_shows_the_event_and_what_is_usual(scene: Scene, alices: Client) -> None:
    usage = seen(alices.get("/?day=2026-01-14"))

    rows = usage.cells("usage")
    in_event = [row for row in rows if row[3] == "Event"]
    assert len(rows) == 48
    assert [row[0] for row in in_event] == ["17:00–17:30", "17:30–18:00", "18:00–18:30", "18:30–19:00"]
    assert all(float(row[2]) > float(row[1]) for row in in_event)
    assert "The shaded event ran from 17:00 to 19:00" in usage.text("//*[@aria-labelledby='usage']")


def test_days_lead_back_and_forth_and_stop_at_the_ends(scene: Scene, alices: Client) -> None:
    newest = seen(alices.get("/"))
    oldest = seen(alices.get("/?day=2000-01-01"))

    assert newest.tree.xpath("//a[@rel='prev']/@href") == ["?day=2026-01-13#usage"]
    assert not newest.tree.xpath("//a[@rel='next']")
    assert not oldest.tree.xpath("//a[@rel='prev']")
    assert "Friday 5 December 2025" in oldest.text("//h2[@id='usage']")


def test_a_missing_reading_is_a_dash_and_is_counted(scene: Scene, alices: Client) -> None:
    from metering.models import HalfHour

    gap = datetime(2026, 1, 14, 3, tzinfo=UTC)
    HalfHour.objects.filter(stream_id=scene.alice.stream_id, starts_at=gap).delete()

    page = seen(alices.get("/?day=2026-01-14"))

    assert page.cells("usage")[6][1] == "–"
    assert "1 half-hour has no reading yet." in page.text()


def test_a_new_member_finds_every_part_explained(scene: Scene, visit: Visit) -> None:
    make_member("Newby Newton", at=JOINED_AT, email="newby@example.org")
    user = Member.objects.get(words__contains=blind_index.words("newby newton")).user

    text = seen(visit(user).get("/")).text()

    assert "Your household has no home with the co-op at the moment" in text
    assert "Nothing is planned for your home" in text
    assert "No statement yet" in text
    assert "No charger or heater is connected yet" in text
    assert "No readings yet" in text


def test_who_left_the_co_op_keeps_statements_and_sees_no_household(scene: Scene, alices: Client) -> None:
    Member.objects.filter(pk=scene.alice.member.pk).update(left_at=NOW - timedelta(hours=1))

    page = seen(alices.get("/"))

    assert "Wednesday tea-time" in page.text()
    assert not page.tree.xpath("//article")
    assert "No readings yet" in page.text()
    assert "ev charger" not in page.text()
    url = reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk])
    assert alices.post(url, {"answer": "out"}).status_code == 404


def test_the_people_before_see_nothing_of_those_who_live_there_now(scene: Scene, alices: Client) -> None:
    moving.move_out(occupancy=scene.alice.occupancy, at=NOW)
    joining.move_in(household=scene.carol.household, home=scene.alice.home, at=NOW)

    page = seen(alices.get("/"))

    assert "Your household has no home with the co-op at the moment" in page.text()
    assert "Wednesday tea-time" in page.text()


def test_of_two_homes_each_event_names_its_own(scene: Scene, alices: Client) -> None:
    cottage = make_home(at=JOINED_AT, name="The cottage")
    joining.move_in(household=scene.alice.household, home=cottage, at=NOW)

    assert f"Thursday tea-time, {scene.alice.home.name}" in seen(alices.get("/")).text("//article//h3")
    assert scene.alice.home.name in answer(alices, scene, "out", **HTMX).text("//article//h3")


def test_statements_come_a_page_at_a_time(
    scene: Scene, alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opendsr.web.portal.STATEMENTS_SHOWN", 1)
    from metering import ingest

    freeze(NOW + timedelta(hours=1))
    ingest.store_readings(
        source="generated",
        name="corrected",
        at=NOW + timedelta(minutes=30),
        stream_ids=[scene.alice.stream_id],
        starts_at=[ENDS_AT - timedelta(minutes=30)],
        import_wh=[5],
    )
    settling.settle_campaign(campaign_id=scene.past.pk, at=NOW + timedelta(hours=1))

    first, second = seen(alices.get("/")), seen(alices.get("/?statements=2"))

    assert "Correction" in first.text("//*[@aria-labelledby='earned']//tbody")
    assert "Correction" not in second.text("//*[@aria-labelledby='earned']//tbody")
    assert first.tree.xpath("//a[@rel='next']/@href") == ["?statements=2#earned"]


def test_staff_without_a_home_go_to_their_work(scene: Scene, visit: Visit, nobody: object) -> None:
    assert visit(scene.sam).get("/")["Location"] == reverse("today")
    assert "No home is linked to your account yet" in seen(visit(nobody).get("/")).text()  # type: ignore[arg-type]


def test_the_page_costs_the_same_few_queries_however_much_there_is(
    scene: Scene, alices: Client, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    alices.get("/")
    for client in (alices, visit(scene.carol.user)):
        with django_assert_max_num_queries(27):
            client.get("/")
