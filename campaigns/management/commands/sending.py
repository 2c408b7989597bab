"""`manage.py sending`: freeze, thaw or release, with the site down if need be."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from campaigns import freezing, releasing
from opendsr.kernel import clock


class Command(BaseCommand):
    """Stop what is sent to homes, let it go on, or let every home go."""

    help = "freeze: nothing new leaves; release: freeze and call everything off; thaw: things leave again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The verb, and a reason for the record."""
        parser.add_argument("verb", choices=["state", "freeze", "thaw", "release"])
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say how things stand."""
        at = clock.now()
        if options["verb"] == "freeze":
            freezing.freeze(at=at, by=None, reason=options["reason"])
        elif options["verb"] == "thaw":
            freezing.thaw(at=at, by=None)
        elif options["verb"] == "release":
            let_go = releasing.release(at=at, by=None, reason=options["reason"])
            self.stdout.write(
                f"Called off: {let_go.campaigns:,} campaigns, {let_go.plans:,} plans of devices."
            )
        found = freezing.current()
        self.stdout.write(f"Frozen since {found.frozen_at:%Y-%m-%d %H:%M:%S}Z." if found else "Not frozen.")
