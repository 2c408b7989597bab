"""Rows of the door through which a network operator drives homes directly: who may, on what terms, what came.

Contracts and rules are never changed in place: what is agreed anew is a row of its own, and the one before it
ends. Times of signatures, nonces and keys are wall time; the rest is world time.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Q

from members.models import TsTzRange
from opendsr.kernel.ids import new_uuid

LONGEST_MINUTES: Final = 240
MOST_STAGGER_SECONDS: Final = 1_800
DEFAULT_RATE: Final = 120
SILENCE_MINUTES: Final = 5
HOLD_MINUTES: Final = 15
ZONE_KINDS: Final = [
    ("gsp_group", "GSP group"),
    ("cmz", "Constraint management zone"),
    ("substation", "Primary substation"),
    ("postcode_area", "Postcode area"),
]
"""What a contract may be about: anything but everywhere."""


class Scope(models.TextChoices):
    """What a client may do through the door."""

    SIGNAL = "signal", "Start and stop"
    READ = "read", "See availability and the status of its signals"
    METER = "meter", "See the metering of its zones, minute by minute"
    MARKET = "market", "Ask for flexibility as a market, and order it"


class ServicingClient(models.Model):
    """A network operator, or its trial of this door: in a sandbox everything is answered, nothing is sent."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(max_length=80, unique=True)
    is_sandbox = models.BooleanField(default=True)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices))
    requests_per_minute = models.PositiveIntegerField(default=DEFAULT_RATE)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True, help_text="Closed: every request is refused")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(requests_per_minute__range=(1, 6_000)), name="servicingclient_rate_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ServicingKey(models.Model):
    """A client's public key. To rotate is to add one and end the other a while later."""

    client = models.ForeignKey(ServicingClient, on_delete=models.PROTECT, related_name="keys")
    key_id = models.CharField(max_length=80, unique=True)
    public_key = models.CharField(max_length=44, help_text="Ed25519, 32 bytes in base64")
    added_wall_at = models.DateTimeField()
    ends_wall_at = models.DateTimeField(null=True, blank=True, help_text="Refused from then on")

    def __str__(self) -> str:
        return self.key_id


class ServicingContract(models.Model):
    """What a client may ask of a zone, as agreed beforehand.

    Up to `approved_w` a start is approved in advance, once a second person has confirmed that; above it
    staff decide. The substation's ramp cap holds whatever is agreed here.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    client = models.ForeignKey(ServicingClient, on_delete=models.PROTECT, related_name="contracts")
    programme = models.ForeignKey("campaigns.Programme", on_delete=models.PROTECT, related_name="+")
    zone_kind = models.CharField(max_length=16, choices=ZONE_KINDS)
    zone = models.CharField(max_length=60)
    max_w = models.PositiveIntegerField(help_text="The most that may be asked at once")
    approved_w = models.PositiveIntegerField(default=0, help_text="Approved in advance up to this")
    longest_minutes = models.PositiveSmallIntegerField(default=60)
    notice_seconds = models.PositiveIntegerField(default=0, help_text="Least time from signal to start")
    stagger_seconds = models.PositiveSmallIntegerField(
        default=0, help_text="Hubs spread start and end over this long"
    )
    import_cap_w = models.PositiveIntegerField(
        null=True, blank=True, help_text="The import cap that holds on silence; empty: no such caps"
    )
    export_cap_w = models.PositiveIntegerField(
        null=True, blank=True, help_text="The export cap that holds on silence; empty: no such caps"
    )
    silence_minutes = models.PositiveSmallIntegerField(
        default=SILENCE_MINUTES, help_text="Without a cap for this long, the agreed one holds"
    )
    hold_minutes = models.PositiveSmallIntegerField(
        default=HOLD_MINUTES, help_text="What a cap asks of a device, it asks for this long at least"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    agreed_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")
    confirmed_by = models.ForeignKey(
        "members.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gte=F("starts_at")),
                name="servicingcontract_runs_forward",
            ),
            models.CheckConstraint(
                condition=Q(max_w__gt=0, approved_w__lte=F("max_w")),
                name="servicingcontract_approves_within_its_limit",
            ),
            models.CheckConstraint(
                condition=Q(
                    longest_minutes__range=(1, LONGEST_MINUTES), stagger_seconds__lte=MOST_STAGGER_SECONDS
                ),
                name="servicingcontract_times_in_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    silence_minutes__range=(1, LONGEST_MINUTES), hold_minutes__range=(1, LONGEST_MINUTES)
                ),
                name="servicingcontract_caps_in_range",
            ),
            models.CheckConstraint(condition=~Q(zone=""), name="servicingcontract_names_its_zone"),
            models.CheckConstraint(
                condition=Q(confirmed_by=None) | Q(agreed_by=None) | ~Q(confirmed_by=F("agreed_by")),
                name="servicingcontract_confirmed_by_another",
            ),
            ExclusionConstraint(
                name="servicingcontract_one_a_zone",
                expressions=[
                    ("client", RangeOperators.EQUAL),
                    ("zone", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.client}: {self.zone}"


class ServicingSignal(models.Model):
    """One verified signal and what became of it; one still RECEIVED is decided later, none vanishes.

    A cap's signal without a `key_id` is the house's own: the agreed cap after silence, or the cap in force
    looked at again as time went.
    """

    class Kind(models.TextChoices):
        START = "start", "Start"
        STOP = "stop", "Stop"
        EMERGENCY_STOP = "emergency_stop", "Emergency stop"
        CAP = "cap", "Cap"

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        DISPATCHED = "dispatched", "Dispatched"
        REHEARSED = "rehearsed", "Planned only: sandbox"
        WAITING = "waiting", "Waits for approval"
        STOPPED = "stopped", "Stopped"
        IN_FORCE = "in_force", "In force"
        REFUSED = "refused", "Refused"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    client = models.ForeignKey(ServicingClient, on_delete=models.PROTECT, related_name="signals")
    key_id = models.CharField(max_length=80, blank=True)
    idempotency_key = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the request, to tell a repeat")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    asked = models.JSONField(help_text="What was asked, as it was understood")
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECEIVED)
    reason = models.CharField(max_length=60, blank=True, help_text="Why it was refused: the error's code")
    answer = models.JSONField(default=dict, help_text="What it was answered")
    contract = models.ForeignKey(
        ServicingContract, null=True, blank=True, on_delete=models.PROTECT, related_name="signals"
    )
    campaign = models.ForeignKey(
        "campaigns.Campaign", null=True, blank=True, on_delete=models.PROTECT, related_name="signals"
    )
    received_at = models.DateTimeField()
    received_wall_at = models.DateTimeField()
    decided_wall_at = models.DateTimeField(null=True, blank=True)
    published_wall_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client", "idempotency_key"], name="servicingsignal_once_a_key"),
            models.CheckConstraint(
                condition=Q(state="received", decided_wall_at=None)
                | (~Q(state="received") & Q(decided_wall_at__isnull=False)),
                name="servicingsignal_decided_has_a_time",
            ),
            models.CheckConstraint(
                condition=(Q(state="refused") & ~Q(reason="")) | (~Q(state="refused") & Q(reason="")),
                name="servicingsignal_refused_has_a_reason",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["client", "-received_wall_at"], name="servicingsignal_newest"),
            models.Index(fields=["contract", "kind", "-received_at"], name="servicingsignal_caps"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.client}"


class ServicingNonce(models.Model):
    """A nonce that was used; forgotten once its signature is out of date anyway."""

    client = models.ForeignKey(ServicingClient, on_delete=models.CASCADE, related_name="+")
    nonce = models.CharField(max_length=120)
    used_wall_at = models.DateTimeField()
    forget_wall_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client", "nonce"], name="servicingnonce_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["client", "used_wall_at"], name="servicingnonce_by_client"),
        ]

    def __str__(self) -> str:
        return self.nonce


class ServicingRefusal(models.Model):
    """How often the door was refused before anything was read, by hour: nobody without a key can fill it."""

    client = models.ForeignKey(ServicingClient, null=True, on_delete=models.CASCADE, related_name="refusals")
    reason = models.CharField(max_length=60)
    hour_wall_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    latest_wall_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["client", "reason", "hour_wall_at"],
                nulls_distinct=False,
                name="servicingrefusal_once_an_hour",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.count}"


class CampaignRule(models.Model):
    """The rules that every campaign keeps, in versions; the newest is in force.

    From `second_from_w` on two people approve. `substation_w_per_minute` is how fast the load of one primary
    substation may change, `portfolio_w_per_minute` that of all homes together (empty: no cap; it holds back
    no direct load control); `chance_pct` with what certainty the size asked is to be reached; `most_asks` how
    many campaigns in four weeks a home is asked for at most.
    """

    second_from_w = models.PositiveIntegerField()
    substation_w_per_minute = models.PositiveIntegerField()
    portfolio_w_per_minute = models.PositiveIntegerField(null=True, blank=True)
    chance_pct = models.PositiveSmallIntegerField()
    most_asks = models.PositiveSmallIntegerField()
    why = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(
                    substation_w_per_minute__gt=0, chance_pct__range=(50, 99), most_asks__range=(1, 200)
                ),
                name="campaignrule_in_range",
            ),
            models.CheckConstraint(
                condition=Q(portfolio_w_per_minute=None) | Q(portfolio_w_per_minute__gt=0),
                name="campaignrule_portfolio_may_change",
            ),
        ]

    def __str__(self) -> str:
        return f"rules of {self.set_at:%Y-%m-%d %H:%M}Z"


class HomeHabit(models.Model):
    """What a home usually uses and how often it comes: worked out nightly, so that a signal is planned fast.

    48 half-hours from midnight, UK time, in W; -1 where too few readings say. Of the `asked` campaigns of the
    last half year it took no part in `missed`: a no, an override, silence.
    """

    occupancy = models.OneToOneField(
        "members.Occupancy", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    working_day_w = ArrayField(models.IntegerField(), size=48)
    other_day_w = ArrayField(models.IntegerField(), size=48)
    asked = models.PositiveIntegerField(default=0)
    missed = models.PositiveIntegerField(default=0)
    worked_out_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(missed__lte=F("asked")), name="homehabit_missed_within_asked"),
            models.CheckConstraint(
                condition=Q(working_day_w__len=48, other_day_w__len=48), name="homehabit_whole_days"
            ),
        ]

    def __str__(self) -> str:
        return f"habit, {self.worked_out_at:%Y-%m-%d}"
