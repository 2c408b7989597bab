"""Weeks packed and unpacked: nothing is lost, and what does not vary is not written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import packed
from metering.packed import BLOCK, EXPORT, NONE, QUALITY, WIDE, Blocks

KNOWN_AT = 825_000_000_000_000


def block(import_wh: list[int], **columns: list[int]) -> Blocks:
    blocks = Blocks.empty(1)
    blocks.import_wh[0, : len(import_wh)] = import_wh
    blocks.known_at[0, : len(import_wh)] = KNOWN_AT
    for name, values in columns.items():
        getattr(blocks, name)[0, : len(values)] = values
    return blocks


def same(one: Blocks, other: Blocks) -> bool:
    there = packed.is_there(one)
    return all(
        (np.where(there, getattr(one, name), 0) == np.where(there, getattr(other, name), 0)).all()
        for name in ("import_wh", "export_wh", "quality", "known_at", "run_id", "revision")
    ) and bool((there == packed.is_there(other)).all())


@pytest.mark.parametrize(
    ("blocks", "form", "size"),
    [
        (block([0, NONE, 65_534]), 0, 672),
        (block([65_535]), WIDE, 1_344),
        (block([2**31 - 1], export_wh=[2**31 - 1]), WIDE | EXPORT, 2_688),
        (block([5, 6], export_wh=[0, 7]), EXPORT, 1_344),
        (block([5, 6], quality=[0, 2]), QUALITY, 756),
    ],
)
def test_only_what_is_there_is_written(blocks, form, size):
    (one,) = packed.pack(blocks)

    assert (one.form, len(one.payload), one.detail) == (form, size, b"")
    assert packed.payload_bytes(form) == size
    assert same(packed.unpack([one]), blocks)


def test_a_week_learned_day_by_day_says_so_in_a_few_bytes():
    days = np.repeat(np.arange(7), 48)
    blocks = block([1] * BLOCK, known_at=list(KNOWN_AT + days * 86_400_000_000), run_id=list(500 + days * 3))

    (one,) = packed.pack(blocks)

    assert 0 < len(one.detail) < 150
    assert one.latest_known_at == KNOWN_AT + 6 * 86_400_000_000
    assert same(packed.unpack([one]), blocks)


values = st.integers(0, 300) | st.integers(65_533, 65_536) | st.integers(0, 2**31 - 1)
readings = st.lists(
    st.tuples(
        st.integers(0, BLOCK - 1), values, st.just(0) | values, st.integers(0, 2), st.integers(0, 10**15),
        st.integers(1, 10**9), st.integers(0, 300),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


@given(st.lists(readings, min_size=1, max_size=4))
def test_whatever_is_packed_comes_back(rows):
    blocks = Blocks.empty(len(rows))
    names = ("import_wh", "export_wh", "quality", "known_at", "run_id", "revision")
    for number, some in enumerate(rows):
        for place, *columns in some:
            for name, value in zip(names, columns, strict=True):
                getattr(blocks, name)[number, place] = value

    assert same(packed.unpack(packed.pack(blocks)), blocks)
