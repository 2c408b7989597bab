"""`manage.py placebo`: how far baseline rules are off on event-free days, of stored homes or of a file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns.models import Programme
from metering.adapters import ADAPTERS
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date
from settlement import rules as room_rules
from settlement import study_csv, studying
from settlement.baselines import NOTHING_GIVEN, EventDays, gaming, placebo
from settlement.baselines.clock import LocalHalfHour
from settlement.baselines.control_group import ControlGroup
from settlement.baselines.presets import PRESETS, TEMPERATURE_REGRESSION
from settlement.baselines.rules import BaselineRule, Method
from settlement.study_files import cube_of_file, temperatures_of_file
from settlement.study_models import PlaceboStudy

STUDIED: list[BaselineRule | ControlGroup] = [
    *(rule for rule in PRESETS.values() if rule.method in (Method.MEAN, Method.ROLLING)),
    TEMPERATURE_REGRESSION,
    room_rules.CONTROL_GROUP,
]
DAYS = 60
COLUMNS = "{:28}{:>7}{:>8}{:>9}{:>18}{:>8}{:>18}{:>10}{:>10}"


class Command(BaseCommand):
    help = "Lay pretend events on event-free days and say how far each baseline rule was off."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose readings, which rules, which stretch and which half-hours."""
        parser.add_argument("--file", type=Path, help="half-hourly readings that need not be in the store")
        parser.add_argument("--adapter", choices=sorted(ADAPTERS), help="of the file; default: by its header")
        parser.add_argument(
            "--temperatures", type=Path, help="with --file: CSV of time and celsius, for the regression"
        )
        parser.add_argument("--programme", help="only homes that this programme has asked, by its code")
        parser.add_argument(
            "--rules",
            default="",
            help="preset names and control_group, by comma (default: all that use days)",
        )
        parser.add_argument("--from", dest="earliest", type=date.fromisoformat, metavar="DATE")
        parser.add_argument("--to", dest="latest", type=date.fromisoformat, metavar="DATE")
        parser.add_argument("--at", default="17:00", metavar="HH:MM", help="start of the event, UK time")
        parser.add_argument("--half-hours", type=int, default=4)
        parser.add_argument(
            "--calendar", help="of all rules: england_wales, scotland, northern_ireland, none"
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--csv", type=Path, help="write the scores, each home's too, as CSV")
        parser.add_argument("--markdown", type=Path, help="add the table to this page, figures only")
        parser.add_argument("--title", default="Placebo study", help="heading of that table")
        parser.add_argument("--gaming", action="store_true", help="count the gaming detector's false alarms")

    def handle(self, *args: Any, **options: Any) -> None:
        """Study, print a table, write the CSV."""
        self.told: list[str] = []
        try:
            asked = self._rules(options)
            half_hours = _half_hours(options["at"], options["half_hours"])
            scores = (
                self._of_file(options, asked, half_hours)
                if options["file"]
                else self._of_store(options, asked, half_hours)
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        self._table(scores)
        if options["markdown"]:
            with options["markdown"].open("a") as page:
                page.write(self._section(options["title"], scores))
            self.stdout.write(f"Added to: {options['markdown']}")
        if options["csv"]:
            options["csv"].write_text(study_csv.render(scores))
            self.stdout.write(f"Written: {options['csv']}")

    def _rules(self, options: dict[str, Any]) -> list[BaselineRule | ControlGroup]:
        names = [name.strip() for name in options["rules"].split(",") if name.strip()]
        chosen = [room_rules.for_study(name) for name in names] if names else STUDIED
        if not options["calendar"]:
            return list(chosen)
        same = {"calendar": options["calendar"]}
        return [
            replace(rule, like=rule.like.with_parameters(same))
            if isinstance(rule, ControlGroup)
            else rule.with_parameters(same)
            if rule.uses_days
            else rule
            for rule in chosen
        ]

    def _of_file(
        self,
        options: dict[str, Any],
        asked: Sequence[BaselineRule | ControlGroup],
        half_hours: list[LocalHalfHour],
    ) -> list[dict[str, Any]]:
        meters, cube = cube_of_file(options["file"], adapter=options["adapter"])
        days = placebo.pretend_days(
            asked, cube, half_hours, earliest=options["earliest"], latest=options["latest"]
        )
        if not days:
            raise CommandError("No day in that stretch has the days before it that the rules look at.")
        nobody = EventDays.of([()] * len(meters))
        warmth = options["temperatures"]
        found = placebo.study(
            asked,
            cube,
            days,
            half_hours,
            nobody,
            given=temperatures_of_file(warmth, cube.days) if warmth else NOTHING_GIVEN,
            seed=options["seed"],
            progress=self._progress(),
        )
        self._tell(
            f"{len(meters)} homes, {len(found.days)} pretend events of {len(half_hours)} half-hours from"
            f" {options['at']}, {found.days[0]} to {found.days[-1]}"
            if found.days
            else "No home has a reading in the pretend events."
        )
        if options["gaming"]:
            self._gaming(asked, cube, days, half_hours, nobody)
        return [
            studying.score_as_data(
                score, meters, is_best=score is found.best, has_temperatures=found.has_temperatures
            )
            for score in found.scores
        ]

    def _of_store(
        self,
        options: dict[str, Any],
        asked: Sequence[BaselineRule | ControlGroup],
        half_hours: list[LocalHalfHour],
    ) -> list[dict[str, Any]]:
        at = clock.now()
        programme = None
        if options["programme"]:
            programme = Programme.objects.filter(pk=options["programme"]).first()
            if programme is None:
                known = ", ".join(Programme.objects.order_by("pk").values_list("pk", flat=True))
                raise CommandError(f"No programme {options['programme']}: choose from {known}.")
        latest = options["latest"] or civil_date(at) - timedelta(days=1)
        study = studying.ask_study(
            rules=[rule.name for rule in asked],
            earliest=options["earliest"] or latest - timedelta(days=DAYS - 1),
            latest=latest,
            ordinal=half_hours[0].ordinal,
            half_hours=len(half_hours),
            programme=programme,
            seed=options["seed"],
            at=at,
            by="command:placebo",
        )
        claimed = studying.claim(study.pk)
        study = study if claimed is None else studying.run_study(claimed, at=at)
        if study.state == PlaceboStudy.State.FAILED:
            raise CommandError(f"The study failed: {study.failure}")
        if study.state != PlaceboStudy.State.DONE:
            raise CommandError(f"A worker has taken the study; its page shows it: {study.pk}")
        self._tell(
            f"{study.homes} homes, {study.events} pretend events of {study.half_hours} half-hours from"
            f" {options['at']}, {study.earliest_date} to {study.latest_date}"
        )
        return list(study.scores)

    def _gaming(
        self,
        asked: Sequence[BaselineRule | ControlGroup],
        cube: Any,
        days: Sequence[date],
        half_hours: list[LocalHalfHour],
        nobody: EventDays,
    ) -> None:
        adjusted = [rule for rule in asked if isinstance(rule, BaselineRule) and rule.window_half_hours]
        for rule in adjusted:
            able = placebo.pretend_days([rule, gaming.watched(rule)], cube, half_hours)
            both = [day for day in days if day in set(able)]
            innocent = gaming.innocent_z(rule, cube, both, half_hours, nobody)
            share, threshold = gaming.false_alarms(innocent), gaming.threshold_for(innocent, 0.01)
            if share is not None and threshold is not None:
                self._tell(
                    f"gaming {rule.name}: z > {gaming.THRESHOLD:g} on {100 * share:.2f} % of"
                    f" {len(innocent)} innocent home-days; 1 % pass z > {threshold:.2f}"
                )

    def _table(self, scores: Sequence[dict[str, Any]]) -> None:
        heads = (
            "rule",
            "homes",
            "covers",
            "bias %",
            "95 %",
            "RRMSE %",
            "9 of 10 events",
            "home bias",
            "RRMSE",
        )
        self.stdout.write(COLUMNS.format(*heads))
        for score in scores:
            self.stdout.write(
                COLUMNS.format(
                    score["rule"],
                    score["homes"],
                    f"{100 * score['coverage']:.1f}%",
                    _one(score["bias_pct"]),
                    f"{_one(score['bias_low_pct'])} to {_one(score['bias_high_pct'])}",
                    _one(score["rrmse_pct"]),
                    f"{_one(score['event_low_pct'])} to {_one(score['event_high_pct'])}",
                    _one(score["home_bias_pct"]),
                    _one(score["home_rrmse_pct"]),
                )
            )

    def _section(self, title: str, scores: Sequence[dict[str, Any]]) -> str:
        lines = [f"\n## {title}\n", *(f"{line}  " for line in self.told), ""]
        lines.append(
            "| rule | covers | bias % (95 %) | RRMSE % | nine events of ten % | home bias % | home RRMSE % |"
        )
        lines.append("| --- | --: | --: | --: | --: | --: | --: |")
        for score in scores:
            mark = " (did best)" if score["is_best"] else ""
            lines.append(
                f"| {score['rule']}{mark} | {100 * score['coverage']:.1f} % | {_one(score['bias_pct'])}"
                f" ({_one(score['bias_low_pct'])} to {_one(score['bias_high_pct'])})"
                f" | {_one(score['rrmse_pct'])}"
                f" | {_one(score['event_low_pct'])} to {_one(score['event_high_pct'])}"
                f" | {_one(score['home_bias_pct'])} | {_one(score['home_rrmse_pct'])} |"
            )
        return "\n".join(lines) + "\n"

    def _tell(self, line: str) -> None:
        self.told.append(line)
        self.stdout.write(line)

    def _progress(self) -> Any:
        if not sys.stderr.isatty():
            return None

        def tell(done: int, total: int) -> None:
            self.stderr.write(f"\r{done} of {total}", ending="\n" if done == total else "")

        return tell


def _half_hours(text: str, count: int) -> list[LocalHalfHour]:
    hour, _, minute = text.partition(":")
    if not hour.isdigit() or minute not in ("00", "30") or int(hour) > 23:
        raise ValueError(f"--at is a half-hour of the day such as 17:00 or 17:30, not {text!r}")
    first = 2 * int(hour) + (minute == "30")
    if not 1 <= count <= 12 or first + count > 48:
        raise ValueError("--half-hours is 1 to 12, and the event ends by midnight")
    return [LocalHalfHour(first + n, 0) for n in range(count)]


def _one(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
