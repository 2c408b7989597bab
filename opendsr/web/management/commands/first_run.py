"""`manage.py first_run`: the one-time address at which a new installation is founded."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from opendsr.kernel.models import Installation
from opendsr.web.first_run import HOURS, new_token


class Command(BaseCommand):
    """Print the address; whoever has it within the day founds the co-op here."""

    help = "Print the address at which this new installation is set up: once, and within a day."

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse where a co-op is there already."""
        found = Installation.objects.first()
        if found is not None:
            raise CommandError(f"This installation is {found.coop_name}'s already; the rest is under Setup.")
        path = reverse("first_run", args=[new_token()])
        self.stdout.write(f"Open this address below your site's own, within {HOURS} hours:\n\n  {path}\n")
