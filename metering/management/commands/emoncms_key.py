"""`manage.py emoncms_key HOME --name emonPi`: a key for a home's emonPi, emonhub or charger, told once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from members.models import Home
from metering import emoncms
from metering.intake_models import EmoncmsInput, EmoncmsKey
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError


class Command(BaseCommand):
    help = "Make a key for the devices of a home, revoke one, or say what its inputs are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The home by name or MPAN, and what to do."""
        parser.add_argument("home", help="the home's name or MPAN")
        parser.add_argument("--name", default="emoncms", help="what the key is for")
        parser.add_argument("--read-only", action="store_true")
        parser.add_argument("--revoke", action="store_true", help="end the keys of this name")
        parser.add_argument(
            "--role",
            action="append",
            default=[],
            metavar="NODE/INPUT=ROLE",
            help=f"what an input of the key is: {', '.join(EmoncmsInput.Role.values)}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and print a new key once."""
        text = options["home"]
        homes = list(Home.objects.filter(mpan_index=text)) or list(Home.objects.filter(name_index=text))
        if len(homes) != 1:
            raise CommandError(f"{len(homes)} homes are called {text!r}: give the MPAN")
        keys = EmoncmsKey.objects.filter(home=homes[0], name=options["name"], revoked_at__isnull=True)
        if options["revoke"]:
            for key in keys:
                emoncms.revoke_key(key_id=key.pk, at=clock.now())
                self.stdout.write(f"key {key.pk} is revoked")
            return
        if options["role"]:
            for pair in options["role"]:
                self._set_role(keys.order_by("-pk").first(), pair)
            return
        access = EmoncmsKey.Access.READ if options["read_only"] else EmoncmsKey.Access.WRITE
        try:
            _, secret = emoncms.issue_key(home=homes[0], name=options["name"], at=clock.now(), access=access)
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(secret)

    def _set_role(self, key: EmoncmsKey | None, pair: str) -> None:
        place, _, role = pair.rpartition("=")
        node, _, name = place.partition("/")
        if key is None or not node or not name or role not in EmoncmsInput.Role.values:
            raise CommandError(f"--role {pair!r} needs a key of that name and the form NODE/INPUT=ROLE")
        EmoncmsInput.objects.update_or_create(key=key, node=node, name=name, defaults={"role": role})
        self.stdout.write(f"{place} is {role}")
