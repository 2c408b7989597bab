"""OadrPoll: the one next thing for a VEN, or nothing new."""

from __future__ import annotations

from datetime import datetime

from oadr import messages as m
from oadr.messages import EiResponse
from vtn.models import Ven
from vtn.services import delivering


def poll(*, ven: Ven, message: m.Poll, at: datetime) -> m.Message:
    """Return the one next message of the VEN's queue, else oadrResponse; it polls on until it gets that."""
    return delivering.next_message(ven=ven, at=at) or nothing_new(ven)


def nothing_new(ven: Ven) -> m.Response:
    return m.Response(response=EiResponse(description="OK"), ven_id=ven.ven_id)
