"""The VENs' listener as processes under gunicorn, apart from the people's site, in one of two shapes.

Embedded: it ends mutual TLS itself, on a port of its own. Behind a proxy: it listens on
a unix socket, which only the proxy may open; the proxy ends TLS and hands on each VEN's
certificate (`vtn.transports.nginx` writes its configuration).
"""

from __future__ import annotations

import errno
import gc
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from opendsr.kernel import clock, waking
from opendsr.kernel.errors import DomainError
from vtn import pki

KEEP_ALIVE_SECONDS = 120
"""Longer than two poll intervals, so that hubs keep their TLS connection."""
LOOK_SECONDS = 60
"""Between two looks whether the server certificate is another one, or should be."""
CONNECTIONS_A_WORKER = 12_000
BACKLOG = 4096
"""Connections that wait to be taken up: every request nginx lets wait at once may need a new one."""
WORKER_CLASS = "vtn.transports.listener.VenWorker"
TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
LEGACY_CIPHERS = "ECDHE-ECDSA-AES128-SHA256:AES128-SHA256"
"""The two suites that the OpenADR 2.0b profile names."""

logger = logging.getLogger(__name__)


def collect_rarely() -> None:
    """Have this process look for cyclic garbage rarely, and never in what it has loaded.

    A group makes thousands of rows that are gone when it is served; looking through them, and through
    everything that is remembered of ten thousand VENs, took a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to do."""


def serve(*, host: str, port: int, workers: int = 2, threads: int = 8, is_legacy: bool = False) -> None:
    """Serve VENs until told to stop; raises CannotListen before anything starts.

    Makes the CA and the server certificate where there are none. `is_legacy`: with the
    profile's CBC suites and no others, for devices that know nothing better.
    """
    require_free(host, port)
    pairs = [False, True] if is_legacy else [False]

    def files_at(at: datetime) -> list[pki.ServerFiles]:
        return [pki.authority().server_files(host=host, at=at, is_rsa=is_rsa) for is_rsa in pairs]

    files, *others = files_at(clock.wall_now())
    if is_legacy:
        logger.warning(
            "legacy listener on port %s: CBC suites, the weaker door; close it when no device needs it",
            port,
        )
        context = legacy_context(files, others[0])
    else:
        context = tls_context(files)
    tls: dict[str, Any] = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "certfile": str(files.certificate),
        "keyfile": str(files.key),
        "ca_certs": str(files.client_ca),
        "cert_reqs": ssl.CERT_REQUIRED,
        "ssl_context": lambda conf, default: context,
    }
    _Listener({**_options(workers, threads), **tls}, renewing=lambda: Renewing(context, files_at)).run()


def serve_proxy(*, path: Path, workers: int = 2, threads: int = 8) -> None:
    """Serve the proxy on a unix socket at `path` until told to stop; raises CannotListen.

    The socket's folder says who may open it (0750: this user and the folder's group,
    to which the proxy belongs); whoever can, speaks for every VEN.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if path.parent.stat().st_mode & 0o007:
        raise CannotListen(
            f"{path.parent} can be entered by everybody, who could then speak for every VEN: chmod 750 it,"
            " and give it the proxy's group."
        )
    if path.exists() and not path.is_socket():
        raise CannotListen(f"{path} is there and is no socket: set VTN_SOCKET (--socket) to another.")
    unix: dict[str, Any] = {"bind": f"unix:{path}", "umask": 0o007}
    _Listener({**_options(workers, threads), **unix}).run()


def _options(workers: int, threads: int) -> dict[str, Any]:
    return {
        "worker_class": WORKER_CLASS,
        "workers": workers,
        "threads": threads,
        "worker_connections": CONNECTIONS_A_WORKER,
        "backlog": BACKLOG,
        "keepalive": KEEP_ALIVE_SECONDS,
        "control_socket_disable": True,
        "proc_name": "opendsr-vtn",
        "forwarded_allow_ips": "",
    }


def require_free(host: str, port: int) -> None:
    """Raise CannotListen, with what to do, when the port is taken or the address not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                raise CannotListen(
                    f"Port {port} on {host} is taken: stop what listens there, or set VTN_PORT (--port)"
                    " to another."
                ) from error
            raise CannotListen(
                f"Cannot listen on {host} port {port} ({error}): set VTN_HOST and VTN_PORT (--host, --port)."
            ) from error


def tls_context(files: pki.ServerFiles) -> ssl.SSLContext:
    """Return every connection's TLS context, made before the fork so that sessions resume in any worker."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.client_ca))
    context.load_cert_chain(files.certificate, files.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 1  # each costs a fifth of a handshake, and a VEN uses one
    return context


def legacy_context(files: pki.ServerFiles, rsa_files: pki.ServerFiles) -> ssl.SSLContext:
    """Return the TLS context of devices certified for the 2.0b profile's own two suites, and nothing else."""
    context = tls_context(files)
    context.load_cert_chain(rsa_files.certificate, rsa_files.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(LEGACY_CIPHERS)
    return context


class Renewing(threading.Thread):
    """Renews the server certificate while a worker serves, and takes up what was renewed or replaced.

    A handshake after that gets the new one; what is connected or resumes goes on. What cannot be read or
    made is logged and tried again; the certificate in use stays.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        files_at: Callable[[datetime], Sequence[pki.ServerFiles]],
        *,
        every_seconds: float = LOOK_SECONDS,
    ) -> None:
        super().__init__(name="server-certificate", daemon=True)
        self._context, self._files_at, self._every_seconds = context, files_at, every_seconds
        self._taken: list[bytes] = []

    def run(self) -> None:
        """Look every minute, the first time at once."""
        while True:
            self.look()
            time.sleep(self._every_seconds)

    def look(self) -> None:
        """Load the files where they are not those that were loaded last."""
        try:
            files = self._files_at(clock.wall_now())
            present = [path.read_bytes() for each in files for path in (each.certificate, each.client_ca)]
            if present == self._taken:
                return
            trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            for each in files:  # a pair that does not fit would spoil the context in use
                trial.load_cert_chain(each.certificate, each.key)
            for each in files:
                self._context.load_cert_chain(each.certificate, each.key)
                self._context.load_verify_locations(cafile=each.client_ca)
        except (OSError, ValueError, DomainError):
            logger.exception("the server certificate was not renewed; the one in use stays")
            return
        if self._taken:
            logger.info("the server certificate was renewed: new connections get it")
        self._taken = present


class _Listener(BaseApplication):
    """gunicorn with its options given here and nowhere else."""

    def __init__(
        self, options: dict[str, Any], *, renewing: Callable[[], threading.Thread] | None = None
    ) -> None:
        self.options, self.renewing = options, renewing
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        from vtn import messagelog
        from vtn.services import writing_behind
        from vtn.wsgi import application

        waking.warm()
        collect_rarely()
        messagelog.start_writer()
        writing_behind.start_writer()
        if self.renewing is not None:
            self.renewing().start()
        return application
