"""A hub's folder ready to run, a clock moved by hand, a small VTN."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.agent import Agent
from hems.ev_charger import Stay
from hems.home import Home, Incidents, home_to_json, make_asset
from hems.keys import enrol
from oadr.messages import ActivePeriod, Event, EventStatus, Signal, SignalInterval, Target
from tests.hems.small_vtn import Authority, SmallVtn

DAY = date(2026, 11, 20)
FIVE = datetime(2026, 11, 20, 17, tzinfo=UTC)
NAME = "HUB-0001"


@dataclass
class HandClock:
    """World time as the test says."""

    at: datetime = FIVE - timedelta(hours=2)
    speed: float = 1.0

    def now(self) -> datetime:
        return self.at

    def wall_seconds_until(self, world: datetime) -> float:
        return max(0.0, (world - self.at).total_seconds())


def make_event(
    event_id: str = "E1",
    *,
    starts_at: datetime = FIVE,
    minutes: int = 90,
    number: int = 0,
    status: EventStatus = "far",
    levels: tuple[tuple[int, float], ...] = (),
    tolerance_seconds: int = 0,
    response: bool = True,
    **more,
) -> Event:
    """A SIMPLE turn-down; `levels` are (minutes, level)."""
    intervals = levels or ((minutes, 1.0),)
    signal = Signal(
        "SIMPLE",
        "level",
        "s1",
        tuple(SignalInterval(length * 60, value, str(n)) for n, (length, value) in enumerate(intervals)),
    )
    defaults: dict[str, Any] = {"signals": (signal,), "target": Target(ven_ids=(f"VEN-{NAME}",))}
    return Event(
        event_id=event_id,
        modification_number=number,
        market_context="https://coop.example/turn-down",
        created_at=starts_at - timedelta(hours=3),
        status=status,
        active_period=ActivePeriod(starts_at, minutes * 60, tolerance_seconds),
        is_response_required=response,
        **(defaults | more),
    )


def evening_home(**incidents) -> Home:
    """A car that charges from 16:30 for an hour and a half, and an immersion heater."""
    car = replace(
        make_asset("res-ev", "ev_charger", seed="1"),
        stays={
            DAY: (Stay(FIVE - timedelta(minutes=30), FIVE + timedelta(hours=14), 11_040),),
            DAY - timedelta(days=1): (),
        },
    )
    return Home("CAD-1", {DAY: (100,) * 48}, (car,), incidents=Incidents(**incidents))


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def vtn(authority: Authority, tmp_path: Path) -> Iterator[SmallVtn]:
    folder = tmp_path / "vtn"
    folder.mkdir()
    with SmallVtn(authority, folder) as small:
        yield small


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def make_folder(authority: Authority, tmp_path: Path) -> Callable[..., Path]:
    """Enrol a hub, have it signed, and furnish its home."""

    def made(home: Home | None = None, *, serial: str = NAME, signed_by: Authority = authority) -> Path:
        folder = tmp_path / serial
        request = enrol(folder, serial=serial)
        (folder / "certificate.pem").write_bytes(signed_by.sign_request(request.read_bytes()))
        (folder / "ca.pem").write_bytes(authority.pem)
        (folder / "home.json").write_text(json.dumps(home_to_json(home or evening_home())))
        return folder

    return made


@pytest.fixture
def start(make_folder, vtn: SmallVtn, clock: HandClock) -> Iterator[Callable[..., Agent]]:
    """Start the hub in this process, by hand; a second call is a restart in the same folder."""
    running: list[Agent] = []
    folders: list[Path] = []

    def started(**incidents) -> Agent:
        if running:
            running.pop().close()
        if not folders:
            folders.append(make_folder(evening_home(**incidents)))
        running.append(Agent(folders[0], vtn=vtn.url, clock=clock))
        return running[0]

    yield started
    for agent in running:
        agent.close()
