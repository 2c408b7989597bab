"""Every consent of a household with what was done under it: its own page, and for member services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from members import consenting, looking
from members.models import Consent, EndReason, Role, User
from tests.factories import make_member, make_staff
from tests.web.pages import seen
from tests.web.scene import NOW, Scene, freeze

pytestmark = pytest.mark.django_db
Visit = Callable[[object], Client]
PAGE = "/consents/"


def told(client: Client, page: str = PAGE) -> list[str]:
    """The cards, in order."""
    shown = seen(client.get(page))
    assert shown.faults() == []
    return [" ".join(each.text_content().split()) for each in shown.tree.xpath("//main//section")]


def test_each_tells_what_was_done_under_it(scene: Scene, visit: Visit) -> None:
    cards = {each.split(" in force")[0]: each for each in told(visit(scene.alice.user))}
    flexibility = cards["Control my assets in campaigns"]
    assert "2 events were sent to your hub, the newest: " in flexibility
    assert flexibility.index(scene.next.name) < flexibility.index(scene.past.name)
    settlement = cards["Use half-hourly readings for baselines and settlement"]
    assert "1 event was settled by them." in settlement
    assert "from Fri 5 Dec 2025 to Wed 14 Jan 2026" in settlement
    assert "SHA-256" in settlement


def test_what_came_after_is_not_told_under_it(scene: Scene, visit: Visit) -> None:
    given = Consent.objects.get(occupancy=scene.alice.occupancy, purpose="flexibility")
    early = scene.past.starts_at - timedelta(days=5)
    Consent.objects.filter(pk=given.pk).update(ends_at=early, end_reason=EndReason.REQUESTED)
    (card,) = (each for each in told(visit(scene.alice.user)) if "Control my assets" in each)
    assert "Done under itNothing." in card
    assert "ended 9 January 2026" in card

    consenting.give_consent(
        member=scene.alice.member, occupancy=scene.alice.occupancy, purpose="flexibility",
        granularity="none", channel="web",
        at=NOW + timedelta(seconds=1),
    )  # fmt: skip
    freeze(NOW + timedelta(minutes=1))
    (
        first,
        *_others,
    ) = told(visit(scene.alice.user))
    assert "in force" in first
    assert "Done under itNothing." in first, "what was sent before it was given is not its doing"


def test_who_sees_it(scene: Scene, visit: Visit, nobody: User) -> None:
    theirs = reverse("household_consents", args=[scene.alice.member.number])
    mo = make_staff("mo@example.org", Role.MEMBER_SERVICES)
    assert visit(None).get(PAGE).status_code == visit(None).get(theirs).status_code == 302
    assert visit(nobody).get(PAGE).status_code == 404
    assert visit(scene.bob.user).get(PAGE).status_code == 200
    for user in (scene.alice.user, scene.carol.user, scene.sam, scene.fay, nobody):
        assert visit(user).get(theirs).status_code == 403
    assert f"Consents of {scene.alice.member.number}" in seen(visit(mo).get(theirs)).heading
    assert told(visit(mo), theirs) == told(visit(scene.alice.user))
    assert visit(mo).get(reverse("household_consents", args=["M-99999"])).status_code == 404
    assert looking.looks_at(scene.alice.member)
    assert visit(mo).get(reverse("household_page", args=[scene.alice.member.number])).status_code == 200


def test_a_household_that_agreed_to_nothing_is_told_so(scene: Scene, visit: Visit) -> None:
    newcomer = make_member("Nia New", at=NOW, email="nia@example.org")
    assert "Nothing was ever agreed to" in seen(visit(newcomer.user).get(PAGE)).text()


def test_the_page_costs_the_same_few_queries(
    scene: Scene, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = visit(scene.alice.user)
    client.get(PAGE)
    with django_assert_max_num_queries(24):
        client.get(PAGE)
