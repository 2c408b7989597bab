"""The private PostgreSQL of one clone: made, started, shared and stopped here; no root, no port, no service.

One folder holds all of it, `<var>/postgres-<major>/`: `data/`, `run/` (the socket), `password`, `server.log`
and two lock files. `lock` lets one process at a time start or stop the server; every user of the server
holds `users` shared, so that the last one out stops it. A user killed with -9 leaves the server up, and
the next one attaches to it again.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from opendsr.run import binaries, identity, sockets
from opendsr.run.errors import ClusterError
from opendsr.run.places import say, var_folder

USER = DATABASE = "opendsr"
MEGABYTE = 1_000_000
SPACE_TO_MAKE = 400 * MEGABYTE
SPACE_TO_START = 80 * MEGABYTE
START_SECONDS = 120
STOP_SECONDS = 30
LEFTOVERS = "pre-existing shared memory block"


def ensure_database_url(*, fsync: bool = True) -> str:
    """Return `DATABASE_URL`, else the private cluster's URL, running until this process ends.

    `fsync=False` is for tests only. Raises ClusterError, whose message says what to do.
    """
    url = os.environ.get("DATABASE_URL")
    if url:
        return url
    cluster = Cluster(var_folder(), fsync=fsync)
    url = cluster.attach()
    atexit.register(cluster.release)
    return url


@contextmanager
def running(var: Path | None = None, *, fsync: bool = True) -> Iterator[str]:
    """Give the URL of the private cluster under `var`, up until the block ends (and longer if others use it).

    `fsync=False` is for tests only: fast, and lost when the machine stops.
    """
    cluster = Cluster(var or var_folder(), fsync=fsync)
    url = cluster.attach()
    try:
        yield url
    finally:
        cluster.release()


class Cluster:
    """One process's hold on the cluster under `var`."""

    def __init__(self, var: Path, *, fsync: bool = True) -> None:
        self.var = var
        self.fsync = fsync
        self._users: int | None = None
        self._process_id = os.getpid()

    def attach(self) -> str:
        """Make the cluster if there is none, start it if it is down, and return its URL."""
        if os.environ.get("OPENDSR_ENV") == "production":
            raise ClusterError(
                "DATABASE_URL is not set. OPENDSR_ENV=production never uses a private cluster: set it."
            )
        self.programs = binaries.find(binaries.existing_major(self.var))
        self.home = self.var / f"postgres-{self.programs.major}"
        self.data = self.home / "data"
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.identity = identity.choose(self.home, self.programs.folder / "initdb")
            self.socket_folder = sockets.folder(self.home, owner=self.identity.owner)
            with self._alone():
                self._users = os.open(self.home / "users", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._users, fcntl.LOCK_SH)
                try:
                    self._make_and_start()
                except BaseException:
                    os.close(self._users)
                    raise
        except OSError as error:
            raise _explained(error, self.home) from error
        return self.url

    @property
    def url(self) -> str:
        """The URL of the database, over the socket."""
        host = urlencode({"host": str(self.socket_folder)})
        return f"postgresql://{USER}:{quote(self._password())}@:{sockets.PORT}/{DATABASE}?{host}"

    def release(self) -> None:
        """Let go of the cluster; the last holder stops the server.

        Does nothing in a forked child, or the second time.
        """
        if self._users is None or os.getpid() != self._process_id:
            return
        with self._alone():
            fcntl.flock(self._users, fcntl.LOCK_UN)
            with suppress(BlockingIOError):
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._stop()
                sockets.tidy(self.socket_folder)
            os.close(self._users)
            self._users = None

    def _make_and_start(self) -> None:
        if not self.data.exists():
            self._require_space(SPACE_TO_MAKE)
            self._make()
        if not self._answers():
            self._start()
        self._create_database()

    def _make(self) -> None:
        say(f"Making a private PostgreSQL {self.programs.major} in {self.home} (the first time only) ...")
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = self.home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        self.identity.take(password)
        command = [str(self.programs.folder / "initdb"), f"--pgdata={unfinished}", f"--username={USER}"]
        command += [f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
        command += ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
        command += [] if self.fsync else ["--no-sync"]
        log = self.home / "initdb.log"
        with log.open("wb") as output:
            if self.identity.start(command, output=output).wait() != 0:
                raise self._failed("could not be made", log)
        unfinished.rename(self.data)
        log.unlink()

    def _start(self) -> None:
        self._require_space(SPACE_TO_START)
        deadline = time.monotonic() + START_SECONDS
        log = self.home / "server.log"
        while (process_id := self._server_process()) is not None:  # starting, or on its way out
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"PostgreSQL runs as process {process_id} on {self.data} but does not answer on"
                    f" {self.socket_folder}; see {log}, or stop it: kill -INT {process_id}"
                )
            time.sleep(0.05)
        (self.socket_folder / sockets.LOCK_NAME).unlink(missing_ok=True)
        while True:
            with log.open("wb") as output:
                server = self.identity.start(self._server_command(), output=output)
            while server.poll() is None and time.monotonic() < deadline:
                if self._answers():
                    server.returncode = (
                        0  # it outlives this process when others use it: not a child to wait for
                    )
                    return
                time.sleep(0.02)
            if LEFTOVERS not in log.read_text(errors="replace") or time.monotonic() > deadline:
                raise self._failed("did not start", log)
            time.sleep(0.2)  # the children of a killed server are on their way out

    def _server_command(self) -> list[str]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": '"' + str(self.socket_folder).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "port": str(sockets.PORT),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.fsync:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self.programs.folder / "postgres"), "-D", str(self.data)]
        return command + [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def _server_process(self) -> int | None:
        """Return the running server's process id; a stale file that names a stranger's process is removed."""
        pid_file = self.data / "postmaster.pid"
        try:
            process_id = int(pid_file.read_text().splitlines()[0])
            os.kill(process_id, 0)
        except PermissionError:
            pass  # alive, and another user's
        except (OSError, ValueError, IndexError):
            return None
        else:
            if self._serves_here(process_id):
                return process_id
        pid_file.unlink(missing_ok=True)
        return None

    def _serves_here(self, process_id: int) -> bool:
        process = Path(f"/proc/{process_id}")
        if process.exists():
            with suppress(OSError):  # closed to a root without all its powers, as in containers
                return (process / "cwd").samefile(self.data)
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        else:
            words = ["ps", "-o", "command=", "-p", str(process_id)]
            command = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        return "postgres" in command and str(self.data) in command

    def _stop(self) -> None:
        process_id = self._server_process()
        if process_id is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT):
            with suppress(ProcessLookupError):
                os.kill(process_id, how)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if not (self.data / "postmaster.pid").exists():
                    return
                time.sleep(0.01)
        say(f"PostgreSQL (process {process_id}) does not stop; see {self.home / 'server.log'}")

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ClusterError(
                    f"The password in {self.home / 'password'} is not the cluster's: put the old file back,"
                    f" or remove {self.home} to start with an empty database."
                ) from error
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_folder),
            port=sockets.PORT,
            user=USER,
            password=self._password(),
            dbname="postgres",
            connect_timeout=10,
            autocommit=True,
        )

    def _create_database(self) -> None:
        with self._connect() as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _password(self) -> str:
        return (self.home / "password").read_text().strip()

    def _require_space(self, wanted: int) -> None:
        free = shutil.disk_usage(self.home).free
        if free < wanted:
            raise ClusterError(
                f"The disk is full: {self.home} has {free // MEGABYTE} MB free and PostgreSQL wants"
                f" {wanted // MEGABYTE} MB. Free some, or set OPENDSR_VAR to a folder on another disk."
            )

    def _failed(self, what: str, log: Path) -> ClusterError:
        tail = log.read_text(errors="replace").strip().splitlines()[-12:]
        advice = "Remove the cause and run again; to start with an empty database, remove that folder."
        if any("No space left" in line for line in tail):
            advice = "The disk is full: free some space, or set OPENDSR_VAR to a folder on another disk."
        elif any("ermission" in line for line in tail):
            advice = f"It must belong to you and be closed to others: chmod -R go= {self.home}"
        shown = "\n  ".join(tail)
        return ClusterError(f"PostgreSQL in {self.home} {what}. {advice}\nIts last words:\n  {shown}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.home / "lock").open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


def _explained(error: OSError, home: Path) -> ClusterError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ClusterError(
            f"The disk of {home} is full: free some space, or set OPENDSR_VAR to a folder elsewhere."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ClusterError(
            f"{error.filename or home} cannot be written: {error.strerror}. Make it yours,"
            " or set OPENDSR_VAR to a folder of your own."
        )
    return ClusterError(f"The private PostgreSQL in {home} cannot be used: {error}")
