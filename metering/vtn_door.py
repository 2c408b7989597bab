"""The only door from this room to the VTN: the reports of its port, and the VTN of this installation.

Nothing else here imports `vtn`; tests put another VTN behind `vtn()`.
"""

from __future__ import annotations

from collections.abc import Iterable

from vtn.models import OfferedPoint
from vtn.port import Cursor, Report, ReportPoint, VenId, Vtn
from vtn.service import EmbeddedVtn

__all__ = ["Cursor", "Report", "ReportPoint", "VenId", "declared_units", "vtn"]


def vtn() -> Vtn:
    """The VTN that hubs report to."""
    return EmbeddedVtn()


def declared_units(ven_ids: Iterable[VenId]) -> dict[tuple[VenId, str], str]:
    """W or Wh of each VEN's rID that declares power or energy: the VTN hands its values over in that."""
    points = OfferedPoint.objects.filter(offer__ven__ven_id__in=list(ven_ids), unit__in=("W", "Wh"))
    rows = points.order_by("pk").values_list("offer__ven__ven_id", "r_id", "unit")
    return {(VenId(ven_id), r_id): unit for ven_id, r_id, unit in rows}
