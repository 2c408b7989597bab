"""Worked examples ("vectors") of a JSON file, each worked out by the room's own functions and compared. Pure.

A vector is an object with an `id` and the fields of what it is an example of; which fields make which example
is in EXAMPLES. Energies are kWh (or MWh); expectations are compared to as many digits as they have.
A preset is meant by its name in `preset` or `rule`, else by the words of `id`, `kind` and `source`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from opendsr.kernel.errors import DomainError
from opendsr.kernel.money import MP_PER_PENNY, split_mp
from opendsr.kernel.periods import LONDON, MAX_PERIODS
from settlement import baselines
from settlement.baselines import BaselineError, Mask, Wh, presets
from settlement.baselines.clock import HALF_HOUR, local_half_hour, slot_of
from settlement.baselines.explaining import Explanation, explain
from settlement.baselines.presets import PRESETS
from settlement.baselines.rules import Adjustment, BaselineRule, Method
from settlement.delivery import DeliveryRule, measure
from settlement.ledger import still_to_post_mp
from settlement.pay_curves import CURVES, FLAT, PayCurve, curve_from
from settlement.revenue import Contract, earned_revenue

FINE: Final = 1_000_000
"""Parts of a kWh in the whole numbers worked with, so that a vector's decimals are exact."""
MILLION: Final = 1_000_000
MEANT_BY: Final = (
    (r"octopus|\boct-", presets.OCTOPUS_SAVING_SESSION),
    (r"dfs[^a-z]*ida|in-day|2022", presets.DFS_2022),
    (r"\bdfs\b|dfs-|2023", presets.DFS_2023_DOMESTIC),
    (r"bl01|elexon", presets.ELEXON_BL01_UNADJUSTED),
    (r"iso-ne|90.10", presets.ISO_NE_90_10),
    (r"\bus-|markettransfer|positive-only", presets.US_FLEXIBILITY_AGREEMENT),
    (r"caiso.*5.in.10", PRESETS["caiso_5_in_10_residential"]),
    (r"caiso", PRESETS["caiso_10_in_10"]),
    (r"nyiso", PRESETS["nyiso_average_day"]),
    (r"pjm", PRESETS["pjm_4_of_5"]),
    (r"ercot", PRESETS["ercot_mid_8_of_10"]),
    (r"\bena\b|ena-|mid.8", PRESETS["ena_mid_8_of_10"]),
    (r"powershaper", PRESETS["powershaper_three_weeks"]),
)
Vector = Mapping[str, Any]


class VectorsUnreadable(ValueError):
    """The file is no list of objects with an id."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One expectation of a vector: what is written, what came out, and whether they agree."""

    what: str
    expected: Any
    found: Any

    @property
    def agrees(self) -> bool:
        """Whether it came out as written, to as many digits."""
        return _agree(self.expected, self.found)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a vector: its expectations compared, or why there was nothing to compare."""

    id: str
    compared: tuple[Compared, ...]
    problem: str = ""
    is_example: bool = True

    @property
    def fits(self) -> bool:
        """Whether everything expected came out; a rule without numbers fits."""
        return not self.problem and all(each.agrees for each in self.compared)


def read_vectors(path: Path) -> list[Vector]:
    """The vectors of a file; raises VectorsUnreadable."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VectorsUnreadable(f"{path} cannot be read: {error}") from error
    if isinstance(data, dict):
        data = data.get("vectors")
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise VectorsUnreadable(f"{path} is no list of vectors")
    return data


def run_vector(vector: Vector) -> Outcome:
    """Work the vector out; a field that cannot be used is a problem of that vector, never an exception."""
    name = str(vector.get("id", "without an id"))
    if not any(key.startswith("expected") or key in ("cases", "points") for key in vector):
        return Outcome(name, (), is_example=False)
    for fields, work in EXAMPLES:
        if fields <= vector.keys():
            try:
                return Outcome(name, tuple(work(vector)))
            except (KeyError, TypeError, ValueError, ArithmeticError, IndexError, DomainError) as error:
                return Outcome(name, (), f"cannot be worked out: {type(error).__name__} {error}")
    return Outcome(name, (), f"no example has these fields: {', '.join(sorted(vector))}")


def _mean_of_days(vector: Vector) -> Iterator[Compared]:
    """Readings of some days and the baseline they make."""
    rule = _rule(vector, presets.OCTOPUS_SAVING_SESSION)
    event = _event(vector)
    days = [date.fromisoformat(day) for day in vector["history_days"]]
    readings: dict[datetime, int] = {}
    for day, kwh in zip(days, vector["history_kwh_per_half_hour"], strict=True):
        values = kwh if isinstance(kwh, list) else [kwh] * len(event)
        for start, value in zip(event, values, strict=True):
            if value is not None:
                readings[_same_clock(start, day)] = _fine(value)
    told = _explained(rule, readings, event, _days(vector, "event_days"))
    means = [told.mean_wh(start) for start in event]
    found = [None if mean is None else mean / FINE for mean in means]
    if "expected_baseline_kwh_per_half_hour" in vector:
        expected = vector["expected_baseline_kwh_per_half_hour"]
        yield Compared(
            "baseline, kWh", expected if isinstance(expected, list) else [expected] * len(event), found
        )
    if "expected_total_kwh" in vector:
        known = [mean for mean in found if mean is not None]
        total = sum(known) if len(known) == len(found) else None
        yield Compared("total, kWh", vector["expected_total_kwh"], total)
    if "expected_days_used" in vector:
        yield Compared("days used", vector["expected_days_used"], [day.isoformat() for day in told.days_used])


def _days_chosen(vector: Vector) -> Iterator[Compared]:
    """The days a rule looks at for an event."""
    rule = _rule(vector, presets.OCTOPUS_SAVING_SESSION)
    found = baselines.candidate_days(rule, _event_day(vector), _days(vector, "event_days"))
    yield Compared("days", vector["expected_days"], [day.isoformat() for day in found])


def _in_day(vector: Vector) -> Iterator[Compared]:
    """An adjustment by a window before the event, from unadjusted and metered figures."""
    rule = _rule(vector, presets.DFS_2022, suits=_adjusts)
    usual, metered = vector["unadjusted_ref_window_kwh"], vector["metered_ref_window_kwh"]
    if len(usual) != rule.window_half_hours:
        rule = rule.with_parameters({"window_half_hours": len(usual)})
    event = _event(vector, count=len(vector["unadjusted_event_kwh"]))
    window = baselines.window_half_hours(rule, event)
    level = dict(zip([*window, *event], [*usual, *vector["unadjusted_event_kwh"]], strict=True))
    day = local_half_hour(event[0])[0]
    readings = {
        _same_clock(start, day - timedelta(days=back)): _fine(kwh)
        for back in range(1, rule.look_back_days + 1)
        for start, kwh in level.items()
    }
    readings |= {start: _fine(kwh) for start, kwh in zip(window, metered, strict=True)}
    told = _explained(rule, readings, event)
    ratio, added = told.adjustment_ratio, told.adjustment_wh
    adjusted = [
        (told.mean_wh(start) or Fraction(0)) * (1 if ratio is None else ratio) + (added or 0)
        for start in event
    ]
    if "expected_ida" in vector:
        yield Compared("adjustment", vector["expected_ida"], added / FINE if added is not None else ratio)
    if "expected_adjusted_baseline" in vector:
        yield Compared(
            "adjusted baseline, kWh", vector["expected_adjusted_baseline"], [each / FINE for each in adjusted]
        )
    if "expected_delivered" in vector:
        sign = _sign(vector)
        pairs = zip(adjusted, vector["metered_event_kwh"], strict=True)
        delivered = [sign * (each - _fine(kwh)) / FINE for each, kwh in pairs]
        yield Compared("delivered, kWh", vector["expected_delivered"], delivered)


def _volume(vector: Vector) -> Iterator[Compared]:
    """Baseline less metered, in MWh or kWh as written, and what it is paid."""
    baseline, metered = (_listed(vector[name]) for name in ("baseline", "metered"))
    delivery = measure(
        baseline_wh=np.array([[_fine(value) for value in baseline]]),
        has_baseline=np.ones((1, len(baseline)), np.bool_),
        metered_wh=np.array([[_fine(value) for value in metered]]),
        has_reading=np.ones((1, len(metered)), np.bool_),
        direction="turn_up" if _sign(vector) < 0 else "turn_down",
        instructed_half_hour_wh=np.array([2**40]),
        takes_part=np.ones(1, np.bool_),
        rule=DeliveryRule(),
    )
    delivered = [Fraction(value, FINE) for value in delivery.half_hour_wh[0].tolist()]
    if "expected_delivered" in vector:
        expected = vector["expected_delivered"]
        yield Compared("delivered", expected, delivered if isinstance(expected, list) else sum(delivered))
    if "expected_payment_gbp" in vector:
        paid = Fraction(int(delivery.paid_wh[0]), FINE) * MILLION
        yield Compared("payment, GBP", vector["expected_payment_gbp"], _pounds(vector, round(paid)))


def _units(vector: Vector) -> Iterator[Compared]:
    """So many units of so much power for so many hours at a price."""
    watts = Fraction(str(vector["units"])) * Fraction(str(vector["baseline_kw_per_unit"])) * 1000
    if "expected_mw" in vector:
        yield Compared("power, MW", vector["expected_mw"], watts / MILLION)
    if "expected_gbp" in vector:
        energy = watts * Fraction(str(vector["hours"]))
        yield Compared("payment, GBP", vector["expected_gbp"], _pounds(vector, round(energy)))


def _factors(vector: Vector) -> Iterator[Compared]:
    """Points of a pay curve."""
    curve = _curve(vector)
    for share, paid in vector["points"]:
        yield Compared(f"pay at {share}", paid, curve.factor(Fraction(str(share))))


def _shift(vector: Vector) -> Iterator[Compared]:
    """Adjustments in kW from the power of usual days and of the event's."""
    rule = _rule(vector, presets.US_FLEXIBILITY_AGREEMENT, suits=_adjusts)
    event = _event(vector, count=1)
    window = baselines.window_half_hours(rule, event)
    day = local_half_hour(event[0])[0]
    for number, case in enumerate(_cases(vector)):
        usual, then = _fine(case["baseline_kw"]), _fine(case["event_day_kw"])
        readings = {
            _same_clock(start, day - timedelta(days=back)): usual
            for back in range(1, rule.look_back_days + 1)
            for start in (*window, *event)
        }
        told = _explained(rule, readings | dict.fromkeys(window, then), event)
        moved = Fraction(0) if told.adjustment_wh is None else told.adjustment_wh
        if told.adjustment_ratio is not None:
            moved = usual * (told.adjustment_ratio - 1)
        yield Compared(f"adjustment {number + 1}, kW", case["expected_adjustment_kw"], moved / FINE)


def _rolling(vector: Vector) -> Iterator[Compared]:
    """Steps of a rolling baseline, each from the level before it and a day's reading."""
    rule = _rule(vector, presets.ISO_NE_90_10, suits=lambda rule: rule.method is Method.ROLLING)
    kinds = [replace(kind, minimum=1) for kind in rule.day_types]
    rule = rule.with_parameters(
        {"day_types": kinds, "seed_days": 1, "adjustment": "none", "window_half_hours": 0}
    )
    event = _event(vector, count=1)
    day = local_half_hour(event[0])[0]
    newer, older = baselines.candidate_days(rule, day)[:2]
    for number, case in enumerate(_cases(vector)):
        readings = {
            _same_clock(event[0], older): _fine(case["B_prev"]),
            _same_clock(event[0], newer): _fine(case["M"]),
        }
        found = _worked(rule, readings, event)
        level = Fraction(int(found.wh[0, 0]), FINE) if found.present[0, 0] else None
        yield Compared(f"level {number + 1}", case["expected"], level)


def _split(vector: Vector) -> Iterator[Compared]:
    """A pool split by weights with the largest remainder."""
    yield Compared("parts", vector["expected_pence"], split_mp(vector["pool_pence"], vector["weights"]))


def _postings(vector: Vector) -> Iterator[Compared]:
    """What each of several runs posts after the ones before it."""
    posted, found = 0, []
    for amount in vector["sequence_pence"]:
        (moved,) = still_to_post_mp({"leg": amount}, {"leg": posted}).values()  # type: ignore[dict-item]
        found.append(moved)
        posted += moved
    yield Compared("postings", vector["expected_postings"], found)


EXAMPLES: Final[Sequence[tuple[frozenset[str], Callable[[Vector], Iterator[Compared]]]]] = (
    (frozenset({"history_days", "history_kwh_per_half_hour", "event"}), _mean_of_days),
    (frozenset({"expected_days", "event"}), _days_chosen),
    (frozenset({"unadjusted_ref_window_kwh", "metered_ref_window_kwh", "unadjusted_event_kwh"}), _in_day),
    (frozenset({"units", "baseline_kw_per_unit", "hours"}), _units),
    (frozenset({"points"}), _factors),
    (frozenset({"pool_pence", "weights", "expected_pence"}), _split),
    (frozenset({"sequence_pence", "expected_postings"}), _postings),
    (frozenset({"baseline", "metered"}), _volume),
    (frozenset({"B_prev", "M", "expected"}), _rolling),
    (frozenset({"baseline_kw", "event_day_kw", "expected_adjustment_kw"}), _shift),
    (frozenset({"cases"}), lambda vector: _by_cases(vector)),
)


def _by_cases(vector: Vector) -> Iterator[Compared]:
    """Several cases of one example: told apart by the fields of the first."""
    first = vector["cases"][0]
    for fields, work in EXAMPLES:
        if fields <= {**vector, **first}.keys() and "cases" not in fields:
            if work in (_rolling, _shift):
                yield from work(vector)
            else:
                for case in vector["cases"]:
                    yield from work({**vector, **case})
            return
    raise ValueError(f"no example has these fields: {', '.join(sorted(first))}")


@dataclass(frozen=True, slots=True)
class _Cube:
    days: Sequence[date]
    net_wh: Wh
    present: Mask


def _worked(
    rule: BaselineRule,
    readings: Mapping[datetime, int],
    event: Sequence[datetime],
    event_days: frozenset[date] = frozenset(),
) -> baselines.Baseline:
    days = baselines.days_needed(rule, event, [event_days])
    shape = (1, len(days), MAX_PERIODS)
    cube = _Cube(days, np.zeros(shape, np.int64), np.zeros(shape, np.bool_))
    row_of = {day: row for row, day in enumerate(days)}
    for start, value in readings.items():
        day, half_hour = local_half_hour(start)
        slot = slot_of(half_hour, day)
        if day in row_of and slot is not None:
            cube.net_wh[0, row_of[day], slot], cube.present[0, row_of[day], slot] = value, True
    return baselines.baseline(rule, cube, event, [event_days])


def _explained(
    rule: BaselineRule,
    readings: Mapping[datetime, int],
    event: Sequence[datetime],
    event_days: frozenset[date] = frozenset(),
) -> Explanation:
    return explain(_worked(rule, readings, event, event_days), 0)


def _rule(
    vector: Vector, usual: BaselineRule, *, suits: Callable[[BaselineRule], bool] = lambda rule: True
) -> BaselineRule:
    """The preset the vector names, or means by its words and `suits`, with its `parameters`; else `usual`."""
    named = [vector[key] for key in ("preset", "baseline_rule", "rule") if vector.get(key) in PRESETS]
    words = " ".join(str(vector.get(key, "")) for key in ("id", "kind", "source")).casefold()
    meant = [rule for pattern, rule in MEANT_BY if re.search(pattern, words) and suits(rule)]
    rule = PRESETS[named[0]] if named else meant[0] if meant else usual
    parameters = vector.get("parameters")
    return rule.with_parameters(parameters) if parameters else rule


def _adjusts(rule: BaselineRule) -> bool:
    return rule.adjustment is not Adjustment.NONE


def _curve(vector: Vector) -> PayCurve:
    """A named curve, one written out, or a grace and a slope told in words as `p>=0.95`, `1-3*(...)`."""
    for key in ("curve", "pay_curve"):
        if key in vector:
            return curve_from(vector[key])
    words = f"{vector.get('id', '')} {vector.get('kind', '')} {vector.get('source', '')}"
    told = re.search(r"p\s*>=\s*([\d.]+).*?1\s*-\s*([\d.]+)\s*\*", str(vector.get("rule", "")))
    for curve in CURVES.values():
        if curve is not FLAT and re.search("2018", words):
            return curve
    if told:
        grace, slope = Decimal(told[1]), Decimal(told[2])
        nothing = (grace - 1 / slope) * 100
        return curve_from(
            {
                "name": "told",
                "title": "As the vector says",
                "points": [[str(nothing), "0"], [str(grace * 100), "100"]],
            }
        )
    return FLAT


def _cases(vector: Vector) -> Sequence[Vector]:
    cases: Sequence[Vector] = vector.get("cases", [vector])
    return cases


def _event_day(vector: Vector) -> date:
    return date.fromisoformat(re.search(r"\d{4}-\d\d-\d\d", str(vector["event"]))[0])  # type: ignore[index]


def _event(vector: Vector, *, count: int = 0) -> list[datetime]:
    """The event's half-hours: a day and `17:00 to 18:00`, UK local; a Tuesday evening where it names none."""
    text = str(vector.get("event", "2023-02-14T17:30"))
    day = date.fromisoformat((re.search(r"\d{4}-\d\d-\d\d", text) or ["2023-02-14"])[0])
    clock = re.findall(r"(\d\d):(\d\d)", text) or [("17", "30")]
    starts_at, ends_at = (
        datetime.combine(day, time(int(hour), int(minute)), LONDON) for hour, minute in (clock[0], clock[-1])
    )
    if not count:
        count = max((ends_at - starts_at) // HALF_HOUR, 1)
    return [starts_at + HALF_HOUR * n for n in range(count)]


def _same_clock(start: datetime, day: date) -> datetime:
    return start.replace(year=day.year, month=day.month, day=day.day)


def _days(vector: Vector, field: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in vector.get(field, ()))


def _sign(vector: Vector) -> int:
    return -1 if "up" in str(vector.get("direction", "")) else 1


def _fine(value: object) -> int:
    exact = Fraction(str(value)) * FINE
    if exact.denominator != 1:
        raise ValueError(f"{value} has more than six decimals")
    return exact.numerator


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _pounds(vector: Vector, sold_wh: int) -> Fraction:
    """What the energy is paid: pounds for a MWh are tenths of a penny for a kWh."""
    price = Decimal(str(vector.get("price_gbp_per_mwh", 0))) / 10
    if "price_pence_per_kwh" in vector:
        price = Decimal(str(vector["price_pence_per_kwh"]))
    owed = earned_revenue(
        Contract(price), sold_wh=sold_wh, portfolio_wh=[sold_wh], instructed_wh=[sold_wh], declared_w=0
    )
    return Fraction(owed.total_mp, 100 * MP_PER_PENNY)


def _agree(expected: Any, found: Any) -> bool:
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(_agree, expected, found))
    if expected is None or found is None or isinstance(expected, str) or isinstance(found, str):
        return bool(expected == found)
    written = Decimal(str(expected))
    exponent = written.as_tuple().exponent
    digits = max(-exponent, 0) if isinstance(exponent, int) else 0
    return abs(Fraction(found) - Fraction(written)) * 2 <= Fraction(1, 10**digits) + Fraction(1, 10**9)


__all__ = ["BaselineError", "Compared", "Outcome", "VectorsUnreadable", "read_vectors", "run_vector"]
