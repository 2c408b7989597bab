"""What the hub must still know after a power cut, in `state.json`: registration, events, unheard opts,
reports it was asked for, what it has done.

Written whole, flushed to disk, before anything that rests on it leaves the hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hems.absence import Absence, ScheduleNote
from hems.book import Book, Entry
from hems.devices import Order
from hems.files import write_atomically
from hems.instants import read_instant, written
from hems.reporting import Wanted
from hems.signals import Action, Slice
from oadr.ven import OptNote, Registration

STATE = "state.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """`newest_press` is the member's button press carried out last; `done` names scripted incidents carried
    out.
    """

    registration: Registration
    book: Book
    opts: tuple[OptNote, ...] = ()
    newest_press: str = ""
    done: tuple[str, ...] = ()
    reports: tuple[Wanted, ...] = ()
    schedules: tuple[ScheduleNote, ...] = ()


def load(folder: Path, *, seed: str) -> tuple[State, str]:
    """Return the state kept in the folder and "", or a fresh one and what was wrong with the file.

    A file that cannot be read is set aside: without orders every asset runs as its owner set it.
    """
    path = folder / STATE
    fresh = State(Registration(), Book(seed))
    if not path.exists():
        return fresh, ""
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")), seed), ""
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        aside = path.with_suffix(".unreadable")
        path.replace(aside)
        return fresh, f"{path} could not be read ({error!r}) and was moved to {aside.name}"


def save(folder: Path, state: State) -> None:
    """Keep the state; on return it outlives a power cut."""
    write_atomically(folder / STATE, json.dumps(_to_json(state), indent=1).encode() + b"\n", mode=0o600)


def _to_json(state: State) -> dict[str, Any]:
    return {
        "version": VERSION,
        "registration": {
            "ven_id": state.registration.ven_id,
            "registration_id": state.registration.registration_id,
            "vtn_id": state.registration.vtn_id,
            "poll_seconds": state.registration.poll_seconds,
            "mqtt_url": state.registration.mqtt_url,
            "transport": state.registration.transport,
            "is_signed": state.registration.is_signed,
        },
        "events": [_entry_to_json(entry) for entry in state.book.entries.values()],
        "opts": [
            {
                "opt_id": note.opt_id,
                "event_id": note.event_id,
                "modification_number": note.modification_number,
                "market_context": note.market_context,
                "opt": note.opt,
                "reason": note.reason,
                "said_at": written(note.said_at),
            }
            for note in state.opts
        ],
        "absences": [_absence_to_json(each) for each in state.book.absences],
        "schedules": [
            {
                "absence": _absence_to_json(note.absence),
                "said_at": written(note.said_at),
                "is_cancelled": note.is_cancelled,
            }
            for note in state.schedules
        ],
        "newest_press": state.newest_press,
        "done": list(state.done),
        "reports": [
            {
                "report_request_id": each.report_request_id,
                "specifier_id": each.specifier_id,
                "r_ids": list(each.r_ids),
                "granularity_seconds": each.granularity_seconds,
                "report_back_seconds": each.report_back_seconds,
                "starts_at": written(each.starts_at),
                "ends_at": _moment(each.ends_at),
            }
            for each in state.reports
        ],
    }


def _from_json(document: Mapping[str, Any], seed: str) -> State:
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}")
    entries = [_entry_from_json(item) for item in document["events"]]
    return State(
        registration=Registration(**document["registration"]),
        book=Book(
            seed,
            {entry.event_id: entry for entry in entries},
            tuple(_absence_from_json(item) for item in document.get("absences", [])),
        ),
        schedules=tuple(
            ScheduleNote(
                _absence_from_json(item["absence"]), read_instant(item["said_at"]), bool(item["is_cancelled"])
            )
            for item in document.get("schedules", [])
        ),
        opts=tuple(
            OptNote(**{**item, "said_at": read_instant(item["said_at"])}) for item in document["opts"]
        ),
        newest_press=str(document["newest_press"]),
        done=tuple(document["done"]),
        reports=tuple(
            Wanted(
                **{
                    **item,
                    "r_ids": tuple(item["r_ids"]),
                    "starts_at": read_instant(item["starts_at"]),
                    "ends_at": _maybe(item["ends_at"]),
                }
            )
            for item in document.get("reports", [])
        ),
    )


def _absence_to_json(absence: Absence) -> dict[str, Any]:
    return {
        "opt_id": absence.opt_id,
        "starts_at": written(absence.starts_at),
        "ends_at": written(absence.ends_at),
        "resource_ids": list(absence.resource_ids),
    }


def _absence_from_json(item: Mapping[str, Any]) -> Absence:
    starts_at, ends_at = read_instant(item["starts_at"]), read_instant(item["ends_at"])
    return Absence(item["opt_id"], starts_at, ends_at, tuple(item["resource_ids"]))


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {
        "event_id": entry.event_id,
        "modification_number": entry.modification_number,
        "market_context": entry.market_context,
        "starts_at": written(entry.starts_at),
        "ends_at": written(entry.ends_at),
        "tolerance_seconds": entry.tolerance_seconds,
        "urgency": entry.urgency,
        "slices": [
            {
                "starts_at": written(part.starts_at),
                "ends_at": written(part.ends_at),
                "direction": part.action.direction,
                "share": part.action.share,
                "offset_w": part.action.offset_w,
                "is_plan": part.is_plan,
            }
            for part in entry.slices
        ],
        "resource_ids": list(entry.resource_ids),
        "known_at": written(entry.known_at),
        "opt": entry.opt,
        "opt_reason": entry.opt_reason,
        "is_test": entry.is_test,
        "outs": [[written(since), _moment(until)] for since, until in entry.outs],
        "stopped_at": _moment(entry.stopped_at),
        "called_off_at": _moment(entry.called_off_at),
        "stop_reason": entry.stop_reason,
        "past": [
            {
                "resource_id": order.resource_id,
                "starts_at": written(order.starts_at),
                "ends_at": written(order.ends_at),
                "planned_ends_at": written(order.planned_ends_at),
                "direction": order.direction,
                "limit_w": order.limit_w,
                "urgency": order.urgency,
                "is_plan": order.is_plan,
            }
            for order in entry.past
        ],
    }


def _entry_from_json(item: Mapping[str, Any]) -> Entry:
    slices = tuple(
        Slice(
            read_instant(part["starts_at"]),
            read_instant(part["ends_at"]),
            Action(part["direction"], part["share"], part["offset_w"]),
            part.get("is_plan", False),
        )
        for part in item["slices"]
    )
    past = tuple(
        Order(
            event_id=item["event_id"],
            resource_id=order["resource_id"],
            starts_at=read_instant(order["starts_at"]),
            ends_at=read_instant(order["ends_at"]),
            planned_ends_at=read_instant(order["planned_ends_at"]),
            direction=order["direction"],
            limit_w=order["limit_w"],
            urgency=order["urgency"],
            is_plan=order.get("is_plan", False),
        )
        for order in item["past"]
    )
    plain = ("event_id", "modification_number", "market_context", "tolerance_seconds", "urgency")
    more = ("opt", "opt_reason", "is_test", "stop_reason")
    return Entry(
        **{name: item[name] for name in (*plain, *more)},
        starts_at=read_instant(item["starts_at"]),
        ends_at=read_instant(item["ends_at"]),
        known_at=read_instant(item["known_at"]),
        slices=slices,
        resource_ids=tuple(item["resource_ids"]),
        outs=tuple((read_instant(since), _maybe(until)) for since, until in item["outs"]),
        stopped_at=_maybe(item["stopped_at"]),
        called_off_at=_maybe(item.get("called_off_at")),
        past=past,
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else written(at)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else read_instant(text)
