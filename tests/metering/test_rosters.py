"""Streams of a batch, numbered."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metering import rosters

ids = st.integers(0, 9).map(lambda number: UUID(int=number << 120 | 255 - number))


@given(st.lists(ids))
def test_every_entry_finds_its_stream_again_and_each_stream_is_there_once(given_ids):
    roster, number = rosters.numbered(given_ids)

    assert [roster[each] for each in number.tolist()] == given_ids
    assert len(set(roster)) == len(roster)
    assert [UUID(bytes=row.tobytes()) for row in roster.ids] == list(roster)
    assert [str(each) for each in roster] == list(roster.names)


@given(st.lists(ids, unique=True, min_size=1))
def test_ranks_follow_the_ids(given_ids):
    roster, _ = rosters.numbered(given_ids)

    assert [roster[each] for each in np.argsort(roster.rank).tolist()] == sorted(given_ids)


def test_the_same_streams_in_the_same_order_are_the_same_roster_and_few_are_kept():
    first, second = UUID(int=1), UUID(int=2)

    assert rosters.numbered([first, second])[0] is rosters.numbered([first, second])[0]
    assert rosters.numbered([second, first])[0] is not rosters.numbered([first, second])[0]
    for number in range(50):
        rosters.numbered([UUID(int=number)])
    assert len(rosters._kept) <= rosters.ROSTERS_KEPT
