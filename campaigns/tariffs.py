"""Tariffs: made by hand or followed at Octopus, put on homes, asked for politely, and read as arrays.

Prices of the next day come out between 16:00 and 20:00 in London. In that time a tariff whose tomorrow is not
known to the last half-hour is asked for once in ten minutes; where they are late, once an hour until the next
noon; at other times once in six hours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np
from django.db import connection, transaction
from django.db.models import Max

from campaigns.least_cost.stepped import Bools, Ints
from campaigns.models import HomeTariff, Tariff, TariffBand, TariffRate
from campaigns.octopus import Client, OctopusRefused, RatesConflict
from members.models import Occupancy
from metering.adapters import rate_files
from metering.adapters.formats import Reject
from metering.models import HalfHourlyRate
from metering.slots import start_of
from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid, NotFound
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import LONDON, civil_date, day_interval

CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,60}")
SCALE: Final = 10_000
PUBLISHED_FROM, PUBLISHED_TO = time(16), time(20)
WHEN_DUE, WHEN_LATE, OTHERWISE = timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6)
LATE_TO: Final = time(12)
"""A night ends at noon: later there is nothing left to plan by its prices."""
AHEAD: Final = timedelta(days=2)
MOST_PENCE: Final = 1_000
MOST_DEMAND_PENCE: Final = 100_000
DEMAND_COLUMN: Final = "demand_charge_gbp_per_kw"
"""A month, on the highest half-hour."""

PUT: Final = """
    INSERT INTO campaigns_tariffrate AS held (tariff_id, starts_at, pence_per_kwh, known_at)
    SELECT %s, starts_at, value, %s FROM unnest(%s::timestamptz[], %s::numeric[]) AS told (starts_at, value)
    ON CONFLICT (tariff_id, starts_at) DO UPDATE
    SET pence_per_kwh = excluded.pence_per_kwh, known_at = excluded.known_at
    WHERE held.pence_per_kwh <> excluded.pence_per_kwh AND held.known_at <= excluded.known_at
"""


class TariffNotFound(NotFound):
    """There is no such tariff."""

    tariff: str


class BadTariff(Invalid):
    """Bands, a price or a time that make no tariff."""

    field: str
    given: str
    expected: str


@transaction.atomic
def set_bands(
    *,
    code: str,
    name: str,
    bands: Mapping[time, Decimal],
    at: datetime,
    by: str,
    demand_pence_per_kw: int | None = None,
) -> Tariff:
    """Make or change a tariff given by times of the London day; the first band is at midnight.

    A demand charge that is not given stays as it is, none at first.
    """
    if time(0) not in bands:
        raise BadTariff(field="bands", given="no band at 00:00", expected="a price from 00:00 on")
    for from_time, pence in bands.items():
        if from_time.minute % 30 or from_time.second or from_time.microsecond:
            raise BadTariff(field="bands", given=f"{from_time}", expected="times on the hour or half-hour")
        if not pence.is_finite() or abs(pence) > MOST_PENCE:
            raise BadTariff(field="bands", given=f"{pence}", expected="pence per kWh, between ±1,000")
    _ensure_code(code)
    told: dict[str, str | int] = {"name": name, "product_code": ""}
    if demand_pence_per_kw is not None:
        _ensure_charge(demand_pence_per_kw)
        told["demand_pence_per_kw"] = demand_pence_per_kw
    tariff, _ = Tariff.objects.update_or_create(code=code, defaults=told)
    tariff.bands.all().delete()
    TariffBand.objects.bulk_create(
        TariffBand(tariff=tariff, from_time=from_time, pence_per_kwh=pence)
        for from_time, pence in sorted(bands.items())
    )
    audit.record(at=at, actor=by, verb="tariff.set", target=f"tariff:{code}", detail={"bands": len(bands)})
    return tariff


@transaction.atomic
def follow(*, code: str, name: str, product_code: str, at: datetime, by: str) -> Tariff:
    """Have a tariff's half-hours fetched from Octopus from now on."""
    _ensure_code(code)
    tariff, _ = Tariff.objects.update_or_create(
        code=code, defaults={"name": name, "product_code": product_code}
    )
    tariff.bands.all().delete()  # or they would go before what is fetched
    audit.record(at=at, actor=by, verb="tariff.followed", target=f"tariff:{code}", detail={})
    return tariff


@dataclass(frozen=True, slots=True)
class FromFile:
    """Half-hours stored, and rows refused, each with its line, field, value and reason."""

    stored: int
    rejects: tuple[Reject, ...]


@transaction.atomic
def from_file(*, code: str, name: str, file: Path, at: datetime, by: str) -> FromFile:
    """A tariff's half-hours from a file, in any form that `import_rates` reads; raises RatesUnusable.

    A column DEMAND_COLUMN with one value in all of it is its demand charge in GBP/kW a month; without the
    column the charge stays as it is. Bands that the tariff had give way to the file.
    """
    table = rate_files.open_table(file, name=file.name)
    found, refused = rate_files.read(table)
    pence = demand_pence_of(table)
    rates = {
        start_of(rate.slot): rate.value for rate in found if rate.kind == HalfHourlyRate.Kind.IMPORT_PRICE
    }
    _ensure_code(code)
    tariff, _ = Tariff.objects.get_or_create(code=code, defaults={"name": name})
    if pence is not None:
        set_demand_charge(code=code, pence_per_kw=pence, at=at, by=by)
    stored = store_rates(tariff=tariff, rates=rates, at=at)
    if rates:
        tariff.bands.all().delete()
    audit.record(at=at, actor=by, verb="tariff.filed", target=f"tariff:{code}", detail={"stored": stored})
    return FromFile(stored, tuple(refused))


@transaction.atomic
def set_demand_charge(*, code: str, pence_per_kw: int, at: datetime, by: str) -> Tariff:
    """What a month's highest half-hour costs a kW from the next plan on, 0 nothing. Raises TariffNotFound."""
    _ensure_charge(pence_per_kw)
    tariff = Tariff.objects.select_for_update().filter(pk=code).first()
    if tariff is None:
        raise TariffNotFound(tariff=code[:60])
    detail = {"demand_pence_per_kw": pence_per_kw, "before": tariff.demand_pence_per_kw}
    tariff.demand_pence_per_kw = pence_per_kw
    tariff.save(update_fields=["demand_pence_per_kw"])
    audit.record(at=at, actor=by, verb="tariff.demand_charge", target=f"tariff:{code}", detail=detail)
    return tariff


def demand_pence(pounds: str) -> int:
    """A charge in GBP/kW a month as whole pence; raises BadTariff."""
    try:
        told = Decimal(pounds.strip())
    except InvalidOperation:
        told = Decimal("NaN")
    # The bound first: what is far beyond it cannot even be multiplied.
    pence = told * 100 if told.is_finite() and 0 <= told <= MOST_DEMAND_PENCE else Decimal("NaN")
    if not pence.is_finite() or pence != int(pence) or pence > MOST_DEMAND_PENCE:
        raise BadTariff(
            field=DEMAND_COLUMN, given=pounds[:20], expected="pounds a kW, such as 6.50, to 1,000"
        )
    return int(pence)


def demand_pence_of(table: rate_files.Table) -> int | None:
    """The demand charge that a file tells, in pence; None without the column. Raises BadTariff."""
    if DEMAND_COLUMN not in table.header:
        return None
    place = table.header.index(DEMAND_COLUMN)
    told = {fields[place].strip() for _, fields in table.rows if place < len(fields)} - {""}
    if len(told) > 1:
        raise BadTariff(
            field=DEMAND_COLUMN,
            given=", ".join(sorted(told))[:60],
            expected="one charge in the whole file: make a tariff of each",
        )
    return demand_pence(told.pop()) if told else 0


@transaction.atomic
def put_on(*, occupancy: Occupancy, code: str, at: datetime, by: str) -> HomeTariff:
    """The household's tariff from `at` on; the one before ends there. Raises TariffNotFound."""
    tariff = Tariff.objects.filter(pk=code).first() if CODE.fullmatch(code) else None
    if tariff is None:
        raise TariffNotFound(tariff=code[:60])
    Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    current = HomeTariff.objects.filter(occupancy=occupancy, ends_at=None).first()
    if current is not None and current.tariff_id == code:
        return current
    if current is not None and current.starts_at >= at:
        current.delete()
    elif current is not None:
        current.ends_at = at
        current.save(update_fields=["ends_at"])
    detail = {"tariff": code, "before": current.tariff_id if current else ""}
    audit.record(at=at, actor=by, verb="tariff.put_on", target=f"occupancy:{occupancy.pk}", detail=detail)
    return HomeTariff.objects.create(occupancy=occupancy, tariff=tariff, starts_at=at)


def store_rates(*, tariff: Tariff, rates: Mapping[datetime, Decimal], at: datetime) -> int:
    """Keep rates by UTC half-hour; how many were new or others than before."""
    if not rates:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PUT, [tariff.pk, at, list(rates), list(rates.values())])
        return int(cursor.rowcount)


def is_time_to_ask(*, known_until: datetime | None, asked_at: datetime | None, at: datetime) -> bool:
    """Whether Octopus may be asked again: never when the next London day is known to its evening.

    `known_until` is the first half-hour from now on that is not known.
    """
    local = at.astimezone(LONDON)
    is_due = PUBLISHED_FROM <= local.time() < PUBLISHED_TO
    is_late = local.time() >= PUBLISHED_TO or local.time() < LATE_TO
    wanted = civil_date(at) + timedelta(days=1 if local.time() >= PUBLISHED_FROM else 0)
    # A day's prices are published up to 23:00 in London.
    if known_until is not None and known_until >= day_interval(wanted).ends_at - 2 * HALF_HOUR:
        return False
    pause = WHEN_DUE if is_due else WHEN_LATE if is_late else OTHERWISE
    return asked_at is None or at - asked_at >= pause


@dataclass(frozen=True, slots=True)
class Fetched:
    """Half-hours stored by tariff, and what went wrong by tariff."""

    stored: Mapping[str, int]
    problems: Mapping[str, str]


def fetch_due(*, client: Client, at: datetime) -> Fetched:
    """Ask for every followed tariff whose time it is; one that fails does not stop the others.

    The time of asking is kept before the request, so that a service that fails is not asked the more.
    """
    stored: dict[str, int] = {}
    problems: dict[str, str] = {}
    followed = Tariff.objects.exclude(product_code="").annotate(known_to=Max("rates__starts_at"))
    for tariff in followed.order_by("code"):
        known_until = tariff.known_to + HALF_HOUR if tariff.known_to else None
        whole_until = None if known_until is None else min(known_until, _first_gap(tariff, at))
        if not is_time_to_ask(known_until=whole_until, asked_at=tariff.asked_at, at=at):
            continue
        Tariff.objects.filter(pk=tariff.pk).update(asked_at=at)
        today = day_interval(civil_date(at)).starts_at
        over = Interval(min(max(known_until or today, today - AHEAD), at), today + AHEAD)
        try:
            rates = client.unit_rates(tariff.product_code, tariff.code, over)
        except (OctopusRefused, RatesConflict) as error:
            problems[tariff.code] = str(error)
            continue
        stored[tariff.code] = store_rates(tariff=tariff, rates=rates, at=at)
    return Fetched(stored, problems)


def _first_gap(tariff: Tariff, at: datetime) -> datetime:
    """The first half-hour from `at` on whose price is not known: an answer may have lacked one in between."""
    known = set(tariff.rates.filter(starts_at__gt=at - HALF_HOUR).values_list("starts_at", flat=True))
    start = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
    while start in known:
        start += HALF_HOUR
    return start


def _ensure_code(code: str) -> None:
    if not CODE.fullmatch(code):
        raise BadTariff(
            field="code", given=code[:60], expected="letters, digits, dots and dashes, at most 60"
        )


def _ensure_charge(pence_per_kw: int) -> None:
    if not 0 <= pence_per_kw <= MOST_DEMAND_PENCE:
        raise BadTariff(
            field=DEMAND_COLUMN, given=f"{pence_per_kw} p", expected="0 to 1,000 pounds a kW a month"
        )


def prices_of(tariff: Tariff, starts: Sequence[datetime]) -> tuple[Ints, Bools]:
    """Prices of half-hours in whole ten-thousandths of p/kWh, and which are known; 0 where one is not."""
    price, known = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.bool_)
    bands = list(tariff.bands.order_by("from_time"))
    if bands:
        for place, start in enumerate(starts):
            local = start.astimezone(LONDON).time()
            held = [band for band in bands if band.from_time <= local][-1]
            price[place], known[place] = int(held.pence_per_kwh * SCALE), True
        return price, known
    rows = TariffRate.objects.filter(tariff=tariff, starts_at__gte=starts[0], starts_at__lte=starts[-1])
    told = dict(rows.values_list("starts_at", "pence_per_kwh"))
    for place, start in enumerate(starts):
        if start in told:
            price[place], known[place] = int(told[start] * SCALE), True
    return price, known
