from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ImproperlyConfigured

from opendsr.kernel import clock

WORLD = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ANCHOR = "2026-03-04T12:00:00Z/2026-11-02T12:00:00Z"


@pytest.fixture(autouse=True)
def _no_anchor(monkeypatch):
    monkeypatch.delenv(clock.ANCHOR_VARIABLE, raising=False)
    monkeypatch.delenv(clock.SPEED_VARIABLE, raising=False)


def test_without_an_anchor_the_world_runs_by_the_wall(pass_time):
    assert clock.now() == clock.wall_now()
    assert clock.wall_seconds_until(clock.wall_now() + timedelta(seconds=90)) == 90
    assert clock.environment() == {}


def test_an_anchored_world_runs_at_its_speed(monkeypatch, pass_time):
    monkeypatch.setenv(clock.ANCHOR_VARIABLE, ANCHOR)
    monkeypatch.setenv(clock.SPEED_VARIABLE, "60")

    assert clock.now() == WORLD
    pass_time(10)

    assert clock.now() == WORLD + timedelta(minutes=10)
    assert clock.wall_seconds_until(WORLD + timedelta(minutes=30)) == 20
    assert clock.wall_seconds_until(WORLD) == 0.0


def test_every_process_with_the_same_variables_agrees(monkeypatch, pass_time):
    clock.configure(WORLD, clock.wall_now() - timedelta(seconds=3.25), speed=7.5)
    here = clock.now()
    passed_on = clock.environment()

    clock.reset()
    for name, value in passed_on.items():
        monkeypatch.setenv(name, value)

    assert clock.now() == here


def test_configure_wins_over_the_environment_until_reset(monkeypatch, pass_time):
    monkeypatch.setenv(clock.ANCHOR_VARIABLE, ANCHOR)
    clock.configure(WORLD + timedelta(days=1))

    assert clock.now() == WORLD + timedelta(days=1)
    clock.reset()
    assert clock.now() == WORLD


def test_a_frozen_world_never_reaches_its_future(pass_time):
    clock.configure(WORLD, speed=0)
    pass_time(3600)

    assert clock.now() == WORLD
    assert clock.wall_seconds_until(WORLD + timedelta(seconds=1)) == math.inf


def test_world_time_is_utc():
    clock.configure(WORLD, speed=2)

    assert clock.now().tzinfo is UTC
    assert clock.wall_now().tzinfo is UTC


@pytest.mark.parametrize(
    "anchor",
    [
        "2026-03-04T12:00:00Z",
        "2026-03-04T12:00:00/2026-11-02T12:00:00Z",
        "2026-03-04T12:00:00+01:00/2026-11-02T12:00:00Z",
        "yesterday/today",
        "a/b/c",
    ],
)
def test_a_bad_anchor_is_loud(monkeypatch, anchor):
    monkeypatch.setenv(clock.ANCHOR_VARIABLE, anchor)

    with pytest.raises(ImproperlyConfigured, match=r"WORLD_CLOCK_ANCHOR=.* such as 2026"):
        clock.now()


@pytest.mark.parametrize(("speed", "fix"), [("60", "set WORLD_CLOCK_ANCHOR"), ("-1", "runs backwards")])
def test_a_bad_speed_is_loud(monkeypatch, speed, fix):
    monkeypatch.setenv(clock.SPEED_VARIABLE, speed)

    with pytest.raises(ImproperlyConfigured, match=f"WORLD_CLOCK_SPEED=.*{fix}"):
        clock.now()


@pytest.mark.parametrize(
    "anchor", [datetime(2026, 3, 4, 12, 0), datetime(2026, 7, 4, 12, 0, tzinfo=ZoneInfo("Europe/London"))]
)
def test_configure_takes_utc_only(anchor):
    with pytest.raises(ValueError, match="aware UTC"):
        clock.configure(anchor)
