"""What a VEN tells of its draws, in the one place OpenADR leaves for words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oadr import delays
from oadr.delays import Delays

drawn = st.dictionaries(st.from_regex(r"\A[a-z0-9 ._:-]{1,30}\Z"), st.integers(0, 1_800), max_size=5)


@given(drawn, drawn)
def test_what_is_written_is_read_as_it_was(start: dict[str, int], end: dict[str, int]) -> None:
    told = Delays(start, end)
    assert delays.read(delays.written(told)) == (told if told else None)


@pytest.mark.parametrize(
    "description",
    [
        "",
        "OK",
        "{",
        "[]",
        "{}",
        '{"start_seconds": {}}',
        '{"start_seconds": []}',
        '{"start_seconds": {"a": -1}}',
        '{"start_seconds": {"a": true}}',
        '{"start_seconds": {"a": 1.5}}',
        '{"start_seconds": {"a": "1"}}',
        '{"start_seconds": {"a": 86401}}',
        '{"start_seconds": {"": 1}}',
        '{"start_seconds": {"a\\u0000": 1}}',
        '{"start_seconds": {"\\ud800": 1}}',
        '{"start_seconds": {"a": 1}, "end_seconds": 7}',
        json.dumps({"start_seconds": dict.fromkeys(map(str, range(201)), 1)}),
        '{"start_seconds": {"a": 1}' + " " * 16_384 + "}",
        '{"start_seconds": ' + "[" * 9_000,
    ],
)
def test_any_other_words_tell_nothing(description: str) -> None:
    assert delays.read(description) is None


def test_other_members_of_the_object_are_left_aside() -> None:
    assert delays.read('{"start_seconds": {"a": 1}, "note": "x"}') == Delays({"a": 1})
