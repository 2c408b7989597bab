"""`manage.py vtn_revoke VEN_ID`: end a VEN's certificates, from its next request on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from vtn.enrolling import revoke_certificate
from vtn.models import RevocationCode


class Command(BaseCommand):
    help = "End a VEN's certificates (or the one named), from its next request on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ven_id")
        parser.add_argument("--fingerprint", help="only this one: full SHA-256, hex")
        parser.add_argument("--reason", required=True, help="for the audit trail")
        parser.add_argument("--code", choices=RevocationCode.values, default=RevocationCode.UNSPECIFIED)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            ended = revoke_certificate(
                ven_id=options["ven_id"],
                fingerprint=options["fingerprint"],
                reason=options["reason"],
                code=options["code"],
                at=clock.now(),
                by="command line",
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{ended} ended")
