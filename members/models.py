"""People and premises: who belongs to the co-op, where they live and what they have agreed to.

Homes are premises; an occupancy is a household's dated stay in one. Consents and meter streams hang on the
occupancy, hubs and assets (in `assets/`) on the home. Everything here lives in the `identity` schema.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import validate_email
from django.db import models
from django.db.models import F, Func, Q
from django.utils.translation import gettext_lazy as _lazy

from members.mpan import has_valid_check_digit
from members.recurring import EVERY_DAY, SEASON_DAY, Recurrence
from opendsr.kernel.blind_index import BlindIndexField, SealedModel, SealedQuerySet, WordsField
from opendsr.kernel.clock import wall_now
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField

MEMBER_NUMBER = r"^M-([0-9]{5}|[1-9][0-9]{5,9})$"
MPAN = r"^[0-9]{13}$"
POSTCODE = r"^[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}$"
GSP_GROUP = r"^[A-HJ-NP]$"


class TsTzRange(Func):
    """PostgreSQL `tstzrange(starts_at, ends_at, '[)')`; a NULL end means open."""

    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class UserManager(BaseUserManager.from_queryset(SealedQuerySet)):  # type: ignore[misc]
    """Creates sign-in accounts by email address."""

    def create_user(self, email: str, password: str | None = None, **extra: object) -> User:
        """Create a sign-in account; the address is normalised to lower case."""
        if not email:
            raise ValueError("a user needs an email address")
        user: User = self.model(email=self.normalize_email(email), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: object) -> User:
        """Create an account that may do everything."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> User:
        """Look an account up by email, whatever the case."""
        found: User = self.get(email=self.normalize_email(username))
        return found

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The one way an address is stored: trimmed and in lower case."""
        return (email or "").strip().lower()


class Role(models.TextChoices):
    """Django groups named from day one; `roles.py` grants rights, `policy.py` of each room asks for them."""

    ADMINISTRATOR = "administrator"
    DISPATCHER = "dispatcher"
    DEVICE_MANAGER = "device_manager"
    MEMBER_SERVICES = "member_services"
    INSTALLER = "installer"
    FINANCE = "finance"
    AUDITOR = "auditor"
    PARTNER = "partner"
    API_APPLICATION = "api_application"


class User(SealedModel, AbstractBaseUser, PermissionsMixin):
    """A sign-in account; a member, a member of staff, or both.

    The address is sealed with a key of the account's own; `filter(email=...)` goes by its index, which is
    what is unique (`unique` on the sealed text itself serves forms, and Django, which asks for it).
    """

    key_id = models.UUIDField(default=new_uuid, editable=False)  # read first: rows announce their keys by it
    email = SealedTextField(
        _lazy("email address"), subject="key_id", longest=254, index="email_index", unique=True,
        validators=[validate_email],
    )  # fmt: skip
    email_index = BlindIndexField(of="email")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=wall_now)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        db_table = "members_user"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["email_index"], name="user_one_an_email"),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        """Store the address the one way, whichever form it came from."""
        super().clean()
        self.email = UserManager.normalize_email(self.email)


class Household(SealedModel):
    """People who live together and share what their home earns."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = SealedTextField(longest=120)
    words = WordsField(of=("name",))

    class Meta:
        indexes: ClassVar = [GinIndex(fields=["words"], name="household_by_words")]

    def __str__(self) -> str:
        return f"household {self.pk.hex[-8:]}"


class LeftReason(models.TextChoices):
    """Why a membership ended."""

    REQUESTED = "requested", "Left by their own wish"
    DECEASED = "deceased", "Died"
    REMOVED = "removed", "Taken out of the household by its account holder"


class Member(SealedModel):
    """A member of the co-op, known in every log by number, never by name."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    number = models.CharField(max_length=12, unique=True, help_text="M-00001")
    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="member")
    household = models.ForeignKey(Household, on_delete=models.PROTECT, related_name="members")
    full_name = SealedTextField(longest=120)
    words = WordsField(of=("full_name",))
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    left_reason = models.CharField(max_length=12, choices=LeftReason.choices, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(number__regex=MEMBER_NUMBER), name="member_number_in_its_form"
            ),
            models.CheckConstraint(
                condition=Q(left_at__isnull=True) | Q(left_at__gt=F("joined_at")),
                name="member_leaves_after_joining",
            ),
            models.CheckConstraint(
                condition=Q(left_reason="") | Q(left_at__isnull=False), name="member_left_for_a_reason"
            ),
        ]
        indexes: ClassVar = [GinIndex(fields=["words"], name="member_by_words")]

    def __str__(self) -> str:
        return self.number

    def is_current(self, at: datetime) -> bool:
        """True while the membership runs: joined_at <= at < left_at."""
        return self.joined_at <= at and (self.left_at is None or at < self.left_at)


class Home(SealedModel):
    """Premises: the thing with a meter point, a place on the grid and hubs and assets inside.

    Name, address and MPAN are sealed with a key of the home's own, which outlives those who live there.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = SealedTextField(longest=80, help_text="What staff call it; never shown to another household")
    name_index = BlindIndexField(of="name")
    address = SealedTextField(longest=200, blank=True)
    words = WordsField(of=("name", "address"))
    postcode = models.CharField(max_length=8)
    mpan = SealedTextField(longest=13, pattern=MPAN)
    mpan_index = BlindIndexField(of="mpan")
    gsp_group = models.CharField(
        max_length=2, help_text="Grid supply point group, e.g. _G without the underscore: G"
    )
    primary_substation = models.CharField(max_length=60, blank=True)
    cmz = models.CharField("constraint management zone", max_length=60, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["mpan_index"], name="home_one_a_mpan"),
            models.CheckConstraint(
                condition=Q(postcode__regex=POSTCODE),
                name="home_postcode_is_british",
                violation_error_message="Write the postcode as in M15 5RF.",
            ),
            models.CheckConstraint(
                condition=Q(gsp_group__regex=GSP_GROUP),
                name="home_gsp_group_is_a_letter",
                violation_error_message="Name the GSP group by its letter, A to P without I and O.",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["name_index"], name="home_by_name"),
            GinIndex(fields=["words"], name="home_by_words"),
            models.Index(fields=["gsp_group"], name="home_by_gsp_group"),
            models.Index(fields=["cmz"], name="home_by_cmz"),
        ]

    def __str__(self) -> str:
        return f"{self.postcode} ({self.pk.hex[-8:]})"

    @property
    def is_mpan_doubtful(self) -> bool:
        """True when the MPAN's check digit does not fit: somebody should read it off the bill again."""
        return not has_valid_check_digit(self.mpan)


class Occupancy(models.Model):
    """A household's dated stay in a home, half-open [starts_at, ends_at); open while they live there."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    home = models.ForeignKey(Home, on_delete=models.PROTECT, related_name="occupancies")
    household = models.ForeignKey(Household, on_delete=models.PROTECT, related_name="occupancies")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "occupancies"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="occupancy_runs_forward",
            ),
            ExclusionConstraint(
                name="occupancy_one_household_a_home",
                expressions=[
                    ("home", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.household} at {self.home}"

    def is_current(self, at: datetime) -> bool:
        """True while the household lives there: starts_at <= at < ends_at."""
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


class MeterStream(models.Model):
    """The only link between a random stream id in `energy` and the household whose use it holds."""

    stream_id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    occupancy = models.ForeignKey(Occupancy, on_delete=models.PROTECT, related_name="streams")
    name = models.CharField(max_length=40, default="electricity")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")),
                name="meterstream_runs_forward",
            ),
            ExclusionConstraint(
                name="meterstream_one_at_a_time",
                expressions=[
                    ("occupancy", RangeOperators.EQUAL),
                    ("name", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return str(self.stream_id)


class Purpose(models.TextChoices):
    """What a consent lets the co-op do."""

    FLEXIBILITY = "flexibility", _lazy("Control my assets in campaigns")
    SETTLEMENT = "settlement", _lazy("Use half-hourly readings for baselines and settlement")
    ADVICE = "advice", _lazy("Use my readings to advise me")
    PARTNER_TOTALS = "partner_totals", _lazy("Count my days in totals over many homes for my landlord")


class Granularity(models.TextChoices):
    """The finest reading a consent covers."""

    MONTHLY = "monthly", _lazy("Monthly")
    DAILY = "daily", _lazy("Daily")
    HALF_HOURLY = "half_hourly", _lazy("Half Hourly")
    LIVE = "live", _lazy("Live")
    NONE = "none", _lazy("not about readings")

    def or_finer(self) -> list[Granularity]:
        """The granularities whose consent covers a reading this fine."""
        order = (
            Granularity.NONE,
            Granularity.MONTHLY,
            Granularity.DAILY,
            Granularity.HALF_HOURLY,
            Granularity.LIVE,
        )
        return list(order[order.index(self) :])


class ReadingSource(models.TextChoices):
    """Where the readings a consent speaks of come from."""

    CAD = "cad", "Consumer access device"
    SUPPLIER = "supplier", "Energy supplier"
    DCC = "dcc", "Smart meter network (DCC)"
    HEMS = "hems", "The hub itself"


class Channel(models.TextChoices):
    """How an agreement reached the co-op."""

    WEB = "web", _lazy("Web")
    PAPER = "paper", _lazy("Paper")
    PHONE = "phone", _lazy("Phone")


class EndReason(models.TextChoices):
    """Why a consent ended."""

    REQUESTED = "requested", _lazy("Withdrawn by the household")
    MOVED_HOUSE = "moved_house", _lazy("Moved House")
    MEMBERSHIP_ENDED = "membership_ended", _lazy("Membership Ended")
    BEREAVEMENT = "bereavement", _lazy("Bereavement")
    NO_DATA = "no_data", _lazy("No data came")
    ADMIN = "admin", _lazy("Ended by staff")
    OTHER = "other", _lazy("Other")


class ConsentText(models.Model):
    """The exact words a member agreed to; versions are never edited."""

    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    version = models.PositiveIntegerField()
    body = models.TextField()
    body_sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["purpose", "version"], name="consenttext_one_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} v{self.version}"


class Consent(models.Model):
    """One member's dated agreement to one purpose, in named words, through a named channel."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    occupancy = models.ForeignKey(Occupancy, on_delete=models.PROTECT, related_name="consents")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="consents")
    text = models.ForeignKey(ConsentText, on_delete=models.PROTECT)
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    granularity = models.CharField(max_length=12, choices=Granularity.choices)
    source = models.CharField(max_length=12, choices=ReadingSource.choices, default=ReadingSource.CAD)
    channel = models.CharField(max_length=20, choices=Channel.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=40, choices=EndReason.choices, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")),
                name="consent_runs_forward",
            ),
            models.CheckConstraint(
                condition=Q(purpose="flexibility", granularity="none")
                | (~Q(purpose="flexibility") & ~Q(granularity="none")),
                name="consent_granularity_fits_purpose",
            ),
            ExclusionConstraint(
                name="consent_one_live_per_purpose",
                expressions=[
                    ("occupancy", RangeOperators.EQUAL),
                    ("purpose", RangeOperators.EQUAL),
                    ("source", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.member}"


class StandingOptOut(SealedModel):
    """A household's wish to be left out of every campaign for a while (holiday, illness, visitors), or at
    some hours, weekdays or seasons of it (`recurring`).

    One called off before it began is kept, empty: it ends when it starts.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    occupancy = models.ForeignKey(Occupancy, on_delete=models.PROTECT, related_name="standing_opt_outs")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    reason = SealedTextField(subject="occupancy_id", longest=120, blank=True)
    weekdays = models.PositiveSmallIntegerField(
        default=EVERY_DAY, help_text="A bit each, Monday the lowest; 127 is every day"
    )
    from_time = models.TimeField(null=True, blank=True, help_text="London time; empty: the whole day")
    to_time = models.TimeField(null=True, blank=True)
    season_from = models.CharField(max_length=5, blank=True, help_text="MM-DD; empty: the whole year")
    season_to = models.CharField(max_length=5, blank=True)
    least_pct = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="The share of their power that assets keep when turned down; empty: left out altogether",
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")),
                name="standingoptout_runs_forward",
            ),
            models.CheckConstraint(
                condition=Q(least_pct__isnull=True) | Q(least_pct__gte=1, least_pct__lte=99),
                name="standingoptout_keeps_a_share",
            ),
            models.CheckConstraint(
                condition=Q(weekdays__gte=1, weekdays__lte=EVERY_DAY), name="standingoptout_has_a_weekday"
            ),
            models.CheckConstraint(
                condition=Q(from_time__isnull=True, to_time__isnull=True)
                | Q(from_time__isnull=False, to_time__isnull=False),
                name="standingoptout_hours_have_both_ends",
            ),
            models.CheckConstraint(
                condition=Q(season_from="", season_to="")
                | Q(season_from__regex=SEASON_DAY, season_to__regex=SEASON_DAY),
                name="standingoptout_season_has_both_ends",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["occupancy"], name="standingoptout_by_occupancy")]

    def __str__(self) -> str:
        return f"{self.occupancy} from {self.starts_at:%Y-%m-%d}"

    @property
    def recurrence(self) -> Recurrence:
        """When in its time it holds."""
        return Recurrence(self.weekdays, self.from_time, self.to_time, self.season_from, self.season_to)


from members import care_models as care_models  # noqa: E402 - its table belongs to this room
from members import partner_models as partner_models  # noqa: E402 - its tables belong to this room

from members import enquiry_models as enquiry_models  # noqa: E402, isort:skip
from members import rights_models as rights_models  # noqa: E402, isort:skip
from members import supply_models as supply_models  # noqa: E402, isort:skip
from members import token_models as token_models  # noqa: E402, isort:skip
