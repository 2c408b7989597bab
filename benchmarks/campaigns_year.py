"""A year of nightly plans at real prices: what each home saves, and what hindsight would save.

Run it as `python benchmarks/campaigns_year.py [FILE]`; FILE is a table of Octopus Agile with
`period_from_local` and `import_p_per_kwh` (by default the one beside this clone). Homes are generated: cars,
tanks and storage heaters of the founding report's figures. A night with a price missing is not planned.

Hindsight knows a whole week's prices and lets a car charge on whichever night is cheapest: a bound that no
plan made from published prices can pass. Tanks and heaters could gain by switching at no wear.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402

from campaigns import needs  # noqa: E402
from campaigns.least_cost import stepped, tank  # noqa: E402
from campaigns.least_cost.stepped import PENCE, Ints, SteppedLoads  # noqa: E402
from campaigns.least_cost.switched import least_cost_switched  # noqa: E402
from campaigns.needs import Night, Thing  # noqa: E402

HOMES = int(os.environ.get("BENCH_HOMES", "240"))
PRICES = REPOSITORY.parent / "shared" / "data" / "agile_halfhourly_2022-11_2023-12.csv.gz"
FROM, NIGHTS = date(2022, 12, 1), int(os.environ.get("BENCH_NIGHTS", "365"))
BINS_KWH = (0, 3_000, 4_500, 6_000, 8_000, 100_000)
LONDON = ZoneInfo("Europe/London")
WEEK = 7
RELAY_COST = 2 * PENCE
"""What switching a relay on wears off it (`campaigns.home_plans.switch_costs`): no money of the year's."""


def prices(path: Path) -> dict[datetime, int]:
    """Ten-thousandths of p/kWh by UTC half-hour; local times that happen twice count where both are told."""
    found: dict[datetime, int] = {}
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for row in csv.DictReader(file):
            local = datetime.strptime(row["period_from_local"], "%d/%m/%Y %H:%M").replace(tzinfo=LONDON)
            start = local.astimezone(UTC)
            if start in found:
                start = local.replace(fold=1).astimezone(UTC)
            found[start] = round(float(row["import_p_per_kwh"]) * 10_000)
    return found


class Fleet:
    """Generated homes: who has a car, a tank, a storage heater, and what each uses in a year."""

    def __init__(self, count: int) -> None:
        self.random = np.random.default_rng(2023)
        kind = self.random.choice(
            ["car", "car and tank", "tank", "heater and tank"], count, p=[0.35, 0.25, 0.3, 0.1]
        )
        self.has_car = np.isin(kind, ["car", "car and tank"])
        self.has_tank = kind != "car"
        self.has_heater = kind == "heater and tank"
        # 2,900 kWh a year is the founding report's car; cars differ, and so do nights.
        self.car_kwh_a_year = self.random.gamma(8, 2_900 / 8, count)
        self.base_kwh_a_year = self.random.gamma(6, 2_700 / 6, count)
        self.tank_wh_a_night = np.rint(self.random.uniform(4_000, 8_000, count)).astype(int)

    def car_wh_tonight(self) -> Ints:
        """Two nights in three a car needs something."""
        usual = self.car_kwh_a_year * 1_000 / 365 * 1.5
        drawn = usual * self.random.uniform(0.4, 1.6, len(usual)) * (self.random.random(len(usual)) < 2 / 3)
        return np.rint(drawn).astype(np.int64)


def add_night(
    fleet: Fleet, over: Night, price: Ints, sums: dict[str, np.ndarray]
) -> tuple[SteppedLoads, np.ndarray]:
    """Plan one night and add its costs up; the cars' loads are returned for the week's hindsight."""
    open_to = np.ones((len(fleet.has_car), len(over.starts)), np.bool_)
    car_wh = fleet.car_wh_tonight()
    who = np.nonzero(fleet.has_car)[0]
    cars = needs.cars([Thing("", 7_360, 0, {"charge_wh": int(car_wh[n])}) for n in who], over, open_to[who])
    plans = stepped.least_cost(price, cars)
    sums["planned"][who] += plans.cost
    sums["unplanned"][who] += (needs.at_once(cars) * price).sum(axis=1) * cars.step_wh
    sums["used_wh"][who] += plans.planned_wh
    cars_cost = plans.cost
    at = np.nonzero(fleet.has_tank)[0]
    cycle = {"weekly_cycle": "sunday 03:00"}
    tanks = needs.tanks(
        [Thing("", 3_000, int(fleet.tank_wh_a_night[n]), cycle) for n in at], over, open_to[at]
    )
    worn = np.full(len(at), RELAY_COST)
    heated, always = tank.least_cost_heat(price, tanks, worn), tank.always_on(price, tanks)
    best = tank.least_cost_heat(price, tanks)
    for name, told in (("planned", heated), ("hindsight", best), ("unplanned", always)):
        sums[name][at] += told.cost
    sums["used_wh"][at] += heated.taken_wh.sum(axis=1)
    by = np.nonzero(fleet.has_heater)[0]
    heaters = needs.heaters([Thing("", 2_500, 12_000, {}) for _ in by], over, open_to[by])
    charged = least_cost_switched(price, heaters, np.full(len(by), RELAY_COST))
    sums["planned"][by] += charged.cost
    sums["hindsight"][by] += stepped.least_cost(price, heaters).cost
    sums["unplanned"][by] += (needs.at_once(heaters) * price).sum(axis=1) * heaters.step_wh
    sums["used_wh"][by] += charged.planned_wh
    return cars, cars_cost


def hindsight_of(week: list[tuple[SteppedLoads, Ints]]) -> Ints:
    """Least cost of the week's need in all of its nights together."""
    loads = [cars for cars, _ in week]
    need = np.sum([stepped.wanted_steps(cars)[0] * cars.step_wh for cars in loads], axis=0)
    together = SteppedLoads(
        loads[0].step_wh,
        loads[0].least,
        loads[0].most,
        need,
        need,
        np.concatenate([cars.is_available for cars in loads], axis=1),
    )
    return stepped.least_cost(np.concatenate([price for _, price in week]), together).cost


def main() -> None:
    """Plan the year, print the table of savings by yearly use, and a line a figure."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PRICES
    write = sys.stdout.write
    if not path.exists():
        write(f"No prices at {path}: name a table of Octopus Agile. Nothing measured.\n")
        return
    known, fleet = prices(path), Fleet(HOMES)
    sums = {name: np.zeros(HOMES) for name in ("planned", "unplanned", "hindsight", "used_wh")}
    who, left_out, planned = np.nonzero(fleet.has_car)[0], [], 0
    week: list[tuple[SteppedLoads, Ints]] = []
    for number in range(NIGHTS):
        over = needs.night_of(FROM + timedelta(days=number))
        if any(start not in known for start in over.starts):
            left_out.append(over.date)
            continue
        price = np.array([known[start] for start in over.starts], np.int64)
        cars, _ = add_night(fleet, over, price, sums)
        week.append((cars, price))
        planned += 1
        if len(week) == WEEK or number == NIGHTS - 1:
            sums["hindsight"][who] += hindsight_of(week)
            week = []
    if week:
        sums["hindsight"][who] += hindsight_of(week)
    pounds = {
        name: sums[name] / PENCE / 100 * 365 / planned for name in ("planned", "unplanned", "hindsight")
    }
    saved, at_best = pounds["unplanned"] - pounds["planned"], pounds["unplanned"] - pounds["hindsight"]
    use = fleet.base_kwh_a_year + sums["used_wh"] / 1000 * 365 / planned
    told = ", ".join(str(day) for day in left_out) or "none"
    write(
        f"{HOMES} homes, {planned} nights from {FROM}, scaled to a year; nights without all prices: {told}\n"
    )
    write(
        f"{'kWh a year':>16}{'homes':>8}{'saved GBP':>12}{'hindsight':>12}{'reached':>10}{'50 to 100':>12}\n"
    )
    for low, high in pairwise(BINS_KWH):
        here = (use >= low) & (use < high)
        if here.any():
            within = ((saved[here] >= 50) & (saved[here] <= 100)).mean()
            reached = saved[here].sum() / at_best[here].sum()
            write(
                f"{f'{low:,} to {high:,}':>16}{int(here.sum()):>8}{saved[here].mean():>12.2f}"
                f"{at_best[here].mean():>12.2f}{reached:>10.0%}{within:>12.0%}\n"
            )
    within = ((saved >= 50) & (saved <= 100)).mean()
    # A household that never looks at the clock pays about the average: the milder comparison.
    average = np.mean([value for start, value in known.items() if date(2022, 12, 1) <= start.date()]) / 10_000
    flat = sums["used_wh"] / 1000 * average / 100 * 365 / planned - pounds["planned"]
    for name, value, unit in (
        ("year_saved_mean", saved.mean(), "GBP"),
        ("year_saved_median", np.median(saved), "GBP"),
        ("year_saved_hindsight_mean", at_best.mean(), "GBP"),
        ("year_saved_of_hindsight_pct", 100 * saved.sum() / at_best.sum(), "%"),
        ("year_homes_saving_50_to_100_pct", 100 * within, "%"),
        ("year_homes_saving_50_or_more_pct", 100 * (saved >= 50).mean(), "%"),
        ("year_average_price", average, "p/kWh"),
        ("year_saved_against_average_price_mean", flat.mean(), "GBP"),
        ("year_homes_saving_50_to_100_against_average_pct", 100 * ((flat >= 50) & (flat <= 100)).mean(), "%"),
    ):
        write(f"BENCH {name} {value:.1f} {unit}\n")


if __name__ == "__main__":
    main()
