"""Dispatching: an approved campaign leaves as one VTN event a hub, after the send-time guard has asked again.

Run by the outbox consumer of `campaigns.campaign.approved`, in one transaction with the mark that it ran: a
worker killed half way has sent nothing, and running it again sends nothing twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction

import members.queries
from campaigns import freezing, guarding, life, ramping, sending, vtn_door
from campaigns.eligibility import Verdict
from campaigns.life import Verb
from campaigns.models import Campaign, Participation, PlanLine
from campaigns.vtn_door import EventNotice, UnknownVen
from opendsr.kernel import outbox

DISPATCHED: Final = "campaigns.campaign.dispatched"
State = Participation.State
LeftOut = PlanLine.LeftOut
# What the household chose keeps its place in the campaign; anything else gives the asset back.
CHOSEN_BY_HOUSEHOLD: Final = frozenset({LeftOut.OPTED_OUT, LeftOut.STANDING_OPT_OUT})


@dataclass(frozen=True, slots=True)
class DispatchReport:
    """What left: events (one a hub), assets sent, assets held back by reason; `is_new` False: sent before."""

    campaign_id: UUID
    events: int
    sent: int
    left_out: Mapping[str, int]
    is_new: bool


@transaction.atomic
def dispatch_campaign(*, campaign_id: UUID, at: datetime) -> DispatchReport:
    """Send the approved campaign to its hubs; a second call reports what the first one sent.

    What would change more at once than the rules allow beside campaigns that were sent is kept back. Raises
    Frozen while nothing may be sent; the outbox comes again.
    """
    ramping.hold()
    campaign, is_new = life.begin(campaign_id, Verb.DISPATCH)
    if not is_new:
        return _report(campaign, is_new=False)
    freezing.ensure_running()
    parts = list(
        campaign.participations.select_for_update(of=("self",))
        .filter(state__in=(State.PLANNED, State.OPTED_OUT))
        .select_related("asset__hub")
        .order_by("id")
    )
    verdicts = guarding.verdicts(campaign, parts, at=at)
    held = {part_id: verdict.reason for part_id, verdict in verdicts.items() if verdict.reason}
    room = ramping.room_for(campaign, beside=(Campaign.State.DISPATCHED,))
    beyond = _beyond(room, parts, held)
    held.update(dict.fromkeys(beyond, LeftOut.RAMP))
    leaving = [part for part in parts if part.pk not in held]
    event_by_ven, unknown = _publish(campaign, leaving, verdicts, at=at)
    for part in parts:
        if part.pk not in held and part.ven_id in unknown:
            held[part.pk] = LeftOut.CERTIFICATE
    _mark_sent([part for part in parts if part.pk not in held], event_by_ven, at=at)
    _mark_held(held)
    if campaign.hold_out_pct:
        for line_id, reason in guarding.held_out_no_more(campaign, at=at).items():
            campaign.plan_lines.filter(pk=line_id).update(left_out=reason)
    report = _report(campaign, is_new=True)
    beyond_w = sum(part.expected_w for part in parts if part.pk in beyond)
    life.finish(
        campaign,
        Verb.DISPATCH,
        at=at,
        by=None,
        detail={
            "events": report.events,
            "sent": report.sent,
            "left_out": report.left_out,
            **({"ramp_held_w": beyond_w, "ramp_shared_with": room.used.names()} if beyond else {}),
        },
    )
    outbox.record(DISPATCHED, at=at, key=str(campaign.pk), campaign_id=campaign.pk)
    freezing.ensure_running()
    return report


def _beyond(
    room: ramping.Room, parts: Sequence[Participation], held: Mapping[UUID, str]
) -> AbstractSet[UUID]:
    """Which of the parts find no room to change load; those that a household declined keep their place."""
    staying = [part for part in parts if held.get(part.pk, "") in ("", *CHOSEN_BY_HOUSEHOLD)]
    homes = {part.pk: part.asset.hub.home_id for part in staying}
    substations = members.queries.substations_of(set(homes.values()))
    beyond = room.beyond(
        (part.pk, substations.get(homes[part.pk], ""), part.expected_w)
        for part in sorted(staying, key=lambda part: (part.pk not in held, -part.expected_w, part.pk))
    )
    return beyond - held.keys()


def _publish(
    campaign: Campaign,
    parts: Sequence[Participation],
    verdicts: Mapping[UUID, Verdict],
    *,
    at: datetime,
) -> tuple[dict[str, str], set[str]]:
    """Publish one event a hub: (event id by VEN, VENs that the VTN does not know)."""
    by_ven: dict[str, list[Participation]] = defaultdict(list)
    for part in parts:
        by_ven[part.ven_id].append(part)
    whole = sending.hubs_asked_whole(parts)
    notices: dict[str, EventNotice] = {
        event_key(campaign, ven_id): sending.notice(
            campaign,
            group,
            is_whole_hub=group[0].asset.hub_id in whole,
            least_pct=verdicts[group[0].pk].least_pct,
        )
        for ven_id, group in sorted(by_ven.items())
    }
    unknown: set[str] = set()
    while notices:
        try:
            with transaction.atomic():
                event_ids = vtn_door.vtn().publish_many(notices, at=at)
        except UnknownVen as error:
            ven_id = str(error.data["ven_id"])
            del notices[event_key(campaign, ven_id)]
            unknown.add(ven_id)
        else:
            return {str(notices[key].ven_id): str(event_id) for key, event_id in event_ids.items()}, unknown
    return {}, unknown


def event_key(campaign: Campaign, ven_id: str) -> str:
    """The VTN's idempotency key of a hub's first event of a campaign."""
    return f"campaign:{campaign.pk}:{ven_id}"


def _mark_sent(parts: Sequence[Participation], event_by_ven: Mapping[str, str], *, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_participation AS part
            SET state = %s, sent_at = %s, vtn_event_id = sent.event_id, left_out = ''
            FROM unnest(%s::uuid[], %s::text[]) AS sent (id, event_id)
            WHERE part.id = sent.id
            """,
            [State.SENT, at, [part.pk for part in parts], [event_by_ven[part.ven_id] for part in parts]],
        )


def _mark_held(held: Mapping[UUID, str]) -> None:
    by_reason: dict[str, list[UUID]] = defaultdict(list)
    for part_id, reason in held.items():
        by_reason[reason].append(part_id)
    for reason, part_ids in sorted(by_reason.items()):
        state = State.OPTED_OUT if reason in CHOSEN_BY_HOUSEHOLD else State.CANCELLED
        Participation.objects.filter(pk__in=part_ids).update(state=state, left_out=reason)


def _report(campaign: Campaign, *, is_new: bool) -> DispatchReport:
    rows = list(campaign.participations.values_list("sent_at", "vtn_event_id", "left_out"))
    return DispatchReport(
        campaign_id=campaign.pk,
        events=len({event_id for _, event_id, _ in rows if event_id}),
        sent=sum(sent_at is not None for sent_at, _, _ in rows),
        left_out=dict(Counter(left_out for _, _, left_out in rows if left_out)),
        is_new=is_new,
    )
