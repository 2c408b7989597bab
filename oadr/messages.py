"""OpenADR 2.0b messages as frozen values.

What a message says, free of XML. Text that the schema makes optional is "" when
absent, numbers that may be absent are None. Datetimes are aware UTC, durations
whole seconds (negative where the wire allows it), ids plain text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

OptType = Literal["optIn", "optOut", "none"]
"""`none` is read from clients that have not decided yet; it is never written."""

EventStatus = Literal["none", "far", "near", "active", "completed", "cancelled"]

OK = 200
OUT_OF_SEQUENCE = 450
NOT_ALLOWED = 451
INVALID_ID = 452
NOT_RECOGNIZED = 453
INVALID_DATA = 454
COMPLIANCE_ERROR = 459
SIGNAL_NOT_SUPPORTED = 460
REPORT_NOT_SUPPORTED = 461
TARGET_MISMATCH = 462
NOT_REGISTERED = 463
DEPLOYMENT_ERROR = 469


@dataclass(frozen=True, slots=True)
class EiResponse:
    """The outcome of one request; 2xx is success, 4xx the requester's fault."""

    code: int = OK
    description: str = ""
    request_id: str = ""

    @property
    def is_ok(self) -> bool:
        return 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class Unit:
    """What a value counts: the schema's item element by local name, with its SI prefix."""

    name: str
    description: str = ""
    units: str = ""
    scale: str = "none"
    hertz: str = ""
    voltage: str = ""
    is_ac: bool | None = None
    pulse_factor: float | None = None

    @property
    def factor(self) -> float:
        """What its SI prefix multiplies by: 1000 of k; 1 of none, and of one that is not known."""
        return {"k": 1e3, "M": 1e6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "G": 1e9}.get(self.scale, 1.0)


@dataclass(frozen=True, slots=True)
class Target:
    """Who or what a message is for; all empty means the VEN as a whole."""

    ven_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    end_device_assets: tuple[str, ...] = ()
    meter_assets: tuple[str, ...] = ()
    pnodes: tuple[str, ...] = ()
    aggregated_pnodes: tuple[str, ...] = ()
    service_delivery_points: tuple[str, ...] = ()
    service_areas: tuple[str, ...] = ()
    """Each a closed ring as the GML text of its coordinates."""
    service_locations: tuple[str, ...] = ()
    transport_interfaces: tuple[tuple[str, str], ...] = ()
    """Pairs of point of receipt and point of delivery."""


# ---- EiRegisterParty


@dataclass(frozen=True, slots=True)
class QueryRegistration:
    request_id: str


@dataclass(frozen=True, slots=True)
class CreatePartyRegistration:
    request_id: str
    registration_id: str = ""
    ven_id: str = ""
    profile_name: str = "2.0b"
    transport_name: str = "simpleHttp"
    transport_address: str = ""
    is_report_only: bool = False
    has_xml_signature: bool = False
    ven_name: str = ""
    is_http_pull: bool | None = True


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """Key and value pairs one service publishes at registration."""

    service: str
    info: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CreatedPartyRegistration:
    response: EiResponse
    vtn_id: str
    registration_id: str = ""
    ven_id: str = ""
    profiles: tuple[Profile, ...] = (Profile("2.0b", ("simpleHttp",)),)
    poll_seconds: int | None = None
    services: tuple[ServiceInfo, ...] = ()
    extensions: tuple[ServiceInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelPartyRegistration:
    request_id: str
    registration_id: str
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class CanceledPartyRegistration:
    response: EiResponse
    registration_id: str = ""
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class RequestReregistration:
    ven_id: str


# ---- OadrPoll and the general answer


@dataclass(frozen=True, slots=True)
class Poll:
    ven_id: str


@dataclass(frozen=True, slots=True)
class Response:
    response: EiResponse
    ven_id: str = ""


# ---- EiEvent


@dataclass(frozen=True, slots=True)
class QualifiedEventId:
    event_id: str
    modification_number: int


@dataclass(frozen=True, slots=True)
class SignalInterval:
    """One value held for a duration; `uid` counts 0..n-1 inside its signal."""

    duration_seconds: int
    value: float
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    name: str
    type: str
    signal_id: str
    intervals: tuple[SignalInterval, ...]
    target: Target | None = None
    unit: Unit | None = None
    current_value: float | None = None


@dataclass(frozen=True, slots=True)
class ActivePeriod:
    """When the event runs: from `starts_at`, for `duration_seconds` (0 = until cancelled).

    `start_tolerance_seconds` is startafter: the VEN moves start and end by a
    random 0..tolerance (rule 30).
    """

    starts_at: datetime
    duration_seconds: int
    start_tolerance_seconds: int = 0
    notification_seconds: int = 0
    ramp_up_seconds: int = 0
    recovery_seconds: int = 0

    @property
    def ends_at(self) -> datetime | None:
        """End of the half-open active period; None when open-ended."""
        if not self.duration_seconds:
            return None
        return self.starts_at + timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True)
class Event:
    event_id: str
    modification_number: int
    market_context: str
    created_at: datetime
    status: EventStatus
    active_period: ActivePeriod
    signals: tuple[Signal, ...]
    target: Target = field(default_factory=Target)
    is_response_required: bool = True
    priority: int = 0
    """Lower is more urgent, but 0 is no priority: the lowest."""
    test_event: str = "false"
    vtn_comment: str = ""
    modified_at: datetime | None = None
    modification_reason: str = ""

    @property
    def is_test(self) -> bool:
        """Any text but "false" marks a test (rule 6)."""
        return self.test_event.strip().lower() not in ("", "false")


@dataclass(frozen=True, slots=True)
class RequestEvent:
    request_id: str
    ven_id: str
    reply_limit: int | None = None


@dataclass(frozen=True, slots=True)
class DistributeEvent:
    """Every live event of one VEN; an event missing from it is cancelled (rule 61)."""

    request_id: str
    vtn_id: str
    events: tuple[Event, ...] = ()
    response: EiResponse | None = None


@dataclass(frozen=True, slots=True)
class EventResponse:
    """The VEN's answer to one event; `request_id` is that of the DistributeEvent (rule 42)."""

    event: QualifiedEventId
    opt_type: OptType
    request_id: str
    code: int = OK
    description: str = ""


@dataclass(frozen=True, slots=True)
class CreatedEvent:
    response: EiResponse
    ven_id: str
    event_responses: tuple[EventResponse, ...] = ()


# ---- EiOpt


@dataclass(frozen=True, slots=True)
class AvailablePeriod:
    starts_at: datetime
    duration_seconds: int


@dataclass(frozen=True, slots=True)
class CreateOpt:
    """An opt for one event (`event` set) or a schedule (`availability` set)."""

    request_id: str
    opt_id: str
    opt_type: OptType
    opt_reason: str
    ven_id: str
    created_at: datetime
    event: QualifiedEventId | None = None
    target: Target = field(default_factory=Target)
    market_context: str = ""
    availability: tuple[AvailablePeriod, ...] | None = None
    device_class: Target | None = None


@dataclass(frozen=True, slots=True)
class CreatedOpt:
    response: EiResponse
    opt_id: str


@dataclass(frozen=True, slots=True)
class CancelOpt:
    request_id: str
    opt_id: str
    ven_id: str


@dataclass(frozen=True, slots=True)
class CanceledOpt:
    response: EiResponse
    opt_id: str = ""


# ---- EiReport


@dataclass(frozen=True, slots=True)
class SamplingRate:
    min_seconds: int
    max_seconds: int
    is_on_change: bool = False


@dataclass(frozen=True, slots=True)
class ReportDescription:
    """One data point a METADATA report offers."""

    r_id: str
    report_type: str
    reading_type: str
    unit: Unit | None = None
    subject: Target | None = None
    data_source: Target | None = None
    market_context: str = ""
    sampling_rate: SamplingRate | None = None


@dataclass(frozen=True, slots=True)
class LoadControlState:
    current: float
    minimum: float | None = None
    maximum: float | None = None
    normal: float | None = None


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    is_online: bool
    is_manual_override: bool
    capacity: LoadControlState | None = None
    level_offset: LoadControlState | None = None
    percent_offset: LoadControlState | None = None
    set_point: LoadControlState | None = None


@dataclass(frozen=True, slots=True)
class ReportValue:
    """One data point's value in an interval: a number, or a resource's status."""

    r_id: str
    value: float | ResourceStatus
    data_quality: str = ""
    confidence: int | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class ReportInterval:
    values: tuple[ReportValue, ...]
    starts_at: datetime | None = None
    duration_seconds: int | None = None
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A METADATA report (descriptions) or a data report (intervals)."""

    report_request_id: str
    report_specifier_id: str
    created_at: datetime
    report_name: str = ""
    report_id: str = ""
    starts_at: datetime | None = None
    duration_seconds: int | None = None
    descriptions: tuple[ReportDescription, ...] = ()
    intervals: tuple[ReportInterval, ...] = ()


@dataclass(frozen=True, slots=True)
class SpecifierPayload:
    r_id: str
    reading_type: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What one party asks the other to report; `report_back_seconds` 0 = one shot (rule 324)."""

    report_request_id: str
    report_specifier_id: str
    granularity_seconds: int
    report_back_seconds: int
    payloads: tuple[SpecifierPayload, ...]
    interval: ActivePeriod | None = None


@dataclass(frozen=True, slots=True)
class RegisterReport:
    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str = ""
    report_request_id: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredReport:
    response: EiResponse
    report_requests: tuple[ReportRequest, ...] = ()
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class CreateReport:
    request_id: str
    report_requests: tuple[ReportRequest, ...]
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class CreatedReport:
    response: EiResponse
    pending_report_ids: tuple[str, ...] = ()
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class UpdateReport:
    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class CancelReport:
    request_id: str
    report_request_ids: tuple[str, ...]
    is_report_to_follow: bool = False
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class UpdatedReport:
    response: EiResponse
    cancel_report: CancelReport | None = None
    ven_id: str = ""


@dataclass(frozen=True, slots=True)
class CanceledReport:
    response: EiResponse
    pending_report_ids: tuple[str, ...] = ()
    ven_id: str = ""


Message = (
    QueryRegistration
    | CreatePartyRegistration
    | CreatedPartyRegistration
    | CancelPartyRegistration
    | CanceledPartyRegistration
    | RequestReregistration
    | Poll
    | Response
    | RequestEvent
    | DistributeEvent
    | CreatedEvent
    | CreateOpt
    | CreatedOpt
    | CancelOpt
    | CanceledOpt
    | RegisterReport
    | RegisteredReport
    | CreateReport
    | CreatedReport
    | UpdateReport
    | UpdatedReport
    | CancelReport
    | CanceledReport
)
