"""emoncms's input and feed API for devices in homes: emonhub, emonPi, EmonESP and OpenEVSE post unchanged.

A key in `Authorization: Bearer` or `apikey` stands for one household; no session, so no CSRF. Answers are
emoncms's own, down to the bare `ok` that emonhub waits for; what it would answer with 200 and an error body
is a 4xx with that body here, and emonhub tries either again.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from threading import Lock
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt

from members.queries import streams_of
from metering import emoncms, feeds
from metering.adapters.emoncms import MOST_BODY, EmoncmsRefused, clean, read_bulk, read_post
from metering.emoncms import Holder, TooManyInputs
from metering.feeds import FeedRefused, Quantity
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval

REQUESTS_A_MINUTE: Final = 240
FAILURES_A_MINUTE: Final = 30
MOST_REMEMBERED: Final = 20_000
MOST_FEEDS: Final = 20
FEEDS: Final = ((1, Quantity.IMPORT_KWH, "kWh"), (2, Quantity.EXPORT_KWH, "kWh"), (3, Quantity.POWER, "W"))
IDS_A_KEY: Final = 10
LATEST: Final = timedelta(days=7)
MILLISECONDS_FROM: Final = 4_294_967_295
EXCEL_EPOCH: Final = 25_569
View = Callable[..., HttpResponse]

_seen: dict[str, deque[float]] = defaultdict(deque)
_lock = Lock()


def with_key(*, writes: bool = False) -> Callable[[View], View]:
    """Let holders of a key through; the view gets the holder and the parameters of address and body."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def entered(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            response = _entered(view, request, args, kwargs, writes=writes)
            add_never_cache_headers(response)
            return response

        return entered

    return decorate


def _entered(view: View, request: HttpRequest, args: Any, kwargs: Any, *, writes: bool) -> HttpResponse:
    if request.method not in ("GET", "POST", "HEAD"):
        return HttpResponse("Method not allowed", status=405, content_type="text/plain")
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BODY:
            raise RequestDataTooBig
        body = request.body
    except (RequestDataTooBig, ValueError):
        return _error(f"Request body is larger than {MOST_BODY} bytes", 413)
    parameters = {**request.GET.dict(), **request.POST.dict()}
    caller = request.META.get("REMOTE_ADDR", "")
    kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
    secret = bearer.strip() if kind.casefold() == "bearer" else str(parameters.get("apikey", ""))
    if _too_often(f"no {caller}", FAILURES_A_MINUTE, counts=False):
        return _busy()
    holder = emoncms.holder_of(secret, at=clock.now()) if secret else None
    if holder is None:
        _too_often(f"no {caller}", FAILURES_A_MINUTE)
        response = HttpResponse("Invalid API key", status=401, content_type="text/plain")
        response["WWW-Authenticate"] = 'Bearer realm="API KEY", error="invalid_apikey"'
        return response
    if _too_often(f"key {holder.key.pk}", REQUESTS_A_MINUTE):
        return _busy()
    if writes and not holder.may_write:
        return _error("This key may read only", 403)
    try:
        return view(
            holder, {str(key): str(value) for key, value in parameters.items()}, body, *args, **kwargs
        )
    except (EmoncmsRefused, FeedRefused) as error:
        return _error(str(error.message), 400)
    except TooManyInputs as error:
        return _error(f"Too many inputs: a key may have {error.most}", 422)


@with_key(writes=True)
def input_post(holder: Holder, parameters: dict[str, str], body: bytes, node: str = "") -> HttpResponse:
    """Take one frame."""
    at = clock.now()
    emoncms.take_frames(holder, [read_post(parameters, node=node, now=at)], at=at)
    return JsonResponse({"success": True}) if "fulljson" in parameters else _ok()


@with_key(writes=True)
def input_bulk(holder: Holder, parameters: dict[str, str], body: bytes) -> HttpResponse:
    """Take many frames; rows that are none are counted, and the good ones of the request stand."""
    at = clock.now()
    bulk = read_bulk(parameters, body, now=at)
    emoncms.take_frames(holder, bulk.frames, at=at, passed_over=bulk.passed_over)
    return _ok()


@with_key()
def input_get(
    holder: Holder, parameters: dict[str, str], body: bytes, node: str = "", name: str = ""
) -> HttpResponse:
    """Show inputs: all, those of a node, or one; a value only while live readings are consented to."""
    nodes: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for each in emoncms.inputs_of(holder):
        told = {
            "time": None if each.at is None else int(each.at.timestamp()),
            "value": each.value,
            "processList": "",
        }
        nodes[each.node][each.name] = told
    node, name = clean(node or parameters.get("node", "")), clean(name or parameters.get("name", ""))
    if not node:
        return JsonResponse(nodes)
    if node not in nodes:
        return JsonResponse("Node does not exist", safe=False)
    if not name:
        return JsonResponse(nodes[node])
    if name not in nodes[node]:
        return JsonResponse("Node variable does not exist", safe=False)
    return JsonResponse(nodes[node][name])


@with_key()
def feed_list(holder: Holder, parameters: dict[str, str], body: bytes) -> HttpResponse:
    """List the household's feeds with their latest values."""
    now = clock.now()
    found = []
    for number, quantity, unit in FEEDS:
        at, value = _latest(holder, quantity, now)
        found.append(
            {
                "id": str(_feed_id(holder, number)),
                "userid": str(holder.key.pk),
                "name": quantity.value,
                "tag": "electricity",
                "public": "0",
                "size": "0",
                "engine": "5",
                "unit": unit,
                "interval": feeds.SLOT_SECONDS,
                "processList": "",
                "start_time": int(holder.occupancy.starts_at.timestamp()) // 1800 * 1800,
                "end_time": at,
                "time": at,
                "value": value,
            }
        )
    return JsonResponse(found, safe=False)


@with_key()
def feed_data(holder: Holder, parameters: dict[str, str], body: bytes, csv: str = "") -> HttpResponse:
    """Answer a feed's values over an interval, or several feeds'."""
    ids = [
        each.strip()
        for each in (parameters.get("id") or parameters.get("ids") or "").split(",")
        if each.strip()
    ]
    if not ids:
        raise FeedRefused(message="no ids given")
    if len(ids) > MOST_FEEDS:
        raise FeedRefused(message=f"more than {MOST_FEEDS} feeds in one request")
    quantities = [_quantity(holder, each) for each in ids]
    missing = [_number(each) for each, found in zip(ids, quantities, strict=True) if found is None]
    if missing:
        words = (
            f"feed {missing[0]} does not exist" if len(missing) == 1 else f"{len(missing)} feeds do not exist"
        )
        return JsonResponse({"success": False, "message": words, "feeds": missing}, status=404)
    known = [each for each in quantities if each is not None]
    told = [_data(holder, each, parameters, place) for place, each in enumerate(known)]
    if csv or parameters.get("csv") == "1":
        return _csv(told)
    if "id" in parameters and len(told) == 1:
        return JsonResponse(told[0], safe=False)
    return JsonResponse(
        [{"feedid": each, "data": data} for each, data in zip(ids, told, strict=True)], safe=False
    )


@with_key()
def feed_value(holder: Holder, parameters: dict[str, str], body: bytes, kind: str = "value") -> HttpResponse:
    """Answer the latest value of a feed (value), with its time (timevalue), or of several (fetch)."""
    now = clock.now()
    if kind == "fetch":
        ids = parameters.get("ids", "").split(",")[:MOST_FEEDS]
        found = [_quantity(holder, each) for each in ids]
        return JsonResponse(
            [False if it is None else _latest(holder, it, now)[1] for it in found], safe=False
        )
    quantity = _quantity(holder, parameters.get("id", ""))
    if quantity is None:
        return _error("Feed does not exist", 404)
    at, value = _latest(holder, quantity, now)
    return JsonResponse({"time": at, "value": value} if kind == "timevalue" else value, safe=False)


def _data(holder: Holder, quantity: Quantity, parameters: dict[str, str], place: int) -> list[Any]:
    zone = _zone(parameters.get("timezone", ""))
    start, end = (_moment(parameters.get(name, ""), name, zone) for name in ("start", "end"))
    interval: str | int = parameters.get("mode") or parameters.get("interval") or "0"
    if isinstance(interval, str) and interval.isdecimal() and len(interval) < 12:
        interval = int(interval)
    if isinstance(interval, int) and parameters.get("limitinterval") == "1":
        interval = max(interval, feeds.SLOT_SECONDS)
    now = clock.now()
    stream = streams_of([holder.occupancy.pk], now).get(holder.occupancy.pk)
    if stream is None:
        return []
    found = feeds.feed_values(
        stream,
        quantity,
        start=start,
        end=min(end, now.timestamp()) if end > start else end,
        interval=interval,
        average=_flag(parameters.get("average", ""), place),
        delta=_flag(parameters.get("delta", ""), place),
        zone=zone,
        since=holder.occupancy.starts_at,
    )
    if parameters.get("skipmissing") == "1":
        found = [pair for pair in found if pair[1] is not None]
    places = parameters.get("dp", "")
    if places.isdecimal():
        found = [(at, value if value is None else round(value, min(int(places), 10))) for at, value in found]
    told = parameters.get("timeformat", "unixms")
    if told == "notime":
        return [value for _, value in found]
    return [[_written(at, told, zone), value] for at, value in found]


def _written(at: int, form: str, zone: ZoneInfo) -> Any:
    if form == "unix":
        return at
    if form == "iso8601":
        return datetime.fromtimestamp(at, zone).isoformat()
    if form == "excel":
        local = datetime.fromtimestamp(at, zone)
        offset = local.utcoffset() or timedelta()
        return round((at + offset.total_seconds()) / 86_400 + EXCEL_EPOCH, 9)
    if form == "unixms":
        return at * 1000
    raise FeedRefused(message="timeformat must be unix, unixms, excel, iso8601 or notime")


def _csv(told: list[list[Any]]) -> HttpResponse:
    lines = []
    for rows in zip(*told, strict=False):
        first = rows[0][0] if isinstance(rows[0], list) else None
        cells = [row[1] if isinstance(row, list) else row for row in rows]
        shown = ["null" if cell is None else str(cell) for cell in cells]
        lines.append(",".join(shown if first is None else [str(first), *shown]))
    return HttpResponse("\n".join([*lines, ""]), content_type="text/csv")


def _latest(holder: Holder, quantity: Quantity, now: datetime) -> tuple[int | None, float | None]:
    """Start of the latest half-hour there is, and its value."""
    stream = streams_of([holder.occupancy.pk], now).get(holder.occupancy.pk)
    if stream is None:
        return None, None
    since = max(now - LATEST, holder.occupancy.starts_at)
    halves = feeds.half_hours_of(stream, Interval(since, now)) if since < now else None
    if halves is None or not halves.present.any():
        return None, None
    place = int(halves.present.nonzero()[0][-1])
    at = (halves.first + place) * feeds.SLOT_SECONDS
    found = feeds.feed_values(
        stream,
        quantity,
        start=at,
        end=at + 1,
        interval=feeds.SLOT_SECONDS,
        average=False,
        delta=False,
        zone=ZoneInfo("UTC"),
        since=holder.occupancy.starts_at,
    )
    return at, found[0][1]


def _feed_id(holder: Holder, number: int) -> int:
    return holder.key.pk * IDS_A_KEY + number


def _quantity(holder: Holder, feed_id: str) -> Quantity | None:
    return next(
        (quantity for number, quantity, _ in FEEDS if feed_id.strip() == str(_feed_id(holder, number))), None
    )


def _number(feed_id: str) -> int:
    return int(feed_id) if feed_id.isdecimal() and len(feed_id) < 12 else 0


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "Europe/London")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FeedRefused(message=f"timezone {name[:40]} is not known") from None


def _moment(text: str, name: str, zone: ZoneInfo) -> float:
    """Unix seconds of Unix seconds, milliseconds or ISO 8601; bare times are the zone's."""
    try:
        number = float(text)
    except ValueError:
        try:
            told = datetime.fromisoformat(text.strip())
            return (told.replace(tzinfo=zone) if told.tzinfo is None else told).timestamp()
        except (ValueError, OverflowError):
            raise FeedRefused(message=f"{name} must be Unix seconds, milliseconds or ISO 8601") from None
    seconds = number / 1000 if abs(number) > MILLISECONDS_FROM else number
    if not 0 <= seconds <= MILLISECONDS_FROM:
        raise FeedRefused(message=f"{name} time is out of range")
    return seconds


def _flag(text: str, place: int) -> bool:
    """The flag of the feed at a place among several, the first where only one is given."""
    told = text.split(",")
    return (told[place] if place < len(told) else told[0]).strip() in ("1", "true")


def _too_often(name: str, most: int, *, counts: bool = True) -> bool:
    """Whether a caller came more often in the last minute than it may, in this process."""
    now = time.monotonic()
    with _lock:
        if len(_seen) > MOST_REMEMBERED:
            _seen.clear()
        times = _seen[name]
        while times and times[0] < now - 60:
            times.popleft()
        if len(times) >= most:
            return True
        if counts:
            times.append(now)
        return False


def _busy() -> HttpResponse:
    response = _error("Too many requests: send more frames in each, with input/bulk", 429)
    response["Retry-After"] = "60"
    return response


def _ok() -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


def _error(message: str, status: int) -> HttpResponse:
    return JsonResponse({"success": False, "message": message}, status=status)
