"""`manage.py vtn_nginx`: write the configuration of the proxy in front of the VENs' listener."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from opendsr.kernel import clock
from vtn import pki
from vtn.transports import nginx


class Command(BaseCommand):
    help = (
        "Write nginx's configuration to standard output: it ends mutual TLS for the VENs and hands their"
        " certificates to `manage.py vtn --socket PATH`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.VTN_HOST, help="the certificate's name (VTN_HOST)")
        parser.add_argument("--port", type=int, default=settings.VTN_PORT, help="port (VTN_PORT)")
        parser.add_argument("--address", default="", help="address to listen on; all when not given")
        parser.add_argument(
            "--socket",
            type=Path,
            default=Path(getattr(settings, "VTN_SOCKET", "") or "/run/opendsr/vtn.sock"),
            help="the listener's unix socket (VTN_SOCKET)",
        )
        parser.add_argument("--connections", type=int, default=12_000, help="VENs at once")
        parser.add_argument("--workers", default="auto", help="nginx processes")
        parser.add_argument(
            "--whole", action="store_true", help="a whole file for `nginx -c`, not a part of one's own"
        )
        parser.add_argument(
            "--rotate-tickets", action="store_true", help="begin a new key for session tickets"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        authority = pki.authority()
        files = authority.server_files(host=options["host"], at=clock.wall_now())
        make = nginx.rotate_ticket_keys if options["rotate_tickets"] else nginx.ticket_keys
        site = nginx.Site(
            files=files,
            tickets=make(authority.folder),
            socket=options["socket"],
            port=options["port"],
            address=options["address"],
            names=[options["host"]],
            connections=options["connections"],
            workers=options["workers"],
        )
        write = nginx.whole_file if options["whole"] else nginx.server_block
        self.stdout.write(write(site), ending="")
