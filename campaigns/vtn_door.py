"""The only door from this room to the VTN: its port's words, and the VTN of this installation.

Nothing else here imports `vtn`; tests put another VTN behind `vtn()`.
"""

from __future__ import annotations

from vtn.port import (
    Addressee,
    EventClosed,
    EventNotice,
    Opt,
    Signal,
    SignalInterval,
    UnknownVen,
    VenId,
    Vtn,
    VtnEventId,
)
from vtn.service import EmbeddedVtn

__all__ = [
    "Addressee",
    "EventClosed",
    "EventNotice",
    "Opt",
    "Signal",
    "SignalInterval",
    "UnknownVen",
    "VenId",
    "Vtn",
    "VtnEventId",
    "vtn",
]


def vtn() -> Vtn:
    """The VTN that campaigns are handed to."""
    return EmbeddedVtn()
