"""What `tests/conftest.py` does for every room, without any other room; and that there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import hypothesis
import pytest

from opendsr.kernel import clock

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

ROOMS = frozenset({"members", "assets", "metering", "campaigns", "settlement", "hems"})
UPPER = ("opendsr.web", "opendsr.demo", "opendsr.settings")


@pytest.fixture(autouse=True)
def _world_clock_at_rest() -> Iterator[None]:
    """No test inherits or leaves an anchored world clock."""
    clock.reset()
    yield
    clock.reset()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The run fails when any test has brought another room in."""
    found = sorted(name for name in sys.modules if name.partition(".")[0] in ROOMS or name.startswith(UPPER))
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nThe VTN is not alone: {', '.join(found[:5])}", file=sys.stderr)  # noqa: T201
