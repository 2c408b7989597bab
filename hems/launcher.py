"""`python -m hems.launcher --dir D --vtn URL ...`: runs the hub, and takes a new version back that fails.

Everything after `--dir D` is handed to `python -m hems run`. A version on trial has to prove itself: one
whole contact with its VTN, and every device heard that was heard before. One that does not within the
trial's time, or that dies three times over, is taken back and the one before runs again. The launcher is not
updated with the rest: it is short so that it need not be.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from hems import versions
from hems.versions import FOLDER, LAUNCHED, RESTART

TRIAL_SECONDS: Final = 600.0
MOST_DEATHS: Final = 3
REST_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.2
STOP_SECONDS: Final = 20.0

log = logging.getLogger("hems.launcher")


class Launcher:
    """One hub's agent, started over and over."""

    def __init__(
        self, folder: Path, arguments: Sequence[str], *, trial_seconds: float = TRIAL_SECONDS
    ) -> None:
        self._folder, self._arguments, self._trial_seconds = folder, list(arguments), trial_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopping = False

    def run(self) -> int:
        """Return the agent's exit status once it ends by itself, or by `stop`."""
        deaths = 0
        while True:
            held = versions.read(self._folder)
            status = self._watch(held)
            now = versions.read(self._folder)
            if self._is_stopping or status in (0, 2):
                if status == 2 and now.is_trial and not self._is_stopping:
                    self._take_back("it says that something has to be put right first")
                    continue
                return status
            if status == RESTART:
                deaths = 0
                continue
            deaths += 1
            log.warning("%s ended with status %d", now.version, status)
            if now.is_trial and deaths >= MOST_DEATHS:
                self._take_back(f"it died {deaths} times, last with status {status}")
                deaths = 0
            time.sleep(REST_SECONDS)

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """End the agent and the launcher with it."""
        self._is_stopping = True
        if self._process is not None:
            self._process.terminate()

    def _watch(self, held: versions.Versions) -> int:
        """Start a version and wait for its end; one whose trial runs out is ended and taken back."""
        environment = {**os.environ, LAUNCHED: "1"}
        if held.file:
            path = str(self._folder / FOLDER / held.file)
            others = environment.get("PYTHONPATH", "")
            environment["PYTHONPATH"] = path + (os.pathsep + others if others else "")
        command = [sys.executable, "-m", "hems", "run", "--dir", str(self._folder), *self._arguments]
        log.info("starts %s%s", held.version, " on trial" if held.is_trial else "")
        # A release goes before what lies in the launcher's own folder.
        where = self._folder if held.file else None
        self._process = subprocess.Popen(command, env=environment, cwd=where)  # noqa: S603 - our own program
        deadline = time.monotonic() + self._trial_seconds
        while (status := self._process.poll()) is None:
            time.sleep(LOOK_SECONDS)
            if held.is_trial and time.monotonic() >= deadline and versions.read(self._folder).is_trial:
                self._end()
                self._take_back(f"it did not prove itself within {self._trial_seconds:.0f} s")
                return RESTART
        return status

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _take_back(self, why: str) -> None:
        held = versions.read(self._folder)
        log.warning("%s is taken back: %s", held.version, why)
        versions.write(self._folder, held.taken_back(why))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hems.launcher", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    parser.add_argument("--trial-seconds", type=float, default=TRIAL_SECONDS)
    options, handed_on = parser.parse_known_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    launcher = Launcher(options.dir.absolute(), handed_on, trial_seconds=options.trial_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, launcher.stop)
    return launcher.run()


if __name__ == "__main__":
    sys.exit(main())
