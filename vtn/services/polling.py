"""OadrPoll: the one next thing for a VEN, or nothing new; and answers that only need to be taken note of."""

from __future__ import annotations

from datetime import datetime

from oadr import messages as m
from oadr.messages import EiResponse
from vtn.models import Ven
from vtn.services import distributing


def poll(*, ven: Ven, message: m.Poll, at: datetime) -> m.DistributeEvent | m.Response:
    """Return the full set of events when one of them is due to be handed over, else oadrResponse."""
    if distributing.is_anything_due(ven, at=at):
        return distributing.distribute(ven, at=at, request_id="")
    return m.Response(response=EiResponse(description="OK"), ven_id=ven.ven_id)


def take_note(*, ven: Ven, message: m.Message, at: datetime) -> m.Response:
    """Acknowledge a reply that a VEN posts to something it was handed in a poll."""
    request_id: str = getattr(message, "request_id", "")
    response: EiResponse | None = getattr(message, "response", None)
    return m.Response(
        response=EiResponse(description="OK", request_id=response.request_id if response else request_id),
        ven_id=ven.ven_id,
    )
