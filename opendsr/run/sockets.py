"""Where the private PostgreSQL's Unix socket lies: beside the data, or a short folder where too long."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from opendsr.run.errors import ClusterError

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
LOCK_NAME = f"{SOCKET_NAME}.lock"
LONGEST_PATH_BYTES = 107 if sys.platform == "linux" else 103
RUNTIME_FOLDER = Path("/tmp")  # noqa: S108


def folder(home: Path, *, owner: int) -> Path:
    """Return the 0700 folder of the socket, made if absent and given to `owner`; the same one at every start.

    Raises ClusterError when the short folder is not private.
    """
    beside = home / "run"
    short = RUNTIME_FOLDER / f"opendsr-{owner}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    chosen = beside if fits(beside) else short
    try:
        chosen.mkdir(mode=0o700)
        os.chown(chosen, owner, -1)
    except FileExistsError:
        found = chosen.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise ClusterError(
                f"{chosen} must be a folder of the database's user, closed to others: remove it."
            ) from None
    return chosen


def tidy(socket_folder: Path) -> None:
    """Remove a short folder that is empty; one beside the data stays."""
    if socket_folder.parent == RUNTIME_FOLDER:
        with suppress(OSError):
            socket_folder.rmdir()


def fits(socket_folder: Path) -> bool:
    """Return whether a socket in this folder has a path the system can hold."""
    return len(os.fsencode(socket_folder / SOCKET_NAME)) <= LONGEST_PATH_BYTES
