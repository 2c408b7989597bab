"""Octopus Energy's public prices: products, the tariff of a region, and its unit rates by half-hour.

Answers come newest first, a page at a time; times without a zone are London's; `valid_to` may be missing; and
one half-hour can stand twice, once for each payment method. All leaves here as UTC half-hours with VAT.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import LONDON, is_half_hour

URL: Final = "https://api.octopus.energy/v1/"
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
PAGE_SIZE: Final = 1_500
MOST_PAGES: Final = 40
MOST_ANSWER: Final = 8 << 20
TIMEOUT_SECONDS: Final = 30
TRIES: Final = 4
MOST_WAIT_SECONDS: Final = 60.0
DIRECT_DEBIT: Final = "DIRECT_DEBIT"
MOST_PENCE: Final = 1_000


class OctopusRefused(DomainError):
    """Octopus will not answer, or not sensibly: `problem`."""

    status = 502
    problem: str


class RatesConflict(Invalid):
    """Two prices for one half-hour and one payment method."""

    field: str
    given: str
    expected: str


class BadAddress(Invalid):
    """An address that is not https."""

    field: str
    given: str
    expected: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product that can be bought in some stretch of time."""

    code: str
    name: str
    direction: str
    available_from: datetime | None
    available_to: datetime | None


@dataclass(slots=True)
class Client:
    """Asks with patience: waits when told to, tries again when the service is busy."""

    url: str = URL
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if not _is_safe(self.url):
            raise BadAddress(field="url", given=self.url[:80], expected="an https address")

    def products(self) -> list[Product]:
        """Every product listed now."""
        return [_product(row) for row in self._pages("products/")]

    def tariff_code(self, product_code: str, region: str) -> str:
        """The single-register tariff of the product in a GSP group ("A" to "P"), for direct debit."""
        told = self._object(f"products/{quote(product_code, safe='')}/")
        regions = told.get("single_register_electricity_tariffs")
        kinds = regions.get(f"_{region}") if isinstance(regions, dict) else None
        ways = [each for each in kinds.values() if isinstance(each, dict)] if isinstance(kinds, dict) else []
        codes = [each["code"] for each in ways if isinstance(each.get("code"), str)]
        if not codes:
            raise OctopusRefused(problem=f"sells {product_code} in no region {region}")
        return str(codes[0])

    def unit_rates(self, product_code: str, tariff_code: str, over: Interval) -> dict[datetime, Decimal]:
        """Pence per kWh with VAT of each half-hour of `over` that is known, by its UTC start."""
        query = urlencode(
            {
                "period_from": f"{over.starts_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
                "period_to": f"{over.ends_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
                "page_size": PAGE_SIZE,
            }
        )
        product, tariff = quote(product_code, safe=""), quote(tariff_code, safe="")
        path = f"products/{product}/electricity-tariffs/{tariff}/standard-unit-rates/?{query}"
        return half_hours_of(self._pages(path), over)

    def _pages(self, path: str) -> Iterable[Mapping[str, Any]]:
        address = self.url.rstrip("/") + "/" + path
        asked: set[str] = set()
        for _ in range(MOST_PAGES):
            asked.add(address)
            told = self._object(address)
            results = told.get("results")
            if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
                raise OctopusRefused(problem="answers without results")
            yield from results
            following = told.get("next")
            if not following:
                return
            # Only the same host is followed: an answer must not send us elsewhere.
            if not isinstance(following, str) or urlsplit(following).netloc != urlsplit(self.url).netloc:
                raise OctopusRefused(problem="names a next page elsewhere")
            if following in asked:
                raise OctopusRefused(problem="names a next page that it gave already")
            address = following
        raise OctopusRefused(problem=f"has more than {MOST_PAGES} pages")

    def _object(self, path: str) -> dict[str, Any]:
        address = path if path.startswith("http") else self.url.rstrip("/") + "/" + path
        if not _is_safe(address):
            raise OctopusRefused(problem="names an address that is not https")
        try:
            told = json.loads(self._ask(address), parse_float=Decimal)
        except (ValueError, RecursionError):
            raise OctopusRefused(problem="answers no JSON") from None
        if not isinstance(told, dict):
            raise OctopusRefused(problem="answers no object")
        return told

    def _ask(self, address: str) -> bytes:
        problem = ""
        for attempt in range(TRIES):
            pause = float(2**attempt)
            request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310 - https
            try:
                with OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
                    data = answer.read(MOST_ANSWER + 1)
                if len(data) > MOST_ANSWER:
                    raise OctopusRefused(problem="answers too much")
                return bytes(data)
            except urllib.error.HTTPError as error:
                problem = f"answered {error.code}"
                if error.code != 429 and error.code < 500:
                    break
                pause = _wait_seconds(error.headers, error.headers.get("Retry-After", ""), otherwise=pause)
            except (OSError, TimeoutError, HTTPException) as error:
                problem = f"cannot be reached: {error}"
            if pause > MOST_WAIT_SECONDS:
                break
            if attempt < TRIES - 1:
                self.sleep(pause)
        raise OctopusRefused(problem=problem)


class _Nowhere(urllib.request.HTTPRedirectHandler):
    """Redirects are not followed, as no next page elsewhere is: an answer must not send us anywhere."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


OPENER: Final = urllib.request.build_opener(_Nowhere)


def _wait_seconds(headers: Message, told: str, *, otherwise: float) -> float:
    """How long Retry-After asks to wait: in seconds, or to a time, by the service's own clock."""
    if told.isdecimal():
        return float(told)
    try:
        until, now = parsedate_to_datetime(told), parsedate_to_datetime(headers.get("Date", ""))
        return max(otherwise, (until - now).total_seconds())
    except (TypeError, ValueError):
        return otherwise


def half_hours_of(
    rows: Iterable[Mapping[str, Any]], over: Interval, *, payment_method: str = DIRECT_DEBIT
) -> dict[datetime, Decimal]:
    """Rates of an answer by UTC half-hour within `over`, for one payment method; raises RatesConflict.

    A rate without an end holds to the end of `over`, one without a beginning from there on; a rate for
    anybody yields to the payment method's own.
    """
    found: dict[datetime, tuple[bool, Decimal]] = {}
    for row in rows:
        method = row.get("payment_method")
        if method not in (None, payment_method):
            continue
        is_from_ever = "valid_from" in row and row["valid_from"] is None
        starts_at, price = over.starts_at if is_from_ever else _instant(row, "valid_from"), _price(row)
        ends_at = over.ends_at if row.get("valid_to") is None else _instant(row, "valid_to")
        if not is_half_hour(starts_at) or (row.get("valid_to") is not None and not is_half_hour(ends_at)):
            raise RatesConflict(field="valid_from", given=str(row.get("valid_from")), expected="a half-hour")
        starts_at, ends_at = max(starts_at, over.starts_at), min(ends_at, over.ends_at)
        is_own = method is not None
        while starts_at < ends_at:
            known = found.get(starts_at)
            if known is None or (is_own and not known[0]):
                found[starts_at] = (is_own, price)
            elif known[0] == is_own and known[1] != price:
                given = f"{starts_at:%Y-%m-%d %H:%M}Z: {known[1]} and {price}"
                raise RatesConflict(field="value_inc_vat", given=given, expected="one price a half-hour")
            starts_at += HALF_HOUR
    return {starts_at: found[starts_at][1] for starts_at in sorted(found)}


def _is_safe(address: str) -> bool:
    told = urlsplit(address)
    return told.scheme == "https" or (told.scheme == "http" and told.hostname in LOCAL)


def _product(row: Mapping[str, Any]) -> Product:
    return Product(
        code=str(row.get("code", "")),
        name=str(row.get("display_name", "")),
        direction=str(row.get("direction", "")),
        available_from=_instant(row, "available_from") if row.get("available_from") else None,
        available_to=_instant(row, "available_to") if row.get("available_to") else None,
    )


def _instant(row: Mapping[str, Any], name: str) -> datetime:
    try:
        told = datetime.fromisoformat(str(row[name]))
        return (told if told.utcoffset() is not None else told.replace(tzinfo=LONDON)).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        raise OctopusRefused(problem=f"tells no time in {name}") from None


def _price(row: Mapping[str, Any]) -> Decimal:
    try:
        told = Decimal(str(row["value_inc_vat"]))
    except (KeyError, InvalidOperation):
        raise OctopusRefused(problem="tells no price in value_inc_vat") from None
    if not told.is_finite() or abs(told) > MOST_PENCE:
        raise OctopusRefused(problem=f"tells a price of {told} p")
    return told
