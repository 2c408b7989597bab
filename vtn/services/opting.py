"""What VENs say about events, however they say it: recorded once, told upward as facts, in groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from oadr.delays import Delays
from opendsr.kernel import outbox
from vtn.models import Event, EventOpt, OptChoice, OptSource, Ven

LONGEST_REASON: Final = 120
RECEIVED: Final = "vtn.opt.received"
DELAYS_TOLD: Final = "vtn.event.delays_told"
RECEIVED_FOR_RESOURCES: Final = "vtn.opt.received_for_resources"


@dataclass(frozen=True, slots=True)
class Saying:
    """One VEN's word on one event; `resource_ids` when it speaks for some of its resources only."""

    ven: Ven
    event: Event
    opt: OptChoice
    source: OptSource
    reason: str = ""
    opt_id: str = ""
    resource_ids: tuple[str, ...] = ()


def record_opts(sayings: Sequence[Saying], *, at: datetime) -> None:
    """Note that the VENs have the versions in force, and what they chose that is new.

    The events' rows are locked by the caller, so that the highest id is the latest
    word. An answer to a cancelled event only confirms the cancellation (rule 36).
    An opt of its own stands against later answers to the same version: clients repeat
    their first answer whenever they are handed the full set, and a member's override
    must outlive that. An opt for some resources never stands for the whole event, and
    a later answer to the event does not touch the resources that it spoke for.
    """
    _acknowledge({saying.event.pk: saying.event for saying in sayings}.values(), at=at)
    latest = _latest_opts(saying.event.pk for saying in sayings)
    rows: list[EventOpt] = []
    told: list[Saying] = []
    for saying in sayings:
        if saying.event.cancelled_at is not None:
            continue
        before = latest.get((saying.event.pk, saying.resource_ids))
        if before is not None and before.modification_number == saying.event.modification_number:
            is_repeated = (before.opt, before.source) == (saying.opt, saying.source)
            is_automatic = before.source == OptSource.CREATE_OPT and saying.source == OptSource.CREATED_EVENT
            if is_repeated or is_automatic:
                continue
        row = EventOpt(
            event=saying.event,
            opt=saying.opt,
            modification_number=saying.event.modification_number,
            source=saying.source,
            reason=saying.reason[:LONGEST_REASON],
            opt_id=saying.opt_id,
            resource_ids=list(saying.resource_ids),
            received_at=at,
        )
        latest[saying.event.pk, saying.resource_ids] = row
        rows.append(row)
        told.append(saying)
    EventOpt.objects.bulk_create(rows)
    apart = _resources_apart(
        latest, {saying.event.pk: saying.event.modification_number for saying in sayings}
    )
    facts = [
        (saying, _told(saying, row, apart=apart.get(saying.event.pk, ())))
        for saying, row in zip(told, rows, strict=True)
    ]
    outbox.record_many(RECEIVED, [("", fact) for saying, fact in facts if not saying.resource_ids], at=at)
    outbox.record_many(
        RECEIVED_FOR_RESOURCES,
        [
            ("", fact | {"resource_ids": list(saying.resource_ids)})
            for saying, fact in facts
            if saying.resource_ids
        ],
        at=at,
    )


def record_delays(told: Iterable[tuple[Event, Delays]], *, at: datetime) -> None:
    """Tell upward what VENs drew within startafter, once a version; the VTN itself has no use for it."""
    facts: list[tuple[str, dict[str, object]]] = [
        (
            "",
            {
                "event_id": event.event_id,
                "start_seconds": dict(drawn.start_seconds),
                "end_seconds": dict(drawn.end_seconds),
            },
        )
        for event, drawn in told
    ]
    if facts:
        outbox.record_many(DELAYS_TOLD, facts, at=at)


def _resources_apart(
    latest: Mapping[tuple[int, tuple[str, ...]], EventOpt], in_force: Mapping[int, int]
) -> dict[int, set[str]]:
    """By event (pk), the resources that its hub has spoken for on their own, in the version `in_force`."""
    apart: dict[int, set[str]] = defaultdict(set)
    for (event_pk, resource_ids), row in latest.items():
        if resource_ids and row.withdrawn_at is None and row.modification_number == in_force[event_pk]:
            apart[event_pk].update(resource_ids)
    return apart


def _told(saying: Saying, row: EventOpt, *, apart: Collection[str]) -> dict[str, object]:
    is_answer = saying.source == OptSource.CREATED_EVENT
    return {
        "event_id": saying.event.event_id,
        "ven_id": saying.ven.ven_id,
        "opt": str(saying.opt),
        "modification_number": row.modification_number,
        "source": str(saying.source),
        "reason": row.reason,
        "sequence": row.pk,
        "received_at": row.received_at,
        **({"resources_apart": sorted(apart)} if apart and is_answer else {}),
    }


def _acknowledge(events: Iterable[Event], *, at: datetime) -> None:
    fresh = [event for event in events if event.acknowledged_modification != event.modification_number]
    if not fresh:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE vtn_event SET acknowledged_modification = modification_number, acknowledged_at = %s
            WHERE id = ANY(%s)
            """,
            [at, [event.pk for event in fresh]],
        )
    for event in fresh:
        event.acknowledged_modification, event.acknowledged_at = event.modification_number, at


def _latest_opts(event_pks: Iterable[int]) -> dict[tuple[int, tuple[str, ...]], EventOpt]:
    rows = EventOpt.objects.filter(event_id__in=set(event_pks)).order_by("id")
    return {(row.event_id, tuple(row.resource_ids)): row for row in rows}
