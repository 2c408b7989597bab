"""TCP ports of a local run: free before a program is started on one, answering after."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from opendsr.run.errors import SupervisorError

LISTEN = "0A"


def require_free(port: int, *, what: str, variable: str, host: str = "127.0.0.1") -> None:
    """Raise SupervisorError that names who holds the port and the variable to set, unless it is free."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except PermissionError:
        raise SupervisorError(
            f"Port {port} for {what} is for root only: set {variable} above 1023."
        ) from None
    except (OSError, OverflowError) as error:
        raise SupervisorError(
            f"Port {port} for {what} is taken{_by(port)} ({error}). Stop that, or set {variable}"
            f" to a free port, such as {variable}={_free_port(host)}."
        ) from None


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether something accepts connections on the port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind((host, 0))
        port: int = trial.getsockname()[1]
        return port


def _by(port: int) -> str:
    """Return ` by NAME (process N)` where the system tells (Linux, own processes)."""
    holder = _holder(port)
    if holder is None:
        return ""
    name = ""
    with suppress(OSError):
        name = (holder / "cmdline").read_text().replace("\0", " ").strip()[:80]
    return f" by process {holder.name}" + (f", {name!r}" if name else "")


def _holder(port: int) -> Path | None:
    sockets = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port and words[3] == LISTEN:
                    sockets.add(f"socket:[{words[9]}]")
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                return process
    return None
