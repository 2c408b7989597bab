"""Forms of visits: text to typed values; the rules themselves are the services'."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from assets.job_models import InstallJob, JobTest, PairingAttempt
from assets.jobs import assets_of
from assets.models import AssetKind
from assets.photos import FORMATS, MOST_BYTES
from members.models import Role, User
from opendsr.kernel.uk_times import UkTimesForm, WhichOfTwo
from opendsr.web.forms import DayField
from opendsr.web.join_forms import NO_NUL

HEATER_NAMES = (
    ("manual", _lazy("Manual: an input and an output dial")),
    ("thermostatic", _lazy("Thermostatic, without electronics")),
    ("automatic", _lazy("Automatic charge control")),
    ("quantum", _lazy("Quantum")),
    ("lot_20", _lazy("Lot 20 with a display")),
)


class SurveyForm(forms.Form):
    """What the surveyor sees."""

    kinds = forms.MultipleChoiceField(label=_lazy("To be fitted"), widget=forms.CheckboxSelectMultiple)
    heaters = forms.MultipleChoiceField(
        label=_lazy("Storage heaters there"), required=False, choices=HEATER_NAMES,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    cable_m = forms.IntegerField(
        label=_lazy("Longest cable run, in metres"), min_value=0, max_value=1000,
        help_text=_lazy("From the consumer unit to the farthest device."),
    )  # fmt: skip
    signal_dbm = forms.IntegerField(
        label=_lazy("Wi-Fi at the hub’s place, in dBm"), min_value=-120, max_value=0,
        help_text=_lazy("A minus before it, such as -60; nearer to 0 is stronger."),
    )  # fmt: skip
    supplier = forms.CharField(
        label=_lazy("Energy supplier"), max_length=60, required=False, validators=[NO_NUL]
    )
    meter_model = forms.CharField(
        label=_lazy("Meter make and model"), max_length=60, required=False, validators=[NO_NUL]
    )
    notes = forms.CharField(
        label=_lazy("Notes for the installer"), max_length=300, required=False, validators=[NO_NUL]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kinds"].choices = _kinds()  # type: ignore[attr-defined]


class ScheduleForm(UkTimesForm):
    """A day, a time and an installer."""

    day = DayField(label=_lazy("Day"), widget=forms.DateInput(attrs={"type": "date"}))
    at_time = forms.TimeField(
        label=_lazy("Time"), widget=forms.TimeInput(attrs={"type": "time"}), initial=time(9)
    )
    at_time_in = WhichOfTwo(of="at_time")
    installer = forms.ModelChoiceField(User.objects.none(), label=_lazy("Installer"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        installers = User.objects.filter(groups__name=Role.INSTALLER.value, is_active=True)
        self.fields["installer"].queryset = installers.order_by("pk")  # type: ignore[attr-defined]

    def local_time(self, name: str) -> datetime | None:
        """The time of the visit, on its day."""
        day, at_time = self.value_of("day"), self.value_of(name)
        return None if day is None or at_time is None else datetime.combine(day, at_time)

    def clean(self) -> dict[str, Any]:
        """The day and the time as an instant."""
        data = super().clean() or {}
        return data | {"starts_at": self.instant("at_time")}


class SheetForm(forms.Form):
    """The hub that goes into the home."""

    serial = forms.CharField(label=_lazy("Serial number of the hub"), max_length=40, validators=[NO_NUL])


class PairingForm(forms.Form):
    """One try to pair the CAD."""

    supplier = forms.CharField(label=_lazy("Energy supplier"), max_length=60, validators=[NO_NUL])
    meter_model = forms.CharField(label=_lazy("Meter make and model"), max_length=60, validators=[NO_NUL])
    cad_serial = forms.CharField(label=_lazy("Serial number of the CAD"), max_length=40, validators=[NO_NUL])
    outcome = forms.ChoiceField(label=_lazy("What came of it"), choices=PairingAttempt.Outcome.choices)
    note = forms.CharField(label=_lazy("Note"), max_length=300, required=False, validators=[NO_NUL])


class WithoutForm(forms.Form):
    """Why the home is finished without a CAD."""

    reason = forms.CharField(label=_lazy("Why, and what comes next"), max_length=300, validators=[NO_NUL])


class FitForm(forms.Form):
    """A device fitted."""

    kind_code = forms.ChoiceField(label=_lazy("Kind"))
    name = forms.CharField(label=_lazy("What the household calls it"), max_length=80, validators=[NO_NUL])
    rated_w = forms.IntegerField(
        label=_lazy("Rated power in W"), required=False, min_value=1, max_value=100_000,
        help_text=_lazy("Empty: what is usual for the kind."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind_code"].choices = _kinds()  # type: ignore[attr-defined]


class ImmersionForm(forms.Form):
    """How the immersion heater is wired and set."""

    wiring = forms.ChoiceField(
        label=_lazy("The relay is on"),
        choices=(("supply", _lazy("the supply")), ("boost_input", _lazy("a diverter’s boost input"))),
    )
    diverter = forms.CharField(
        label=_lazy("Diverter, make and model"), max_length=60, required=False, validators=[NO_NUL]
    )
    thermostat_c = forms.IntegerField(
        label=_lazy("Thermostat, in °C"), initial=60, min_value=0, max_value=99,
        help_text=_lazy("60 to 75: the weekly hot cycle needs 60."),
    )  # fmt: skip


class TestForm(forms.Form):
    """One test and what it showed."""

    thing = forms.ChoiceField(label=_lazy("Test"))
    is_passed = forms.TypedChoiceField(
        label=_lazy("Result"), coerce=lambda value: value == "yes",
        choices=(("yes", _lazy("passed")), ("no", _lazy("failed"))),
    )  # fmt: skip
    note = forms.CharField(label=_lazy("Note"), max_length=300, required=False, validators=[NO_NUL])

    def __init__(self, job: InstallJob, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        device = JobTest.Kind.DEVICE.label
        self.fields["thing"].choices = [  # type: ignore[attr-defined]
            ("manual_switch", JobTest.Kind.MANUAL_SWITCH.label),
            *((f"device:{each.pk}", f"{device}: {each.name}") for each in assets_of(job)),
        ]


class PhotoForm(forms.Form):
    """A photo of the work."""

    photo = forms.FileField(
        label=_lazy("Photo"),
        help_text=_lazy("JPEG, PNG or WebP, up to 10 MB. Where and when it was taken is not kept."),
        widget=forms.FileInput(attrs={"accept": ",".join(f"image/{form.lower()}" for form in FORMATS)}),
    )
    caption = forms.CharField(
        label=_lazy("What it shows"), max_length=120, required=False, validators=[NO_NUL]
    )

    def clean_photo(self) -> bytes:
        """Its bytes, when they are not too many."""
        file = self.cleaned_data["photo"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_lazy("The photo is larger than 10 MB."))
        return bytes(file.read())


class LimitsForm(forms.Form):
    """What surveys refuse and warn of."""

    refused_heaters = forms.MultipleChoiceField(
        label=_lazy("Storage heaters refused"), required=False, choices=HEATER_NAMES,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    cable_m = forms.IntegerField(
        label=_lazy("Warn of cables longer than, in metres"), min_value=1, max_value=1000
    )
    signal_dbm = forms.IntegerField(
        label=_lazy("Warn of a signal weaker than, in dBm"), min_value=-120, max_value=-1
    )


class ReasonForm(forms.Form):
    """Why a visit is called off."""

    reason = forms.CharField(label=_lazy("Why"), max_length=300, validators=[NO_NUL])


def _kinds() -> list[tuple[str, str]]:
    return list(AssetKind.objects.order_by("name").values_list("code", "name"))
