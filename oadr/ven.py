"""The VEN's side of OpenADR 2.0b over a line: registration, events, opts, reports.

Says and hears; decides nothing about events: what comes in goes to a `Home`, whose answer goes out. A hub
speaks so with the co-op's VTN, the co-op with a network operator's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

from oadr import codec
from oadr.errors import LinkError, Refused, WireError
from oadr.messages import (
    INVALID_ID,
    NOT_REGISTERED,
    OUT_OF_SEQUENCE,
    REPORT_NOT_SUPPORTED,
    AvailablePeriod,
    CanceledOpt,
    CanceledPartyRegistration,
    CanceledReport,
    CancelOpt,
    CancelPartyRegistration,
    CancelReport,
    CreatedEvent,
    CreatedOpt,
    CreatedPartyRegistration,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    OptType,
    Poll,
    QualifiedEventId,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportRequest,
    RequestEvent,
    RequestReregistration,
    Response,
    Target,
    UpdatedReport,
    UpdateReport,
)

log = logging.getLogger("oadr")

METADATA = "METADATA"
NOT_PARTICIPATING = "notParticipating"
MQTT_KEY = "mqtt"
"""Names the broker among what the VTN says of its services."""
NO_SUCH_SERVICE = (404, 405, 501)
BUSY = (429, 502, 503, 504)
MOST_REFUSALS = 3
"""Of one report, after which it is given up: a VTN that breaks over it would for ever."""
LONGEST_BURST = 50
"""Messages taken from the VTN's queue in one go."""
SIMPLE_HTTP, XMPP = "simpleHttp", "xmpp"
"""The two transports that the schema knows; MQTT goes by the name of the other (decision 0016)."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Who the VTN says this VEN is; all empty until it has said so."""

    ven_id: str = ""
    registration_id: str = ""
    vtn_id: str = ""
    poll_seconds: int | None = None
    mqtt_url: str = ""
    transport: str = SIMPLE_HTTP
    is_signed: bool = False

    @property
    def is_known(self) -> bool:
        return bool(self.ven_id and self.registration_id)


@dataclass(frozen=True, slots=True)
class OptNote:
    """A word about an event that the VTN has yet to hear; `opt_id` makes telling it twice harmless."""

    opt_id: str
    event_id: str
    modification_number: int
    market_context: str
    opt: OptType
    reason: str
    said_at: datetime


class Absence(Protocol):
    """[starts_at, ends_at) without some resources or, without `resource_ids`, without all."""

    @property
    def opt_id(self) -> str: ...

    @property
    def starts_at(self) -> datetime: ...

    @property
    def ends_at(self) -> datetime: ...

    @property
    def resource_ids(self) -> tuple[str, ...]: ...


class ScheduleNote(Protocol):
    """An absence that the VTN has yet to hear of, or that it is over before its time."""

    @property
    def absence(self) -> Absence: ...

    @property
    def said_at(self) -> datetime: ...

    @property
    def is_cancelled(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Pushed:
    """A message that the VTN began, and how to answer it."""

    message: Message
    answer: Callable[[Message], None]


class Unregistered(LinkError):
    """The VTN does not know this registration (any more)."""


class Protest(LinkError):
    """The VTN answered with an error, or with a message that is no answer."""


class Line(Protocol):
    """What carries messages."""

    @property
    def is_pushed_to(self) -> bool:
        """The VTN speaks of its own accord: there is no polling."""

    @property
    def is_signed(self) -> bool:
        """Both sides sign."""

    def exchange(self, service: str, message: Message) -> Message:
        """Ask the VTN, and return its answer; raises LinkError."""

    def pushed(self) -> Pushed | None:
        """Return what the VTN has begun to say, oldest first; raises LinkError."""

    def session(self) -> Hashable:
        """Return what changes whenever something that was said may have been lost."""


class Home(Protocol):
    """Who decides about what the VTN says, and keeps it before it is answered."""

    def registered(self, registration: Registration) -> None:
        """The VTN has said who this VEN is."""

    def take_events(self, message: DistributeEvent) -> Sequence[EventResponse]:
        """Take the full set of events; return what to answer."""

    def let_go(self) -> None:
        """The VTN has cancelled the registration."""

    def report_offers(self) -> tuple[Report, ...]:
        """What this home can report."""

    def take_report_requests(self, requests: Sequence[ReportRequest]) -> list[str]:
        """Run the requests; return the ids of those that ask for what is not offered."""

    def reports_running(self) -> tuple[str, ...]:
        """The ids of the requests that run."""

    def cancel_reports(self, report_request_ids: Sequence[str]) -> None:
        """End requests."""

    def reports_due(self, of: Sequence[str] | None = None) -> tuple[Report, ...]:
        """The data reports to be told now; `of` some requests: whatever there is for them."""

    def reports_heard(self, reports: Sequence[Report]) -> None:
        """The VTN has taken them."""

    def opts_waiting(self) -> Sequence[OptNote]:
        """What the member has said that the VTN has yet to hear, oldest first."""

    def version_of(self, note: OptNote) -> int:
        """The modification number now in force of the event the note is about."""

    def opt_heard(self, note: OptNote) -> None:
        """The VTN has heard it, or will never want to."""

    def schedules_waiting(self) -> Sequence[ScheduleNote]:
        """What the member has said of absences that the VTN has yet to hear, oldest first."""

    def schedule_heard(self, note: ScheduleNote) -> None:
        """The VTN has heard it, or will never want to."""


Answer = TypeVar("Answer")


class Ven:
    """One conversation. `contact()` is one round: register if need be, tell opts, fetch what waits."""

    def __init__(
        self,
        line: Line,
        home: Home,
        *,
        name: str,
        registration: Registration,
        wants_push: bool = False,
        is_checked: bool = False,
        is_full_set_due: bool = True,
    ) -> None:
        """`wants_push`: register to be spoken to over MQTT, where the VTN offers it. A conversation that is
        carried on has its registration checked, and no need of the full set of events.
        """
        self._line, self._home, self._name = line, home, name
        self.registration = registration
        self._wants_push = wants_push
        self._is_checked = is_checked
        self._is_full_set_due = is_full_set_due
        self._session: Hashable = None if is_full_set_due else line.session()
        self._refusals: dict[str, int] = {}
        self._takes_bulk = True

    def contact(self) -> None:
        """Do one round; raises LinkError when it breaks off. What was taken by then stays taken."""
        try:
            if not self._is_checked:
                self.register()
            if self.registration.is_signed != self._line.is_signed:
                self.register()
            if self._line.session() != self._session:
                self._is_full_set_due = True
            self._tell_schedules()
            self._tell_opts()
            if self._is_full_set_due:
                self._request_events()
            self._drain()
            self._tell_reports()
        except Unregistered:
            self._is_checked = False
            self._is_full_set_due = True
            raise
        except LinkError:
            self._is_full_set_due = True
            raise

    def register(self) -> None:
        """Learn or make the registration. Asking first makes it safe to repeat after any lost answer."""
        answer = self._ask(
            "EiRegisterParty", QueryRegistration(request_id=_request_id()), CreatedPartyRegistration
        )
        held = replace(
            _registration_of(answer),
            transport=self.registration.transport,
            is_signed=self.registration.is_signed,
        )
        if not held.is_known or held.registration_id != self.registration.registration_id:
            known = held if held.is_known else replace(self.registration, mqtt_url=held.mqtt_url)
            held = self._make(known)
        is_as_held = held.transport == self._transport_for(held) and held.is_signed == self._line.is_signed
        if not is_as_held:  # its venID may be known only now
            held = self._make(held)
        registration = held
        if not registration.is_known:
            raise Protest("registration without venID or registrationID")
        self.registration, self._takes_bulk = registration, True
        self._home.registered(registration)
        try:
            self._offer_reports()
        except Refused as error:
            # A VTN that cannot take an offer of reports still has events to tell.
            log.warning("%s: the offer of reports is refused: %s", self._name, error)
        self._is_checked = True

    def _offer_reports(self, request_id: str = "") -> None:
        """Say what this home can report, and take up what is asked for in the answer."""
        ven_id = self.registration.ven_id
        offered = RegisterReport(_request_id(), self._home.report_offers(), ven_id, request_id)
        answer = self._line.exchange("EiReport", offered)
        response = getattr(answer, "response", None)
        if isinstance(response, EiResponse) and response.code == NOT_REGISTERED:
            raise Unregistered(_reason(response))
        if isinstance(answer, RegisteredReport) and answer.report_requests:
            self._answer("EiReport", self._take_requests(answer.report_requests, _request_id()))

    def _take_requests(self, requests: Sequence[ReportRequest], request_id: str) -> CreatedReport:
        """Run what is asked for; the answer names every request that runs."""
        refused = self._home.take_report_requests(requests)
        response = EiResponse(request_id=request_id)
        if refused:
            reason = f"not offered here: {', '.join(refused)}"[:200]
            response = EiResponse(REPORT_NOT_SUPPORTED, reason, request_id)
        return CreatedReport(response, self._home.reports_running(), self.registration.ven_id)

    def _tell_reports(self, of: Sequence[str] | None = None) -> None:
        """Tell what is due, all in one message; where the VTN does not take that, each report by itself, so
        that one which it cannot take holds up no other.
        """
        for _ in range(LONGEST_BURST):
            reports = self._home.reports_due(of)
            if not reports:
                return
            if len(reports) > 1 and self._takes_bulk and self._tell_together(reports):
                continue
            for report in reports:
                self._tell_report(report)

    def _tell_together(self, reports: Sequence[Report]) -> bool:
        """Tell several reports in one message; False when the VTN does not take them so."""
        try:
            update = UpdateReport(_request_id(), tuple(reports), self.registration.ven_id)
            answer = self._ask("EiReport", update, UpdatedReport)
        except Refused as error:
            if error.status in BUSY:
                raise
            self._takes_bulk = False
            return False
        if answer.response.code == NOT_REGISTERED:
            raise Unregistered(_reason(answer.response))
        if not answer.response.is_ok:
            self._takes_bulk = False
            return False
        self._told(reports, answer)
        return True

    def _told(self, reports: Sequence[Report], answer: UpdatedReport) -> None:
        self._home.reports_heard(reports)
        if answer.cancel_report is not None:
            self._home.cancel_reports(answer.cancel_report.report_request_ids)

    def _tell_report(self, report: Report) -> None:
        name = report.report_request_id
        try:
            update = UpdateReport(_request_id(), (report,), self.registration.ven_id)
            answer = self._ask("EiReport", update, UpdatedReport)
        except Refused as error:
            self._refusals[name] = self._refusals.get(name, 0) + 1
            if error.status in BUSY or self._refusals[name] < MOST_REFUSALS:
                raise
            log.warning("%s: report %s is given up: %s", self._name, name, error)
            self._home.reports_heard((report,))
            return
        self._refusals.pop(name, None)
        if answer.response.code == NOT_REGISTERED:
            raise Unregistered(_reason(answer.response))
        # What it refuses in so many words it would refuse again: told once is told.
        self._told((report,), answer)

    def _make(self, known: Registration) -> Registration:
        """Register, or register again as `known`; raises Protest."""
        transport = self._transport_for(known)
        answer = self._create(known, transport)
        if not answer.response.is_ok and transport == XMPP:
            log.warning("%s: polls, MQTT is refused: %s", self._name, _reason(answer.response))
            self._wants_push, transport = False, SIMPLE_HTTP
            answer = self._create(known, transport)
        if not answer.response.is_ok and known.is_known:
            # The VTN has forgotten a registration that this hub still held.
            answer = self._create(Registration(), transport := SIMPLE_HTTP)
        if not answer.response.is_ok:
            raise Protest(f"registration refused: {_reason(answer.response)}")
        return replace(_registration_of(answer), transport=transport, is_signed=self._line.is_signed)

    def _transport_for(self, known: Registration) -> str:
        """MQTT is for who wants it and knows its venID, where the VTN names a broker."""
        is_push = self._wants_push and known.ven_id and known.mqtt_url
        return XMPP if is_push else SIMPLE_HTTP

    def _create(self, known: Registration, transport: str) -> CreatedPartyRegistration:
        is_push = transport == XMPP
        request = CreatePartyRegistration(
            request_id=_request_id(),
            registration_id=known.registration_id,
            ven_id=known.ven_id,
            transport_name=transport,
            transport_address=f"{MQTT_KEY}:{known.ven_id}" if is_push else "",
            has_xml_signature=self._line.is_signed,
            ven_name=self._name,
            is_http_pull=None if is_push else True,
        )
        return self._ask("EiRegisterParty", request, CreatedPartyRegistration)

    def _tell_schedules(self) -> None:
        for note in self._home.schedules_waiting():
            try:
                response = self._tell_schedule(note)
            except Refused as error:
                if error.status not in NO_SUCH_SERVICE:
                    raise
                log.warning("%s: the VTN takes no schedules: %s", self._name, error)
            else:
                if response.code == NOT_REGISTERED:
                    raise Unregistered(_reason(response))
            self._home.schedule_heard(note)

    def _tell_schedule(self, note: ScheduleNote) -> EiResponse:
        absence, ven_id = note.absence, self.registration.ven_id
        if note.is_cancelled:
            answer = self._line.exchange("EiOpt", CancelOpt(_request_id(), absence.opt_id, ven_id))
            if isinstance(answer, CanceledOpt | Response):
                return answer.response
            raise Protest(f"{type(answer).__name__} is no answer to CancelOpt")
        lasting = absence.ends_at - absence.starts_at
        request = CreateOpt(
            request_id=_request_id(),
            opt_id=absence.opt_id,
            opt_type="optOut",
            opt_reason=NOT_PARTICIPATING,
            ven_id=ven_id,
            created_at=note.said_at,
            target=Target(ven_ids=(ven_id,), resource_ids=absence.resource_ids),
            availability=(AvailablePeriod(absence.starts_at, int(lasting.total_seconds())),),
        )
        return self._ask("EiOpt", request, CreatedOpt).response

    def _tell_opts(self) -> None:
        for note in self._home.opts_waiting():
            try:
                response = self._tell_opt(note, note.modification_number)
            except Refused as error:
                if error.status not in NO_SUCH_SERVICE:
                    raise
                log.warning("%s: the VTN takes no opts: %s", self._name, error)
                self._home.opt_heard(note)
                continue
            if response.code == OUT_OF_SEQUENCE:
                # The event has changed meanwhile: learn its version, and say it again about that one.
                self._request_events()
                number = self._home.version_of(note)
                response = self._tell_opt(note, number) if number != note.modification_number else response
            if response.code == NOT_REGISTERED:
                raise Unregistered(_reason(response))
            self._home.opt_heard(note)

    def _tell_opt(self, note: OptNote, modification_number: int) -> EiResponse:
        request = CreateOpt(
            request_id=_request_id(),
            opt_id=note.opt_id,
            opt_type=note.opt,
            opt_reason=note.reason,
            ven_id=self.registration.ven_id,
            created_at=note.said_at,
            event=QualifiedEventId(note.event_id, modification_number),
            target=Target(ven_ids=(self.registration.ven_id,)),
            market_context=note.market_context,
        )
        return self._ask("EiOpt", request, CreatedOpt).response

    def _request_events(self) -> None:
        session = self._line.session()
        request = RequestEvent(_request_id(), self.registration.ven_id)
        answer = self._line.exchange("EiEvent", request)
        if isinstance(answer, DistributeEvent):
            self._distribute(answer)
        elif isinstance(answer, Response):
            # openleadr's VTN says so when it has nothing new: no set, so nothing in it and nothing missing.
            self._require(answer.response)
        else:
            raise Protest(f"{type(answer).__name__} is no answer to RequestEvent")
        self._is_full_set_due, self._session = False, session

    def _drain(self) -> None:
        """Take what waits: what was pushed, and where nothing is, what a poll brings."""
        for _ in range(LONGEST_BURST):
            pushed = self._line.pushed()
            if pushed is not None:
                self._take_pushed(pushed)
                continue
            if self._line.is_pushed_to:
                return
            answer = self._line.exchange("OadrPoll", Poll(self.registration.ven_id))
            if isinstance(answer, Response):
                self._require(answer.response)
                return
            self._react(answer, self._answer)

    def _take_pushed(self, pushed: Pushed) -> None:
        message = pushed.message
        if isinstance(message, DistributeEvent):  # its reply says only that it came; opts go as ever
            heard = EiResponse(request_id=message.request_id)
            pushed.answer(Response(heard, self.registration.ven_id))
        self._react(message, lambda _service, answer: pushed.answer(answer))

    def _react(self, message: Message, say: Callable[[str, Message], None]) -> None:
        """Do as the manners of the protocol want with one message of the VTN's; `say` carries the answer."""
        ven_id = self.registration.ven_id
        if isinstance(message, DistributeEvent):
            self._distribute(message)
        elif isinstance(message, RequestReregistration):
            say("EiRegisterParty", Response(EiResponse(), ven_id))
            self.register()
        elif isinstance(message, CancelPartyRegistration):
            self._cancelled(message, say)
        elif isinstance(message, RegisterReport):
            say("EiReport", RegisteredReport(EiResponse(request_id=message.request_id), (), ven_id))
        elif isinstance(message, CreateReport):
            asked = [each for each in message.report_requests if each.report_specifier_id != METADATA]
            say("EiReport", self._take_requests(asked, message.request_id))
            for each in message.report_requests:
                if each.report_specifier_id == METADATA:
                    self._offer_reports(each.report_request_id)
        elif isinstance(message, CancelReport):
            if message.is_report_to_follow:
                self._tell_reports(message.report_request_ids)
            self._home.cancel_reports(message.report_request_ids)
            response = EiResponse(request_id=message.request_id)
            say("EiReport", CanceledReport(response, self._home.reports_running(), ven_id))
        elif isinstance(message, UpdateReport):
            say("EiReport", UpdatedReport(EiResponse(request_id=message.request_id), ven_id=ven_id))
        else:
            raise Protest(f"{type(message).__name__} is nothing that a VTN begins")

    def _distribute(self, message: DistributeEvent) -> None:
        if message.response is not None and not message.response.is_ok:
            # An error tells nothing about events: taking it as the full set would cancel them all.
            self._require(message.response)
        responses = self._home.take_events(message)
        if responses:
            head = EiResponse(request_id=message.request_id)
            self._answer("EiEvent", CreatedEvent(head, self.registration.ven_id, tuple(responses)))

    def _cancelled(self, message: CancelPartyRegistration, say: Callable[[str, Message], None]) -> None:
        is_ours = message.registration_id == self.registration.registration_id
        response = EiResponse(200 if is_ours else INVALID_ID, request_id=message.request_id)
        answer = CanceledPartyRegistration(response, message.registration_id, self.registration.ven_id)
        if is_ours:
            self._home.let_go()
        say("EiRegisterParty", answer)
        if is_ours:
            self.registration = replace(self.registration, registration_id="")
            raise Unregistered("the VTN cancelled the registration")

    def _answer(self, service: str, message: Message) -> None:
        """Send something whose answer matters only if it says this VEN is unknown."""
        answer = self._line.exchange(service, message)
        response = getattr(answer, "response", None)
        if isinstance(response, EiResponse) and response.code == NOT_REGISTERED:
            raise Unregistered(_reason(response))

    def _ask(self, service: str, message: Message, wanted: type[Answer]) -> Answer:
        answer = self._line.exchange(service, message)
        if isinstance(answer, wanted):
            return answer
        if isinstance(answer, Response):
            self._require(answer.response)
        raise Protest(f"{type(answer).__name__} is no answer to {type(message).__name__}")

    def _require(self, response: EiResponse) -> None:
        if response.code in (NOT_REGISTERED, INVALID_ID):
            raise Unregistered(_reason(response))
        if not response.is_ok:
            raise Protest(_reason(response))


def reason_in(answer: bytes) -> str:
    """Return why a VTN refuses, when it says so in an oadrResponse."""
    try:
        message = codec.parse(answer)
    except WireError:
        return ""
    return message.response.description[:100] if isinstance(message, Response) else ""


def _registration_of(answer: CreatedPartyRegistration) -> Registration:
    urls = [value for service in answer.services for key, value in service.info if key == MQTT_KEY]
    return Registration(
        answer.ven_id, answer.registration_id, answer.vtn_id, answer.poll_seconds, urls[0] if urls else ""
    )


def _reason(response: EiResponse) -> str:
    return f"{response.code} {response.description}".strip()


def _request_id() -> str:
    return os.urandom(16).hex()
