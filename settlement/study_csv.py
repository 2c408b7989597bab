"""A placebo study as CSV: a row for the portfolio and for each home under each rule; percent of mean use."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = (
    "scope", "home", "rule", "homes", "events", "measured_half_hours", "coverage", "bias_pct", "bias_low_pct",
    "bias_high_pct", "rrmse_pct", "event_error_p5_pct", "event_error_p95_pct",
)  # fmt: skip


def render(scores: Iterable[Mapping[str, Any]]) -> str:
    """The CSV's text from scores as `studying.score_as_data` gives them; empty cells are unknown."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for score in scores:
        writer.writerow(
            (
                "portfolio", "", score["rule"], score["homes"], score["events"],
                sum(each[1] for each in score["by_home"]), f"{score['coverage']:.4f}",
                *(
                    _number(score[name])
                    for name in (
                        "bias_pct", "bias_low_pct", "bias_high_pct", "rrmse_pct", "event_low_pct",
                        "event_high_pct",
                    )
                ),
            )
        )  # fmt: skip
        for home, measured, bias_pct, rrmse_pct in score["by_home"]:
            numbers = (_number(bias_pct), "", "", _number(rrmse_pct), "", "")
            writer.writerow(("home", home, score["rule"], 1, "", measured, "", *numbers))
    return out.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
