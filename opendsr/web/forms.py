"""Forms of the staff pages: text to typed values; the rules themselves are the services'."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator, ProhibitNullCharactersValidator
from django.utils.translation import gettext_lazy as _

from campaigns.models import MOST_HELD_OUT_PCT, Campaign, Direction, Programme, ZoneKind
from members.models import Home
from opendsr.kernel.periods import LONDON, comes_twice
from opendsr.kernel.uk_times import UkTimesForm, WhichOfTwo
from opendsr.web import wording

HALF_HOURS: Final = [(f"{hour:02d}:{minute:02d}",) * 2 for hour in range(24) for minute in (0, 30)]
EARLIEST_DAY, LATEST_DAY = date(2000, 1, 1), date(2099, 12, 31)
WRONG_DAY: Final = _("Choose a day from the year 2000 to 2099.")
ZONES_OFFERED: Final = 200
MOST_KW: Final = 2_000_000


class DayField(forms.DateField):
    """A day of this century: from one at the edge of all calendars no other day can be reckoned."""

    def validate(self, value: Any) -> None:
        """Raise ValidationError for any other day."""
        super().validate(value)
        if value and not EARLIEST_DAY <= value <= LATEST_DAY:
            raise forms.ValidationError(WRONG_DAY)


class ProgrammeField(forms.ModelChoiceField):
    """A programme by its code; text that no code can be is a wrong choice, not a fault."""

    def to_python(self, value: Any) -> Any:
        """The programme, None when empty; raises ValidationError."""
        if isinstance(value, str) and "\0" in value:
            raise forms.ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return super().to_python(value)


class CampaignForm(UkTimesForm):
    """What to ask, where, how much and when, in UK local time.

    `key` becomes the campaign's id, so that a form sent twice makes one campaign.
    """

    key = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(label=_("Name"), max_length=120)
    programme = ProgrammeField(Programme.objects.order_by("name"), label=_("Programme"), empty_label=None)
    direction = forms.ChoiceField(
        label=_("What homes should do"),
        choices=[(code, wording.DIRECTIONS[code]) for code in Direction.values],
    )
    zone_kind = forms.ChoiceField(label=_("Kind of zone"), choices=ZoneKind.choices, initial=ZoneKind.CMZ)
    zone = forms.CharField(
        label=_("Zone"),
        required=False,
        max_length=60,
        help_text=_("For example G, Calder Bank or OL. Leave it empty for everywhere."),
        widget=forms.TextInput(attrs={"list": "known-zones"}),
    )
    size_kw = forms.DecimalField(
        label=_("Size in kW"),
        min_value=Decimal("0.001"),
        max_value=Decimal(MOST_KW),
        max_digits=10,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    day = forms.DateField(
        label=_("Day"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=[
            MinValueValidator(EARLIEST_DAY, message=_("Choose a day in the future.")),
            MaxValueValidator(LATEST_DAY, message=_("Choose a day before the year 2100.")),
        ],
    )
    starts = forms.ChoiceField(label=_("From"), choices=HALF_HOURS, initial="17:00")
    starts_in = WhichOfTwo(of="starts", label=_("From which of the two"))
    ends = forms.ChoiceField(
        label=_("Until"),
        choices=HALF_HOURS,
        initial="18:30",
        help_text=_("Four hours at most; an earlier time is on the next day."),
    )
    ends_in = WhichOfTwo(of="ends", label=_("Until which of the two"))
    hold_out_pct = forms.IntegerField(
        label=_("Homes held out, in percent"),
        required=False,
        min_value=0,
        max_value=MOST_HELD_OUT_PCT,
        help_text=_(
            "Drawn by turns among the homes that would be asked. They get no event, are paid the average and "
            "show what the event did. Empty: as the programme says."
        ),
    )
    reason = forms.CharField(
        label=_("Why"),
        required=False,
        max_length=200,
        help_text=_("Members read this. For example: the substation is near its limit."),
        validators=[ProhibitNullCharactersValidator()],
    )

    @staticmethod
    def has_programme() -> bool:
        """Whether there is any programme to choose."""
        return Programme.objects.exists()

    @staticmethod
    def known_zones() -> list[str]:
        """Names of zones with homes in them, to choose from while typing."""
        names: set[str] = set()
        for field in ("cmz", "primary_substation", "gsp_group"):
            named = (
                Home.objects.exclude(**{field: ""}).order_by(field).values_list(field, flat=True).distinct()
            )
            names.update(named[:ZONES_OFFERED])
        return sorted(names)

    def local_time(self, name: str) -> datetime | None:
        """Start or end: the end is on the next day where its time is not after the start's.

        In the hour that comes twice an earlier time may be the later one, so there it is of the same day.
        """
        day, starts, ends = (self.value_of(each) for each in ("day", "starts", "ends"))
        are_known = {starts, ends} <= dict(HALF_HOURS).keys()
        if not are_known or day is None or not EARLIEST_DAY <= day <= LATEST_DAY:
            return None
        start, end = (datetime.combine(day, time.fromisoformat(each)) for each in (starts, ends))
        if end <= start and not (comes_twice(start) and comes_twice(end)):
            end += timedelta(days=1)
        return {"starts": start, "ends": end}[name]

    def clean(self) -> dict[str, Any]:
        """Turn the day and the two times into instants; a time the clocks skip is refused by name."""
        data = super().clean() or {}
        return data | {"starts_at": self.instant("starts"), "ends_at": self.instant("ends")}


def asked_before(campaign: Campaign) -> dict[str, object]:
    """What a campaign asks, as the form says it."""
    starts, ends = (each.astimezone(LONDON) for each in (campaign.starts_at, campaign.ends_at))
    return {
        "name": campaign.name,
        "programme": campaign.programme_id,
        "direction": campaign.direction,
        "zone_kind": campaign.zone_kind,
        "zone": campaign.zone,
        "size_kw": f"{Decimal(campaign.size_w) / 1000:f}",
        "day": starts.date(),
        "starts": f"{starts:%H:%M}",
        "starts_in": starts.tzname(),
        "ends": f"{ends:%H:%M}",
        "ends_in": ends.tzname(),
        "hold_out_pct": campaign.hold_out_pct,
        "reason": campaign.reason,
    }
