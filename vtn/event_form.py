"""The forms by which staff write an event or change one: fields to content, in minutes and UK local time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, cast, get_args

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from opendsr.kernel.uk_times import UkTimeField, UkTimesForm, WhichOfTwo
from vtn import contexts, repeating
from vtn.content import EventContent, SignalContent, Target, TargetKind
from vtn.models import VenGroup
from vtn.port import VenId
from vtn.sending import lasting
from vtn.signals import RULES, UNITS

SIGNALS: Final = tuple(name for name in RULES if name != "simple")
CHOICES: Final = [(each, each) for each in SIGNALS]
LONGEST_SIGNAL: Final = 60
SERIES: Final = ("repeat_on", "repeat_until", "skips_holidays")
TYPES: Final = tuple(dict.fromkeys(kind for kinds in RULES.values() for kind in kinds))
KINDS: Final = get_args(TargetKind)
MOST_INTERVALS: Final = 300
MOST_SIGNALS: Final = 10
LONGEST_LIST: Final = 300_000
_INTERVAL: Final = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)\s*[:x]\s*(-?\d{1,9}(?:\.\d{1,9})?)")


def minutes_field(label: Any, *, least: int, most: int) -> forms.DecimalField:
    """Minutes, to the second."""
    widget = forms.NumberInput(attrs={"step": "any"})
    return forms.DecimalField(
        label=label, min_value=least, max_value=most, decimal_places=4, initial=0, widget=widget
    )


class SignalForm(UkTimesForm):
    """One signal over one or more intervals."""

    signal = forms.ChoiceField(label=_("Signal"), choices=CHOICES)
    signal_type = forms.ChoiceField(label=_("Type"), choices=[(each, each) for each in TYPES])
    unit = forms.ChoiceField(
        label=_("Unit"), required=False, choices=[("", "–"), *((each, each) for each in UNITS)]
    )
    intervals = forms.CharField(
        label=_("Intervals"),
        max_length=8_000,
        initial="60:1",
        help_text=_("Minutes:value, by commas: 30:2, 30:1 is half an hour at 2 and another at 1."),
    )
    device_classes = forms.CharField(
        label=_("Kinds of device"),
        required=False,
        max_length=500,
        help_text=_("By commas, such as Thermostat, Water_Heater. Empty: every kind."),
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        initial: dict[str, Any] | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(data, initial=initial, prefix=prefix)
        own = self["signal"].value() or ""
        if own.startswith("x-") and own.isprintable() and len(own) <= LONGEST_SIGNAL:
            # A signal of a house's own, as applications send them: shown as what it is, and kept.
            self.fields["signal"].choices = [*CHOICES, (own, own)]  # type: ignore[attr-defined]

    def clean_intervals(self) -> tuple[tuple[int, float], ...]:
        """Seconds and values; the wrong part is named."""
        found = []
        for part in filter(None, (each.strip() for each in self.cleaned_data["intervals"].split(","))):
            match = _INTERVAL.fullmatch(part)
            if match is None:
                raise forms.ValidationError(
                    _("%(part)s: write minutes:value, such as 30:2"), params={"part": part[:30]}
                )
            found.append((round(float(match[1]) * 60), float(match[2])))
        if not found or len(found) > MOST_INTERVALS:
            raise forms.ValidationError(_("Give 1 to %(most)s intervals."), params={"most": MOST_INTERVALS})
        return tuple(found)

    def require_lasting(self, *, is_open_ended: bool) -> None:
        """Hold the intervals against how long the event lasts; an open-ended one has one value."""
        intervals = self.cleaned_data.get("intervals", ())
        if is_open_ended and len(intervals) > 1:
            self.add_error("intervals", _("An event without an end has one value: give one interval."))
        elif not is_open_ended and any(seconds <= 0 for seconds, _value in intervals):
            self.add_error("intervals", _("An interval lasts no time: give minutes above 0."))

    def signal_content(self, *, is_open_ended: bool) -> SignalContent:
        """The signal that the form describes."""
        data = self.cleaned_data
        intervals = tuple((0 if is_open_ended else seconds, value) for seconds, value in data["intervals"])
        return SignalContent(
            data["signal"],
            data["signal_type"],
            intervals,
            data["unit"],
            tuple(_parts(data["device_classes"])),
        )


class MoreSignalForm(SignalForm):
    """A signal beside the first."""

    leave_out = forms.BooleanField(label=_("Leave this signal out"), required=False)


class ContentForm(SignalForm):
    """What an event says: a first signal, as many more as are asked for, and what holds for all of them."""

    market_context = forms.CharField(
        label=_("Market context"),
        max_length=200,
        initial="http://site/by-hand",
        widget=forms.TextInput(attrs={"list": "known-contexts", "spellcheck": "false"}),
    )
    starts_at = UkTimeField(
        label=_("Starts"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
        help_text=_("UK local time."),
    )
    starts_in = WhichOfTwo(of="starts_at")
    open_ended = forms.BooleanField(
        label=_("Without an end: it runs until it is cancelled"), required=False, initial=False
    )
    notification_minutes = minutes_field(_("Notification, minutes"), least=0, most=44_640)
    ramp_up_minutes = minutes_field(_("Ramp-up, minutes"), least=-1_440, most=1_440)
    recovery_minutes = minutes_field(_("Recovery, minutes"), least=-1_440, most=1_440)
    start_tolerance_minutes = minutes_field(_("Random start within, minutes"), least=0, most=1_440)
    priority = forms.IntegerField(
        label=_("Priority"),
        min_value=0,
        max_value=1_000_000,
        initial=0,
        help_text=_("1 is the most urgent, 0 is none."),
    )
    comment = forms.CharField(
        label=_("Comment"), required=False, max_length=500, help_text=_("The VEN reads it. Name no person.")
    )
    resources = forms.CharField(
        label=_("Resources"),
        required=False,
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("Ids, by commas or lines. Empty: the VEN as a whole."),
    )
    targets = forms.CharField(
        label=_("Other targets"),
        required=False,
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("One a line, kind: id. Kinds: %(kinds)s.") % {"kinds": ", ".join(KINDS)},
    )
    response_required = forms.BooleanField(label=_("The VEN has to answer"), required=False, initial=True)
    test = forms.BooleanField(label=_("A test: nothing is to be switched"), required=False, initial=True)

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.more = _more_signals(data, initial or {})
        self.known_contexts = sorted(contexts.names().items(), key=lambda each: each[1].casefold())

    def is_valid(self) -> bool:
        """True when every signal and everything else holds."""
        is_valid = super().is_valid()
        is_open_ended = self.cleaned_data.get("open_ended", False)
        self.require_lasting(is_open_ended=is_open_ended)
        for each in self.more:
            is_valid &= each.is_valid()
            each.require_lasting(is_open_ended=is_open_ended)
        return is_valid and not self.errors and not any(each.errors for each in self.more)

    @property
    def main_fields(self) -> list[forms.BoundField]:
        """What is shown of it but its series."""
        return [each for each in self.visible_fields() if each.name not in SERIES]

    @property
    def series_fields(self) -> list[forms.BoundField]:
        """How it is repeated; none where it cannot be."""
        return [each for each in self.visible_fields() if each.name in SERIES]

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or any(each.errors for each in self.more))

    def clean_market_context(self) -> str:
        """The URI, if it can be sent as one."""
        uri = str(self.cleaned_data["market_context"])
        if not contexts.is_sendable(uri):
            raise forms.ValidationError(
                _("%(uri)s is no URI: write it without spaces, such as http://coop.example/turn-down"),
                params={"uri": uri[:60]},
            )
        return uri

    def clean_targets(self) -> tuple[Target, ...]:
        """Kinds and ids; the wrong line is named."""
        found = []
        for line in filter(None, (each.strip() for each in self.cleaned_data["targets"].splitlines())):
            kind, colon, name = line.partition(":")
            if not colon or kind.strip() not in KINDS or not name.strip():
                raise forms.ValidationError(
                    _("%(line)s: write kind: id, such as group_id: street-4"), params={"line": line[:60]}
                )
            found.append((cast(TargetKind, kind.strip()), name.strip()))
        return tuple(found)

    def content(self) -> EventContent:
        """The event that the form describes."""
        data = self.cleaned_data
        wanted = [self, *(each for each in self.more if not each.cleaned_data["leave_out"])]
        signals = tuple(each.signal_content(is_open_ended=data["open_ended"]) for each in wanted)
        return EventContent(
            ven_id=VenId(""),
            duration_seconds=lasting(signals),
            market_context=data["market_context"],
            starts_at=cast(datetime, self.instant("starts_at")),
            signals=signals,
            notification_seconds=_seconds(data["notification_minutes"]),
            ramp_up_seconds=_seconds(data["ramp_up_minutes"]),
            recovery_seconds=_seconds(data["recovery_minutes"]),
            start_tolerance_seconds=_seconds(data["start_tolerance_minutes"]),
            priority=data["priority"],
            is_response_required=data["response_required"],
            is_test=data["test"],
            comment=data["comment"],
            resource_ids=tuple(_parts(data["resources"])),
            targets=data["targets"],
        )


class EventForm(ContentForm):
    """A new event, to VENs and groups."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    ven_ids = forms.CharField(
        label=_("VENs"),
        required=False,
        max_length=LONGEST_LIST,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("Ids, by spaces, commas or lines."),
    )
    groups = forms.MultipleChoiceField(label=_("Groups"), required=False)
    repeat_on = forms.TypedMultipleChoiceField(
        label=_("Repeat on"),
        required=False,
        coerce=int,
        choices=list(WEEKDAYS.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    repeat_until = forms.DateField(
        label=_("Repeat until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_(
            "The last day, included. Each time becomes an event of its own at the same UK local time."
        ),
    )
    skips_holidays = forms.BooleanField(label=_("Not on bank holidays of England and Wales"), required=False)
    field_order = ("key", "ven_ids", "groups", "market_context", "starts_at", "starts_in", "open_ended")

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        names = list(VenGroup.objects.order_by("name").values_list("name", flat=True))
        if names:
            self.fields["groups"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        else:
            del self.fields["groups"]

    def clean(self) -> dict[str, Any]:
        """Weekdays and a last day go together."""
        data = super().clean() or self.cleaned_data
        if data.get("repeat_on") and not data.get("repeat_until") and "repeat_until" not in self.errors:
            self.add_error("repeat_until", _("Write the last day of the series, or choose no weekday."))
        elif data.get("repeat_until") and not data.get("repeat_on") and "repeat_on" not in self.errors:
            self.add_error("repeat_on", _("Choose the weekdays of the series, or write no last day."))
        return data

    def rhythm(self) -> repeating.Rhythm | None:
        """How it is repeated; None: once."""
        data = self.cleaned_data
        if not data["repeat_on"]:
            return None
        return repeating.Rhythm(tuple(data["repeat_on"]), data["repeat_until"], data["skips_holidays"])

    def wanted_ven_ids(self) -> list[str]:
        return ven_ids_in(self.cleaned_data["ven_ids"])

    def wanted_groups(self) -> list[str]:
        return list(self.cleaned_data.get("groups", ()))


class ChangeForm(ContentForm):
    """Another content for an event that was sent."""

    reason = forms.CharField(
        label=_("Reason"), required=False, max_length=200, help_text=_("The VEN reads it. Name no person.")
    )
    field_order = ("reason", "market_context", "starts_at", "starts_in", "open_ended")


def ven_ids_in(text: str) -> list[str]:
    """Ids, by spaces, commas or lines."""
    return [each for each in re.split(r"[\s,;]+", text) if each]


def initial_of(content: EventContent) -> dict[str, Any]:
    """What a form shows of content: what it then describes is the same content."""
    first, *more = content.signals
    return {
        **_initial_of_signal(first),
        "more": [_initial_of_signal(each) for each in more],
        "market_context": content.market_context,
        "starts_at": content.starts_at,
        "open_ended": not content.duration_seconds,
        "notification_minutes": _minutes(content.notification_seconds),
        "ramp_up_minutes": _minutes(content.ramp_up_seconds),
        "recovery_minutes": _minutes(content.recovery_seconds),
        "start_tolerance_minutes": _minutes(content.start_tolerance_seconds),
        "priority": content.priority,
        "comment": content.comment,
        "resources": "\n".join(content.resource_ids),
        "targets": "\n".join(f"{kind}: {name}" for kind, name in content.targets),
        "response_required": content.is_response_required,
        "test": content.is_test,
    }


def next_full_hour(at: datetime) -> datetime:
    """The first full local hour that is at least some minutes away."""
    hour = timezone.localtime(at).replace(minute=0, second=0, microsecond=0)
    return datetime.fromtimestamp(hour.timestamp() + 3600, UTC)


def _more_signals(data: QueryDict | None, initial: dict[str, Any]) -> list[MoreSignalForm]:
    if data is None:
        shown = initial.get("more", ())
        return [MoreSignalForm(prefix=f"more-{at}", initial=each) for at, each in enumerate(shown)]
    text = data.get("more", "0")
    count = min(int(text), MOST_SIGNALS - 1) if text.isdecimal() and len(text) < 4 else 0
    forms_ = [MoreSignalForm(data, prefix=f"more-{at}") for at in range(count)]
    if data.get("add") == "signal" and count < MOST_SIGNALS - 1:
        forms_.append(MoreSignalForm(prefix=f"more-{count}"))
    return forms_


def _initial_of_signal(signal: SignalContent) -> dict[str, str]:
    intervals = ((_minutes(seconds), _plain(value)) for seconds, value in signal.intervals)
    return {
        "signal": "SIMPLE" if signal.name == "simple" else signal.name,
        "signal_type": signal.type,
        "unit": signal.unit,
        "intervals": ", ".join(f"{minutes}:{value}" for minutes, value in intervals),
        "device_classes": ", ".join(signal.device_classes),
    }


def _parts(text: str) -> list[str]:
    return [each for each in (part.strip() for part in re.split(r"[,;\n]", text)) if each]


def _seconds(minutes: Decimal) -> int:
    return round(minutes * 60)


def _minutes(seconds: int) -> str:
    return _plain(seconds / 60, digits=4)


def _plain(number: float, digits: int = 9) -> str:
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".")
