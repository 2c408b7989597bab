"""`manage.py vtn_openapi`: write the management API's description to `vtn/openapi.yaml`, or check it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from vtn.api_site import document_yaml

SNAPSHOT = Path(__file__).resolve().parents[2] / "openapi.yaml"


class Command(BaseCommand):
    help = "Write the API's OpenAPI description to vtn/openapi.yaml; with --check only compare."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: object, **options: object) -> None:
        fresh = document_yaml()
        if not options["check"]:
            SNAPSHOT.write_text(fresh)
        elif not SNAPSHOT.exists() or SNAPSHOT.read_text() != fresh:
            raise CommandError("vtn/openapi.yaml is not what the API is: run manage.py vtn_openapi")
