"""The API's shapes: what it takes, checked field by field, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final, cast

from rest_framework import serializers

from vtn import contexts, repeating, ven_page
from vtn.content import EventContent, SignalContent
from vtn.event_form import MOST_INTERVALS
from vtn.port import VenId
from vtn.requests import LARGEST_CSR_BYTES
from vtn.sending import lasting
from vtn.signals import UNITS

LONGEST_SECONDS: Final = 2**31 - 1
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TARGET_KINDS: Final = (
    "group_id",
    "group_name",
    "party_id",
    "pnode",
    "aggregated_pnode",
    "meter_asset",
    "end_device_asset",
    "service_delivery_point",
    "service_area",
    "service_location",
    "transport_interface",
)


class Strict(serializers.Serializer[Any]):
    """Names every field it does not know, so that a slip of the pen is not lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := set(data) - set(self.fields)):
            known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            raise serializers.ValidationError(
                {name: [f"unknown field: use {known}"] for name in sorted(unknown)}
            )
        return super().to_internal_value(data)


class UtcField(serializers.DateTimeField):
    """An instant with its offset, kept in UTC; one without is refused rather than guessed."""

    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, str) and not (
            value.endswith(("Z", "z")) or "+" in value[10:] or "-" in value[10:]
        ):
            raise serializers.ValidationError("write the offset: 2026-11-24T17:00:00Z")
        try:
            return super().to_internal_value(value).astimezone(UTC)
        except OverflowError:
            raise serializers.ValidationError("write a time of this century") from None


def _require_uri(value: str) -> None:
    if not contexts.is_sendable(value):
        raise serializers.ValidationError("write a URI without spaces: http://coop.example/turn-down")


# ---- VENs


class VenSerializer(serializers.Serializer[Any]):
    """A VEN with all that is known of it."""

    ven_id = serializers.CharField()
    ven_name = serializers.CharField()
    is_registered = serializers.BooleanField()
    registered_at = serializers.DateTimeField(allow_null=True)
    enrolled_at = serializers.DateTimeField()
    is_online = serializers.BooleanField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    certificate_not_after = serializers.DateTimeField(allow_null=True)
    certificate_days_left = serializers.IntegerField(allow_null=True)
    transport = serializers.CharField()
    profile = serializers.CharField()
    security = serializers.CharField()
    is_report_only = serializers.BooleanField()
    poll_seconds = serializers.IntegerField()
    push_url = serializers.CharField()
    software = serializers.CharField()
    quirks = serializers.ListField(child=serializers.CharField())
    clock_skew_seconds = serializers.IntegerField(allow_null=True)
    undelivered = serializers.IntegerField()


class VenEnrolSerializer(Strict):
    """A new VEN, from its hub's signing request."""

    ven_name = serializers.CharField(
        max_length=128, help_text="Such as a serial number, never a person's name."
    )
    csr_pem = serializers.CharField(max_length=LARGEST_CSR_BYTES)


class CsrSerializer(Strict):
    """Another certificate for a known VEN."""

    csr_pem = serializers.CharField(max_length=LARGEST_CSR_BYTES)
    revoke_others = serializers.BooleanField(default=False)


class EnrolledSerializer(serializers.Serializer[Any]):
    """The certificate, and the CA's that the hub trusts the VTN by."""

    ven_id = serializers.CharField()
    certificate_pem = serializers.CharField()
    ca_pem = serializers.CharField()
    fingerprint = serializers.CharField()


class CodeAskSerializer(Strict):
    """A one-time code for a hub to enrol itself by; with `ven_id` it takes that VEN's place."""

    subject = serializers.CharField(max_length=64)
    ven_name = serializers.CharField(max_length=128, default="", allow_blank=True)
    ven_id = serializers.CharField(max_length=64, required=False, allow_null=True, default=None)


class CodeSerializer(serializers.Serializer[Any]):
    """The code, told this once."""

    subject = serializers.CharField()
    code = serializers.CharField()
    expires_at = serializers.DateTimeField()


class VenChangeSerializer(Strict):
    """What of a VEN can be changed."""

    ven_name = serializers.CharField(max_length=128, required=False)
    poll_seconds = serializers.IntegerField(min_value=1, max_value=86_400, required=False, allow_null=True)
    security = serializers.ChoiceField(choices=["standard", "high"], required=False)
    push_url = serializers.CharField(max_length=300, required=False, allow_blank=True)


class CertificateSerializer(serializers.Serializer[Any]):
    """A certificate that speaks, or spoke, for a VEN."""

    ven_id = serializers.CharField()
    fingerprint = serializers.CharField()
    serial = serializers.CharField()
    issuer = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    is_in_force = serializers.BooleanField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revocation_reason = serializers.CharField()


class ReasonSerializer(Strict):
    """Why."""

    reason = serializers.CharField(max_length=200)


class OptionalReasonSerializer(Strict):
    """Why, if there is anything to say."""

    reason = serializers.CharField(max_length=200, default="", allow_blank=True)


class RevokedSerializer(serializers.Serializer[Any]):
    """How many certificates were ended."""

    revoked = serializers.IntegerField()


class QueuedSerializer(serializers.Serializer[Any]):
    """A message on its way to a VEN."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    state = serializers.CharField()
    queued_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    answer_code = serializers.IntegerField(allow_null=True)


class OptSerializer(serializers.Serializer[Any]):
    """What a VEN said about one event."""

    event_id = serializers.CharField()
    opt = serializers.CharField()
    modification_number = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    reason = serializers.CharField()
    opt_id = serializers.CharField()
    resource_ids = serializers.ListField(child=serializers.CharField())
    received_at = serializers.DateTimeField()


class PeriodSerializer(serializers.Serializer[Any]):
    """One stretch of an opt schedule."""

    starts_at = serializers.DateTimeField()
    duration_seconds = serializers.IntegerField()


class OptScheduleSerializer(serializers.Serializer[Any]):
    """A VEN's standing advice."""

    opt_id = serializers.CharField()
    opt = serializers.CharField()
    reason = serializers.CharField()
    market_context = serializers.CharField()
    resource_ids = serializers.ListField(child=serializers.CharField())
    periods = PeriodSerializer(many=True)
    received_at = serializers.DateTimeField()
    cancelled_at = serializers.DateTimeField(allow_null=True)


class ResourceSerializer(serializers.Serializer[Any]):
    """A resource id that a VEN was addressed by, opted for or reports of."""

    resource_id = serializers.CharField()


class MessageSerializer(serializers.Serializer[Any]):
    """One exchange of the message log; bodies are redacted, and null for those who may not read them."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    ven_id = serializers.CharField(allow_null=True)
    direction = serializers.CharField()
    transport = serializers.CharField()
    service = serializers.CharField()
    message = serializers.CharField()
    reply = serializers.CharField()
    code = serializers.CharField()
    http_status = serializers.IntegerField()
    is_refused = serializers.BooleanField()
    reason = serializers.CharField()
    tolerances = serializers.ListField(child=serializers.CharField())
    request_bytes = serializers.IntegerField()
    reply_bytes = serializers.IntegerField()
    request_body = serializers.CharField(allow_null=True)
    reply_body = serializers.CharField(allow_null=True)


class GroupSerializer(Strict):
    """VENs that are addressed together."""

    name = serializers.SlugField(max_length=64)
    description = serializers.CharField(max_length=200, default="", allow_blank=True)
    ven_ids = serializers.ListField(
        child=serializers.CharField(max_length=64), max_length=10_000, default=list
    )


class MarketContextSerializer(serializers.Serializer[Any]):
    """A market context that is named, run or used."""

    id = serializers.IntegerField(allow_null=True, help_text="Null: nobody has named it.")
    market_context = serializers.CharField(help_text="The URI that VENs read.")
    name = serializers.CharField()
    description = serializers.CharField()
    programme = serializers.CharField(help_text="What the house runs in it.")
    events = serializers.IntegerField(help_text="Those that start from 31 days ago on.")
    latest_starts_at = serializers.DateTimeField(allow_null=True)


class ContextNameSerializer(Strict):
    """A market context and what staff call it."""

    market_context = serializers.CharField(max_length=200)
    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=200, default="", allow_blank=True)


class ConfigurationSerializer(serializers.Serializer[Any]):
    """How this VTN is set up; nothing secret."""

    vtn_id = serializers.CharField()
    profiles = serializers.ListField(child=serializers.CharField())
    poll_seconds = serializers.IntegerField()
    keeps_bodies = serializers.BooleanField()
    body_days = serializers.IntegerField()
    log_days = serializers.IntegerField()
    report_rules = serializers.ListField(child=serializers.DictField())
    rights = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))


# ---- events


class IntervalSerializer(Strict):
    """One value for a while."""

    duration_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS)
    value = serializers.FloatField()


class SignalSerializer(Strict):
    """One line of instruction."""

    name = serializers.CharField(max_length=60)
    type = serializers.CharField(max_length=60)
    unit = serializers.ChoiceField(choices=["", *UNITS], default="", allow_blank=True)
    device_classes = serializers.ListField(
        child=serializers.CharField(max_length=100), default=list, max_length=50
    )
    intervals = IntervalSerializer(many=True, allow_empty=False, max_length=MOST_INTERVALS)  # type: ignore[call-arg]


class TargetSerializer(Strict):
    """Whom or what of the VEN it is for."""

    kind = serializers.ChoiceField(choices=TARGET_KINDS)
    id = serializers.CharField(max_length=200)


class ContentSerializer(Strict):
    """An event without its VEN; it lasts as long as its first signal, 0 seconds being until cancelled."""

    market_context = serializers.CharField(max_length=200, validators=[_require_uri])
    starts_at = UtcField()
    signals = SignalSerializer(many=True, allow_empty=False, max_length=20)  # type: ignore[call-arg]
    notification_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS, default=0)
    ramp_up_seconds = serializers.IntegerField(
        min_value=-LONGEST_SECONDS, max_value=LONGEST_SECONDS, default=0
    )
    recovery_seconds = serializers.IntegerField(
        min_value=-LONGEST_SECONDS, max_value=LONGEST_SECONDS, default=0
    )
    start_tolerance_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS, default=0)
    priority = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS, default=0)
    response_required = serializers.BooleanField(default=True)
    test = serializers.BooleanField(default=False)
    comment = serializers.CharField(max_length=500, default="", allow_blank=True)
    resource_ids = serializers.ListField(
        child=serializers.CharField(max_length=64), default=list, max_length=200
    )
    targets = TargetSerializer(many=True, default=list, max_length=200)  # type: ignore[call-arg]


class EventWriteSerializer(ContentSerializer):
    """An event and the VENs it is for; with `publish` false it is kept as a draft."""

    ven_ids = serializers.ListField(
        child=serializers.CharField(max_length=64), default=list, max_length=10_000
    )
    groups = serializers.ListField(child=serializers.CharField(max_length=64), default=list, max_length=100)
    publish = serializers.BooleanField(default=True)


class EventChangeSerializer(ContentSerializer):
    """The content that takes the place of an event's; the reason goes out with it."""

    reason = serializers.CharField(max_length=200, default="", allow_blank=True)


class SeriesWriteSerializer(EventWriteSerializer):
    """An event and on which weekdays, until which day it is repeated, at the UK local time of its start."""

    repeat_on = serializers.MultipleChoiceField(choices=WEEKDAYS, allow_empty=False)
    repeat_until = serializers.DateField(help_text="The last UK civil day, included.")
    skips_holidays = serializers.BooleanField(
        default=False, help_text="Not on bank holidays of England and Wales."
    )


class SentSerializer(serializers.Serializer[Any]):
    """Which event each VEN got, or the draft."""

    draft_id = serializers.UUIDField(allow_null=True)
    event_ids = serializers.DictField(child=serializers.CharField(), help_text="Event id by VEN id.")


class PreviewSerializer(serializers.Serializer[Any]):
    """Who gets it, and the documents of the first few."""

    ven_ids = serializers.ListField(child=serializers.CharField())
    documents = serializers.DictField(child=serializers.CharField(), help_text="XML by VEN id.")


class MomentSerializer(serializers.Serializer[Any]):
    """One entry of an event's timeline."""

    at = serializers.DateTimeField()
    what = serializers.ChoiceField(choices=list(ven_page.MOMENTS))
    detail = serializers.CharField()


class EventSerializer(serializers.Serializer[Any]):
    """An event of one VEN, as it stands."""

    event_id = serializers.CharField()
    ven_id = serializers.CharField()
    modification_number = serializers.IntegerField()
    modification_reason = serializers.CharField()
    state = serializers.ChoiceField(choices=["far", "near", "active", "completed", "cancelled"])
    delivery = serializers.ChoiceField(choices=["queued", "delivered", "acknowledged"])
    opt = serializers.CharField(allow_null=True)
    published_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.IntegerField()
    is_owned = serializers.BooleanField(
        help_text="Another part of the site published it and alone may change it."
    )
    content = ContentSerializer()


class CalendarEntrySerializer(serializers.Serializer[Any]):
    """Events that say the same at one time, or, from four different contents on, all of one time."""

    event_id = serializers.CharField(
        help_text="One of them; the list of events takes it as `like` to give all."
    )
    starts_at = serializers.DateTimeField()
    duration_seconds = serializers.IntegerField(help_text="0: until cancelled.")
    market_context = serializers.CharField()
    is_test = serializers.BooleanField()
    state = serializers.ChoiceField(
        choices=["pending", "active", "completed", "cancelled"], help_text="cancelled: every one of them."
    )
    events = serializers.IntegerField(help_text="How many there are, one a VEN.")
    cancelled = serializers.IntegerField()
    delivered = serializers.IntegerField(help_text="Those whose version in force has been handed over.")
    acknowledged = serializers.IntegerField(help_text="Those whose version in force has been answered.")
    contents = serializers.IntegerField(help_text="How many different things they say.")
    signals = SignalSerializer(many=True, help_text="Of the event named.")


class TimeSerializer(serializers.Serializer[Any]):
    """One time of a series as it stands."""

    time_id = serializers.UUIDField(help_text="Part of the key of its events, by which they are searched.")
    day = serializers.DateField(help_text="The UK civil day on which it starts.")
    starts_at = serializers.DateTimeField(help_text="As the series was written.")
    state = serializers.ChoiceField(choices=repeating.STATES)
    draft_id = serializers.UUIDField(allow_null=True)
    events = serializers.IntegerField(help_text="VENs that were sent it.")
    cancelled = serializers.IntegerField(help_text="Those of them to whom it was called off.")


class SeriesSerializer(serializers.Serializer[Any]):
    """A series as it was written."""

    series_id = serializers.UUIDField()
    ven_ids = serializers.ListField(child=serializers.CharField())
    content = ContentSerializer(help_text="Of its first time.")
    repeat_on = serializers.ListField(child=serializers.ChoiceField(choices=WEEKDAYS))
    repeat_until = serializers.DateField()
    skips_holidays = serializers.BooleanField()
    starts = serializers.ListField(child=serializers.DateTimeField())
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class SeriesDetailSerializer(SeriesSerializer):
    """A series with what became of its times."""

    times = TimeSerializer(many=True)


class ResponsesSerializer(serializers.Serializer[Any]):
    """What a VEN was handed and answered."""

    event_id = serializers.CharField()
    ven_id = serializers.CharField()
    delivery = serializers.CharField()
    opt = serializers.CharField(allow_null=True)
    opts = OptSerializer(many=True)
    timeline = MomentSerializer(many=True)


class DraftSerializer(serializers.Serializer[Any]):
    """An event not yet sent."""

    draft_id = serializers.UUIDField()
    ven_ids = serializers.ListField(child=serializers.CharField())
    content = ContentSerializer()
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)
    event_ids = serializers.ListField(child=serializers.CharField())


# ---- reports


class PointSerializer(serializers.Serializer[Any]):
    """One series that a VEN can report."""

    r_id = serializers.CharField()
    report_type = serializers.CharField()
    reading_type = serializers.CharField()
    item = serializers.CharField()
    unit = serializers.CharField()
    resource_ids = serializers.ListField(child=serializers.CharField())
    min_seconds = serializers.IntegerField(allow_null=True)
    max_seconds = serializers.IntegerField(allow_null=True)


class OfferSerializer(serializers.Serializer[Any]):
    """A report that a VEN can make."""

    specifier_id = serializers.CharField()
    name = serializers.CharField()
    received_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    points = PointSerializer(many=True)


class ReportRequestSerializer(serializers.Serializer[Any]):
    """A report asked of a VEN."""

    report_request_id = serializers.CharField()
    specifier_id = serializers.CharField()
    rule = serializers.CharField(help_text="Empty: asked by hand.")
    r_ids = serializers.ListField(child=serializers.CharField())
    granularity_seconds = serializers.IntegerField()
    report_back_seconds = serializers.IntegerField()
    state = serializers.CharField()
    asked_at = serializers.DateTimeField()
    latest_update_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class ReportAskSerializer(Strict):
    """Ask for a report: periodic, or once with `report_back_seconds` 0."""

    specifier_id = serializers.CharField(max_length=100)
    r_ids = serializers.ListField(
        child=serializers.CharField(max_length=100), default=list, max_length=1_000, help_text="Empty: all."
    )
    granularity_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS, default=0)
    report_back_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS, default=0)
    starts_at = UtcField(required=False, allow_null=True, default=None)
    duration_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_SECONDS, default=0)


class ReportCancelSerializer(Strict):
    """Call a report off; with `report_to_follow` the VEN sends what it has once more."""

    report_to_follow = serializers.BooleanField(default=False)


class ValueSerializer(serializers.Serializer[Any]):
    """One reported value, in plain units (W, Wh, V); an instant lasts 0 seconds."""

    specifier_id = serializers.CharField()
    report = serializers.CharField()
    r_id = serializers.CharField()
    starts_at = serializers.DateTimeField()
    duration_seconds = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    status = serializers.DictField(allow_null=True)
    quality = serializers.CharField()


def content_from(data: Mapping[str, Any]) -> EventContent:
    """The content of a checked body."""
    signals = tuple(
        SignalContent(
            each["name"],
            each["type"],
            tuple((part["duration_seconds"], part["value"]) for part in each["intervals"]),
            each["unit"],
            tuple(each["device_classes"]),
        )
        for each in data["signals"]
    )
    return EventContent(
        ven_id=VenId(""),
        market_context=data["market_context"],
        starts_at=data["starts_at"],
        duration_seconds=lasting(signals),
        signals=signals,
        notification_seconds=data["notification_seconds"],
        ramp_up_seconds=data["ramp_up_seconds"],
        recovery_seconds=data["recovery_seconds"],
        start_tolerance_seconds=data["start_tolerance_seconds"],
        priority=data["priority"],
        is_response_required=data["response_required"],
        is_test=data["test"],
        comment=data["comment"],
        resource_ids=tuple(data["resource_ids"]),
        targets=tuple((cast(Any, each["kind"]), each["id"]) for each in data["targets"]),
    )


def rhythm_from(data: Mapping[str, Any]) -> repeating.Rhythm:
    """On which days a checked body is repeated."""
    weekdays = tuple(sorted(map(WEEKDAYS.index, data["repeat_on"])))
    return repeating.Rhythm(weekdays, data["repeat_until"], data["skips_holidays"])


def content_shown(content: EventContent) -> dict[str, Any]:
    """The content as the API gives it, and takes it back."""
    return {
        "market_context": content.market_context,
        "starts_at": content.starts_at,
        "signals": [
            {
                "name": signal.name,
                "type": signal.type,
                "unit": signal.unit,
                "device_classes": list(signal.device_classes),
                "intervals": [
                    {"duration_seconds": seconds, "value": value} for seconds, value in signal.intervals
                ],
            }
            for signal in content.signals
        ],
        "notification_seconds": content.notification_seconds,
        "ramp_up_seconds": content.ramp_up_seconds,
        "recovery_seconds": content.recovery_seconds,
        "start_tolerance_seconds": content.start_tolerance_seconds,
        "priority": content.priority,
        "response_required": content.is_response_required,
        "test": content.is_test,
        "comment": content.comment,
        "resource_ids": list(content.resource_ids),
        "targets": [{"kind": kind, "id": value} for kind, value in content.targets],
    }
