"""What is told by the calendar rather than by a fact: consents a year old, hubs that have fallen silent."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import vtn.queries
from assets.models import Hub
from members import renewing
from members.models import Member
from members.queries import current_occupancies
from notices import queueing
from notices.kinds import Kind
from notices.queueing import ToTell
from opendsr.kernel import clock
from opendsr.kernel.lookups import among

SILENT_AFTER: Final = timedelta(hours=24)
GIVEN_UP_AFTER: Final = timedelta(days=14)
"""A hub silent for longer was told of; it is staff's by then."""


def remind_of_consents(*, at: datetime) -> int:
    """Remind each household of every consent that turned another year old, once a year; how many notices."""
    renewals = list(renewing.due(at))
    members = _members_of({each.consent.occupancy.household_id for each in renewals})
    people = [
        ToTell(
            member_id,
            {"since": each.consent.starts_at, "purpose": each.consent.purpose},
            home=each.consent.pk.hex,
            about=each.consent.pk,
        )
        for each in renewals
        for member_id in members[each.consent.occupancy.household_id]
    ]
    by_years = {each.consent.pk: each.years for each in renewals}
    queued = 0
    for years in sorted(set(by_years.values())):
        alike = [each for each in people if each.about and by_years[each.about] == years]
        done = queueing.queue_many(kind=Kind.CONSENT_RENEWAL, people=alike, key=f"year {years}", at=at)
        queued += done.notices
    return queued


def tell_of_silent_hubs(*, at: datetime) -> int:
    """Tell homes whose hub has not been heard of for a day, once for each silence; how many notices.

    How long a hub has been silent is wall time; the notice is of world time like any other.
    """
    wall = clock.wall_now()
    hubs = {hub.ven_id: hub for hub in Hub.objects.filter(state=Hub.State.COMMISSIONED, ven_id__isnull=False)}
    states = vtn.queries.ven_states([str(ven_id) for ven_id in hubs], wall=wall)
    silent = {
        hubs[str(ven_id)]: state.last_seen_wall_at
        for ven_id, state in states.items()
        if state.last_seen_wall_at is not None
        and SILENT_AFTER <= wall - state.last_seen_wall_at < GIVEN_UP_AFTER
    }
    stays = current_occupancies([hub.home_id for hub in silent], at)
    members = _members_of({stay.household_id for stay in stays.values()})
    people = [
        ToTell(
            member_id,
            {"hours": int((wall - seen_at).total_seconds() // 3600)},
            home=f"{hub.pk.hex}:{int(seen_at.timestamp())}",
            about=hub.pk,
        )
        for hub, seen_at in silent.items()
        if hub.home_id in stays
        for member_id in members[stays[hub.home_id].household_id]
    ]
    return queueing.queue_many(kind=Kind.DEVICE_OFFLINE, people=people, key="", at=at).notices


def _members_of(household_ids: set[UUID]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = defaultdict(list)
    rows = Member.objects.filter(household__in=among(household_ids), left_at__isnull=True).order_by("number")
    for household_id, member_id in rows.values_list("household_id", "pk"):
        found[household_id].append(member_id)
    return found
