"""Past readings from Glowmarkt (Bright), ten days a request, from where the last run stopped.

Asked in UTC (`offset=0`) for half-hourly sums with `nulls=1`, so that a missing reading is null and never 0.
Each window is stored and the place moved in one transaction; the answer goes through the same door as a file.
"""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from django.db import transaction

from metering import ingest
from metering.adapters.reading import FileUnusable
from metering.intake_models import Backfill
from metering.report import ImportReport
from opendsr.kernel.errors import DomainError, Invalid

URL: Final = "https://api.glowmarkt.com/api/v0-1/"
WINDOW: Final = timedelta(days=10)
TIMEOUT_SECONDS: Final = 30
MOST_ANSWER: Final = 16 << 20
MOST_WAIT_SECONDS: Final = 60.0
TRIES: Final = 4
TOKEN_TRIES: Final = 2
LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class ServiceRefused(DomainError):
    """The service will not answer, or not sensibly: `service`, `problem`."""

    status = 502
    service: str
    problem: str


class BadBackfill(Invalid):
    """A stretch of time that is none."""

    field: str
    value: str
    expected: str


@dataclass(slots=True)
class Client:
    """One account's session; signs in when it must, waits when told to."""

    username: str
    password: str
    application_id: str
    url: str = URL
    sleep: Callable[[float], None] = time.sleep
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        told = urlsplit(self.url)
        if told.scheme != "https" and not (told.scheme == "http" and told.hostname in LOCAL):
            raise BadBackfill(field="url", value=self.url, expected="an https address")

    def readings(self, resource_id: str, starts_at: datetime, ends_at: datetime) -> bytes:
        """The answer for [starts_at, ends_at], as it came; raises ServiceRefused."""
        query = urlencode(
            {
                "from": f"{starts_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
                "to": f"{ends_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
                "period": "PT30M",
                "offset": "0",
                "function": "sum",
                "nulls": "1",
            }
        )
        return self._signed(f"resource/{quote(resource_id, safe='')}/readings?{query}")

    def resources(self) -> list[dict[str, Any]]:
        """Every meter resource of the account: resourceId, classifier, name, baseUnit and its entity."""
        found = []
        for entity in self._list("virtualentity"):
            told = self._object(f"virtualentity/{quote(str(entity.get('veId', '')), safe='')}/resources")
            resources = told.get("resources") if isinstance(told, dict) else told
            for resource in resources if isinstance(resources, list) else []:
                if isinstance(resource, dict):
                    found.append({**resource, "entity": entity.get("name", "")})
        return found

    def _list(self, path: str) -> list[dict[str, Any]]:
        told = self._object(path)
        return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []

    def _object(self, path: str) -> Any:
        return _json(self._signed(path))

    def _signed(self, path: str) -> bytes:
        for _ in range(TOKEN_TRIES):
            if not self.token:
                self._sign_in()
            status, body = self._ask(path, headers={"token": self.token})
            if status == 200:
                return body
            if status != 401:
                raise ServiceRefused(
                    service="Glowmarkt", problem=f"answered {status} to {path.partition('?')[0]}"
                )
            self.token = ""
        raise ServiceRefused(service="Glowmarkt", problem="does not accept its own token")

    def _sign_in(self) -> None:
        body = json.dumps({"username": self.username, "password": self.password}).encode()
        status, answer = self._ask("auth", body=body)
        told = _json(answer) if status == 200 else {}
        if not isinstance(told, dict) or not told.get("valid") or not isinstance(told.get("token"), str):
            raise ServiceRefused(service="Glowmarkt", problem=f"refuses the sign-in ({status})")
        self.token = told["token"]

    def _ask(
        self, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and answer; tries again after a pause when the service is busy or away."""
        problem = ""
        for attempt in range(TRIES):
            request = urllib.request.Request(  # noqa: S310 - the address was checked to be https
                self.url.rstrip("/") + "/" + path,
                data=body,
                headers={
                    "Content-Type": "application/json",
                    "applicationId": self.application_id,
                    **(headers or {}),
                },
            )
            pause = float(2**attempt)
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                    data = answer.read(MOST_ANSWER + 1)
                    if len(data) > MOST_ANSWER:
                        raise ServiceRefused(service="Glowmarkt", problem="the answer is too large")
                    return int(answer.status), data
            except urllib.error.HTTPError as error:
                if error.code != 429 and error.code < 500:
                    return error.code, error.read(MOST_ANSWER)
                problem = f"answered {error.code}"
                told = error.headers.get("Retry-After", "")
                if told.isdecimal():
                    pause = float(told)
            except (OSError, TimeoutError) as error:
                problem = f"cannot be reached: {error}"
            if pause > MOST_WAIT_SECONDS:
                break
            if attempt < TRIES - 1:
                self.sleep(pause)
        raise ServiceRefused(service="Glowmarkt", problem=problem)


def ask_for(
    *, resource_id: str, stream_id: UUID, starts_at: datetime, ends_at: datetime, at: datetime
) -> Backfill:
    """Note a stretch of the past to fetch; one that is noted already is widened. Raises BadBackfill."""
    if ends_at <= starts_at:
        raise BadBackfill(field="ends_at", value=ends_at.isoformat(), expected="later than the start")
    wanted = {"service": Backfill.Service.GLOWMARKT, "resource_id": resource_id, "stream_id": stream_id}
    with transaction.atomic():
        made, is_new = Backfill.objects.select_for_update().get_or_create(
            **wanted, defaults={"next_from": starts_at, "until": ends_at, "updated_at": at}
        )
        if not is_new:
            made.next_from, made.until = min(made.next_from, starts_at), max(made.until, ends_at)
            made.save(update_fields=["next_from", "until"])
    return made


def fetch(backfill_id: int, client: Client, *, at: datetime) -> list[ImportReport]:
    """Fetch window after window until the stretch is done; what was stored stays when the service fails.

    Raises ServiceRefused or FileUnusable, noted with the stretch; the next call goes on there.
    """
    reports: list[ImportReport] = []
    while True:
        row = Backfill.objects.get(pk=backfill_id)
        until = min(row.until, at)
        if row.next_from >= until:
            return reports
        ends_at = min(row.next_from + WINDOW, until)
        try:
            answer = client.readings(row.resource_id, row.next_from, ends_at)
            reports.append(_store(row, answer, ends_at, at))
        except (ServiceRefused, FileUnusable) as error:
            Backfill.objects.filter(pk=row.pk).update(error=str(error)[:300], updated_at=at)
            raise


@transaction.atomic
def _store(row: Backfill, answer: bytes, ends_at: datetime, at: datetime) -> ImportReport:
    """Store one window and move the place; nobody else may have moved it meanwhile."""
    held = Backfill.objects.select_for_update().get(pk=row.pk)
    report = ingest.import_file(
        file=io.BytesIO(_with_nulls(answer)),
        name=f"Glowmarkt {row.next_from:%Y-%m-%d} to {ends_at:%Y-%m-%d %H:%M}",
        adapter="glowmarkt_json",
        streams={"meter": row.stream_id},
        at=at,
    )
    if held.next_from == row.next_from:
        held.next_from, held.error, held.updated_at = ends_at, "", at
        held.save(update_fields=["next_from", "error", "updated_at"])
    return report


def _with_nulls(answer: bytes) -> bytes:
    """The answer with the question in it: nulls were asked for, so a zero is a zero."""
    told = _json(answer)
    if isinstance(told, dict) and "data" in told:
        query = told.get("query")
        told["query"] = {**(query if isinstance(query, dict) else {}), "nulls": "1"}
        return json.dumps(told).encode()
    return answer


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ServiceRefused(service="Glowmarkt", problem="the answer is no JSON") from None
