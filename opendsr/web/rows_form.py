"""Rows that staff send from a file or typed: the form's shared part, and refused rows as a file again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django import forms
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

REJECTS_SHOWN: Final = 50
MEGABYTE: Final = 1_000_000


class RowsForm(forms.Form):
    """A file, or the rows themselves; what was sent is shown again, to correct."""

    most_megabytes: ClassVar[int]
    rows_help: ClassVar[Any] = ""

    file = forms.FileField(label=_lazy("File (CSV)"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rows"] = forms.CharField(
            label=_lazy("Or the rows themselves"),
            required=False,
            max_length=self.most_megabytes * MEGABYTE,
            strip=False,
            widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
            help_text=self.rows_help,
        )

    def clean(self) -> dict[str, Any]:
        """The text of the file, or of the field."""
        data = super().clean() or {}
        file = data.get("file")
        if file is not None:
            if file.size > self.most_megabytes * MEGABYTE:
                too_large = _("The file is larger than %(n)s MB: split it.") % {"n": self.most_megabytes}
                self.add_error("file", too_large)
                return data
            try:
                data["rows"] = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", _("The file is not UTF-8 text: save it as CSV UTF-8."))
                return data
        if not str(data.get("rows", "")).strip():
            self.add_error("file", _("Choose a file, or write the rows below."))
        return data


def reject_response(lines: Iterable[str], *, name: str) -> HttpResponse:
    """Refused rows as a file that a spreadsheet opens."""
    answer = HttpResponse("".join(lines).encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
