"""UK local times in forms: a time that the clocks show twice is asked about, one that they leave out refused.

A form names its times by `WhichOfTwo` fields beside them. The question is there only while the time in the
form, typed or filled in, comes twice, so that it is seen on one night of the year; it needs no script.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from opendsr.kernel.periods import LONDON, comes_twice, is_left_out

TIME_FORMATS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M")
BST, GMT = "BST", "GMT"


class UkTimeField(forms.DateTimeField):
    """A UK local time; of one that comes twice the former, and one that the clocks leave out is refused."""

    input_formats = TIME_FORMATS

    def to_python(self, value: Any) -> datetime | None:
        """The instant, as a UK local time."""
        try:
            found = super().to_python(value)
            return None if found is None else found.astimezone(LONDON)
        except OverflowError:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None
        except forms.ValidationError as error:
            if error.code != "ambiguous_timezone":
                raise
            local = cast(datetime, (error.params or {})["datetime"])
        if not comes_twice(local):
            raise left_out(local)
        return local.replace(tzinfo=LONDON, fold=0)


class WhichOfTwo(forms.ChoiceField):
    """Which of the two a local time is that comes twice; `of` names the form's field of that time."""

    def __init__(self, *, of: str, label: Any = "") -> None:
        self.of = of
        super().__init__(
            label=label or _("Which of the two"),
            choices=[
                (BST, _("The first, in summer time (BST)")),
                (GMT, _("The second, an hour later (GMT)")),
            ],
            widget=forms.RadioSelect,
            help_text=_("The clocks go back that night, so this time comes twice."),
            error_messages={
                "required": _("This time comes twice that night: choose the first or the second.")
            },
        )


class UkTimesForm(forms.Form):
    """A form that asks which of the two, of each of its local times that comes twice, and of no other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, which in self._questions().items():
            if isinstance(at := self.initial.get(which.of), datetime):
                self.initial = {**self.initial, name: at.astimezone(LONDON).tzname()}
            local = self.local_time(which.of)
            if local is None or not comes_twice(local):
                del self.fields[name]

    def local_time(self, name: str) -> datetime | None:
        """The UK local time `name` as it stands in the form; None where it is none.

        A form whose times are of several fields puts them together here.
        """
        return cast(datetime | None, self.value_of(name))

    def value_of(self, name: str) -> Any:
        """What stands in a field, typed or filled in; None where it cannot be read."""
        with suppress(forms.ValidationError):
            return self.fields[name].to_python(self[name].value())
        return None

    def instant(self, name: str) -> datetime | None:
        """UTC of the local time `name` by what was answered; None where the form has none, which it says."""
        local = self.local_time(name)
        if local is not None and is_left_out(local):
            self.add_error(name, left_out(local))
            return None
        asked = [each for each, which in self._questions().items() if which.of == name]
        answers = {self.cleaned_data.get(each) for each in asked}
        if local is None or None in answers:
            return None
        return local.replace(tzinfo=LONDON, fold=int(GMT in answers)).astimezone(UTC)

    def _questions(self) -> dict[str, WhichOfTwo]:
        return {name: each for name, each in self.fields.items() if isinstance(each, WhichOfTwo)}


def left_out(local: datetime) -> forms.ValidationError:
    """What is said of a time that the clocks leave out."""
    return forms.ValidationError(
        _("The clocks go forward: %(time)s does not exist that day."),
        code="left_out",
        params={"time": f"{local:%H:%M}"},
    )
