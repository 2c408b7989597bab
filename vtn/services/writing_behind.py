"""Writes down what left for many VENs at once (`vtn.hand_overs`): on the events, the queue, and as facts.

Each process writes its own, a few seconds after they left, in a thread beside the answering; what a killed
one has left is written by whoever looks first. Lock order: the row of `HandOver`, events by pk, the queue.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, close_old_connections, connections, transaction

from opendsr.kernel import clock
from vtn import event_offers, hand_overs
from vtn.models import HandOver
from vtn.services import distributing

WRITTEN_AFTER: Final = timedelta(seconds=3)
"""How long a VEN's answer is waited for, to be written in one with the hand-over."""
TAKEN_OVER_AFTER: Final = timedelta(seconds=8)
"""When what another process let go, and has not written down, is written by this one."""
LOOK_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)

_writer: threading.Thread | None = None
_writer_pid = 0
_stop = threading.Event()


def start_writer() -> None:
    """Have a thread of this process write its hand-overs behind; call again in each forked worker."""
    global _writer, _writer_pid
    if _writer is not None and _writer_pid == os.getpid():
        return
    _stop.clear()
    _writer_pid = os.getpid()
    _writer = threading.Thread(target=_write_on, name="hand-overs", daemon=True)
    _writer.start()
    hand_overs.keep()
    atexit.register(stop_writer)


def stop_writer() -> None:
    """Write what is left, and end the thread."""
    global _writer
    writer, _writer = _writer, None
    if writer is not None and _writer_pid == os.getpid():
        hand_overs.keep(is_kept=False)
        _stop.set()
        writer.join(5)


def write_behind(*, wall: datetime, own_before: datetime | None = None) -> int:
    """Write down what is old enough, another process's too; returns how many groups. Each in a transaction.

    `own_before` is given by who cannot wait for answers any longer.
    """
    own = hand_overs.let_go_before(own_before or wall - WRITTEN_AFTER)
    left = HandOver.objects.filter(left_wall_at__lte=wall - TAKEN_OVER_AFTER).exclude(pk__in=own)
    return sum(_write(number) for number in [*own, *left.order_by("pk").values_list("pk", flat=True)])


def write_for(ven_pks: Iterable[int]) -> None:
    """Write down what these VENs were handed, at once: something has happened to their events since."""
    groups = {group.number for pk in ven_pks if (group := hand_overs.group_of(pk)) is not None}
    for number in sorted(groups):
        _write(number)


def _write(number: int) -> bool:
    """Write one group down: what became of those who answered, then the others. Each may be done twice."""
    at = clock.now()
    by, fates = hand_overs.close(number)
    with transaction.atomic():
        changed = event_offers.write_down(fates, by=by)
    with transaction.atomic():
        row = HandOver.objects.select_for_update(skip_locked=True).filter(pk=number).first()
        if row is not None:
            answered = {fate.offer.ven_pk for fate in fates if fate.becomes == "answered"}
            distributing.write_let_go(row, answered=answered, changed=changed, at=at)
            row.delete()
    hand_overs.is_written(number)
    return row is not None


def _write_on() -> None:
    while True:
        is_last = _stop.wait(LOOK_SECONDS)
        wall = clock.wall_now()
        try:
            close_old_connections()
            write_behind(wall=wall, own_before=wall if is_last else None)
        except (DatabaseError, InterfaceError):
            logger.warning("hand-overs could not be written down; they are tried again", exc_info=True)
        except Exception:
            logger.exception("hand-overs could not be written down; they are tried again")
        if is_last:
            connections.close_all()
            return
