"""Relay life: counts go up by what was switched whatever counters do; shares and ends follow from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.wear import WARN_SHARE, YEAR, Count, counted, relay_wear, usual_years

AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def wear(cycles: int = 0, *, days: float = 100, age: timedelta = 100 * DAY, **more):
    given_ = {"life_cycles": 3_000, "life_years": 10, **more}
    return relay_wear(
        cycles=cycles,
        counted_from_at=AT - timedelta(days=days),
        told_at=AT,
        installed_at=AT - age,
        at=AT,
        **given_,
    )


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 500), st.sampled_from(["on", "restart", "other hub"])), max_size=30
    )
)
def test_every_cycle_is_counted_once_over_restarts_and_other_hubs(steps):
    held, counter, hub, switched = None, 0, 0, 0
    for more, what in steps:
        if what != "on":
            counter, hub = 0, hub + (what == "other hub")
        counter += more
        switched += more
        before = held
        held = counted(held, told=counter, told_by=f"VEN-{hub}")
        if before is not None:
            assert held.cycles >= before.cycles
    # A counter that began anew and already stands as high as before cannot be told from one that went on.
    assert (held.cycles if held else 0) <= switched
    if not any(what == "restart" for _, what in steps):
        assert (held.cycles if held else 0) == switched


def test_told_twice_it_is_counted_once():
    first = counted(None, told=40, told_by="A")
    assert counted(first, told=40, told_by="A") == first == Count(40, 40, "A")


@given(
    cycles=st.integers(0, 20_000),
    more=st.integers(0, 5_000),
    days=st.floats(8, 4_000),
    age_days=st.integers(0, 5_000),
)
def test_more_use_never_looks_like_less(cycles, more, days, age_days):
    less, used = (wear(each, days=days, age=age_days * DAY) for each in (cycles, cycles + more))
    assert used.share >= less.share >= 0
    assert used.ends_at <= less.ends_at
    assert used.is_worn == (used.share >= WARN_SHARE)
    assert less.ends_at <= AT - age_days * DAY + 10 * YEAR


def test_the_end_is_where_the_rate_leads():
    found = wear(1_000, days=100)
    assert found.share == pytest.approx(1 / 3)
    assert found.ends_at == AT + 200 * DAY
    assert wear(3_000).ends_at == AT
    assert wear(10, days=1).ends_at == AT - 100 * DAY + 10 * YEAR, "a day gives no rate"


def test_what_has_no_relay_wears_out_none():
    assert wear(5_000, life_cycles=None, life_years=None) is None
    assert wear(1, days=4_000, life_years=None, life_cycles=100_000_000).ends_at is None
    assert usual_years(3_000) == 10
    assert usual_years(100_000) is None
