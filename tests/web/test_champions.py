"""Champions' codes with recruits and cost, and short surveys whose answers are told in totals only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from members import inviting, listening
from members.enquiry_models import Application, ChampionCode, Occasion, ShortSurvey
from members.listening import Due, due_for, total_of, years_between
from members.models import Role
from opendsr.kernel import clock
from tests.factories import JOINED_AT, make_member, make_resident, make_staff
from tests.web.pages import seen

AT = JOINED_AT + timedelta(days=20)
Visit = Callable[[object], Client]
DAY = timedelta(days=1)
ANSWERS = {"clear": "5", "easy": "4", "trust": "3"}


@pytest.fixture
def mo(coop: object, visit: Visit) -> Client:
    clock.configure(AT, speed=0)
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


@pytest.mark.django_db
def test_a_code_is_made_counted_and_ended(mo):
    url = reverse("champion_list")
    assert seen(mo.get(url)).faults() == []
    given_ = {"do": "make", "code": "calder-jo", "name": "Jo", "reward_pence": "500"}
    assert mo.post(url, given_).status_code == 302
    assert mo.post(url, given_).status_code == 422, "the code is taken"
    assert mo.post(url, given_ | {"code": "a!"}).status_code == 422
    jo = ChampionCode.objects.get()
    for state in ("started", "declined", "joined", "joined"):
        fields = {}
        if state != "started":
            fields = {"decided_at": AT, "decided_by": "x", "decision_reason": "So."}
        if state == "joined":
            resident = make_resident()
            fields |= {"member": resident.member, "home": resident.home, "joined_at": AT}
        Application.objects.create(state=state, since=AT, started_at=AT, champion=jo, **fields)
    mo.post(url, {"do": "spend", "champion": jo.pk, "pence": "1001"})
    mo.post(url, {"do": "spend", "champion": jo.pk, "pence": "x"})
    mo.post(url, {"do": "spend", "champion": "x", "pence": "1"})
    mo.post(url, {"do": "spend", "champion": jo.pk, "pence": "-2000"})
    page = seen(mo.get(url))
    assert page.faults() == []
    assert (
        "Enquiries 4 Recruits who joined 2 Cost per recruit £10.01 £5.00 each, £10.01 besides" in page.text()
    )
    (link,) = page.tree.xpath("//code/text()")
    assert "/join/with/" in link
    mo.post(url, {"do": "end", "champion": jo.pk})
    jo.refresh_from_db()
    assert jo.ended_at == AT
    assert "/join/with/" not in seen(mo.get(url)).text()


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**4))
def test_the_cost_of_a_recruit_covers_what_was_spent(spent, reward, recruits):
    cost = inviting.cost_per_recruit_pence(ChampionCode(spent_pence=spent, reward_pence=reward), recruits)

    if recruits == 0:
        assert cost is None
    else:
        assert 0 <= cost * recruits - (spent + reward * recruits) < recruits


@pytest.mark.django_db
def test_a_member_answers_once_and_is_nobody_in_the_results(mo, alice, visit):
    client = visit(alice.user)
    own = reverse("household_page", args=[alice.member.number])
    home = seen(client.get(own))
    assert home.tree.xpath("//a[@href='/survey/joining/']")
    url = reverse("survey", args=["joining"])
    page = seen(client.get(url))
    assert page.faults() == []
    assert client.post(url, {"clear": "5"}).status_code == 422
    assert client.post(url, {**ANSWERS, "easy": "9"}).status_code == 422
    for _ in range(2):
        client.post(url, {**ANSWERS, "comment": "Alice says <b>hi</b>"})
    kept = ShortSurvey.objects.get()
    assert (kept.scores, kept.year) == ({"clear": 5, "easy": 4, "trust": 3}, 0)
    assert not seen(client.get(own)).tree.xpath("//a[@href='/survey/joining/']")
    assert client.get(reverse("survey", args=["yearly"])).status_code == 302

    results = reverse("survey_results")
    assert "Alice says" not in seen(mo.get(results)).text(), "one answer is no total"
    for number in range(4):
        member = make_member(f"M {number}")
        listening.answer(
            member=member, occasion="joining", scores={"clear": 1, "easy": 5, "trust": 5}, at=AT,
            first_event_at=None,
        )  # fmt: skip
    told = seen(mo.get(results))
    assert told.faults() == []
    assert told.cells("joining")[0][1:] == ["1.8", "4", "0", "0", "0", "1"]
    assert "Alice says <b>hi</b>" in told.text()
    assert alice.member.number not in told.text()
    assert "Fewer than 5 answers so far." in told.text("//*[@aria-labelledby='yearly']")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "event_days_ago", "due"),
    [
        (13, None, None),
        (14, None, Due(Occasion.JOINING, 0)),
        (75, None, None),
        (20, 0, Due(Occasion.FIRST_EVENT, 0)),
        (200, 60, Due(Occasion.FIRST_EVENT, 0)),
        (200, 61, None),
        (365, None, Due(Occasion.YEARLY, 1)),
        (365 + 60, None, Due(Occasion.YEARLY, 1)),
        (365 + 61, None, None),
        (731, None, Due(Occasion.YEARLY, 2)),
    ],
)
def test_what_is_asked_when(days, event_days_ago, due):
    member = make_member()
    at = JOINED_AT + days * DAY
    event = None if event_days_ago is None else at - event_days_ago * DAY

    assert due_for(member, at=at, first_event_at=event) == due
    member.left_at = at
    assert due_for(member, at=at, first_event_at=event) is None


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 20_000))
def test_years_of_membership_never_run_back(joined, days):
    today = joined + timedelta(days=days)

    assert years_between(joined, today) in (days // 366, days // 365, days // 365 - 1)
    assert years_between(joined, today) <= years_between(joined, today + DAY)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=50))
def test_a_mean_is_of_its_counts(scores):
    total = total_of("x", "?", scores)

    assert sum(total.counts) == len(scores)
    assert abs(total.mean_tenths - 10 * sum(scores) / len(scores)) <= 0.5
    assert 10 * min(scores) <= total.mean_tenths <= 10 * max(scores)


@pytest.mark.django_db
def test_strangers_neither_see_results_nor_codes(coop, alice, sam, visit):
    for name in ("champion_list", "survey_results"):
        assert visit(None).get(reverse(name)).status_code == 302
        for user in (alice.user, sam):
            assert visit(user).get(reverse(name)).status_code == 403
    assert visit(None).get(reverse("survey", args=["joining"])).status_code == 302
    assert visit(sam).get(reverse("survey", args=["joining"])).status_code == 404
