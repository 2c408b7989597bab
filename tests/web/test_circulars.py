"""Writing to members: a second look with who gets it, consent for news, two people for it, nothing twice."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from members.models import Role, User
from notices import choosing
from notices.kinds import Channel, Kind, NoticeClass
from notices.models import Circular, Notice
from notices.writing import Alike, audience_of
from tests.factories import make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene

LIST = "/notices/write/"
CUT = {"kind": "safety_word", "subject": "Power cut on Bank Street", "body": "Call 105.\n\nIt is free."}
NEWS = {"kind": "news", "subject": "Open day", "body": "Come on Saturday, there are prizes."}
members = [uuid4() for _ in range(12)]
channels = st.sampled_from([(), (Channel.EMAIL,), (Channel.SMS,), (Channel.EMAIL, Channel.SMS)])
said = st.dictionaries(
    st.tuples(st.sampled_from(["event", "marketing"]), st.sampled_from(["email", "sms"])), st.booleans()
)


@given(
    st.dictionaries(st.sampled_from(members), channels),
    st.dictionaries(st.sampled_from(members), said),
    st.sampled_from([Kind.SAFETY_WORD, Kind.NEWS]),
)
def test_everybody_is_told_or_counted_with_why_not(reached, choices, kind):
    people = {each: Alike(reached.get(each, ()), choices.get(each, {})) for each in members}
    counts = audience_of(kind, people.values())
    told = [each for each, alike in people.items() if alike.wanted_by(kind)]

    assert counts.told + counts.said_no + counts.unreachable == counts.members == len(members)
    assert counts.told == len(told)
    if kind is Kind.NEWS:
        assert counts.by_sms == 0
        assert all(choices.get(each, {}).get(("marketing", "email")) for each in told)
    else:
        assert counts.said_no == 0
        assert set(told) == {each for each in members if reached.get(each)}


@pytest.fixture
def mo(scene: Scene) -> User:
    """Staff: member services."""
    return make_staff("mo@example.org", Role.MEMBER_SERVICES)


def written(visit: Visit, user: User, data: dict[str, str]) -> Circular:
    answer = visit(user).post(LIST, data)
    row = Circular.objects.get()
    assert answer["Location"] == reverse("circular", args=[row.pk])
    return row


def test_safety_is_looked_at_again_and_goes_to_everybody_once(scene: Scene, mo: User, visit: Visit) -> None:
    row = written(visit, mo, CUT)
    mos = visit(mo)
    assert not Notice.objects.filter(about=row.pk).exists()

    page = seen(mos.get(reverse("circular", args=[row.pk])))
    assert "Send it to 3 members" in page.text()
    assert "Calder Bank Energy Co-op: Power cut on Bank Street" in page.text()
    send = reverse("circular_action", args=[row.pk, "send"])
    mos.post(send)
    again = mos.post(send, follow=True)

    told = Notice.objects.filter(about=row.pk)
    people = {scene.alice.member.pk, scene.bob.pk, scene.carol.member.pk}
    assert set(told.values_list("member", flat=True)) == people
    assert told.count() == 3
    assert set(told.values_list("notice_class", "state")) == {(NoticeClass.SAFETY, Notice.State.QUEUED)}
    assert "decided before" in seen(again).text()
    assert Circular.objects.get().counts["told"] == 3


def test_news_goes_to_who_said_yes_and_takes_two_people(
    scene: Scene, mo: User, ada: User, visit: Visit
) -> None:
    row = written(visit, mo, NEWS)
    send = reverse("circular_action", args=[row.pk, "send"])
    assert "No member would get it." in seen(visit(ada).post(send, follow=True)).text()
    choosing.choose(
        member=scene.carol.member,
        wanted={(NoticeClass.MARKETING, Channel.EMAIL): True},
        at=NOW,
        how="web",
        wording="Yes to news",
    )

    assert "somebody else" in seen(visit(mo).post(send, follow=True)).text()
    assert not Notice.objects.filter(about=row.pk).exists()
    page = seen(visit(ada).get(reverse("circular", args=[row.pk]))).text()
    assert "2 members who have not said yes to news" in page
    visit(ada).post(send)

    assert Notice.objects.get(about=row.pk).member_id == scene.carol.member.pk


def test_safety_that_promotes_is_refused_at_the_field(scene: Scene, mo: User, visit: Visit) -> None:
    answer = visit(mo).post(LIST, {**CUT, "body": "A special discount"})

    assert answer.status_code == 422
    assert "A notice of safety promotes nothing" in seen(answer).text()
    assert not Circular.objects.exists()


def test_what_was_dropped_is_not_sent(scene: Scene, mo: User, visit: Visit) -> None:
    row = written(visit, mo, CUT)

    visit(mo).post(reverse("circular_action", args=[row.pk, "drop"]))
    visit(mo).post(reverse("circular_action", args=[row.pk, "send"]))

    assert Circular.objects.get().state == Circular.State.DROPPED
    assert not Notice.objects.filter(about=row.pk).exists()


def test_others_are_turned_away(scene: Scene, mo: User, visit: Visit) -> None:
    row = written(visit, mo, CUT)
    for user in (scene.sam, scene.alice.user):
        assert visit(user).get(reverse("circular", args=[row.pk])).status_code == 403
        assert visit(user).post(reverse("circular_action", args=[row.pk, "send"])).status_code == 403
    assert visit(None).get(LIST).status_code == 302
