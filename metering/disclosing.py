"""What this room holds about a household besides its readings, which come as a file of their own, for a copy
of everything: what devices told, who may post readings, which imports had gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from members.disclosing import Person
from metering.intake_models import (
    AssetDevice,
    AssetState,
    Backfill,
    EmoncmsInput,
    EmoncmsKey,
    Register,
    ReportLink,
)
from metering.models import ImportGap, OpenHalfHour
from opendsr.kernel.disclosure import Table, table_of

READINGS: Final = (
    "metering.HalfHour",
    "metering.SupersededHalfHour",
    "metering.PackedWeek",
    "metering.LivePower",
    "metering.PeriodTotal",
)
"""Models whose rows are lines of the file of readings."""

NOT_DISCLOSED: Final[Mapping[str, str]] = {
    "metering.ImportJob": "files of many homes, sealed while taken in; the readings are in the copy",
    "metering.Message": "messages that could not be used, as devices sent them: the devices are in the copy",
}


def tables(whose: Person) -> Iterator[Table]:
    """What devices told and how they may; what is being worked on."""
    states = AssetState.objects.filter(whose.while_there("asset__hub__home", "at")).order_by("at", "pk")
    yield table_of(states, model=AssetState, title="What your devices told of themselves")
    fitted = whose.in_use_there("asset__hub__home", "asset__installed_at", "asset__retired_at")
    devices = AssetDevice.objects.filter(fitted).order_by("pk")
    yield table_of(devices, model=AssetDevice, title="How your devices are known to the readings")
    there = whose.in_use_there("hub__home", "hub__commissioned_at", "hub__retired_at")
    links = ReportLink.objects.filter(there).order_by("pk")
    yield table_of(links, model=ReportLink, title="Which reports of your hubs are which meter or device")
    keys = EmoncmsKey.objects.filter(whose.while_there("home", "created_at")).order_by("created_at", "pk")
    yield table_of(keys, model=EmoncmsKey, title="Keys for posting readings", leave_out=("key_sha256",))
    inputs = EmoncmsInput.objects.filter(whose.while_there("key__home", "key__created_at")).order_by("pk")
    yield table_of(inputs, model=EmoncmsInput, title="What was posted with them last")
    registers = Register.objects.filter(stream_id__in=whose.stream_ids)
    yield table_of(registers, model=Register, title="Meter registers that half-hours are being made of")
    open_ones = OpenHalfHour.objects.filter(stream_id__in=whose.stream_ids)
    yield table_of(open_ones, model=OpenHalfHour, title="Half-hours not closed yet")
    gaps = ImportGap.objects.filter(stream_id__in=whose.stream_ids).order_by("starts_at", "pk")
    yield table_of(gaps, model=ImportGap, title="Half-hours missing from files of your readings")
    fills = Backfill.objects.filter(stream_id__in=whose.stream_ids)
    yield table_of(fills, model=Backfill, title="Past readings being fetched")
