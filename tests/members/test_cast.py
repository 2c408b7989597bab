"""The cast stands: whoever starts a test with it gets people who live, consent and own what they should."""

from __future__ import annotations

from members import queries
from members.models import Purpose
from tests.factories import JOINED_AT


def test_the_cast_lives_where_it_should(alice, bob, carol, sam, val):
    assert bob.household == alice.household
    assert carol.household != alice.household
    assert queries.consenting_occupancies(Purpose.FLEXIBILITY, JOINED_AT) == {
        alice.occupancy.pk,
        carol.occupancy.pk,
    }
    assert val.hub.home == alice.home
    assert val.hub.ven_id == val.ven_id
    assert "BEGIN CERTIFICATE" in val.certificate_pem
    assert [asset.kind_id for asset in val.assets] == ["ev_charger"]
    assert queries.member_of(sam) is None
