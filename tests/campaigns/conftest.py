"""Fixtures of the campaigns' tests."""

from __future__ import annotations

import pytest

from campaigns import vtn_door
from tests.campaigns.staging import PaperVtn


@pytest.fixture
def paper_vtn(monkeypatch: pytest.MonkeyPatch) -> PaperVtn:
    """A VTN in memory behind the room's door; tests of the real one do not ask for it."""
    vtn = PaperVtn()
    monkeypatch.setattr(vtn_door, "vtn", lambda: vtn)
    return vtn
