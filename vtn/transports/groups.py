"""Polls and answers of many VENs served together: a handful of statements for all that came at the same time.

Called by the listener in a thread, on requests whose certificate it has read. Who
speaks is asked of the database after the requests came, as for a single one. What is
out of the ordinary here (another message, a signature, a claim to be somebody else)
is left to the application: None in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, wraps
from typing import Final, ParamSpec, TypeVar

from django.db import close_old_connections, transaction

from oadr import codec, rendering
from oadr import messages as m
from oadr.errors import WireError
from oadr.messages import EiResponse
from opendsr.kernel import clock
from vtn import messagelog
from vtn.models import Ven, VenCertificate
from vtn.services import distributing, events
from vtn.transports import standing

MOST: Final = 1_000
"""In one group: what a poll waits for the others, and how long rows stay locked."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Poll:
    """A plain oadrPoll that memory could not answer."""

    fingerprint: str
    ven_id: str
    is_enveloped: bool
    software: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """A message to EiEvent, unread."""

    fingerprint: str
    software: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Served:
    """VENs found quiet, and the full set of events of those for whom one is due; by fingerprint."""

    quiet: dict[str, standing.Quiet]
    sets: dict[str, bytes]


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
    _note_first_use([poll.fingerprint for poll in polls], wall=wall)
    speakers = standing.speakers([poll.fingerprint for poll in polls], wall=wall)
    quiet = standing.quiet_among(speakers, wall=wall)
    due = [poll for poll in polls if poll.fingerprint not in quiet and poll.is_enveloped]
    vens = {row.fingerprint: row.ven for row in speakers}
    asking = {
        poll.fingerprint: ven
        for poll in due
        if (ven := vens.get(poll.fingerprint)) is not None and poll.ven_id in ("", ven.ven_id)
    }
    sets = distributing.distribute_many(list(asking.values()), at=at, by="pull") if asking else {}
    served = {fingerprint: sets[ven.pk] for fingerprint, ven in asking.items() if ven.pk in sets}
    for poll in due:
        if poll.fingerprint in served:
            messagelog.note(
                messagelog.Exchange(
                    ven_pk=asking[poll.fingerprint].pk,
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
def take_answers(said: Sequence[Said]) -> list[bytes | None]:
    """Take every oadrCreatedEvent among the messages in one transaction, then every oadrRequestEvent.

    Returns the replies, in the messages' order. On return all that was answered is durable.
    """
    at = clock.now()
    fingerprints = [each.fingerprint for each in said]
    _note_first_use(fingerprints, wall=clock.wall_now())
    vens = {row.fingerprint: row.ven for row in standing.speakers(fingerprints, wall=clock.wall_now())}
    answers: list[tuple[int, Ven, codec.Parsed, m.CreatedEvent]] = []
    asked: list[tuple[int, Ven, codec.Parsed, m.RequestEvent]] = []
    for place, each in enumerate(said):
        ven = vens.get(each.fingerprint)
        parsed = _parsed(each.body)
        if ven is None or parsed is None or parsed.is_signed:
            continue
        match parsed.message:
            case m.CreatedEvent(ven_id=claimed) as answer if claimed in ("", ven.ven_id):
                answers.append((place, ven, parsed, answer))
            case m.RequestEvent(ven_id=claimed) as request if claimed in ("", ven.ven_id):
                asked.append((place, ven, parsed, request))
    served: list[bytes | None] = [None] * len(said)
    with transaction.atomic():
        replies = events.created_events([(ven, message) for _, ven, _, message in answers], at=at)
    for (place, ven, parsed, _), reply in zip(answers, replies, strict=True):
        if reply.response.is_ok:  # else the application takes it again, and writes the refusal down
            served[place] = response_bytes(reply, is_enveloped=parsed.is_enveloped)
            _note(said[place], ven, parsed, reply_name="oadrResponse", reply=served[place], at=at)
    if asked:
        sets = distributing.distribute_asked(
            [(ven, message, parsed.is_enveloped) for _, ven, parsed, message in asked], at=at, by="pull"
        )
        for (place, ven, parsed, _), body in zip(asked, sets, strict=True):
            served[place] = body
            _note(said[place], ven, parsed, reply_name="oadrDistributeEvent", reply=body, at=at)
    return served


def _note(
    said: Said, ven: Ven, parsed: codec.Parsed, *, reply_name: str, reply: bytes | None, at: datetime
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


def response_bytes(message: m.Response, *, is_enveloped: bool = True) -> bytes:
    """Return an oadrResponse as the codec writes it, its ids spliced in."""
    response = message.response
    if not (response.request_id and message.ven_id):
        return codec.serialise(message, is_enveloped=is_enveloped)
    before, between, after = _response_frame(response.code, response.description, is_enveloped)
    return (
        before + rendering.escaped(response.request_id) + between + rendering.escaped(message.ven_id) + after
    )


@lru_cache(maxsize=64)
def _response_frame(code: int, description: str, is_enveloped: bool) -> tuple[bytes, bytes, bytes]:
    marked = m.Response(response=EiResponse(code, description, "-request-"), ven_id="-ven-")
    before, rest = codec.serialise(marked, is_enveloped=is_enveloped).split(b"-request-")
    between, after = rest.split(b"-ven-")
    return before, between, after


def _note_first_use(fingerprints: Sequence[str], *, wall: datetime) -> None:
    """Note a certificate's first word: from then on the one it replaces may end."""
    fresh = VenCertificate.objects.filter(
        fingerprint__in=set(fingerprints), first_used_wall_at=None, revoked_at=None
    )
    fresh.filter(not_before__lte=wall, not_after__gt=wall).update(first_used_wall_at=wall)


def _parsed(body: bytes) -> codec.Parsed | None:
    try:
        return codec.parse_body(body)
    except WireError:
        return None
