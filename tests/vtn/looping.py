"""The listener's loop in a thread of the test, with any application behind it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vtn.transports.listener import Loop


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """An application that says what it was asked."""
    body = (
        f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['wsgi.input'].read().decode()}".encode()
    )
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@contextmanager
def loop(
    *,
    context: ssl.SSLContext | None = None,
    path: Path | None = None,
    application: Callable[..., Iterable[bytes]] = echo,
    most_connections: int = 100,
) -> Iterator[Any]:
    """Run a loop for the block; yields the address to connect to."""
    if path is None:
        server = socket.create_server(("127.0.0.1", 0))
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
    wakeup = os.eventfd(0, os.EFD_NONBLOCK)
    running = Loop(
        [server],
        application=application,
        context=context,
        threads=2,
        keep_alive_seconds=60,
        most_connections=most_connections,
    )
    is_alive = threading.Event()
    is_alive.set()
    thread = threading.Thread(
        target=running.run,
        kwargs={
            "is_alive": is_alive.is_set,
            "tell_master": lambda: None,
            "wakeup_fd": wakeup,
            "grace_seconds": 1,
        },
    )
    thread.start()
    try:
        yield server.getsockname() if path is None else str(path)
    finally:
        is_alive.clear()
        os.eventfd_write(running.wake_fd, 1)
        thread.join(60)
        running.close()
        server.close()
        os.close(wakeup)
