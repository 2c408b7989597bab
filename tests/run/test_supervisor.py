"""The supervisor with real programs: ready, dying, restarted, stopped with everything they started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from opendsr.run.errors import SupervisorError
from opendsr.run.supervisor import Program, Supervisor
from tests.run.conftest import REPOSITORY

SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = (
    "import subprocess, sys, time;"
    " child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('child', child.pid, flush=True); time.sleep(600)"
)
SUPERVISES = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may ignore it
from pathlib import Path
from opendsr.run.supervisor import Program, Stopped, Supervisor
try:
    with Supervisor(Path(sys.argv[1])) as supervisor:
        sleeper = [sys.executable, "-c", sys.argv[2]]
        supervisor.start(Program(name="sleeper", command=sleeper, ready=lambda written: "up" in written))
        print(supervisor.children["sleeper"].process.pid, flush=True)
        supervisor.watch()
except (KeyboardInterrupt, Stopped):
    print("stopped", flush=True)
"""


def program(name: str, code: str, *, restarts: bool = False, stop_seconds: float = 10) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-c", code],
        ready=lambda written: bool(written.strip()),
        ready_seconds=60,
        stop_seconds=stop_seconds,
        restarts=restarts,
    )


def is_alive(process_id: int) -> bool:
    status = Path(f"/proc/{process_id}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_programs_are_ready_inside_the_block_and_gone_after_it(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("one", SLEEPS), program("two", SLEEPS))
        processes = [child.process.pid for child in supervisor.children.values()]
        assert all(map(is_alive, processes))

    assert not any(map(is_alive, processes))
    assert (tmp_path / "one.log").read_text() == "up\n"


def test_what_a_program_started_is_stopped_with_it(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("parent", PARENT))
        grandchild = int(supervisor.children["parent"].written().split()[1])
        assert is_alive(grandchild)

    wait_until(lambda: not is_alive(grandchild))


def test_a_program_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("deaf", DEAF, stop_seconds=0.3))
        deaf = supervisor.children["deaf"].process.pid

    assert not is_alive(deaf)


def test_a_program_that_dies_at_the_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(SupervisorError) as caught:
        supervisor.start(
            program("steady", SLEEPS),
            Program(
                name="broken",
                command=[sys.executable, "-c", "raise SystemExit('no tea')"],
                ready=lambda _written: False,
            ),
        )

    assert "broken ended with exit code 1" in str(caught.value)
    assert "no tea" in str(caught.value)
    assert str(tmp_path / "broken.log") in str(caught.value)


def test_a_program_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    slow = Program(name="slow", command=["sleep", "60"], ready=lambda _written: False, ready_seconds=0.3)

    with (
        Supervisor(tmp_path) as supervisor,
        pytest.raises(SupervisorError, match="slow did not become ready"),
    ):
        supervisor.start(slow)


def test_a_program_that_is_not_there_is_reported(tmp_path: Path) -> None:
    missing = Program(name="missing", command=["/no/such/program"], ready=lambda _written: False)

    with Supervisor(tmp_path) as supervisor, pytest.raises(SupervisorError, match="missing"):
        supervisor.start(missing)


def test_the_end_of_a_program_ends_the_watch(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("web", SLEEPS))
        supervisor.children["web"].process.kill()

        with pytest.raises(SupervisorError, match="web was killed by SIGKILL"):
            supervisor.watch()


def test_a_program_that_may_be_restarted_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opendsr.run.supervisor.RESTART_SECONDS", (0.05,))
    told: list[str] = []
    with Supervisor(tmp_path, tell=told.append) as supervisor:
        supervisor.start(program("worker", SLEEPS, restarts=True))
        first = supervisor.children["worker"].process
        first.kill()

        def is_back() -> bool:
            supervisor.check()
            return supervisor.children["worker"].process is not first

        wait_until(is_back)
        assert supervisor.children["worker"].times_restarted == 1
    assert "worker was killed by SIGKILL" in told[0]


def test_what_a_killed_program_started_ends_before_it_comes_back(tmp_path: Path) -> None:
    """The worker's beat, left alone, would go on beating beside the new one's."""
    with Supervisor(tmp_path, tell=lambda _line: None) as supervisor:
        supervisor.start(
            Program(
                name="parent",
                command=[sys.executable, "-c", PARENT],
                ready=lambda written: "child" in written,
                restarts=True,
            )
        )
        grandchild = int(supervisor.children["parent"].written().split()[1])
        supervisor.children["parent"].process.kill()
        supervisor.children["parent"].process.wait()

        supervisor.check()

        wait_until(lambda: not is_alive(grandchild))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-c", SUPERVISES, str(tmp_path), SLEEPS]
    supervising = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert supervising.stdout is not None
    sleeper = int(supervising.stdout.readline())

    supervising.send_signal(how)

    assert supervising.stdout.readline() == "stopped\n"
    assert supervising.wait(timeout=60) == 0
    supervising.stdout.close()
    assert not is_alive(sleeper)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_a_killed_supervisor_takes_its_programs_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISES, str(tmp_path), SLEEPS]
    supervising = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert supervising.stdout is not None
    sleeper = int(supervising.stdout.readline())

    supervising.kill()
    supervising.wait()
    supervising.stdout.close()

    wait_until(lambda: not is_alive(sleeper))


def test_a_log_that_grew_large_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("one", SLEEPS))
        monkeypatch.setattr("opendsr.run.supervisor.LARGEST_LOG_BYTES", 2)
        supervisor.check()

    assert (tmp_path / "one.log.1").read_text() == "up\n"
    assert (tmp_path / "one.log").read_text() == ""


def test_the_large_log_of_an_earlier_run_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opendsr.run.supervisor.LARGEST_LOG_BYTES", 10)
    (tmp_path / "one.log").write_text("of an earlier run\n")

    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("one", SLEEPS))

    assert (tmp_path / "one.log.1").read_text() == "of an earlier run\n"
    assert (tmp_path / "one.log").read_text() == "up\n"
