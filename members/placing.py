"""Where a home hangs on the grid: its primary substation and its constraint management zone, put right."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from members import entry
from members.models import Home
from opendsr.kernel import audit
from opendsr.kernel.errors import NotFound

LONGEST: Final = 60
PLACES: Final = ("primary_substation", "cmz")


class HomeNotFound(NotFound):
    """No such home."""

    home_id: str


@transaction.atomic
def place_home(*, home_id: UUID, field: str, value: str, at: datetime, by: str) -> Home:
    """Put the home on another substation or into another zone; an empty value takes it out.

    Raises HomeNotFound, InvalidField.
    """
    if field not in PLACES:
        raise entry.InvalidField(field="field", problem="not_a_choice")
    home = Home.objects.select_for_update().filter(pk=home_id).first()
    if home is None:
        raise HomeNotFound(home_id=str(home_id))
    value = entry.one_line(value, field=field, longest=LONGEST, may_be_empty=True)
    before = getattr(home, field)
    if before != value:
        setattr(home, field, value)
        home.save(update_fields=[field])
        detail = {"before": before, "now": value}
        audit.record(at=at, actor=by, verb=f"home.{field}", target=f"home:{home.pk}", detail=detail)
    return home
