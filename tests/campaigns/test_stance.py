"""What opts add up to: newest decides, however they arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.stance import OVERRIDE_REASON, Said, Stance, standpoint

STARTS_AT = datetime(2026, 1, 14, 16, tzinfo=UTC)

said = st.builds(
    Said,
    opt=st.sampled_from(["in", "out"]),
    source=st.sampled_from(["hub", "member_button", "portal", "staff"]),
    reason=st.sampled_from(["", "economic", OVERRIDE_REASON]),
    received_at=st.integers(-60, 60).map(lambda minutes: STARTS_AT + timedelta(minutes=minutes)),
    sequence=st.integers(0, 100),
)


def at(minutes: int, opt: str, source: str = "hub", reason: str = "", sequence: int = 0) -> Said:
    return Said(opt, source, reason, STARTS_AT + timedelta(minutes=minutes), sequence)


@given(data=st.data(), opts=st.lists(said, max_size=12))
def test_order_of_arrival_and_repeats_change_nothing(data: st.DataObject, opts: list[Said]) -> None:
    shuffled = data.draw(st.permutations(opts + opts[: len(opts) // 2]))

    assert standpoint(shuffled, starts_at=STARTS_AT) == standpoint(opts, starts_at=STARTS_AT)


@given(st.lists(said, max_size=12))
def test_whoever_says_no_last_is_out(opts: list[Said]) -> None:
    no = Said("out", "portal", "", STARTS_AT + timedelta(minutes=90))

    now = standpoint([*opts, no], starts_at=STARTS_AT)

    assert now.stance in (Stance.OUT, Stance.OVERRIDDEN)
    assert now.is_by_people


@given(st.lists(said.filter(lambda each: each.source in ("hub", "member_button")), max_size=12))
def test_no_hub_undoes_a_persons_no(hub_opts: list[Said]) -> None:
    no = Said("out", "portal", "", STARTS_AT - timedelta(minutes=90))

    assert standpoint([no, *hub_opts], starts_at=STARTS_AT).stance is Stance.OUT


@pytest.mark.parametrize(
    ("opts", "stance"),
    [
        ([], Stance.UNDECIDED),
        ([at(-30, "in")], Stance.IN),
        ([at(-30, "out")], Stance.OUT),
        ([at(-30, "out"), at(-20, "in")], Stance.IN),
        ([at(-30, "in"), at(10, "out", "member_button", OVERRIDE_REASON)], Stance.OVERRIDDEN),
        ([at(10, "out", reason=OVERRIDE_REASON)], Stance.OVERRIDDEN),
        ([at(-30, "in"), at(10, "out", reason="economic")], Stance.OVERRIDDEN),
        ([at(10, "out", reason="economic")], Stance.OUT),
        ([at(-30, "in"), at(10, "out"), at(20, "in")], Stance.IN),
        ([at(-30, "in"), at(10, "out", "portal")], Stance.OVERRIDDEN),
        ([at(-30, "in"), at(-10, "out", "portal"), at(-9, "in")], Stance.OUT),
        ([at(-30, "in"), at(-10, "out", "portal"), at(-5, "in", "portal")], Stance.UNDECIDED),
        ([at(-10, "out", "portal"), at(-5, "in", "portal"), at(-4, "in")], Stance.IN),
        ([at(-10, "out"), at(5, "out", reason=OVERRIDE_REASON)], Stance.OUT),
        ([at(-5, "in", sequence=1), at(-5, "out", sequence=2)], Stance.OUT),
        ([at(-9, "out"), at(-5, "in", "portal", sequence=9), at(-5, "in", sequence=1)], Stance.IN),
        ([at(-5, "in", sequence=9), at(-5, "out", "portal", sequence=1)], Stance.OUT),
    ],
)
def test_cases(opts: list[Said], stance: Stance) -> None:
    assert standpoint(opts, starts_at=STARTS_AT).stance is stance
