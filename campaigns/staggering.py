"""Staggering: what each hub drew within the campaign's spread, kept on the participations.

The VTN hands on what a hub told with its answer to the event (`vtn.event.delays_told`). OpenADR has the VEN
draw (startafter), so a hub that tells nothing has drawn all the same: its parts stay without. What leaves
its event (`dropped_at`) has no planned end any more, so its delay is forgotten until the hub tells another.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from django.db import transaction
from django.db.models import Q

from campaigns.models import Participation

STARTS: Final = "start_delay_seconds"
ENDS: Final = "end_delay_seconds"
IN_EVENT: Final = Q(dropped_at=None) & ~Q(vtn_event_id="")
"""Participations that a hub was told of and that have not left its event."""
logger = logging.getLogger(__name__)


@transaction.atomic
def note_delays(*, event_id: str, start_seconds: Mapping[str, int], end_seconds: Mapping[str, int]) -> int:
    """Keep what the hub drew for each asset, by resource id, in s; how many participations it concerns.

    The newest telling holds: what is said when an event is called off replaces the planned end's, and an end
    told with its start is the planned one, nothing to an asset that has left. A draw beyond the spread that
    the hub was given is not kept. An event that is no campaign's concerns none.
    """
    parts = list(
        Participation.objects.select_for_update(of=("self",))
        .filter(vtn_event_id=event_id, asset__resource_id__in={*start_seconds, *end_seconds})
        .select_related("asset", "campaign__programme")
        .order_by("id")
    )
    for part in parts:
        name, most = part.asset.resource_id, part.campaign.spread_seconds
        told = {
            field: drawn[name]
            for field, drawn in ((STARTS, start_seconds), (ENDS, end_seconds))
            if name in drawn
        }
        if part.dropped_at is not None and STARTS in told:
            told.pop(ENDS, None)
        kept = {field: seconds for field, seconds in told.items() if 0 <= seconds <= most}
        if kept != told:
            logger.warning("event %s: a hub tells delays of %s s, %s at most", event_id, told, most)
        for field, seconds in kept.items():
            setattr(part, field, seconds)
        part.save(update_fields=kept)
    return len(parts)
