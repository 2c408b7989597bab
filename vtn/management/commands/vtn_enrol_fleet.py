"""`manage.py vtn_enrol_fleet DIR`: sign the requests of a generated fleet of hubs, for tests of load."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from opendsr.kernel import clock
from vtn import enrolling
from vtn.pki import CsrInvalid

BATCH = 500


class Command(BaseCommand):
    help = (
        "Enrol a fleet: read DIR/requests.jsonl (`python -m hems.fleet enrol`), write DIR/answers.jsonl and"
        " DIR/ca.pem. For load tests, not for homes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path, help="the fleet's folder")
        parser.add_argument("--revoked", type=int, default=0, help="revoke the last so many again")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["dir"]
        try:
            asked = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise CommandError(f"{folder / 'requests.jsonl'}: {error}") from error
        ca_pem = ""
        with (folder / "answers.jsonl").open("w") as answers:
            for first in range(0, len(asked), BATCH):
                with transaction.atomic():
                    for number, request in enumerate(asked[first : first + BATCH], first):
                        is_revoked = number >= len(asked) - options["revoked"]
                        enrolled = self.enrol(request, is_revoked=is_revoked)
                        ca_pem = enrolled.ca_pem
                        answer = {
                            "serial": request["serial"],
                            "ven_id": enrolled.ven_id,
                            "certificate": enrolled.certificate_pem,
                            "is_revoked": is_revoked,
                        }
                        answers.write(json.dumps(answer) + "\n")
        (folder / "ca.pem").write_text(ca_pem)
        self.stdout.write(f"{len(asked)} hubs enrolled, {options['revoked']} of them revoked again.")

    def enrol(self, request: dict[str, str], *, is_revoked: bool) -> enrolling.EnrolledVen:
        at = clock.now()
        try:
            enrolled = enrolling.enrol_ven(
                ven_name=request["serial"], csr_pem=request["csr"], at=at, by="command line"
            )
        except (CsrInvalid, KeyError) as error:
            raise CommandError(f"{request.get('serial', 'a request')}: {error}") from error
        if is_revoked:
            enrolling.revoke_certificate(ven_id=enrolled.ven_id, reason="load test", at=at, by="command line")
        return enrolled
