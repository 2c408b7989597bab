"""Setting a clone up, with stand-ins for pip and apt-get that write down what they were asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from opendsr.run import install

STAND_IN = """#!/bin/sh
echo "$0 $*" >> "{log}"
exit {code}
"""


class Clone:
    """A folder that install.py takes for the clone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.log = root / "asked"

    def stand_in(self, path: Path, *, code: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN.format(log=self.log, code=code))
        path.chmod(0o755)

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    made = Clone(tmp_path)
    made.stand_in(made.venv / "bin" / "python")
    (tmp_path / "requirements.txt").write_text("six==1.0\n")
    return made


def test_a_lock_is_installed_once_for_every_change_of_it(clone: Clone) -> None:
    install.wheels(clone.venv, "requirements")
    install.wheels(clone.venv, "requirements")
    assert len(clone.asked()) == 1
    assert "--require-hashes" in clone.asked()[0]
    assert "--no-compile" not in clone.asked()[0]

    (clone.root / "requirements.txt").write_text("six==1.1\n")
    install.wheels(clone.venv, "requirements")

    assert len(clone.asked()) == 2


def test_a_lock_that_could_not_be_installed_is_tried_again(clone: Clone) -> None:
    clone.stand_in(clone.venv / "bin" / "python", code=1)

    with pytest.raises(SystemExit, match=r"could not install requirements\.txt"):
        install.wheels(clone.venv, "requirements")
    install.wheels(clone.venv, "requirements", must=False)

    assert len(clone.asked()) == 2


def test_the_schemas_come_without_what_they_ask_for(clone: Clone) -> None:
    (clone.root / "requirements-schemas.txt").write_text("openleadr==0.5.36\n")

    install.wheels(clone.venv, "requirements-schemas")

    assert clone.asked()[0].endswith("--no-compile --no-deps")


def test_root_installs_debian_packages(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    clone.stand_in(clone.root / "bin" / "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    install.debian("chromium", "redis-server")

    update, packages = clone.asked()
    assert update.endswith("update")
    assert packages.endswith("--no-install-recommends chromium redis-server")


def test_a_user_is_told_the_command(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.stand_in(clone.root / "bin" / "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(install, "CI", False)

    install.debian("chromium")

    assert clone.asked() == []
    assert "sudo apt-get update && sudo apt-get install chromium" in capsys.readouterr().err


@pytest.mark.parametrize("in_ci", [True, False])
def test_only_ci_stops_when_packages_cannot_be_had(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_ci: bool
) -> None:
    clone.stand_in(clone.root / "bin" / "apt-get", code=100)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(install, "CI", in_ci)

    if in_ci:
        with pytest.raises(SystemExit, match="CI needs chromium"):
            install.debian("chromium")
    else:
        install.debian("chromium")
        assert "going on without" in capsys.readouterr().err


def test_environments_are_filled_side_by_side_and_each_in_its_order() -> None:
    both, done = threading.Barrier(2, timeout=10), []

    install.side_by_side(
        [
            [both.wait, lambda: done.append("first"), lambda: done.append("second")],
            [both.wait],
        ]
    )

    assert done == ["first", "second"]


def test_whatever_failed_beside_each_other_is_told() -> None:
    after: list[str] = []

    with pytest.raises(SystemExit) as stopped:
        install.side_by_side(
            [
                [lambda: install.stop("no disk"), lambda: after.append("not reached")],
                [lambda: after.append("reached")],
                [lambda: install.stop("no network")],
            ]
        )

    assert stopped.value.code == "no disk\nno network"
    assert after == ["reached"]
    with pytest.raises(ZeroDivisionError):
        install.side_by_side([[lambda: 1 // 0]])


def test_what_fills_one_environment_is_one_lane() -> None:
    assert {*install.PARTS["dev"]} == {*install.PARTS["server"]} == {install.VENV}
    places = [place for part in ("dev", "interop", "bench", "tests", "lock") for place in install.PARTS[part]]
    assert len(places) == len(set(places)) == 7


@pytest.mark.slow
def test_a_broken_environment_is_made_anew(clone: Clone) -> None:
    broken = clone.root / ".venv-broken"
    clone.stand_in(broken / "bin" / "python", code=1)

    install.environment(broken)

    assert subprocess.run([broken / "bin" / "python", "-c", "import pip"], check=False).returncode == 0


def test_it_runs_as_a_file_with_nothing_installed(tmp_path: Path) -> None:
    words = [sys.executable, "-I", "-S", install.__file__, "--help"]

    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == 0
