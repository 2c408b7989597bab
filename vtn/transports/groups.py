"""Polls and answers of many VENs served together: a handful of statements for all that came at the same time.

Called by the listener in a thread, on requests whose certificate it has read. Who
speaks is asked of the database after the requests came, as for a single one. What is
out of the ordinary here (another message, a signature, a claim to be somebody else)
is left to the application: None in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Final, NamedTuple, ParamSpec, TypeVar

from django.db import close_old_connections, connection

from oadr import codec, rendering
from oadr import messages as m
from oadr.errors import WireError
from oadr.messages import EiResponse
from opendsr.kernel import clock
from vtn import hand_overs, messagelog
from vtn.event_offers import OFFER_COLUMNS, Offer
from vtn.live_events import Speaker
from vtn.models import VenCertificate
from vtn.services import distributing, events, writing_behind
from vtn.transports import standing

MOST: Final = 1_000
"""In one group: what a poll waits for the others, and how long rows stay locked."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Poll(NamedTuple):
    """A plain oadrPoll that memory could not answer."""

    fingerprint: str
    ven_id: str
    is_enveloped: bool
    software: str
    body: bytes


class Said(NamedTuple):
    """A message to EiEvent, unread."""

    fingerprint: str
    software: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Served:
    """VENs found quiet, and the full set of events of those for whom one is due; by fingerprint."""

    quiet: dict[str, standing.Quiet]
    sets: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Taken:
    """The replies, in the messages' order, and those who answered, by fingerprint, if nothing more waits."""

    replies: list[bytes | None]
    quiet: dict[str, standing.Quiet]


class Caller(NamedTuple):
    """A certificate in force of a registered VEN that need not sign, and what waits for it in the queue.

    Its events are due, and anything else, in wall seconds; None when nothing of the kind waits.
    """

    speaker: Speaker
    not_after: float
    offer: Offer | None
    events_due_wall: float | None
    others_due_wall: float | None


def _in_thread(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    @wraps(work)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        close_old_connections()
        try:
            return work(*args, **kwargs)
        finally:
            close_old_connections()

    return wrapped


@_in_thread
def serve_polls(polls: Sequence[Poll]) -> Served:
    """Look everybody up, and hand over the events that are due."""
    at, wall = clock.now(), clock.wall_now()
    fingerprints = [poll.fingerprint for poll in polls]
    callers = look_up(fingerprints, wall=wall)
    if overtaken := [
        caller.speaker.pk
        for caller in callers.values()
        if caller.offer is not None and hand_overs.is_overtaken(caller.offer)
    ]:
        writing_behind.write_for(overtaken)
        callers = look_up(fingerprints, wall=wall)
    quiet = quiet_among(callers, wall=wall)
    due = [poll for poll in polls if poll.fingerprint not in quiet and poll.is_enveloped]
    asking = {
        poll.fingerprint: caller
        for poll in due
        if (caller := callers.get(poll.fingerprint)) is not None
        and poll.ven_id in ("", caller.speaker.ven_id)
    }
    offers = {caller.speaker.pk: caller.offer for caller in asking.values() if caller.offer is not None}
    vens = list({caller.speaker.pk: caller.speaker for caller in asking.values()}.values())
    sets = distributing.distribute_many(vens, at=at, by="pull", offers=offers) if offers else {}
    served = {
        fingerprint: sets[caller.speaker.pk]
        for fingerprint, caller in asking.items()
        if caller.speaker.pk in sets
    }
    for poll in due:
        if poll.fingerprint in served:
            messagelog.note(
                messagelog.Exchange(
                    ven_pk=asking[poll.fingerprint].speaker.pk,
                    service="OadrPoll",
                    message=m.Poll(poll.ven_id),
                    message_name="oadrPoll",
                    reply_name="oadrDistributeEvent",
                    code=m.OK,
                    at=at,
                    software=poll.software,
                    request_body=poll.body,
                    reply_body=served[poll.fingerprint],
                )
            )
    return Served(quiet, served)


@_in_thread
def take_answers(said: Sequence[Said]) -> Taken:
    """Take every oadrCreatedEvent among the messages in one transaction, then every oadrRequestEvent.

    On return all that was answered is durable.
    """
    at, wall = clock.now(), clock.wall_now()
    callers = look_up([each.fingerprint for each in said], wall=wall)
    answers: list[tuple[int, Speaker, codec.Parsed, m.CreatedEvent]] = []
    asked: list[tuple[int, Speaker, codec.Parsed, m.RequestEvent]] = []
    for place, each in enumerate(said):
        caller = callers.get(each.fingerprint)
        parsed = _parsed(each.body) if caller is not None else None
        if caller is None or parsed is None or parsed.is_signed:
            continue
        ven = caller.speaker
        match parsed.message:
            case m.CreatedEvent(ven_id=claimed) as answer if claimed in ("", ven.ven_id):
                answers.append((place, ven, parsed, answer))
            case m.RequestEvent(ven_id=claimed) as request if claimed in ("", ven.ven_id):
                asked.append((place, ven, parsed, request))
    served: list[bytes | None] = [None] * len(said)
    offers = {caller.speaker.pk: caller.offer for caller in callers.values() if caller.offer is not None}
    taken = events.take_answers([(ven, message) for _, ven, _, message in answers], at=at, offers=offers)
    quiet: dict[str, standing.Quiet] = {}
    for (place, ven, parsed, _), reply in zip(answers, taken.replies, strict=True):
        if reply.response.is_ok:  # else the application takes it again, and writes the refusal down
            served[place] = rendering.response(reply, is_enveloped=parsed.is_enveloped)
            _note(said[place], ven, parsed, reply_name="oadrResponse", reply=served[place], at=at)
            fingerprint = said[place].fingerprint
            caller = callers[fingerprint]._replace(events_due_wall=taken.due_walls.get(ven.pk))
            if (found := _quiet(caller, wall=wall)) is not None:
                quiet[fingerprint] = found
    if asked:
        sets = distributing.distribute_asked(
            [(ven, message, parsed.is_enveloped) for _, ven, parsed, message in asked], at=at, by="pull"
        )
        for (place, ven, parsed, _), body in zip(asked, sets, strict=True):
            served[place] = body
            quiet.pop(said[place].fingerprint, None)
            _note(said[place], ven, parsed, reply_name="oadrDistributeEvent", reply=body, at=at)
    return Taken(served, quiet)


def _note(
    said: Said, ven: Speaker, parsed: codec.Parsed, *, reply_name: str, reply: bytes | None, at: datetime
) -> None:
    messagelog.note(
        messagelog.Exchange(
            ven_pk=ven.pk,
            service="EiEvent",
            message=parsed.message,
            message_name=codec.message_name(parsed.message),
            reply_name=reply_name,
            code=m.OK,
            at=at,
            software=said.software,
            tolerances=parsed.tolerances,
            request_body=said.body,
            reply_body=reply or b"",
        )
    )


# VEN by VEN: what is open changes by thousands in a second, which no statistics of the planner's know.
_CALLERS: Final = f"""
    SELECT caller.*, waiting.*
    FROM unnest(string_to_array(%(fingerprints)s, ',')) AS wanted (fingerprint)
    CROSS JOIN LATERAL (
        SELECT certificate.fingerprint, ven.id, ven.ven_id, ven.poll_seconds,
               extract(epoch FROM certificate.not_after)::float8, certificate.first_used_wall_at IS NULL
        FROM ven_certificate AS certificate
        JOIN ven ON ven.id = certificate.ven_id
        WHERE certificate.fingerprint = wanted.fingerprint
          AND certificate.revoked_at IS NULL AND certificate.not_before <= %(wall)s
          AND certificate.not_after > %(wall)s
          AND ven.registration_id <> '' AND ven.security <> 'high'
        OFFSET 0
    ) AS caller
    LEFT JOIN LATERAL (
        SELECT queue.kind = 'events', {OFFER_COLUMNS} FROM vtn_queue AS queue
        WHERE queue.ven_id = caller.id AND queue.finished_at IS NULL
        OFFSET 0
    ) AS waiting ON true
"""  # noqa: S608


def look_up(fingerprints: Collection[str], *, wall: datetime) -> dict[str, Caller]:
    """Return by fingerprint who speaks and what waits for them, in one statement.

    A certificate's first word is noted: from then on the one it replaces may end.
    """
    wanted = set(fingerprints)
    with connection.cursor() as cursor:
        cursor.execute(_CALLERS, {"fingerprints": ",".join(wanted), "wall": wall})
        rows = cursor.fetchall()
    callers: dict[str, Caller] = {}
    fresh: set[str] = set()
    for fingerprint, pk, ven_id, seconds, not_after, is_fresh, is_of_events, *queued in rows:
        if is_fresh:
            fresh.add(fingerprint)
        known = callers.get(fingerprint)
        caller = known or Caller(Speaker(pk, ven_id, seconds), not_after, None, None, None)
        if is_of_events is not None:
            row = Offer._make(queued)
            if is_of_events:
                caller = caller._replace(offer=row, events_due_wall=hand_overs.due_wall(row))
            else:
                when = 0.0 if row.is_queued else row.next_try_wall
                if caller.others_due_wall is None or when < caller.others_due_wall:
                    caller = caller._replace(others_due_wall=when)
        callers[fingerprint] = caller
    if fresh:
        VenCertificate.objects.filter(fingerprint__in=fresh, first_used_wall_at=None).update(
            first_used_wall_at=wall
        )
    return callers


def quiet_among(callers: Mapping[str, Caller], *, wall: datetime) -> dict[str, standing.Quiet]:
    """Return by fingerprint the callers for whom nothing waits now."""
    found = {fingerprint: _quiet(caller, wall=wall) for fingerprint, caller in callers.items()}
    return {fingerprint: quiet for fingerprint, quiet in found.items() if quiet is not None}


def _quiet(caller: Caller, *, wall: datetime) -> standing.Quiet | None:
    """What is remembered of a caller for whom nothing waits now; None where something does."""
    until = min(caller.not_after, (wall + standing.REMEMBERED).timestamp())
    for due_wall in (caller.events_due_wall, caller.others_due_wall):
        if due_wall is not None:
            until = min(until, due_wall)
    if until <= wall.timestamp():
        return None
    message = m.Response(response=EiResponse(description="OK"), ven_id=caller.speaker.ven_id)
    return standing.Quiet(
        ven_key=caller.speaker.pk,
        ven_id=caller.speaker.ven_id,
        until_wall=until,
        enveloped=rendering.response(message),
        bare=rendering.response(message, is_enveloped=False),
    )


def _parsed(body: bytes) -> codec.Parsed | None:
    try:
        return codec.parse_body(body)
    except WireError:
        return None
