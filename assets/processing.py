"""This room's part of the record of processing."""

from __future__ import annotations

from typing import Final

from members.processing import CONTRACT
from opendsr.kernel.processing import Processing

RECORD: Final = (
    Processing(
        models=("assets.InstallJob", "assets.PairingAttempt", "assets.JobTest", "assets.JobPhoto"),
        what="visits to a home: survey, appointment, tests, photos, tries to pair the display",
        purpose="fitting what is safe and works",
        basis=CONTRACT,
        keeping="with the home; photos and notes go when the household is erased",
        recipients="the installer: the visit's own",
    ),
    Processing(
        models=("assets.Hub", "assets.Cad", "assets.Asset", "assets.RolloutHub"),
        what="hubs, displays and flexible devices in a home, their power, needs, faults and software",
        purpose="asking only what the device and the household can give",
        basis=CONTRACT,
        keeping="with the home, which outlives a stay; a household's needs end with its stay",
    ),
    Processing(
        models=("assets.Meter", "assets.RelayCount", "assets.ChangeRow"),
        what="the meter's plate number, how often a device was switched, changes made to many homes at once",
        purpose="replacing in time what wears out, and saying what was changed by whom",
        basis=CONTRACT,
        keeping="with the home, which outlives a stay",
    ),
    Processing(
        models=("assets.HubSpell",),
        what="when a hub had no power, no network or no contact",
        purpose="saying why readings are missing, and mending it",
        basis=CONTRACT,
        keeping="13 months",
    ),
    Processing(
        models=("assets.HomeMeasure",),
        what="insulation, solar, advice and other measures and services in a home; a note, sealed",
        purpose="knowing what a home needs and what was done for it",
        basis=CONTRACT,
        keeping="with the home; the notes of a stay go when the household is erased",
    ),
)
