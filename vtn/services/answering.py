"""From a VEN's message to the reply: the claim checked, the handler called, errors in their own reply type.

The caller has already settled who speaks, by certificate. Whatever the message
claims must agree with that (rule of the 463), and every id is looked up within
that VEN by the handlers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from oadr import messages as m
from oadr.messages import EiResponse, Message
from vtn.models import Ven
from vtn.notices import vtn_id
from vtn.services import events, opts, polling, registration, replying, reports
from vtn.services.refusing import Refused

Handler = Callable[..., Message]

_EI_REGISTER_PARTY: Final[dict[type, Handler]] = {
    m.QueryRegistration: registration.query_registration,
    m.CreatePartyRegistration: registration.create_party_registration,
    m.CancelPartyRegistration: registration.cancel_party_registration,
    m.CanceledPartyRegistration: replying.take_canceled_registration,
    m.Response: replying.take_response,
}
_EI_EVENT: Final[dict[type, Handler]] = {
    m.RequestEvent: events.request_event,
    m.CreatedEvent: events.created_event,
    m.Response: replying.take_response,
}
_EI_OPT: Final[dict[type, Handler]] = {
    m.CreateOpt: opts.create_opt,
    m.CancelOpt: opts.cancel_opt,
}
_EI_REPORT: Final[dict[type, Handler]] = {
    m.RegisterReport: reports.register_report,
    m.UpdateReport: reports.update_report,
    m.CreateReport: reports.create_report,
    m.CancelReport: reports.cancel_report,
    m.RegisteredReport: replying.take_registered_report,
    m.CreatedReport: replying.take_created_report,
    m.CanceledReport: replying.take_canceled_report,
    m.Response: replying.take_response,
}
SERVICES: Final[dict[str, dict[type, Handler]]] = {
    "EiRegisterParty": _EI_REGISTER_PARTY,
    "EiEvent": _EI_EVENT,
    "EiOpt": _EI_OPT,
    "EiReport": _EI_REPORT,
    "OadrPoll": {m.Poll: polling.poll},
}
_WITHOUT_REGISTRATION: Final = (
    m.QueryRegistration,
    m.CreatePartyRegistration,
    m.CancelPartyRegistration,
    m.CanceledPartyRegistration,
    m.Response,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply; `refusal` says why when nothing (or not everything) was done."""

    message: Message
    refusal: Refused | None = None


def answer(*, service: str, ven: Ven, message: Message, at: datetime) -> Answer:
    """Return the reply of `service` to a message from `ven`; protocol errors travel in the reply."""
    handler = SERVICES[service].get(type(message))
    try:
        if handler is None:
            raise Refused(m.NOT_RECOGNIZED, f"not a message for {service}")
        claimed = getattr(message, "ven_id", "").strip()
        if claimed and claimed != ven.ven_id:
            raise Refused(m.NOT_REGISTERED, "venID does not match the certificate")
        if not (ven.is_registered or isinstance(message, _WITHOUT_REGISTRATION)):
            raise Refused(m.NOT_REGISTERED, "register first")
        reply = handler(ven=ven, message=message, at=at)
    except Refused as refusal:
        return Answer(refusing_reply(message, refusal), refusal)
    response: EiResponse | None = getattr(reply, "response", None)
    if response is not None and not response.is_ok:
        return Answer(reply, Refused(response.code, response.description))
    return Answer(reply)


def refusing_reply(message: Message, refusal: Refused) -> Message:
    """Return the refusal in the message's own reply type, where it has one (oadrResponse otherwise)."""
    response = EiResponse(refusal.code, refusal.description, request_id_of(message))
    match message:
        case m.QueryRegistration() | m.CreatePartyRegistration():
            return m.CreatedPartyRegistration(response=response, vtn_id=vtn_id())
        case m.CancelPartyRegistration():
            return m.CanceledPartyRegistration(response=response)
        case m.RequestEvent():
            return m.DistributeEvent(request_id=response.request_id, vtn_id=vtn_id(), response=response)
        case m.CreateOpt():
            return m.CreatedOpt(response=response, opt_id=message.opt_id)
        case m.CancelOpt():
            return m.CanceledOpt(response=response, opt_id=message.opt_id)
        case m.RegisterReport():
            return m.RegisteredReport(response=response)
        case m.UpdateReport():
            return m.UpdatedReport(response=response)
        case m.CreateReport():
            return m.CreatedReport(response=response)
        case m.CancelReport():
            return m.CanceledReport(response=response)
        case _:
            return m.Response(response=response)


def request_id_of(message: Any) -> str:
    """Return the id a reply echoes, "" where the message has none."""
    if isinstance(message, m.CreatedEvent):
        return message.response.request_id
    own: str = getattr(message, "request_id", "")
    return own
