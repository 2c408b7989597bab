"""Moving out ends everything that hung on the stay and nothing that hangs on the home."""

from __future__ import annotations

from datetime import timedelta

import pytest

from members import joining, moving, opting_out, queries
from members.models import Consent, EndReason
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.factories import JOINED_AT, make_consent, make_resident

pytestmark = pytest.mark.django_db
LATER = JOINED_AT + timedelta(days=30)
WEEK = Interval(LATER, LATER + timedelta(days=7))


def test_consents_streams_and_opt_outs_end_with_the_stay(alice):
    opting_out.start_standing_opt_out(occupancy=alice.occupancy, at=JOINED_AT, starts_at=JOINED_AT)
    opting_out.start_standing_opt_out(
        occupancy=alice.occupancy, at=JOINED_AT, starts_at=LATER + timedelta(days=1)
    )

    stay = moving.move_out(occupancy=alice.occupancy, at=LATER)

    assert not stay.is_current(LATER)
    assert stay.is_current(LATER - timedelta(seconds=1))
    assert queries.consenting_occupancies("flexibility", LATER) == set()
    assert queries.streams_of([stay.pk], LATER) == {}
    assert queries.standing_opt_outs(WEEK) == set()
    assert set(Consent.objects.values_list("end_reason", flat=True)) == {EndReason.MOVED_HOUSE}
    assert OutboxFact.objects.filter(topic="members.consent.withdrawn").count() == 2
    assert OutboxFact.objects.get(topic="members.occupancy.ended").payload["home_id"] == str(alice.home.pk)


def test_the_next_household_starts_afresh(alice):
    moving.move_out(occupancy=alice.occupancy, at=LATER)

    dave = make_resident("Dave Dale", home=alice.home, consents=(), at=LATER)

    assert dave.stream_id != alice.stream_id
    assert queries.consenting_occupancies("settlement", LATER) == set()
    assert queries.current_occupancies([alice.home.pk], LATER) == {alice.home.pk: dave.occupancy}
    assert queries.current_occupancies([alice.home.pk], JOINED_AT) == {alice.home.pk: alice.occupancy}


def test_a_move_recorded_late_leaves_no_consent_beyond_it(alice):
    make_consent_at = LATER + timedelta(days=5)
    joining_consent = make_consent(alice, "advice", at=make_consent_at)

    moving.move_out(occupancy=alice.occupancy, at=LATER)

    joining_consent.refresh_from_db()
    assert joining_consent.ends_at == joining_consent.starts_at
    assert queries.consenting_occupancies("advice", make_consent_at) == set()


def test_moving_out_again_leaves_the_first_date(alice):
    moving.move_out(occupancy=alice.occupancy, at=LATER)

    again = moving.move_out(occupancy=alice.occupancy, at=LATER + timedelta(days=9))

    assert again.ends_at == LATER


def test_nobody_moves_out_before_moving_in(alice):
    with pytest.raises(moving.MovedOutBeforeMovingIn):
        moving.move_out(occupancy=alice.occupancy, at=JOINED_AT)


def test_the_household_may_move_on_to_another_home(alice, carol):
    moving.move_out(occupancy=alice.occupancy, at=LATER)
    moving.move_out(occupancy=carol.occupancy, at=LATER)

    stay = joining.move_in(household=alice.household, home=carol.home, at=LATER)

    assert queries.occupancies_of(alice.member, LATER) == [stay]
