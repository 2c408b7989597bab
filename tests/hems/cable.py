"""The wire between a home and the world, to be cut in the middle of anything."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

CHUNK_BYTES = 65_536


class Cable:
    """Forwards TCP to a port of this machine; cut, it drops every connection and takes no new one."""

    def __init__(self, to_port: int) -> None:
        self._to_port, self._is_cut, self._is_over = to_port, False, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Cable:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self.cut()
        self._thread.join(5)
        self._listener.close()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for pair in self._pairs:
                for sock in pair:
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def _accept(self) -> None:
        while not self._is_over:
            try:
                inner, _ = self._listener.accept()
            except TimeoutError:
                continue
            with self._lock:
                if self._is_cut:
                    inner.close()
                    continue
                try:
                    outer = socket.create_connection(("127.0.0.1", self._to_port), 5)
                except OSError:
                    inner.close()
                    continue
                self._pairs.append((inner, outer))
            threading.Thread(target=_carry, args=(inner, outer), daemon=True).start()


def _carry(inner: socket.socket, outer: socket.socket) -> None:
    other = {inner: outer, outer: inner}
    with inner, outer, suppress(OSError, ValueError):
        while True:
            for sock in select.select([inner, outer], [], [])[0]:
                data = sock.recv(CHUNK_BYTES)
                if not data:
                    return
                other[sock].sendall(data)
