"""A hub's event: what one VEN is told about a campaign, and keeping that in step with who takes part.

One event a hub. Dispatching publishes the first version; a member's no or yes amends it, calls it off or
sends it anew. Everything here runs inside the caller's transaction, under the locks of the hub's
participations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from assets.models import Asset
from campaigns import eligibility, freezing, vtn_door
from campaigns.models import Campaign, Direction, Participation, UseCase
from campaigns.vtn_door import EventClosed, EventNotice, Signal, SignalInterval, VenId, VtnEventId
from opendsr.kernel.interval import Interval

State = Participation.State
PRIORITY: Final = {UseCase.LOAD_CONTROL.value: 1, UseCase.MARKET.value: 2}
"""OpenADR's, 1 the first; 0 is none, which hubs put last."""
RUNNING: Final = frozenset({State.SENT, State.DELIVERED_TO_HUB, State.OPTED_IN})


def notice(
    campaign: Campaign, parts: Sequence[Participation], *, is_whole_hub: bool, least_pct: int = 0
) -> EventNotice:
    """What the hub behind `parts` is told, with which resources when they are not all of its."""
    return notice_for(
        campaign,
        ven_id=parts[0].ven_id,
        expected_w=sum(part.expected_w for part in parts),
        least_pct=least_pct,
        resource_ids=() if is_whole_hub else tuple(sorted(part.asset.resource_id for part in parts)),
    )


def notice_for(
    campaign: Campaign, *, ven_id: str, expected_w: int, least_pct: int, resource_ids: tuple[str, ...]
) -> EventNotice:
    """What one hub is told: the time, the direction, and which resources when not all of them.

    Down is SIMPLE level 1, which every VEN understands; where the household's assets keep a share of their
    power (`least_pct`), beside it LOAD_CONTROL with that capacity, which a hub of ours follows first. Up is
    LOAD_DISPATCH by the expected power, with SIMPLE at its normal level, so that a VEN that knows only SIMPLE
    does nothing. Direct load control has the first priority, over whatever else a hub was told; a market's
    campaigns come before plans of the night, which have none.
    """
    interval = Interval(campaign.starts_at, campaign.ends_at)
    seconds = int(interval.duration.total_seconds())
    is_turn_down = campaign.direction == Direction.TURN_DOWN
    signals = [
        Signal(name="SIMPLE", type="level", intervals=(SignalInterval(seconds, 1 if is_turn_down else 0),))
    ]
    if is_turn_down and least_pct:
        kept = SignalInterval(seconds, least_pct / 100)
        signals.append(Signal(name="LOAD_CONTROL", type="x-loadControlCapacity", intervals=(kept,)))
    if not is_turn_down:
        asked = SignalInterval(seconds, expected_w)
        signals.append(Signal(name="LOAD_DISPATCH", type="delta", intervals=(asked,), unit="w"))
    programme = campaign.programme
    return EventNotice(
        ven_id=VenId(ven_id),
        market_context=programme.market_context,
        interval=interval,
        signals=tuple(signals),
        notification_seconds=programme.notification_seconds,
        start_tolerance_seconds=campaign.spread_seconds,
        priority=PRIORITY.get(programme.use_case, 0),
        resource_ids=resource_ids,
    )


def hubs_asked_whole(parts: Iterable[Participation]) -> set[UUID]:
    """The hubs all of whose assets in use, faulty ones too, are among `parts`."""
    asked: dict[UUID, set[UUID]] = {}
    for part in parts:
        asked.setdefault(part.asset.hub_id, set()).add(part.asset_id)
    in_use = Asset.objects.filter(hub__in=asked).exclude(state=Asset.State.RETIRED)
    partly = {
        hub_id for hub_id, asset_id in in_use.values_list("hub_id", "id") if asset_id not in asked[hub_id]
    }
    return asked.keys() - partly


def take_out(
    campaign: Campaign, hub_parts: Sequence[Participation], out: Collection[UUID], *, at: datetime
) -> None:
    """Take the participations with ids `out` from the hub's event; call it off when nothing else runs there.

    The caller saves the parts afterwards; `dropped_at` is set here on whatever leaves the event, and the
    delay of an end that is no more is forgotten.
    """
    inside = [part for part in hub_parts if is_in_event(part)]
    leaving = [part for part in inside if part.pk in out]
    if not leaving:
        return
    staying = [part for part in inside if part.pk not in out]
    event_id = VtnEventId(leaving[0].vtn_event_id)
    if any(part.state in RUNNING for part in staying):
        try:
            told = _notice_now(campaign, staying, at=at)
            vtn_door.vtn().amend(event_id, told, at=at, reason="asset left out")
        except EventClosed:
            leaving = inside
    else:
        vtn_door.vtn().cancel(event_id, at=at, reason="left out")
        leaving = inside
    for part in leaving:
        part.dropped_at, part.end_delay_seconds = at, None


def put_back(
    campaign: Campaign, hub_parts: Sequence[Participation], part: Participation, *, at: datetime, key: str
) -> None:
    """Ask the hub again for `part`, beside whatever runs there already. `key` names this asking to the VTN.

    The caller saves `part` afterwards; its event, state and times are set here. Raises Frozen while nothing
    may be sent.
    """
    freezing.ensure_running()
    running = [
        each for each in hub_parts if each.pk != part.pk and is_in_event(each) and each.state in RUNNING
    ]
    declined = part.vtn_event_id if is_in_event(part) else ""
    live = next((each.vtn_event_id for each in running), "")
    told = _notice_now(campaign, [*running, part], at=at)
    door = vtn_door.vtn()
    if live:
        door.amend(VtnEventId(live), told, at=at, reason="asset back in")
    else:
        if declined:
            door.cancel(VtnEventId(declined), at=at, reason="asked again")
        live = door.publish(told, key=key, at=at)
    part.vtn_event_id = live
    part.state = State.SENT
    part.left_out = ""
    part.sent_at = at
    part.delivered_at = part.dropped_at = None
    part.start_delay_seconds = part.end_delay_seconds = None


def is_in_event(part: Participation) -> bool:
    """True while the participation belongs to an event that its hub was told of."""
    return bool(part.vtn_event_id) and part.dropped_at is None and part.state != State.CANCELLED


def say_again(campaign: Campaign, hub_parts: Sequence[Participation], *, at: datetime, reason: str) -> None:
    """Tell the hub its event anew, as it is to be now; nothing where no event runs there."""
    inside = [part for part in hub_parts if is_in_event(part) and part.state in RUNNING]
    if inside:
        told = _notice_now(campaign, inside, at=at)
        with suppress(EventClosed):
            vtn_door.vtn().amend(VtnEventId(inside[0].vtn_event_id), told, at=at, reason=reason)


def _notice_now(campaign: Campaign, parts: Sequence[Participation], *, at: datetime) -> EventNotice:
    interval = Interval(campaign.starts_at, campaign.ends_at)
    limits = eligibility.limits_of([part.occupancy_id for part in parts], interval, at=at)
    return notice(
        campaign,
        parts,
        is_whole_hub=bool(hubs_asked_whole(parts)),
        least_pct=max((each.least_pct for each in limits.values()), default=0),
    )
