from __future__ import annotations

import pytest

from opendsr.kernel import checks, clock, encryption, outbox


@pytest.fixture(autouse=True)
def _sound_environment(monkeypatch):
    monkeypatch.setenv(encryption.VARIABLE, encryption.new_kek())
    for name in (clock.ANCHOR_VARIABLE, clock.SPEED_VARIABLE, outbox.LEASE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_a_sound_environment_passes():
    assert checks.check_environment(None) == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        (encryption.VARIABLE, "", "kernel.E001"),
        (clock.ANCHOR_VARIABLE, "yesterday", "kernel.E002"),
        (outbox.LEASE_VARIABLE, "0", "kernel.E003"),
    ],
)
def test_each_bad_variable_is_named_before_anything_is_served(monkeypatch, name, value, number):
    monkeypatch.setenv(name, value)

    (message,) = checks.check_environment(None)
    assert (message.id, name in message.msg) == (number, True)
