"""Fixtures of the campaigns' tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from campaigns import vtn_door
from opendsr.kernel import clock, waking
from tests.campaigns.staging import PaperVtn


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due is run by the test itself."""
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(autouse=True)
def _own_authority(settings: Settings, pki_folder: Path) -> None:
    settings.VTN_PKI_DIR = pki_folder


@pytest.fixture
def paper_vtn(monkeypatch: pytest.MonkeyPatch) -> PaperVtn:
    """A VTN in memory behind the room's door; tests of the real one do not ask for it."""
    vtn = PaperVtn()
    monkeypatch.setattr(vtn_door, "vtn", lambda: vtn)
    return vtn


@pytest.fixture
def it_is() -> Callable[[datetime], None]:
    """Sets the world clock to an instant and stops it there."""
    return lambda at: clock.configure(at, speed=0)
