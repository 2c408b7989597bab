"""Results kept in the cache: worked out once, anew when old, and only those that lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache

from opendsr.kernel import keeping

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


class Work:
    """Squares, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, missing: Sequence[int]) -> dict[int, int]:
        self.asked.append(list(missing))
        return {each: each * each for each in missing}


def test_only_what_lacks_is_worked_out_and_each_says_when() -> None:
    work = Work()

    def squares(*numbers: int, at: datetime) -> dict[int, tuple[int, datetime]]:
        return keeping.kept_each("squares", numbers, at=at, lasts=2 * MINUTE, work=work)

    assert squares(3, 2, 3, at=NOON) == {3: (9, NOON), 2: (4, NOON)}
    assert list(squares(2, 3, 4, at=NOON + MINUTE).items()) == [
        (2, (4, NOON)),
        (3, (9, NOON)),
        (4, (16, NOON + MINUTE)),
    ]
    assert squares(3, 4, at=NOON + 2 * MINUTE)[3] == (9, NOON + 2 * MINUTE)
    assert work.asked == [[3, 2], [4], [3]]


def test_what_is_from_a_later_time_is_worked_out_for_an_earlier() -> None:
    work = Work()
    keeping.kept_each("squares", [1], at=NOON, lasts=MINUTE, work=work)
    keeping.kept_each("squares", [1], at=NOON - MINUTE, lasts=9 * MINUTE, work=work)

    assert len(work.asked) == 2


def test_one_result_is_kept_none_too_until_it_is_forgotten() -> None:
    done: list[int] = []
    for _ in range(2):
        found = keeping.kept("one", at=NOON, lasts=MINUTE, work=lambda: done.append(1))
        assert found == (None, NOON)
    assert done == [1]

    keeping.forget("one")
    keeping.kept("one", at=NOON, lasts=MINUTE, work=lambda: done.append(2))

    assert done == [1, 2]


def test_nothing_wanted_works_nothing_out() -> None:
    work = Work()

    assert keeping.kept_each("none", [], at=NOON, lasts=MINUTE, work=work) == {}
    assert work.asked == []
