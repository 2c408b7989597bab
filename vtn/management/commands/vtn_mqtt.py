"""`manage.py vtn_mqtt`: the bridge between the MQTT broker and the VTN's queue."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from opendsr.kernel import clock, waking
from vtn import messagelog, pki
from vtn.serve import collect_rarely
from vtn.services import writing_behind
from vtn.transports import broker
from vtn.transports.mqtt import Bridge, CannotReach
from vtn.transports.standing import keep_connections

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Carry OpenADR 2.0b over MQTT 5: take what VENs say, push what the VTN begins (MQTT_URL)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--worker", default="1", help="a name of its own for each bridge that runs")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.VTN_MQTT_URL:
            raise CommandError("No broker is named: set MQTT_URL to mqtts://HOST:PORT.")
        connections.close_all()
        keep_connections()
        waking.warm()
        collect_rarely()
        try:
            reached = broker.reached_at(
                settings.VTN_MQTT_URL,
                pki.authority(),
                vtn_id=settings.VTN_ID,
                worker=options["worker"],
                at=clock.wall_now(),
            )
        except CannotReach as error:
            raise CommandError(str(error)) from error
        is_ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: is_ended.set())
        messagelog.start_writer()
        writing_behind.start_writer()
        bridge = Bridge(reached, vtn_id=settings.VTN_ID)
        bridge.run(
            is_alive=lambda: not is_ended.is_set(),
            ready=lambda: logger.info("VTN over MQTT: ready."),
        )
