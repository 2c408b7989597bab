"""A 2.0a VTN on the home's network, for devices that speak OpenADR themselves (`hems.der_ven`).

Each device has a venID and a password of its own (HTTP Basic) and hears of its own asset's orders only: the
full set, so that what is left out is cancelled. Every order is an event with its own end: a device that has
heard of it needs the hub no more.
"""

from __future__ import annotations

import base64
import hmac
import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from hems.devices import DeviceState, Hold
from hems.drivers.manners import MEMBERS_OVERRIDE, Seen
from hems.drivers.real_device import AssetSettings, RealDevice
from hems.instants import instant_of, second_of
from oadr import simple
from oadr.errors import WireError
from oadr.messages import (
    NOT_RECOGNIZED,
    NOT_REGISTERED,
    ActivePeriod,
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    Event,
    Message,
    RequestEvent,
    Response,
    Signal,
    SignalInterval,
    Target,
)

PATH: Final = "/OpenADR2/Simple/EiEvent"
VTN_ID: Final = "HUB"
MARKET_CONTEXT: Final = "urn:opendsr:hub"
LARGEST_BYTES: Final = 65_536
SILENT_SECONDS: Final = 60
"""A device that has not asked for so long is away; it asks every 15 seconds."""
SOCKET_SECONDS: Final = 10

log = logging.getLogger("hems")


@dataclass
class Listening:
    """What one device is told, and what it said."""

    password: str
    events: tuple[Event, ...] = ()
    opts: dict[str, str] = field(default_factory=dict)
    heard_s: float = 0.0


class LocalVtn:
    """The server. `serve` devices before `start`; `at` is the hub's world time, set as it goes."""

    def __init__(self, host: str, port: int) -> None:
        self._devices: dict[str, Listening] = {}
        self._lock = threading.Lock()
        self.at = datetime.now(UTC)
        vtn = self

        class Handler(_Handler):
            local_vtn = vtn

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="local-vtn", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def serve(self, ven_id: str, password: str) -> Listening:
        """Let a device in."""
        self._devices[ven_id] = Listening(password)
        return self._devices[ven_id]

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def device_of(self, authorization: str) -> tuple[str, Listening] | None:
        """Return who shows this field of the head; None for a stranger."""
        scheme, _, token = authorization.partition(" ")
        try:
            ven_id, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except ValueError:
            return None
        device = self._devices.get(ven_id)
        if scheme.lower() != "basic" or device is None:
            return None
        return (ven_id, device) if hmac.compare_digest(password.encode(), device.password.encode()) else None

    def answer(self, ven_id: str, device: Listening, message: Message) -> Message:
        """Return the reply to one message of a device."""
        with self._lock:
            device.heard_s = self.at.timestamp()
            claimed = getattr(message, "ven_id", "")
            if claimed and claimed != ven_id:
                return Response(EiResponse(NOT_REGISTERED, "another venID than the password's", ""))
            match message:
                case RequestEvent(request_id=request_id):
                    response = EiResponse(description="OK", request_id=request_id)
                    own_id = f"D-{int(device.heard_s * 1000)}"
                    return DistributeEvent(own_id, VTN_ID, device.events, response)
                case CreatedEvent(response=head, event_responses=responses):
                    for each in responses:
                        device.opts[each.event.event_id] = each.opt_type
                    known = {event.event_id for event in device.events}
                    device.opts = {each: opt for each, opt in device.opts.items() if each in known}
                    return Response(EiResponse(description="OK", request_id=head.request_id))
                case Response(response=head):
                    return Response(EiResponse(description="OK", request_id=head.request_id))
                case _:
                    return Response(EiResponse(NOT_RECOGNIZED, "not a message for a VTN", ""))

    def tell(self, device: Listening, events: tuple[Event, ...]) -> None:
        """Replace what a device is told."""
        with self._lock:
            device.events = events

    def heard(self, device: Listening) -> tuple[float, dict[str, str]]:
        """When the device last asked (epoch seconds), and its word on each event."""
        with self._lock:
            return device.heard_s, dict(device.opts)


class OadrDevice(RealDevice):
    """A device that speaks 2.0a. `options`: `ven_id`."""

    def __init__(self, settings: AssetSettings, vtn: LocalVtn, *, password: str) -> None:
        super().__init__(settings)
        self._vtn = vtn
        self._ven_id = str(settings.options["ven_id"])
        self._device = vtn.serve(self._ven_id, password)
        self._told: tuple[Event, ...] = ()

    @property
    def available(self) -> bool:
        return 0 <= self.at_s - self._vtn.heard(self._device)[0] + 1 < SILENT_SECONDS

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        running = {self._id_of(hold) for hold in self._holds if hold.starts_s <= self.at_s < hold.ends_s}
        opts = self._vtn.heard(self._device)[1]
        is_out = any(opts.get(event_id) == "optOut" for event_id in running)
        wanted = self.wish_at(at, Seen(is_overridden=is_out))
        is_guarded = bool(wanted.interlock) and wanted.interlock != MEMBERS_OVERRIDE
        holds = [
            hold
            for hold in self._holds
            if hold.ends_s > self.at_s and hold.direction == "down" and hold.limit_w < self.rated_w
        ]
        if is_guarded:
            holds = [hold for hold in holds if hold.starts_s > self.at_s]
        events = tuple(self._event_of(hold) for hold in holds)
        if events != self._told:
            self._told = events
            self._vtn.tell(self._device, events)
            self.note(", ".join(event.event_id for event in events) or "no event")

    def safe_state(self) -> None:
        self._holds, self._told = (), ()
        self._vtn.tell(self._device, ())

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(
            at, power_w=None, detail="2.0a devices do not tell their power", is_available=self.available
        )

    def close(self) -> None:
        self.safe_state()

    def _id_of(self, hold: Hold) -> str:
        said = f"{self.resource_id}|{hold.starts_s}|{hold.ends_s}|{hold.limit_w}"
        return sha256(said.encode()).hexdigest()[:16]

    def _event_of(self, hold: Hold) -> Event:
        lasting = hold.ends_s - hold.starts_s
        level = level_of(hold.limit_w, self.rated_w)
        signal = Signal("SIMPLE", "level", "0", (SignalInterval(lasting, float(level), "0"),))
        return Event(
            event_id=self._id_of(hold),
            modification_number=0,
            market_context=MARKET_CONTEXT,
            created_at=instant_of(hold.starts_s),
            status="active" if hold.starts_s <= self.at_s else "far",
            active_period=ActivePeriod(instant_of(hold.starts_s), lasting),
            signals=(signal,),
            target=Target(ven_ids=(self._ven_id,)),
        )


def level_of(limit_w: int, rated_w: int) -> int:
    """Return the SIMPLE level of a limit: 3 off, 2 less than half, 1 half or more."""
    if limit_w <= 0:
        return 3
    return 1 if 2 * limit_w >= rated_w else 2


class _Handler(BaseHTTPRequestHandler):
    local_vtn: LocalVtn
    protocol_version = "HTTP/1.1"
    timeout = SOCKET_SECONDS

    def do_GET(self) -> None:
        self._say(405 if self.path == PATH else 404, b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            self._say(411, b"")
            return
        if int(length) > LARGEST_BYTES:
            self.close_connection = True
            self._say(413, b"")
            return
        body = self.rfile.read(int(length))
        known = self.local_vtn.device_of(self.headers.get("Authorization", ""))
        if self.path != PATH:
            self._say(404, b"")
        elif known is None:
            self._say(401, b"")
        else:
            ven_id, device = known
            try:
                message = simple.parse_body(body).message
            except WireError as error:
                log.warning("%s: %s", ven_id, error)
                self._say(400, b"")
                return
            reply = self.local_vtn.answer(ven_id, device, message)
            self._say(200, simple.serialise(reply))

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="OpenADR 2.0a"')
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        log.debug(format, *arguments)
