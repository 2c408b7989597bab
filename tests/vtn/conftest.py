"""Fixtures of the VTN's tests: a CA of their own, two hubs that have registered."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.vtn import hubs
from vtn.port import Vtn
from vtn.service import EmbeddedVtn


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(autouse=True)
def _own_authority(settings: Settings, pki_folder: Path) -> None:
    settings.VTN_PKI_DIR = pki_folder


@pytest.fixture
def vtn() -> Vtn:
    return EmbeddedVtn()


@pytest.fixture
def hub(db: None) -> hubs.TestHub:
    return hubs.registered_hub("hub")


@pytest.fixture
def stranger(db: None) -> hubs.TestHub:
    """Another home's hub, enrolled and registered like the first."""
    return hubs.registered_hub("stranger")
