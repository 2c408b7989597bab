"""Recompute the audit trail from its first entry: has anything been edited, deleted or moved?"""

from __future__ import annotations

import re
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from opendsr.kernel import sealing

MOST_SAID = 50


class Command(BaseCommand):
    """Exit status 1, and what was found, when the trail is not as it was sealed."""

    help = (
        "Verify the sealed audit trail; keep the hash it prints somewhere else, and give it as --head later."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--head`, `--seal`."""
        parser.add_argument(
            "--head", default="", help="a hash it printed before: is that still in the chain?"
        )
        parser.add_argument("--seal", action="store_true", help="seal what is there first")

    def handle(self, *args: object, **options: Any) -> None:
        """Say how much was verified and what was found."""
        head = options["head"].strip().lower()
        if head and not re.fullmatch(r"[0-9a-f]{64}", head):
            raise CommandError(f"--head {head[:80]!r}: give the 64 hex digits that verify_audit printed")
        if options["seal"]:
            sealing.seal_all()
        verdict = sealing.verify(head=head)
        for finding in verdict.findings[:MOST_SAID]:
            self.stderr.write(str(finding))
        if verdict.findings:
            more = len(verdict.findings) - MOST_SAID
            raise CommandError(
                f"{len(verdict.findings)} findings{f', {more} of them not shown' if more > 0 else ''}:"
                " the audit trail is not as it was sealed"
            )
        self.stdout.write(
            f"{verdict.entries:,} entries in {verdict.seals:,} seals are as they were sealed,"
            f" {verdict.unsealed:,} wait to be sealed. Head: {verdict.head or 'none yet'}"
        )
