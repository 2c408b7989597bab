"""Meters for the tests of ingest and store: streams of households that consent, and one that does not."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.factories import Resident


@pytest.fixture
def ash(alice: Resident) -> UUID:
    """The stream of a household that consents to half-hourly settlement since JOINED_AT."""
    return alice.stream_id


@pytest.fixture
def birch(carol: Resident) -> UUID:
    """The stream of another."""
    return carol.stream_id
