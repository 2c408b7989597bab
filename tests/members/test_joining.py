"""Joining: numbers, accounts, homes, stays and streams, and what each refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from members import joining, moving
from members.entry import InvalidField
from members.models import Member, User
from tests.factories import JOINED_AT, make_home, make_member, new_mpan

pytestmark = pytest.mark.django_db
LATER = JOINED_AT + timedelta(days=30)


def test_numbers_follow_one_another():
    first, second = make_member("Ann"), make_member("Ben")

    assert first.number.startswith("M-")
    assert int(second.number[2:]) == int(first.number[2:]) + 1


def test_a_number_that_an_import_took_is_skipped_and_the_sequence_catches_up():
    before = int(make_member("Ann").number[2:])
    joining.join_member(full_name="Imported", number=f"M-{before + 1}", at=JOINED_AT)
    joining.join_member(full_name="Imported too", number=f"M-{before + 500}", at=JOINED_AT)

    assert int(make_member("Ben").number[2:]) == before + 501
    assert int(make_member("Cat").number[2:]) == before + 502


def test_a_number_is_given_once():
    joining.join_member(full_name="Ann", number="M-777", at=JOINED_AT)

    with pytest.raises(joining.MemberNumberTaken) as refused:
        joining.join_member(full_name="Ben", number="777", at=JOINED_AT)

    assert refused.value.number == "M-00777"
    assert [each.full_name for each in Member.objects.all()] == ["Ann"]


def test_an_account_comes_with_the_email_whatever_its_case():
    member = joining.join_member(
        full_name="Ann", email="Ann@Example.ORG", password="correct horse", at=JOINED_AT
    )

    assert member.user.email == "ann@example.org"
    assert member.user.check_password("correct horse")
    assert not member.user.is_staff


def test_an_account_without_a_password_cannot_sign_in():
    member = joining.join_member(full_name="Ann", email="ann@example.org", at=JOINED_AT)

    assert not member.user.has_usable_password()


def test_an_address_belongs_to_one_account_and_a_refused_join_leaves_nothing(alice):
    before = Member.objects.count(), User.objects.count()

    with pytest.raises(joining.EmailTaken) as refused:
        joining.join_member(full_name="Mallory", email="ALICE@example.org", password="x" * 20, at=JOINED_AT)

    assert refused.value.data == {"field": "email"}
    assert (Member.objects.count(), User.objects.count()) == before


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"full_name": "   "}, "full_name"),
        ({"full_name": "x" * 121}, "full_name"),
        ({"full_name": "Ann", "email": "not an address"}, "email"),
        ({"full_name": "Ann", "number": "A1"}, "number"),
        ({"full_name": "Ann", "household_name": "\x07"}, "household_name"),
    ],
)
def test_a_field_that_cannot_be_mended_is_named(given, field):
    with pytest.raises(InvalidField) as refused:
        joining.join_member(**given, at=JOINED_AT)

    assert refused.value.field == field


def test_two_people_share_a_household(alice, bob):
    assert bob.household == alice.household
    assert bob.number != alice.member.number


def test_a_doubtful_mpan_is_kept_and_shown():
    good = new_mpan()
    wrong = good[:12] + str((int(good[12]) + 1) % 10)

    home = joining.register_home(
        name="1 Mill Lane", postcode="m15 5rf", mpan=f"{wrong[:2]} {wrong[2:]}", gsp_group="_G", at=JOINED_AT
    )

    assert home.mpan == wrong
    assert home.is_mpan_doubtful
    assert (home.postcode, home.gsp_group) == ("M15 5RF", "G")


def test_a_meter_point_is_registered_once():
    home = make_home()

    with pytest.raises(joining.MpanTaken):
        joining.register_home(name="Other", postcode="M15 5RF", mpan=home.mpan, gsp_group="G", at=JOINED_AT)


def test_a_home_is_lived_in_by_one_household_at_a_time(alice, carol):
    with pytest.raises(joining.HomeOccupied):
        joining.move_in(household=carol.household, home=alice.home, at=LATER)

    moving.move_out(occupancy=alice.occupancy, at=LATER)
    assert joining.move_in(household=carol.household, home=alice.home, at=LATER).is_current(LATER)


def test_nobody_moves_in_before_somebody_else_who_is_recorded_already(alice):
    early = make_member("Early")

    with pytest.raises(joining.HomeOccupied):
        joining.move_in(household=early.household, home=alice.home, at=JOINED_AT - timedelta(days=1))


def test_a_stay_has_one_stream_of_a_name_at_a_time(alice):
    with pytest.raises(joining.StreamAlreadyOpen):
        joining.open_stream(occupancy=alice.occupancy, at=LATER)

    other = joining.open_stream(occupancy=alice.occupancy, name="solar export", at=LATER)
    assert other.stream_id != alice.stream_id
