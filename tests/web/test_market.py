"""Pages of the flexibility market, from the first buyer to a planned campaign."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from assets.models import Asset
from campaigns import vtn_door
from campaigns.market import weighing
from campaigns.models import Campaign, MarketAvailability, MarketParty, MarketPreset, MarketRequest
from members.models import Role, User
from opendsr.kernel import clock
from tests.campaigns.servicing.operating import make_habits
from tests.campaigns.staging import (
    NOON,
    PaperVtn,
    make_history,
    make_programme,
    make_ready_home,
    make_rules,
)
from tests.factories import make_consent_texts, make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
REQUEST = {
    "reference": "NF-1",
    "kind": "local",
    "direction": "turn_down",
    "zone_kind": "cmz",
    "zone": "Calder",
    "starts_at": "2026-01-14T16:00",
    "profile_kw": "4 8",
    "price_pence_per_kwh": "60",
    "penalty_pence_per_kwh": "0",
    "deadline_at": "2026-01-14T14:00",
}


@pytest.fixture
def ann(db: None) -> User:
    """Staff: an administrator."""
    return make_staff("ann@example.org", Role.ADMINISTRATOR)


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch, ann: User, visit: Visit) -> MarketParty:
    """Noon; four homes with habits, and a live buyer that the administrator added by the form."""
    monkeypatch.setattr(clock, "now", lambda: NOON)
    monkeypatch.setattr(vtn_door, "vtn", PaperVtn)
    make_consent_texts()
    make_programme()
    make_rules()
    MarketPreset.objects.filter(pk="local").update(least_w=1_000)
    homes = [make_ready_home(cmz="Calder")[0] for _ in range(4)]
    make_habits(*homes)
    make_history({home.stream_id: 3_000 for home in homes})
    fields = {"do": "buyer", "name": "Northern Flex", "programme": "fast-dr"}
    assert visit(ann).post(reverse("market_buyers"), fields).status_code == 302
    return MarketParty.objects.get()


def test_a_request_is_taken_in_chosen_offered_ordered_and_planned(
    market: MarketParty, sam: User, visit: Visit
) -> None:
    staff = visit(sam)
    taken = staff.post(reverse("market_new"), {"buyer": market.pk, **REQUEST})
    found = MarketRequest.objects.get()
    page = reverse("market_request", args=[found.pk])
    assert taken.headers["Location"] == page
    assert (found.profile_w, found.price_mp_per_kwh) == ([4_000, 8_000], 60_000)
    assert "14 January 2026, 14:00" in seen(staff.get(reverse("market_list"))).text()

    choice = seen(staff.get(reverse("market_choice"))).text()
    assert "1 to accept, £3.49" in choice
    staff.post(reverse("market_choice"), {"request": str(found.pk)})
    assert "It is offered already" in seen(staff.post(f"{page}offer/", follow=True)).text()
    wrong = staff.post(f"{page}order/", {"reference": "O-1", "ordered_kw": "5 8"})
    assert wrong.status_code == 422
    assert "at most what was offered" in seen(wrong).text()
    staff.post(f"{page}order/", {"reference": "O-1"})

    found.refresh_from_db()
    assert found.state == "ordered"
    assert [each.size_w for each in Campaign.objects.order_by("starts_at")] == [4_000, 8_000]
    told = seen(staff.get(page)).text()
    assert all(words in told for words in ("Ordered as O-1", "Northern Flex: NF-1 (1 of 2)"))


def test_requests_beyond_what_is_weighed_at_once_are_counted_and_told(
    market: MarketParty, sam: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighing, "MOST_WEIGHED", 1)
    staff = visit(sam)
    for number in (1, 2, 3):
        deadline = f"2026-01-14T14:0{number}"
        asked = {**REQUEST, "reference": f"NF-{number}", "deadline_at": deadline}
        assert staff.post(reverse("market_new"), {"buyer": market.pk, **asked}).status_code == 302

    assert "3 requests wait for an offer" in seen(staff.get(reverse("market_list"))).text()
    choice = seen(staff.get(reverse("market_choice"))).text()

    assert "2 more requests with later deadlines are weighed once these are answered." in choice
    assert ("NF-1" in choice, "NF-2" in choice) == (True, False)


def test_offering_for_nothing_ticked_or_nothing_open_says_so(
    market: MarketParty, sam: User, visit: Visit
) -> None:
    staff, page = visit(sam), reverse("market_choice")
    staff.post(reverse("market_new"), {"buyer": market.pk, **REQUEST})
    found = MarketRequest.objects.get()

    assert "Tick the requests to offer for." in seen(staff.post(page, {}, follow=True)).text()
    staff.post(f"{reverse('market_request', args=[found.pk])}withdraw/")
    stale = seen(staff.post(page, {"request": str(found.pk)}, follow=True)).text()

    assert "None of those is open any more" in stale
    assert "0 offered" not in stale


def test_what_is_wrong_is_said_at_its_field(market: MarketParty, sam: User, visit: Visit) -> None:
    staff = visit(sam)
    for field, value, words in (
        ("deadline_at", "2026-01-13T14:00", "The deadline has passed"),
        ("profile_kw", "4 <b>", "Write kW for each half-hour"),
        ("starts_at", "2026-03-29T01:30", "From: The clocks go forward: 01:30 does not exist that day."),
        ("deadline_at", "2026-03-29T01:30", "until: The clocks go forward: 01:30 does not exist that day."),
        ("starts_at", "soon", "From: Write a time such as"),
        ("starts_at", "2100-01-01T00:00", "From: Choose a day from the year 2000 to 2099."),
        ("starts_at", "0001-01-01T00:00+14:00", "From: Write a time such as"),
        ("price_pence_per_kwh", "-1", "Write pence a kWh"),
    ):
        answer = staff.post(reverse("market_new"), {"buyer": market.pk, **REQUEST, field: value})
        assert answer.status_code == 422
        assert words in seen(answer).text()
    assert not MarketRequest.objects.exists()


@pytest.mark.parametrize(
    ("zone", "starts_at"), [("BST", "2026-10-25T00:30:00+00:00"), ("GMT", "2026-10-25T01:30:00+00:00")]
)
def test_a_request_and_availability_of_the_night_that_the_clocks_go_back_say_which_of_the_two(
    zone: str, starts_at: str, market: MarketParty, sam: User, visit: Visit
) -> None:
    """A question for each time that comes twice, an answer each; the pages name the zone."""
    staff = visit(sam)
    night = "2026-10-25T01:30"
    asked = {"buyer": market.pk, **REQUEST, "starts_at": night, "deadline_at": "2026-10-25T01:00"}
    first = staff.post(reverse("market_new"), asked)
    page = seen(first)
    assert (first.status_code, page.faults()) == (422, [])
    for name in ("starts_in", "deadline_in"):
        assert page.tree.xpath(f"//*[@id='id_{name}']//input[@type='radio'][not(@checked)]/@value") == [
            "BST",
            "GMT",
        ]
        assert page.tree.xpath(f"//*[@class='error-summary']//a[@href='#id_{name}']")
    assert not MarketRequest.objects.exists()

    half = staff.post(reverse("market_new"), asked | {"starts_in": zone})
    assert half.status_code == 422
    assert seen(half).tree.xpath("//input[@name='starts_in'][@checked]/@value") == [zone]
    sent = staff.post(reverse("market_new"), asked | {"starts_in": zone, "deadline_in": "BST"}, follow=True)
    made = MarketRequest.objects.get()
    assert (made.starts_at.isoformat(), made.deadline_at.isoformat()) == (
        starts_at,
        "2026-10-25T00:00:00+00:00",
    )
    assert f"01:30 {zone}" in seen(sent).text()
    assert "01:00 BST" in seen(sent).text()

    page_of_buyers = reverse("market_buyers")
    declared = {key: asked[key] for key in ("buyer", "direction", "zone_kind", "zone", "starts_at")}
    declared |= {"do": "declare", "ends_at": "2026-10-25T04:00", "available_kw": "1"}
    wrong = staff.post(page_of_buyers, declared)
    assert "From which of the two: This time comes twice that night" in seen(wrong).text()
    gap = staff.post(page_of_buyers, declared | {"starts_at": "2026-03-29T01:30"})
    assert "From: The clocks go forward: 01:30 does not exist that day." in seen(gap).text()
    assert not MarketAvailability.objects.exists()
    listed = staff.post(page_of_buyers, declared | {"starts_in": zone}, follow=True)
    assert MarketAvailability.objects.get().starts_at.isoformat() == starts_at
    assert f"01:30 {zone} to 04:00" in seen(listed).text()


def test_availability_is_declared_and_withdrawn(market: MarketParty, sam: User, visit: Visit) -> None:
    staff, page = visit(sam), reverse("market_buyers")
    fields = {
        "do": "declare",
        "buyer": market.pk,
        "direction": "turn_down",
        "zone_kind": "cmz",
        "zone": "Calder",
        "starts_at": "2026-01-15T16:00",
        "ends_at": "2026-01-15T19:00",
        "available_kw": "12.5",
    }
    staff.post(page, fields)
    made = MarketAvailability.objects.get()
    assert (made.available_w, made.starts_at) == (12_500, NOON + timedelta(hours=28))
    assert staff.post(page, fields).status_code == 422

    staff.post(page, {"availability": str(made.pk)})

    assert "Nothing is declared." in seen(staff.get(page)).text()
    assert staff.post(page, {"availability": "x"}).status_code == 404


def test_what_the_portfolio_may_enter_follows_the_figures_of_each_kind(
    market: MarketParty, ann: User, visit: Visit
) -> None:
    admin, page = visit(ann), reverse("market_entry")
    before = seen(admin.get(page))
    rows = [" ".join(row.text_content().split()) for row in before.tree.xpath("//main//tbody/tr")]
    assert any(row.startswith("Local networkUse less") and "yes" in row for row in rows)
    assert any(row.startswith("BalancingUse less") and "more homes like these" in row for row in rows)

    figures = {
        "code": "balancing",
        "notice_minutes": 60,
        "least_minutes": 30,
        "most_minutes": 60,
        "least_kw": "2",
        "note": "Terms of 2026",
    }
    assert admin.post(page, {**figures, "most_minutes": 29}).status_code == 422
    admin.post(page, figures)

    rows = [" ".join(row.text_content().split()) for row in seen(admin.get(page)).tree.xpath("//tbody/tr")]
    assert any(row.startswith("BalancingUse less") and "yes" in row for row in rows)
    assert any("Terms of 2026" in row for row in rows)


def test_what_may_be_entered_is_kept_for_six_hours_or_until_somebody_asks(
    market: MarketParty, ann: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, page = visit(ann), reverse("market_entry")
    seen(admin.get(page))
    Asset.objects.update(state=Asset.State.FAULTY)

    assert "yes" in seen(admin.get(page)).text()

    again = seen(admin.post(page, {"do": "anew"}, follow=True))
    assert "no home can be asked for that long" in again.text()

    Asset.objects.update(state=Asset.State.ACTIVE)
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(hours=1))
    assert "no home can be asked for that long" in seen(admin.get(page)).text()
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(hours=6))
    later = seen(admin.get(page)).text()
    assert "Worked out 14 January 2026, 18:00" in later
    assert "yes" in later


def test_on_the_first_day_every_page_says_what_comes_first(sam: User, visit: Visit) -> None:
    staff = visit(sam)
    said = {
        "market_list": "No buyer yet.",
        "market_new": "There is no buyer",
        "market_choice": "No request is open",
        "market_buyers": "Nothing is declared.",
        "market_entry": "First add a programme",
    }
    for name, words in said.items():
        assert words in seen(staff.get(reverse(name))).text()


def test_a_buyer_on_trial_is_marked_and_left_out_of_the_sum(
    market: MarketParty, sam: User, visit: Visit
) -> None:
    staff, page = visit(sam), reverse("market_choice")
    staff.post(reverse("market_new"), {"buyer": market.pk, **REQUEST})
    assert "1 to accept, £3.49" in seen(staff.get(page)).text()
    trial = MarketParty.objects.create(
        name="Try", programme=market.programme, is_sandbox=True, added_at=NOON, added_by=market.added_by
    )
    staff.post(reverse("market_new"), {"buyer": trial.pk, **REQUEST, "price_pence_per_kwh": "900"})

    choice = seen(staff.get(page)).text()

    assert "2 to accept, £3.49" in choice
    assert "sandbox: nothing is sent" in choice


def test_a_price_of_nothing_is_refused_in_the_unit_that_it_is_asked_in(
    market: MarketParty, sam: User, visit: Visit
) -> None:
    fields = {"buyer": market.pk, **REQUEST, "price_pence_per_kwh": "0"}
    said = visit(sam).post(reverse("market_new"), fields)

    assert said.status_code == 422
    assert "From 0.001 to 2,000,000 pence a kWh." in seen(said).text()
