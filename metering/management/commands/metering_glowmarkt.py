"""`manage.py metering_glowmarkt`: list the account's meters, or fetch past readings of one into a stream."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from metering import glowmarkt
from metering.intake_models import Backfill
from opendsr.kernel import clock
from opendsr.kernel.env import env_str
from opendsr.kernel.errors import DomainError


class Command(BaseCommand):
    help = (
        "Fetch past readings from Glowmarkt (Bright). The account is GLOWMARKT_USERNAME, GLOWMARKT_PASSWORD "
        "and GLOWMARKT_APPLICATION_ID. Without a resource: go on with every stretch that is not finished."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which meter, which stream, from when."""
        parser.add_argument("--list", action="store_true", help="list the account's resources")
        parser.add_argument("--resource", help="resource id of a meter")
        parser.add_argument("--stream", help="the stream id it fills")
        parser.add_argument("--from", dest="since", help="a day, such as 2026-01-31")
        parser.add_argument("--to", help="a day; today when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Fetch; exit 1 with what the service said when it fails, to be gone on with later."""
        at = clock.now()
        try:
            client = glowmarkt.Client(
                username=env_str("GLOWMARKT_USERNAME"),
                password=env_str("GLOWMARKT_PASSWORD"),
                application_id=env_str("GLOWMARKT_APPLICATION_ID"),
                url=env_str("GLOWMARKT_URL", default=glowmarkt.URL),
            )
            if options["list"]:
                for each in client.resources():
                    self.stdout.write(f"{each.get('resourceId')} {each.get('classifier')} {each['entity']}")
                return
            if options["resource"]:
                ends_at = _day(options["to"]) if options["to"] else at
                glowmarkt.ask_for(
                    resource_id=options["resource"],
                    stream_id=UUID(options["stream"] or ""),
                    starts_at=_day(options["since"] or ""),
                    ends_at=ends_at,
                    at=at,
                )
            for row in Backfill.objects.order_by("pk"):
                for report in glowmarkt.fetch(row.pk, client, at=at):
                    self.stdout.write(
                        f"{report.name}: {report.rows_landed} stored, {report.rows_unchanged} known, "
                        f"{report.rows_rejected} refused"
                    )
        except DomainError as error:
            raise CommandError(str(error)) from error
        except ValueError as error:
            raise CommandError(f"--stream needs a stream id, --from and --to a day: {error}") from error


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
