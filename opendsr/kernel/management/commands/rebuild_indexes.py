"""After a new OPENDSR_INDEX_KEY: find people, homes and accounts by it again."""

from __future__ import annotations

from django.apps import apps
from django.core.management.base import BaseCommand

from opendsr.kernel import blind_index


class Command(BaseCommand):
    """Safe to stop and to run again; until it has ended, some rows are not found: let nobody sign in."""

    help = "Write every index of sealed texts anew under the OPENDSR_INDEX_KEY that is set now."

    def handle(self, *args: object, **options: object) -> None:
        """Go through every table that has one and say how many rows were written."""
        for model in apps.get_models():
            if rebuilt := blind_index.rebuild(model):
                self.stdout.write(f"{model._meta.label}: {rebuilt} rows")
        self.stdout.write("Every index is under the key that is set.")
