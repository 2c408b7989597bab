"""Rows of UFTP (Shapeshifter): who we are there, how a buyer speaks it, and every message that was exchanged.

Congestion points and the house's key are never changed in place: what is agreed anew is a row of its own.
Times of signatures and of sending are wall time; the rest is world time.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

from campaigns.market_models import MARKET_ZONE_KINDS, MarketOffer, MarketParty, MarketPreset, MarketRequest
from opendsr.kernel.ids import new_uuid

POINT_DIRECTIONS: Final = [
    ("turn_down", "Turn down only"),
    ("turn_up", "Turn up only"),
    ("either", "Either"),
]


class UftpSign(models.TextChoices):
    """What a positive power in a buyer's request means. There is no default: it is asked of the buyer."""

    DEVIATION = "deviation", "Above 0: use more. Below 0: use less (as the specification has it)"
    REDUCTION = "reduction", "Above 0: use less. Below 0: use more"


class UftpIdentity(models.Model):
    """The co-op as an aggregator (AGR): its domain and its Ed25519 key. The newest is in force.

    The private key, 32 bytes, lies sealed under a data key of this row.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    domain = models.CharField(max_length=120)
    public_key = models.CharField(max_length=44, help_text="Ed25519, 32 bytes in base64")
    sealed_key = models.BinaryField()
    made_at = models.DateTimeField()
    made_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        verbose_name_plural = "uftp identities"

    def __str__(self) -> str:
        return self.domain


class UftpTerms(models.Model):
    """How one buyer, a DSO, speaks UFTP: whose it is, where it listens, what its numbers mean."""

    party = models.OneToOneField(MarketParty, on_delete=models.PROTECT, primary_key=True, related_name="uftp")
    domain = models.CharField(max_length=120, unique=True)
    endpoint = models.URLField(max_length=300)
    public_key = models.CharField(max_length=44, help_text="Ed25519, 32 bytes in base64")
    sign = models.CharField(max_length=12, choices=UftpSign.choices)
    baseline_reference = models.CharField(
        max_length=80, blank=True, help_text="The agreed baseline, named in each offer"
    )
    tolerance_pct = models.PositiveSmallIntegerField(
        default=5, help_text="A settlement that differs from our own figures by more is disputed"
    )
    is_barred = models.BooleanField(default=False, help_text="Every message of it is refused")
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        verbose_name_plural = "uftp terms"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(tolerance_pct__lte=50), name="uftpterms_tolerance_in_range"),
        ]

    def __str__(self) -> str:
        return self.domain


class UftpPoint(models.Model):
    """A congestion point of a buyer: which zone it is, what is asked of it, and the co-op's asking price."""

    party = models.ForeignKey(MarketParty, on_delete=models.PROTECT, related_name="uftp_points")
    congestion_point = models.CharField(max_length=300)
    zone_kind = models.CharField(max_length=16, choices=MARKET_ZONE_KINDS)
    zone = models.CharField(max_length=60, blank=True)
    direction = models.CharField(max_length=12, choices=POINT_DIRECTIONS)
    preset = models.ForeignKey(MarketPreset, on_delete=models.PROTECT, related_name="+")
    price_mp_per_kwh = models.PositiveIntegerField()
    penalty_mp_per_kwh = models.PositiveIntegerField(default=0)
    added_at = models.DateTimeField()
    added_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["party", "congestion_point"],
                condition=Q(ended_at=None),
                name="uftppoint_once_a_buyer",
            ),
            models.CheckConstraint(
                condition=Q(zone_kind="everywhere") | ~Q(zone=""), name="uftppoint_names_its_zone"
            ),
        ]

    def __str__(self) -> str:
        return self.congestion_point


class UftpMessage(models.Model):
    """A message, of ours or of theirs, with what became of it. `message_id` is once for good."""

    class State(models.TextChoices):
        DUE = "due", "To be sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not delivered"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Refused"
        WAITING = "waiting", "Waits for our figures"
        NOTED = "noted", "Noted"

    party = models.ForeignKey(MarketParty, on_delete=models.PROTECT, related_name="uftp_messages")
    is_ours = models.BooleanField()
    kind = models.CharField(max_length=40)
    message_id = models.UUIDField()
    conversation_id = models.UUIDField()
    answers = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="answered_by")
    request = models.ForeignKey(MarketRequest, null=True, on_delete=models.PROTECT, related_name="+")
    offer = models.ForeignKey(MarketOffer, null=True, on_delete=models.PROTECT, related_name="+")
    xml = models.TextField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the text, to tell a repeat")
    state = models.CharField(max_length=12, choices=State.choices)
    reason = models.CharField(max_length=400, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField()
    wall_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["party", "is_ours", "message_id"], name="uftpmessage_once_an_id"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["party", "-id"], name="uftpmessage_newest"),
            models.Index(fields=["offer"], condition=Q(offer__isnull=False), name="uftpmessage_of_an_offer"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"


class UftpRefusal(models.Model):
    """How often a message was refused before it was known to be a buyer's, by hour: nobody can fill it."""

    reason = models.CharField(max_length=60)
    hour_wall_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    latest_wall_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["reason", "hour_wall_at"], name="uftprefusal_once_an_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.count}"
