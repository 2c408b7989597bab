"""`manage.py vtn_enrol NAME CSR`: sign a hub's request from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from opendsr.kernel import clock
from vtn.enrolling import enrol_ven
from vtn.pki import CsrInvalid


class Command(BaseCommand):
    help = "Enrol a VEN: read its certificate signing request, print its id, certificate and the CA's."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what staff see")
        parser.add_argument("csr", type=Path, help="the request, a PEM file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            csr_pem = options["csr"].read_text()
            enrolled = enrol_ven(ven_name=options["name"], csr_pem=csr_pem, at=clock.now(), by="command line")
        except (OSError, UnicodeDecodeError, CsrInvalid) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{enrolled.ven_id}\n{enrolled.certificate_pem}{enrolled.ca_pem}", ending="")
