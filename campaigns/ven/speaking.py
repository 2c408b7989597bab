"""One exchange with an operator's VTN: mutual TLS to the address that staff set, and what was said kept.

Calls keep to the rules of decision 17: resolved once, no way into the house, no redirect, bounded.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Final

from django.conf import settings

from campaigns.models import OperatorMessage, OperatorVtn
from campaigns.ven import arranging
from oadr import codec
from oadr.errors import BadAnswer, NoContact, Refused, WireError
from oadr.messages import (
    CanceledPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreateOpt,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    Poll,
    Response,
    UpdatedReport,
    UpdateReport,
)
from oadr.ven import Pushed, reason_in
from opendsr.kernel import calling_out, clock

SECONDS: Final = 8.0
KEPT: Final = timedelta(days=90)
LONGEST_WORDS: Final = 300


class Line:
    """What carries messages to the VTN and back, by asking alone: see `oadr.ven.Line`."""

    def __init__(self, vtn: OperatorVtn, *, until_wall_at: datetime) -> None:
        """Raises NoContact when certificate, key and authorities do not go together."""
        self._vtn, self._until = vtn, until_wall_at
        try:
            self._context = arranging.tls_context(vtn)
        except (ssl.SSLError, ValueError) as error:
            raise NoContact(f"our certificate cannot be used: {error}") from error

    @property
    def is_pushed_to(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return False

    def pushed(self) -> Pushed | None:
        return None

    def session(self) -> Hashable:
        return self._vtn.pk

    def exchange(self, service: str, message: Message) -> Message:
        """Ask the VTN, and return its answer; raises LinkError."""
        if clock.wall_now() >= self._until:
            raise NoContact("this contact takes too long: carried on at the next")
        body = codec.serialise(message)
        if not isinstance(message, Poll | UpdateReport):
            self._keep(message, body, is_ours=True)
        try:
            answer = calling_out.post(
                f"{self._vtn.url}/{service}",
                body,
                content_type="application/xml",
                networks=[ip_network(each) for each in getattr(settings, "OPERATOR_VTN_NETWORKS", ())],
                ports=arranging.ports(),
                context=self._context,
                seconds=SECONDS,
                most_bytes=codec.LARGEST_BYTES,
            )
        except calling_out.NotCalled as error:
            raise NoContact(str(error)) from error
        if answer.status != 200:
            raise Refused(answer.status, answer.retry_after_seconds, reason=reason_in(answer.body))
        try:
            heard = codec.parse(answer.body)
        except WireError as error:
            raise BadAnswer(f"what the VTN says cannot be read: {error}") from error
        is_quiet = isinstance(message, Poll | UpdateReport) and isinstance(heard, Response | UpdatedReport)
        if not is_quiet or not _response(heard).is_ok:
            self._keep(heard, answer.body, is_ours=False)
        return heard

    def _keep(self, message: Message, body: bytes, *, is_ours: bool) -> None:
        wall = clock.wall_now()
        kept = OperatorMessage.objects.filter(vtn=self._vtn)
        kept.filter(wall_at__lt=wall - KEPT).delete()
        kept.create(
            vtn=self._vtn,
            is_ours=is_ours,
            kind=codec.message_name(message),
            words=words_of(message)[:LONGEST_WORDS],
            xml=body.decode(errors="replace"),
            wall_at=wall,
        )


def words_of(message: Message) -> str:
    """The gist of a message, for the log."""
    if isinstance(message, DistributeEvent):
        told = [
            f"{each.event_id} version {each.modification_number} {each.status}" for each in message.events
        ]
        return "; ".join(told) or "no events"
    if isinstance(message, CreatedEvent):
        return "; ".join(
            f"{each.event.event_id} version {each.event.modification_number} {each.opt_type}"
            + (f": {each.description}" if each.description else "")
            for each in message.event_responses
        )
    if isinstance(message, CreateOpt):
        return f"{message.opt_type} of {message.event.event_id}" if message.event else message.opt_type
    if isinstance(message, CreateReport):
        return ", ".join(each.report_request_id for each in message.report_requests)
    if isinstance(message, CreatedPartyRegistration | CanceledPartyRegistration):
        return f"{_said(message.response)}, venID {message.ven_id or '–'}"
    response = getattr(message, "response", None)
    return _said(response) if isinstance(response, EiResponse) else ""


def _response(message: Message) -> EiResponse:
    response = getattr(message, "response", None)
    return response if isinstance(response, EiResponse) else EiResponse()


def _said(response: EiResponse) -> str:
    return f"{response.code} {response.description}".strip()
