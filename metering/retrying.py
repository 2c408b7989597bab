"""Dead letters tried again: once a device is registered, an rID linked or an input's role put right.

Of each kind of dead letter the latest message is kept, so that is what comes in. It goes the way of a fresh
message, rules included; what still cannot be used stays a letter, with the reason it has now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from metering import emoncms, telemetry
from metering.adapters.emoncms import Frame
from metering.intake import DEVICE, GLOW, Arrival, Intake
from metering.intake_models import Message
from metering.vtn_door import Report, ReportPoint, VenId
from opendsr.kernel import audit

SOURCES: Final = (GLOW, DEVICE, telemetry.SOURCE, emoncms.SOURCE)
MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Retried:
    """How many letters were used, how many still cannot be, and how many have nothing to be tried."""

    used: int = 0
    dead: int = 0
    bare: int = 0


def may_be_retried(message: Message) -> bool:
    """Whether there is anything to try: a dead letter whose message was kept."""
    return message.outcome == Message.Outcome.DEAD and message.source in SOURCES and bool(message.body)


def retry(*, message_ids: Sequence[int], at: datetime, actor: str) -> Retried:
    """Try the letters again, each on its own, at most MOST of them; one that is gone counts for nothing."""
    intake = Intake()
    used = dead = bare = 0
    for message_id in list(message_ids)[:MOST]:
        with transaction.atomic():
            message = Message.objects.select_for_update().filter(pk=message_id).first()
            if message is None:
                continue
            if not may_be_retried(message):
                bare += 1
                continue
            if _is_used(message, intake, at):
                used += 1
            else:
                dead += 1
    if used or dead:
        audit.record(
            at=at,
            actor=actor,
            verb="metering.letters.retried",
            target="letters",
            detail={"used": used, "dead": dead},
        )
    return Retried(used, dead, bare)


def _is_used(message: Message, intake: Intake, at: datetime) -> bool:
    """Offer it again; a letter that comes of it counts on from the one it was."""
    latest = Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    frame: Frame | None = None
    holder = None
    if message.source == emoncms.SOURCE:
        holder = emoncms.holder_of_letter(message.sender, at=at)
        if holder is None:
            return _still(message, "the key was revoked, or its household moved", at)
        try:
            frame = emoncms.frame_of_letter(message.topic, message.body)
        except ValueError:
            return _still(message, "the frame was too long to be kept whole", at)
    Message.objects.filter(pk=message.pk).delete()
    if message.source == telemetry.SOURCE:
        is_dead = bool(telemetry.read_again(_report(message), at=at).refused)
    elif holder is not None and frame is not None:
        is_dead = bool(emoncms.take_frames(holder, [frame], at=at))
    else:
        arrival = Arrival(message.topic, message.body.encode(), message.received_at)
        is_dead = bool(intake.take([arrival], at=at).letters)
    if is_dead:
        made = Message.objects.filter(
            outcome=Message.Outcome.DEAD, source=message.source, sender=message.sender, topic=message.topic
        )
        made.filter(pk__gt=latest).update(times=message.times, retried_at=at)
    return not is_dead


def _still(message: Message, why: str, at: datetime) -> bool:
    """Leave the letter as it is, with the reason it cannot even be tried; it is not used."""
    message.detail, message.retried_at = why, at
    message.save(update_fields=["detail", "retried_at"])
    return False


def _report(message: Message) -> Report:
    body: dict[str, Any] = json.loads(message.body)
    point = ReportPoint(
        r_id=str(body["r_id"]),
        starts_at=datetime.fromisoformat(body["starts_at"]),
        duration_seconds=int(body["duration_seconds"]),
        value=float(body["value"]),
        quality=str(body["quality"]),
    )
    name = message.topic.rpartition("/")[0]
    return Report(VenId(message.sender), name, (point,), message.received_at, 0)
