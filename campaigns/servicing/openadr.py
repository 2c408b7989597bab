"""The adapter of a network operator's OpenADR 2.0b VTN: events in, starts for the door out, opts back.

    SIMPLE level                             1 to 3: the share of the contract's most that the place gives it
    LOAD_CONTROL x-loadControlCapacity       below 1, so much less of the contract's most; above 1, more
    LOAD_CONTROL x-loadControlPercentOffset  below 0, so many per cent of it less; above 0, more
    LOAD_DISPATCH delta                      below 0, so much less; above 0, so much more

Of several signals the first of LOAD_CONTROL, LOAD_DISPATCH and SIMPLE is followed. A setpoint is refused:
what a zone takes is bounded by a cap, not by an event. Who speaks was shown by its certificate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from campaigns.models import Direction, ServicingContract, ServicingSignal
from campaigns.servicing.port import Ask
from campaigns.servicing.reference import LARGEST_W
from campaigns.servicing.signatures import SignatureRefused
from oadr.messages import (
    INVALID_DATA,
    OK,
    SIGNAL_NOT_SUPPORTED,
    TARGET_MISMATCH,
    DistributeEvent,
    Event,
    OptType,
    Signal,
    Target,
    Unit,
)
from opendsr.kernel.errors import Invalid

MOST_INTERVALS: Final = 96
MINUTE: Final = timedelta(minutes=1)
LONGEST_REASON: Final = 200
State = ServicingSignal.State


class EventRefused(Invalid):
    """An event that cannot be taken: `oadr_code`, `reason` in words."""

    oadr_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """A zone as the VTN names it, and the percent of the contract's most that SIMPLE 1, 2 and 3 ask."""

    zone: str
    level_pct: tuple[int, int, int] = (33, 67, 100)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an event asks of a zone, in time order; nothing of one that only says "as usual"."""

    zone: str
    asks: tuple[Ask, ...]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What the VTN is told of an event."""

    opt: OptType
    code: int
    reason: str


def verify(message: DistributeEvent, *, vtn_id: str) -> None:
    """Raise SignatureRefused unless the VTN that is registered with says it."""
    if vtn_id and message.vtn_id and message.vtn_id != vtn_id:
        raise SignatureRefused(reason=f"it is from the VTN {message.vtn_id[:80]}, not {vtn_id[:80]}")


def parse(
    event: Event,
    *,
    ven_id: str,
    places: Mapping[str, Place],
    contract_of: Callable[[str], ServicingContract],
    at: datetime,
) -> Parsed:
    """What is asked from `at` on; raises EventRefused, and what `contract_of` raises of a zone."""
    place = _place(event, ven_id=ven_id, places=places)
    contract = contract_of(place.zone)
    watts_of, signal = _followed(event, contract, place)
    period = event.active_period
    lasts = timedelta(seconds=period.duration_seconds) or contract.longest_minutes * MINUTE
    if not timedelta() < lasts <= timedelta(days=7) or len(signal.intervals) > MOST_INTERVALS:
        raise EventRefused(oadr_code=INVALID_DATA, reason="longer than a week, or of too many intervals")
    ends_at = period.starts_at + lasts
    asks: list[Ask] = []
    last = ends_at
    for starts, ends, watts in _slices(signal, watts_of, starts_at=period.starts_at, ends_at=ends_at):
        ask = _ask(event, contract, starts, ends, watts, at=at)
        if ask is not None:
            asks.append(ask)
            last = ends
    if not asks and at >= ends_at - MINUTE:
        raise EventRefused(oadr_code=OK, reason="less than a minute of it is left")
    return Parsed(place.zone, tuple(asks), last)


def answer(signal: ServicingSignal) -> Answer:
    """What the VTN is told of what came of a start."""
    if signal.state in (State.DISPATCHED, State.REHEARSED):
        return Answer("optIn", OK, "")
    if signal.state == State.WAITING:
        return Answer("optOut", OK, "it waits for approval here: an optIn follows if it is given")
    words = [signal.reason.replace("_", " ")]
    detail = signal.answer.get("detail", {})
    words += [f"{name} {value}" for name, value in detail.items() if not str(value).startswith("{")]
    return Answer("optOut", OK, ", ".join(words)[:LONGEST_REASON])


def names_of(target: Target) -> tuple[str, ...]:
    """Everything that a target names but VENs."""
    return (
        *target.group_ids,
        *target.group_names,
        *target.resource_ids,
        *target.party_ids,
        *target.end_device_assets,
        *target.meter_assets,
        *target.pnodes,
        *target.aggregated_pnodes,
        *target.service_delivery_points,
        *target.service_areas,
        *target.service_locations,
        *(name for pair in target.transport_interfaces for name in pair),
    )


def _place(event: Event, *, ven_id: str, places: Mapping[str, Place]) -> Place:
    """The one zone that the target names or, where it names nothing, the market context."""
    target = event.target
    if target.ven_ids and ven_id not in target.ven_ids:
        raise EventRefused(oadr_code=TARGET_MISMATCH, reason="it is for another VEN")
    names = names_of(target) or ((event.market_context,) if event.market_context else ())
    unknown = [name for name in names if name not in places]
    if unknown or not names:
        what = unknown[0][:80] if unknown else "no target and no market context"
        raise EventRefused(oadr_code=TARGET_MISMATCH, reason=f"unknown zone: {what}")
    if len({places[name].zone for name in names}) > 1:
        raise EventRefused(oadr_code=TARGET_MISMATCH, reason="it names two zones: send an event for each")
    return places[names[0]]


WattsOf = Callable[[float], int]
"""W to use more (above 0) or less (below 0), of an interval's value; 0 is as usual."""


def _followed(event: Event, contract: ServicingContract, place: Place) -> tuple[WattsOf, Signal]:
    for reads in (_load_control, _load_dispatch, _simple):
        for signal in event.signals:
            watts_of = reads(signal, contract.max_w, place)
            if watts_of is None:
                continue
            if signal.target is not None and signal.target != Target():
                raise EventRefused(
                    oadr_code=SIGNAL_NOT_SUPPORTED, reason="a signal for a class of devices: not supported"
                )
            return watts_of, signal
    names = ", ".join(f"{signal.name}/{signal.type}" for signal in event.signals)[:150]
    raise EventRefused(oadr_code=SIGNAL_NOT_SUPPORTED, reason=f"not supported: {names or 'no signal'}")


def _load_control(signal: Signal, most_w: int, _place: Place) -> WattsOf | None:
    if signal.name != "LOAD_CONTROL":
        return None
    if signal.type == "x-loadControlCapacity":
        return lambda share: round((share - 1) * most_w)
    if signal.type == "x-loadControlPercentOffset":
        return lambda percent: round(percent * most_w / 100)
    return None


def _load_dispatch(signal: Signal, _most_w: int, _place: Place) -> WattsOf | None:
    if signal.name != "LOAD_DISPATCH" or signal.type != "delta":
        return None
    factor = (signal.unit or Unit("")).factor
    return lambda power: round(power * factor)


def _simple(signal: Signal, most_w: int, place: Place) -> WattsOf | None:
    if signal.name.upper() != "SIMPLE" or signal.type != "level":
        return None

    def asked(level: float) -> int:
        if level not in (0, 1, 2, 3):
            raise EventRefused(oadr_code=INVALID_DATA, reason=f"SIMPLE has the levels 0 to 3, not {level:g}")
        return -round(most_w * place.level_pct[int(level) - 1] / 100) if level else 0

    return asked


def _slices(
    signal: Signal, watts_of: WattsOf, *, starts_at: datetime, ends_at: datetime
) -> list[tuple[datetime, datetime, int]]:
    """The intervals that ask anything, in time order; those that carry on unchanged are one."""
    slices: list[tuple[datetime, datetime, int]] = []
    for interval in signal.intervals:
        seconds, value = interval.duration_seconds, interval.value
        if seconds < 0 or not math.isfinite(value) or abs(value) > LARGEST_W:
            raise EventRefused(
                oadr_code=INVALID_DATA, reason=f"an interval of {seconds} s with the value {value:g}"
            )
        until = min(starts_at + timedelta(seconds=min(seconds, 604_800)), ends_at) if seconds else ends_at
        watts = watts_of(value)
        if until > starts_at and watts:
            if slices and slices[-1][1:] == (starts_at, watts):
                slices[-1] = (slices[-1][0], until, watts)
            else:
                slices.append((starts_at, until, watts))
        starts_at = until
    return slices


def _ask(
    event: Event,
    contract: ServicingContract,
    starts_at: datetime,
    ends_at: datetime,
    watts: int,
    *,
    at: datetime,
) -> Ask | None:
    """A start over what is still to come of [starts_at, ends_at), in whole minutes; None: nothing is."""
    if abs(watts) > LARGEST_W:
        raise EventRefused(oadr_code=INVALID_DATA, reason=f"{watts} W is more than any zone takes")
    is_late = starts_at <= at
    soonest = at.replace(microsecond=0) + timedelta(seconds=contract.notice_seconds)
    minutes = (ends_at - (soonest if is_late else starts_at)) // MINUTE
    if minutes < 1:
        return None
    return Ask(
        kind=ServicingSignal.Kind.START,
        zone=contract.zone,
        direction=(Direction.TURN_DOWN if watts < 0 else Direction.TURN_UP).value,
        size_w=abs(watts),
        minutes=minutes,
        starts_at=None if is_late else starts_at.replace(microsecond=0),
        reference=event.event_id[:80],
        is_rehearsal=event.is_test,
    )
