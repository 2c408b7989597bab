"""Works a statement out again from the data in its own file: plain Python, no database, no other package.

`python verifying.py FILE` says what does not fit and exits with 1; `manage.py verify_statement FILE` is the
same. The hash finds any edit; the sums find one whose hash was made anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FORMAT = "opendsr.statement/1"
# A regression is fitted in floating point and kept to a millionth of a Wh: a half may go either way.
HALF_A_WH = Fraction(1, 2) + Fraction(1, 100_000)
HALF_HOUR = 1_800
METHODS = {"mean", "rolling", "regression", "zero", "profile"}


class NotAStatement(ValueError):
    """The file is no statement of a known format."""


def verify_file(path: Path) -> list[str]:
    """Everything in the file that does not fit, in words; an empty list when all of it does."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NotAStatement(f"{path} cannot be read: {error}") from error
    return verify(data)


def verify(data: Any) -> list[str]:
    """Everything in the statement that does not fit; raises NotAStatement for something else."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise NotAStatement(f"this is not a statement in the format {FORMAT}")
    try:
        return [*_hash(data), *_events(data), *_total(data)]
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, AttributeError) as error:
        return [f"the file is damaged: {type(error).__name__} {error}"]


def content_sha256(data: Mapping[str, Any]) -> str:
    """SHA-256 of everything but `sha256` itself, as JSON with sorted keys and no spaces."""
    rest = {key: value for key, value in data.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def half_even(value: Fraction) -> int:
    """The nearest whole number, a half to the even one."""
    return round(value)


def _hash(data: Mapping[str, Any]) -> Iterator[str]:
    if data.get("sha256") != content_sha256(data):
        yield "sha256: the file was changed after it was written"


def _events(data: Mapping[str, Any]) -> Iterator[str]:
    for event in data["events"]:
        for problem in _event(event):
            yield f"{event['campaign']} {event['starts_at']}: {problem}"


def _event(event: Mapping[str, Any]) -> Iterator[str]:
    yield from _baseline(event)
    yield from _delivery(event)
    yield from _revenue(event)
    yield from _shares(event)


def _baseline(event: Mapping[str, Any]) -> Iterator[str]:
    """What the days used give, the adjustment from its window, rounded once."""
    rule, kept = event["baseline_rule"], event["baseline"]
    if kept["method"] not in METHODS or kept["rule"] != rule["name"] or kept["method"] != rule["method"]:
        yield f"a baseline by {kept['method']} cannot be worked out from a statement"
        return
    means: dict[str, Fraction | None] = {}
    for part in kept["parts"]:
        for column, start in enumerate(part["starts"]):
            values = [wh[column] for _, wh in part["used"] if wh[column] is not None]
            enough = bool(values) and len(values) >= part["minimum"]
            means[start] = _level(rule, values) if enough else None
        if rule["method"] == "regression" and part.get("warmth"):
            means.update(_regression(part))
    window = [(wh, means.get(start)) for start, wh, is_counted in kept["window"] if is_counted]
    if any(wh is None or mean is None for wh, mean in window):
        yield "the adjustment counts a half-hour that has no reading or no mean"
        return
    used = sum((Fraction(wh) for wh, _ in window), Fraction(0))
    usual = sum((mean for _, mean in window if mean is not None), Fraction(0))
    is_ratio = rule["adjustment"] == "ratio"
    moved = Fraction(is_ratio)
    if kept["window"]:
        moved = _ratio(rule, used, usual) if is_ratio else _shift(rule, used, usual, max(len(window), 1))
    told = kept["adjustment_ratio" if is_ratio else "adjustment_wh"]
    if told is not None and moved != Fraction(told):
        yield f"the adjustment is {moved}, not {told}"
    for each in event["half_hours"]:
        if rule["method"] == "profile":
            if each["baseline_wh"] not in _profiles(rule, event["assets"], each["starts_at"]):
                yield f"the baseline of {each['starts_at']} is in no profile of the rule"
            continue
        mean = Fraction(0) if rule["method"] == "zero" else means.get(each["starts_at"])
        worked = None if mean is None else half_even(mean * moved if is_ratio else mean + moved)
        is_fitted = rule["method"] == "regression" and mean is not None and each["baseline_wh"] is not None
        if is_fitted and mean is not None and abs(mean - each["baseline_wh"]) <= HALF_A_WH:
            continue
        if worked != each["baseline_wh"]:
            yield f"the baseline of {each['starts_at']} is {worked} Wh, not {each['baseline_wh']}"


def _profiles(rule: Mapping[str, Any], assets: int, starts_at: str) -> set[int]:
    """What the rule's profiles give at the local time, by kind of day."""
    at = datetime.fromisoformat(starts_at).astimezone(ZoneInfo("Europe/London"))
    place = at.hour * 2 + at.minute // 30
    return {half_even(Fraction(watts[place] * assets, 2)) for _, watts in rule["profile_w"]}


def _level(rule: Mapping[str, Any], values: list[int]) -> Fraction:
    """The mean of the days' readings (newest first), or for a rolling rule its level to a millionth."""
    if rule["method"] != "rolling":
        return Fraction(sum(values), len(values))
    oldest_first = values[::-1]
    seeds, later = oldest_first[: rule["seed_days"]], oldest_first[rule["seed_days"] :]
    level = sum(seeds) / len(seeds)
    for wh in later:
        level += (wh - level) * (rule["newest_weight_pct"] / 100)
    return Fraction(round(level * 1_000_000), 1_000_000)


def _regression(part: Mapping[str, Any]) -> dict[str, Fraction | None]:
    """A level for each half-hour and one slope against the degrees below the base, by least squares: it is
    fitted over the event's half-hours.
    """
    fits = []
    for column, _ in enumerate(part["starts"]):
        pairs = [
            (Fraction(part["warmth_used"][day][column]), Fraction(wh[column]))
            for day, wh in part["used"]
            if wh[column] is not None and part["warmth_used"][day][column] is not None
        ]
        fits.append(pairs)
    together = spread = Fraction(0)
    for pairs in fits[: part["event_count"] or len(fits)]:
        if pairs:
            x, y = _sum(x for x, _ in pairs), _sum(y for _, y in pairs)
            together += _sum(x * y for x, y in pairs) - x * y / len(pairs)
            spread += _sum(x * x for x, _ in pairs) - x * x / len(pairs)
    slope = together / spread if spread > Fraction(1, 10**9) else Fraction(0)
    levels: dict[str, Fraction | None] = {}
    for start, pairs, own in zip(part["starts"], fits, part["warmth"], strict=True):
        if len(pairs) < max(part["minimum"], 1):
            levels[start] = None
            continue
        usual_x = _sum(x for x, _ in pairs) / len(pairs)
        usual_y = _sum(y for _, y in pairs) / len(pairs)
        levels[start] = usual_y + slope * ((usual_x if own is None else own) - usual_x)
    return levels


def _sum(numbers: Iterable[Fraction]) -> Fraction:
    return sum(numbers, Fraction(0))


def _shift(rule: Mapping[str, Any], used: Fraction, usual: Fraction, count: int) -> Fraction:
    moved, size = (used - usual) / count, abs(usual) / count
    if rule["cap_pct"] is not None:
        moved = min(moved, Fraction(rule["cap_pct"] - 100, 100) * size)
    if rule["floor_pct"] is not None:
        moved = max(moved, Fraction(rule["floor_pct"] - 100, 100) * size)
    return max(moved, Fraction(0)) if rule["adjustment"] == "additive_up_only" else moved


def _ratio(rule: Mapping[str, Any], used: Fraction, usual: Fraction) -> Fraction:
    if usual <= 0:
        return Fraction(1)
    ratio = max(used, Fraction(0)) / usual
    if rule["cap_pct"] is not None:
        ratio = min(ratio, Fraction(rule["cap_pct"], 100))
    if rule["floor_pct"] is not None:
        ratio = max(ratio, Fraction(rule["floor_pct"], 100))
    return ratio


def _delivery(event: Mapping[str, Any]) -> Iterator[str]:
    sign = -1 if event["direction"] == "turn_up" else 1
    half_hours = event["half_hours"]
    for device in event.get("devices", ()):
        sure = [sure for _, sure in device["half_hours"]]
        if len(sure) != len(half_hours) or not all(0 <= each <= 100 for each in sure):
            yield f"what {device['name']} drew is not told of each half-hour with its confidence"
    counted, asked = [], list(_asked(event))
    if sum(asked) != event["instructed_wh"]:
        yield f"instructed in all is {sum(asked)} Wh, not {event['instructed_wh']}"
    for each, limit in zip(half_hours, asked, strict=True):
        known = each["baseline_wh"] is not None and each["metered_wh"] is not None
        worked = sign * (each["baseline_wh"] - each["metered_wh"]) if known else None
        if worked is not None and _covered(each) < HALF_HOUR:
            worked = max(-limit, min(worked, limit))
        if worked != each["delivered_wh"]:
            yield f"delivered in {each['starts_at']} is {worked} Wh, not {each['delivered_wh']}"
        counted.append(worked or 0)
    if sum(counted) != event["delivered_wh"]:
        yield f"delivered in all is {sum(counted)} Wh, not {event['delivered_wh']}"
    if event["cap"] == "instructed":
        counted = [min(wh, limit) for wh, limit in zip(counted, asked, strict=True)]
    if event["floor"] == "half_hour":
        counted = [max(wh, 0) for wh in counted]
    sold = max(sum(counted), 0) if event["takes_part"] else 0
    if sold != event["sold_wh"]:
        yield f"sold is {sold} Wh, not {event['sold_wh']}"
    paid = floor(sold * _keeps(event)) if event["standing"] == "overridden" else sold
    if paid != event["paid_wh"]:
        yield f"paid is {paid} Wh, not {event['paid_wh']}"


def _covered(half_hour: Mapping[str, Any]) -> int:
    """How many seconds of the half-hour are the event's; until settlement-3, and without a word, all."""
    seconds: int = half_hour.get("covered_seconds", HALF_HOUR)
    return seconds


def _asked(event: Mapping[str, Any]) -> Iterator[int]:
    """What was instructed in each half-hour; an event that covers some in part says what a whole one is."""
    half_hours = event["half_hours"]
    whole = event.get("instructed_half_hour_wh", event["instructed_wh"] // len(half_hours))
    for each in half_hours:
        yield whole * _covered(each) // HALF_HOUR


def _keeps(event: Mapping[str, Any]) -> Fraction:
    if event["override_cost"] == "no_payment":
        return Fraction(0)
    if event["override_cost"] == "reduced":
        return 1 - Fraction(event["override_reduced_by_pct"]) / 100
    return Fraction(1)


def _revenue(event: Mapping[str, Any]) -> Iterator[str]:
    told = event["revenue"]
    price = Fraction(told["pence_per_kwh"])
    portfolio = [(wh, asked) for _, wh, asked in told["portfolio"]]
    if told["basis"] == "portfolio":
        capped = [min(max(wh, 0), asked) for wh, asked in portfolio]
        if sum(capped) != told["sold_wh"]:
            yield f"all homes together sold {sum(capped)} Wh, not {told['sold_wh']}"
        exact = sum(
            (
                wh * price * _factor(told["pay_curve"], delivered, asked)
                for wh, (delivered, asked) in zip(capped, portfolio, strict=True)
            ),
            Fraction(0),
        )
    else:
        whole = sum(wh for wh, _ in portfolio), sum(asked for _, asked in portfolio)
        exact = told["sold_wh"] * price * _factor(told["pay_curve"], *whole)
    if half_even(exact) != told["utilisation_mp"]:
        yield f"utilisation is {half_even(exact)} mp, not {told['utilisation_mp']}"
    hours = Fraction(sum(_covered(each) for each in event["half_hours"]), 3_600)
    ready = half_even(told["declared_w"] * hours * Fraction(told["availability_pence_per_kw_hour"]))
    if ready != told["availability_mp"]:
        yield f"availability is {ready} mp, not {told['availability_mp']}"
    if told["utilisation_mp"] + told["availability_mp"] != told["total_mp"]:
        yield "the revenue is not the sum of utilisation and availability"


def _factor(curve: Mapping[str, Any], delivered: int, asked: int) -> Fraction:
    pct = Fraction(max(delivered, 0), asked) * 100 if asked > 0 else Fraction(100)
    points = [(Fraction(x), Fraction(y)) for x, y in curve["points"]]
    left, low = points[0]
    if pct < left:
        return Fraction(0)
    for right, high in points[1:]:
        if pct < right:
            return (low + (pct - left) / (right - left) * (high - low)) / 100
        left, low = right, high
    return low / 100


def _shares(event: Mapping[str, Any]) -> Iterator[str]:
    policy = event["policy"]
    revenue = event["revenue"]["total_mp"]
    coop = floor(revenue * Fraction(event["coop_pct"]) / 100)
    held = sum(share["pool_mp"] for share in event["shares"] if not share["total_weight"])
    fund = floor(revenue * Fraction(policy["fund_pct"]) / 100) + held
    for name, worked in (("coop", coop), ("fund", fund), ("members", revenue - coop - fund)):
        if worked != event[f"{name}_mp"]:
            yield f"the {name} share is {worked} mp, not {event[f'{name}_mp']}"
    if _coop_pct(policy, event["starts_at"]) != Fraction(event["coop_pct"]):
        yield "the co-op's percentage is not the policy's"
    pools = {share["by"]: share["pool_mp"] for share in event["shares"]}
    under = _whole_home(event)
    if pools != _pools(policy, event["members_mp"] + held, event["shares"], under):
        yield "the parts of the members' pool are not what the policy says"
    if held and _keeps(event) == 1 and not event.get("holds_unearned"):
        yield f"{held} mp are held for the fund, though an override costs nothing"
    for share in event["shares"]:
        weight, total = share["weight"], share["total_weight"]
        least = share["pool_mp"] * weight // total if total else 0
        spare = bool(total and share["pool_mp"] * weight % total)
        if not least <= share["amount_mp"] <= least + spare:
            yield f"the share by {share['by']} is {least} mp or one more, not {share['amount_mp']}"
        if event["standing"] == "held_out":
            if weight * (_weighs_times(event) + event["hold_out"]["held_out"]) != total:
                yield f"a held-out home's weight by {share['by']} is the average of all homes, not {weight}"
        elif share["by"] == "wh" and weight not in (
            event["paid_wh"] * event["counts_times"] * _weighs_times(event),
            0,
        ):
            yield f"the weight of what was delivered is not {weight}"
    earned = sum(share["amount_mp"] for share in event["shares"])
    if earned != event["earned_mp"]:
        yield f"earned is {earned} mp, not {event['earned_mp']}"
    gift = floor(earned * Fraction(event["donates_pct"]) / 100)
    if gift != event["gift_mp"]:
        yield f"the gift is {gift} mp, not {event['gift_mp']}"


def _coop_pct(policy: Mapping[str, Any], starts_at: str) -> Fraction:
    """By the UTC day of the event's start, which differs from the local one only after 23:00 in summer."""
    pct = Fraction(policy["coop_pct"])
    for day, step in policy["steps"]:
        if day <= starts_at[:10]:
            pct = Fraction(step)
    return pct


def _whole_home(event: Mapping[str, Any]) -> int:
    """Return what a home that did not override weighs in the floor: until settlement-2, as any other, 1."""
    if event["method"] in ("settlement-1", "settlement-2"):
        return 1
    return _keeps(event).denominator * _weighs_times(event)


def _weighs_times(event: Mapping[str, Any]) -> int:
    """What every weight is multiplied by where homes are held out: by those that share the money beside them;
    statements from before there were hold-outs do not say.
    """
    hold_out = event.get("hold_out")
    return max(hold_out["homes"], 1) if hold_out else 1


def _pools(
    policy: Mapping[str, Any], members: int, shares: list[Mapping[str, Any]], under: int
) -> dict[str, int]:
    """What the policy makes of the members' pool; a whole home weighs `under` in the floor."""
    pools: dict[str, int] = {}
    rest = members
    if policy["floor_mp"]:
        homes = next((share["total_weight"] for share in shares if share["by"] == "floor"), 0)
        pools["floor"] = min(members, policy["floor_mp"] * homes // under) if homes else 0
        rest -= pools["floor"]
    order = [share["by"] for share in shares if share["by"] != "floor"]
    weights = [Fraction(policy["split"][by]) for by in order]
    exact = [rest * weight / sum(weights) for weight in weights]
    parts = [floor(value) for value in exact]
    left = rest - sum(parts)
    by_rest = sorted(range(len(parts)), key=lambda i: (-(exact[i] - parts[i]), i))
    for i in by_rest[:left]:
        parts[i] += 1
    pools.update(zip(order, parts, strict=True))
    return pools


def _total(data: Mapping[str, Any]) -> Iterator[str]:
    total = data["total"]
    earned = sum(event["earned_mp"] - event["gift_mp"] for event in data["events"])
    if earned != total["earned_mp"]:
        yield f"the events earn {earned} mp together, not {total['earned_mp']}"
    previous = sum(event["previous_mp"] for event in data["events"])
    if previous != total["previous_mp"]:
        yield f"{previous} mp were posted before, not {total['previous_mp']}"
    if total["earned_mp"] - total["previous_mp"] != total["posted_mp"]:
        yield "what was posted is not what was earned less what was posted before"


def main(arguments: list[str]) -> int:
    """Verify the files named; 0 when all of them fit."""
    write = sys.stdout.write
    if not arguments:
        write("usage: verifying.py STATEMENT.json ...\n")
        return 2
    failed = 0
    for name in arguments:
        try:
            problems = verify_file(Path(name))
        except NotAStatement as error:
            problems = [str(error)]
        failed += bool(problems)
        write(f"{name}: {'everything fits' if not problems else 'does NOT fit'}\n")
        for problem in problems:
            write(f"  {problem}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
