"""Doors to devices: who lives there and staff come in; neighbours and former households do not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from assets import policy
from members import joining, moving
from members.models import Role
from opendsr.kernel.errors import NotFound
from tests.factories import JOINED_AT, make_staff

pytestmark = pytest.mark.django_db
NOW = JOINED_AT + timedelta(days=1)


@pytest.fixture
def doors(val):
    return [
        lambda user, at=NOW: policy.access_hub(user, val.hub.pk, at),
        lambda user, at=NOW: policy.access_asset(user, val.assets[0].pk, at),
    ]


def test_the_household_comes_in(doors, alice, bob, sam):
    for door in doors:
        for user in (alice.user, bob.user, sam):
            assert door(user).pk


@pytest.mark.parametrize("role", [Role.INSTALLER, Role.PARTNER, Role.API_APPLICATION])
def test_strangers_hear_that_there_is_nothing(doors, carol, role):
    for door in doors:
        for user in (AnonymousUser(), carol.user, make_staff(f"{role}{id(door)}@example.org", role)):
            with pytest.raises(NotFound):
                door(user)


def test_the_hub_stays_and_its_household_changes(doors, alice, carol):
    moving.move_out(occupancy=alice.occupancy, at=NOW)
    joining.move_in(household=carol.household, home=alice.home, at=NOW)

    for door in doors:
        assert door(carol.user, NOW).pk
        with pytest.raises(NotFound):
            door(alice.user, NOW)
