"""Why readings are missing, in words and as rows of a table: a home's, or all homes'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy as _lazy

from metering.causes import Cause
from metering.missing import DayCauses
from opendsr.web import wording

WORDS: Final = {
    Cause.POWER: (_lazy("Power"), _lazy("most homes on the substation were off at the same time")),
    Cause.ISP: (_lazy("Internet"), _lazy("the hub had a network in the home and found nobody beyond it")),
    Cause.LAN: (_lazy("Home network"), _lazy("the hub had no network in the home")),
    Cause.HUB: (_lazy("Hub"), _lazy("it was unplugged, stopped or crashed, and its neighbours were not")),
    Cause.DEVICE: (_lazy("Device"), _lazy("the hub could not reach the device")),
    Cause.CAD: (_lazy("CAD"), _lazy("the hub was heard throughout and the CAD said nothing")),
    Cause.US: (_lazy("Us"), _lazy("the co-op\u2019s own site was not at work")),
    Cause.UNKNOWN: (
        _lazy("Not known"),
        _lazy("nothing told settles it; a silent hub tells why when it is back"),
    ),
}


def rows(days: Sequence[DayCauses]) -> list[dict[str, Any]]:
    """A row a day that lacks something, with a cell for each cause in the order of WORDS."""
    return [
        {
            "day": wording.civil_day(day.day),
            "missing": day.missing,
            "cells": [
                {"name": words[0], "count": day.causes.get(cause, 0)} for cause, words in WORDS.items()
            ],
        }
        for day in days
        if day.missing
    ]
