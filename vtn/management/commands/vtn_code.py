"""`manage.py vtn_code SUBJECT`: give a one-time enrolment code."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from vtn.enrolment_codes import issue_code, void_code


class Command(BaseCommand):
    help = "Give a one-time enrolment code; the one before, if not used, is void."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("subject", help="your own name for the hub, such as its serial; no person's name")
        parser.add_argument("--ven", help="the VEN that the bearer takes the place of (a replaced hub)")
        parser.add_argument("--hours", type=int, default=24, help="how long it is good for, at most 720")
        parser.add_argument("--void", action="store_true", help="only end the open code")

    def handle(self, *args: Any, **options: Any) -> None:
        at = clock.now()
        try:
            if options["void"]:
                ended = void_code(subject=options["subject"], at=at, by="command line")
                self.stdout.write("void" if ended else "there was no open code")
                return
            if options["hours"] < 1:
                raise CommandError("--hours: 1 or more")
            issued = issue_code(
                subject=options["subject"],
                ven_id=options["ven"],
                life=timedelta(hours=options["hours"]),
                at=at,
                by="command line",
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{issued.code}\ngood once, until {issued.expires_at:%Y-%m-%d %H:%M} UTC")
