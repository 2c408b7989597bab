"""What the member API gives and takes, field by field: UTC times, watts, Wh, millipence (1/1000 p)."""

from __future__ import annotations

from rest_framework import serializers

from members.models import Consent, StandingOptOut
from members.recurring import EVERY_DAY

SHARE_HELP = "The share of their power that assets keep; null is to be left out altogether"


class HomeField(serializers.Serializer):
    """A home the household lives in."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    postcode = serializers.CharField()
    since = serializers.DateTimeField()


class MeField(serializers.Serializer):
    """Who the token speaks for."""

    number = serializers.CharField()
    full_name = serializers.CharField()
    household = serializers.CharField()
    balance_mp = serializers.IntegerField()
    homes = HomeField(many=True)
    scope = serializers.CharField(allow_null=True)


class PersonField(serializers.Serializer):
    """Somebody of the household, a member with a sign-in of their own."""

    number = serializers.CharField()
    full_name = serializers.CharField()
    since = serializers.DateTimeField()
    is_account_holder = serializers.BooleanField()
    is_you = serializers.BooleanField()


class HouseholdField(serializers.Serializer):
    """Who shares the homes. The account holder alone moves money and homes, and says who belongs to it."""

    name = serializers.CharField()
    people = PersonField(many=True)


class NewInvitationField(serializers.Serializer):
    """Whom to invite into the household."""

    email = serializers.EmailField(max_length=254)


class EventField(serializers.Serializer):
    """What one home is asked for in one campaign."""

    campaign_id = serializers.UUIDField()
    home_id = serializers.UUIDField()
    name = serializers.CharField()
    why = serializers.CharField()
    direction = serializers.ChoiceField(choices=("turn_down", "turn_up"))
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    expected_w = serializers.IntegerField()
    assets = serializers.ListField(child=serializers.CharField())
    answer = serializers.ChoiceField(choices=("in", "partly", "out"))


class AnswerField(serializers.Serializer):
    """In or out, for the whole home."""

    answer = serializers.ChoiceField(choices=("in", "out"))


class StatementField(serializers.Serializer):
    """A statement of what was earned."""

    id = serializers.UUIDField()
    home_id = serializers.UUIDField()
    issued_at = serializers.DateTimeField()
    posted_mp = serializers.IntegerField()
    is_provisional = serializers.BooleanField()


class ReadingField(serializers.Serializer):
    """Net import of one half-hour; null where the reading is missing."""

    starts_at = serializers.DateTimeField()
    net_wh = serializers.IntegerField(allow_null=True)


class DayField(serializers.Serializer):
    """A Europe/London day of readings: 46, 48 or 50 half-hours."""

    day = serializers.DateField()
    oldest = serializers.DateField()
    newest = serializers.DateField()
    readings = ReadingField(many=True)


class PlanLineField(serializers.Serializer):
    """What one asset does by half-hour, and the cost with and without the plan."""

    asset = serializers.CharField()
    power_w = serializers.ListField(child=serializers.IntegerField())
    cost_mp = serializers.IntegerField()
    unplanned_cost_mp = serializers.IntegerField()
    is_stopped = serializers.BooleanField()


class PlanField(serializers.Serializer):
    """The newest plan of a home: half-hours from `starts_at` on."""

    home_id = serializers.UUIDField()
    night = serializers.DateField()
    tariff = serializers.CharField()
    starts_at = serializers.DateTimeField()
    is_sent = serializers.BooleanField()
    lines = PlanLineField(many=True)


class ConsentField(serializers.ModelSerializer[Consent]):
    """A consent in force."""

    home_id = serializers.UUIDField(source="occupancy_id")
    version = serializers.IntegerField(source="text.version")

    class Meta:
        model = Consent
        fields = ("id", "home_id", "purpose", "granularity", "starts_at", "version")


class OptOutField(serializers.ModelSerializer[StandingOptOut]):
    """A standing wish: to be left out, or to keep a share of the power, at some times."""

    home_id = serializers.UUIDField(source="occupancy_id")
    reason = serializers.CharField()

    class Meta:
        model = StandingOptOut
        fields = (
            "id", "home_id", "starts_at", "ends_at", "weekdays", "from_time", "to_time", "season_from",
            "season_to", "least_pct", "reason",
        )  # fmt: skip


class NewOptOutField(serializers.Serializer):
    """A new standing wish; only the home is needed."""

    home_id = serializers.UUIDField()
    starts_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Empty: now")
    ends_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Empty: until taken back")
    weekdays = serializers.IntegerField(
        default=EVERY_DAY,
        min_value=1,
        max_value=EVERY_DAY,
        help_text="Bits: Monday 1, Tuesday 2, to Sunday 64",
    )
    from_time = serializers.TimeField(required=False, allow_null=True, help_text="Europe/London")
    to_time = serializers.TimeField(required=False, allow_null=True)
    season_from = serializers.RegexField(
        r"^[0-9]{2}-[0-9]{2}$", required=False, default="", help_text="MM-DD"
    )
    season_to = serializers.RegexField(r"^[0-9]{2}-[0-9]{2}$", required=False, default="")
    least_pct = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=99, help_text=SHARE_HELP
    )
    reason = serializers.CharField(required=False, default="", max_length=120, allow_blank=True)
