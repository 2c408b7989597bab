"""The proxy's configuration: nginx ends mutual TLS and hands each VEN's whole certificate to the listener.

Everything the peer sends besides the few fields named here stays outside, with any
copy of the certificate's field among it. A peer without a certificate that this
co-op's authority signed is cut off.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtn.pki import ServerFiles
from vtn.serve import KEEP_ALIVE_SECONDS, TLS12_CIPHERS
from vtn.transports.calling import CERTIFICATE_FIELD, VERIFIED_FIELD

TICKET_KEYS: Final = ("tickets.key", "tickets.before.key")
TICKET_BYTES: Final = 80
HANDSHAKE_SECONDS: Final = 60
"""A mutual handshake costs a few milliseconds of CPU. When 10,000 hubs come back at once, one lasts as long
as all of them together; cut off sooner, every one begins anew and none is ever done."""
MOST_BEHIND: Final = 4_096
"""Requests that wait for the listener, a process of nginx's; those beyond are told at once to come back."""
FILES_BESIDES: Final = 1024
LARGEST_BODY: Final = "4m"
"""What the listener drops and refuses by itself, so that the refusal is logged under the VEN's name."""


@dataclass(frozen=True, slots=True)
class Site:
    """What differs between installations. `names` are the server's, `socket` is the listener's."""

    files: ServerFiles
    tickets: Sequence[Path]
    socket: Path
    port: int
    address: str = ""
    names: Sequence[str] = ("_",)
    connections: int = 12_000
    workers: str = "auto"
    log_level: str = "warn"
    run_folder: Path | None = None
    trusted_crl: Path | None = None


def ticket_keys(folder: Path) -> list[Path]:
    """Return the files that session tickets are sealed with, made where there are none (0600).

    nginx seals with the first and opens with both, so that VENs resume after a restart
    and across a change of key.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = [folder / name for name in TICKET_KEYS]
    for path in paths:
        if not path.exists():
            _write_key(path)
    return paths


def rotate_ticket_keys(folder: Path) -> list[Path]:
    """Seal with a new key from the next reload on, and still open what the last one sealed."""
    newest, before = ticket_keys(folder)
    newest.replace(before)
    _write_key(newest)
    return [newest, before]


def server_block(site: Site) -> str:
    """Return the `upstream` and `server` blocks for the `http` context of an nginx already there."""
    listen = f"{site.address + ':' if site.address else ''}{site.port}"
    tickets = "\n".join(f"    ssl_session_ticket_key {path};" for path in site.tickets)
    crl = f"\n    ssl_crl {site.trusted_crl};" if site.trusted_crl else ""
    return f"""\
upstream opendsr_vtn {{
    server unix:{site.socket} max_conns={MOST_BEHIND};
    keepalive 1024;
    keepalive_requests 1000000;
    keepalive_timeout {KEEP_ALIVE_SECONDS - 10}s;
}}

server {{
    listen {listen} ssl backlog=16384;
    server_name {" ".join(site.names)};
    server_tokens off;

    ssl_certificate {site.files.certificate};
    ssl_certificate_key {site.files.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {TLS12_CIPHERS};
    ssl_client_certificate {site.files.client_ca};{crl}
    ssl_verify_client on;
    ssl_verify_depth 2;
    ssl_session_cache shared:opendsr_vtn:20m;
    ssl_session_timeout 1h;
    ssl_session_tickets on;
    ssl_conf_command NumTickets 1;
{tickets}

    keepalive_timeout {KEEP_ALIVE_SECONDS}s;
    keepalive_requests 1000000;
    keepalive_time 24h;
    client_header_timeout {HANDSHAKE_SECONDS}s;
    client_body_timeout 10s;
    client_max_body_size {LARGEST_BODY};
    client_body_buffer_size 512k;
    client_header_buffer_size 2k;
    access_log off;

    error_page 495 496 497 =444 @cut_off;
    location @cut_off {{ return 444; }}

    location ~ ^/(OpenADR2/Simple/|\\.well-known/est/|ven/) {{
        proxy_pass http://opendsr_vtn;
        proxy_http_version 1.1;
        proxy_pass_request_headers off;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header Content-Type $content_type;
        proxy_set_header Content-Encoding $http_content_encoding;
        proxy_set_header User-Agent $http_user_agent;
        proxy_set_header {VERIFIED_FIELD.title()} $ssl_client_verify;
        proxy_set_header {CERTIFICATE_FIELD.title()} $ssl_client_escaped_cert;
        proxy_connect_timeout 5s;
        proxy_read_timeout 60s;
        proxy_buffers 8 64k;
        proxy_buffer_size 16k;
        proxy_intercept_errors off;
        error_page 502 504 =503 @away;
    }}
    location @away {{
        internal;
        add_header Retry-After 10 always;
        return 503;
    }}
    location / {{ return 404; }}
}}
"""


def whole_file(site: Site) -> str:
    """Return a configuration to start nginx with as it is: `nginx -c FILE`."""
    folder = site.run_folder or site.socket.parent
    temporary = "\n".join(
        f"    {name}_temp_path {folder}/{name}_temp;"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
pid {folder}/nginx.pid;
error_log stderr {site.log_level};
worker_processes {site.workers};
worker_rlimit_nofile {site.connections + MOST_BEHIND + FILES_BESIDES};

events {{
    worker_connections {site.connections + MOST_BEHIND};
}}

http {{
{temporary}
{_indented(server_block(site))}}}
"""


def _indented(text: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _write_key(path: Path) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(TICKET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
