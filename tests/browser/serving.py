"""Serves the site to a browser out of the test's own transaction: nothing is committed, all is rolled back.

One request at a time, so that two threads never open savepoints on the one connection at once. What runs
after a commit does not run here, as in `tests/web`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer
from django.db import connections
from django.test.testcases import QuietWSGIRequestHandler


class OneAtATime(WSGIHandler):
    """The site; only its static files are served beside each other."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/static/"):
            return super().__call__(environ, start_response)
        with self._turn:
            return super().__call__(environ, start_response)


class SharingServer(ThreadedWSGIServer):
    """Its threads use the connection they are given, and leave it open."""

    daemon_threads = True

    def _close_connections(self) -> None:
        """The connection is the test's."""


@contextmanager
def served() -> Iterator[str]:
    """The address of the site as this thread's transaction has it."""
    connection = connections["default"]
    connection.inc_thread_sharing()
    connection.close_if_unusable_or_obsolete = lambda: None  # at each request's ends, as out of a transaction
    server = SharingServer(
        ("127.0.0.1", 0), QuietWSGIRequestHandler, connections_override={"default": connection}
    )
    server.set_app(OneAtATime())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"  # a name, which passkeys want
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        del connection.close_if_unusable_or_obsolete
        connection.dec_thread_sharing()
