"""The demo's stage: the sped-up world clock, and the real processes that live by it.

VTN, worker and hubs are separate processes; the protocol between VTN and hubs is HTTPS with mutual TLS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from hems.agent import STATUS
from opendsr.demo.edge import require_room
from opendsr.demo.homes import FittedHome
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.run import up
from opendsr.run.places import REPOSITORY, var_folder
from opendsr.run.supervisor import Program, Supervisor

OWN_PROCESS_EACH = 24
HUBS_A_PROCESS = 16
POLL_SECONDS = "1"
LOOK_SECONDS = 0.2
NIGHT_SECONDS = 120
AGAIN = "then try again: `make demo` starts afresh"


class PlayStalled(DomainError):
    """Something the demo waits for did not come in time; the logs say why."""

    status = 503


@dataclass(frozen=True, slots=True)
class Anchor:
    """World time tied to wall time, as the two environment variables say it."""

    world: datetime
    wall: datetime
    speed: float

    @property
    def env(self) -> dict[str, str]:
        """What every process of the play is started with."""
        return {
            "WORLD_CLOCK_ANCHOR": f"{_iso(self.world)}/{_iso(self.wall)}",
            "WORLD_CLOCK_SPEED": f"{self.speed:g}",
            "VTN_POLL_SECONDS": POLL_SECONDS,
        }

    def set_here(self) -> None:
        """Put this process on the same clock."""
        clock.configure(self.world, self.wall, self.speed)


def anchored_now(world: datetime, speed: float) -> Anchor:
    """Tie a world instant to this moment."""
    return Anchor(world, datetime.now(UTC), speed)


def vtn_and_worker(anchor: Anchor, vtn_port: int) -> list[Program]:
    """The same programs that `make up` runs, without the people's site."""
    programs = up.programs(var=var_folder(), port=0, vtn_port=vtn_port)
    return [replace(each, env={**each.env, **anchor.env}) for each in programs if each.name != "web"]


def worker(anchor: Anchor, vtn_port: int) -> Program:
    """The worker alone."""
    return next(each for each in vtn_and_worker(anchor, vtn_port) if each.name == "worker")


def hubs(
    anchor: Anchor, homes: Sequence[FittedHome], *, vtn_port: int, until: datetime, size: int | None = None
) -> list[Program]:
    """One process a hub; a large file's homes share processes, each hub still its own client."""
    size = size or (1 if len(homes) <= OWN_PROCESS_EACH else HUBS_A_PROCESS)
    url = f"https://localhost:{vtn_port}/OpenADR2/Simple/2.0b"
    programs = []
    for first in range(0, len(homes), size):
        group = homes[first : first + size]
        command = [sys.executable, "-m", "hems", "fleet", "--dirs", *(str(home.folder) for home in group)]
        command += [
            "--vtn",
            url,
            "--until",
            _iso(until),
            "--poll-seconds",
            POLL_SECONDS,
            "--quiet-seconds",
            "2",
        ]
        programs.append(Program(name=group[0].household.spec.serial.lower(), command=command, env=anchor.env))
    return programs


def run_to_midnight(homes: Sequence[FittedHome], midnight: datetime, *, vtn_port: int) -> None:
    """Let every hub live the rest of the day, so that its meter's log is whole. Raises PlayStalled."""
    anchor = anchored_now(midnight, 1)
    for program in hubs(anchor, homes, vtn_port=vtn_port, until=midnight, size=HUBS_A_PROCESS):
        log = var_folder() / "log" / f"{program.name}-night.log"
        what = "the hubs to finish their day"
        try:
            with log.open("wb") as output:
                ended = subprocess.run(  # noqa: S603
                    program.command,
                    env={**os.environ, **program.env},
                    cwd=REPOSITORY,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=NIGHT_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            raise PlayStalled(waited_for=what, seconds=NIGHT_SECONDS, fix=f"see {log}, {AGAIN}") from None
        if ended.returncode != 0:
            raise PlayStalled(waited_for=what, exit_code=ended.returncode, fix=f"see {log}, {AGAIN}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the hubs show on their displays at one moment."""

    states: Counter[str]
    power_w: int
    held: int
    registered: frozenset[str]


def look(homes: Sequence[FittedHome]) -> Seen:
    """Read every hub's status file; one that is being started counts as starting."""
    states: Counter[str] = Counter()
    power_w = held = 0
    registered = set()
    for home in homes:
        status = _status(home.folder / STATUS)
        states[status.get("state", "starting")] += 1
        if status.get("ven_id"):
            registered.add(home.household.spec.serial)
        for asset in status.get("assets", ()):
            power_w += asset["power_w"]
            held += asset["is_ordered"]
    return Seen(states, power_w, held, frozenset(registered))


def wait_until(done: Callable[[], bool], *, seconds: float, what: str, supervisor: Supervisor) -> None:
    """Look again and again until `done`.

    Raises PlayStalled after `seconds`, SupervisorError when a process dies, OSError when the disk is full.
    """
    deadline = time.monotonic() + seconds
    while not done():
        require_room()
        supervisor.check()
        if time.monotonic() > deadline:
            raise PlayStalled(
                waited_for=what,
                seconds=f"{seconds:.0f}",
                fix=f"see the logs in {var_folder() / 'log'}, {AGAIN}",
            )
        time.sleep(LOOK_SECONDS)


def vtn_port() -> int:
    """The port of VTN_PORT."""
    return up.port_from_env("VTN_PORT", settings.VTN_PORT)


def forget_statuses(homes: Sequence[FittedHome]) -> None:
    """Remove what hubs showed in an earlier run."""
    for home in homes:
        (home.folder / STATUS).unlink(missing_ok=True)


def _status(path: Path) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return status


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
