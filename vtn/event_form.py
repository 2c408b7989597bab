"""The form by which staff write an event: fields to content, in minutes and UK local time."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from vtn.content import EventContent, SignalContent
from vtn.models import VenGroup
from vtn.port import VenId
from vtn.sending import lasting
from vtn.signals import RULES, UNITS

SIGNALS: Final = tuple(name for name in RULES if name != "simple")
TYPES: Final = tuple(dict.fromkeys(kind for kinds in RULES.values() for kind in kinds))
MOST_INTERVALS: Final = 300
_INTERVAL: Final = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)\s*[:x]\s*(-?\d{1,9}(?:\.\d{1,9})?)")


class EventForm(forms.Form):
    """One signal over one or more intervals, to VENs and groups."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    ven_ids = forms.CharField(
        label=_("VENs"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("Ids, by spaces, commas or lines."),
    )
    groups = forms.MultipleChoiceField(label=_("Groups"), required=False)
    market_context = forms.CharField(label=_("Market context"), max_length=200, initial="http://site/by-hand")
    starts_at = forms.DateTimeField(
        label=_("Starts"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        help_text=_("UK local time."),
    )
    signal = forms.ChoiceField(label=_("Signal"), choices=[(each, each) for each in SIGNALS])
    signal_type = forms.ChoiceField(label=_("Type"), choices=[(each, each) for each in TYPES])
    unit = forms.ChoiceField(
        label=_("Unit"), required=False, choices=[("", "–"), *((each, each) for each in UNITS)]
    )
    intervals = forms.CharField(
        label=_("Intervals"),
        max_length=4_000,
        initial="60:1",
        help_text=_("Minutes:value, by commas: 30:2, 30:1 is half an hour at 2 and another at 1."),
    )
    notification_minutes = forms.IntegerField(
        label=_("Notification, minutes"), min_value=0, max_value=44_640, initial=0
    )
    ramp_up_minutes = forms.IntegerField(
        label=_("Ramp-up, minutes"), min_value=-1_440, max_value=1_440, initial=0
    )
    recovery_minutes = forms.IntegerField(
        label=_("Recovery, minutes"), min_value=-1_440, max_value=1_440, initial=0
    )
    start_tolerance_minutes = forms.IntegerField(
        label=_("Random start within, minutes"), min_value=0, max_value=1_440, initial=0
    )
    priority = forms.IntegerField(
        label=_("Priority"),
        min_value=0,
        max_value=1_000,
        initial=0,
        help_text=_("1 is the most urgent, 0 is none."),
    )
    comment = forms.CharField(
        label=_("Comment"), required=False, max_length=500, help_text=_("The VEN reads it. Name no person.")
    )
    response_required = forms.BooleanField(label=_("The VEN has to answer"), required=False, initial=True)
    test = forms.BooleanField(label=_("A test: nothing is to be switched"), required=False, initial=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = list(VenGroup.objects.order_by("name").values_list("name", flat=True))
        if names:
            self.fields["groups"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        else:
            del self.fields["groups"]

    def clean_intervals(self) -> tuple[tuple[int, float], ...]:
        """Minutes and values; the wrong part is named."""
        found = []
        for part in filter(None, (each.strip() for each in self.cleaned_data["intervals"].split(","))):
            match = _INTERVAL.fullmatch(part)
            if match is None:
                raise forms.ValidationError(
                    _("%(part)s: write minutes:value, such as 30:2"), params={"part": part[:30]}
                )
            found.append((round(float(match[1]) * 60), float(match[2])))
        if any(seconds <= 0 for seconds, _value in found):
            raise forms.ValidationError(_("An interval lasts no time: give minutes above 0."))
        if not found or len(found) > MOST_INTERVALS:
            raise forms.ValidationError(_("Give 1 to %(most)s intervals."), params={"most": MOST_INTERVALS})
        return tuple(found)

    def wanted_ven_ids(self) -> list[str]:
        return [each for each in re.split(r"[\s,;]+", self.cleaned_data["ven_ids"]) if each]

    def wanted_groups(self) -> list[str]:
        return list(self.cleaned_data.get("groups", ()))

    def content(self) -> EventContent:
        """The event that the form describes."""
        data = self.cleaned_data
        signal = SignalContent(data["signal"], data["signal_type"], data["intervals"], data["unit"])
        return EventContent(
            ven_id=VenId(""),
            duration_seconds=lasting([signal]),
            market_context=data["market_context"],
            starts_at=data["starts_at"].astimezone(UTC),
            signals=(signal,),
            notification_seconds=data["notification_minutes"] * 60,
            ramp_up_seconds=data["ramp_up_minutes"] * 60,
            recovery_seconds=data["recovery_minutes"] * 60,
            start_tolerance_seconds=data["start_tolerance_minutes"] * 60,
            priority=data["priority"],
            is_response_required=data["response_required"],
            is_test=data["test"],
            comment=data["comment"],
        )
