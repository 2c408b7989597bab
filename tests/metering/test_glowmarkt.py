"""Glowmarkt's API, played by a real HTTP server: windows, sign-in, waiting, going on after a failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from metering import glowmarkt
from metering.adapters.reading import FileUnusable
from metering.intake_models import Backfill
from tests.metering.meters import wh_of

pytestmark = pytest.mark.django_db
FIRST = datetime(2025, 10, 20, tzinfo=UTC)
NOW = datetime(2025, 11, 14, 6, tzinfo=UTC)
HALF = timedelta(minutes=30)


class Service:
    """What the server says next, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.waits: list[float] = []
        self.plan: list[tuple[int, dict[str, str], Any]] = []
        self.tokens = 0

    def answer(self, path: str) -> tuple[int, dict[str, str], Any]:
        self.asked.append(path)
        if self.plan:
            return self.plan.pop(0)
        told = parse_qs(urlsplit(path).query)
        start, end = (datetime.fromisoformat(told[name][0]).replace(tzinfo=UTC) for name in ("from", "to"))
        assert (told["period"], told["offset"], told["nulls"]) == (["PT30M"], ["0"], ["1"])
        assert end - start <= timedelta(days=10)
        pairs, at = [], start
        while at <= min(end, NOW - timedelta(hours=6)):
            value = None if at == FIRST + 5 * HALF else 0.0 if at == FIRST + 6 * HALF else 0.5
            pairs.append([int(at.timestamp()), value])
            at += HALF
        return 200, {}, {"status": "OK", "units": "kWh", "query": {"period": "PT30M"}, "data": pairs}


@pytest.fixture
def service() -> Iterator[tuple[Service, glowmarkt.Client]]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.tokens += 1
            right = body == {"username": "u", "password": "p"} and self.headers["applicationId"] == "app"
            self._say(200, {}, {"valid": right, "token": f"t{told.tokens}"})

        def do_GET(self) -> None:
            if self.headers["token"] != f"t{told.tokens}":
                return self._say(401, {}, {"error": "no"})
            return self._say(*told.answer(self.path))

        def _say(self, status: int, headers: dict[str, str], body: Any) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/api/v0-1/"
    yield told, glowmarkt.Client("u", "p", "app", url=url, sleep=told.waits.append)
    server.shutdown()
    server.server_close()


def stretch(stream: Any) -> int:
    row = glowmarkt.ask_for(resource_id="r 1", stream_id=stream, starts_at=FIRST, ends_at=NOW, at=NOW)
    return row.pk


def test_a_stretch_comes_in_windows_of_ten_days_over_the_clock_change(ash, service):
    told, client = service

    reports = glowmarkt.fetch(stretch(ash), client, at=NOW)

    assert len(reports) == len(told.asked) == 3
    wh = wh_of(ash)
    assert len(wh) == 25 * 48 + 1 - 1  # to midnight, without the null
    assert wh.count(0) == 1
    assert Backfill.objects.get().next_from == NOW
    assert glowmarkt.fetch(Backfill.objects.get().pk, client, at=NOW) == []


def test_it_goes_on_where_the_service_failed(ash, service):
    told, client = service
    pk = stretch(ash)
    first = told.answer("/x?from=2025-10-20T00:00:00&to=2025-10-30T00:00:00&period=PT30M&offset=0&nulls=1")
    told.plan = [first, *[(503, {}, {})] * 4]

    with pytest.raises(glowmarkt.ServiceRefused):
        glowmarkt.fetch(pk, client, at=NOW)
    assert Backfill.objects.get().next_from == FIRST + timedelta(days=10)
    assert "503" in Backfill.objects.get().error
    assert told.waits == [1.0, 2.0, 4.0]

    assert len(glowmarkt.fetch(pk, client, at=NOW)) == 2
    assert len(wh_of(ash)) == 25 * 48
    assert Backfill.objects.get().error == ""


def test_a_stale_token_is_renewed_and_a_busy_service_waited_for(ash, service):
    told, client = service
    client.token = "old"
    told.plan = [(429, {"Retry-After": "7"}, {})]

    glowmarkt.fetch(stretch(ash), client, at=NOW)

    assert told.tokens == 1
    assert told.waits == [7.0]


def test_what_the_service_may_not_do_is_told(ash, service):
    told, client = service
    pk = stretch(ash)
    for status, body, error in (
        (403, {}, glowmarkt.ServiceRefused),
        (200, b"<html>", glowmarkt.ServiceRefused),
        (200, {"error": "no such resource"}, FileUnusable),
        (200, {"units": "kWh", "data": "many"}, FileUnusable),
        (429, {}, glowmarkt.ServiceRefused),
    ):
        told.plan = [(status, {"Retry-After": "3600"}, body)]
        with pytest.raises(error):
            glowmarkt.fetch(pk, client, at=NOW)
        assert Backfill.objects.get().next_from == FIRST
    bad = glowmarkt.Client("u", "wrong", "app", url=client.url)
    with pytest.raises(glowmarkt.ServiceRefused, match="sign-in"):
        bad.resources()
    with pytest.raises(glowmarkt.BadBackfill):
        glowmarkt.Client("u", "p", "app", url="http://example.org/")


def test_the_meters_of_an_account_are_listed(service):
    told, client = service
    told.plan = [
        (200, {}, [{"veId": "v1", "name": "Home"}]),
        (200, {}, {"resources": [{"resourceId": "r1", "classifier": "electricity.consumption"}]}),
    ]

    assert client.resources() == [
        {"resourceId": "r1", "classifier": "electricity.consumption", "entity": "Home"}
    ]
