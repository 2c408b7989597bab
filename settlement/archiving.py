"""Archiving: what a run was computed from, packed so that it can be computed again without the readings.

Pure: `pack` writes a stretch of a run's households with the readings their baselines and delivery look at;
`unpack` gives back an Input that reckons to the same figures. Only the half-hours of the event and of the
rule's window are kept, of every day the rule looked at but those on which every home was in an event.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from opendsr.kernel.errors import Invalid
from opendsr.kernel.periods import MAX_PERIODS
from settlement.baselines import EventDays, Mask, Wh, days_needed, window_half_hours
from settlement.baselines.arrays import Places
from settlement.baselines.clock import LocalHalfHour, local_half_hour, slot_of
from settlement.baselines.days import own_days
from settlement.baselines.errors import RuleInvalid
from settlement.baselines.rules import BaselineRule
from settlement.comparing import LIKE
from settlement.delivery import Cap, DeliveryRule, Floor
from settlement.households import HELD_OUT, ID, Households
from settlement.overriding import OverrideCost, OverridePolicy
from settlement.pay_curves import curve_from
from settlement.reckoning import Agreement, Input, Temperatures, agreement_data
from settlement.revenue import Basis, Contract
from settlement.sharing import policy_from

FORMAT: Final = 2
MAGIC: Final = b"OpenDSR2"
"""Format 1 kept every day looked at and began with zlib's own mark; it is still read."""
HOMES_A_STRETCH: Final = 250
LEVEL: Final = 1


class ArchiveBroken(Invalid):
    """An archive is of an unknown format, or the rule in it no longer exists as it was."""

    reason: str


class KeptCube:
    """The readings of an archive as the calculations take them; half-hours that were not kept are masked."""

    __slots__ = ("days", "net_wh", "present", "slots")

    def __init__(self, days: Sequence[date], net_wh: Wh, present: Mask, slots: NDArray[np.int64]) -> None:
        self.days = days
        self.net_wh = net_wh
        self.present = present
        self.slots = slots


def stretches(households: int) -> Iterator[tuple[int, int]]:
    """(first row, past the last) of each stretch of a run's households; one empty stretch for none."""
    for first in range(0, max(households, 1), HOMES_A_STRETCH):
        yield first, min(first + HOMES_A_STRETCH, households)


def packed(given: Input) -> Iterator[tuple[int, int, bytes]]:
    """(first row, households, data) of every stretch; the same input packs to the same bytes."""
    rule = given.agreement.baseline_rule
    homes = given.households
    looked_at = set(days_needed(rule, given.event, homes.event_days))
    if homes.stands(HELD_OUT).any():
        looked_at.update(days_needed(LIKE, given.event, homes.event_days))
    days = [day for day in given.cube.days if day in looked_at]
    slots = kept_slots(rule, given.event, days)
    told = _told_days(rule, given, days)
    places = Places.of(given.cube, [days[place] for place in told], kept_half_hours(rule, given.event))
    net_wh, present = places.read_by_stream(given.cube, slice(None), len(told))
    kind = "<i2" if not net_wh.size or -(2**15) <= net_wh.min() <= net_wh.max() < 2**15 else "<i4"
    head = {
        "format": FORMAT,
        "campaign_id": str(given.campaign_id),
        "direction": given.direction,
        "event": [start.isoformat() for start in given.event],
        "declared_w": given.declared_w,
        "delivered_from_pct": given.delivered_from_pct,
        "agreement": agreement_data(given.agreement),
        "days": [day.isoformat() for day in days],
        "slots": slots.tolist(),
        "told": told,
        "kind": kind,
        "holds_unearned": given.holds_unearned,
        "temperatures": _temperatures_as_data(given, days, slots),
        **({"covered_seconds": given.covered_seconds} if given.covered_seconds else {}),
    }
    values = net_wh.astype(kind)
    window = window_half_hours(rule, given.event)
    busy = np.zeros((len(homes), len(window)), np.bool_) if given.busy is None else given.busy
    event_days = homes.event_days.on(days).T
    flags = homes.standing | (homes.takes_part * np.uint8(16)) | (homes.in_hardship * np.uint8(32))
    instructed_wh, assets = homes.instructed_wh.astype("<i8"), homes.assets.astype("<i4")
    for first, last in stretches(len(homes)):
        head["donates"] = {
            str(row - first): str(pct) for row, pct in homes.donates.items() if first <= row < last
        }
        text = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
        lowest, *higher = _planes(values[first:last])
        body = b"".join(
            (
                struct.pack("<II", len(text), min(last, len(homes)) - first),
                text,
                homes.occupancy_ids[first:last].tobytes(),
                homes.stream_ids[first:last].tobytes(),
                flags[first:last].tobytes(),
                instructed_wh[first:last].tobytes(),
                assets[first:last].tobytes(),
                np.packbits(busy[first:last]).tobytes(),
                np.packbits(event_days[first:last]).tobytes(),
                np.packbits(present[first:last]).tobytes(),
                *higher,
            )
        )
        packed_body = _compressed(body)
        whole = b"".join((MAGIC, struct.pack("<I", len(packed_body)), packed_body, lowest))
        yield first, min(last, len(homes)) - first, whole


def _temperatures_as_data(
    given: Input, days: Sequence[date], slots: NDArray[np.int64]
) -> list[list[int | None]] | None:
    """Tenths of a degree by day and kept half-hour, null where not known; None for a rule that needs none."""
    if given.temperatures is None:
        return None
    row_of = {day: row for row, day in enumerate(given.cube.days)}
    rows, index = [row_of[day] for day in days], np.maximum(slots, 0)
    tenths = given.temperatures.tenths_c[np.array(rows)[:, None], index].tolist()
    has = (given.temperatures.has[np.array(rows)[:, None], index] & (slots >= 0)).tolist()
    return [
        [value if is_known else None for value, is_known in zip(*both, strict=True)]
        for both in zip(tenths, has, strict=True)
    ]


def _temperatures(
    data: Sequence[Sequence[int | None]] | None, slots: NDArray[np.int64]
) -> Temperatures | None:
    if data is None:
        return None
    tenths = np.zeros((len(slots), MAX_PERIODS), np.int64)
    has = np.zeros(tenths.shape, np.bool_)
    for row, values in enumerate(data):
        for slot, value in zip(slots[row].tolist(), values, strict=True):
            if value is not None:
                tenths[row, slot], has[row, slot] = value, True
    return Temperatures(tenths, has)


def _told_days(rule: BaselineRule, given: Input, days: Sequence[date]) -> list[int]:
    """Places of the days that any home's readings may be read of: those of the event, and any that not every
    home spent in another.
    """
    if not rule.leaves_out_event_days:
        return list(range(len(days)))
    own = own_days(rule, given.event)
    everybody = np.asarray(given.households.event_days.on(days).all(axis=1))
    return [place for place, day in enumerate(days) if day in own or not everybody[place]]


def _planes(values: NDArray[np.signedinteger[Any]]) -> list[bytes]:
    """The numbers' bytes by place, the lowest first: it hardly packs, the others nearly vanish."""
    size = values.dtype.itemsize
    table = np.ascontiguousarray(values).view(np.uint8).reshape(-1, size)
    return [table[:, place].tobytes() for place in range(size)]


def _compressed(body: bytes) -> bytes:
    """Readings have hardly a stretch twice but many small values: only those are coded, in half the time."""
    packer = zlib.compressobj(LEVEL, strategy=zlib.Z_RLE)
    return packer.compress(body) + packer.flush()


def unpack(data: bytes, *, only: Sequence[int] | None = None) -> Input:
    """The Input of a stretch, or of some of its rows (counted in the stretch); raises ArchiveBroken."""
    data = bytes(data)
    start, past = 0, len(data)
    try:
        if data.startswith(MAGIC):
            start = len(MAGIC) + 4
            past = start + int(struct.unpack_from("<I", data, len(MAGIC))[0])
        body = zlib.decompress(data[start:past])
    except (zlib.error, struct.error) as error:
        raise ArchiveBroken(reason=str(error)) from error
    size, homes = struct.unpack_from("<II", body)
    at = 8 + size
    head = json.loads(body[8:at])
    if head["format"] not in (1, FORMAT):
        raise ArchiveBroken(reason=f"format {head['format']}")
    days = [date.fromisoformat(day) for day in head["days"]]
    slots = np.array(head["slots"], np.int64).reshape(len(days), -1)
    wanted = list(range(homes)) if only is None else list(only)
    ids = np.frombuffer(body, ID, homes, at)[wanted]
    at += 16 * homes
    streams = np.frombuffer(body, ID, homes, at)[wanted]
    at += 16 * homes
    flags = np.frombuffer(body, np.uint8, homes, at)[wanted]
    at += homes
    instructed_wh = np.frombuffer(body, "<i8", homes, at)[wanted].astype(np.int64)
    at += 8 * homes
    assets = np.frombuffer(body, "<i4", homes, at)[wanted].astype(np.int64)
    at += 4 * homes
    agreement = agreement_from(head["agreement"])
    event = tuple(datetime.fromisoformat(start) for start in head["event"])
    window = window_half_hours(agreement.baseline_rule, event)
    busy, at = _bits(body, at, (homes, len(window)))
    event_days, at = _bits(body, at, (homes, len(days)))
    told = head.get("told", list(range(len(days))))
    shape = (homes, len(told), slots.shape[1])
    present, at = _bits(body, at, shape)
    values = _values(body, at, data[past:], kind=head["kind"], shape=shape)
    cube = _cube(days, slots, told, values[wanted].astype(np.int64), present[wanted])
    gives = {int(row): Decimal(pct) for row, pct in head["donates"].items()}
    households = Households(
        occupancy_ids=ids,
        stream_ids=streams,
        standing=flags & np.uint8(15),
        takes_part=flags & 16 > 0,
        instructed_wh=instructed_wh,
        assets=assets,
        event_days=EventDays(tuple(days), event_days[wanted]),
        in_hardship=flags & 32 > 0,
        donates={place: gives[row] for place, row in enumerate(wanted) if row in gives},
    )
    return Input(
        campaign_id=UUID(head["campaign_id"]),
        direction=head["direction"],
        event=event,
        agreement=agreement,
        households=households,
        cube=cube,
        busy=busy[wanted],
        declared_w=head["declared_w"],
        delivered_from_pct=head["delivered_from_pct"],
        holds_unearned=head.get("holds_unearned", False),
        temperatures=_temperatures(head.get("temperatures"), slots),
        covered_seconds=tuple(head.get("covered_seconds", ())),
    )


def joined(parts: Sequence[Input]) -> Input:
    """The Input of a whole run from those of its stretches, in order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    cubes = [part.cube for part in parts]
    return Input(
        campaign_id=first.campaign_id,
        direction=first.direction,
        event=first.event,
        agreement=first.agreement,
        households=Households.joined([part.households for part in parts]),
        cube=KeptCube(
            first.cube.days,
            np.concatenate([cube.net_wh for cube in cubes]),
            np.concatenate([cube.present for cube in cubes]),
            first.cube.slots,  # type: ignore[attr-defined]
        ),
        busy=None if first.busy is None else np.concatenate([part.busy for part in parts]),
        declared_w=first.declared_w,
        delivered_from_pct=first.delivered_from_pct,
        holds_unearned=first.holds_unearned,
        temperatures=first.temperatures,
        covered_seconds=first.covered_seconds,
    )


def kept_half_hours(rule: BaselineRule, event: Sequence[datetime]) -> list[LocalHalfHour]:
    """The event's and the window's wall-clock half-hours, each once."""
    starts = [*event, *window_half_hours(rule, event)]
    return list(dict.fromkeys(half_hour for _, half_hour in map(local_half_hour, starts)))


def kept_slots(rule: BaselineRule, event: Sequence[datetime], days: Sequence[date]) -> NDArray[np.int64]:
    """[day, place]: the cube slots of `kept_half_hours`, -1 for none."""
    at = kept_half_hours(rule, event)
    table = [[slot_of(half_hour, day) for half_hour in at] for day in days]
    return np.array([[-1 if slot is None else slot for slot in row] for row in table], np.int64).reshape(
        len(days), len(at)
    )


def agreement_from(data: Mapping[str, Any]) -> Agreement:
    """What `reckoning.agreement_data` wrote; raises ArchiveBroken when its rule cannot be had any more."""
    return Agreement(
        terms=data["terms"],
        baseline_rule=rule_from(data["baseline_rule"]),
        delivery_rule=DeliveryRule(
            floor=Floor(data["delivery_rule"]["floor"]), cap=Cap(data["delivery_rule"]["cap"])
        ),
        contract=Contract(
            utilisation_pence_per_kwh=Decimal(data["utilisation_pence_per_kwh"]),
            availability_pence_per_kw_hour=Decimal(data["availability_pence_per_kw_hour"]),
            basis=Basis(data["revenue_basis"]),
            curve=curve_from(data["pay_curve"]),
        ),
        share_policy=policy_from(data["share_policy"]),
        policy_name=data["share_policy_name"],
        override_policy=OverridePolicy(
            cost=OverrideCost(data["override_cost"]),
            reduced_by_pct=Decimal(data["override_reduced_by_pct"]),
        ),
        forgives_our_failures=data["forgives_our_failures"],
    )


def rule_from(data: Mapping[str, Any]) -> BaselineRule:
    """The baseline rule written out by `as_data`, whatever its preset says today; raises ArchiveBroken."""
    try:
        return BaselineRule.from_data(data)
    except RuleInvalid as error:
        raise ArchiveBroken(reason=str(error)) from error


def _bits(body: bytes, at: int, shape: tuple[int, ...]) -> tuple[Mask, int]:
    count = int(np.prod(shape))
    size = (count + 7) // 8
    bits = np.unpackbits(np.frombuffer(body, np.uint8, size, at), count=count)
    return bits.astype(np.bool_).reshape(shape), at + size


def _values(
    body: bytes, at: int, lowest: bytes, *, kind: str, shape: tuple[int, ...]
) -> NDArray[np.signedinteger[Any]]:
    """Readings as they were packed: in one piece, or with the lowest byte of each apart."""
    count = int(np.prod(shape))
    if not lowest:
        return np.frombuffer(body, kind, count, at).reshape(shape)
    size = np.dtype(kind).itemsize
    table = np.empty((count, size), np.uint8)
    table[:, 0] = np.frombuffer(lowest, np.uint8, count)
    for place in range(1, size):
        table[:, place] = np.frombuffer(body, np.uint8, count, at + (place - 1) * count)
    return table.view(kind).reshape(shape)


def _cube(
    days: Sequence[date], slots: NDArray[np.int64], told: Sequence[int], values: Wh, present: Mask
) -> KeptCube:
    """The days in the shape of a cube; `values` are of the days told, by place."""
    shape = (len(values), len(days), MAX_PERIODS)
    net_wh = np.zeros(shape, np.int64)
    has = np.zeros(shape, np.bool_)
    day_of = np.array(told, np.intp)
    for place in range(slots.shape[1]):
        rows = np.flatnonzero(slots[day_of, place] >= 0)
        net_wh[:, day_of[rows], slots[day_of[rows], place]] = values[:, rows, place]
        has[:, day_of[rows], slots[day_of[rows], place]] = present[:, rows, place]
    return KeptCube(days, net_wh, has, slots)
