"""A statement as CSV: one table, one fact a row, enough of them to work the money out again by hand.

Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers are written as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from opendsr.kernel.money import pounds
from opendsr.kernel.periods import LONDON
from settlement.baselines.explaining import LEFT_OUT_WORDS

if TYPE_CHECKING:
    from settlement.event_views import EventView
    from settlement.statements import StatementView

COLUMNS: Final = ("section", "item", "starts_at", "local_time", "day", "value", "unit", "note")
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

BASELINE_WORDS: Final = {
    "regression": "by a straight line against the degrees below the base, fitted to the days used",
    "rolling": "level of the days used, each newer one with its weight, rounded half to even",
    "zero": "nought by the rule",
    "profile": "by the rule's published profile",
}

Value = str | int | Decimal | Fraction | None
Row = tuple[str, str, datetime | None, date | None, Value, str, str]


def render(view: StatementView) -> str:
    """The statement's CSV, with a header row; times are UTC starts, local time beside them."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for section, item, starts_at, day, value, unit, note in _rows(view):
        writer.writerow(
            (
                section,
                item,
                f"{starts_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if starts_at else "",
                f"{starts_at.astimezone(LONDON):%Y-%m-%d %H:%M}" if starts_at else "",
                day.isoformat() if day else "",
                plain_cell(value) if isinstance(value, str) else _number(value),
                unit,
                plain_cell(note),
            )
        )
    return out.getvalue()


def plain_cell(text: str) -> str:
    """The text as a spreadsheet shows it and never runs it."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def _number(value: int | Decimal | Fraction | None) -> str:
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return "" if value is None else str(value)


def _rows(view: StatementView) -> Iterator[Row]:
    yield "statement", "member", None, None, view.member_number, "", ""
    yield "statement", "issued", view.issued_at, None, None, "", ""
    yield (
        "statement",
        "round",
        None,
        None,
        view.round_number,
        "",
        f"{view.programme}: {view.kind_words.lower()}",
    )
    for event in view.events:
        yield from _head(event)
        yield from _history(event)
        yield from _half_hours(event)
        yield from _money(event)
    note = "of all the statement's events, gifts taken off"
    yield "total", "earned", None, None, view.earned_mp, "mp", f"{pounds(view.earned_mp)}: {note}"
    note = "posted for these events by earlier rounds"
    yield "total", "posted before", None, None, view.previous_mp, "mp", f"{pounds(view.previous_mp)}: {note}"
    note = "posted by this round"
    yield "total", "posted now", None, None, view.posted_mp, "mp", f"{pounds(view.posted_mp)}: {note}"
    note = "your household's account after this round"
    yield "total", "balance", None, None, view.balance_mp, "mp", f"{pounds(view.balance_mp)}: {note}"


def _head(view: EventView) -> Iterator[Row]:
    correction = "correction of an earlier run" if view.is_correction else ""
    yield "event", "name", None, None, view.campaign, "", ""
    yield "event", "run", None, None, view.run_number, "", correction
    yield "event", "readings known at", view.as_known_at, None, None, "", ""
    yield "event", "input sha256", None, None, view.input_sha256, "", f"method {view.method}"
    yield "event", "result sha256", None, None, view.result_sha256, "", ""
    yield "event", "starts", view.starts_at, None, None, "", ""
    yield "event", "ends", view.ends_at, None, None, "", ""
    yield "event", "direction", None, None, view.direction, "", f"delivered is {view.direction_words}"
    yield "event", "instructed", None, None, view.instructed_wh, "Wh", ""
    yield "event", "standing", None, None, view.standing, "", view.standing_words
    yield "event", "outcome", None, None, view.outcome, "", view.outcome_words
    yield "rules", "terms", None, None, view.terms, "", ""
    yield "rules", "baseline", None, None, view.rule, "", view.rule_title
    yield "rules", "source", None, None, view.rule_source, "", view.rule_certainty
    yield "rules", "what is paid", None, None, view.floor_words, "", view.cap_words


def _history(view: EventView) -> Iterator[Row]:
    for part in view.explanation.parts:
        for used in part.used:
            for column, (start, wh) in enumerate(zip(part.starts, used.wh, strict=True)):
                item = "day used" if column < part.event_count else "day used, before the event"
                note = "" if wh is not None else "no meter reading: not in this half-hour's mean"
                yield "history", item, start, used.day, wh, "Wh", note
            for start, tenths in zip(part.starts, used.warmth, strict=False):
                value = None if tenths is None else Decimal(tenths) / 10
                yield "history", "degrees below the base", start, used.day, value, "K", ""
        for start, tenths in zip(part.starts, part.warmth, strict=False):
            value = None if tenths is None else Decimal(tenths) / 10
            note = "" if tenths is not None else "temperature not known: the mean of the days used"
            yield "history", "degrees below the base", start, part.day, value, "K", note
        for out in part.left_out:
            yield "history", "day left out", None, out.day, None, "", LEFT_OUT_WORDS[out.reason]
    explained = view.explanation
    for each in explained.window:
        note = "" if each.is_counted else "no meter reading, too few days, or another event: not counted"
        item = "metered before the event" if each.start < view.starts_at else "metered after the event"
        yield "adjustment", item, each.start, None, each.wh, "Wh", note
    bound = "; at the rule's bound" if explained.is_bounded else ""
    if explained.adjustment_wh is not None:
        note = f"mean of metered less usual in the window, added to each half-hour{bound}"
        yield "adjustment", "in-day adjustment", None, None, explained.adjustment_wh, "Wh", note
    if explained.adjustment_ratio is not None:
        note = f"metered over usual in the window, times each half-hour's mean{bound}"
        yield "adjustment", "in-day adjustment", None, None, explained.adjustment_ratio, "factor", note


def _half_hours(view: EventView) -> Iterator[Row]:
    minimum = {
        start: part.minimum for part in view.explanation.parts for start in part.starts[: part.event_count]
    }
    for half_hour in view.half_hours:
        start = half_hour.starts_at
        note = BASELINE_WORDS.get(view.explanation.method, "mean of the days used, rounded half to even")
        if half_hour.baseline_wh is None:
            note = f"fewer than {minimum.get(start)} days with a reading: no baseline, earns nothing"
        yield "half-hour", "baseline", start, None, half_hour.baseline_wh, "Wh", note
        note = "" if half_hour.metered_wh is not None else "no meter reading: earns nothing"
        yield "half-hour", "metered", start, None, half_hour.metered_wh, "Wh", note
        yield "half-hour", "delivered", start, None, half_hour.delivered_wh, "Wh", half_hour.outcome
        if half_hour.is_part:
            note = f"the event covers {half_hour.covered_words}: delivered counts up to this, down to as much"
            yield "half-hour", "instructed", start, None, half_hour.instructed_wh, "Wh", note
    for device in view.devices:
        for half_hour, (watts, sure) in zip(view.half_hours, device.half_hours, strict=True):
            note = (
                "by its own meter"
                if device.is_measured
                else f"estimated, {sure} % sure; nothing is paid by it"
            )
            yield "device", plain_cell(device.name), half_hour.starts_at, None, watts, "W", note
    yield "event", "delivered", None, None, view.delivered_wh, "Wh", "sum of the half-hours"
    if view.sold_wh != view.paid_wh:
        yield "event", "sold", None, None, view.sold_wh, "Wh", "what the buyer pays for"
    yield "event", "paid", None, None, view.paid_wh, "Wh", "the part that earns"


def _money(view: EventView) -> Iterator[Row]:
    yield "money", "rate", None, None, view.pence_per_kwh, "pence per kWh", ""
    yield "money", "sold energy of all homes", None, None, view.total_sold_wh, "Wh", view.revenue_basis
    yield "money", "pay factor", None, None, view.pay_factor, "", str(view.pay_curve["title"])
    note = "sold energy of all homes x rate x pay factor, rounded half to even"
    yield (
        "money",
        "utilisation",
        None,
        None,
        view.utilisation_mp,
        "mp",
        f"{pounds(view.utilisation_mp)}: {note}",
    )
    if view.availability_mp:
        note = "declared power x hours x rate"
        amount = f"{pounds(view.availability_mp)}: {note}"
        yield "money", "availability", None, None, view.availability_mp, "mp", amount
    yield "money", "revenue", None, None, view.revenue_mp, "mp", pounds(view.revenue_mp)
    yield "money", "co-op's share", None, None, view.coop_share_pct, "%", ""
    yield "money", "co-op", None, None, view.coop_mp, "mp", f"{pounds(view.coop_mp)}: rounded down"
    by_policy_mp = view.fund_mp - view.held_mp
    if by_policy_mp:
        note = f"{pounds(by_policy_mp)}: rounded down"
        yield "money", "community fund", None, None, by_policy_mp, "mp", note
    if view.held_mp:
        who = "only homes that overrode the event would have earned"
        note = f"{pounds(view.held_mp)}: what {'no home earned' if view.holds_unearned else who}"
        yield "money", "held for the community fund", None, None, view.held_mp, "mp", note
    yield "money", "members' pool", None, None, view.members_mp, "mp", f"{pounds(view.members_mp)}: the rest"
    if view.hold_out:
        note = f"beside {view.hold_out.homes} that share the money; each gets the average"
        yield "money", "homes held out", None, None, view.hold_out.held_out, "", note
    for share in view.shares:
        note = f"shared {share.words}"
        yield f"share {share.by}", "pool", None, None, share.pool_mp, "mp", f"{pounds(share.pool_mp)}: {note}"
        yield f"share {share.by}", "your weight", None, None, share.weight, "", ""
        yield f"share {share.by}", "weight of all homes", None, None, share.total_weight, "", ""
        note = "pool x your weight / weight of all homes"
        yield f"share {share.by}", "your exact share", None, None, share.exact_mp, "mp", note
        note = "rounded so that all shares sum to the pool: the largest remainders get the spare millipence"
        amount = f"{pounds(share.amount_mp)}: {note}"
        yield f"share {share.by}", "your share", None, None, share.amount_mp, "mp", amount
    yield (
        "money",
        "earned",
        None,
        None,
        view.earned_mp,
        "mp",
        f"{pounds(view.earned_mp)}: the sum of your shares",
    )
    if view.gift_mp:
        note = f"your gift to the community fund, {view.donates_pct.normalize():f} %, rounded down"
        yield "money", "gift", None, None, view.gift_mp, "mp", f"{pounds(view.gift_mp)}: {note}"
    if view.is_correction:
        note = "posted for this event before"
        yield (
            "money",
            "posted before",
            None,
            None,
            view.previous_mp,
            "mp",
            f"{pounds(view.previous_mp)}: {note}",
        )
    for other in view.others:
        note = f"by {other.title}; for comparison only"
        yield (
            "other rule",
            other.name,
            None,
            None,
            other.earned_mp,
            "mp",
            f"{pounds(other.earned_mp)}: {note}",
        )
