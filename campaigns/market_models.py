"""Rows of the flexibility market: who buys, what they ask for, what was offered, ordered and told.

A profile is power by consecutive half-hours from `starts_at`; 0 asks for nothing in between. Prices and
penalties are millipence a kWh. What was told is never changed: it is a log of its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.utils.deconstruct import deconstructible

from campaigns.servicing_models import ServicingClient
from members.models import TsTzRange
from opendsr.kernel.ids import new_uuid

MOST_HALF_HOURS: Final = 50
"""A profile is a day at most, the long one included."""
DIRECTIONS: Final = [("turn_down", "Turn down"), ("turn_up", "Turn up")]
MARKET_ZONE_KINDS: Final = [
    ("gsp_group", "GSP group"),
    ("cmz", "Constraint management zone"),
    ("substation", "Primary substation"),
    ("postcode_area", "Postcode area"),
    ("everywhere", "Everywhere"),
]


@deconstructible(path="campaigns.market_models.HalfHours")
class HalfHours(Func):
    """How long a profile lasts."""

    template = "(cardinality(%(expressions)s) * interval '30 minutes')"
    output_field: Any = models.DurationField()


class MarketPreset(models.Model):
    """What a kind of market asks of whoever enters it; the co-op keeps it as its buyers' documents say."""

    code = models.SlugField(max_length=20, primary_key=True)
    name = models.CharField(max_length=60)
    notice_minutes = models.PositiveIntegerField(help_text="Least time from order to start")
    least_minutes = models.PositiveSmallIntegerField()
    most_minutes = models.PositiveSmallIntegerField()
    least_w = models.PositiveIntegerField(help_text="Least power that may be offered")
    note = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(
                    least_minutes__gte=30, most_minutes__gte=F("least_minutes"), most_minutes__lte=1_500
                ),
                name="marketpreset_times_in_range",
            ),
            models.CheckConstraint(condition=Q(least_w__gt=0), name="marketpreset_has_a_least_size"),
        ]

    def __str__(self) -> str:
        return self.name


class MarketParty(models.Model):
    """A buyer of flexibility. Of one on trial everything is planned and answered, and nothing is sent."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(max_length=80, unique=True)
    programme = models.ForeignKey("campaigns.Programme", on_delete=models.PROTECT, related_name="+")
    client = models.OneToOneField(
        ServicingClient,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="market_party",
        help_text="Whose keys it signs with at the door; empty where it does not come that way",
    )
    is_sandbox = models.BooleanField(default=True)
    added_at = models.DateTimeField()
    added_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.name


class MarketRequest(models.Model):
    """What a buyer asks for: power by half-hour, at a price, to be offered by a deadline."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        OFFERED = "offered", "Offered"
        ORDERED = "ordered", "Ordered"
        DECLINED = "declined", "Declined by us"
        WITHDRAWN = "withdrawn", "Withdrawn by the buyer"
        LAPSED = "lapsed", "Lapsed"

    class Source(models.TextChoices):
        FORM = "form", "Form"
        FILE = "file", "File"
        DOOR = "door", "Signed request"
        UFTP = "uftp", "UFTP"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    party = models.ForeignKey(MarketParty, on_delete=models.PROTECT, related_name="requests")
    reference = models.CharField(max_length=80, help_text="The buyer's own")
    source = models.CharField(max_length=8, choices=Source.choices)
    preset = models.ForeignKey(MarketPreset, on_delete=models.PROTECT, related_name="+")
    direction = models.CharField(max_length=12, choices=DIRECTIONS)
    zone_kind = models.CharField(max_length=16, choices=MARKET_ZONE_KINDS)
    zone = models.CharField(max_length=60, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    profile_w = ArrayField(models.PositiveIntegerField(), size=MOST_HALF_HOURS)
    peak_w = models.PositiveIntegerField(help_text="The most of any half-hour")
    price_mp_per_kwh = models.PositiveIntegerField()
    penalty_mp_per_kwh = models.PositiveIntegerField(default=0, help_text="For what was offered and lacks")
    deadline_at = models.DateTimeField(help_text="Offers are taken until then")
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was declined")
    received_at = models.DateTimeField()
    received_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["party", "reference"], name="marketrequest_once_a_reference"),
            models.CheckConstraint(
                condition=Q(ends_at=F("starts_at") + HalfHours("profile_w")),
                name="marketrequest_profile_fills_its_time",
            ),
            models.CheckConstraint(condition=Q(peak_w__gt=0), name="marketrequest_asks_for_power"),
            models.CheckConstraint(
                condition=Q(deadline_at__lte=F("starts_at")), name="marketrequest_deadline_before_start"
            ),
            models.CheckConstraint(
                condition=Q(zone_kind="everywhere") | ~Q(zone=""), name="marketrequest_names_its_zone"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "deadline_at"], name="marketrequest_by_deadline"),
            models.Index(fields=["-received_at"], name="marketrequest_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} of {self.party}"

    @property
    def notice(self) -> timedelta:
        """How long before the start an order has to come."""
        return timedelta(minutes=self.preset.notice_minutes)


class MarketOffer(models.Model):
    """What the co-op offers for a request: at most what is asked, of assets that are held for it."""

    class State(models.TextChoices):
        MADE = "made", "Made"
        ORDERED = "ordered", "Ordered"
        WITHDRAWN = "withdrawn", "Withdrawn"
        LAPSED = "lapsed", "Lapsed"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    request = models.ForeignKey(MarketRequest, on_delete=models.PROTECT, related_name="offers")
    offered_w = ArrayField(models.PositiveIntegerField(), size=MOST_HALF_HOURS)
    price_mp = models.BigIntegerField(help_text="For all of it, at the request's price")
    income_mp = models.BigIntegerField(help_text="Expected, less penalties and what asking costs")
    good_until = models.DateTimeField(help_text="An order is taken until then")
    state = models.CharField(max_length=12, choices=State.choices, default=State.MADE)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["request"],
                condition=Q(state__in=["made", "ordered"]),
                name="marketoffer_one_stands_a_request",
            ),
        ]

    def __str__(self) -> str:
        return f"offer for {self.request}"


class MarketOfferAsset(models.Model):
    """An asset held for an offer, so that it is never promised twice at one time."""

    offer = models.ForeignKey(MarketOffer, on_delete=models.CASCADE, related_name="held")
    asset = models.ForeignKey("assets.Asset", on_delete=models.PROTECT, related_name="+")
    occupancy = models.ForeignKey("members.Occupancy", on_delete=models.PROTECT, related_name="+")
    expected_w = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    is_held = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["offer", "asset"], name="marketofferasset_once_an_offer"),
            ExclusionConstraint(
                name="marketofferasset_never_twice",
                expressions=[
                    ("asset", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                condition=Q(is_held=True),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["starts_at"], condition=Q(is_held=True), name="marketofferasset_held"),
        ]

    def __str__(self) -> str:
        return f"{self.asset} for {self.offer_id}"


class MarketOrder(models.Model):
    """The buyer takes an offer, all of it or less; on a trial no campaign comes of it."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    offer = models.OneToOneField(MarketOffer, on_delete=models.PROTECT, related_name="order")
    reference = models.CharField(max_length=80)
    ordered_w = ArrayField(models.PositiveIntegerField(), size=MOST_HALF_HOURS)
    price_mp = models.BigIntegerField()
    received_at = models.DateTimeField()
    received_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return f"order {self.reference}"


class MarketStretch(models.Model):
    """A stretch of an order with one power, and the campaign that serves it."""

    order = models.ForeignKey(MarketOrder, on_delete=models.PROTECT, related_name="stretches")
    campaign = models.OneToOneField(
        "campaigns.Campaign", on_delete=models.PROTECT, related_name="market_stretch"
    )

    def __str__(self) -> str:
        return f"{self.campaign} of {self.order}"


class MarketAvailability(models.Model):
    """What the co-op declared to a buyer that it could give, from when to when."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    party = models.ForeignKey(MarketParty, on_delete=models.PROTECT, related_name="availabilities")
    direction = models.CharField(max_length=12, choices=DIRECTIONS)
    zone_kind = models.CharField(max_length=16, choices=MARKET_ZONE_KINDS)
    zone = models.CharField(max_length=60, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    available_w = models.PositiveIntegerField()
    declared_at = models.DateTimeField()
    declared_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="marketavailability_runs_forward"
            ),
            models.CheckConstraint(condition=Q(available_w__gt=0), name="marketavailability_is_of_power"),
            ExclusionConstraint(
                name="marketavailability_one_at_a_time",
                expressions=[
                    ("party", RangeOperators.EQUAL),
                    ("direction", RangeOperators.EQUAL),
                    ("zone_kind", RangeOperators.EQUAL),
                    ("zone", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                condition=Q(withdrawn_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.available_w} W for {self.party}"


class MarketTold(models.Model):
    """What a buyer told the co-op or was told, in the order it happened; never changed, never deleted."""

    party = models.ForeignKey(MarketParty, on_delete=models.PROTECT, related_name="told")
    request = models.ForeignKey(MarketRequest, null=True, on_delete=models.PROTECT, related_name="told")
    is_ours = models.BooleanField(help_text="Told by the co-op; otherwise by the buyer")
    what = models.CharField(max_length=40)
    body = models.JSONField(default=dict)
    at = models.DateTimeField()
    actor = models.CharField(max_length=80)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["request", "id"], name="markettold_by_request")]

    def __str__(self) -> str:
        return self.what
