"""How often a VEN is asked to poll: short near an event, long when idle, each VEN at a moment of its own.

The wire has one way to say so, oadrRequestedOadrPollFreq at registration; so a VEN whose
interval no longer fits is asked to register again, in good time before the event and in
no hurry after it. `VTN_POLL_SECONDS` holds near an event; `VTN_IDLE_POLL_SECONDS`, when
it is longer, for the rest. Staff's own figure for a VEN stands against both.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from vtn import queueing
from vtn.models import Event, MessageKind, Ven

NEAR: Final = timedelta(minutes=30)
"""World time before an event starts; it lasts until the event has closed."""
JITTER_SHARE: Final = 0.2
"""A VEN's interval lies this far below the site's at most, never above: the site's bounds the last home."""
MOST_AT_ONCE: Final = 500
"""VENs asked to register again in one sweep, so that they do not come all together."""
DEDUPE_KEY: Final = "reregistration"


def poll_seconds(ven: Ven, *, is_near: bool) -> int:
    """Return the interval in wall seconds that suits the VEN: the same VEN, the same share of jitter."""
    if ven.poll_seconds:
        return ven.poll_seconds
    near = int(settings.VTN_POLL_SECONDS)
    idle = max(near, int(getattr(settings, "VTN_IDLE_POLL_SECONDS", 0)))
    return max(1, round((near if is_near else idle) * (1 - JITTER_SHARE * share_of(ven.ven_id))))


def share_of(ven_id: str) -> float:
    """Return a number in [0, 1) that is the VEN's own for good."""
    return int.from_bytes(hashlib.sha256(ven_id.encode()).digest()[:4], "big") / 2**32


def is_near_event(ven: Ven, *, at: datetime) -> bool:
    return _near_events(at).filter(ven=ven).exists()


@transaction.atomic
def repace(*, at: datetime) -> int:
    """Ask VENs whose interval no longer fits to register again; returns how many. Safe to run twice.

    Those that an event nears come first; those that may be slower again wait their turn.
    """
    pulling = Ven.objects.exclude(registration_id="").filter(
        is_http_pull=True, transport_name__in=("", "simpleHttp"), told_poll_seconds__isnull=False
    )
    near = pulling.annotate(is_near=Exists(_near_events(at).filter(ven=OuterRef("pk"))))
    asked = 0
    for is_near in (True, False):
        for ven in near.filter(is_near=is_near).order_by("pk"):
            if asked == MOST_AT_ONCE:
                return asked
            wanted = poll_seconds(ven, is_near=is_near)
            told = ven.told_poll_seconds or wanted
            if told > wanted if is_near else told < wanted:
                queueing.enqueue(
                    ven=ven, kind=MessageKind.REQUEST_REREGISTRATION, at=at, dedupe_key=DEDUPE_KEY
                )
                asked += 1
    return asked


def _near_events(at: datetime) -> QuerySet[Event]:
    return Event.objects.filter(starts_at__lte=at + NEAR, closes_at__gt=at, cancelled_at=None)
