"""What a listener remembers of its VENs: who stands behind a certificate, and that nothing waits for it.

A VEN is remembered only while all of this holds: its certificate is in force, it is
registered, free to speak unsigned, and nothing in the queue is due to it. Whatever could
end that notifies, and the VEN is forgotten: on `vtn_standing` by triggers of the database
(`vtn.triggers`), on `vtn_pending` by the queue. `Barrier` makes the notification certain: see there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, NamedTuple

import psycopg
from django.db import connection, connections
from psycopg import pq

from vtn import queueing

CHANNEL: Final = "vtn_standing"
CHANNELS: Final = (CHANNEL, queueing.CHANNEL)
REMEMBERED: Final = timedelta(seconds=60)
"""After this a VEN is looked up again whatever was or was not notified."""
CONNECT_SECONDS: Final = 3
KEPT_SECONDS: Final = 60


class Quiet(NamedTuple):
    """A registered VEN for which nothing waits. `enveloped` and `bare` are the bodies that tell it so."""

    ven_key: int
    ven_id: str
    until_wall: float
    enveloped: bytes
    bare: bytes


class Memory:
    """The quiet VENs by certificate fingerprint. For one thread; what is read elsewhere is kept by `keep`."""

    def __init__(self) -> None:
        self.is_sure = False
        self.seen: dict[int, float] = {}
        self._quiet: dict[str, Quiet] = {}
        self._fingerprints: dict[int, set[str]] = {}
        self._readings: dict[int, set[int] | None] = {}
        self._last_reading = 0

    def __len__(self) -> int:
        return len(self._quiet)

    def find(self, fingerprint: str, *, wall: float) -> Quiet | None:
        """Return the VEN if nothing waits for it; None sends the caller to the database."""
        quiet = self._quiet.get(fingerprint) if self.is_sure else None
        if quiet is None or wall >= quiet.until_wall:
            return None
        self.seen[quiet.ven_key] = wall
        return quiet

    def forget(self, ven_keys: Iterable[int]) -> None:
        """Something may wait for these VENs, or they may be nobody any more."""
        for key in ven_keys:
            for fingerprint in self._fingerprints.pop(key, ()):
                self._quiet.pop(fingerprint, None)
            for touched in self._readings.values():
                if touched is not None:
                    touched.add(key)

    def forget_all(self) -> None:
        self._quiet.clear()
        self._fingerprints.clear()
        self._readings = dict.fromkeys(self._readings)

    def lose_touch(self) -> None:
        """Nothing is known to be true any more until `regain`."""
        self.is_sure = False
        self.forget_all()

    def regain(self) -> None:
        self.is_sure = True

    def notified(self, payload: str) -> None:
        """Take one notification: VEN keys with commas, or `*`; one that cannot be read concerns everybody."""
        words = payload.split(",")
        if all(word.isdecimal() for word in words):
            self.forget(int(word) for word in words)
        else:
            self.forget_all()

    def begin_reading(self) -> int:
        """Call before the look-up whose result goes to `keep`; returns the number to give there."""
        self._last_reading += 1
        self._readings[self._last_reading] = set()
        return self._last_reading

    def keep(self, reading: int, found: Iterable[tuple[str, Quiet]]) -> None:
        """Remember what a look-up found quiet, except what was notified since it began."""
        touched = self._readings.pop(reading)
        if touched is None or not self.is_sure:
            return
        for fingerprint, quiet in found:
            if quiet.ven_key not in touched:
                self._quiet[fingerprint] = quiet
                self._fingerprints.setdefault(quiet.ven_key, set()).add(fingerprint)

    def take_seen(self) -> dict[int, float]:
        """Return who was heard since the last call, by VEN key, in wall seconds."""
        seen, self.seen = self.seen, {}
        return seen


class Barrier:
    """A question put to the database after a request has come, whose answer proves memory is up to date.

    PostgreSQL signals listeners before a COMMIT returns to whoever asked for it, and a
    backend hands over what was signalled before it says that it is ready. So when an
    (empty) query sent after a request comes back, every notification of every
    transaction that had returned by then has come too: a certificate revoked before
    the request is never answered from memory. One question serves all requests that
    wait; without an answer nothing is answered from memory.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Connect and listen; raises psycopg.Error. Needs a session of its own: no transaction pooler."""
        self._connection = psycopg.connect(**parameters, autocommit=True, connect_timeout=CONNECT_SECONDS)
        for channel in CHANNELS:
            self._connection.execute(f'LISTEN "{channel}"')
        self._pq = self._connection.pgconn
        self._pq.nonblocking = 1
        self.is_asked = False
        self.asked_at = 0.0

    def fileno(self) -> int:
        return int(self._pq.socket)

    def ask(self) -> None:
        """Send the empty query."""
        self._pq.send_query(b"")
        self._pq.flush()
        self.is_asked, self.asked_at = True, time.monotonic()

    def read(self) -> tuple[list[str], bool]:
        """Take what has come: payloads, and whether the question is answered. Raises psycopg.Error."""
        self._pq.consume_input()
        payloads = []
        while (notified := self._pq.notifies()) is not None:
            payloads.append(notified.extra.decode())
        if not self.is_asked or self._pq.is_busy():
            return payloads, False
        while (result := self._pq.get_result()) is not None:
            if result.status != pq.ExecStatus.EMPTY_QUERY:
                raise psycopg.OperationalError("the database did not take an empty query")
        self.is_asked = False
        while (notified := self._pq.notifies()) is not None:
            payloads.append(notified.extra.decode())
        return payloads, True

    def close(self) -> None:
        self._connection.close()


def keep_connections() -> None:
    """Have each thread of this process keep its database connection a while: a new one costs milliseconds."""
    for alias in connections:
        connections.settings[alias]["CONN_MAX_AGE"] = KEPT_SECONDS


def connection_parameters() -> dict[str, Any]:
    """Return how Django reaches the database, for a psycopg connection of one's own."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    return parameters


def note_seen(seen: dict[int, float]) -> None:
    """Write down when VENs were last heard, in one statement; never sets the time back."""
    if not seen:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ven SET last_seen_wall_at = to_timestamp(heard.at)"
            " FROM unnest(string_to_array(%s, ',')::bigint[], string_to_array(%s, ',')::float8[])"
            " AS heard (id, at)"
            " WHERE ven.id = heard.id"
            " AND (ven.last_seen_wall_at IS NULL OR ven.last_seen_wall_at < to_timestamp(heard.at))",
            [",".join(map(str, seen)), ",".join(map(repr, seen.values()))],
        )
