"""Real hub processes and a real VTN socket, world time sped up: killed, restarted, ended, several in one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hems.devices import Order
from hems.home import Home
from hems.instants import written
from hems.link import ANSWER_SECONDS
from hems.simulation import SimulatedHome
from oadr.messages import Message, QueryRegistration, Target
from tests.hems.conftest import FIVE, NAME, evening_home, make_event
from tests.hems.small_vtn import SmallVtn

REPOSITORY = Path(__file__).parents[2]
SPEED = 600
STARTS_AT = FIVE - timedelta(minutes=100)
"""Ten seconds for a hub to come up before its event, which then lasts nine."""
IN_THE_EVENT = FIVE + timedelta(minutes=1)
ENDS_AT = FIVE + timedelta(hours=2)
PATIENCE_SECONDS = 90


@pytest.fixture
def hub() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start hub processes that share one clock, which begins at the first start.

    With `until` it is sped up; without, it goes as the machine's does, from a minute into the event on.
    """
    running: list[subprocess.Popen[bytes]] = []
    anchor: dict[str, str] = {}

    def started(*arguments: object, until: datetime | None = ENDS_AT) -> subprocess.Popen[bytes]:
        if not anchor:
            starts_at, speed = (IN_THE_EVENT, 1) if until is None else (STARTS_AT, SPEED)
            anchor["WORLD_CLOCK_ANCHOR"] = f"{written(starts_at)}/{written(datetime.now(UTC))}"
            anchor["WORLD_CLOCK_SPEED"] = str(speed)
        command = [sys.executable, "-m", "hems", *map(str, arguments), "--poll-seconds", "0.1"]
        if until is not None:
            command += ["--until", until.isoformat()]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | anchor, stderr=subprocess.PIPE)
        running.append(process)
        return process

    yield started
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def phase(folder: Path) -> str:
    try:
        events = json.loads((folder / "status.json").read_text())["events"]
    except FileNotFoundError:
        return ""
    return events[0]["phase"] if events else ""


def expected_readings(home: Home) -> str:
    """What the meter shows when the event is carried out to the second."""
    played = SimulatedHome(home)
    ends_at = FIVE + timedelta(minutes=90)
    played.plan([Order("E1", "res-ev", FIVE, ends_at, ends_at, "down", 0)])
    return played.readings_csv(ENDS_AT)


@pytest.mark.slow
def test_killed_in_the_middle_of_an_event_it_carries_on(make_folder, vtn: SmallVtn, hub):
    folder = make_folder()
    vtn.put(NAME, make_event())
    first = hub("run", "--dir", folder, "--vtn", vtn.url)
    wait_for(lambda: phase(folder) == "active")

    first.send_signal(signal.SIGKILL)
    assert first.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    second = hub("run", "--dir", folder, "--vtn", vtn.url)

    assert second.wait(PATIENCE_SECONDS) == 0
    assert (folder / "readings.csv").read_text() == expected_readings(evening_home())
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert set(vtn.answers(NAME)) == {("E1", 0, "optIn", 200)}


def test_a_vtn_that_is_not_up_yet_is_waited_for(make_folder, authority, tmp_path, hub):
    folder = make_folder()
    with SmallVtn(authority, tmp_path) as placeholder:
        port = placeholder.port
    process = hub(
        "run", "--dir", folder, "--vtn", f"https://localhost:{port}/OpenADR2/Simple/2.0b", until=None
    )
    wait_for(lambda: (folder / "status.json").exists())

    with SmallVtn(authority, tmp_path, port=port) as late:
        wait_for(lambda: bool(late.registrations))
        wait_for(lambda: json.loads((folder / "status.json").read_text())["state"] == "online")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_sigterm_ends_it_even_while_the_vtn_keeps_it_waiting(make_folder, vtn: SmallVtn, hub):
    folder = make_folder()
    is_over = threading.Event()

    def dawdles(name: str, message: Message) -> int:
        is_over.wait(PATIENCE_SECONDS)
        return 503

    vtn.reply[QueryRegistration] = dawdles
    process = hub("run", "--dir", folder, "--vtn", vtn.url, until=None)
    wait_for(lambda: bool(vtn.heard[NAME]))

    process.send_signal(signal.SIGTERM)

    try:
        assert process.wait(ANSWER_SECONDS - 1) == 0, "it does not wait for the answer"
    finally:
        is_over.set()


@pytest.mark.slow
def test_a_fleet_is_several_hubs_in_one_process(make_folder, vtn: SmallVtn, hub):
    names = ["HUB-0001", "HUB-0002", "HUB-0003"]
    folders = [make_folder(serial=name) for name in names]
    for name in names:
        vtn.put(name, make_event(target=Target()))
    process = hub("fleet", "--dirs", *folders, "--vtn", vtn.url)

    assert process.wait(PATIENCE_SECONDS) == 0
    for name, folder in zip(names, folders, strict=True):
        assert set(vtn.answers(name)) == {("E1", 0, "optIn", 200)}
        assert (folder / "readings.csv").read_text() == expected_readings(evening_home())


def test_the_button_works_from_another_process(make_folder, vtn: SmallVtn, hub):
    folder = make_folder()
    vtn.put(NAME, make_event(minutes=240))
    process = hub("run", "--dir", folder, "--vtn", vtn.url, until=None)
    wait_for(lambda: phase(folder) == "active")

    subprocess.run(
        [sys.executable, "-m", "hems", "override", "--dir", folder],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    wait_for(lambda: phase(folder) == "opted_out")
    wait_for(lambda: any(type(message).__name__ == "CreateOpt" for message in vtn.heard[NAME]))

    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
