"""`manage.py demo`: load the demo co-op and play one campaign from consent to a member's pence."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from opendsr.demo import ending, founding, river, stage
from opendsr.demo.edge import in_plain_words
from opendsr.demo.loading import LOADING_STEPS, load_demo
from opendsr.demo.telling import Teller
from opendsr.demo.upcoming import ensure_upcoming_event
from opendsr.kernel import clock
from opendsr.run import ports, up

CONVENTIONS = {
    "adapter": "how to read the file, when its header does not tell",
    "stamp": "start or end of the half-hour, over what the adapter states",
    "tz": "time zone of stamps, over what the adapter states",
}


class Command(BaseCommand):
    """Play the demo."""

    help = "Empty the demo's own database, load the demo co-op and play one campaign through the real parts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the two choices, also from the environment as `make` passes them."""
        parser.add_argument(
            "--homes", default=os.environ.get("HOMES", ""), help="CSV of real readings (HOMES)"
        )
        for name, meaning in CONVENTIONS.items():
            variable = f"HOMES_{name.upper()}"
            parser.add_argument(
                f"--{name}", default=os.environ.get(variable, ""), help=f"{meaning} ({variable})"
            )
        parser.add_argument(
            "--date", default=os.environ.get("DEMO_DATE", ""), help="event day, ISO (DEMO_DATE)"
        )
        parser.add_argument("--speed", type=float, default=river.SPEED, help="how fast the world runs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play, print, and say where to look; anything foreseen ends with a sentence that says what to do."""
        began = time.monotonic()
        with in_plain_words(stopped="Stopped. `make demo` starts afresh."), founding.held_alone():
            self._play(options)
        self.stdout.write(
            f"\nPlayed in {time.monotonic() - began:.0f} s. `make up` shows the same at {_site()}"
            " and prints the logins."
        )

    def _play(self, options: dict[str, Any]) -> None:
        ports.require_free(stage.vtn_port(), what="the VTN", variable="VTN_PORT")
        teller = Teller(LOADING_STEPS + river.PLAY_STEPS, sys.stdout)
        conventions = {name: options[name] for name in CONVENTIONS}
        coop = load_demo(teller, homes_file=options["homes"], demo_date=options["date"], **conventions)
        campaign = river.play(coop, teller, speed=options["speed"])
        ending.print_report(campaign, coop, teller)
        ending.print_money(campaign, teller, site=_site())
        ensure_upcoming_event(at=clock.now())


def _site() -> str:
    return f"http://{up.HOST}:{up.port_from_env('PORT', 8000)}/"
