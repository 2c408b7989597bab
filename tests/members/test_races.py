"""Two at the same moment: the database decides, and nobody gets half."""

from __future__ import annotations

from datetime import timedelta

import pytest

from members import consenting, joining, moving
from members.models import Consent, Member
from tests.factories import JOINED_AT, make_consent_texts, make_home, make_member, make_resident
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)
LATER = JOINED_AT + timedelta(days=1)


def test_members_who_join_at_once_get_different_numbers():
    joined = at_once(
        *[lambda n=n: joining.join_member(full_name=f"Joiner {n}", at=JOINED_AT) for n in range(6)]
    )

    assert len({member.number for member in joined}) == 6
    assert Member.objects.count() == 6


def test_a_join_and_an_import_never_share_a_number():
    after = int(make_member().number[2:])

    joined = at_once(
        lambda: joining.join_member(full_name="Joins", at=JOINED_AT),
        lambda: joining.join_member(full_name="Imported", number=f"{after + 1}", at=JOINED_AT),
    )

    numbers = {member.number for member in joined if isinstance(member, Member)}
    assert len(numbers) == sum(isinstance(member, Member) for member in joined)
    assert Member.objects.count() == 1 + len(numbers)
    assert all(isinstance(each, Member | joining.MemberNumberTaken) for each in joined)


def test_two_households_never_get_the_same_home():
    home, one, other = make_home(), make_member("One"), make_member("Other")

    moved = at_once(
        lambda: joining.move_in(household=one.household, home=home, at=JOINED_AT),
        lambda: joining.move_in(household=other.household, home=home, at=JOINED_AT),
    )

    assert sorted(type(each).__name__ for each in moved) == ["HomeOccupied", "Occupancy"]


def test_two_clicks_on_agree_make_one_consent():
    resident = make_resident(consents=())
    make_consent_texts()

    def agree():
        return consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose="settlement",
            granularity="half_hourly",
            channel="web",
            at=LATER,
        )

    given = at_once(agree, agree, agree)

    assert sorted(type(each).__name__ for each in given) == [
        "Consent",
        "ConsentAlreadyLive",
        "ConsentAlreadyLive",
    ]


def test_no_consent_outlives_a_move_made_at_the_same_moment():
    resident = make_resident(consents=())
    make_consent_texts()

    at_once(
        lambda: moving.move_out(occupancy=resident.occupancy, at=LATER),
        lambda: consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose="settlement",
            granularity="half_hourly",
            channel="web",
            at=LATER - timedelta(seconds=1),
        ),
    )

    assert not Consent.objects.filter(ends_at__isnull=True).exists()
