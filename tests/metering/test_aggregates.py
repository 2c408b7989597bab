"""Totals over homes: never of a few, never of one that stands out, never by the difference of two groups."""

from __future__ import annotations

from itertools import combinations
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metering.aggregates import LEAST_HOMES, MOST_SHARE_PCT, WH_A_STEP, day_totals, homes_to_count, is_safe

HOMES = [UUID(int=number) for number in range(60)]
some = st.frozensets(st.sampled_from(HOMES))


def of(*numbers: int) -> frozenset[UUID]:
    return frozenset(HOMES[number] for number in numbers)


@given(willing=some, told=st.lists(some, max_size=4), seed=st.text(max_size=3))
def test_a_group_is_of_willing_homes_and_safe_or_of_nobody(willing, told, seed):
    counted = homes_to_count(willing, told, seed=seed)

    assert counted <= willing
    assert not counted or is_safe(counted, told)
    assert counted == homes_to_count(willing, told, seed=seed)


@given(months=st.lists(some, max_size=8))
def test_no_two_months_differ_by_a_few_homes(months):
    told: list[frozenset[UUID]] = []
    for number, willing in enumerate(months):
        told.append(homes_to_count(willing, [group for group in told if group], seed=str(number)))

    for one, other in combinations([group for group in told if group], 2):
        assert one == other or len(one ^ other) >= LEAST_HOMES


def test_fourteen_are_nobody_and_fifteen_are_counted():
    assert homes_to_count(HOMES[:14], [], seed="") == frozenset()
    assert homes_to_count(HOMES[:15], [], seed="") == frozenset(HOMES[:15])


def test_one_home_more_waits_and_fifteen_more_are_counted():
    before = frozenset(HOMES[:20])

    assert homes_to_count(HOMES[:21], [before], seed="") == before
    assert homes_to_count(HOMES[:35], [before], seed="") == frozenset(HOMES[:35])


def test_when_one_home_goes_others_are_left_out_by_lot():
    before = frozenset(HOMES[:40])

    counted = homes_to_count(HOMES[1:40], [before], seed="a month")

    assert len(counted) == 40 - LEAST_HOMES
    assert counted != homes_to_count(HOMES[1:40], [before], seed="another")
    assert homes_to_count(HOMES[1:20], [frozenset(HOMES[:20])], seed="") == frozenset()


@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000), st.booleans()), min_size=1, max_size=40)
)
def test_a_day_is_told_of_many_homes_none_of_which_stands_out(homes):
    used, sent, whole = (np.array(column) for column in zip(*homes, strict=True))

    (told,) = day_totals(used[:, None], sent[:, None], whole[:, None].astype(bool))

    counted = int(whole.sum())
    if counted < LEAST_HOMES:
        assert (told.homes, told.import_wh, told.export_wh, told.withheld) == (0, None, None, "too_few")
        return
    total = int(used[whole].sum())
    if total and used[whole].max() * 100 > MOST_SHARE_PCT * total:
        assert (told.homes, told.import_wh, told.withheld) == (0, None, "stands_out")
        return
    assert told.homes == counted
    assert told.import_wh is not None
    assert told.import_wh % WH_A_STEP == 0
    assert abs(told.import_wh - total) <= WH_A_STEP // 2
    exported = int(sent[whole].sum())
    is_hidden = exported and sent[whole].max() * 100 > MOST_SHARE_PCT * exported
    assert (told.export_wh is None) == bool(is_hidden)
