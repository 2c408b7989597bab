"""Under which user PostgreSQL's programs run, since they refuse root.

An ordinary user runs them plainly. Root runs them in a user namespace of their own, where root's files
look like an unprivileged user's: they can then read a clone under a folder closed to others. Where the
machine refuses namespaces, root drops to an unprivileged user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """How to start a PostgreSQL program: words put before it, and the user to drop to, if any."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    @property
    def owner(self) -> int:
        """The uid that owns the cluster's files, as seen from here."""
        return os.geteuid() if self.user is None else self.user

    def take(self, path: Path) -> None:
        """Give `path` to the user that PostgreSQL runs as."""
        if self.user is not None:
            os.chown(path, self.user, -1 if self.group is None else self.group)

    def popen_arguments(self) -> dict[str, object]:
        """Arguments for `subprocess` that drop root."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}


def choose(existing_owner: int | None = None) -> Identity:
    """Return the identity for a cluster whose files belong to `existing_owner` (None: not made yet)."""
    me = os.geteuid()
    if me == 0 and existing_owner:
        return _dropped(existing_owner)
    if me != 0 and _known(me):
        return Identity()
    stand_in = _stand_in()
    if _namespace_works(stand_in.pw_uid, stand_in.pw_gid):
        return Identity(prefix=_namespace(stand_in.pw_uid, stand_in.pw_gid))
    return Identity() if me != 0 else _dropped(stand_in.pw_uid)


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _stand_in() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)


def _dropped(uid: int) -> Identity:
    group = pwd.getpwuid(uid).pw_gid if _known(uid) else uid
    return Identity(user=uid, group=group)


def _namespace(uid: int, gid: int) -> tuple[str, ...]:
    return ("unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", "--")


@cache
def _namespace_works(uid: int, gid: int) -> bool:
    if os.environ.get("OPENDSR_NO_NAMESPACE") or shutil.which("unshare") is None:
        return False
    probe = subprocess.run([*_namespace(uid, gid), "true"], capture_output=True, check=False)  # noqa: S603
    return probe.returncode == 0
