"""VENs, their certificates, their events, their opts, and the messages refused.

Columns named `_wall_at` and the certificates' dates are wall time; every other
datetime is world time. An event's signals are protocol-neutral JSON, so that
another wire can be put beside 2.0b.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class Security(models.TextChoices):
    STANDARD = "standard", "Standard (mutual TLS)"
    HIGH = "high", "High (signed messages)"


class RevocationCode(models.TextChoices):
    """Why, in the words of RFC 5280 that a CRL may carry."""

    UNSPECIFIED = "unspecified", "Unspecified"
    KEY_COMPROMISE = "key_compromise", "Key lost or stolen"
    SUPERSEDED = "superseded", "Replaced by another certificate"
    CESSATION = "cessation_of_operation", "Taken out of use"


class Ven(models.Model):
    """One virtual end node: known from its enrolment, registered once it has said so itself."""

    ven_id = models.CharField(max_length=64, unique=True)
    ven_name = models.CharField(max_length=128)
    registration_id = models.CharField(max_length=64, blank=True)
    poll_seconds = models.PositiveIntegerField(null=True, help_text="Empty: the site's own.")
    is_report_only = models.BooleanField(default=False)
    profile_name = models.CharField(max_length=8, blank=True, help_text="As it registered: 2.0a or 2.0b.")
    transport_name = models.CharField(max_length=16, blank=True)
    transport_address = models.CharField(
        max_length=255, blank=True, help_text="What it said of itself; never called because it said so."
    )
    is_http_pull = models.BooleanField(default=True)
    push_url = models.URLField(
        max_length=300, blank=True, help_text="Set by staff: where this VTN may call the VEN."
    )
    push_failures = models.PositiveIntegerField(default=0, help_text="In a row; the next try waits longer.")
    told_poll_seconds = models.PositiveIntegerField(
        null=True, help_text="The poll interval it was last asked to keep."
    )
    has_xml_signature = models.BooleanField(default=False)
    security = models.CharField(max_length=8, choices=Security.choices, default=Security.STANDARD)
    enrolled_at = models.DateTimeField()
    registered_at = models.DateTimeField(null=True)
    last_seen_wall_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ven"
        verbose_name = "VEN"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(ven_id=""), name="ven_has_an_id"),
            models.UniqueConstraint(
                fields=["registration_id"], condition=~Q(registration_id=""), name="ven_registration_once"
            ),
            models.CheckConstraint(
                condition=Q(registration_id="") | Q(registered_at__isnull=False), name="ven_registered_when"
            ),
            models.CheckConstraint(
                condition=Q(poll_seconds__isnull=True) | Q(poll_seconds__range=(1, 86_400)),
                name="ven_poll_within_a_day",
            ),
            models.CheckConstraint(condition=Q(security__in=Security.values), name="ven_security_known"),
        ]

    def __str__(self) -> str:
        return self.ven_id

    @property
    def is_registered(self) -> bool:
        return bool(self.registration_id)


class VenCertificate(models.Model):
    """A certificate that speaks for a VEN; two may be valid at once while one replaces the other."""

    ven = models.ForeignKey(Ven, on_delete=models.PROTECT, related_name="certificates")
    fingerprint = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the DER, lower-case hex."
    )
    serial = models.CharField(max_length=40, help_text="Hex.")
    issuer = models.CharField(max_length=200)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    issued_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revocation_reason = models.CharField(max_length=200, blank=True)
    revocation_code = models.CharField(
        max_length=24, choices=RevocationCode.choices, default=RevocationCode.UNSPECIFIED
    )
    pem = models.TextField(blank=True)
    first_used_wall_at = models.DateTimeField(null=True, help_text="When it first spoke for its VEN.")
    alarmed_days = models.PositiveSmallIntegerField(
        null=True, help_text="The lowest expiry alarm that has been given."
    )

    class Meta:
        db_table = "ven_certificate"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(fingerprint__regex=r"^[0-9a-f]{64}$"), name="ven_certificate_full_fingerprint"
            ),
            models.UniqueConstraint(fields=["issuer", "serial"], name="ven_certificate_serial_once"),
            models.CheckConstraint(
                condition=Q(not_after__gt=F("not_before")), name="ven_certificate_runs_forward"
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=False) | Q(revocation_reason=""),
                name="ven_certificate_reason_when_revoked",
            ),
            models.CheckConstraint(
                condition=Q(revocation_code__in=RevocationCode.values),
                name="ven_certificate_code_known",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["not_after"], name="ven_certificate_expiry")]

    def __str__(self) -> str:
        return f"{self.ven_id} {self.serial}"


class Event(models.Model):
    """What one VEN is told; the versions it was handed and has answered stand beside the one in force."""

    # Ten thousand are written at once: no index but those below. A text of collation C is found by its begin.
    event_id = models.CharField(max_length=64, db_collation="C")
    key = models.CharField(max_length=200, db_collation="C", help_text="The publisher's own key.")
    ven = models.ForeignKey(Ven, on_delete=models.PROTECT, related_name="events", db_index=False)
    modification_number = models.PositiveIntegerField(default=0)
    modification_reason = models.CharField(max_length=200, blank=True)
    market_context = models.CharField(max_length=200)
    starts_at = models.DateTimeField()
    duration_seconds = models.PositiveIntegerField(help_text="0: until cancelled.")
    signals = models.JSONField()
    resource_ids = models.JSONField(default=list, blank=True, help_text="Empty: the VEN as a whole.")
    targets = models.JSONField(default=list, blank=True, help_text="Pairs of kind and id, beside the VEN.")
    content_digest = models.CharField(
        max_length=32, blank=True, help_text="The same for all VENs told the same; what is rendered once."
    )
    priority = models.PositiveIntegerField(default=0)
    is_test = models.BooleanField(default=False)
    is_response_required = models.BooleanField(default=True)
    start_tolerance_seconds = models.PositiveIntegerField(default=0)
    notification_seconds = models.PositiveIntegerField(default=0)
    ramp_up_seconds = models.IntegerField(default=0)
    recovery_seconds = models.IntegerField(default=0)
    comment = models.CharField(max_length=500, blank=True)
    published_at = models.DateTimeField()
    closes_at = models.DateTimeField(help_text="When the last VEN has ended it: end plus start tolerance.")
    cancelled_at = models.DateTimeField(null=True)
    delivered_modification = models.PositiveIntegerField(null=True)
    delivered_at = models.DateTimeField(
        null=True, help_text="When the version in force was first handed over."
    )
    delivered_wall_at = models.DateTimeField(null=True, help_text="When it was last handed over.")
    delivery_count = models.PositiveIntegerField(default=0, help_text="How often the version in force was.")
    acknowledged_modification = models.PositiveIntegerField(null=True)
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vtn_event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event_id"], name="vtn_event_id_once"),
            models.UniqueConstraint(fields=["key"], name="vtn_event_key_once"),
            models.CheckConstraint(
                condition=Q(closes_at__gte=F("starts_at")), name="vtn_event_closes_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(delivered_modification__isnull=True)
                | Q(delivered_modification__lte=F("modification_number")),
                name="vtn_event_delivered_what_was",
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_modification__isnull=True)
                | Q(acknowledged_modification__lte=F("modification_number")),
                name="vtn_event_acknowledged_what_was",
            ),
            models.CheckConstraint(
                condition=Q(delivered_modification__isnull=True, delivered_at__isnull=True)
                | Q(delivered_modification__isnull=False, delivered_at__isnull=False),
                name="vtn_event_delivered_when",
            ),
        ]
        indexes: ClassVar = [
            # Serves the live set of one VEN, asked for at every poll; then the list, newest first.
            models.Index(fields=["ven", "closes_at"], name="vtn_event_live"),
            models.Index(fields=["-starts_at", "-id"], name="vtn_event_newest"),
        ]

    def __str__(self) -> str:
        return self.event_id


class OptSource(models.TextChoices):
    CREATED_EVENT = "created_event", "Answer to the event"
    CREATE_OPT = "create_opt", "Opt of its own"


class OptChoice(models.TextChoices):
    IN = "in", "In"
    OUT = "out", "Out"
    NONE = "none", "Undecided"


class EventOpt(models.Model):
    """One thing a VEN said about an event; of those for the whole event, the highest id holds."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="opts", db_index=False)
    opt = models.CharField(max_length=4, choices=OptChoice.choices)
    modification_number = models.PositiveIntegerField()
    source = models.CharField(max_length=16, choices=OptSource.choices)
    reason = models.CharField(max_length=120, blank=True)
    opt_id = models.CharField(max_length=64, blank=True)
    resource_ids = models.JSONField(
        default=list, blank=True, help_text="Empty: the event as a whole; else only for these."
    )
    withdrawn_at = models.DateTimeField(null=True, help_text="When the VEN cancelled this opt of its own.")
    received_at = models.DateTimeField()
    feed_position = models.BigIntegerField(
        null=True, unique=True, help_text="Place in the feed; given by the first reader after the commit."
    )

    class Meta:
        db_table = "vtn_event_opt"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(opt__in=OptChoice.values), name="vtn_event_opt_choice_known"),
            models.CheckConstraint(
                condition=Q(source__in=OptSource.values), name="vtn_event_opt_source_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["event", "-id"], name="vtn_event_opt_latest"),
            models.Index(fields=["id"], condition=Q(feed_position=None), name="vtn_event_opt_unplaced"),
            models.Index(fields=["event", "opt_id"], condition=~Q(opt_id=""), name="vtn_event_opt_by_opt_id"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.opt}"


class OptSchedule(models.Model):
    """A VEN's standing advice, by its own opt id: when it will be in or out, whatever the event."""

    ven = models.ForeignKey(Ven, on_delete=models.PROTECT, related_name="opt_schedules")
    opt_id = models.CharField(max_length=64)
    opt = models.CharField(max_length=4, choices=OptChoice.choices)
    reason = models.CharField(max_length=120, blank=True)
    market_context = models.CharField(max_length=200, blank=True)
    resource_ids = models.JSONField(default=list)
    periods = models.JSONField(help_text="List of {starts_at, duration_seconds}.")
    received_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vtn_opt_schedule"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["ven", "opt_id"], name="vtn_opt_schedule_once"),
            models.CheckConstraint(
                condition=Q(opt__in=OptChoice.values), name="vtn_opt_schedule_choice_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ven_id} {self.opt_id}"


class MessageKind(models.TextChoices):
    EVENTS = "events", "Its full set of events"
    REQUEST_REREGISTRATION = "request_reregistration", "Register again"
    CANCEL_REGISTRATION = "cancel_registration", "Registration ended"
    REGISTER_REPORT = "register_report", "Our own reports"
    CREATE_REPORT = "create_report", "Report wanted"
    CANCEL_REPORT = "cancel_report", "Report no longer wanted"


class MessageState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    DELIVERED = "delivered", "Handed over"
    ANSWERED = "answered", "Answered"
    EXPIRED = "expired", "Out of date"
    WITHDRAWN = "withdrawn", "Withdrawn"
    DEAD = "dead", "Given up"


OPEN_STATES = (MessageState.QUEUED, MessageState.DELIVERED)


class QueuedMessage(models.Model):
    """One message this VTN begins with a VEN; `vtn.queueing` is the only module that writes it.

    Open rows are those without `finished_at`. No index names `state` or when a row is tried again: so a
    hand-over is written beside the row, without its indexes.
    """

    ven = models.ForeignKey(Ven, on_delete=models.PROTECT, related_name="queue", db_index=False)
    kind = models.CharField(max_length=24, choices=MessageKind.choices)
    rank = models.PositiveSmallIntegerField(default=1, help_text="Lower goes first; then the older.")
    content = models.JSONField(default=dict, blank=True, help_text="Protocol-neutral; ids, never wire text.")
    request_id = models.CharField(max_length=64, help_text="The correlated reply echoes it.")
    dedupe_key = models.CharField(
        max_length=200, blank=True, help_text="One open message a VEN and key; empty: never the same."
    )
    state = models.CharField(max_length=12, choices=MessageState.choices, default=MessageState.QUEUED)
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was handed over.")
    queued_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    next_try_wall_at = models.DateTimeField()
    leased_by = models.CharField(max_length=100, blank=True)
    lease_until_wall_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True, help_text="When it was first handed over.")
    delivered_by = models.CharField(max_length=12, blank=True, help_text="The transport of the latest time.")
    finished_at = models.DateTimeField(null=True, help_text="Answered, expired, withdrawn or given up.")
    answer_code = models.PositiveIntegerField(null=True)
    note = models.CharField(max_length=300, blank=True, help_text="The answer's words, or the last failure.")

    class Meta:
        db_table = "vtn_queue"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=MessageKind.values), name="vtn_queue_kind_known"),
            models.CheckConstraint(condition=Q(state__in=MessageState.values), name="vtn_queue_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=OPEN_STATES, finished_at__isnull=True)
                | (~Q(state__in=OPEN_STATES) & Q(finished_at__isnull=False)),
                name="vtn_queue_finished_when",
            ),
            models.CheckConstraint(
                condition=~Q(state=MessageState.DELIVERED) | Q(delivered_at__isnull=False),
                name="vtn_queue_delivered_when",
            ),
            models.CheckConstraint(
                condition=Q(lease_until_wall_at__isnull=True, leased_by="")
                | (Q(lease_until_wall_at__isnull=False) & ~Q(leased_by="")),
                name="vtn_queue_leased_by_someone",
            ),
            models.UniqueConstraint(
                fields=["ven", "dedupe_key"],
                condition=Q(finished_at__isnull=True) & ~Q(dedupe_key=""),
                name="vtn_queue_open_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["ven", "rank", "id"], condition=Q(finished_at__isnull=True), name="vtn_queue_next"
            ),
            models.Index(fields=["ven", "-id"], name="vtn_queue_by_ven"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


class HandOver(models.Model):
    """Events that have left for many VENs at once, until that is written on the events and the queue.

    The three lists are of one length: event, its version, its VEN. See `vtn.hand_overs`.
    """

    at = models.DateTimeField()
    left_wall_at = models.DateTimeField()
    by = models.CharField(max_length=12, help_text="The transport.")
    event_pks = ArrayField(models.BigIntegerField())
    modification_numbers = ArrayField(models.PositiveIntegerField())
    ven_pks = ArrayField(models.BigIntegerField())

    class Meta:
        db_table = "vtn_hand_over"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(event_pks__len=F("modification_numbers__len"))
                & Q(event_pks__len=F("ven_pks__len")),
                name="vtn_hand_over_of_one_length",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.by} {self.left_wall_at}"


# The rows that staff and machines leave behind live in a file of their own.
from vtn.records import ApiToken as ApiToken  # noqa: E402
from vtn.records import EventDraft as EventDraft  # noqa: E402
from vtn.records import EventSeries as EventSeries  # noqa: E402
from vtn.records import IdempotentReply as IdempotentReply  # noqa: E402
from vtn.records import MarketContext as MarketContext  # noqa: E402
from vtn.records import MessageLog as MessageLog  # noqa: E402
from vtn.records import PromptRun as PromptRun  # noqa: E402
from vtn.records import VenGroup as VenGroup  # noqa: E402
from vtn.records import VenWatch as VenWatch  # noqa: E402
from vtn.records import WireLog as WireLog  # noqa: E402

# What is reported too.
from vtn.reported import OfferedPoint as OfferedPoint  # noqa: E402
from vtn.reported import ReceivedReport as ReceivedReport  # noqa: E402
from vtn.reported import ReportConfiguration as ReportConfiguration  # noqa: E402
from vtn.reported import ReportedValue as ReportedValue  # noqa: E402
from vtn.reported import ReportOffer as ReportOffer  # noqa: E402
from vtn.reported import ReportRequest as ReportRequest  # noqa: E402
from vtn.shadow_models import VenFile as VenFile  # noqa: E402
from vtn.shadow_models import VenShadow as VenShadow  # noqa: E402
from vtn.trust_models import EnrolmentCode as EnrolmentCode  # noqa: E402
from vtn.trust_models import RevocationList as RevocationList  # noqa: E402
from vtn.trust_models import SeenNonce as SeenNonce  # noqa: E402
