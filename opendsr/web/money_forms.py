"""Forms of the money pages: text to typed values; the rules themselves are the services'."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from django import forms
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from campaigns.models import Campaign, Programme
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import LONDON, civil_date
from opendsr.web.forms import DayField, ProgrammeField
from opendsr.web.refusals import say_at_fields
from settlement import queries, rounds
from settlement.models import Rail, RoundKind, SettlementRound, Society
from settlement.remitting import RemittedLine
from settlement.sharing import PolicyInvalid, policy_from
from settlement.surplus import Resolution

MOST_POUNDS: Final = Decimal(10_000_000)
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
MOST_EVENTS = 400


def _share(label: Any, initial: int) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=Decimal(0),
        max_value=Decimal(100),
        decimal_places=3,
        initial=Decimal(initial),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )


class RoundForm(forms.Form):
    """A programme and a month: the round settles every event of it that the kind allows."""

    programme = ProgrammeField(Programme.objects.order_by("name"), label=_lazy("Programme"), empty_label=None)
    kind = forms.ChoiceField(
        label=_lazy("Kind"),
        choices=[(RoundKind.FINAL, _lazy("Final")), (RoundKind.CORRECTION, _lazy("Correction"))],
    )
    first_day = DayField(label=_lazy("Events from"), widget=DAY)
    last_day = DayField(label=_lazy("to"), widget=DAY)
    is_forced = forms.BooleanField(
        label=_lazy("Settle without readings that are missing; they earn nothing"), required=False
    )
    holds_unearned = forms.BooleanField(
        label=_lazy("Hold for the community fund what a buyer owes and no home earned"), required=False
    )

    def __init__(self, data: Any = None, *, at: datetime) -> None:
        """Offer the month before `at`."""
        today = civil_date(at)
        last = today.replace(day=1) - timedelta(days=1)
        super().__init__(data, initial={"first_day": last.replace(day=1), "last_day": last})

    def propose(self, *, at: datetime, by: Any) -> SettlementRound | None:
        """Propose the round; None, said at the last day, for more events than one round takes.

        Raises the errors of `rounds.propose_round`.
        """
        data = self.cleaned_data
        begin = datetime.combine(data["first_day"], time(), LONDON).astimezone(UTC)
        end = datetime.combine(data["last_day"] + timedelta(days=1), time(), LONDON).astimezone(UTC)
        found = Campaign.objects.filter(
            programme=data["programme"],
            state=Campaign.State.COMPLETED,
            starts_at__gte=begin,
            starts_at__lt=end,
        ).order_by("starts_at")
        standing = queries.newest_runs(campaign.pk for campaign in found)
        is_correction = data["kind"] == RoundKind.CORRECTION
        wanted = [
            campaign.pk for campaign in found if queries.is_final(standing.get(campaign.pk)) == is_correction
        ]
        if len(wanted) > MOST_EVENTS:
            words = _("These days have %(n)s events, and a round takes %(most)s: choose an earlier last day.")
            self.add_error("last_day", words % {"n": f"{len(wanted):,}", "most": MOST_EVENTS})
            return None
        return rounds.propose_round(
            programme_code=data["programme"].pk,
            kind=data["kind"],
            campaign_ids=wanted,
            at=at,
            by=by,
            is_forced=data["is_forced"],
            holds_unearned=data["holds_unearned"],
        )


class BatchForm(forms.Form):
    """How and when to pay, and from which balance on."""

    rail = forms.ChoiceField(label=_lazy("How"), choices=Rail.choices)
    processing_date = DayField(label=_lazy("Day"), widget=DAY)
    threshold_pounds = forms.DecimalField(
        label=_lazy("From £"),
        min_value=Decimal("0.01"),
        max_value=Decimal(10_000),
        decimal_places=2,
        initial=Decimal("5.00"),
        help_text=_lazy("Smaller balances carry forward, except of those who leave."),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )

    def __init__(self, data: Any = None, *, today: date) -> None:
        """Offer the day after tomorrow."""
        super().__init__(data, initial={"processing_date": today + timedelta(days=2)})
        self._today = today

    def clean_processing_date(self) -> date:
        """A day that is not over."""
        day: date = self.cleaned_data["processing_date"]
        if not self._today <= day <= self._today + timedelta(days=60):
            raise forms.ValidationError(_("Choose a day from today on, within sixty days."))
        return day


class StatusForm(forms.Form):
    """The bank's answer as a CSV file."""

    file = forms.FileField(label=_lazy("Status file"))


class RemittanceForm(forms.Form):
    """What a buyer paid, a line an event: the event's id, the net amount, and the buyer's reason."""

    programme = ProgrammeField(Programme.objects.order_by("name"), label=_lazy("Programme"), empty_label=None)
    reference = forms.CharField(
        label=_lazy("Their reference"), max_length=60, validators=[ProhibitNullCharactersValidator()]
    )
    vat_pounds = forms.DecimalField(
        label=_lazy("VAT in £"),
        min_value=Decimal(0),
        max_value=MOST_POUNDS,
        decimal_places=2,
        initial=Decimal(0),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    lines = forms.CharField(
        label=_lazy("Events"),
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_lazy("A line an event: its id, the net amount in £, and why it differs, with commas."),
        max_length=100_000,
        validators=[ProhibitNullCharactersValidator()],
    )

    def clean_lines(self) -> list[RemittedLine]:
        """The lines as values; the first that makes no sense is named."""
        found = []
        for number, text in enumerate(self.cleaned_data["lines"].splitlines(), start=1):
            if not text.strip():
                continue
            parts = [part.strip() for part in text.split(",", 2)]
            try:
                pounds = Decimal(parts[1].lstrip("£"))
                if not pounds.is_finite() or abs(pounds) > MOST_POUNDS:
                    raise ValueError(parts[1])
                pence = pounds * 100
                if pence != int(pence):
                    raise ValueError(parts[1])
                found.append(RemittedLine(UUID(parts[0]), int(pence), parts[2] if len(parts) > 2 else ""))
            except (ValueError, IndexError, InvalidOperation) as error:
                words = _("Line %(n)s is not an event's id and an amount: %(text)s")
                raise forms.ValidationError(words % {"n": number, "text": text[:80]}) from error
        return found


class SocietyForm(forms.Form):
    """What kind of registered society the co-op is."""

    legal_form = forms.ChoiceField(label=_lazy("Legal form"), choices=Society.Form.choices)


class SurplusForm(forms.Form):
    """A members' vote on a year's surplus, as it was counted; the law's limits are the service's."""

    year = forms.CharField(
        label=_lazy("Year"),
        max_length=20,
        validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("As the accounts name it: each is shared once."),
    )
    first_day = DayField(label=_lazy("A dividend goes by what was earned from"), widget=DAY)
    last_day = DayField(label=_lazy("to"), widget=DAY)
    surplus_pounds = forms.DecimalField(
        label=_lazy("Surplus in £"),
        min_value=Decimal("0.01"),
        max_value=Decimal(100_000_000),
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    reserves_pct = _share(_lazy("To reserves, %"), 100)
    fund_pct = _share(_lazy("To the community fund, %"), 0)
    dividend_pct = _share(_lazy("Dividend to members, %"), 0)
    votes_for = forms.IntegerField(label=_lazy("Votes for"), min_value=0, max_value=10_000_000)
    votes_against = forms.IntegerField(label=_lazy("Votes against"), min_value=0, max_value=10_000_000)

    def __init__(self, data: Any = None, *, at: datetime) -> None:
        """Offer the calendar year before `at`."""
        year = civil_date(at).year - 1
        usual = {"year": str(year), "first_day": date(year, 1, 1), "last_day": date(year, 12, 31)}
        super().__init__(data, initial=usual)

    def clean(self) -> dict[str, Any]:
        """The period and the vote as values."""
        data = super().clean() or {}
        if self.errors:
            return data
        if data["last_day"] < data["first_day"]:
            self.add_error("last_day", _("The last day is before the first."))
            return data
        begin, end = data["first_day"], data["last_day"] + timedelta(days=1)
        data["period"] = Interval(
            *(datetime.combine(day, time(), LONDON).astimezone(UTC) for day in (begin, end))
        )
        data["resolution"] = Resolution(
            reserves_pct=data["reserves_pct"],
            fund_pct=data["fund_pct"],
            dividend_pct=data["dividend_pct"],
            votes_for=data["votes_for"],
            votes_against=data["votes_against"],
        )
        return data


class PolicyForm(forms.Form):
    """A share policy and when it begins; percentages of the members' pool sum to 100."""

    name = forms.CharField(
        label=_lazy("Name"), max_length=80, validators=[ProhibitNullCharactersValidator()], initial="Co-op"
    )
    effective_day = DayField(label=_lazy("In force from the start of"), widget=DAY)
    coop_pct = forms.DecimalField(label=_lazy("The co-op’s share, %"), initial=Decimal(35))
    steps = forms.CharField(
        label=_lazy("Later shares"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_lazy("A line each: a day and the co-op’s percentage from then on, as 2027-04-01 30"),
        max_length=2_000,
    )
    fund_pct = forms.DecimalField(label=_lazy("Community fund, %"), initial=Decimal(0))
    wh_pct = forms.DecimalField(label=_lazy("Shared by what homes delivered, %"), initial=Decimal(100))
    availability_pct = forms.DecimalField(label=_lazy("Shared by standing ready, %"), initial=Decimal(0))
    equal_pct = forms.DecimalField(label=_lazy("Shared in equal parts, %"), initial=Decimal(0))
    floor_pence = forms.DecimalField(
        label=_lazy("First, for every home that took part, pence"),
        initial=Decimal(0),
        decimal_places=3,
        min_value=Decimal(0),
        max_value=Decimal(100_000),
    )
    hardship_weight = forms.DecimalField(
        label=_lazy("A home in hardship counts"), initial=Decimal(1), help_text=_lazy("times: 1 to 10")
    )
    why = forms.CharField(
        label=_lazy("Why"),
        required=False,
        max_length=200,
        help_text=_lazy("Members read this."),
        validators=[ProhibitNullCharactersValidator()],
    )

    def __init__(self, data: Any = None, *, at: datetime) -> None:
        """Offer the day after `at`."""
        super().__init__(data, initial={"effective_day": civil_date(at) + timedelta(days=1)})

    def clean(self) -> dict[str, Any]:
        """The policy as a value; what it refuses is said at its field."""
        data = super().clean() or {}
        if self.errors:
            return data
        data["effective_from"] = datetime.combine(data["effective_day"], time(), LONDON).astimezone(UTC)
        parts = {"wh": "wh_pct", "availability": "availability_pct", "equal": "equal_pct"}
        split = {by: str(data[name]) for by, name in parts.items() if data[name]}
        try:
            data["policy"] = policy_from(
                {
                    "coop_pct": str(data["coop_pct"]),
                    "steps": [line.split() for line in data["steps"].splitlines() if line.strip()],
                    "fund_pct": str(data["fund_pct"]),
                    "split": split,
                    "floor_mp": int(data["floor_pence"] * 1000),
                    "hardship_weight": str(data["hardship_weight"]),
                }
            )
        except PolicyInvalid as error:
            names = {"split": "wh_pct", "floor_mp": "floor_pence"}
            say_at_fields(self, {str(error.field): str(error.reason)}, names)
        return data
