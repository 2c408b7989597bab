"""Starts the programs of a local run, watches them and stops them all; for one terminal, not for production.

Every program has a process group of its own, away from the terminal's Ctrl-C, and writes to
`<logs>/<name>.log`. Leaving the block stops them, latest first: SIGTERM, then SIGKILL for the whole group.
A supervisor killed with -9 takes its programs with it where the system can do that (Linux, `setpriv`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from opendsr.run.errors import SupervisorError
from opendsr.run.places import REPOSITORY, say

POLL_SECONDS = 0.1
TAIL_LINES = 15
LARGEST_LOG_BYTES = 5_000_000
RESTART_SECONDS = (1, 2, 5, 10, 30)
STEADY_SECONDS = 60
STOPPING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to know that it is ready: `ready` gets what it has written so far."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[str], bool] = lambda _written: True
    ready_seconds: float = 60
    stop_seconds: float = 15
    restarts: bool = False


@dataclass(slots=True)
class Child:
    """A started program."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path
    log_starts_at: int
    started_at: float
    times_restarted: int = 0
    restart_at: float | None = None

    def written(self) -> str:
        """Return what it has written since it was started."""
        with self.log.open("rb") as text:
            text.seek(self.log_starts_at)
            return text.read().decode(errors="replace")

    def put_long_log_aside(self) -> None:
        """Copy a long log to `.log.1` and begin it again; the program goes on appending."""
        if self.log.stat().st_size > LARGEST_LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
            self.log_starts_at = 0

    def last_words(self) -> str:
        """Return the end of that, indented."""
        lines = self.written().strip().splitlines()[-TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"


class Stopped(BaseException):
    """SIGTERM or SIGHUP came: unwinds to the block that stops everything, as Ctrl-C does."""


@contextmanager
def stopping_unwinds() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise Stopped in the block, so that what it holds is let go."""
    handlers = {number: signal.signal(number, _stopped) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Supervisor:
    """A block in which programs run: `with Supervisor(logs) as supervisor: supervisor.start(...)`."""

    def __init__(self, logs: Path, *, tell: Callable[[str], None] = say) -> None:
        self.logs = logs
        self.tell = tell
        self.children: dict[str, Child] = {}
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Supervisor:
        self.logs.mkdir(parents=True, exist_ok=True)
        for number in STOPPING:
            self._handlers[number] = signal.signal(number, _stopped)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deaf = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *self._handlers)}
        try:
            self.stop_all()
        finally:
            for number, handler in {**deaf, **self._handlers}.items():
                signal.signal(number, handler)

    def start(self, *programs: Program) -> None:
        """Start the programs together; return when all are ready, or raise SupervisorError."""
        for program in programs:
            self._spawn(program)
        waiting = {program.name: time.monotonic() + program.ready_seconds for program in programs}
        while waiting:
            for name in list(waiting):
                child = self.children[name]
                if child.process.poll() is not None:
                    raise SupervisorError(self._obituary(child))
                if child.program.ready(child.written()):
                    del waiting[name]
                elif time.monotonic() > waiting[name]:
                    raise SupervisorError(
                        f"{name} did not become ready in {child.program.ready_seconds:.0f} s."
                        f" Its last words, in {child.log}:\n{child.last_words()}"
                    )
            if waiting:
                time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Bring back what died and may be restarted; raise SupervisorError when another has ended."""
        now = time.monotonic()
        for child in list(self.children.values()):
            if child.process.poll() is None:
                if now - child.started_at > STEADY_SECONDS:
                    child.times_restarted = 0
                child.put_long_log_aside()
            elif not child.program.restarts:
                raise SupervisorError(self._obituary(child))
            elif child.restart_at is None:
                _end_group(child)
                wait = RESTART_SECONDS[min(child.times_restarted, len(RESTART_SECONDS) - 1)]
                child.restart_at = now + wait
                self.tell(f"{self._obituary(child)}\nIt is started again in {wait} s.")
            elif now >= child.restart_at:
                self._spawn(child.program, times_restarted=child.times_restarted + 1)

    def watch(self) -> None:
        """Watch until Ctrl-C, SIGTERM or the end of a program that may not end."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def stop(self, name: str, *, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop one program and forget it; `how=SIGKILL` for a crash."""
        child = self.children.pop(name)
        if child.process.poll() is None:
            with suppress(ProcessLookupError):
                child.process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(child.program.stop_seconds)
        _end_group(child)
        child.process.wait()

    def stop_all(self) -> None:
        """Stop everything, latest started first."""
        for name in reversed(list(self.children)):
            self.stop(name)

    def _spawn(self, program: Program, *, times_restarted: int = 0) -> None:
        log = self.logs / f"{program.name}.log"
        if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            log_starts_at = output.tell()
            try:
                process = subprocess.Popen(
                    [*_tied_to_this_process(), *program.command],
                    cwd=REPOSITORY,
                    env={**os.environ, "PYTHONUNBUFFERED": "1", **program.env},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise SupervisorError(f"{program.name} cannot be started: {error}") from error
        self.children[program.name] = Child(
            program=program,
            process=process,
            log=log,
            log_starts_at=log_starts_at,
            started_at=time.monotonic(),
            times_restarted=times_restarted,
        )

    def _obituary(self, child: Child) -> str:
        code = child.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{child.program.name} {how}. Its last words, in {child.log}:\n{child.last_words()}"


def _end_group(child: Child) -> None:
    """Kill what is left of a program: itself, and what it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)


def _tied_to_this_process() -> list[str]:
    return ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []


def _stopped(_number: int, _frame: FrameType | None) -> None:
    raise Stopped
