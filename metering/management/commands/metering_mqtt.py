"""`manage.py metering_mqtt`: take messages of CADs from the broker into the store until stopped."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metering.intake import Taken
from metering.mqtt import BATCH_SECONDS, Listener
from opendsr.kernel.env import env_str

URL = "METERING_MQTT_URL"
CA = "METERING_MQTT_CA"


class Command(BaseCommand):
    help = f"Take MQTT messages of CADs into the store; the broker is {URL} (mqtt://user:password@host:1883)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long a batch may wait."""
        parser.add_argument("--batch-seconds", type=float, default=BATCH_SECONDS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or Ctrl-C; the batch in hand is stored first."""
        url = env_str(URL, default="")
        if not url:
            raise CommandError(f"{URL} is not set: write mqtt://user:password@host:1883")
        try:
            listener = Listener(
                url,
                ca=env_str(CA, default="") or None,
                batch_seconds=options["batch_seconds"],
                on_batch=self._told if options["verbosity"] > 1 else None,
            )
        except (ValueError, OSError) as error:
            raise CommandError(f"{URL}: {error}") from error
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: listener.stop())
        self.stdout.write("Intake of messages: ready.")
        self.stdout.flush()
        listener.run()

    def _told(self, taken: Taken) -> None:
        letters = ", ".join(f"{count} {code}" for code, count in taken.letters.most_common())
        self.stdout.write(
            f"{taken.messages} messages, {taken.samples} samples{', ' if letters else ''}{letters}"
        )
        self.stdout.flush()
