"""Fixtures of the VTN's tests: a CA of their own, two hubs that have registered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.postgresql.operations import DatabaseOperations
from psycopg.errors import DeadlockDetected
from pytest_django import Settings

from tests.vtn import hubs
from vtn.port import Vtn
from vtn.service import EmbeddedVtn


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="session", autouse=True)
def _patient_flush() -> Iterator[None]:
    """A listener that serves a whole module may still write its log while tables are emptied after a test.

    PostgreSQL then ends one of the two; where it is the emptying, that is done again.
    """
    flush = DatabaseOperations.execute_sql_flush

    def patient(self: DatabaseOperations, sql_list: list[str]) -> Any:
        for _ in range(4):
            try:
                return flush(self, sql_list)
            except OperationalError as error:
                if not isinstance(error.__cause__, DeadlockDetected):
                    raise
        return flush(self, sql_list)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", patient)
        yield


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
