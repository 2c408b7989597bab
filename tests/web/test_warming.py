"""What a process does before its first request: what a start needs is there, and nothing was written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.servicing import warming
from campaigns.vtn_door import EventNotice
from opendsr.kernel import clock
from opendsr.web.warming import warm

ROOT = Path(__file__).resolve().parents[2]
READS = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")


@pytest.mark.django_db
def test_a_start_is_gone_through_and_nothing_is_written() -> None:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        told = warming.rehearse(at=clock.now())

    statements = [query["sql"].strip() for query in captured.captured_queries]
    assert isinstance(told, EventNotice)
    assert told.signals
    assert any("assets_asset" in statement for statement in statements)
    assert not [each for each in statements if not each.startswith(READS) or "FOR UPDATE" in each]


@pytest.mark.django_db(transaction=True)
def test_no_connection_stays_open() -> None:
    warm()

    assert connection.connection is None


def test_a_process_starts_without_a_database_and_has_the_addresses_before_a_request() -> None:
    look = "import opendsr.wsgi, sys; sys.exit('campaigns.servicing.api' not in sys.modules)"
    nowhere = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}

    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "not warmed up" in done.stderr
