"""Fixtures of the kernel's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from opendsr.kernel import clock, outbox

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def consumers(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], outbox.Registration]:
    """An outbox that knows no consumers but the test's own."""
    registry: dict[tuple[str, str], outbox.Registration] = {}
    monkeypatch.setattr(outbox, "_registry", registry)
    return registry


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A wall clock that stands still until told to move on by so many seconds."""
    moment = [NOON]
    monkeypatch.setattr(clock, "wall_now", lambda: moment[0])

    def move_on(seconds: float) -> None:
        moment[0] += timedelta(seconds=seconds)

    return move_on
