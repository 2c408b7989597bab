"""Every page on which staff read what is somebody's leaves one entry, which the member reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from campaigns.models import Campaign
from members import looking
from members.models import Household, Member, Role, User
from members.moving import move_out
from opendsr.kernel import encryption, reads
from opendsr.kernel.models import AuditEntry
from opendsr.web import purposes, urls, watching
from tests.factories import make_resident, make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene


@pytest.fixture
def ada(scene: Scene) -> User:
    """An administrator, who may open anything in the records."""
    user = make_staff("ada@example.org", Role.ADMINISTRATOR)
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    user.refresh_from_db()
    return user


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(verb=looking.LOOKED).order_by("pk"))


def looks(member: Member) -> list[tuple[str, str, str]]:
    return [(look.actor, look.page, look.why) for look in looking.looks_at(member)]


class TestDoors:
    def test_opening_a_sealed_text_is_told_whoever_asks(self, db):
        made = make_resident("Ann Ash")
        with reads.collecting() as inside:
            found = Member.objects.get(pk=made.member.pk)
            assert inside.subjects == set()
            assert found.full_name == "Ann Ash"
            assert Household.objects.get(pk=made.household.pk).name == "Ann Ash"

        assert inside.subjects == {made.member.pk, made.household.pk}
        assert inside.kinds == {"members_member.full_name", "members_household.name"}

    def test_what_cannot_be_opened_was_not_read(self, db):
        made = make_resident("Ann Ash")
        encryption.shred(made.member.pk)
        with reads.collecting() as inside:
            assert Member.objects.get(pk=made.member.pk).full_name == "erased"

        assert inside.subjects == set()

    def test_readings_of_many_at_once_are_a_total(self, scene: Scene):
        some = [home.resident.stream_id for home in scene.homes]
        many = [uuid4() for _ in range(reads.MOST_AT_ONCE + 1)]
        with reads.collecting() as inside:
            reads.note_readings(many)
            assert inside.subjects == set()
            reads.note_readings(some)

        assert inside.subjects == set(some)


def test_a_page_of_one_home_is_one_entry_with_who_what_and_why(scene: Scene, visit: Visit, ada: User) -> None:
    visit(ada).get(reverse("household_page", args=[scene.alice.member.number]))

    [entry] = entries()
    assert (entry.actor, entry.target) == (f"user:{ada.pk}", "page:a membership")
    assert entry.detail["why"] == "looking after a membership"
    assert "members_member.full_name" in entry.detail["read"]
    assert "Alice" not in str(entry.detail)
    assert looks(scene.alice.member) == [(entry.actor, "a membership", "looking after a membership")]
    assert looks(scene.bob) == looks(scene.alice.member), "one household's page is of both"
    assert looks(scene.carol.member) == []


def test_a_list_is_one_entry_of_everybody_on_it(scene: Scene, visit: Visit, ada: User) -> None:
    visit(ada).get(reverse("admin:members_member_changelist"))

    [entry] = entries()
    assert (entry.detail["page"], entry.detail["why"]) == ("list of the members", "keeping the records")
    for member in (scene.alice.member, scene.bob, scene.carol.member):
        assert len(looks(member)) == 1


def test_an_export_is_recorded_when_it_has_been_written(scene: Scene, visit: Visit, ada: User) -> None:
    answer = visit(ada).get(reverse("home_export", args=["csv"]))
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content

    assert scene.alice.home.name.encode() in body
    [entry] = entries()
    assert str(scene.alice.home.pk) in entry.detail["subjects"]
    assert len(looks(scene.carol.member)) == 1


def test_a_part_that_renews_itself_is_one_look(scene: Scene, visit: Visit, ada: User) -> None:
    url = reverse("campaign_live", args=[scene.next.pk])
    state = Campaign.objects.get(pk=scene.next.pk).state
    for _ in range(3):
        visit(ada).get(f"{url}?state={state}", headers={"HX-Request": "true"})

    assert len(entries()) <= 1


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_members_on_their_own_pages_leave_nothing(scene: Scene, visit: Visit, who: str) -> None:
    user = {"alice": scene.alice.user, "bob": scene.bob.user}[who]
    for name in ("home", "earnings", "usage", "preferences", "my_rights", "account_email"):
        assert visit(user).get(reverse(name)).status_code == 200
    statement = scene.statement_of(scene.alice)
    assert visit(user).get(reverse("statement", args=[statement.pk])).status_code == 200

    assert entries() == []


def test_who_is_turned_away_has_read_nothing(scene: Scene, visit: Visit) -> None:
    installer = make_staff("ivan@example.org", Role.INSTALLER)
    number = scene.alice.member.number
    assert visit(installer).get(reverse("household_page", args=[number])).status_code in (403, 404)

    assert entries() == []


def test_a_statement_opened_by_finance_is_told(scene: Scene, visit: Visit) -> None:
    url = reverse("statement_json", args=[scene.statement_of(scene.alice).pk])
    assert visit(scene.fay).get(url).status_code == 200

    assert looks(scene.alice.member) == [(f"user:{scene.fay.pk}", "a statement", "answering for the money")]


def test_who_moved_out_is_not_told_of_looks_at_the_home(scene: Scene, visit: Visit, ada: User) -> None:
    move_out(occupancy=scene.carol.occupancy, at=NOW)
    visit(ada).get(reverse("admin:members_home_change", args=[scene.carol.home.pk]))

    assert entries()
    assert looks(scene.carol.member) == []


def test_staff_do_not_read_of_their_own_looks(scene: Scene, visit: Visit) -> None:
    scene.alice.user.groups.add(*make_staff("x@example.org", Role.MEMBER_SERVICES).groups.all())
    visit(scene.alice.user).get(reverse("household_page", args=[scene.alice.member.number]))

    assert looks(scene.alice.member) == []
    assert len(looks(scene.bob)) == 1


def test_a_page_without_a_purpose_fails_here_and_is_noted_on_a_live_site(
    scene: Scene, ada: User, settings, monkeypatch, caplog
) -> None:
    purposes_but_one = {name: each for name, each in purposes.PURPOSES.items() if name != "household_page"}
    monkeypatch.setattr(watching, "PURPOSES", purposes_but_one)
    request = RequestFactory().get("/")
    request.user = ada
    request.resolver_match = get_resolver().resolve(f"/membership/{scene.alice.member.number}/")
    shown = reads.Reads({scene.alice.member.pk}, {"members_member.full_name"})

    with pytest.raises(watching.NoPurpose, match="household_page"):
        watching._record(request, shown)
    settings.ENVIRONMENT = "production"
    watching._record(request, shown)

    assert entries()[-1].detail["why"] == "no purpose stated"
    assert "household_page" in caplog.text


def test_every_page_of_the_site_says_what_it_is_for() -> None:
    """A new address goes into one of the tables of `opendsr.web.purposes`."""
    ours = {each.name for each in every_pattern(urls.urlpatterns) if each.name}
    told = [set(purposes.PURPOSES), set(purposes.OWN), set(purposes.NOBODYS)]

    assert set().union(*told) == ours
    assert sum(map(len, told)) == len(ours), "each page is in one table"


def every_pattern(patterns: Sequence[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from every_pattern(each.url_patterns)
        else:
            yield each


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("members_member.full_name", "name"),
        ("settlement_bankdetail.sealed", "bank details"),
        ("readings", "readings"),
        ("anything", "other details"),
    ],
)
def test_what_was_read_is_said_in_words(kind: str, words: str) -> None:
    assert str(purposes.in_words(kind)) == words


def test_the_member_reads_it(scene: Scene, visit: Visit, ada: User) -> None:
    visit(ada).get(reverse("household_page", args=[scene.alice.member.number]))

    page = seen(visit(scene.alice.user).get(reverse("my_rights")))

    assert page.faults() == []
    [row] = page.cells("looks")
    assert row[1:3] == [f"user {ada.pk}", "a membership"]
    assert "name" in row[3]
