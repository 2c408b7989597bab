"""Tokens and UUIDs that grow: in order, never twice, and not to be guessed from one another."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel import clock, ids


@given(count=st.integers(0, 10_000))
def test_tokens_grow_and_none_comes_twice(count: int) -> None:
    tokens = ids.ordered_tokens(count)

    assert len(tokens) == len(set(tokens)) == count
    assert tokens == sorted(tokens)
    assert all(len(token) == 32 and int(token, 16) >= 0 for token in tokens)


@given(count=st.integers(0, 10_000))
def test_uuids_grow_and_are_of_version_7(count: int) -> None:
    before = int(clock.wall_now().timestamp() * 1000)
    found = [UUID(text) for text in ids.ordered_uuids(count)]
    after = int(clock.wall_now().timestamp() * 1000) + count // 4096

    assert len(set(found)) == count
    assert found == sorted(found)
    assert all(each.version == 7 and each.variant == RFC_4122 for each in found)
    assert all(before <= each.int >> 80 <= after for each in found)


def test_what_follows_the_running_number_is_random() -> None:
    for made in (ids.ordered_tokens, ids.ordered_uuids):
        tails = [text[17:] for text in made(5_000) + made(5_000)]
        assert len(set(tails)) == 10_000
