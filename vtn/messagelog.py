"""The message log: every exchange with a VEN, written in groups beside the answering, and its retention.

A listener calls `note` once an exchange is answered; where `start_writer` has run,
rows are gathered in memory and written by a thread within some seconds, so that a
poll's answer waits for no log. What a killed process had gathered is lost: the log
explains, it is no record of events or opts. Refusals go through `vtn.refusals`,
which writes at once.

Bodies are redacted (`vtn.redacting`) and kept only where VTN_LOG_BODIES is on, or
for one VEN while staff watch it.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    close_old_connections,
    connection,
    connections,
    transaction,
)

from oadr import messages as m
from opendsr.kernel import clock
from vtn.records import IdempotentReply, MessageLog, VenWatch
from vtn.redacting import redacted

LOOK_SECONDS: Final = 1.0
WRITTEN_AFTER: Final = timedelta(seconds=3)
"""How long rows are gathered: what is said to thousands at once has been answered by then."""
MANY_WAITING: Final = 20_000
"""So many are written whatever their age."""
MOST_WAITING: Final = 60_000
"""Rows gathered while the database is away; older ones are dropped first."""
BATCH: Final = 2_000
PRUNE_BATCH: Final = 5_000
KEYS_KEPT_FOR: Final = timedelta(days=7)
"""How long a creating request's key is remembered."""
WATCH_FOR: Final = timedelta(hours=24)
SKEW_NEWS_SECONDS: Final = 5
_SOFTWARE: Final = re.compile(r"[^A-Za-z0-9 ._/()+;:-]")

logger = logging.getLogger("vtn.wire")


class Exchange(NamedTuple):
    """One message and its reply, as a listener saw them; bodies are redacted before they are written."""

    ven_pk: int
    service: str
    message: m.Message | None
    message_name: str
    reply_name: str
    code: int
    at: datetime
    http_status: int = 200
    direction: str = "from_ven"
    transport: str = "http"
    software: str = ""
    tolerances: tuple[str, ...] = ()
    request_body: bytes = b""
    reply_body: bytes = b""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention took, or would take."""

    bodies: int
    rows: int


class _Noted(NamedTuple):
    """What is written of an exchange; bodies only where they are kept, redacted, else nobody holds them."""

    ven_pk: int
    at: datetime
    wall: datetime
    code: int
    http_status: int
    request_bytes: int
    reply_bytes: int
    names: str
    bodies: str
    software: str
    transport: str
    tolerances: tuple[str, ...]
    skew_seconds: int | None


_waiting: deque[_Noted] = deque(maxlen=MOST_WAITING)
_seen: dict[int, tuple[str, str, frozenset[str], int | None]] = {}
_watched: frozenset[int] = frozenset()
_keeps_all = False
_writer: threading.Thread | None = None
_writer_pid = 0
_stop = threading.Event()


def is_idle_poll(message_name: str, reply_name: str) -> bool:
    """True for the one exchange that is never logged: a poll with nothing new."""
    return message_name == "oadrPoll" and reply_name == "oadrResponse"


def note(exchange: Exchange) -> None:
    """Log an answered exchange: gathered where a writer runs, written at once elsewhere."""
    if is_idle_poll(exchange.message_name, exchange.reply_name) and exchange.code == m.OK:
        return
    wall = clock.wall_now()
    if _writer is not None and _writer_pid == os.getpid():
        _waiting.append(_noted(exchange, wall, keeps_bodies=_keeps_all or exchange.ven_pk in _watched))
    else:
        watches = VenWatch.objects.filter(ven_id=exchange.ven_pk, bodies_until_wall_at__gt=wall)
        _write([_noted(exchange, wall, keeps_bodies=_keeps_all_bodies() or watches.exists())])


def start_writer() -> None:
    """Gather this process's rows and write them by a thread of their own; again in each forked worker."""
    global _writer, _writer_pid
    if _writer is not None and _writer_pid == os.getpid():
        return
    _waiting.clear()
    _stop.clear()
    _writer_pid = os.getpid()
    _writer = threading.Thread(target=_write_on, name="message-log", daemon=True)
    _writer.start()
    atexit.register(stop_writer)


def stop_writer() -> None:
    """Write what is gathered and end the thread."""
    global _writer
    writer, _writer = _writer, None
    if writer is not None and _writer_pid == os.getpid():
        _stop.set()
        writer.join(5)


def watch(*, ven_pk: int, wall: datetime) -> datetime:
    """Keep the VEN's message bodies, redacted, for a day; returns until when."""
    until = wall + WATCH_FOR
    VenWatch.objects.update_or_create(ven_id=ven_pk, defaults={"bodies_until_wall_at": until})
    return until


def unwatch(*, ven_pk: int) -> None:
    """Keep no more bodies; those kept so far stay until their time is up."""
    VenWatch.objects.filter(ven_id=ven_pk).update(bodies_until_wall_at=None)


def prune(*, wall: datetime, is_dry_run: bool = False) -> Pruned:
    """Empty bodies and delete rows past their time (VTN_BODY_DAYS, VTN_LOG_DAYS), in batches."""
    bodies = MessageLog.objects.filter(
        recorded_wall_at__lt=wall - timedelta(days=settings.VTN_BODY_DAYS)
    ).exclude(request_body="", reply_body="")
    before = wall - timedelta(days=settings.VTN_LOG_DAYS)
    if is_dry_run:
        rows = MessageLog.objects.filter(recorded_wall_at__lt=before).count()
        return Pruned(bodies=bodies.count(), rows=rows)
    emptied = deleted = 0
    while some := list(bodies.values_list("pk", flat=True)[:PRUNE_BATCH]):
        emptied += MessageLog.objects.filter(pk__in=some).update(request_body="", reply_body="")
    while some := _oldest(before):
        deleted += MessageLog.objects.filter(pk__in=some)._raw_delete(using="default")
    IdempotentReply.objects.filter(recorded_wall_at__lt=wall - KEYS_KEPT_FOR).delete()
    return Pruned(bodies=emptied, rows=deleted)


def _oldest(before: datetime) -> list[int]:
    """The keys of some rows from before that, found by their keys, which grow with time.

    Not by their age: once new rows stand where old ones were deleted, no block is too young any more.
    """
    oldest = MessageLog.objects.order_by("pk").values_list("pk", "recorded_wall_at")[:PRUNE_BATCH]
    return [pk for pk, recorded_wall_at in oldest if recorded_wall_at < before]


def skew_seconds(message: m.Message | None, *, at: datetime) -> int | None:
    """How far the VEN's clock is ahead, by the time it says it made the message; None when it says none."""
    match message:
        case m.CreateOpt():
            created = message.created_at
        case m.UpdateReport(reports=(first, *_)) | m.RegisterReport(reports=(first, *_)):
            created = first.created_at
        case _:
            return None
    seconds = (created - at).total_seconds()
    return int(max(-(2**31), min(2**31 - 1, seconds)))


def _write_on() -> None:
    global _watched, _keeps_all
    while True:
        is_last = _stop.wait(LOOK_SECONDS)
        try:
            close_old_connections()
            wall = clock.wall_now()
            _keeps_all = _keeps_all_bodies()
            _watched = frozenset(
                VenWatch.objects.filter(bodies_until_wall_at__gt=wall).values_list("ven_id", flat=True)
            )
            if is_last or len(_waiting) >= MANY_WAITING or _is_old(wall):
                _write_gathered()
        except (DatabaseError, InterfaceError):
            logger.exception("the message log waits for the database")
        finally:
            close_old_connections()
        if is_last:
            connections.close_all()
            return


def _keeps_all_bodies() -> bool:
    return bool(getattr(settings, "VTN_LOG_BODIES", False))


def _is_old(wall: datetime) -> bool:
    return bool(_waiting) and _waiting[0].wall <= wall - WRITTEN_AFTER


def _write_gathered() -> None:
    while _waiting:
        entries = [_waiting.popleft() for _ in range(min(BATCH, len(_waiting)))]
        try:
            _write(entries)
        except (DatabaseError, InterfaceError):
            _waiting.extendleft(reversed(entries))
            raise


def _write(entries: Sequence[_Noted]) -> None:
    with transaction.atomic():
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {_TABLE} ({', '.join(_COLUMNS)}) FROM STDIN") as copy,
        ):
            copy.write("".join(map(_line, entries)))
        _write_observations(entries)


_TABLE: Final = MessageLog._meta.db_table
_COLUMNS: Final = (
    "at",
    "recorded_wall_at",
    "ven_id",
    "code",
    "http_status",
    "is_refused",
    "reason",
    "excerpt",
    "request_bytes",
    "reply_bytes",
    "direction",
    "transport",
    "service",
    "message",
    "reply",
    "tolerances",
    "request_body",
    "reply_body",
)


_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _line(noted: _Noted) -> str:
    """As COPY's text format has it, in the order of `_COLUMNS`."""
    return (
        f"{noted.at.isoformat()}\t{noted.wall.isoformat()}\t{noted.ven_pk}\t{noted.code}\t{noted.http_status}"
        f"\tf\t\t\t{noted.request_bytes}\t{noted.reply_bytes}\t{noted.names}\t{noted.bodies}\n"
    )


def _noted(exchange: Exchange, wall: datetime, *, keeps_bodies: bool) -> _Noted:
    bodies = "\t"
    if keeps_bodies:
        is_from_ven = exchange.direction == MessageLog.Direction.FROM_VEN
        request_body = redacted(exchange.request_body, is_ours=not is_from_ven)
        reply_body = redacted(exchange.reply_body, is_ours=is_from_ven)
        bodies = f"{request_body.translate(_ESCAPES)}\t{reply_body.translate(_ESCAPES)}"
    return _Noted(
        exchange.ven_pk,
        exchange.at,
        wall,
        exchange.code,
        exchange.http_status,
        len(exchange.request_body),
        len(exchange.reply_body),
        _names(
            exchange.direction,
            exchange.transport,
            exchange.service,
            exchange.message_name,
            exchange.reply_name,
            exchange.tolerances,
        ),
        bodies,
        exchange.software,
        exchange.transport,
        exchange.tolerances,
        skew_seconds(exchange.message, at=exchange.at),
    )


@lru_cache(maxsize=1_000)
def _names(
    direction: str,
    transport: str,
    service: str,
    message_name: str,
    reply_name: str,
    tolerances: tuple[str, ...],
) -> str:
    """What thousands of exchanges have in common, as COPY writes it."""
    texts = [direction, transport, service[:40], message_name[:40], reply_name[:40], json.dumps(tolerances)]
    return "\t".join([text.translate(_ESCAPES) for text in texts])


def _write_observations(entries: Sequence[_Noted]) -> None:
    """Keep what is new about each VEN: software, transport, quirks, clock; mostly nothing."""
    news: dict[int, tuple[str, str, frozenset[str], int | None]] = {}
    walls: dict[int, datetime] = {}
    for noted in entries:
        known = news.get(noted.ven_pk) or _seen.get(noted.ven_pk) or ("", "", frozenset(), None)
        skew = noted.skew_seconds
        if skew is None or (known[3] is not None and abs(skew - known[3]) < SKEW_NEWS_SECONDS):
            skew = known[3]
        latest = (
            software_name(noted.software) or known[0],
            noted.transport or known[1],
            known[2].union(noted.tolerances) if noted.tolerances else known[2],
            skew,
        )
        if latest != known:
            news[noted.ven_pk] = latest
            walls[noted.ven_pk] = noted.wall
    if not news:
        return
    observed = [
        {
            "ven": ven_pk,
            "software": software,
            "transport": transport,
            "quirks": sorted(quirks),
            "skew": skew,
            "wall": walls[ven_pk].isoformat(),
        }
        for ven_pk, (software, transport, quirks, skew) in sorted(news.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(_OBSERVE, [json.dumps(observed)])
    _seen.update(news)


_OBSERVE: Final = """
    INSERT INTO vtn_ven_watch AS known
        (ven_id, software, transport, quirks, clock_skew_seconds, observed_wall_at)
    SELECT ven, software, transport, quirks, skew, wall
    FROM json_to_recordset(%s::json) AS seen (
        ven bigint, software text, transport text, quirks jsonb, skew int, wall timestamptz
    )
    ORDER BY ven
    ON CONFLICT (ven_id) DO UPDATE SET
        software = coalesce(nullif(excluded.software, ''), known.software),
        transport = coalesce(nullif(excluded.transport, ''), known.transport),
        quirks = (
            SELECT coalesce(jsonb_agg(DISTINCT quirk), '[]')
            FROM jsonb_array_elements_text(known.quirks || excluded.quirks) AS quirk
        ),
        clock_skew_seconds = coalesce(excluded.clock_skew_seconds, known.clock_skew_seconds),
        observed_wall_at = excluded.observed_wall_at
"""


@lru_cache(maxsize=1_000)
def software_name(user_agent: str) -> str:
    """Return a request's User-Agent as a short plain name."""
    return " ".join(_SOFTWARE.sub("", user_agent).split())[:80]
