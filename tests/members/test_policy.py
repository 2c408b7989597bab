"""Doors: the household and staff come in, strangers hear that there is nothing there."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, Group

from members import joining, moving, opting_out, policy
from members.models import Consent, Member, Role, User
from opendsr.kernel.errors import NotFound
from tests.factories import JOINED_AT, make_member, make_roles, make_staff

pytestmark = pytest.mark.django_db
NOW = JOINED_AT + timedelta(days=1)
STAFF = [
    Role.ADMINISTRATOR,
    Role.DISPATCHER,
    Role.DEVICE_MANAGER,
    Role.MEMBER_SERVICES,
    Role.FINANCE,
    Role.AUDITOR,
]
OUTSIDERS = [Role.INSTALLER, Role.PARTNER, Role.API_APPLICATION]


@pytest.fixture
def doors(alice):
    """Each door to something of Alice's, as a function of who asks."""
    consent = Consent.objects.filter(occupancy=alice.occupancy).first()
    opt_out = opting_out.start_standing_opt_out(occupancy=alice.occupancy, at=NOW, starts_at=NOW)
    return [
        lambda user, at=NOW: policy.access_occupancy(user, alice.occupancy.pk, at),
        lambda user, at=NOW: policy.access_member(user, alice.member.number, at),
        lambda user, at=NOW: policy.access_consent(user, consent.pk, at),
        lambda user, at=NOW: policy.access_opt_out(user, opt_out.pk, at),
    ]


def test_the_household_comes_in(doors, alice, bob):
    for door in doors:
        assert door(alice.user).pk
        assert door(bob.user).pk


@pytest.mark.parametrize("role", STAFF)
def test_staff_come_in_by_role(doors, role):
    user = make_staff("staff@example.org", role)

    for door in doors:
        assert door(user).pk


@pytest.mark.parametrize("role", OUTSIDERS)
def test_these_roles_see_no_home_by_its_id(doors, role):
    user = make_staff("outside@example.org", role)

    for door in doors:
        with pytest.raises(NotFound):
            door(user)


def test_strangers_hear_that_there_is_nothing(doors, carol):
    strangers = [
        AnonymousUser(),
        carol.user,
        User.objects.create_user("nobody@example.org", "x"),
        make_staff("staff-without-role@example.org"),
    ]

    for door in doors:
        for stranger in strangers:
            with pytest.raises(NotFound):
                door(stranger)


def test_a_closed_account_comes_in_nowhere(doors, alice, sam):
    for user in (alice.user, sam):
        user.is_active = False
        user.save()
        for door in doors:
            with pytest.raises(NotFound):
                door(user)


def test_who_has_left_the_co_op_comes_in_no_more(doors, alice):
    Member.objects.filter(pk=alice.member.pk).update(left_at=NOW)

    for door in doors:
        assert door(alice.user, NOW - timedelta(seconds=1)).pk
        with pytest.raises(NotFound):
            door(alice.user, NOW)


def test_the_next_household_does_not_see_the_one_before(doors, alice, carol):
    moving.move_out(occupancy=alice.occupancy, at=NOW)
    moving.move_out(occupancy=carol.occupancy, at=NOW)

    joining.move_in(household=carol.household, home=alice.home, at=NOW)
    for door in doors:
        with pytest.raises(NotFound):
            door(carol.user)
        assert door(alice.user).pk


@pytest.mark.parametrize("number", ["M-99999", "", "' OR 1=1 --", "M-\x00", "Ⅷ"])
def test_a_number_that_is_nobodys_is_not_found(sam, number):
    with pytest.raises(policy.MemberNotFound):
        policy.access_member(sam, number, NOW)


def test_an_unknown_id_and_a_strangers_id_sound_the_same(alice, carol):
    with pytest.raises(policy.OccupancyNotFound) as unknown:
        policy.access_occupancy(carol.user, UUID(int=1), NOW)
    with pytest.raises(policy.OccupancyNotFound) as strange:
        policy.access_occupancy(carol.user, alice.occupancy.pk, NOW)

    assert (unknown.value.status, unknown.value.code) == (strange.value.status, strange.value.code)
    assert unknown.value.data.keys() == strange.value.data.keys()


def test_a_role_is_required_by_name(sam, alice):
    policy.require_role(sam, Role.DISPATCHER)
    policy.require_role(sam, Role.FINANCE, Role.DISPATCHER)

    for user in (sam, alice.user, AnonymousUser()):
        with pytest.raises(policy.Forbidden) as refused:
            policy.require_role(user, Role.FINANCE, Role.AUDITOR)
        assert refused.value.data == {"needs": "finance or auditor"}


def test_a_superuser_has_every_role():
    chief = User.objects.create_superuser("chief@example.org", "x")

    assert all(policy.has_role(chief, role) for role in Role)


def test_every_role_is_a_group_with_rights_only_where_it_works():
    make_roles()
    rights = {
        group.name: {p.codename for p in group.permissions.filter(content_type__app_label="members")}
        for group in Group.objects.prefetch_related("permissions")
    }

    assert set(rights) == set(Role.values)
    assert rights["partner"] == rights["api_application"] == rights["installer"] == set()
    assert all(right.startswith("view_") for right in rights["auditor"])
    assert "view_member" not in rights["dispatcher"]
    assert not any(right.startswith("delete_") for held in rights.values() for right in held)
    assert not any(
        right.startswith(("add_consent", "change_consent"))
        for name, held in rights.items()
        for right in held
        if name != "administrator"
    )


def test_a_member_without_an_account_has_no_way_in(alice):
    offline = make_member("Olive", household=alice.household)

    assert offline.user is None
