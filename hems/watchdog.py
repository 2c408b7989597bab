"""A word to systemd that the hub still goes round (`Type=notify`, `WatchdogSec=`); without systemd, nothing.

Told from the hub's own loop: one that hangs is not heard, and is started again.
"""

from __future__ import annotations

import os
import socket
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"


def tell(word: str) -> bool:
    """Send `READY=1`, `WATCHDOG=1` or `STOPPING=1`; False where nobody listens."""
    address = os.environ.get(VARIABLE, "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(word.encode(), address)
    except OSError:
        return False
    return True
