"""The only door from this room to the VTN: the reports of its port, and the VTN of this installation.

Nothing else here imports `vtn`; tests put another VTN behind `vtn()`.
"""

from __future__ import annotations

from vtn.port import Cursor, Report, ReportPoint, VenId, Vtn
from vtn.service import EmbeddedVtn

__all__ = ["Cursor", "Report", "ReportPoint", "VenId", "vtn"]


def vtn() -> Vtn:
    """The VTN that hubs report to."""
    return EmbeddedVtn()
