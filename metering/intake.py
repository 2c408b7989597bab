"""Messages from devices into the store, a batch a transaction, so that a batch counts once or not at all.

What comes in is (topic, payload); each message goes through the rules, its adapter and the routes, and ends
as register samples, live power, device state, or a dead letter with its reason. The caller acknowledges its
messages after `take` returns: repeated ones change nothing.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction

from members import consent_changes
from metering import asset_states, live, registers, routing, ruling
from metering.adapters import devices, glow
from metering.intake_models import Message, Sender
from metering.letters import BODY_CHARACTERS, Desk, plain
from metering.observations import Health, Heard, MessageRefused, Power, Register, refused
from metering.rules import NO_RULES, RuleBook
from opendsr.kernel import clock

GLOW, DEVICE = "glow", "device"
HOMES: Final = "homes/"
REFRESH_SECONDS: Final = 60.0
STATS_SECONDS: Final = 60.0
STATS: Final = """
    INSERT INTO metering_sender AS held (kind, name, password_hash, received_at, reading_at, drift_seconds,
        messages, refused, rssi_dbm, lqi, han_status, software)
    SELECT %s, name, '', received_at, reading_at, drift, messages, refused, rssi, lqi, coalesce(han, ''),
           coalesce(software, '')
    FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::int4[], %s::int8[], %s::int8[],
                %s::int2[], %s::int2[], %s::text[], %s::text[])
        AS told (name, received_at, reading_at, drift, messages, refused, rssi, lqi, han, software)
    ON CONFLICT (kind, name) DO UPDATE SET
        received_at = greatest(held.received_at, excluded.received_at),
        reading_at = greatest(held.reading_at, excluded.reading_at),
        drift_seconds = coalesce(excluded.drift_seconds, held.drift_seconds),
        messages = held.messages + excluded.messages, refused = held.refused + excluded.refused,
        rssi_dbm = coalesce(excluded.rssi_dbm, held.rssi_dbm), lqi = coalesce(excluded.lqi, held.lqi),
        han_status = coalesce(nullif(excluded.han_status, ''), held.han_status),
        software = coalesce(nullif(excluded.software, ''), held.software)
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it came, and when (world time)."""

    topic: str
    payload: bytes
    received_at: datetime


@dataclass(slots=True)
class Taken:
    """What a batch came to; `letters` counts by code what could not be used."""

    messages: int = 0
    samples: int = 0
    power: int = 0
    states: int = 0
    dropped: int = 0
    letters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Seen:
    """How one device did since its figures were last written."""

    received_at: datetime
    reading_at: datetime | None = None
    drift_seconds: int | None = None
    messages: int = 0
    refused: int = 0
    health: Health | None = None


PowerSample = tuple[UUID, datetime, int]


class Intake:
    """Takes batches in; keeps routes and rules for a minute, and each device's figures until written.

    A change of any consent, stream or stay makes it ask anew at once.
    """

    def __init__(self) -> None:
        self.routes = self.hub_routes = routing.Routes()
        self.devices: Mapping[asset_states.Place, asset_states.Known] = {}
        self.book: RuleBook = NO_RULES
        self.seen: dict[str, Seen] = {}
        self._refreshed = self._written = float("-inf")
        self._mark: UUID | None = None

    def take(self, arrivals: Iterable[Arrival], *, at: datetime) -> Taken:
        """Store a batch in one transaction. Raises only what the database raises; then nothing counts."""
        now = clock.wall_now().timestamp()
        mark = consent_changes.mark()
        if now - self._refreshed >= REFRESH_SECONDS or mark != self._mark:
            self.refresh()
            self._refreshed, self._mark = now, mark
        batch = Batch(self, at)
        for arrival in arrivals:
            batch.add(arrival)
        with transaction.atomic():
            batch.store()
            if now - self._written >= STATS_SECONDS:
                self.write_stats()
        if now - self._written >= STATS_SECONDS:
            self.seen, self._written = {}, now
        return batch.taken

    def refresh(self) -> None:
        """Read who is where, what is consented to, and the rules, again."""
        self.routes, self.hub_routes = routing.routes_of_cads(), routing.routes_of_hubs()
        self.devices = asset_states.known_devices()
        self.book = ruling.book_in_force()

    def write_stats(self) -> None:
        """Write what was seen of each device; inside the caller's transaction."""
        names = sorted(self.seen)
        rows = [self.seen[name] for name in names]
        if not rows:
            return
        healths = [row.health or Health(None) for row in rows]
        with connection.cursor() as cursor:
            cursor.execute(
                STATS,
                [
                    Sender.Kind.GLOW,
                    names,
                    [row.received_at for row in rows],
                    [row.reading_at for row in rows],
                    [row.drift_seconds for row in rows],
                    [row.messages for row in rows],
                    [row.refused for row in rows],
                    [health.rssi_dbm for health in healths],
                    [health.lqi for health in healths],
                    [plain(health.han_status) for health in healths],
                    [plain(health.software) for health in healths],
                ],
            )


class Batch:
    """Messages read and sorted, then stored together."""

    def __init__(self, intake: Intake, at: datetime) -> None:
        self.intake = intake
        self.at = at
        self.taken = Taken()
        self.samples: list[registers.Sample] = []
        self.power: list[PowerSample] = []
        self.states: list[asset_states.State] = []
        self.desk = Desk(GLOW, intake.book, stream_at=intake.routes.electricity_at)
        self.device_desk = Desk(DEVICE, intake.book, stream_at=intake.hub_routes.electricity_at)

    def add(self, arrival: Arrival) -> None:
        """Read one message; whatever is wrong with it becomes a letter, never an error."""
        self.taken.messages += 1
        if arrival.topic.startswith(HOMES):
            self._add_state(arrival)
            return
        sender = glow.sender_of(arrival.topic)
        seen = self.intake.seen.get(sender)
        if seen is None and sender in self.intake.routes.home_of:
            seen = self.intake.seen[sender] = Seen(arrival.received_at)
        if seen is not None:
            seen.messages += 1
            seen.received_at = arrival.received_at
        try:
            body = glow.document(arrival.payload)
            if self.desk.has_rules:
                told = self.desk.ruled(
                    sender, arrival.topic, body, received_at=arrival.received_at, raw=_text_of(arrival)
                )
                if told is None:
                    self.taken.dropped += 1
                    return
                body = told
            heard = glow.read_document(arrival.topic, body)
            self._sort(heard, arrival, seen)
        except MessageRefused as error:
            self._letter(arrival, sender, error, seen)
        except Exception as error:
            logger.exception("message on %s could not be read", arrival.topic)
            self._letter(
                arrival, sender, refused("fault", "payload", type(error).__name__, "report it"), seen
            )

    def _add_state(self, arrival: Arrival) -> None:
        """Read what a hub passes on of a device: `homes/<VEN id>/<kind>/<device>/<its own topic>`."""
        ven_id, kind, name, tail = [*arrival.topic.removeprefix(HOMES).split("/", 3), "", "", ""][:4]
        try:
            payload = self._device_payload(arrival, ven_id)
            if payload is None:
                self.taken.dropped += 1
                return
            for said in devices.read(
                kind,
                tail,
                payload,
                tz=self._zone_of(ven_id, kind, name),
                received_at=arrival.received_at,
            ):
                known = self.intake.devices.get((ven_id, kind, said.device or name))
                if known is None:
                    raise refused(
                        "unknown_device", "topic", f"{kind}/{said.device or name}", FIXES["unknown_device"]
                    )
                if said.at is not None and said.at > self.at + registers.AHEAD:
                    raise refused("clock_ahead", "time", said.at.isoformat(), FIXES["clock_ahead"])
                self.states.append(asset_states.State(known.asset_id, kind, said, arrival.received_at))
        except MessageRefused as error:
            self._letter(arrival, ven_id, error, None, desk=self.device_desk)
        except Exception as error:
            logger.exception("message on %s could not be read", arrival.topic)
            fault = refused("fault", "payload", type(error).__name__, "report it")
            self._letter(arrival, ven_id, fault, None, desk=self.device_desk)

    def _device_payload(self, arrival: Arrival, ven_id: str) -> bytes | None:
        """The payload after the rules, None when one drops it; what is no JSON object is `value` to them."""
        if not self.device_desk.has_rules:
            return arrival.payload
        text = _text_of(arrival)
        try:
            document = json.loads(arrival.payload)
        except (ValueError, RecursionError):
            document = text
        body = document if isinstance(document, dict) else {"value": document}
        told = self.device_desk.ruled(ven_id, arrival.topic, body, received_at=arrival.received_at, raw=text)
        if told is None or told == body:
            return None if told is None else arrival.payload
        if isinstance(document, dict):
            return json.dumps(told).encode()
        value = told.get("value", "")
        return (value if isinstance(value, str) else json.dumps(value)).encode()

    def _zone_of(self, ven_id: str, kind: str, name: str) -> str:
        known = self.intake.devices.get((ven_id, kind, name))
        return "Europe/London" if known is None else known.tz

    def store(self) -> None:
        """Write everything; inside the caller's transaction."""
        self.taken.samples = len(self.samples)
        registers.take_in(self.samples)
        self.taken.states = asset_states.store(self.states)
        self.taken.power = store_power(self.power, source=glow.POWER_SOURCE, at=self.at)
        self.desk.store(at=self.at)
        self.device_desk.store(at=self.at)

    def _sort(self, heard: Heard, arrival: Arrival, seen: Seen | None) -> None:
        for passed in heard.passed_over:
            self._count("passed_over" if not passed.code else passed.code, passed.reason, arrival)
        for observation in heard.observations:
            if isinstance(observation, Health):
                if seen is not None:
                    seen.health = observation
                continue
            self._check_time(observation, arrival, seen)
            stream = self.intake.routes.stream_at(heard.sender, observation.meter, observation.at)
            if isinstance(stream, str):
                if stream == routing.NO_STREAM and observation.meter != "electricity":
                    self._count("no_stream", f"no stream for {observation.meter}", arrival)
                    continue
                raise refused(stream, "sender", heard.sender, FIXES[stream])
            if isinstance(observation, Register):
                if observation.wh:
                    self.samples.append(
                        registers.Sample(
                            stream,
                            glow.SOURCE,
                            registers.CHANNELS[observation.channel],
                            observation.at,
                            observation.wh,
                        )
                    )
            elif self.intake.routes.may_keep_live(stream, observation.at):
                self.power.append((stream, observation.at, observation.power_w))

    def _check_time(self, observation: Register | Power, arrival: Arrival, seen: Seen | None) -> None:
        drift = (arrival.received_at - observation.at).total_seconds()
        if seen is not None:
            seen.drift_seconds = int(max(min(drift, 2**31 - 1), -(2**31)))
        if not registers.is_timely(observation.at, self.at):
            code = "clock_ahead" if drift < 0 else "too_late"
            raise refused(code, "timestamp", observation.at.isoformat(), FIXES[code])
        if seen is not None and (seen.reading_at is None or seen.reading_at < observation.at):
            seen.reading_at = observation.at

    def _letter(
        self,
        arrival: Arrival,
        sender: str,
        error: MessageRefused,
        seen: Seen | None,
        *,
        desk: Desk | None = None,
    ) -> None:
        code = str(error.reason_code)
        self.taken.letters[code] += 1
        if seen is not None:
            seen.refused += 1
        (desk or self.desk).note(
            Message.Outcome.DEAD,
            sender,
            arrival.topic,
            code,
            f"{error.field} {error.value!r}: {error.fix}",
            received_at=arrival.received_at,
            body=_text_of(arrival),
        )

    def _count(self, code: str, reason: str, arrival: Arrival) -> None:
        """Count something passed over, over all devices, without a body."""
        self.taken.letters[code] += 1
        self.desk.note(Message.Outcome.DEAD, "", "*", code, reason, received_at=arrival.received_at)


FIXES: Final = {
    routing.NO_SENDER: "register the device: its serial number is its MAC address",
    routing.NO_STREAM: "nobody lived there at that time, or the home has no such meter",
    routing.NO_CONSENT: "the household does not consent to half-hourly readings",
    "unknown_device": "say which asset this device is, in the records under asset devices",
    "clock_ahead": "set the device's clock: the reading is from the future",
    "too_late": "older than a week: fetch it from the supplier or the DCC instead",
}


def store_power(power: Sequence[PowerSample], *, source: str, at: datetime) -> int:
    """Hand live power to its store; inside the caller's transaction. Returns the samples that were news.

    Its source is apart from that of the same device's registers, which tell the half-hour's energy exactly.
    """
    if not power:
        return 0
    stream_ids, instants, watts = (list(column) for column in zip(*power, strict=True))
    report = live.store_power(
        source=source,
        at=at,
        stream_ids=stream_ids,
        measured_at=instants,
        power_w=np.array(watts, dtype=np.int64),
    )
    return report.rows_stored + report.rows_counted


def _text_of(arrival: Arrival) -> str:
    return arrival.payload[:BODY_CHARACTERS].decode("utf-8", "replace")
