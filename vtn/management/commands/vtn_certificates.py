"""`manage.py vtn_certificates`: what ends soon, of the VENs and of the CA; or this VTN's fingerprint."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from oadr.fingerprint import oadr_fingerprint
from opendsr.kernel import clock
from vtn import expiring, securing


class Command(BaseCommand):
    help = "List certificates that end soon and have no successor; and the CA's own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="how far to look ahead")
        parser.add_argument("--fingerprint", action="store_true", help="only this VTN's own")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["fingerprint"]:
            self.stdout.write(oadr_fingerprint(securing.vtn_identity().certificate_der))
            return
        wall = clock.wall_now()
        for end in expiring.authority_ends(wall=wall):
            self.stdout.write(f"{end.days_left:6d} days  {end.name}  {end.serial}")
        for each in expiring.expiring_certificates(wall=wall, within=timedelta(days=options["days"])):
            seen = f"{each.last_seen_wall_at:%Y-%m-%d}" if each.last_seen_wall_at else "never"
            self.stdout.write(f"{each.days_left:6d} days  {each.ven_id}  {each.ven_name}  last seen {seen}")
