"""What staff see first, what they find by the search box, and what the bar at the top leads to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from assets.models import Hub
from members import applying, asking, looking
from members.models import Role, User
from opendsr.kernel import clock
from tests.factories import make_staff
from tests.web.pages import seen
from tests.web.scene import NOW, Scene
from vtn.models import Ven

pytestmark = pytest.mark.django_db
Visit = Callable[[object], Client]
TODAY, SEARCH = "/today/", "/search/"


@pytest.fixture
def mo(visit: Visit) -> Client:
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


def lines(client: Client, which: str) -> str:
    page = seen(client.get(TODAY))
    assert page.faults() == []
    return page.text(f"//*[@aria-labelledby='{which}']")


def test_a_dispatcher_sees_what_runs_and_what_is_to_approve(scene: Scene, visit: Visit) -> None:
    page = seen(visit(scene.sam).get(TODAY))
    ((name, *_rest, state),) = page.cells("running")
    assert name == scene.next.name
    assert state
    assert "1 campaign is not approved yet" in page.text("//*[@aria-labelledby='waiting']")
    clock.configure(scene.next.starts_at + timedelta(minutes=5), speed=0)
    ((*_rest, state),) = seen(visit(scene.sam).get(TODAY)).cells("running")
    assert state == "running now"
    clock.configure(scene.next.ends_at + timedelta(days=3), speed=0)
    assert "No campaign runs now" in lines(visit(scene.sam), "running")


def test_each_sees_only_what_they_deal_with(scene: Scene, visit: Visit, mo: Client) -> None:
    assert "Nothing waits for you." in lines(mo, "waiting")
    assert "not approved" not in lines(visit(scene.fay), "waiting")
    asking.open_request(
        member=scene.alice.member, kind=asking.Kind.COMPLAINT, at=NOW - timedelta(days=2), channel="web",
        by="member:M-00001", words="The light stayed on.",
    )  # fmt: skip
    applying.start(full_name="Nia New", email="nia@example.org", at=NOW - timedelta(days=5))
    assert "1 request or complaint waits for an answer the first is due on" in lines(mo, "waiting")
    assert "enquir" not in lines(mo, "waiting"), "an enquiry that is not handed in waits for its maker"
    assert "request" not in lines(visit(scene.sam), "waiting")
    clock.configure(NOW + timedelta(days=60), speed=0)
    assert "1 request or complaint is overdue" in lines(mo, "waiting")


def test_hubs_that_are_silent_are_counted_once_each(scene: Scene, visit: Visit) -> None:
    hubs = Hub.objects.filter(state=Hub.State.COMMISSIONED).count()
    assert hubs > 1
    assert f"{hubs} hubs are silent" in lines(visit(scene.sam), "wrong")
    Ven.objects.update(last_seen_wall_at=clock.wall_now())
    assert "silent" not in lines(visit(scene.sam), "wrong")
    one = Hub.objects.filter(state=Hub.State.COMMISSIONED).order_by("pk")[0]
    Ven.objects.filter(ven_id=one.ven_id).update(last_seen_wall_at=clock.wall_now() - timedelta(days=1))
    assert "1 hub is silent" in lines(visit(scene.sam), "wrong")


def test_the_page_costs_the_same_few_queries(
    scene: Scene, ada: User, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = visit(ada)
    client.get(TODAY)
    with django_assert_max_num_queries(24):
        client.get(TODAY)


def found(client: Client, words: str) -> str:
    response = client.get(SEARCH, {"q": words})
    assert response.status_code == 200
    page = seen(response)
    assert page.faults() == []
    return page.text()


def test_members_are_found_by_number_and_by_whole_words(scene: Scene, visit: Visit, mo: Client) -> None:
    member = scene.alice.member
    page = reverse("household_page", args=[member.number])
    for number in (member.number, member.number.lower(), member.number.removeprefix("M-").lstrip("0")):
        assert mo.get(SEARCH, {"q": number})["Location"] == page
    assert f"Alice Ash ({member.number})" in found(mo, "ash ALICE")
    assert "Nothing is called" in found(mo, "Alic")
    assert "Nothing is called" in found(visit(scene.sam), "Alice Ash"), "dispatchers look nobody up"
    assert {look.page for look in looking.looks_at(member)} == {"search"}


def test_homes_hubs_campaigns_and_pages_are_found(scene: Scene, ada: User, visit: Visit) -> None:
    sam, hub = visit(scene.sam), scene.homes[0].hub.hub
    assert sam.get(SEARCH, {"q": hub.serial.lower()})["Location"] == reverse("hub_page", args=[hub.pk])
    assert hub.serial in found(sam, hub.serial[:-2])
    assert scene.next.name in found(sam, scene.next.name[:6].upper())
    assert "Data health" in found(visit(ada), "health")
    home = scene.alice.occupancy.home
    for words in (home.postcode.lower(), home.mpan, home.name):
        assert f"{home.name}, {home.postcode}" in found(visit(ada), words)
    assert "Nothing is called" in found(sam, home.name)


@pytest.mark.parametrize("words", ["", "   ", "!!!", "%", "<script>x</script>", "'", "x" * 500, "٣"])
def test_odd_words_find_nothing_and_break_nothing(scene: Scene, ada: User, visit: Visit, words: str) -> None:
    response = visit(ada).get(SEARCH, {"q": words})
    assert response.status_code == 200
    assert "<script>x</script>" not in response.content.decode()
    assert "Alice" not in seen(response).text()


def test_the_bar_shows_each_their_own_work(scene: Scene, ada: User, visit: Visit) -> None:
    def bar(user: object, path: str = "/accounts/password/change/") -> list[str]:
        tree = seen(visit(user).get(path, follow=True)).tree
        return [
            each.text_content().strip() for each in tree.xpath("//header//nav//a | //header//nav//summary")
        ]

    alices = bar(scene.alice.user)
    assert alices[:4] == ["My home", "My usage", "My plan", "Earnings"]
    assert {"Preferences", "Membership", "Data and rights"} <= set(alices)
    assert not {"Today", "Campaigns", "Registry", "Money", "Records"} & set(alices)
    sams = bar(scene.sam)
    assert sams[0] == "Today"
    assert {"Campaigns", "Plans", "Registry"} <= set(sams)
    assert not {"Money", "Setup", "My home", "Requests"} & set(sams)
    assert {"Money", "Baselines"} <= set(bar(scene.fay))
    assert {"Setup", "Records", "Partners", "Imports", "Money"} <= set(bar(ada))

    current = seen(visit(ada).get("/campaigns/")).tree
    assert [each.text_content() for each in current.xpath("//nav//a[@aria-current]")] == ["Campaigns"]
    assert [each.text_content() for each in current.xpath("//nav//summary[@class]")] == ["Campaigns"]
    payments = seen(visit(scene.fay).get("/payments/")).tree
    assert "Money" in [each.text_content() for each in payments.xpath("//header//nav//a[@aria-current]")]
