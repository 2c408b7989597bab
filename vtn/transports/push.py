"""HTTP push: what the queue holds for VENs that want to be called, at the address staff have set.

Rows are claimed with a lease, handed over as to a poll, posted, and the reply taken as if
the VEN had sent it. When a VEN cannot be reached its message is due again at once for
whoever fetches it, and this transport leaves the VEN alone for a while that grows.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Final

import psycopg
from django.conf import settings
from django.db import close_old_connections
from django.db.models import F, QuerySet

from oadr import codec
from oadr import messages as m
from oadr.errors import WireError
from opendsr.kernel import calling_out, clock
from vtn import identifying, messagelog, pki, queueing, securing
from vtn.models import Event, MessageKind, QueuedMessage, Ven, VenCertificate
from vtn.refusals import log_refusal
from vtn.services import answering, delivering
from vtn.transports import broker, outbound, standing

PROFILE_PATH: Final = "/OpenADR2/Simple/2.0b"
HOLDER: Final = "push"
TRANSPORT: Final = "push"
LEASE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 2.0
AT_ONCE: Final = 16
LONGEST_QUIET_SECONDS: Final = 600.0

logger = logging.getLogger(__name__)


class Pusher:
    """Calls VENs; `quiet_until` (monotonic, by VEN) is this process's own patience."""

    def __init__(self, caller: outbound.Caller, *, dice: Random | None = None) -> None:
        self.caller = caller
        self.dice = dice or Random()  # noqa: S311 - spreads calls, hides nothing
        self.quiet_until: dict[int, float] = {}

    def run(self, *, is_alive: Callable[[], bool]) -> None:
        """Push what is due until told otherwise, woken by the queue."""
        waiting: standing.Barrier | None = None
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="push") as pool:
            while is_alive():
                try:
                    waiting = waiting or standing.Barrier(standing.connection_parameters())
                    self.round(pool)
                    if select.select([waiting], [], [], LOOK_SECONDS)[0]:
                        waiting.read()
                except (psycopg.Error, OSError) as error:
                    logger.warning("the database does not answer: %s", error)
                    waiting = None
                    time.sleep(LOOK_SECONDS)
        if waiting is not None:
            waiting.close()

    def round(self, pool: ThreadPoolExecutor | None = None) -> int:
        """Push all that is due now to VENs that are not left alone; returns how many were tried."""
        close_old_connections()
        now = time.monotonic()
        vens = wanting_push().values_list("pk", flat=True)
        reachable = [pk for pk in vens if self.quiet_until.get(pk, 0.0) <= now]
        if not reachable:
            return 0
        claimed = queueing.claim(
            holder=HOLDER,
            limit=AT_ONCE * 4,
            lease_seconds=LEASE_SECONDS,
            at=clock.now(),
            wall=clock.wall_now(),
            ven_pks=reachable,
        )
        if pool is None:
            for row in claimed:
                self.push(row)
        else:
            list(pool.map(self._push_in_thread, claimed))
        return len(claimed)

    def push(self, row: QueuedMessage) -> bool:
        """Hand one message over and take the reply; False when the VEN could not be reached."""
        at = clock.now()
        ven = row.ven
        message = delivering.hand_over(queued=row, at=at, by=TRANSPORT)
        if message is None:
            return True
        service = delivering.SERVICE_OF[row.kind]
        body = securing.write(message, ven=ven)
        try:
            answer = outbound.post(
                url_of(ven, service),
                body,
                caller=self.caller,
                fingerprints=_fingerprints(ven),
            )
            if answer.status != 200:
                raise calling_out.NotCalled(f"HTTP {answer.status}")
        except calling_out.NotCalled as error:
            self._failed(row, str(error))
            return False
        self.quiet_until.pop(ven.pk, None)
        Ven.objects.filter(pk=ven.pk, push_failures__gt=0).update(push_failures=0)
        identifying.note_seen(ven)
        reply_name = self._take(row, service, answer, at=at)
        messagelog.note(
            messagelog.Exchange(
                ven_pk=ven.pk,
                service=service,
                message=None,
                message_name=codec.message_name(message),
                reply_name=reply_name,
                code=m.OK,
                at=at,
                direction="to_ven",
                transport=TRANSPORT,
                request_body=body,
                reply_body=answer.body,
            )
        )
        return True

    def _push_in_thread(self, row: QueuedMessage) -> None:
        try:
            self.push(row)
        except Exception:  # one VEN must not keep the others from being called
            logger.exception("pushing to %s", row.ven.ven_id)
        finally:
            close_old_connections()

    def _failed(self, row: QueuedMessage, reason: str) -> None:
        """The message is due again for a poll at once; this transport waits, longer each time."""
        Ven.objects.filter(pk=row.ven_id).update(push_failures=F("push_failures") + 1)
        failures = Ven.objects.values_list("push_failures", flat=True).get(pk=row.ven_id)
        bound = min(LONGEST_QUIET_SECONDS, 2.0 ** min(failures, 20))
        self.quiet_until[row.ven_id] = time.monotonic() + bound * self.dice.uniform(0.5, 1.0)
        if row.kind == MessageKind.EVENTS:
            # Nobody has them: without a time of hand-over they are due at once, to whoever asks.
            untaken = Event.objects.filter(ven_id=row.ven_id, closes_at__gt=clock.now())
            untaken.exclude(acknowledged_modification=F("modification_number")).update(delivered_wall_at=None)
        row.leased_by = ""
        queueing.release(queued=row, wall=clock.wall_now(), reason=f"push: {reason}", retry_seconds=0)
        logger.warning("pushing to %s failed (%s in a row): %s", row.ven.ven_id, failures, reason)

    def _take(self, row: QueuedMessage, service: str, answer: outbound.Answer, *, at: datetime) -> str:
        """Take the reply in the HTTP answer; events are answered by an oadrCreatedEvent of its own.

        Returns the reply's name, "" for none that can be read.
        """
        if not answer.body.strip():
            return ""
        try:
            parsed = securing.read(
                answer.body,
                ven=row.ven,
                certificates=(answer.certificate_der,),
                wall=clock.wall_now(),
            )
        except (WireError, securing.SignatureRefused) as error:
            log_refusal(
                at=at,
                ven=row.ven,
                service=service,
                code="bad_reply",
                http_status=200,
                reason=str(error),
                body=answer.body,
            )
            return ""
        if row.kind == MessageKind.EVENTS and isinstance(parsed.message, m.Response):
            return codec.message_name(parsed.message)
        answering.answer(service=service, ven=row.ven, message=parsed.message, at=at)
        return codec.message_name(parsed.message)


def wanting_push() -> QuerySet[Ven]:
    """Registered VENs in push mode that staff have set an address for."""
    return Ven.objects.exclude(registration_id="").filter(is_http_pull=False).exclude(push_url="")


def url_of(ven: Ven, service: str) -> str:
    """Return where a service of the VEN is: the address set by staff, with the profile's path."""
    base = ven.push_url.rstrip("/")
    if not base.endswith(PROFILE_PATH):
        base += PROFILE_PATH
    return f"{base}/{service}"


def set_push_url(*, ven_id: str, url: str) -> None:
    """Set or clear ("") where this VTN calls a VEN; raises calling_out.NotCalled for what it never would.

    A name is looked up when it is called, a numeric address is judged at once.
    """
    if url:
        parts = calling_out.parsed(url, ports=caller_ports())
        if not url.isascii():
            raise calling_out.NotCalled("write letters beyond ASCII as DNS and URLs do: xn--, %C3%A9")
        if _is_numeric(parts.hostname or ""):
            calling_out.resolved(parts, networks=_networks())
    Ven.objects.filter(ven_id=ven_id).update(push_url=url, push_failures=0)


def _is_numeric(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST))
    except OSError:
        return False


def _networks() -> list[calling_out.Network]:
    return [ip_network(text) for text in getattr(settings, "VTN_PUSH_NETWORKS", ())]


def caller_ports() -> frozenset[int]:
    return frozenset(getattr(settings, "VTN_PUSH_PORTS", calling_out.PORTS))


def caller(*, at: datetime) -> outbound.Caller:
    """Return this installation as the VENs see it when it calls."""
    authority = pki.authority()
    certificate, key = broker.own_files(authority, vtn_id=settings.VTN_ID, at=at)
    return outbound.Caller(
        certificate=Path(certificate),
        key=Path(key),
        ca=authority.certificate_path,
        networks=_networks(),
        ports=caller_ports(),
    )


def _fingerprints(ven: Ven) -> set[str]:
    wall = clock.wall_now()
    rows = VenCertificate.objects.filter(ven=ven, revoked_at=None, not_before__lte=wall, not_after__gt=wall)
    return set(rows.values_list("fingerprint", flat=True))
