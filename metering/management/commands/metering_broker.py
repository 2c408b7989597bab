"""`manage.py metering_broker FOLDER`: Mosquitto's configuration, passwords and access list."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metering import broker
from metering.intake_models import Sender
from metering.management.commands.metering_mqtt import URL
from opendsr.kernel import clock
from opendsr.kernel.env import env_str
from opendsr.kernel.errors import DomainError


class Command(BaseCommand):
    help = "Write Mosquitto's files into a folder; --issue and --revoke give and take a device's password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The folder, where to listen, and devices to change first."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--host", default="127.0.0.1", help="address the broker listens on")
        parser.add_argument("--user", default="", help="account Mosquitto runs as when root starts it")
        for verb in ("issue", "revoke"):
            parser.add_argument(
                f"--{verb}", action="append", default=[], metavar="KIND:NAME", help="e.g. glow:BCDDC2C6A91C"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        """Change the devices named, then write the files."""
        url = env_str(URL, default="")
        try:
            for text in options["issue"]:
                sender, password = broker.issue_password(**_device(text), at=clock.now())
                self.stdout.write(f"{sender.name} {password}")
            for text in options["revoke"]:
                broker.revoke(**_device(text), at=clock.now())
            path = broker.write_files(options["folder"], url=url, host=options["host"], user=options["user"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(
            f"Wrote {path}. Start Mosquitto with -c {path}, or send it SIGHUP to read it again."
        )


def _device(text: str) -> dict[str, Any]:
    kind, found, name = text.partition(":")
    if not found or kind not in Sender.Kind.values:
        raise CommandError(f"{text!r} needs the form KIND:NAME, KIND one of {', '.join(Sender.Kind.values)}")
    return {"kind": Sender.Kind(kind), "name": name}
