"""Fixtures shared by every room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opendsr.kernel import clock


@pytest.fixture(autouse=True)
def _world_clock_at_rest() -> Iterator[None]:
    """No test inherits or leaves an anchored world clock."""
    clock.reset()
    yield
    clock.reset()
