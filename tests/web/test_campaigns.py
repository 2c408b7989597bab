"""The staff's pages: the list, a new campaign, one campaign's life and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from campaigns import dispatching, planning
from campaigns.models import Campaign, Participation
from members import opting_out
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.models import AuditEntry
from tests.factories import make_hub, make_resident
from tests.web.conftest import Visit
from tests.web.pages import Seen, seen
from tests.web.scene import JOINED_AT, NEXT_STARTS_AT, NOW, Scene, freeze, make_campaign
from tests.web.test_bad_input import GOOD

NEW = "/campaigns/new/"


@pytest.fixture
def sams(scene: Scene, visit: Visit) -> Client:
    """Sam's browser."""
    return visit(scene.sam)


def look(client: Client, campaign: Campaign, **query: str) -> Seen:
    """The campaign's page."""
    return seen(client.get(reverse("campaign_detail", args=[campaign.pk]), query))


def do(client: Client, campaign: Campaign, verb: str, **data: str) -> Seen:
    """Press a button and look at the page that follows."""
    response = client.post(reverse("campaign_action", args=[campaign.pk, verb]), data, follow=True)
    assert response.status_code == 200
    return seen(response)


def test_the_list_has_every_campaign_newest_first(scene: Scene, sams: Client) -> None:
    page = seen(sams.get("/campaigns/"))

    rows = page.tree.xpath("//tbody/tr")
    assert [row.xpath("./th")[0].text_content().strip() for row in rows] == [
        "Friday tea-time",
        "Thursday tea-time",
        "Wednesday tea-time",
    ]
    assert "Wed 14 Jan 2026, 17:00 to 19:00" in page.text("//tbody")
    assert "3 campaigns" in page.text("//caption")


@pytest.mark.parametrize(
    ("zone", "starts_at"), [("BST", "2026-10-25T00:30:00+00:00"), ("GMT", "2026-10-25T01:30:00+00:00")]
)
def test_a_campaign_in_the_hour_that_comes_twice_says_which(
    zone: str, starts_at: str, scene: Scene, sams: Client
) -> None:
    """The question is there only while a time comes twice; changed or copied, the campaign keeps its own."""
    night = {**GOOD, "key": str(new_uuid()), "day": "2026-10-25", "starts": "01:30", "ends": "02:30"}
    assert "which of the two" not in seen(sams.get(NEW)).text()
    asked = sams.post(NEW, night)
    page = seen(asked)
    assert (asked.status_code, page.faults()) == (422, [])
    assert page.tree.xpath("//*[@id='id_starts_in']//input[@type='radio'][not(@checked)]/@value") == [
        "BST",
        "GMT",
    ]
    assert page.tree.xpath("//*[@class='error-summary']//a[@href='#id_starts_in']")
    assert not page.tree.xpath("//*[@name='ends_in']")

    assert sams.post(NEW, night | {"starts_in": zone}).status_code == 302

    campaign = Campaign.objects.get(pk=night["key"])
    assert (campaign.starts_at.isoformat(), campaign.ends_at.isoformat()) == (
        starts_at,
        "2026-10-25T02:30:00+00:00",
    )
    assert f"01:30 {zone} to 02:30" in seen(sams.get("/campaigns/")).text("//tbody")
    assert f"01:30 {zone} to 02:30" in look(sams, campaign).text()
    for url in (reverse("campaign_change", args=[campaign.pk]), f"{NEW}?like={campaign.pk}"):
        assert seen(sams.get(url)).tree.xpath("//input[@name='starts_in'][@checked]/@value") == [zone]


def test_a_campaign_may_run_from_the_first_half_past_one_to_the_second_one(
    scene: Scene, sams: Client
) -> None:
    key = str(new_uuid())
    night = {**GOOD, "key": key, "day": "2026-10-25", "starts": "01:30", "ends": "01:00"}
    backwards = sams.post(NEW, night | {"starts_in": "GMT", "ends_in": "BST"})
    assert "Until: Choose an end after the start." in seen(backwards).text()

    assert sams.post(NEW, night | {"starts_in": "BST", "ends_in": "GMT"}).status_code == 302

    campaign = Campaign.objects.get(pk=key)
    assert campaign.ends_at - campaign.starts_at == timedelta(minutes=30)
    assert "01:30 BST to 01:00 GMT" in seen(sams.get("/campaigns/")).text("//tbody")


@pytest.mark.parametrize(("zone", "hours"), [("BST", 3), ("GMT", 4)])
def test_an_evening_may_end_in_either_half_past_one_of_the_next_day(
    zone: str, hours: int, scene: Scene, sams: Client
) -> None:
    key = str(new_uuid())
    evening = {**GOOD, "key": key, "day": "2026-10-24", "starts": "22:30", "ends": "01:30", "ends_in": zone}

    assert sams.post(NEW, evening).status_code == 302

    campaign = Campaign.objects.get(pk=key)
    assert campaign.ends_at - campaign.starts_at == timedelta(hours=hours)


def test_an_end_that_the_clocks_leave_out_is_refused_at_its_field(scene: Scene, sams: Client) -> None:
    spring = {**GOOD, "key": str(new_uuid()), "day": "2026-03-28", "starts": "23:00", "ends": "01:30"}

    refused = sams.post(NEW, spring)

    assert refused.status_code == 422
    assert "Until: The clocks go forward: 01:30 does not exist that day." in seen(refused).text()


def test_the_list_can_be_narrowed_to_a_state(scene: Scene, sams: Client) -> None:
    assert "1 campaign" in seen(sams.get("/campaigns/?state=completed")).text("//caption")
    assert "No campaign is in that state." in seen(sams.get("/campaigns/?state=cancelled")).text()


def test_ten_thousand_campaigns_come_25_at_a_time(
    scene: Scene, sams: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    many = [
        Campaign(
            programme=scene.past.programme,
            name=f"Old {number}",
            direction="turn_down",
            zone_kind="everywhere",
            size_w=1_000,
            starts_at=JOINED_AT - timedelta(days=number),
            ends_at=JOINED_AT - timedelta(days=number) + timedelta(hours=1),
            created_at=JOINED_AT,
        )
        for number in range(10_000)
    ]
    Campaign.objects.bulk_create(many)

    # One of them asks whether sending is frozen, one for the key of the own address.
    with django_assert_max_num_queries(11):
        page = seen(sams.get("/campaigns/?page=200&state=draft"))

    assert len(page.tree.xpath("//tbody/tr")) == 25
    assert "Page 200 of 400" in page.text()
    assert page.tree.xpath("//a[@rel='next']/@href") == ["?page=201&state=draft"]


def test_a_new_campaign_is_planned_at_once(scene: Scene, sams: Client) -> None:
    response = sams.post(NEW, {**GOOD, "key": str(new_uuid()), "reason": "Frost"}, follow=True)

    campaign = Campaign.objects.get(name="Cold snap")
    assert (campaign.state, campaign.size_w, campaign.created_by) == ("planned", 12_500, scene.sam)
    page = seen(response)
    assert page.heading == "Cold snap"
    assert "12.5 kW less" in page.text()
    assert "Frost" in page.text()
    assert page.cells("taking-part")


def test_homes_can_be_held_out_and_the_page_says_how_they_were_drawn(scene: Scene, sams: Client) -> None:
    key = str(new_uuid())

    page = seen(sams.post(NEW, {**GOOD, "key": key, "hold_out_pct": "50"}, follow=True))

    campaign = Campaign.objects.get(pk=key)
    assert campaign.hold_out_pct == 50
    held_out = campaign.plan_lines.filter(left_out="held_out").values("occupancy").distinct().count()
    assert held_out == 1
    assert "50 % of the homes that would be asked are held out to compare with." in page.text()
    assert f"1 home was drawn, with the seed {key}; it is paid the average." in page.text()
    assert "Held out to compare with: not asked, paid the average" in page.text(
        "//*[@aria-labelledby='left-out']"
    )


def test_the_form_sent_twice_makes_one_campaign(scene: Scene, sams: Client) -> None:
    sent = {**GOOD, "key": str(new_uuid())}

    first, second = sams.post(NEW, sent), sams.post(NEW, sent)

    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    assert Campaign.objects.filter(name="Cold snap").count() == 1
    assert AuditEntry.objects.filter(verb="campaign.planned", target__endswith=sent["key"]).count() == 1


def test_a_form_that_was_sent_before_does_not_swallow_another_campaign(scene: Scene, sams: Client) -> None:
    sent = {**GOOD, "key": str(new_uuid())}
    sams.post(NEW, sent)

    response = sams.post(NEW, {**sent, "size_kw": "99"})

    assert response.status_code == 409
    assert "This form was sent before, for another campaign." in seen(response).text()
    assert Campaign.objects.filter(name="Cold snap").count() == 1


def test_what_is_asked_can_be_changed_before_it_is_approved(scene: Scene, sams: Client) -> None:
    url = reverse("campaign_change", args=[scene.planned.pk])
    form = seen(sams.get(url)).tree.forms[-1]
    told = dict(form.form_values()) | {"size_kw": "7.5", "reason": "Colder than forecast"}

    refused = sams.post(url, told | {"size_kw": "0"})
    answer = sams.post(url, told, follow=True)

    assert refused.status_code == 422
    assert "Changed, and planned anew." in seen(answer).text("//body")
    assert "7.5 kW less" in seen(answer).text()
    assert "size in W from 40000 to 7500" in seen(answer).text()
    assert sams.post(reverse("campaign_change", args=[scene.next.pk]), told).status_code == 302
    scene.next.refresh_from_db()
    assert scene.next.size_w == 40_000


def test_another_like_it_is_filled_in(scene: Scene, sams: Client) -> None:
    form = seen(sams.get(NEW, {"like": str(scene.next.pk)})).tree.forms[-1]

    assert form.fields["name"] == scene.next.name
    assert form.fields["starts"] == "17:00"
    assert form.fields["key"] != str(scene.next.pk)
    assert sams.get(NEW, {"like": "nonsense"}).status_code == 200


def test_what_runs_can_go_on_by_a_campaign_that_follows(scene: Scene, sams: Client) -> None:
    freeze(NEXT_STARTS_AT + timedelta(minutes=10))
    (form,) = look(sams, scene.next).tree.xpath("//form[contains(@action, '/go-on/')]")
    told = dict(form.form_values()) | {"minutes": "60"}

    page = do(sams, scene.next, "go-on", **told)
    again = do(sams, scene.next, "go-on", **told)
    wrong = do(sams, scene.next, "go-on", **(told | {"key": str(new_uuid()), "minutes": "7"}))

    assert page.heading == again.heading == "Thursday tea-time, continued"
    assert "Choose one of 30, 60, 90, 120 minutes." in wrong.text("//body")
    follows = Campaign.objects.get(name="Thursday tea-time, continued")
    assert (follows.starts_at, follows.state) == (scene.next.ends_at, "planned")


def test_an_end_before_the_start_is_on_the_next_day(scene: Scene, sams: Client) -> None:
    response = sams.post(
        NEW, {**GOOD, "key": str(new_uuid()), "starts": "23:00", "ends": "01:00"}, follow=True
    )

    assert "Tuesday 20 January 2026, 23:00 to Wednesday 21 January 2026, 01:00" in seen(response).text()


def test_the_form_offers_the_zones_that_have_homes(scene: Scene, sams: Client) -> None:
    make_resident("Zoe Zest", at=JOINED_AT, cmz="Calder Bank", primary_substation="Mill Lane")

    page = seen(sams.get(NEW))

    assert page.tree.xpath("//datalist/option/@value") == ["Calder Bank", "G", "Mill Lane"]
    assert page.tree.xpath("//input[@name='day']/@value") == ["2026-01-16"]


def test_a_campaign_in_an_unknown_zone_says_to_look_at_its_name(scene: Scene, sams: Client) -> None:
    sent = {**GOOD, "key": str(new_uuid()), "zone_kind": "cmz", "zone": "Nowhere"}

    assert "There is no asset in this zone." in seen(sams.post(NEW, sent, follow=True)).text()


def test_a_planned_campaign_shows_the_plan_and_the_way_on(scene: Scene, sams: Client) -> None:
    page = look(sams, scene.planned)

    assert page.tree.xpath("//li[@aria-current='step']/text()") == ["Planned"]
    assert "Nothing has been sent to any home yet" in page.text()
    assert [each.text_content().strip() for each in page.tree.xpath("//main//button")] == [
        "Approve and send",
        "Plan again",
        "Yes: Cancel the campaign",
    ]
    assert "short of the 40 kW asked" in page.text()
    assert [row[3] for row in page.cells("taking-part")] == ["Planned"] * 3
    assert all(row[4].startswith("In, number ") for row in page.cells("taking-part"))


def test_who_is_left_out_is_listed_with_the_reason(scene: Scene, sams: Client) -> None:
    stranger = make_resident("Nobody's Consent", at=JOINED_AT, consents=())
    make_hub(stranger.home, at=JOINED_AT, through_vtn=False)
    planning.plan_campaign(campaign_id=scene.planned.pk, at=NOW)

    rows = look(sams, scene.planned).cells("left-out")

    assert rows == [[stranger.home.name, "ev charger", "No consent for flexibility"]]


def test_approve_sends_and_a_second_press_is_harmless(scene: Scene, sams: Client) -> None:
    page = do(sams, scene.planned, "approve")
    assert "Approved. The hubs are being told now." in page.text()
    count = Participation.objects.filter(campaign=scene.planned).count()

    again = do(sams, scene.planned, "approve")

    assert "Approved." in again.text()
    assert Participation.objects.filter(campaign=scene.planned).count() == count == 3
    assert page.tree.xpath("//li[@aria-current='step']/text()") == ["Approved"]


def test_cancel_asks_once_more_and_is_final(scene: Scene, sams: Client) -> None:
    assert "It cannot be taken up again." in look(sams, scene.next).text("//main//details")

    page = do(sams, scene.next, "cancel")

    assert "Cancelled. Hubs that know of the event are being told." in page.text()
    assert "It was called off." in page.text()
    assert not page.tree.xpath("//main//form")
    assert {row[3] for row in page.cells("taking-part")} == {"Cancelled"}


def test_what_cannot_be_done_is_said_in_a_sentence(scene: Scene, sams: Client) -> None:
    assert "It is completed, so it cannot be planned any more." in do(sams, scene.past, "plan").text()
    assert "It is completed, so it cannot be cancelled any more." in do(sams, scene.past, "cancel").text()

    for occupancy in (scene.alice.occupancy, scene.carol.occupancy):
        opting_out.start_standing_opt_out(occupancy=occupancy, at=NOW, starts_at=NOW)
    do(sams, scene.planned, "plan")
    page = do(sams, scene.planned, "approve")
    assert "The plan has nobody left to ask." in page.text()
    assert "Nobody can be asked: every asset in the zone is left out" in page.text()

    freeze(scene.planned.ends_at)
    assert "It was over at 19:00 on Friday 16 January 2026." in do(sams, scene.planned, "plan").text()


def test_a_settled_campaign_leads_to_its_report(scene: Scene, sams: Client) -> None:
    assert "The event is over and settled." in look(sams, scene.past).text()


def test_finance_looks_and_does_not_touch(scene: Scene, visit: Visit) -> None:
    assert not look(visit(scene.fay), scene.planned).tree.xpath("//main//form")


def test_answers_show_as_they_come(scene: Scene, sams: Client) -> None:
    before = look(sams, scene.next)
    Participation.objects.filter(pk=scene.part_of(scene.alice).pk).update(state="opted_in")

    live = sams.get(reverse("campaign_live", args=[scene.next.pk]), {"state": "dispatched"})

    assert "0 of 3" in before.text("//*[@id='live']")
    assert "1 of 3" in seen(live).text("//*[@id='live']")
    assert before.tree.xpath("//*[@id='live']/@hx-trigger") == ["every 5s"]


def test_a_new_state_reloads_the_page_that_shows_the_old(scene: Scene, sams: Client) -> None:
    response = sams.get(reverse("campaign_live", args=[scene.next.pk]), {"state": "approved"})

    assert response.status_code == 204
    assert response["HX-Refresh"] == "true"


def test_what_is_over_is_not_asked_for_again(scene: Scene, sams: Client) -> None:
    for campaign in (scene.past, scene.planned):
        assert not look(sams, campaign).tree.xpath("//*[@hx-get]")


def test_an_asset_kept_back_at_the_last_moment_says_why(scene: Scene, sams: Client) -> None:
    do(sams, scene.planned, "approve")
    scene.homes[0].hub.hub.assets.filter(kind="ev_charger").update(state="faulty")
    dispatching.dispatch_campaign(campaign_id=scene.planned.pk, at=NOW)

    rows = look(sams, scene.planned).cells("taking-part")

    assert "Kept back Asset faulty" in [row[3] for row in rows]


def test_long_plans_come_a_page_at_a_time_and_cost_the_same(
    scene: Scene,
    sams: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    look(sams, scene.next)
    with django_assert_max_num_queries(19):
        look(sams, scene.next)
    monkeypatch.setattr("opendsr.web.campaign_page.LINES_SHOWN", 1)
    with django_assert_max_num_queries(19):
        page = look(sams, scene.next, page="2")

    assert len(page.cells("taking-part")) == 1
    assert page.tree.xpath("//a[@rel='prev']/@href") == ["?page=1#taking-part"]
    assert "page=2" in page.tree.xpath("//*[@id='live']/@hx-get")[0]


def test_a_draft_that_was_never_planned_says_so(scene: Scene, sams: Client) -> None:
    draft = make_campaign("Draft", starts_at=NEXT_STARTS_AT + timedelta(days=3), at=NOW)

    page = look(sams, draft)

    assert "There is no plan yet." in page.text()
    assert "Plan it: see who could take part" in page.text()


def test_a_form_sent_again_with_other_words_is_kept_and_says_what_it_made_before(
    scene: Scene, sams: Client
) -> None:
    sent = {**GOOD, "key": str(new_uuid())}
    sams.post(NEW, sent)

    response = sams.post(NEW, {**sent, "size_kw": "20"})

    page = seen(response)
    assert response.status_code == 409
    assert "“Cold snap” stays as it is" in page.text("//*[@class='error-summary']")
    assert page.tree.xpath("//input[@name='size_kw']/@value") == ["20"]
    assert [each.size_w for each in Campaign.objects.filter(name="Cold snap")] == [12_500]
    (key,) = page.tree.xpath("//input[@name='key']/@value")
    assert sams.post(NEW, {**sent, "size_kw": "20", "key": key}).status_code == 302
    assert sorted(each.size_w for each in Campaign.objects.filter(name="Cold snap")) == [12_500, 20_000]


def test_a_page_of_before_approves_nothing_that_was_changed_since(scene: Scene, sams: Client) -> None:
    page = reverse("campaign_detail", args=[scene.planned.pk])
    (seen_before,) = seen(sams.get(page)).tree.xpath("//input[@name='seen']/@value")
    change = reverse("campaign_change", args=[scene.planned.pk])
    told = dict(seen(sams.get(change)).tree.forms[-1].form_values()) | {"size_kw": "900"}
    assert sams.post(change, told).status_code == 302

    answer = do(sams, scene.planned, "approve", seen=seen_before)

    assert "It was changed or planned anew since you opened the page" in answer.text()
    scene.planned.refresh_from_db()
    assert (scene.planned.state, scene.planned.first_approved_by) == ("planned", None)
    (seen_now,) = answer.tree.xpath("//input[@name='seen']/@value")
    assert seen_now != seen_before
    assert "changed or planned anew" not in do(sams, scene.planned, "approve", seen=seen_now).text()
    assert Campaign.objects.filter(pk=scene.planned.pk, first_approved_at=None, state="planned").count() == 0


def test_a_change_that_somebody_made_meanwhile_is_not_overwritten_unseen(scene: Scene, sams: Client) -> None:
    url = reverse("campaign_change", args=[scene.planned.pk])
    told = dict(seen(sams.get(url)).tree.forms[-1].form_values())
    assert sams.post(url, told | {"size_kw": "7"}).status_code == 302

    stale = sams.post(url, told | {"name": "Saturday tea-time"})

    assert stale.status_code == 422
    assert "Somebody changed it since you opened the form" in seen(stale).text("//*[@class='error-summary']")
    scene.planned.refresh_from_db()
    assert (scene.planned.size_w, scene.planned.name) == (7_000, "Friday tea-time")
    again = dict(seen(stale).tree.forms[-1].form_values())
    assert again["name"] == "Saturday tea-time"
    assert sams.post(url, again).status_code == 302
