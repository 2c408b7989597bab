"""What the MQTT bridge does on the database, in groups: take what VENs say, find what they are to be told.

The topic says who speaks, and the broker vouches for it by the VEN's certificate
(`broker_files`); here every message is held against the certificates in force, and the
XML's venID against the topic's. Replies go to the VEN's own topic, whatever it asks for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from oadr import codec, mqtt, rendering, topics
from oadr import messages as m
from oadr.errors import WireError
from opendsr.kernel import clock
from opendsr.kernel.lookups import among_keys, among_texts
from vtn import event_offers, hand_overs, identifying, messagelog, queueing, securing
from vtn.models import MessageKind, QueuedMessage, Security, Ven, VenCertificate
from vtn.refusals import log_refusal
from vtn.services import answering, delivering, distributing, events, writing_behind
from vtn.services.refusing import Refused

logger = logging.getLogger(__name__)

MOST: Final = 2000
"""Messages that are taken together."""
MOST_TOLD: Final = 1000
"""VENs that are told together: what the first are told leaves while the next is made."""
LEASE_SECONDS: Final = 30.0
REPLY_SECONDS: Final = 120
"""How long the broker keeps a message for a VEN that is away; the queue offers it again anyway."""
XML: Final = "application/xml"
JOINING: Final = (m.QueryRegistration, m.CreatePartyRegistration)
TRANSPORT: Final = "mqtt"
XMPP: Final = "xmpp"
_SERVICE_OF_REPLY: Final[dict[type, str]] = {
    m.CanceledPartyRegistration: "EiRegisterParty",
    m.RegisteredReport: "EiReport",
    m.CreatedReport: "EiReport",
    m.CanceledReport: "EiReport",
    m.CreatedEvent: "EiEvent",
}
"""Replies that say by themselves what they answer, where a VEN's library drops the Correlation Data."""


class Saying(NamedTuple):
    """A message to publish at QoS 1, never retained."""

    topic: str
    payload: bytes
    correlation: bytes = b""
    response_topic: str = ""
    user: tuple[tuple[str, str], ...] = ()
    expiry_seconds: int = REPLY_SECONDS

    def packet(self, packet_id: int) -> bytes:
        return mqtt.publish(
            self.topic,
            self.payload,
            packet_id=packet_id,
            response_topic=self.response_topic,
            correlation=self.correlation,
            content_type=XML if self.payload else "",
            expiry_seconds=self.expiry_seconds,
            user=self.user,
        )


@dataclass(slots=True)
class Taken:
    """Replies, who spoke, the VENs that more waits for now, and those that no certificate speaks for."""

    replies: list[Saying] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    ven_keys: set[int] = field(default_factory=set)
    barred: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Fanned:
    """What to publish, and the VENs not looked at yet."""

    sayings: list[Saying] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    barred: set[str] = field(default_factory=set)


class Party(NamedTuple):
    """As much of a VEN as being told events and answering them takes; the names are the model's."""

    pk: int
    ven_id: str
    poll_seconds: int | None
    registration_id: str
    security: str
    transport_name: str
    is_vouched_for: bool
    """A certificate in force speaks for it."""

    @property
    def is_registered(self) -> bool:
        return bool(self.registration_id)

    @property
    def is_pushed_to(self) -> bool:
        """True for a VEN that registered for the full binding; others that are connected are only woken."""
        return self.is_registered and self.transport_name == XMPP


class _Heard(NamedTuple):
    message: mqtt.Publish
    address: topics.Address
    ven: Party
    parsed: codec.Parsed

    @property
    def is_reply(self) -> bool:
        return self.address.kind == "down-reply"


def take(messages: Sequence[mqtt.Publish], *, vtn_id: str) -> Taken:
    """Take what VENs have said; on return it is durable. Messages that come twice change nothing twice."""
    close_old_connections()
    try:
        return _take(messages, vtn_id=vtn_id)
    finally:
        close_old_connections()


def fan_out(
    *,
    doubted: Iterable[int] | None,
    arrived: Collection[str],
    returned: Collection[str],
    online: frozenset[str],
    is_vouching: bool,
    vtn_id: str,
    holder: str,
) -> Fanned:
    """Return what the connected VENs are to be told: all of them, or those `doubted` or just `arrived`.

    Those `returned` have just connected: what was said to them and not answered may have
    reached nobody, and is said again. `is_vouching` looks at everybody's certificate too.
    """
    close_old_connections()
    try:
        queueing.offer_again(returned, wall=clock.wall_now())
        if returned and hand_overs.is_kept():
            back = Ven.objects.filter(ven_id__in=among_texts(returned))
            hand_overs.forget(back.values_list("pk", flat=True))
        return _fan_out(doubted, arrived, online, is_vouching=is_vouching, vtn_id=vtn_id, holder=holder)
    finally:
        close_old_connections()


def _take(messages: Sequence[mqtt.Publish], *, vtn_id: str) -> Taken:
    at, wall = clock.now(), clock.wall_now()
    taken = Taken()
    addressed = [(message, topics.taken_apart(message.topic)) for message in messages]
    known = [(message, address) for message, address in addressed if address and address.vtn_id == vtn_id]
    vens, joining = _speakers([address for _, address in known], wall=wall)
    taken.seen = {party.pk for some in (vens, joining) for party in some.values()}
    heard: list[_Heard] = []
    for message, address in known:
        ven = vens.get(address.name) if address.party == "ven" else joining.get(address.name)
        if ven is None:
            taken.barred |= {address.name} if address.party == "ven" else set()
            log_refusal(
                at=at,
                ven=Ven.objects.filter(ven_id=address.name).first(),
                service=address.service or address.kind,
                transport=TRANSPORT,
                code="no_certificate_in_force",
                http_status=403,
                reason="no certificate in force speaks for this VEN",
            )
            continue
        if _only_says_that_events_came(message, address):
            continue
        parsed = _parsed(message, address, ven, taken, at=at)
        if parsed is not None:
            heard.append(_Heard(message, address, ven, parsed))
    plain = [each for each in heard if _is_plain(each)]
    others = [each for each in heard if not _is_plain(each)]
    for take_together in (_take_answers, _take_requests):
        try:
            take_together(plain, taken, at=at)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one of them must not keep the others from being taken: each by itself
            logger.exception("messages taken together failed")
            kind = m.CreatedEvent if take_together is _take_answers else m.RequestEvent
            others += [each for each in plain if isinstance(each.parsed.message, kind)]
    for each in others:
        try:
            _take_one(each, taken, at=at)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # what cannot be served must not come again for ever, nor stop the rest
            logger.exception("a message of %s could not be served", each.ven.ven_id)
            if not each.is_reply:
                fault = (("oadr-error", "500"),)
                taken.replies.append(_reply(each.address, each.message, b"", user=fault))
    if taken.ven_keys:
        waiting = [pk for pk in taken.ven_keys if not hand_overs.is_answered(pk)]
        due = _due(at=at, wall=clock.wall_now()).filter(ven_id__in=among_keys(waiting))
        taken.ven_keys = set(due.values_list("ven_id", flat=True))
    return taken


# VEN by VEN, as elsewhere: a planner who guesses how many there are would read the table.
_PARTIES: Final = """
    SELECT party.* FROM {wanted}
    CROSS JOIN LATERAL (
        SELECT ven.id, ven.ven_id, ven.poll_seconds, ven.registration_id, ven.security, ven.transport_name,
               EXISTS (
                   SELECT 1 FROM ven_certificate AS certificate
                   WHERE certificate.ven_id = ven.id AND certificate.revoked_at IS NULL
                     AND certificate.not_before <= %(wall)s AND certificate.not_after > %(wall)s
               )
        FROM ven WHERE {where}
        OFFSET 0
    ) AS party
"""
_BY_NAME: Final = _PARTIES.format(
    wanted="json_array_elements_text(%(names)s::json) AS wanted (name)", where="ven.ven_id = wanted.name"
)
_BY_KEY: Final = _PARTIES.format(
    wanted="unnest(string_to_array(%(keys)s, ',')::bigint[]) AS wanted (pk)", where="ven.id = wanted.pk"
)


def _parties(
    *, wall: datetime, names: Collection[str] | None = None, keys: Iterable[int] = ()
) -> Iterator[Party]:
    """Yield the VENs of these names, or of these keys."""
    with connection.cursor() as cursor:
        if names is None:
            cursor.execute(_BY_KEY, {"wall": wall, "keys": ",".join(map(str, keys))})
        else:
            cursor.execute(_BY_NAME, {"wall": wall, "names": json.dumps(list(names))})
        yield from map(Party._make, cursor.fetchall())


def _speakers(
    addresses: Sequence[topics.Address], *, wall: datetime
) -> tuple[dict[str, Party], dict[str, Party]]:
    """Return the VENs that a certificate in force speaks for, by venID, and by fingerprint for joining."""
    names = {address.name for address in addresses if address.party == "ven"}
    prints = {address.name for address in addresses if address.party == "join"}
    in_force = VenCertificate.objects.filter(revoked_at=None, not_before__lte=wall, not_after__gt=wall)
    owners = (
        dict(in_force.filter(fingerprint__in=prints).values_list("fingerprint", "ven_id")) if prints else {}
    )
    vens = {party.ven_id: party for party in _parties(wall=wall, names=names) if party.is_vouched_for}
    by_key = {party.pk: party for party in _parties(wall=wall, keys=owners.values())} if owners else {}
    return vens, {fingerprint: by_key[pk] for fingerprint, pk in owners.items()}


def _parsed(
    message: mqtt.Publish, address: topics.Address, ven: Party, taken: Taken, *, at: datetime
) -> codec.Parsed | None:
    """Return the message, read and its signature verified; else refuse it, in words its sender can read."""
    code, reason = "", ""
    try:
        if len(message.payload) > topics.LARGEST_MESSAGE_BYTES:
            code, reason = "too_large", f"more than {topics.LARGEST_MESSAGE_BYTES} bytes"
        elif address.kind == "up" and address.service not in topics.SERVICES:
            code, reason = "unknown_service", f"{address.service} is no service here"
        else:
            parsed = _read(message.payload, ven)
            if address.party == "ven" or isinstance(parsed.message, JOINING):
                return parsed
            code, reason = "not_joining", "only a registration may come this way"
    except WireError as error:
        code, reason = error.code, str(error)
    except securing.SignatureRefused as error:
        code = str(error.data["reason"])
        reason = f"signature: {code.replace('_', ' ')}"
    log_refusal(
        at=at,
        ven=_whole(ven),
        service=address.service or address.kind,
        transport=TRANSPORT,
        code=code,
        http_status=400,
        reason=reason,
        body=message.payload[:4096],
    )
    if address.kind == "up":
        taken.replies.append(
            _reply(address, message, b"", user=(("oadr-error", "400"), ("oadr-reason", code)))
        )
    return None


def _is_plain(heard: _Heard) -> bool:
    """True for what a VEN says to EiEvent in the ordinary way: taken together with what others say."""
    return (
        heard.address.kind == "up"
        and heard.address.service == "EiEvent"
        and heard.address.party == "ven"
        and isinstance(heard.parsed.message, m.CreatedEvent | m.RequestEvent)
        and not heard.parsed.is_signed
        and heard.ven.is_registered
        and heard.ven.security != Security.HIGH
        and heard.parsed.message.ven_id in ("", heard.ven.ven_id)
    )


def _take_answers(plain: Sequence[_Heard], taken: Taken, *, at: datetime) -> None:
    """Take the oadrCreatedEvents of many VENs in one transaction."""
    pairs = [(each, message) for each in plain if isinstance(message := each.parsed.message, m.CreatedEvent)]
    if not pairs:
        return
    with transaction.atomic():
        replies = events.created_events([(each.ven, message) for each, message in pairs], at=at)
    for (each, _), reply in zip(pairs, replies, strict=True):
        body = rendering.response(reply, is_enveloped=each.parsed.is_enveloped)
        if not reply.response.is_ok:
            _log_refused(each, Refused(reply.response.code, reply.response.description), at=at)
        else:
            _log(each, "oadrResponse", body, at=at)
        taken.replies.append(_reply(each.address, each.message, body))
        taken.ven_keys.add(each.ven.pk)


def _take_requests(plain: Sequence[_Heard], taken: Taken, *, at: datetime) -> None:
    """Answer the oadrRequestEvents of many VENs together."""
    asked = [(each, message) for each in plain if isinstance(message := each.parsed.message, m.RequestEvent)]
    if not asked:
        return
    bodies = distributing.distribute_asked(
        [(each.ven, message, each.parsed.is_enveloped) for each, message in asked], at=at, by=TRANSPORT
    )
    for (each, _), body in zip(asked, bodies, strict=True):
        _log(each, "oadrDistributeEvent", body, at=at)
        taken.replies.append(_reply(each.address, each.message, body))
        taken.ven_keys.add(each.ven.pk)


def _take_one(heard: _Heard, taken: Taken, *, at: datetime) -> None:
    message = heard.parsed.message
    service = heard.address.service
    if heard.is_reply:
        answered = delivering.SERVICE_OF.get(_answered_kind(heard.message), "")
        service = answered or _SERVICE_OF_REPLY.get(type(message), "")
        if not service:
            log_refusal(
                at=at,
                ven=_whole(heard.ven),
                service=heard.address.kind,
                transport=TRANSPORT,
                code="no_correlation",
                http_status=400,
                reason="a reply without the Correlation Data of what it answers",
                message=codec.message_name(message),
                body=heard.message.payload[:4096],
            )
            return
    ven = _whole(heard.ven)
    answer = answering.answer(service=service, ven=ven, message=message, at=at)
    taken.ven_keys.add(heard.ven.pk)
    if answer.refusal is not None:
        _log_refused(heard, answer.refusal, at=at)
    if heard.is_reply:
        return
    body = securing.write(answer.message, ven=ven, answers=heard.parsed)
    if answer.refusal is None:
        _log(heard, codec.message_name(answer.message), body, at=at)
    taken.replies.append(_reply(heard.address, heard.message, body))


def _answered_kind(message: mqtt.Publish) -> str:
    """The kind of message that a VEN's reply says it answers; see `_saying`."""
    return message.correlation.partition(b":")[2].decode("ascii", "replace")


def _only_says_that_events_came(message: mqtt.Publish, address: topics.Address) -> bool:
    """True for what closes nothing, unread: the oadrCreatedEvent does, which some say in this place."""
    return (
        address.kind == "down-reply"
        and _answered_kind(message) == MessageKind.EVENTS
        and b"oadrCreatedEvent" not in message.payload
    )


def _reply(
    address: topics.Address, message: mqtt.Publish, body: bytes, *, user: tuple[tuple[str, str], ...] = ()
) -> Saying:
    """To the sender's own topic: a Response Topic of its choice would let it speak to others in our name."""
    topic = topics.topic(address.vtn_id, address.name, "up-reply", party=address.party)
    return Saying(topic, body, correlation=message.correlation[:64], user=user)


def _log(heard: _Heard, reply_name: str, body: bytes, *, at: datetime) -> None:
    messagelog.note(
        messagelog.Exchange(
            ven_pk=heard.ven.pk,
            service=heard.address.service,
            message=heard.parsed.message,
            message_name=codec.message_name(heard.parsed.message),
            reply_name=reply_name,
            code=m.OK,
            at=at,
            transport=TRANSPORT,
            tolerances=heard.parsed.tolerances,
            request_body=heard.message.payload,
            reply_body=body,
        )
    )


def _log_refused(heard: _Heard, refusal: Refused, *, at: datetime) -> None:
    log_refusal(
        at=at,
        ven=_whole(heard.ven),
        service=heard.address.service or heard.address.kind,
        transport=TRANSPORT,
        code=str(refusal.code),
        http_status=200,
        reason=refusal.description,
        message=codec.message_name(heard.parsed.message),
        body=heard.message.payload[:4096],
    )


def _fan_out(
    doubted: Iterable[int] | None,
    arrived: Collection[str],
    online: frozenset[str],
    *,
    is_vouching: bool,
    vtn_id: str,
    holder: str,
) -> Fanned:
    at, wall = clock.now(), clock.wall_now()
    fanned = Fanned()
    if is_vouching:
        unvouched = Ven.objects.filter(~_is_vouched_for(wall), ven_id__in=among_texts(online))
        fanned.barred = set(unvouched.values_list("ven_id", flat=True))
    if doubted is None:
        due = _due(at=at, wall=wall).values_list("ven_id", flat=True)
        wanted = {pk for pk in due if hand_overs.group_of(pk) is None}
    else:
        wanted = set(doubted)
    if arrived:
        wanted.update(Ven.objects.filter(ven_id__in=among_texts(arrived)).values_list("pk", flat=True))
    in_order = sorted(wanted)
    some, fanned.left = in_order[:MOST_TOLD], set(in_order[MOST_TOLD:])
    if not some:
        return fanned
    there = [party for party in _parties(wall=wall, keys=some) if party.ven_id in online]
    fanned.barred |= {party.ven_id for party in there if not party.is_vouched_for}
    trusted = [party for party in there if party.is_vouched_for]
    pushed = {party.pk: party for party in trusted if party.is_pushed_to}
    woken = [party for party in trusted if party.is_registered and not party.is_pushed_to]
    _hand_over(pushed, fanned, vtn_id=vtn_id, holder=holder, at=at, wall=wall)
    _wake(woken, fanned, vtn_id=vtn_id, wall=wall)
    return fanned


def _is_vouched_for(wall: datetime) -> Exists:
    """A certificate in force speaks for the VEN."""
    return Exists(
        VenCertificate.objects.filter(
            ven_id=OuterRef("pk"), revoked_at=None, not_before__lte=wall, not_after__gt=wall
        )
    )


def _due(*, at: datetime, wall: datetime) -> QuerySet[QueuedMessage]:
    return QueuedMessage.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=at), finished_at=None, next_try_wall_at__lte=wall
    )


def _hand_over(
    vens: Mapping[int, Party], fanned: Fanned, *, vtn_id: str, holder: str, at: datetime, wall: datetime
) -> None:
    """Say what waits for these VENs: the sets of events made together, anything else claimed one by one.

    The sets need no lease: their events are locked, and a bridge that comes second finds nothing due.
    """
    plain = [ven for ven in vens.values() if ven.security != Security.HIGH]
    offers = event_offers.open_offers(ven.pk for ven in plain)
    if overtaken := [pk for pk, offer in offers.items() if hand_overs.is_overtaken(offer)]:
        writing_behind.write_for(overtaken)
        offers |= event_offers.open_offers(overtaken)
    bodies = distributing.distribute_many(plain, at=at, by=TRANSPORT, offers=offers) if plain else {}
    for pk, body in bodies.items():
        _say_events(vens[pk], body, fanned, vtn_id=vtn_id, wall=wall)
    gone = {pk for pk, offer in offers.items() if hand_overs.holds(offer)}
    others = [pk for pk in vens if pk not in bodies and pk not in gone]
    if not others:
        return
    claimed = queueing.claim(
        holder=holder, limit=len(others), lease_seconds=LEASE_SECONDS, at=at, wall=wall, ven_pks=others
    )
    for row in claimed:
        try:
            message = delivering.hand_over(queued=row, at=at, by=TRANSPORT)
            if message is None:
                continue
            body = securing.write(message, ven=row.ven)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one message that cannot be made must not hold up those of other VENs
            logger.exception("a message for %s could not be made", row.ven.ven_id)
            queueing.release(queued=row, wall=wall, reason="could not be made", retry_seconds=60)
            continue
        _say(row, body, fanned, vtn_id=vtn_id, wall=wall)


def _say_events(ven: Party, body: bytes, fanned: Fanned, *, vtn_id: str, wall: datetime) -> None:
    if len(body) <= topics.LARGEST_MESSAGE_BYTES:
        fanned.sayings.append(_saying(ven, MessageKind.EVENTS, ven.pk, body, vtn_id=vtn_id))
        return
    for row in QueuedMessage.objects.filter(ven_id=ven.pk, kind=MessageKind.EVENTS, finished_at=None):
        _leave_to_a_poll(row, wall=wall)


def _say(row: QueuedMessage, body: bytes, fanned: Fanned, *, vtn_id: str, wall: datetime) -> None:
    if len(body) > topics.LARGEST_MESSAGE_BYTES:
        _leave_to_a_poll(row, wall=wall)
        return
    fanned.sayings.append(_saying(row.ven, row.kind, row.pk, body, vtn_id=vtn_id))


def _leave_to_a_poll(row: QueuedMessage, *, wall: datetime) -> None:
    queueing.release(queued=row, wall=wall, reason="too large for MQTT: left to a poll", retry_seconds=600)


def _saying(ven: Party | Ven, kind: str, number: int, body: bytes, *, vtn_id: str) -> Saying:
    """To the VEN, correlated by the message's kind: a reply is looked up by its request id."""
    return Saying(
        topics.topic(vtn_id, ven.ven_id, "down", delivering.SERVICE_OF[kind]),
        body,
        correlation=f"{number}:{kind}".encode(),
        response_topic=topics.topic(vtn_id, ven.ven_id, "down-reply"),
    )


def _wake(vens: Sequence[Party], fanned: Fanned, *, vtn_id: str, wall: datetime) -> None:
    """Tell VENs that pull to poll now; what waits stays in the queue until they do."""
    waiting = queueing.pending([ven.pk for ven in vens]) if vens else {}
    for ven in vens:
        if ven.pk in waiting and waiting[ven.pk] <= wall:
            topic = topics.topic(vtn_id, ven.ven_id, "wake")
            fanned.sayings.append(Saying(topic, b"", expiry_seconds=30))


def _read(body: bytes, ven: Party) -> codec.Parsed:
    """Return the message; a signature must be by a certificate in force, for the topic shows none."""
    if ven.security != Security.HIGH and b"Signature" not in body:
        return codec.parse_body(body)
    wall, whole = clock.wall_now(), _whole(ven)
    certificates = identifying.certificates_of(whole, wall=wall)
    return securing.read(body, ven=whole, certificates=certificates, wall=wall)


def _whole(party: Party) -> Ven:
    return Ven.objects.get(pk=party.pk)
