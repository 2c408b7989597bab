"""`manage.py vtn_broker DIR`: write Mosquitto's configuration and access list for this VTN."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from opendsr.kernel import clock
from vtn import pki
from vtn.transports import broker


class Command(BaseCommand):
    help = (
        "Write mosquitto.conf and its access list into DIR, for `mosquitto -c DIR/mosquitto.conf`. Run it"
        " again after enrolling VENs that are to join by fingerprint, and send the broker SIGHUP."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path, help="the broker's folder")
        parser.add_argument("--host", default=settings.VTN_HOST, help="the certificate's name (VTN_HOST)")
        parser.add_argument("--port", type=int, default=8883, help="for VENs")
        parser.add_argument("--own-port", type=int, default=8884, help="for this VTN, on 127.0.0.1 only")
        parser.add_argument("--user", default="", help="the user that a broker started by root becomes")

    def handle(self, *args: Any, **options: Any) -> None:
        site = broker.Site(
            authority=pki.authority(),
            vtn_id=settings.VTN_ID,
            folder=options["dir"].resolve(),
            host=options["host"],
            port=options["port"],
            own_port=options["own_port"],
            user=options["user"],
        )
        path = broker.write(site, at=clock.wall_now())
        self.stdout.write(
            f"{path}\nThe bridge: MQTT_URL=mqtts://localhost:{options['own_port']} manage.py vtn_mqtt"
        )
