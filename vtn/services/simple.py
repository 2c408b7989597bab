"""EiEvent as OpenADR 2.0a has it: a simple device asks for its events, and answers them.

2.0a knows no registration, reports, opts or polls: the certificate, handed out by hand, is all there is,
and the device asks again and again. Events without a SIMPLE level are not for it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from oadr import messages as m
from oadr import simple
from oadr.codec import Parsed
from oadr.messages import Message
from vtn import securing
from vtn.models import Event, Security, Ven
from vtn.services import answering, distributing, events
from vtn.services.refusing import Refused

PROFILE: Final = "2.0a"


def read(body: bytes, *, ven: Ven, certificates: Collection[bytes], wall: datetime) -> Parsed:
    """Return a 2.0a message, as `securing.read` does a 2.0b one; 2.0a has no signatures to ask for.

    A VEN of high security is refused here, or 2.0a would be the way around it.
    """
    if ven.security == Security.HIGH:
        raise securing.SignatureRefused(reason="unsigned")
    return simple.parse_body(body)


def write(message: Message, *, ven: Ven, answers: Parsed | None = None) -> bytes:
    return simple.serialise(message)


def answer(*, service: str, ven: Ven, message: Message, at: datetime) -> answering.Answer:
    """Return the reply to a 2.0a message, as `answering.answer` does for 2.0b; `service` is EiEvent."""
    try:
        claimed = getattr(message, "ven_id", "").strip()
        if claimed and claimed != ven.ven_id:
            raise Refused(m.NOT_REGISTERED, "venID does not match the certificate")
        reply = _reply(ven, message, at=at)
    except Refused as refusal:
        return answering.Answer(answering.refusing_reply(message, refusal), refusal)
    if not ven.is_registered and ven.profile_name != PROFILE:
        Ven.objects.filter(pk=ven.pk).update(profile_name=PROFILE)
    response = getattr(reply, "response", None)
    if response is not None and not response.is_ok:
        return answering.Answer(reply, Refused(response.code, response.description))
    return answering.Answer(reply)


def _reply(ven: Ven, message: Message, *, at: datetime) -> Message:
    match message:
        case m.RequestEvent():
            return distributing.distribute(
                ven, at=at, request_id=message.request_id, by=PROFILE, is_fit=_is_fit
            )
        case m.CreatedEvent():
            return events.created_event(ven=ven, message=message, at=at)
        case m.Response():
            return m.Response(m.EiResponse(description="OK", request_id=message.response.request_id))
        case _:
            raise Refused(m.NOT_RECOGNIZED, "not a message for a VTN")


def _is_fit(event: Event) -> bool:
    return any(simple.is_simple(stored["name"], stored["type"]) for stored in event.signals)
