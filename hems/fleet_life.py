"""What one hub of a generated fleet says, as a generator: real 2.0b messages, opts, telemetry and faults.

It yields what it wants next (`Ask` the VTN something, `Wait`, `HangUp`) and is sent
what came of it. What carries it, HTTP or MQTT, is the loop's business.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

from hems.fleet_home import FleetHome
from oadr import codec, rendering
from oadr import messages as m

SLOW_CLOCK: Final = timedelta(minutes=7)
GARBAGE: Final = (
    b"",
    b"<oadr:oadrPoll>",
    b"\xff\xfe\x00",
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>',
    b"<x/>" * 1000,
)
WATTS: Final = m.Unit("powerReal", "RealPower", "W", "none", hertz="50", voltage="230", is_ac=True)
LONGEST_BURST: Final = 20

_EVENT = re.compile(rb"eventID>([^<]+)</[^<>]*eventID>\s*<[^<>]*modificationNumber>(\d+)<", re.DOTALL)
_REQUEST_ID = re.compile(rb"requestID>([^<]*)</")
_WANTS_ANSWER = re.compile(rb"oadrResponseRequired>\s*always")


class Ask(NamedTuple):
    """Say something to a service of the VTN; the reply is sent back into the life."""

    service: str
    body: bytes


class Wait(NamedTuple):
    """Do nothing for a while; what the VTN says of its own accord meanwhile is sent in, or None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """Lose the connection, and be away for a while."""

    seconds: float


class Reply(NamedTuple):
    """What came back; status 0 when nothing did."""

    status: int
    body: bytes = b""
    retry_seconds: float | None = None


class Pushed(NamedTuple):
    """A message the VTN began, and when it came; `token` is the connection's, to answer it by."""

    service: str
    body: bytes
    token: Any = None
    came_at: float = 0.0


@dataclass(frozen=True, slots=True)
class CutOff:
    """The connection was lost while the hub waited."""


class AnswerPushed(NamedTuple):
    """The reply to a pushed message."""

    body: bytes
    to: Pushed


Step = Ask | Wait | HangUp | AnswerPushed
Life = Generator[Step, Any, None]


@dataclass(frozen=True, slots=True)
class Manners:
    """How the fleet behaves; shares are 0..1, drawn a hub."""

    poll_seconds: float | None = None
    ramp_seconds: float = 1.0
    opt_out: float = 0.08
    override: float = 0.02
    telemetry_seconds: float = 0.0
    offline: float = 0.0
    slow_clock: float = 0.0
    garbage: float = 0.0
    is_registered: bool = False


@dataclass(slots=True)
class Tally:
    """What a fleet has lived through; times of deliveries are wall seconds since the epoch."""

    met: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    poll_seconds: list[float] = field(default_factory=list)
    deliveries: dict[str, list[float]] = field(default_factory=dict)
    answers: dict[str, list[float]] = field(default_factory=dict)


class Hub:
    """One virtual hub; everything it needs to know is here, so that ten thousand fit into one process."""

    __slots__ = (
        "answered",
        "dice",
        "home",
        "is_garbled",
        "is_late",
        "is_met",
        "is_often_away",
        "is_pushed_to",
        "manners",
        "pending",
        "poll_body",
        "poll_seconds",
        "registration_id",
        "reporting",
        "tally",
        "ven_id",
    )

    def __init__(self, ven_id: str, manners: Manners, tally: Tally, *, seed: int) -> None:
        self.ven_id = ven_id
        self.manners = manners
        self.tally = tally
        self.dice = Random(seed)  # noqa: S311 - spreads hubs, hides nothing
        self.registration_id = ""
        self.poll_seconds = manners.poll_seconds if manners.poll_seconds is not None else 10.0
        self.poll_body = codec.serialise(m.Poll(ven_id))
        self.answered: dict[bytes, bytes] = {}
        self.reporting: list[str] = []
        self.pending: list[Pushed] = []
        self.home = FleetHome(ven_id) if manners.telemetry_seconds else None
        self.is_late = self.dice.random() < manners.slow_clock
        self.is_garbled = self.dice.random() < manners.garbage
        self.is_pushed_to = False
        self.is_met = False
        self.is_often_away = self.dice.random() < manners.offline

    def has_met(self) -> None:
        """The VTN has answered: the hub counts as there from the first time on."""
        self.tally.met += not self.is_met
        self.is_met = True

    def now(self) -> datetime:
        now = datetime.now(UTC).replace(microsecond=0)
        return now - SLOW_CLOCK if self.is_late else now

    def next_wait(self) -> float:
        """The poll interval, moved by a tenth either way so that the fleet does not march in step."""
        return self.poll_seconds * self.dice.uniform(0.9, 1.1)


def pulling(hub: Hub) -> Life:
    """Live by polling, for ever."""
    yield Wait(hub.dice.uniform(0, hub.manners.ramp_seconds))
    if not hub.manners.is_registered:
        yield from _join(hub)
    heard_at = 0.0
    while True:
        if hub.is_often_away and hub.dice.random() < 0.1:
            hub.tally.counts["offline"] += 1
            yield HangUp(hub.next_wait() * hub.dice.uniform(1, 4))
        if hub.is_garbled and hub.dice.random() < 0.2:
            yield from _say_garbage(hub)
        said_at = time.perf_counter()
        reply = yield Ask("OadrPoll", hub.poll_body)
        hub.tally.poll_seconds.append(time.perf_counter() - said_at)
        hub.tally.counts["polls"] += 1
        if reply.status != 200:
            yield from _refused(hub, reply)
            continue
        hub.has_met()
        if b"oadrResponse>" in reply.body or b"oadrResponse " in reply.body:
            if not _is_ok(reply.body):
                hub.tally.counts["poll_errors"] += 1
            now = time.monotonic()
            if (
                hub.reporting
                and hub.manners.telemetry_seconds
                and now - heard_at > hub.manners.telemetry_seconds
            ):
                heard_at = now
                yield from _report(hub)
            yield Wait(hub.next_wait())
            continue
        yield from _react(hub, reply.body)


def listening(hub: Hub) -> Life:
    """Live by what is pushed: register, fetch the full set, answer what comes."""
    hub.is_pushed_to = True
    yield Wait(hub.dice.uniform(0, hub.manners.ramp_seconds))
    if not hub.manners.is_registered:
        yield from _join(hub)
    yield from _request_events(hub)
    while True:
        pushed = hub.pending.pop(0) if hub.pending else (yield Wait(hub.manners.telemetry_seconds or 3600.0))
        if isinstance(pushed, Pushed):
            yield from _react(hub, pushed.body, pushed)
        elif isinstance(pushed, CutOff):
            yield from _request_events(hub)
        elif hub.reporting and hub.manners.telemetry_seconds:
            yield from _report(hub)
        if hub.is_garbled and hub.dice.random() < 0.2:
            yield from _say_garbage(hub)
        if hub.is_often_away and hub.dice.random() < 0.1:
            hub.tally.counts["offline"] += 1
            yield HangUp(hub.dice.uniform(1, 10))
            yield from _request_events(hub)


def _join(hub: Hub) -> Life:
    """Register, offer a telemetry report, and fetch the full set of events."""
    while True:
        ask = m.CreatePartyRegistration(
            _request_id(hub),
            hub.registration_id,
            ven_name=hub.ven_id,
            transport_name="xmpp" if hub.is_pushed_to else "simpleHttp",
            transport_address=f"mqtt:{hub.ven_id}" if hub.is_pushed_to else "",
            is_http_pull=None if hub.is_pushed_to else True,
        )
        reply = yield Ask("EiRegisterParty", codec.serialise(ask))
        answer = _message(reply)
        if isinstance(answer, m.CreatedPartyRegistration) and answer.response.is_ok:
            break
        yield from _refused(hub, reply)
    hub.tally.counts["registrations"] += 1
    hub.registration_id = answer.registration_id
    if answer.poll_seconds is not None and hub.manners.poll_seconds is None:
        hub.poll_seconds = float(answer.poll_seconds)
    if hub.manners.telemetry_seconds:
        reply = yield Ask("EiReport", codec.serialise(_offer(hub)))
        answered = _message(reply)
        if isinstance(answered, m.RegisteredReport):
            yield from _take_requests(hub, answered.report_requests)


def _request_events(hub: Hub) -> Life:
    """Ask for the full set until it comes and is answered: a hub without a connection is told nothing."""
    while True:
        reply = yield Ask("EiEvent", codec.serialise(m.RequestEvent(_request_id(hub), hub.ven_id)))
        if reply.status != 200:
            yield from _refused(hub, reply)
            continue
        is_heard = yield from _answer_events(hub, reply.body, came_at=time.time())
        if is_heard:
            hub.has_met()
            return


def _react(hub: Hub, body: bytes, pushed: Pushed | None = None) -> Life:
    """Do as the protocol wants with one message of the VTN's."""
    if b"oadrDistributeEvent" in body:
        if pushed is not None:
            heard = m.Response(m.EiResponse(request_id=_own_id(body)), hub.ven_id)
            yield AnswerPushed(rendering.response(heard), pushed)
        came_at = time.time() if pushed is None else pushed.came_at
        is_heard = yield from _answer_events(hub, body, came_at=came_at)
        if pushed is not None and not is_heard:
            yield from _request_events(hub)
        return
    message = _message(Reply(200, body))
    answer: m.Message
    service = "EiRegisterParty"
    if isinstance(message, m.RequestReregistration):
        answer = m.Response(m.EiResponse(), hub.ven_id)
    elif isinstance(message, m.CancelPartyRegistration):
        response = m.EiResponse(request_id=message.request_id)
        answer = m.CanceledPartyRegistration(response, message.registration_id, hub.ven_id)
        hub.registration_id = ""
    elif isinstance(message, m.RegisterReport):
        service, answer = (
            "EiReport",
            m.RegisteredReport(m.EiResponse(request_id=message.request_id), (), hub.ven_id),
        )
    elif isinstance(message, m.CreateReport):
        hub.reporting += [each.report_request_id for each in message.report_requests]
        response = m.EiResponse(request_id=message.request_id)
        service, answer = "EiReport", m.CreatedReport(response, tuple(hub.reporting), hub.ven_id)
    elif isinstance(message, m.CancelReport):
        hub.reporting = [each for each in hub.reporting if each not in message.report_request_ids]
        response = m.EiResponse(request_id=message.request_id)
        service, answer = "EiReport", m.CanceledReport(response, tuple(hub.reporting), hub.ven_id)
    else:
        hub.tally.counts["not_understood"] += 1
        yield Wait(hub.next_wait())
        return
    hub.tally.counts[type(message).__name__] += 1
    data = codec.serialise(answer)
    if pushed is not None:
        yield AnswerPushed(data, pushed)
    else:
        yield Ask(service, data)
    if isinstance(message, m.RequestReregistration | m.CancelPartyRegistration):
        yield from _join(hub)


def _answer_events(hub: Hub, body: bytes, *, came_at: float) -> Generator[Step, Any, bool]:
    """Answer each event once a version; the opt is the hub's own for good. False when nobody heard it."""
    events = _EVENT.findall(body)
    fresh = []
    for event_id, number in events:
        if hub.answered.get(event_id) != number:
            fresh.append((event_id, number))
            hub.tally.deliveries.setdefault(f"{event_id.decode()}:{number.decode()}", []).append(came_at)
            hub.tally.counts["deliveries"] += 1
    if not fresh or not _WANTS_ANSWER.search(body):
        return True
    request_id = _own_id(body)
    responses = tuple(
        m.EventResponse(m.QualifiedEventId(event_id.decode(), int(number)), _opt(hub, event_id), request_id)
        for event_id, number in fresh
    )
    if hub.home is not None:
        _carry_out(hub.home, body, responses)
    created = m.CreatedEvent(m.EiResponse(request_id=request_id), hub.ven_id, responses)
    reply = yield Ask("EiEvent", rendering.created_event(created))
    if reply.status == 200 and _is_ok(reply.body):
        now = time.time()
        for event_id, number in fresh:
            hub.answered[event_id] = number
            hub.tally.answers.setdefault(f"{event_id.decode()}:{number.decode()}", []).append(now)
        hub.tally.counts["answers"] += 1
        if hub.dice.random() < hub.manners.override:
            yield from _override(hub, fresh[0])
    else:
        hub.tally.counts["answers_refused"] += 1
        if reply.status != 200:
            yield from _refused(hub, reply)
    return reply.status != 0


def _carry_out(home: FleetHome, body: bytes, responses: tuple[m.EventResponse, ...]) -> None:
    """Have the home do what it has said yes to."""
    message = codec.parse(body)
    joined = {each.event.event_id for each in responses if each.opt_type == "optIn"}
    if isinstance(message, m.DistributeEvent):
        for event in message.events:
            if event.event_id in joined:
                home.ask(event)


def _override(hub: Hub, event: tuple[bytes, bytes]) -> Life:
    """The member presses the button after all."""
    event_id, number = event[0].decode(), int(event[1])
    opt = m.CreateOpt(
        _request_id(hub),
        f"OPT-{_request_id(hub)}",
        "optOut",
        "overrideStatus",
        hub.ven_id,
        hub.now(),
        event=m.QualifiedEventId(event_id, number),
    )
    hub.tally.counts["overrides"] += 1
    if hub.home is not None:
        hub.home.let_go(event_id, hub.now())
    yield Ask("EiOpt", codec.serialise(opt))


def _take_requests(hub: Hub, requests: tuple[m.ReportRequest, ...]) -> Life:
    hub.reporting += [each.report_request_id for each in requests]
    if requests:
        created = m.CreatedReport(m.EiResponse(), tuple(hub.reporting), hub.ven_id)
        yield Ask("EiReport", codec.serialise(created))


def _report(hub: Hub) -> Life:
    at = hub.now()
    power_w = 0.0 if hub.home is None else float(hub.home.power_w(at))
    reports = tuple(
        m.Report(
            report_request_id=request_id,
            report_specifier_id="TELEMETRY",
            created_at=at,
            report_name="TELEMETRY_USAGE",
            intervals=(
                m.ReportInterval(
                    (m.ReportValue("power", power_w),),
                    starts_at=at - timedelta(seconds=60),
                    duration_seconds=60,
                ),
            ),
        )
        for request_id in hub.reporting
    )
    hub.tally.counts["reports"] += 1
    reply = yield Ask("EiReport", codec.serialise(m.UpdateReport(_request_id(hub), reports, hub.ven_id)))
    if reply.status != 200:
        yield from _refused(hub, reply)


def _say_garbage(hub: Hub) -> Life:
    hub.tally.counts["garbage"] += 1
    reply = yield Ask("EiEvent", hub.dice.choice(GARBAGE))
    if reply.status >= 500:
        hub.tally.counts["garbage_5xx"] += 1


def _refused(hub: Hub, reply: Reply) -> Life:
    """Count a refusal, and leave the VTN alone for a while."""
    hub.tally.counts[f"http_{reply.status}" if reply.status else "no_contact"] += 1
    wait = reply.retry_seconds if reply.retry_seconds is not None else 1.0
    yield Wait(wait * hub.dice.uniform(1.0, 1.5))


def _offer(hub: Hub) -> m.RegisterReport:
    description = m.ReportDescription(
        r_id="power",
        report_type="usage",
        reading_type="Direct Read",
        unit=WATTS,
        sampling_rate=m.SamplingRate(60, 60, False),
    )
    report = m.Report(
        report_request_id="0",
        report_specifier_id="TELEMETRY",
        created_at=hub.now(),
        report_name="METADATA_TELEMETRY_USAGE",
        duration_seconds=3600,
        descriptions=(description,),
    )
    return m.RegisterReport(_request_id(hub), (report,), hub.ven_id)


def _opt(hub: Hub, event_id: bytes) -> m.OptType:
    draw = hub.dice.random()
    hub.tally.counts["opt_outs"] += draw < hub.manners.opt_out
    return "optOut" if draw < hub.manners.opt_out else "optIn"


def _message(reply: Reply) -> m.Message | None:
    if reply.status != 200 or not reply.body:
        return None
    try:
        return codec.parse(reply.body)
    except Exception:  # noqa: BLE001 - whatever a VTN sends, the fleet goes on and counts it
        return None


def _is_ok(body: bytes) -> bool:
    return b"responseCode>200<" in body


def _own_id(body: bytes) -> str:
    """The message's own request id is its last: the response's comes first."""
    found = _REQUEST_ID.findall(body)
    return found[-1].decode() if found else ""


def _request_id(hub: Hub) -> str:
    return f"{hub.dice.getrandbits(64):016x}"
