"""The VENs' listener as a process: gunicorn with mutual TLS on its own port, apart from the people's site."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from opendsr.kernel import clock
from vtn import pki

KEEP_ALIVE_SECONDS = 120
"""Longer than two poll intervals, so that hubs keep their TLS connection."""
CONNECTIONS_A_WORKER = 6_000
PATIENCE_SECONDS = 10
"""How long a peer may stay silent in the middle of something."""
TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to do."""


def serve(*, host: str, port: int, workers: int = 2, threads: int = 8) -> None:
    """Serve VENs until told to stop; raises CannotListen before anything starts.

    Makes the CA and the server certificate where there are none.
    """
    require_free(host, port)
    files = pki.authority().server_files(host=host, at=clock.wall_now())
    context = tls_context(files)
    options: dict[str, Any] = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "worker_class": "gthread",
        "workers": workers,
        "threads": threads,
        "worker_connections": CONNECTIONS_A_WORKER,
        "keepalive": KEEP_ALIVE_SECONDS,
        "certfile": str(files.certificate),
        "keyfile": str(files.key),
        "ca_certs": str(files.client_ca),
        "cert_reqs": ssl.CERT_REQUIRED,
        "ssl_context": lambda conf, default: context,
        "limit_request_line": 1024,
        "limit_request_fields": 40,
        "control_socket_disable": True,
        "proc_name": "opendsr-vtn",
        "forwarded_allow_ips": "",
    }
    _Listener(options).run()


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
    context.sslsocket_class = _ImpatientSocket
    return context


class _ImpatientSocket(ssl.SSLSocket):
    """What gunicorn calls blocking waits a bounded time, so that a silent peer gives its thread back.

    Covers the handshake, heads and bodies; waiting for the next request is the poller's.
    """

    def setblocking(self, flag: bool) -> None:
        self.settimeout(PATIENCE_SECONDS if flag else 0.0)

    def do_handshake(self, block: bool = False) -> None:
        self.setblocking(True)
        super().do_handshake(block)


class _Listener(BaseApplication):
    """gunicorn with its options given here and nowhere else."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        from vtn import messagelog
        from vtn.wsgi import application

        messagelog.start_writer()
        return application
