"""The co-op's decisions: programmes, campaigns, the plan behind each and every asset's part in it.

A campaign is handed to the VTN through `vtn_door.py`; what comes back (opts) lands here as rows.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import F, Q

from members.models import TsTzRange
from opendsr.kernel.ids import new_uuid

MOST_HELD_OUT_PCT: Final = 50
MOST_SPREAD_SECONDS: Final = 1_800


class Direction(models.TextChoices):
    """Which way demand should go."""

    TURN_DOWN = "turn_down"
    TURN_UP = "turn_up"


class UseCase(models.TextChoices):
    """The three use cases, in the order of DESIGN section 5."""

    TARIFF = "tariff", "Behind the meter"
    MARKET = "market", "Flexibility market"
    LOAD_CONTROL = "load_control", "Direct load control"


class Programme(models.Model):
    """Standing terms under which campaigns are run."""

    code = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=80)
    use_case = models.CharField(max_length=16, choices=UseCase.choices)
    market_context = models.CharField(max_length=200, help_text="OpenADR market context URI")
    settlement_terms_id = models.UUIDField(help_text="Versioned terms owned by settlement/; id only")
    notification_seconds = models.PositiveIntegerField(default=900)
    start_tolerance_seconds = models.PositiveIntegerField(
        default=600, help_text="OpenADR startafter: hubs spread start and end over this long"
    )
    delivered_from_pct = models.PositiveSmallIntegerField(
        default=75, help_text="Delivered from this share of what was asked, partial below"
    )
    hold_out_pct = models.PositiveSmallIntegerField(
        default=0, help_text="Of the homes that would be asked, held out by turns to compare with; 0: none"
    )
    requires_prior_notice = models.BooleanField(
        default=False,
        help_text="A home whose notice quiet hours hold past the start is not asked nor counted",
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(start_tolerance_seconds__lte=MOST_SPREAD_SECONDS),
                name="programme_spreads_at_most_1800",
            ),
            models.CheckConstraint(condition=Q(delivered_from_pct__lte=100), name="programme_share_in_range"),
            models.CheckConstraint(
                condition=Q(hold_out_pct__lte=MOST_HELD_OUT_PCT), name="programme_holds_out_at_most_half"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ZoneKind(models.TextChoices):
    """How a campaign's place is named."""

    GSP_GROUP = "gsp_group", "GSP group"
    CMZ = "cmz", "Constraint management zone"
    SUBSTATION = "substation", "Primary substation"
    POSTCODE_AREA = "postcode_area", "Postcode area"
    EVERYWHERE = "everywhere", "Everywhere"


class Campaign(models.Model):
    """Why, who, when and how much: one decision, carried out as one event a hub."""

    class State(models.TextChoices):
        DRAFT = "draft"
        PLANNED = "planned"
        APPROVED = "approved"
        DISPATCHED = "dispatched"
        COMPLETED = "completed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="campaigns")
    name = models.CharField(max_length=120)
    reason = models.CharField(max_length=200, blank=True)
    direction = models.CharField(max_length=12, choices=Direction.choices, default=Direction.TURN_DOWN)
    zone_kind = models.CharField(max_length=16, choices=ZoneKind.choices)
    zone = models.CharField(max_length=60, blank=True)
    size_w = models.PositiveIntegerField(help_text="Power asked for")
    hold_out_pct = models.PositiveSmallIntegerField(
        default=0, help_text="Of the homes that would be asked; drawn with the campaign's id as the seed"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.DRAFT)
    created_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    stagger_seconds = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Hubs spread start and end over this long; empty: as the programme"
    )
    first_approved_by = models.ForeignKey(
        "members.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    first_approved_at = models.DateTimeField(
        null=True, blank=True, help_text="When the first of two people approved; the second sends it"
    )
    approved_by = models.ForeignKey(
        "members.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    planned_at = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="campaign_runs_forward"),
            models.CheckConstraint(condition=Q(size_w__gt=0), name="campaign_asks_for_power"),
            models.CheckConstraint(
                condition=Q(zone_kind="everywhere") | ~Q(zone=""), name="campaign_names_its_zone"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "dispatched"]) | Q(approved_at__isnull=False),
                name="campaign_runs_only_when_approved",
            ),
            models.CheckConstraint(
                condition=Q(hold_out_pct__lte=MOST_HELD_OUT_PCT), name="campaign_holds_out_at_most_half"
            ),
            models.CheckConstraint(
                condition=Q(stagger_seconds=None) | Q(stagger_seconds__lte=MOST_SPREAD_SECONDS),
                name="campaign_spreads_at_most_1800",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-starts_at"], name="campaign_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def spread_seconds(self) -> int:
        """Over how long hubs spread start and end."""
        agreed = self.stagger_seconds
        return self.programme.start_tolerance_seconds if agreed is None else agreed


class PlanLine(models.Model):
    """What planning decided about one asset in the zone: in, with expected power, or out, with the reason."""

    class LeftOut(models.TextChoices):
        NO_HOUSEHOLD = "no_household", "Nobody lives there for all of it"
        NO_CONSENT = "no_consent", "No consent for flexibility"
        STANDING_OPT_OUT = "standing_opt_out", "Household has opted out for now"
        HUB_NOT_COMMISSIONED = "hub_not_commissioned", "Hub not commissioned"
        ASSET_FAULTY = "asset_faulty", "Asset faulty"
        OWN_LIMITS = "own_limits", "Outside what the household keeps for itself"
        BUSY = "busy", "Already in another campaign"
        NOT_ENOUGH_DURATION = "not_enough_duration", "Cannot hold that long"
        NO_METER_DATA = "no_meter_data", "Too few meter readings for a baseline"
        TOO_LITTLE_USE = "too_little_use", "Home has nothing to give at that time of day"
        HELD_OUT = "held_out", "Held out to compare with: not asked, paid the average"
        NOT_NEEDED = "not_needed", "Size already reached"
        OPTED_OUT = "opted_out", "Household said no to this one"
        CERTIFICATE = "certificate", "Hub's certificate is not accepted"
        HUB_CHANGED = "hub_changed", "Hub was replaced after approval"
        TOO_LATE = "too_late", "Could not be sent before the end"
        DISPLACED = "displaced", "Given to direct load control, which comes first"
        NOT_TOLD = "not_told", "Household could not be told in time"
        RESTING = "resting", "Let go minutes ago, or said no, under the same cap"
        RAMP = "ramp", "More would change at once than the rules allow"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="plan_lines")
    asset = models.ForeignKey("assets.Asset", on_delete=models.PROTECT, related_name="+")
    occupancy = models.ForeignKey("members.Occupancy", null=True, on_delete=models.PROTECT, related_name="+")
    expected_w = models.PositiveIntegerField(default=0)
    left_out = models.CharField(
        max_length=24, choices=LeftOut.choices, blank=True, help_text="Empty when chosen"
    )
    why = models.CharField(max_length=200, blank=True, help_text="Why it was chosen or not, in words")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "asset"], name="planline_one_per_asset"),
            models.CheckConstraint(
                condition=Q(left_out="", expected_w__gt=0, occupancy__isnull=False)
                | (~Q(left_out="") & Q(expected_w=0)),
                name="planline_in_or_out",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asset}: {self.left_out or self.expected_w}"


class Participation(models.Model):
    """One asset's part in a campaign, from approval to its outcome."""

    class State(models.TextChoices):
        PLANNED = "planned"
        SENT = "sent"
        DELIVERED_TO_HUB = "delivered_to_hub"
        OPTED_IN = "opted_in"
        OPTED_OUT = "opted_out"
        OVERRIDDEN = "overridden"
        CANCELLED = "cancelled"

    class Outcome(models.TextChoices):
        DELIVERED = "delivered"
        PARTIAL = "partial"
        OVERRIDDEN = "overridden"
        OPTED_OUT = "opted_out"
        UNRESPONSIVE = "unresponsive"
        DEVICE_ERROR = "device_error"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="participations", db_index=False
    )
    asset = models.ForeignKey(
        "assets.Asset", on_delete=models.PROTECT, related_name="participations", db_index=False
    )
    occupancy = models.ForeignKey(
        "members.Occupancy", on_delete=models.PROTECT, related_name="participations", db_index=False
    )
    ven_id = models.CharField(max_length=64)
    vtn_event_id = models.CharField(
        max_length=80, blank=True, help_text="One event a hub; its assets share it"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    expected_w = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.PLANNED)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True)
    left_out = models.CharField(
        max_length=24,
        choices=PlanLine.LeftOut.choices,
        blank=True,
        help_text="Why the last check kept it back",
    )
    measured_pct = models.IntegerField(
        null=True, blank=True, help_text="Household's metered share of what was asked; empty until settled"
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True, help_text="When the hub fetched the event")
    responded_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the device was first seen changed as asked; empty: it told none",
    )
    start_delay_seconds = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="So long after the start, as its hub drew; empty: the hub told none"
    )
    end_delay_seconds = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="So long after the end, or the calling off; empty: the hub told none"
    )
    dropped_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was taken out of the hub's event; empty while it is in"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="participation_runs_forward"
            ),
            models.UniqueConstraint(fields=["campaign", "asset"], name="participation_one_per_asset"),
            models.CheckConstraint(
                condition=~Q(state__in=["sent", "delivered_to_hub", "opted_in"])
                | (~Q(vtn_event_id="") & Q(sent_at__isnull=False)),
                name="participation_sent_has_an_event",
            ),
            models.CheckConstraint(
                condition=(Q(start_delay_seconds=None) | Q(start_delay_seconds__lte=MOST_SPREAD_SECONDS))
                & (Q(end_delay_seconds=None) | Q(end_delay_seconds__lte=MOST_SPREAD_SECONDS)),
                name="participation_delays_at_most_1800",
            ),
            ExclusionConstraint(
                name="participation_no_overlap",
                expressions=[
                    ("asset", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                condition=~Q(state="cancelled"),
            ),
        ]
        indexes: ClassVar = [
            # Ten thousand are written at once: no index but those needed, and of these the cheapest to write.
            HashIndex(fields=["vtn_event_id"], name="participation_by_event"),
            models.Index(fields=["occupancy", "starts_at"], name="participation_by_occupancy"),
        ]

    def __str__(self) -> str:
        return f"{self.asset} in {self.campaign}"


class OptRecord(models.Model):
    """Every yes and no, whoever said it and however it came; the newest one decides."""

    class Opt(models.TextChoices):
        IN = "in"
        OUT = "out"

    class Source(models.TextChoices):
        HUB = "hub", "The hub's answer"
        MEMBER_BUTTON = "member_button", "Override at the device"
        PORTAL = "portal", "Member's page"
        STAFF = "staff"

    participation = models.ForeignKey(Participation, on_delete=models.PROTECT, related_name="opts")
    opt = models.CharField(max_length=4, choices=Opt.choices)
    source = models.CharField(max_length=16, choices=Source.choices)
    reason = models.CharField(max_length=120, blank=True)
    vtn_sequence = models.BigIntegerField(
        null=True, blank=True, help_text="Sequence of the VTN's opt, when it came that way"
    )
    by = models.ForeignKey("members.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    received_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["participation", "vtn_sequence"],
                condition=Q(vtn_sequence__isnull=False),
                name="optrecord_once_per_vtn_opt",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["participation", "-received_at"], name="optrecord_newest")]

    def __str__(self) -> str:
        return f"{self.opt} by {self.source}"


class Freeze(models.Model):
    """A stretch of time in which nothing may be sent; open until somebody thaws it."""

    frozen_at = models.DateTimeField()
    frozen_by = models.ForeignKey(
        "members.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.CharField(max_length=200, blank=True)
    thawed_at = models.DateTimeField(null=True, blank=True)
    thawed_by = models.ForeignKey(
        "members.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["thawed_at"], nulls_distinct=False, name="freeze_one_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"frozen {self.frozen_at:%Y-%m-%d %H:%M}Z"


# Tariffs and homes' own plans lie in a file of their own.
# The market: who buys, what they ask for, what was offered and ordered.
# What was forecast, and what was there.
from campaigns.forecast_models import FlexibilityForecast as FlexibilityForecast  # noqa: E402
from campaigns.market_models import MarketAvailability as MarketAvailability  # noqa: E402
from campaigns.market_models import MarketOffer as MarketOffer  # noqa: E402
from campaigns.market_models import MarketOfferAsset as MarketOfferAsset  # noqa: E402
from campaigns.market_models import MarketOrder as MarketOrder  # noqa: E402
from campaigns.market_models import MarketParty as MarketParty  # noqa: E402
from campaigns.market_models import MarketPreset as MarketPreset  # noqa: E402
from campaigns.market_models import MarketRequest as MarketRequest  # noqa: E402
from campaigns.market_models import MarketStretch as MarketStretch  # noqa: E402
from campaigns.market_models import MarketTold as MarketTold  # noqa: E402

# Direct load control: who may drive which zone, on what terms, and what came.
from campaigns.servicing_models import CampaignRule as CampaignRule  # noqa: E402
from campaigns.servicing_models import HomeHabit as HomeHabit  # noqa: E402
from campaigns.servicing_models import ServicingClient as ServicingClient  # noqa: E402
from campaigns.servicing_models import ServicingContract as ServicingContract  # noqa: E402
from campaigns.servicing_models import ServicingKey as ServicingKey  # noqa: E402
from campaigns.servicing_models import ServicingNonce as ServicingNonce  # noqa: E402
from campaigns.servicing_models import ServicingRefusal as ServicingRefusal  # noqa: E402
from campaigns.servicing_models import ServicingSignal as ServicingSignal  # noqa: E402
from campaigns.tariff_models import HomePlan as HomePlan  # noqa: E402
from campaigns.tariff_models import HomePlanLine as HomePlanLine  # noqa: E402
from campaigns.tariff_models import HomeTariff as HomeTariff  # noqa: E402
from campaigns.tariff_models import Tariff as Tariff  # noqa: E402
from campaigns.tariff_models import TariffBand as TariffBand  # noqa: E402
from campaigns.tariff_models import TariffRate as TariffRate  # noqa: E402

# UFTP: who we are, how a buyer speaks it, what was exchanged.
from campaigns.uftp_models import UftpIdentity as UftpIdentity  # noqa: E402
from campaigns.uftp_models import UftpMessage as UftpMessage  # noqa: E402
from campaigns.uftp_models import UftpPoint as UftpPoint  # noqa: E402
from campaigns.uftp_models import UftpRefusal as UftpRefusal  # noqa: E402
from campaigns.uftp_models import UftpTerms as UftpTerms  # noqa: E402
from campaigns.ven_models import OperatorEvent as OperatorEvent  # noqa: E402
from campaigns.ven_models import OperatorMessage as OperatorMessage  # noqa: E402
from campaigns.ven_models import OperatorPlace as OperatorPlace  # noqa: E402
from campaigns.ven_models import OperatorReport as OperatorReport  # noqa: E402
from campaigns.ven_models import OperatorVtn as OperatorVtn  # noqa: E402
