"""Every event the hub has been told of, and what became of it. Pure: messages and times in, a new book out.

A DistributeEvent is the full set: what is missing from it is cancelled (rule 61). An event is carried out to
its end from here, contact or no contact; the member's word cuts it short at once. What was ordered in the
past stays in the book as it was, so that the same book always plays the same home.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from random import Random
from typing import Protocol

from hems.absence import Absence, ScheduleNote, ended, is_away
from hems.devices import Order
from hems.signals import LONGEST, SignalUnsupported, Slice, ends_of, slices_of
from oadr import delays
from oadr.delays import Delays
from oadr.messages import (
    INVALID_DATA,
    OUT_OF_SEQUENCE,
    SIGNAL_NOT_SUPPORTED,
    TARGET_MISMATCH,
    DistributeEvent,
    Event,
    EventResponse,
    OptType,
    QualifiedEventId,
)
from oadr.ven import NOT_PARTICIPATING, OptNote

KEPT = timedelta(days=8)
FURTHEST = timedelta(days=3660)
LEAST_URGENT = 1_000_000
CANCELLED, LEFT_OUT, UNREGISTERED = "cancelled", "left out of the set", "registration cancelled"
OVERRIDE, PARTICIPATING = "overrideStatus", "participating"

Out = tuple[datetime, datetime | None]


class Rated(Protocol):
    """What the book has to know of an asset."""

    @property
    def resource_id(self) -> str: ...

    @property
    def rated_w(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `known_at` is when its version in force came; `outs` when the home is out of it; `past` the
    orders of earlier versions.

    `stopped_at` is when the last asset is let go of what was called off; `called_off_at` when that was heard,
    from which each asset draws its own end. Without it all end together: the registration ended, or an
    earlier version of the hub kept this.
    """

    event_id: str
    modification_number: int
    market_context: str
    starts_at: datetime
    ends_at: datetime
    tolerance_seconds: int
    urgency: int
    slices: tuple[Slice, ...]
    resource_ids: tuple[str, ...]
    known_at: datetime
    opt: OptType
    opt_reason: str
    is_test: bool = False
    outs: tuple[Out, ...] = ()
    stopped_at: datetime | None = None
    called_off_at: datetime | None = None
    stop_reason: str = ""
    past: tuple[Order, ...] = ()

    @property
    def latest_end(self) -> datetime:
        """When the last asset is released, randomisation included."""
        return self.ends_at + timedelta(seconds=self.tolerance_seconds)

    def is_live(self, at: datetime) -> bool:
        """Neither over nor called off."""
        return self.stopped_at is None and at < self.latest_end

    def phase(self, at: datetime) -> str:
        """For displays: cancelled, opted_out, pending, active or completed."""
        if self.stopped_at is not None:
            return "cancelled"
        if self.outs and self.outs[-1][1] is None:
            return "opted_out"
        if at < self.starts_at:
            return "pending"
        return "active" if at < self.latest_end else "completed"


@dataclass(frozen=True, slots=True)
class Book:
    """All events by id. `seed` draws each asset's start and end delay, the same at every restart."""

    seed: str
    entries: Mapping[str, Entry] = field(default_factory=dict)
    absences: tuple[Absence, ...] = ()

    def take(
        self,
        message: DistributeEvent,
        *,
        at: datetime,
        ven_id: str,
        assets: Collection[Rated],
        says_no: bool = False,
    ) -> tuple[Book, list[EventResponse]]:
        """Take the full set as known at `at` (a whole second); return the book after it and the answers due.

        `says_no`: the home answers every new event with optOut.
        """
        entries = dict(self.entries)
        answers: list[EventResponse] = []
        for event in message.events:
            known = entries.get(event.event_id)
            entry, opt, code, reason = self._judge(event, known, at, ven_id, assets, says_no=says_no)
            if entry is not None:
                entries[event.event_id] = entry
            if opt is not None and event.is_response_required:
                about = QualifiedEventId(event.event_id, event.modification_number)
                told = reason or delays.written(self._delays(entry, known, at, assets))
                answers.append(EventResponse(about, opt, message.request_id, code, told))
        named = {event.event_id for event in message.events}
        for event_id, entry in entries.items():
            if event_id not in named and entry.stopped_at is None and at < entry.ends_at:
                entries[event_id] = self._stopped(entry, at, assets, LEFT_OUT)
        return self._with(entries, at), answers

    def stop_all(self, at: datetime, reason: str) -> Book:
        """Let go of every asset: nobody speaks for these events any more."""
        stopped = {
            event_id: replace(entry, stopped_at=at, stop_reason=reason) if entry.is_live(at) else entry
            for event_id, entry in self.entries.items()
        }
        return replace(self, entries=stopped)

    def override(self, at: datetime) -> tuple[Book, list[OptNote]]:
        """The member's button: out of every event running at `at`, or of the next one known if none runs.

        An event already called off that was to end a little later ends at once.
        """
        book = replace(
            self,
            entries={
                key: replace(entry, stopped_at=at) if entry.stopped_at and entry.stopped_at > at else entry
                for key, entry in self.entries.items()
            },
        )
        known = [entry for entry in self.entries.values() if entry.is_live(at) and entry.known_at <= at]
        joined = [entry for entry in known if not (entry.outs and entry.outs[-1][1] is None)]
        chosen = [entry for entry in joined if entry.starts_at <= at]
        if not chosen and joined:
            chosen = [min(joined, key=lambda entry: entry.starts_at)]
        return book._opted(chosen, at, "optOut", OVERRIDE)

    def resume(self, at: datetime) -> tuple[Book, list[OptNote]]:
        """The member takes part again in whatever is left of the events they were out of."""
        chosen = [
            entry
            for entry in self.entries.values()
            if entry.is_live(at) and entry.outs and entry.outs[-1][1] is None
        ]
        return self._opted(chosen, at, "optIn", PARTICIPATING)

    def leave(
        self,
        starts_at: datetime,
        ends_at: datetime,
        *,
        resource_ids: tuple[str, ...] = (),
        assets: Collection[Rated],
        at: datetime,
    ) -> tuple[Book, list[ScheduleNote], list[OptNote]]:
        """Take part in nothing from `starts_at` (not before `at`) to `ends_at`, with some assets or all.

        An event that falls into it whole is opted out of at once; of one that reaches beyond, the rest is
        carried out.
        """
        starts_at = max(starts_at, at)
        if ends_at <= starts_at:
            return self, [], []
        said = f"{self.seed}|away|{starts_at.isoformat()}|{ends_at.isoformat()}|{resource_ids}"
        absence = Absence(sha256(said.encode()).hexdigest()[:32], starts_at, ends_at, resource_ids)
        if absence in self.absences:
            return self, [], []
        book = replace(self, absences=(*self.absences, absence))
        missed = [
            entry
            for entry in self.entries.values()
            if entry.is_live(at)
            and not (entry.outs and entry.outs[-1][1] is None)
            and book._is_away(entry, assets)
        ]
        book, notes = book._opted(missed, at, "optOut", NOT_PARTICIPATING)
        return book, [ScheduleNote(absence, at)], notes

    def come_back(self, at: datetime) -> tuple[Book, list[ScheduleNote]]:
        """End every absence, those to come as well; what was opted out of stays so until `resume`."""
        absences, notes = ended(self.absences, at)
        return replace(self, absences=absences), notes

    def orders(self, assets: Iterable[Rated]) -> tuple[Order, ...]:
        """Every order past and to come, by asset and time."""
        orders: list[Order] = []
        assets = tuple(assets)
        for asset in assets:
            for entry in self.entries.values():
                mine = [order for order in entry.past if order.resource_id == asset.resource_id]
                orders += _joined([*mine, *self._orders_of(entry, asset, assets)])
        return tuple(sorted(orders, key=lambda order: (order.resource_id, order.starts_at, order.event_id)))

    def _judge(
        self,
        event: Event,
        known: Entry | None,
        at: datetime,
        ven_id: str,
        assets: Collection[Rated],
        *,
        says_no: bool,
    ) -> tuple[Entry | None, OptType | None, int, str]:
        """One event of the set: its entry after this, and the answer (no opt: none is due)."""
        if known is not None and event.modification_number < known.modification_number:
            return known, known.opt, OUT_OF_SEQUENCE, f"version {known.modification_number} is known"
        if event.status == "cancelled":
            # A cancellation is acknowledged with optIn (rule 36); an unknown event's is else ignored (60).
            return self._cancelled(known, event.modification_number, at, assets), "optIn", 200, ""
        number, target = event.modification_number, event.target
        if event.active_period.starts_at > at + FURTHEST:
            return self._cancelled(known, number, at, assets), "optOut", INVALID_DATA, "too far in the future"
        if at >= ends_of(event) or event.status == "completed":
            return known, None, 200, ""
        is_new = known is None or event.modification_number > known.modification_number
        if known is not None and not is_new and known.stop_reason != LEFT_OUT:
            return known, known.opt, 200, ""
        if (target.ven_ids and ven_id not in target.ven_ids) or not _targeted(target.resource_ids, assets):
            reason = "not for this hub or its assets"
            return self._cancelled(known, number, at, assets), "optOut", TARGET_MISMATCH, reason
        try:
            slices = slices_of(event)
        except SignalUnsupported as error:
            return self._cancelled(known, number, at, assets), "optOut", SIGNAL_NOT_SUPPORTED, str(error)
        entry = Entry(
            event_id=event.event_id,
            modification_number=number,
            market_context=event.market_context,
            starts_at=event.active_period.starts_at,
            ends_at=ends_of(event),
            tolerance_seconds=min(max(0, event.active_period.start_tolerance_seconds), LONGEST.seconds),
            urgency=event.priority or LEAST_URGENT,
            slices=slices,
            resource_ids=target.resource_ids,
            known_at=at,
            opt="optIn",
            opt_reason=PARTICIPATING,
            is_test=event.is_test,
        )
        if says_no or self._is_away(entry, assets):
            entry = replace(entry, opt="optOut", opt_reason=NOT_PARTICIPATING, outs=((at, None),))
        if known is not None:
            # A new version changes what is asked, not what the member has said.
            past = tuple(
                cut
                for asset in assets
                for order in self._orders_of(known, asset, assets)
                if (cut := _until(order, at))
            )
            entry = replace(
                entry, opt=known.opt, opt_reason=known.opt_reason, outs=known.outs, past=(*known.past, *past)
            )
        return entry, entry.opt, 200, ""

    def _orders_of(self, entry: Entry, asset: Rated, assets: Iterable[Rated]) -> list[Order]:
        """The orders of the version in force, randomised, without what the member is out of."""
        if entry.is_test or not _targeted(entry.resource_ids, [asset]):
            return []
        delay, stopped_at = self._delay(entry, asset), self._stops_at(entry, asset)
        together_w = sum(each.rated_w for each in assets if _targeted(entry.resource_ids, [each]))
        orders = []
        for part in entry.slices:
            for since, until in self._spans(entry, asset, part):
                if stopped_at is not None:
                    until = min(until, stopped_at)
                if until <= since:
                    continue
                orders.append(
                    Order(
                        event_id=entry.event_id,
                        resource_id=asset.resource_id,
                        starts_at=since,
                        ends_at=until,
                        planned_ends_at=(part.ends_at if part.is_plan else entry.ends_at) + delay,
                        direction=part.action.direction,
                        limit_w=part.action.limit_w(asset.rated_w, together_w=together_w),
                        urgency=entry.urgency,
                        is_plan=part.is_plan,
                    )
                )
        return orders

    def _delays(
        self, entry: Entry | None, known: Entry | None, at: datetime, assets: Collection[Rated]
    ) -> Delays:
        """What the VTN is told of the draws: both of what is to be done, the end's of what was called off."""
        if entry is None or entry.is_test or not entry.tolerance_seconds or entry.opt != "optIn":
            return Delays()
        asked = [each for each in assets if _targeted(entry.resource_ids, [each])]
        if entry.stopped_at is None:
            drawn = {each.resource_id: int(self._delay(entry, each).total_seconds()) for each in asked}
            return Delays(drawn, drawn)
        if known is None or not known.is_live(at) or at < entry.starts_at:
            return Delays()
        ends = {each.resource_id: self._ends_at(entry, each) - at for each in asked}
        return Delays(end_seconds={name: max(0, int(left.total_seconds())) for name, left in ends.items()})

    def _cancelled(
        self, known: Entry | None, number: int, at: datetime, assets: Collection[Rated]
    ) -> Entry | None:
        """The known event called off by its VTN; one that is over or called off already stays as it was."""
        if known is None:
            return None
        stopped = self._stopped(known, at, assets, CANCELLED) if known.is_live(at) else known
        reason = CANCELLED if stopped.stopped_at is not None else ""
        return replace(stopped, modification_number=number, stop_reason=reason)

    def _stopped(self, entry: Entry, at: datetime, assets: Iterable[Rated], reason: str) -> Entry:
        """Called off; with startafter each asset ends at its own random moment within it (rule 65)."""
        called = replace(entry, stopped_at=None, called_off_at=at, stop_reason=reason)
        asked = [each for each in assets if _targeted(entry.resource_ids, [each])]
        return replace(called, stopped_at=max([at, *(self._ends_at(called, each) for each in asked)]))

    def _delay(self, entry: Entry, asset: Rated) -> timedelta:
        """How long after the event's start and end the asset follows."""
        return timedelta(seconds=self._draw(entry.tolerance_seconds, entry.event_id, asset.resource_id))

    def _ends_at(self, entry: Entry, asset: Rated) -> datetime:
        """When the asset is let go: as planned, or sooner where the event was called off."""
        planned = entry.ends_at + self._delay(entry, asset)
        stopped_at = self._stops_at(entry, asset)
        return planned if stopped_at is None else min(planned, stopped_at)

    def _stops_at(self, entry: Entry, asset: Rated) -> datetime | None:
        """When the asset's part of an event that was called off ends at the latest.

        What had not begun by then does not begin, and needs no delay.
        """
        at = entry.called_off_at
        if at is None:
            return entry.stopped_at
        spans = [span for part in entry.slices for span in self._spans(entry, asset, part)]
        if any(since < at < until for since, until in spans):
            at += timedelta(
                seconds=self._draw(entry.tolerance_seconds, entry.event_id, asset.resource_id, "end")
            )
        return at if entry.stopped_at is None else min(at, entry.stopped_at)

    def _spans(self, entry: Entry, asset: Rated, part: Slice) -> list[tuple[datetime, datetime]]:
        """When the asset is to follow the slice, randomised, were the event not called off."""
        delay = self._delay(entry, asset)
        away = [(each.starts_at, each.ends_at) for each in self.absences if each.is_of(asset.resource_id)]
        span = (max(part.starts_at + delay, entry.known_at), part.ends_at + delay)
        return _without(span, [*entry.outs, *away])

    def _opted(
        self, chosen: Iterable[Entry], at: datetime, opt: OptType, reason: str
    ) -> tuple[Book, list[OptNote]]:
        entries, notes = dict(self.entries), []
        for entry in chosen:
            if opt == "optOut":
                outs: tuple[Out, ...] = (*entry.outs, (at, None))
            else:
                outs = (*entry.outs[:-1], (entry.outs[-1][0], at))
            entries[entry.event_id] = replace(entry, opt=opt, opt_reason=reason, outs=outs)
            said = f"{self.seed}|{entry.event_id}|{len(outs)}|{opt}"
            opt_id = sha256(said.encode()).hexdigest()[:32]
            notes.append(
                OptNote(
                    opt_id, entry.event_id, entry.modification_number, entry.market_context, opt, reason, at
                )
            )
        return replace(self, entries=entries), notes

    def _is_away(self, entry: Entry, assets: Collection[Rated]) -> bool:
        """True when no asset that the event is for is at home for any of it."""
        names = [each.resource_id for each in assets if _targeted(entry.resource_ids, [each])]
        return is_away(self.absences, names, max(entry.starts_at, entry.known_at), entry.latest_end)

    def _draw(self, most_seconds: int, *names: str) -> int:
        """0..most_seconds, the same for the same names; spreads hubs, hides nothing."""
        if most_seconds <= 0:
            return 0
        return Random("|".join((self.seed, *names))).randint(0, most_seconds)  # noqa: S311

    def _with(self, entries: Mapping[str, Entry], at: datetime) -> Book:
        """Forget what is long over."""
        return replace(
            self,
            entries={key: e for key, e in entries.items() if e.latest_end + KEPT > at},
            absences=tuple(each for each in self.absences if each.ends_at + 2 * KEPT > at),
        )


def _targeted(resource_ids: Collection[str], assets: Collection[Rated]) -> bool:
    return bool(assets) and (not resource_ids or any(asset.resource_id in resource_ids for asset in assets))


def _until(order: Order, at: datetime) -> Order | None:
    return replace(order, ends_at=min(order.ends_at, at)) if order.starts_at < at else None


def _without(span: tuple[datetime, datetime], outs: Iterable[Out]) -> list[tuple[datetime, datetime]]:
    """What is left of a span when the times out of it are taken away, in time order."""
    left = [span]
    for since, until in outs:
        parts = [(start, min(end, since)) for start, end in left]
        if until is not None:
            parts += [(max(start, until), end) for start, end in left]
        left = parts
    return sorted((start, end) for start, end in left if end > start)


def _joined(orders: list[Order]) -> list[Order]:
    """Orders that carry on unchanged from one version to the next are one."""
    if not orders:
        return []
    joined = [orders[0]]
    for _, order in pairwise(orders):
        before = joined[-1]
        if (
            before.ends_at == order.starts_at
            and replace(before, starts_at=order.starts_at, ends_at=order.ends_at) == order
        ):
            joined[-1] = replace(before, ends_at=order.ends_at)
        else:
            joined.append(order)
    return joined
