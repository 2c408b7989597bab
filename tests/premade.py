"""A migrated database, made once for each state of the migrations; every test database is a copy of it.

Running all migrations takes ten seconds, copying what they made one. What counts as the state is the text
of every migration, of what migrations import of ours, and of the locked requirements.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from opendsr.run.places import REPOSITORY

PREFIX: Final = "opendsr_premade_"
ROOMS: Final = ("opendsr", "vtn", "members", "notices", "assets", "metering", "campaigns", "settlement")


def ensure(url: str) -> str:
    """The name of the migrated database in the cluster of `url`; made where there is none of this state."""
    name = PREFIX + state_of_migrations()
    with _alone(), psycopg.connect(url, autocommit=True) as server:
        found = server.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        known = {row[0] for row in found}
        if name in known:
            return name
        for outdated in known:  # a half-made one too
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(outdated)))
        making = sql.Identifier(f"{PREFIX}making")
        server.execute(sql.SQL("CREATE DATABASE {}").format(making))
        _migrate(urlunsplit(urlsplit(url)._replace(path=f"/{PREFIX}making")))
        server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(making, sql.Identifier(name)))
    return name


def state_of_migrations() -> str:
    """A digest of what the migrations would do."""
    migrations = sorted(path for room in ROOMS for path in (REPOSITORY / room).glob("**/migrations/*.py"))
    read = {*migrations, REPOSITORY / "requirements.txt"}
    for each in migrations:
        read.update(_imported(each))
    digest = hashlib.sha256()
    for path in sorted(read):
        digest.update(f"{path.relative_to(REPOSITORY)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _imported(migration: Path) -> Iterator[Path]:
    """The files of ours that a migration imports."""
    for node in ast.walk(ast.parse(migration.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        for name in names:
            path = REPOSITORY.joinpath(*name.split(".")).with_suffix(".py")
            if name.partition(".")[0] in ROOMS and path.is_file():
                yield path


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time makes it; the others wait and find it made."""
    folder = Path(os.environ["OPENDSR_VAR"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "premade.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _migrate(url: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The migrations failed:\n{done.stdout}{done.stderr}")
