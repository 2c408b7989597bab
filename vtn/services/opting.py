"""What a VEN says about an event, however it says it: recorded once, told upward as a fact."""

from __future__ import annotations

from datetime import datetime

from opendsr.kernel import outbox
from vtn.models import Event, EventOpt, OptChoice, OptSource, Ven

LONGEST_REASON = 120


def record_opt(
    *, ven: Ven, event: Event, opt: OptChoice, source: OptSource, reason: str, at: datetime, opt_id: str = ""
) -> EventOpt | None:
    """Note that the VEN has the version in force, and what it chose; None when that says nothing new.

    The event's row is locked by the caller, so that the highest id is the latest
    word. An answer to a cancelled event only confirms the cancellation (rule 36).
    An opt of its own stands against later answers to the same version: clients repeat
    their first answer whenever they are handed the full set, and a member's override
    must outlive that.
    """
    if event.acknowledged_modification != event.modification_number:
        event.acknowledged_modification = event.modification_number
        event.acknowledged_at = at
        event.save(update_fields=["acknowledged_modification", "acknowledged_at"])
    if event.cancelled_at is not None:
        return None
    latest = EventOpt.objects.filter(event=event).order_by("-id").first()
    if latest is not None and latest.modification_number == event.modification_number:
        is_repeated = (latest.opt, latest.source) == (opt, source)
        is_automatic = latest.source == OptSource.CREATE_OPT and source == OptSource.CREATED_EVENT
        if is_repeated or is_automatic:
            return None
    row = EventOpt.objects.create(
        event=event,
        opt=opt,
        modification_number=event.modification_number,
        source=source,
        reason=reason[:LONGEST_REASON],
        opt_id=opt_id,
        received_at=at,
    )
    outbox.record(
        "vtn.opt.received",
        at=at,
        event_id=event.event_id,
        ven_id=ven.ven_id,
        opt=str(opt),
        modification_number=row.modification_number,
        source=str(source),
        reason=row.reason,
        sequence=row.pk,
        received_at=at,
    )
    return row
