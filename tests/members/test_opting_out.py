"""Standing opt-outs: over exactly the time asked for, called off, added up."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from members import opting_out, queries
from members.entry import InvalidField
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.factories import JOINED_AT

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
START = JOINED_AT + timedelta(days=10)
END = START + timedelta(days=7)


@pytest.fixture
def holiday(alice):
    return opting_out.start_standing_opt_out(
        occupancy=alice.occupancy, at=JOINED_AT, starts_at=START, ends_at=END, reason="holiday"
    )


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_out"),
    [
        (START - HOUR, START, False),
        (START - HOUR, START + HOUR, True),
        (START, END, True),
        (END - HOUR, END + HOUR, True),
        (END, END + HOUR, False),
    ],
)
def test_touching_is_not_overlapping(alice, carol, holiday, starts_at, ends_at, is_out):
    out = queries.standing_opt_outs(Interval(starts_at, ends_at))

    assert out == ({alice.occupancy.pk} if is_out else set())
    assert queries.standing_opt_outs(Interval(starts_at, ends_at), among=[carol.occupancy.pk]) == set()


def test_coming_back_early_lets_them_in_again(holiday):
    opting_out.end_standing_opt_out(opt_out_id=holiday.pk, at=START + HOUR)

    assert queries.standing_opt_outs(Interval(START + HOUR, END)) == set()
    assert len(queries.standing_opt_outs(Interval(START, START + HOUR))) == 1
    assert OutboxFact.objects.filter(topic="members.standing_opt_out.ended").count() == 1


def test_calling_off_before_it_began_leaves_none_of_it(holiday):
    opting_out.end_standing_opt_out(opt_out_id=holiday.pk, at=JOINED_AT + HOUR)

    assert queries.standing_opt_outs(Interval(JOINED_AT, END)) == set()


def test_ending_what_has_ended_changes_nothing(holiday):
    ended = opting_out.end_standing_opt_out(opt_out_id=holiday.pk, at=END + HOUR)

    assert ended.ends_at == END
    assert not OutboxFact.objects.filter(topic="members.standing_opt_out.ended").exists()


def test_two_that_overlap_add_up(alice, holiday):
    opting_out.start_standing_opt_out(occupancy=alice.occupancy, at=JOINED_AT, starts_at=END - HOUR)

    assert len(queries.standing_opt_outs(Interval(END + HOUR, END + 2 * HOUR))) == 1


def test_nobody_opts_out_of_the_past(alice):
    opt_out = opting_out.start_standing_opt_out(occupancy=alice.occupancy, at=START, starts_at=JOINED_AT)
    assert opt_out.starts_at == START

    with pytest.raises(InvalidField):
        opting_out.start_standing_opt_out(
            occupancy=alice.occupancy, at=START, starts_at=JOINED_AT, ends_at=START - HOUR
        )


def test_an_unknown_one_is_not_found(db):
    with pytest.raises(opting_out.StandingOptOutNotFound):
        opting_out.end_standing_opt_out(opt_out_id=uuid4(), at=START)
