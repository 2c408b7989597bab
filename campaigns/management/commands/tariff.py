"""`manage.py tariff`: make a tariff by bands, from a file, or followed at Octopus; fetch what is due."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns import octopus, tariffs
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError

BY = "command line"
REJECTS_SHOWN = 20


class Command(BaseCommand):
    """Make, follow and fetch tariffs."""

    help = (
        "tariff bands CODE NAME 00:00=9.5 07:00=28.1 | tariff csv CODE NAME FILE | "
        "tariff octopus PRODUCT REGION | tariff fetch | tariff demand CODE POUNDS_A_KW"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of five verbs with its words."""
        parser.add_argument("verb", choices=["bands", "csv", "octopus", "fetch", "demand"])
        parser.add_argument("words", nargs="*")
        parser.add_argument("--url", default=octopus.URL, help="where Octopus answers")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say what came of it."""
        try:
            getattr(self, f"_{options['verb']}")(options["words"], options["url"])
        except (OSError, DomainError) as error:
            raise CommandError(str(error)) from error

    def _bands(self, words: list[str], _: str) -> None:
        if len(words) < 3:
            raise CommandError("Say code, name and bands: tariff bands e7 'Economy 7' 00:00=28 00:30=9")
        bands = dict(_band(word) for word in words[2:])
        made = tariffs.set_bands(code=words[0], name=words[1], bands=bands, at=clock.now(), by=BY)
        self.stdout.write(f"{made.code}: {len(bands)} bands")

    def _csv(self, words: list[str], _: str) -> None:
        if len(words) != 3:
            raise CommandError("Say code, name and file.")
        report = tariffs.from_file(code=words[0], name=words[1], file=Path(words[2]), at=clock.now(), by=BY)
        for each in report.rejects[:REJECTS_SHOWN]:
            self.stderr.write(f"line {each.line}, {each.field} {each.value!r}: {each.reason}")
        self.stdout.write(f"{words[0]}: {report.stored:,} half-hours, {len(report.rejects):,} refused")

    def _octopus(self, words: list[str], url: str) -> None:
        if len(words) != 2:
            raise CommandError("Say product and region, such as: tariff octopus AGILE-24-10-01 G")
        product, region = words
        code = octopus.Client(url).tariff_code(product, region)
        name = f"{product}, region {region}"
        tariffs.follow(code=code, name=name, product_code=product, at=clock.now(), by=BY)
        self.stdout.write(f"{code} is followed from now on")

    def _demand(self, words: list[str], _: str) -> None:
        if len(words) != 2:
            raise CommandError("Say code and pounds a kW a month, such as: tariff demand e7 6.50 (0: none)")
        pence = tariffs.demand_pence(words[1])
        tariffs.set_demand_charge(code=words[0], pence_per_kw=pence, at=clock.now(), by=BY)
        self.stdout.write(f"{words[0]}: {pence / 100:.2f} pounds a kW of a month's highest half-hour")

    def _fetch(self, _: list[str], url: str) -> None:
        found = tariffs.fetch_due(client=octopus.Client(url), at=clock.now())
        for code, count in found.stored.items():
            self.stdout.write(f"{code}: {count:,} half-hours new or changed")
        for code, problem in found.problems.items():
            self.stderr.write(f"{code}: {problem}")
        if not found.stored and not found.problems:
            self.stdout.write("Nothing is due.")


def _band(word: str) -> tuple[time, Decimal]:
    from_time, _, pence = word.partition("=")
    try:
        return time.fromisoformat(from_time), Decimal(pence)
    except (ValueError, InvalidOperation):
        raise CommandError(f"{word!r} is no band: write 07:00=28.1 (from 07:00 at 28.1 p/kWh)") from None
