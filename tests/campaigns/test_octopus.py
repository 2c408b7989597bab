"""Octopus' prices over real HTTP, from a server in this process that answers as the real one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from campaigns.octopus import BadAddress, Client, OctopusRefused, RatesConflict, half_hours_of
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import day_interval, period_count
from tests.samples import shared_sample

PRODUCT, TARIFF = "AGILE-24-10-01", "E-1R-AGILE-24-10-01-G"
RATES = f"/v1/products/{PRODUCT}/electricity-tariffs/{TARIFF}/standard-unit-rates/"


def rows_of(over: Interval, **more: Any) -> list[dict[str, Any]]:
    """Rates as Octopus tells them, newest first; every fifth below zero."""
    starts = list(over.half_hours())
    return [
        {
            "value_exc_vat": 10.0,
            "value_inc_vat": -5.271 if place % 5 == 0 else 10.5 + place / 100,
            "valid_from": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "valid_to": f"{start + HALF_HOUR:%Y-%m-%dT%H:%M:%SZ}",
            "payment_method": None,
            **more,
        }
        for place, start in reversed(list(enumerate(starts)))
    ]


class Octopus(ThreadingHTTPServer):
    """Serves pages of `page_size` of `rows`; `failing` requests answer 503 first."""

    rows: list[dict[str, Any]]
    page_size = 20
    failing = 0
    asked: list[str]
    told: dict[str, Any]


class Answers(BaseHTTPRequestHandler):
    server: Octopus

    def do_GET(self) -> None:
        told = urlsplit(self.path)
        self.server.asked.append(self.path)
        if self.server.failing:
            self.server.failing -= 1
            self.send_response(503)
            self.send_header("Retry-After", "7")
            self.end_headers()
            return
        if told.path in self.server.told:
            return self._say(self.server.told[told.path])
        if told.path != RATES:
            self.send_error(404)
            return None
        page = int(parse_qs(told.query).get("page", ["1"])[0])
        size = self.server.page_size
        following = f"http://127.0.0.1:{self.server.server_port}{RATES}?page={page + 1}"
        return self._say(
            {
                "count": len(self.server.rows),
                "next": following if page * size < len(self.server.rows) else None,
                "previous": None,
                "results": self.server.rows[(page - 1) * size : page * size],
            }
        )

    def _say(self, told: Any) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def octopus() -> Iterator[Octopus]:
    server = Octopus(("127.0.0.1", 0), Answers)
    server.asked, server.rows, server.told = [], [], {}
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def client_of(server: Octopus, waits: list[float] | None = None) -> Client:
    pauses = [] if waits is None else waits
    return Client(octopus_of(server), sleep=pauses.append)


def octopus_of(server: Octopus) -> str:
    return f"http://127.0.0.1:{server.server_port}/v1/"


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 11, 22), date(2026, 10, 25)])
def test_every_half_hour_of_a_day_once_whatever_its_length(octopus: Octopus, day: date) -> None:
    octopus.rows = rows_of(day_interval(day))

    found = client_of(octopus).unit_rates(PRODUCT, TARIFF, day_interval(day))

    assert list(found) == list(day_interval(day).half_hours())
    assert len(found) == period_count(day)
    assert min(found.values()) == Decimal("-5.271")
    assert len(octopus.asked) == 3
    assert "period_from=" in octopus.asked[0]


def test_the_recorded_page_is_read_whole() -> None:
    recorded = shared_sample("market-samples/octopus-agile-standard-unit-rates-2020-05-23_25-region-D.json")
    rows = json.loads(recorded.read_text(), parse_float=Decimal)["results"]
    ends_at = datetime(2020, 5, 25, 22, tzinfo=UTC)

    found = half_hours_of(rows, Interval(ends_at - 100 * HALF_HOUR, ends_at))

    assert len(found) == 100
    assert sum(price < 0 for price in found.values()) == 23
    assert found[datetime(2020, 5, 25, 21, 30, tzinfo=UTC)] == Decimal("7.2975")


def test_a_busy_service_is_waited_for_as_long_as_it_says(octopus: Octopus) -> None:
    octopus.rows, octopus.failing = rows_of(day_interval(date(2026, 11, 22)))[:3], 2
    waits: list[float] = []

    found = client_of(octopus, waits).unit_rates(PRODUCT, TARIFF, day_interval(date(2026, 11, 22)))

    assert len(found) == 3
    assert waits == [7, 7]


def test_products_and_the_tariff_of_a_region(octopus: Octopus) -> None:
    ways = {"direct_debit_monthly": {"code": TARIFF}}
    octopus.told = {
        f"/v1/products/{PRODUCT}/": {"single_register_electricity_tariffs": {"_G": ways}},
        "/v1/products/": {
            "next": None,
            "results": [
                {"code": PRODUCT, "display_name": "Agile Octopus", "direction": "IMPORT",
                 "available_from": "2024-10-01T00:00:00+01:00", "available_to": None},
            ],
        },
    }  # fmt: skip

    assert client_of(octopus).tariff_code(PRODUCT, "G") == TARIFF
    (product,) = client_of(octopus).products()
    assert product.available_from == datetime(2024, 9, 30, 23, tzinfo=UTC)
    with pytest.raises(OctopusRefused, match="in no region Z"):
        client_of(octopus).tariff_code(PRODUCT, "Z")


def test_a_page_elsewhere_is_not_followed_and_nonsense_is_refused(octopus: Octopus) -> None:
    over = day_interval(date(2026, 11, 22))
    for told, problem in (
        ({"results": [], "next": "http://169.254.169.254/latest/"}, "elsewhere"),
        ({"results": "none"}, "without results"),
        ([], "no object"),
        ({"results": [{"valid_from": "noon", "value_inc_vat": 1}]}, "no time"),
        ({"results": [{"valid_from": "0001-01-01T00:00:00+01:00", "value_inc_vat": 1}]}, "no time"),
        ({"results": [], "next": f"{octopus_of(octopus)}a page"}, "cannot be reached"),
        ({"results": [{"valid_from": "2026-11-22T00:00:00Z", "value_inc_vat": "free"}]}, "no price"),
        ({"results": [{"valid_from": "2026-11-22T00:00:00Z", "value_inc_vat": 90_000}]}, "a price of 90000"),
    ):
        octopus.told = {RATES: told}
        with pytest.raises(OctopusRefused, match=problem):
            client_of(octopus).unit_rates(PRODUCT, TARIFF, over)
    octopus.told = {}
    with pytest.raises(OctopusRefused, match="answered 404"):
        client_of(octopus).unit_rates("NONE", TARIFF, over)
    with pytest.raises(BadAddress):
        Client("http://api.octopus.energy/v1/")


def test_a_redirect_is_followed_nowhere(octopus: Octopus, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Answers) -> None:
        self.server.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/v1/elsewhere/")
        self.end_headers()

    monkeypatch.setattr(Answers, "do_GET", away)

    with pytest.raises(OctopusRefused, match="answered 302"):
        client_of(octopus).unit_rates(PRODUCT, TARIFF, day_interval(date(2026, 11, 22)))
    assert len(octopus.asked) == 1


def test_a_page_that_comes_again_is_taken_once_and_a_circle_is_left(octopus: Octopus) -> None:
    over = day_interval(date(2026, 11, 22))
    rows = rows_of(over)
    octopus.rows = [*rows[:20], *rows[:20], *rows[20:]]
    assert len(client_of(octopus).unit_rates(PRODUCT, TARIFF, over)) == 48
    circle = f"{octopus_of(octopus)[:-4]}{RATES}?page=2"
    octopus.asked.clear()
    octopus.told = {RATES: {"results": rows[:1], "next": circle}}
    with pytest.raises(OctopusRefused, match="gave already"):
        client_of(octopus).unit_rates(PRODUCT, TARIFF, over)
    assert len(octopus.asked) == 2


def test_a_wait_until_a_time_is_waited_for(octopus: Octopus, monkeypatch: pytest.MonkeyPatch) -> None:
    octopus.rows, octopus.failing = rows_of(day_interval(date(2026, 11, 22)))[:3], 1
    waits: list[float] = []

    def until(self: Answers, name: str, value: str) -> None:
        if name == "Retry-After":
            value = self.date_time_string(datetime.now(UTC).timestamp() + 20)
        BaseHTTPRequestHandler.send_header(self, name, value)

    monkeypatch.setattr(Answers, "send_header", until)

    assert len(client_of(octopus, waits).unit_rates(PRODUCT, TARIFF, day_interval(date(2026, 11, 22)))) == 3
    assert 19 <= waits[0] <= 21


def test_an_answer_that_is_no_http_is_refused(octopus: Octopus, monkeypatch: pytest.MonkeyPatch) -> None:
    def babble(self: Answers, told: Any) -> None:
        self.wfile.write(b"it is all gone\r\n\r\n")

    monkeypatch.setattr(Answers, "_say", babble)

    with pytest.raises(OctopusRefused, match="cannot be reached"):
        client_of(octopus).unit_rates(PRODUCT, TARIFF, day_interval(date(2026, 11, 22)))


def test_one_payment_method_is_read_and_its_own_price_comes_before_everybodys() -> None:
    over = Interval(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 22, 1, tzinfo=UTC))
    rows = [
        *rows_of(over, payment_method="NON_DIRECT_DEBIT", value_inc_vat=30),
        *rows_of(over, value_inc_vat=20),
        *rows_of(over, payment_method="DIRECT_DEBIT", value_inc_vat=10),
    ]

    assert set(half_hours_of(rows, over).values()) == {Decimal(10)}
    assert set(half_hours_of(rows, over, payment_method="NON_DIRECT_DEBIT").values()) == {Decimal(30)}
    with pytest.raises(RatesConflict):
        half_hours_of([*rows, *rows_of(over, payment_method="DIRECT_DEBIT", value_inc_vat=11)], over)


def test_a_rate_without_an_end_holds_and_a_time_without_a_zone_is_londons() -> None:
    over = Interval(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 1, 2, tzinfo=UTC))
    row: dict[str, Any] = {"valid_from": "2026-06-01T02:00:00", "valid_to": None, "value_inc_vat": 24.5}

    found = half_hours_of([row], over)

    assert list(found) == [over.starts_at + timedelta(minutes=30) * n for n in (2, 3)]
    before = {"valid_from": None, "valid_to": "2026-06-01T02:00:00", "value_inc_vat": 22}
    assert list(half_hours_of([row, before], over).values()) == [Decimal(22)] * 2 + [Decimal("24.5")] * 2
