"""Households as columns say what single ones say: split, outcomes, hash, and who speaks for a home."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendsr.kernel.money import split_mp
from settlement import gathering
from settlement.delivery import OUTCOMES, outcome_codes, outcome_of
from settlement.gathering import PAID_RANKS, PRECEDENCE
from settlement.households import CODE_OF, STANDINGS, Household, Households
from settlement.reckoning import households_json
from settlement.sharing import split_column_mp

DAYS = (date(2026, 11, 2), date(2026, 11, 9), date(2026, 11, 16))
uuids = st.integers(1, 2**128 - 1).map(lambda number: UUID(int=number))
single = st.builds(
    Household,
    occupancy_id=uuids,
    stream_id=st.none() | uuids,
    standing=st.sampled_from(STANDINGS),
    takes_part=st.booleans(),
    instructed_wh=st.integers(0, 20_000),
    assets=st.integers(0, 9),
    event_days=st.frozensets(st.sampled_from(DAYS)),
    in_hardship=st.booleans(),
    donates_pct=st.sampled_from([Decimal(0), Decimal("12.50"), Decimal(100)]),
)
several = st.lists(single, max_size=8)


@given(several)
@settings(max_examples=50, deadline=None)
def test_columns_read_as_the_households_they_were_made_of(homes):
    columns = Households.of(homes)

    assert list(columns) == homes
    assert list(columns[1:]) == homes[1:]
    assert list(columns.rows(np.arange(len(homes))[::-1])) == homes[::-1]
    assert columns.has_stream.tolist() == [home.stream_id is not None for home in homes]


@given(several, several)
@settings(max_examples=30, deadline=None)
def test_stretches_are_put_together_in_order(first, second):
    told = [Household(DAY_ID, None, "silent", True, 1, event_days=frozenset(DAYS))]
    parts = [Households.of(told + some) for some in (first, second)]

    assert list(Households.joined(parts)) == told + first + told + second


DAY_ID = UUID(int=7)


@given(several)
@settings(max_examples=50, deadline=None)
def test_the_hashed_text_is_plain_json(homes):
    rows = [
        [
            home.occupancy_id.hex,
            home.stream_id.hex if home.stream_id else None,
            home.standing,
            home.takes_part,
            home.instructed_wh,
            home.assets,
            home.in_hardship,
            str(home.donates_pct),
        ]
        for home in homes
    ]

    assert f"[{households_json(Households.of(homes))}]" == json.dumps(rows, separators=(",", ":"))


@given(
    st.integers(0, 10**12) | st.integers(2**60, 2**62),
    st.lists(st.integers(0, 9) | st.integers(0, 10**7), min_size=1, max_size=30).filter(any),
)
@settings(max_examples=100, deadline=None)
def test_a_column_is_split_as_a_list_is(total_mp, weights):
    assert split_column_mp(total_mp, np.array(weights, np.int64)).tolist() == split_mp(total_mp, weights)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STANDINGS), st.integers(-4_000, 4_000), st.integers(0, 4_000), st.booleans()
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_outcomes_of_a_column_are_those_of_its_rows(rows, from_pct):
    standings, delivered, instructed, has_meter = zip(*rows, strict=True)

    codes = outcome_codes(
        standing=np.array([CODE_OF[each] for each in standings], np.uint8),
        delivered_wh=np.array(delivered),
        instructed_wh=np.array(instructed),
        has_meter=np.array(has_meter),
        from_pct=from_pct,
    )

    assert [OUTCOMES[code] for code in codes.tolist()] == [
        outcome_of(standing=standing, delivered_wh=wh, instructed_wh=asked, has_meter=has, from_pct=from_pct)
        for standing, wh, asked, has in rows
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PRECEDENCE),
            st.integers(0, 5_000),
            st.lists(st.integers(1, 5), min_size=1, max_size=5),
        ),
        max_size=6,
    )
)
@settings(max_examples=80, deadline=None)
def test_the_asset_that_stands_highest_speaks_for_its_home(alike):
    paid = set(PRECEDENCE[:PAID_RANKS])
    assets = {}
    for standing, watts, homes in alike:
        for home in homes:
            assets.setdefault(home, []).append((standing, watts))
    expected = []
    for home, own in sorted(assets.items()):
        speaks = min((standing for standing, _ in own), key=PRECEDENCE.index)
        counted = [watts for standing, watts in own if speaks not in paid or standing in paid]
        expected.append((UUID(int=home).bytes, CODE_OF[speaks], sum(counted) // 2, len(counted)))

    found = gathering.by_home(
        [
            (CODE_OF[standing], watts, b"".join(UUID(int=home).bytes for home in homes))
            for standing, watts, homes in alike
        ]
    )

    columns = (found.ids, found.standing, found.instructed_wh, found.assets)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


def test_nobody_asked_is_no_error():
    assert len(Households.of([])) == 0
    with pytest.raises(IndexError):
        Households.of([])[0]
