"""What VENs say about events, however they say it: recorded once, told upward as facts, in groups."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection

from oadr.delays import Delays
from opendsr.kernel import outbox
from vtn import hand_overs
from vtn.live_events import AnyEvent, AnyVen
from vtn.models import EventOpt, OptChoice, OptSource
from vtn.services import distributing, telling

LONGEST_REASON: Final = 120
DELAYS_TOLD: Final = "vtn.event.delays_told"
RECEIVED_FOR_RESOURCES: Final = "vtn.opt.received_for_resources"


@dataclass(frozen=True, slots=True)
class Saying:
    """One VEN's word on one event; `resource_ids` when it speaks for some of its resources only."""

    ven: AnyVen
    event: AnyEvent
    opt: OptChoice
    source: OptSource
    reason: str = ""
    opt_id: str = ""
    resource_ids: tuple[str, ...] = ()


class _Word(NamedTuple):
    """What was said of an event, or of some resources in it."""

    opt: str
    source: str
    modification_number: int
    opt_id: str
    reason: str
    is_withdrawn: bool = False

    @property
    def stands_alone(self) -> bool:
        """True for an opt of the VEN's own, by optID, that it has not cancelled."""
        return bool(self.opt_id) and not self.is_withdrawn


_Words = dict[tuple[int, tuple[str, ...]], list[_Word]]
"""By event (pk) and resources, the latest last."""


def record_opts(sayings: Sequence[Saying], *, at: datetime) -> None:
    """Note that the VENs have the versions in force, and what they chose that is new.

    The events' rows are locked by the caller, so that the highest id is the latest
    word. An answer to a cancelled event only confirms the cancellation (rule 36).
    An opt of its own stands, until the VEN cancels it, against later answers to the same
    version: clients repeat their first answer whenever they are handed the full set, and a
    member's override must outlive that. An opt for some resources never stands for the
    whole event, and a later answer to the event does not touch the resources that it spoke for.
    """
    _acknowledge({saying.event.pk: saying for saying in sayings}.values(), at=at)
    words = _words_before(saying.event for saying in sayings)
    told: list[Saying] = []
    for saying in sayings:
        if saying.event.cancelled_at is not None:
            continue
        said = words[saying.event.pk, saying.resource_ids]
        word = _word(saying)
        is_repeated = bool(said) and said[-1] == word
        is_automatic = saying.source == OptSource.CREATED_EVENT and any(
            each.stands_alone and each.modification_number == word.modification_number for each in said
        )
        if not (is_repeated or is_automatic):
            said.append(word)
            told.append(saying)
    if not told:
        return
    written = _insert(told, at=at)
    apart = _resources_apart(words, {saying.event.pk: saying.event.modification_number for saying in sayings})
    received_at = at.isoformat()
    facts = [
        (saying, _told(saying, sequence, apart=apart.get(saying.event.pk, ()), received_at=received_at))
        for saying, sequence in zip(told, written, strict=True)
    ]
    telling.tell(telling.RECEIVED, [("", fact) for saying, fact in facts if not saying.resource_ids], at=at)
    outbox.record_many(
        RECEIVED_FOR_RESOURCES,
        [
            ("", fact | {"resource_ids": list(saying.resource_ids)})
            for saying, fact in facts
            if saying.resource_ids
        ],
        at=at,
    )


def record_delays(told: Iterable[tuple[AnyEvent, Delays]], *, at: datetime) -> None:
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


def _word(saying: Saying) -> _Word:
    """An answer's reason, which clients word anew each time, makes it no other word; an opt's does."""
    reason = saying.reason[:LONGEST_REASON] if saying.opt_id else ""
    return _Word(saying.opt, saying.source, saying.event.modification_number, saying.opt_id, reason)


def _resources_apart(words: _Words, in_force: Mapping[int, int]) -> dict[int, set[str]]:
    """By event (pk), the resources that its hub has spoken for on their own, in the version `in_force`."""
    apart: dict[int, set[str]] = defaultdict(set)
    for (event_pk, resource_ids), said in words.items():
        modification = in_force[event_pk]
        if any(word.stands_alone and word.modification_number == modification for word in said):
            apart[event_pk].update(resource_ids)
    return apart


def _told(saying: Saying, sequence: int, *, apart: Collection[str], received_at: str) -> dict[str, object]:
    is_answer = saying.source == OptSource.CREATED_EVENT
    return {
        "event_id": saying.event.event_id,
        "ven_id": saying.ven.ven_id,
        "opt": saying.opt.value,
        "modification_number": saying.event.modification_number,
        "source": saying.source.value,
        "reason": saying.reason[:LONGEST_REASON],
        "sequence": sequence,
        "received_at": received_at,
        **({"resources_apart": sorted(apart)} if apart and is_answer else {}),
    }


_INSERT: Final = """
    INSERT INTO vtn_event_opt
        (event_id, opt, modification_number, source, reason, opt_id, resource_ids, received_at)
    SELECT event, opt, modification, source, reason, opt_id, resources::jsonb, %(at)s
    FROM ROWS FROM (
        unnest(string_to_array(%(events)s, ',')::bigint[]), unnest(string_to_array(%(opts)s, ',')),
        unnest(string_to_array(%(modifications)s, ',')::int[]), unnest(string_to_array(%(sources)s, ',')),
        json_array_elements_text(%(reasons)s::json), json_array_elements_text(%(opt_ids)s::json),
        json_array_elements(%(resources)s::json)
    ) WITH ORDINALITY AS said (event, opt, modification, source, reason, opt_id, resources, place)
    ORDER BY place
    RETURNING id
"""


def _insert(sayings: Sequence[Saying], *, at: datetime) -> list[int]:
    """Write the opts in one statement, in their order; returns their ids, rising in it."""
    columns: dict[str, str | datetime] = {
        "at": at,
        "events": ",".join([str(saying.event.pk) for saying in sayings]),
        "opts": ",".join([saying.opt.value for saying in sayings]),
        "modifications": ",".join([str(saying.event.modification_number) for saying in sayings]),
        "sources": ",".join([saying.source.value for saying in sayings]),
        "reasons": json.dumps([saying.reason[:LONGEST_REASON] for saying in sayings]),
        "opt_ids": json.dumps([saying.opt_id for saying in sayings]),
        "resources": json.dumps([saying.resource_ids for saying in sayings]),
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, columns)
        return [pk for (pk,) in cursor.fetchall()]


def _acknowledge(sayings: Iterable[Saying], *, at: datetime) -> None:
    """Note that the VENs have the versions in force; and that they left, where it is not written down yet."""
    fresh = [
        (saying, group if group is not None and group.has_let_go(saying.event) else None)
        for saying in sayings
        if saying.event.acknowledged_modification != saying.event.modification_number
        for group in [hand_overs.group_of(saying.ven.pk)]
    ]
    if not fresh:
        return
    times = {group.number: (group.at.isoformat(), group.wall.isoformat()) for _, group in fresh if group}
    written = [times[group.number] if group else ("", "") for _, group in fresh]
    with connection.cursor() as cursor:
        cursor.execute(
            _ACKNOWLEDGE,
            {
                "at": at,
                "pks": ",".join(str(saying.event.pk) for saying, _ in fresh),
                "left": ",".join(left_at for left_at, _ in written),
                "walls": ",".join(wall for _, wall in written),
            },
        )
    distributing.tell_delivered(
        [
            (saying.event.event_id, saying.event.modification_number, saying.ven.ven_id, group.at)
            for saying, group in fresh
            if group and saying.event.delivered_modification != saying.event.modification_number
        ],
        at=at,
    )


_ACKNOWLEDGE: Final = """
    UPDATE vtn_event AS event
    SET acknowledged_modification = modification_number, acknowledged_at = %(at)s,
        delivered_at = CASE WHEN delivered_modification IS DISTINCT FROM modification_number
                            THEN coalesce(gone.at, delivered_at) ELSE delivered_at END,
        delivered_modification = CASE WHEN gone.at IS NULL THEN delivered_modification
                                      ELSE modification_number END,
        delivered_wall_at = coalesce(gone.wall, delivered_wall_at),
        delivery_count = delivery_count + (gone.at IS NOT NULL)::int
    FROM unnest(string_to_array(%(pks)s, ',')::bigint[], string_to_array(%(left)s, ',', '')::timestamptz[],
                string_to_array(%(walls)s, ',', '')::timestamptz[]) AS gone (pk, at, wall)
    WHERE event.id = gone.pk
"""


def _words_before(events: Iterable[AnyEvent]) -> _Words:
    """What the VENs said before; of an event never answered nothing was said."""
    words: _Words = defaultdict(list)
    spoken_of = {event.pk for event in events if event.acknowledged_modification is not None}
    if spoken_of:
        rows = EventOpt.objects.filter(event_id__in=spoken_of).order_by("id")
        for event, resources, opt, source, modification, opt_id, reason, withdrawn_at in rows.values_list(
            "event_id",
            "resource_ids",
            "opt",
            "source",
            "modification_number",
            "opt_id",
            "reason",
            "withdrawn_at",
        ):
            word = _Word(
                opt, source, modification, opt_id, reason if opt_id else "", withdrawn_at is not None
            )
            words[event, tuple(resources)].append(word)
    return words
