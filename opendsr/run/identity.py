"""Under which user PostgreSQL's programs run, since they refuse root.

An ordinary user runs them plainly. Root runs them in a user namespace of their own, where root's files
look like an unprivileged user's: they can then read a clone under a folder closed to others. Where
namespaces are refused, as in many containers, root drops to another user: plainly where that user can
reach the clone, else with root's power to pass closed folders kept, and no other.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from opendsr.run.errors import ClusterError

NAMESPACES_OFF = "OPENDSR_NO_NAMESPACE"


@dataclass(frozen=True, slots=True)
class Identity:
    """How to start a PostgreSQL program: words put before it, and the user to drop to, if any.

    With `passes_closed_folders` those words do the dropping, since a plain drop loses every power of root.
    """

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None
    passes_closed_folders: bool = False

    @property
    def owner(self) -> int:
        """The uid that owns the cluster's files, as seen from here."""
        return os.geteuid() if self.user is None else self.user

    def take(self, path: Path) -> None:
        """Give `path` to the user that PostgreSQL runs as."""
        if path.stat().st_uid != self.owner:
            os.chown(path, self.owner, -1 if self.group is None else self.group)

    def can_use(self, home: Path, program: Path) -> bool:
        """Return whether this identity may write in `home` and run `program`."""
        probe = ["sh", "-c", 'test -w "$0" && exec "$1" --version', str(home), str(program)]
        try:
            return self.start(probe, output=subprocess.DEVNULL).wait() == 0
        except OSError:
            return False

    def start(self, command: list[str], *, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, away from the terminal's Ctrl-C."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        drops = self.user is not None and not self.passes_closed_folders
        return subprocess.Popen(
            [*self.prefix, *command],
            cwd="/",
            env={**kept, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=self.user if drops else None,
            group=self.group if drops else None,
            extra_groups=[] if drops else None,
        )


def choose(home: Path, program: Path) -> Identity:
    """Return the first identity that can run `program` on the cluster in the existing folder `home`.

    Raises ClusterError when the folder is somebody else's or no identity serves.
    """
    me, owner = os.geteuid(), home.stat().st_uid
    if me not in (0, owner):
        raise ClusterError(
            f"{home} belongs to {_name(owner)}, you are {_name(me)}. Run as that user, give it to yourself"
            f" (sudo chown -R {_name(me)} {home}), or set OPENDSR_VAR to a folder of your own."
        )
    for candidate in _candidates(home, owner=owner, made=(home / "data").exists()):
        candidate.take(home)
        if candidate.can_use(home, program):
            return candidate
    raise ClusterError(
        f"PostgreSQL refuses to run as root, and no unprivileged user can use both {home} and {program}: this"
        " machine refuses user namespaces, or a folder above is closed. Run as an ordinary user, set"
        " OPENDSR_VAR to a folder under /var/lib or /srv, or set DATABASE_URL."
    )


def _candidates(home: Path, *, owner: int, made: bool) -> Iterator[Identity]:
    """Yield what to try in order; the files of a cluster that is made stay their owner's."""
    me = os.geteuid()
    if me != 0:
        if not _known(me):  # a bare number, as in a container: initdb wants a name
            yield from _namespaced()
        yield Identity()
        return
    if owner == 0 or not made:
        yield from _namespaced()
    if made:
        if owner != 0:
            yield _dropped(owner)
            yield from _passing(owner)
        return
    yield from (_dropped(parent.stat().st_uid) for parent in home.parents if parent.stat().st_uid != 0)
    yield _dropped(_stand_in().pw_uid)
    yield from _passing(_stand_in().pw_uid)


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name if _known(uid) else str(uid)


def _stand_in() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)


def _dropped(uid: int) -> Identity:
    return Identity(user=uid, group=pwd.getpwuid(uid).pw_gid if _known(uid) else uid)


def _passing(uid: int) -> Iterator[Identity]:
    """Drop to `uid` with one power of root kept: to pass folders that are closed to it.

    The secure bit lets access(2) count that power too, by which PostgreSQL finds its own programs.
    """
    if shutil.which("setpriv"):
        dropped = _dropped(uid)
        user = (f"--reuid={uid}", f"--regid={dropped.group}", "--clear-groups")
        power = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")
        yield replace(dropped, prefix=("setpriv", *user, *power, "--"), passes_closed_folders=True)


def _namespaced() -> Iterator[Identity]:
    if shutil.which("unshare") and not os.environ.get(NAMESPACES_OFF):
        inside = _stand_in()
        maps = (f"--map-user={inside.pw_uid}", f"--map-group={inside.pw_gid}")
        yield Identity(prefix=("unshare", "--user", *maps, "--"))
