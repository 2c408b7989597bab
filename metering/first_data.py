"""The first reading of a home that was just fitted: what makes it live."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from assets import jobs
from members.queries import current_occupancies, streams_of
from metering import store


def note(*, stream_ids: Collection[UUID], is_all: bool, at: datetime) -> int:
    """Tell the visits under way whose homes have readings now; how many. Run twice, the second tells none.

    Of `stream_ids` there may be more than were named (`is_all` false): then the store is asked.
    """
    awaiting = jobs.homes_awaiting_data()
    if not awaiting:
        return 0
    stays = current_occupancies(awaiting, at)
    streams = streams_of([stay.pk for stay in stays.values()], at)
    told = set(stream_ids)
    count = 0
    for home_id, stay in stays.items():
        stream_id = streams.get(stay.pk)
        if stream_id is None:
            continue
        has_data = stream_id in told or (not is_all and store.day_span([stream_id]) is not None)
        if has_data and jobs.note_first_data(home_id=home_id, at=at) is not None:
            count += 1
    return count
