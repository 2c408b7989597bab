"""Replaying: a run computed again from its archive, byte for byte, whatever has become of the readings."""

from __future__ import annotations

from settlement import archiving
from settlement.archiving import ArchiveBroken
from settlement.models import RunArchive, SettlementRun
from settlement.reckoning import Input, Reckoning, reckon


def archived_input(run: SettlementRun) -> Input:
    """What the run was computed from; raises ArchiveBroken when it was not kept whole."""
    parts = []
    rows = 0
    for kept in RunArchive.objects.filter(run=run).order_by("first_row"):
        if kept.first_row != rows:
            raise ArchiveBroken(reason=f"households from {rows} are missing")
        parts.append(archiving.unpack(bytes(kept.data)))
        rows += kept.households
    if not parts:
        raise ArchiveBroken(reason="nothing was kept")
    return archiving.joined(parts)


def replay(run: SettlementRun) -> Reckoning:
    """The run's result once more; other hashes than the run's mean that the code has changed."""
    return reckon(archived_input(run))
