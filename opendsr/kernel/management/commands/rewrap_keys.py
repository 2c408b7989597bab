"""After a new first key in OPENDSR_KEK: put every person's data key under it, so that the old one can go."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from opendsr.kernel import encryption


class Command(BaseCommand):
    """Safe to stop and to run again."""

    help = "Wrap every data key with the current (first) key of OPENDSR_KEK."

    def handle(self, *args: object, **options: object) -> None:
        """Work through the stale keys in batches and say how many there were."""
        total = 0
        while done := encryption.rewrap():
            total += done
        self.stdout.write(f"{total} data keys put under key {encryption.key_ring().current_id}.")
