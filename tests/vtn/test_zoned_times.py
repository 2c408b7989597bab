"""Every time in the console names its zone, also in the hour that comes twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.template import Context, Template

pytestmark = pytest.mark.unit

NIGHT = "{% load vtn_times %}{{ at|zoned:'j M Y, H:i' }}"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "25 Oct 2026, 01:30 BST"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "25 Oct 2026, 01:30 GMT"),
        (datetime(2026, 7, 1, 11, 0, tzinfo=UTC), "1 Jul 2026, 12:00 BST"),
        (None, ""),
    ],
)
def test_a_time_is_told_with_its_zone(at: datetime | None, words: str) -> None:
    assert Template(NIGHT).render(Context({"at": at})) == words
