"""Signatures of webhooks: ours and fresh, or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices import hooks

WALL = datetime(2026, 3, 12, 12, tzinfo=UTC)


@given(body=st.binary(max_size=200), seconds=st.integers(-300, 300))
def test_what_was_signed_with_the_secret_is_let_in_for_five_minutes(body, seconds):
    hooks.verify(
        body, hooks.sign(body, secret="s", wall=WALL + timedelta(seconds=seconds)), secret="s", wall=WALL
    )


@pytest.mark.parametrize(
    ("body", "secret", "wall"),
    [(b"b", "s", WALL), (b"a", "t", WALL), (b"a", "s", WALL - timedelta(seconds=301)), (b"a", "", WALL)],
)
def test_another_body_secret_or_time_is_not(body, secret, wall):
    header = hooks.sign(b"a", secret=secret, wall=wall)

    with pytest.raises(hooks.SignatureWrong):
        hooks.verify(body, header, secret="" if not secret else "s", wall=WALL)


@given(header=st.text(max_size=120))
def test_no_header_made_up_opens(header):
    with pytest.raises(hooks.SignatureWrong):
        hooks.verify(b"a", header, secret="s", wall=WALL)
