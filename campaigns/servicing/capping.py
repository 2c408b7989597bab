"""Caps of a zone, as active network management sets them: what each asks of homes, minute by minute.

A cap comes as a signal; `follow` looks again each minute, and puts the agreed cap in force after silence.
Against an import cap stands what homes usually take at that time (open loop: `habits`), against an export
cap what their meters told last (`telling`). What is over it is asked by the function that a start uses.

Moved little, held long. More is asked only when what is wanted exceeds what is given, then with a band of
BAND_PCT of the contract's most on top; something is let go only when more than two bands too much are given,
or nothing is wanted. What was asked of a device holds for the contract's `hold_minutes` at least, and a
device let go rests as long.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, Sum

import assets.queries
import members.queries
from campaigns import freezing, habits
from campaigns.models import Campaign, Direction, Participation, ServicingContract, ServicingSignal
from campaigns.servicing import holding, running, sending_at_once, telling
from campaigns.servicing.port import Ask
from campaigns.servicing_models import LONGEST_MINUTES
from metering.aggregates import LEAST_HOMES
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.interval import HALF_HOUR, Interval

logger = logging.getLogger(__name__)
Kind = ServicingSignal.Kind
State = ServicingSignal.State
BAND_PCT: Final = 5
MINUTE: Final = timedelta(minutes=1)
LEAD: Final = 3 * MINUTE
"""How long before a campaign of a cap ends the one after it is asked."""
TOLD_WITHIN: Final = 5 * MINUTE
NOT_ASKED_AGAIN: Final = timedelta(minutes=LONGEST_MINUTES)
"""Who said no to a cap is not asked by the same contract's caps for this long after."""
ANSWERS: Final = {"import": Direction.TURN_DOWN.value, "export": Direction.TURN_UP.value}
SAID_NO: Final = (Participation.State.OPTED_OUT, Participation.State.OVERRIDDEN)
OPERATOR, SILENCE = "operator", "silence"


class CapNotAgreed(Invalid):
    """The contract lets the client set no such cap: `field`, `value`, `reason`."""

    field: str
    value: str
    reason: str


class StaleCap(Invalid):
    """A later cap came before: `field`, `value`, `latest`."""

    field: str
    value: int
    latest: int


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap in force: `kind` "import" or "export", in W, of whom and since when."""

    kind: str
    cap_w: int
    source: str
    since: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Step:
    """What to change now, in W: more to ask, or how much at most to let go. Never both."""

    ask_w: int = 0
    let_go_w: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """A campaign that runs or waits under the contract, and what it gives, in W."""

    campaign: Campaign
    given_w: int
    is_of_cap: bool

    def covers(self, moment: datetime) -> bool:
        return self.campaign.starts_at <= moment < self.campaign.ends_at


@dataclass(frozen=True, slots=True)
class Seen:
    """The zone against its cap: what it takes or exports before anything is asked, and what follows.

    `flow_w` is None where too few meters tell, or told. `is_told` is False where one home makes up so much of
    it that it is acted upon and not told. `starts_at` is when what is asked would begin.
    """

    flow_w: int | None
    is_told: bool
    homes: int
    wanted_w: int
    given_w: int
    ask_w: int
    let_go: tuple[Campaign, ...]
    starts_at: datetime
    why: str


def step(*, wanted_w: int, given_w: int, room_w: int, band_w: int) -> Step:
    """More is asked where what is wanted exceeds what is given, within the room that the contract leaves;
    less where more than two bands too much are given, or nothing is wanted. Pure, in W.
    """
    if wanted_w > given_w:
        return Step(ask_w=max(0, min(wanted_w + band_w - given_w, room_w)))
    if not wanted_w:
        return Step(let_go_w=given_w)
    spare_w = given_w - wanted_w
    return Step(let_go_w=spare_w - band_w if spare_w > 2 * band_w else 0)


def receive(signal: ServicingSignal, ask: Ask, *, at: datetime) -> None:
    """Put the operator's cap in force and do what it asks; the caller saves the signal.

    Raises UnknownZone, CapNotAgreed and StaleCap. A cap that cannot be met is in force all the same: the
    answer says why, and it is tried again each minute.
    """
    contract = running.locked(running.contract_for(signal.client_id, ask.zone, at=at).pk)
    signal.contract = contract
    if agreed_w(contract, ask.direction) is None:
        raise CapNotAgreed(
            field="cap", value=ask.direction, reason="the contract about this zone has no such cap"
        )
    heard = running.newest_cap(contract, ask.direction, is_heard=True)
    if heard is not None and ask.sequence <= heard.asked["sequence"]:
        raise StaleCap(field="sequence", value=ask.sequence, latest=heard.asked["sequence"])
    before = in_force(contract, ask.direction)
    is_same = before is not None and (before.cap_w, before.source) == (ask.size_w, OPERATOR)
    since = before.since if before is not None and is_same else at
    cap = Cap(ask.direction, ask.size_w, OPERATOR, since, ask.sequence)
    _act(signal, contract, cap, _look(contract, cap, at=at, is_heard_now=True), at=at)


def follow(*, at: datetime) -> int:
    """Look again at every zone with caps: the agreed cap after silence, and what the time of day asks.

    How many changes that made; each is a signal of the house's own. Safe to run again.
    """
    found = (
        ServicingContract.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at)
        .exclude(import_cap_w=None, export_cap_w=None)
        .filter(client__closed_at=None)
    )
    count = 0
    for contract_id in found.order_by("pk").values_list("pk", flat=True):
        for kind in ANSWERS:
            try:
                count += _follow(contract_id, kind, at=at)
            except DomainError as error:
                logger.warning("servicing: %s cap of contract %s: %s", kind, contract_id, error)
    return count


def agreed_w(contract: ServicingContract, kind: str) -> int | None:
    """The cap that holds on silence, in W; None where the contract has no caps of that kind."""
    return contract.import_cap_w if kind == "import" else contract.export_cap_w


def in_force(contract: ServicingContract, kind: str) -> Cap | None:
    """The cap in force under the contract as last decided; None before the first."""
    signal = running.newest_cap(contract, kind)
    if signal is None:
        return None
    return Cap(
        kind=kind,
        cap_w=signal.asked["size_w"],
        source=signal.answer["from"],
        since=datetime.fromisoformat(signal.answer["since"]),
        sequence=signal.asked["sequence"],
    )


def given(contract: ServicingContract, kind: str, *, at: datetime) -> list[Given]:
    """What runs or waits under the contract in the cap's direction from `at` on, newest first.

    A campaign that was sent gives what is expected of those still in it, up to its size.
    """
    under = ServicingSignal.objects.filter(contract=contract, campaign__direction=ANSWERS[kind])
    of_caps = set(under.filter(kind=Kind.CAP).values_list("campaign", flat=True))
    campaigns = list(
        Campaign.objects.filter(pk__in=under.values("campaign"), ends_at__gt=at)
        .exclude(state__in=running.OVER)
        .order_by("-starts_at", "-pk")
    )
    staying = dict(
        Participation.objects.filter(campaign__in=campaigns, dropped_at=None)
        .exclude(state__in=telling.OUT)
        .order_by()
        .values_list("campaign")
        .annotate(total_w=Sum("expected_w"))
    )
    return [
        Given(
            each,
            each.size_w if each.state in running.WAITING else min(each.size_w, staying.get(each.pk, 0)),
            each.pk in of_caps,
        )
        for each in campaigns
    ]


def held_homes(running_now: Sequence[Given]) -> int:
    """How many households are in these campaigns and have not left them."""
    campaigns = [each.campaign.pk for each in running_now]
    staying = Participation.objects.filter(campaign__in=campaigns, dropped_at=None)
    counted = staying.exclude(state__in=telling.OUT).aggregate(homes=Count("occupancy", distinct=True))
    return int(counted["homes"])


@transaction.atomic
def _follow(contract_id: UUID, kind: str, *, at: datetime) -> bool:
    contract = running.locked(contract_id)
    agreed = agreed_w(contract, kind)
    if agreed is None:
        return False
    heard = running.newest_cap(contract, kind, is_heard=True)
    latest = running.newest_cap(contract, kind)
    before = in_force(contract, kind)
    silent_from = contract.starts_at if heard is None else heard.received_at
    if at - silent_from < contract.silence_minutes * MINUTE:
        if before is None:
            return False
        cap = before
    elif before is not None and (before.source, before.cap_w) == (SILENCE, agreed):
        cap = before
    else:
        cap = Cap(kind, agreed, SILENCE, at, before.sequence if before else 0)
    is_new = cap is not before
    seen = _look(contract, cap, at=at)
    has_to_change = bool(seen.ask_w or seen.let_go) and not contract.client.is_sandbox
    if not (is_new or has_to_change):
        return False
    wall = clock.wall_now()
    key = f"house-{new_uuid()}"
    signal = ServicingSignal(
        client=contract.client,
        contract=contract,
        idempotency_key=key,
        digest=hashlib.sha256(key.encode()).hexdigest(),
        kind=Kind.CAP,
        asked=Ask(
            Kind.CAP, zone=contract.zone, direction=kind, size_w=cap.cap_w, sequence=cap.sequence
        ).shown(),
        received_at=at,
        received_wall_at=wall,
    )
    _act(signal, contract, cap, seen, at=at)
    is_told = latest is not None and latest.answer["why"] == signal.answer["why"] != ""
    if is_told and not is_new:
        return False
    running.close(signal, at=at)
    return True


def _act(signal: ServicingSignal, contract: ServicingContract, cap: Cap, seen: Seen, *, at: datetime) -> None:
    """Do what was seen to follow from the cap, and set the signal's state and answer."""
    signal.state = State.REHEARSED if contract.client.is_sandbox else State.IN_FORCE
    signal.answer = {
        "cap": cap.kind,
        "cap_w": cap.cap_w,
        "from": cap.source,
        "since": cap.since.isoformat(),
        "flow_w": seen.flow_w if seen.is_told else None,
        "metered_homes": seen.homes,
        "wanted_w": seen.wanted_w if seen.is_told else None,
        "given_w": seen.given_w,
        "did": "unmet" if seen.why else "kept",
        "why": seen.why,
    }
    if seen.ask_w:
        signal.answer |= _ask(signal, contract, cap, seen, at=at)
    elif seen.let_go:
        ended = running.end(seen.let_go, reason=f"the {cap.kind} cap no longer asks it", at=at)
        signal.answer |= {"did": "let_go", "campaigns": len(ended)}


def _ask(
    signal: ServicingSignal, contract: ServicingContract, cap: Cap, seen: Seen, *, at: datetime
) -> dict[str, Any]:
    ends_at = _ends_at(contract, seen.starts_at)
    beside_w = running.asked_w(contract, starts_at=seen.starts_at, ends_at=ends_at)
    try:
        with transaction.atomic():
            freezing.ensure_running()
            sent = sending_at_once.start(
                sending_at_once.Order(
                    contract=contract,
                    client_name=contract.client.name,
                    direction=ANSWERS[cap.kind],
                    size_w=seen.ask_w,
                    starts_at=seen.starts_at,
                    ends_at=ends_at,
                    reference=f"by its {cap.kind} cap",
                    is_rehearsal=contract.client.is_sandbox,
                    is_approved=beside_w + seen.ask_w <= running.approved_w(contract),
                    resting=_resting(contract, seen.starts_at),
                ),
                at=at,
            )
    except DomainError as error:
        return {"did": "unmet", "why": error.code}
    signal.campaign, signal.state = sent.campaign, sent.state
    signal.published_wall_at = clock.wall_now() if sent.events else None
    return {
        "did": "asked",
        "why": "",
        "asked_w": seen.ask_w,
        "starts_at": seen.starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
        "expected_w": sent.expected_w,
        "sure_w": sent.sure_w,
        "shortfall_w": sent.shortfall_w,
        "homes": sent.homes,
        "assets": sent.assets,
        "events": sent.events,
        "displaced": sent.displaced,
    }


def _look(contract: ServicingContract, cap: Cap, *, at: datetime, is_heard_now: bool = False) -> Seen:
    under = given(contract, cap.kind, at=at)
    soonest = at.replace(microsecond=0) + timedelta(seconds=contract.notice_seconds)
    flow_w, homes, is_told = _flow(contract, cap.kind, under, at=at)
    given_w = sum(each.given_w for each in under if each.covers(soonest))
    if flow_w is None or (not is_heard_now and _is_halted(contract, cap.kind)):
        why = "few_meters" if flow_w is None else "emergency_stop"
        return Seen(flow_w, is_told, homes, 0, given_w, 0, (), soonest, why)
    wanted_w = max(0, flow_w - cap.cap_w)
    band_w = contract.max_w * BAND_PCT // 100
    # What ends soon is followed by what begins as it ends, so that a device asked again never notices.
    ending = {each.campaign.ends_at for each in under if each.covers(soonest) and each.is_of_cap}
    hold = holding.hold_of(contract, cap.kind, cap_w=cap.cap_w, at=at)
    why = ""
    for moment in [soonest, *sorted(end for end in ending if end <= soonest + LEAD)]:
        now_w = sum(each.given_w for each in under if each.covers(moment))
        ends_at = _ends_at(contract, moment)
        if ends_at - moment < MINUTE:
            break
        beside_w = running.asked_w(contract, starts_at=moment, ends_at=ends_at)
        room_w = 0 if hold is not None else contract.max_w - beside_w
        made = step(wanted_w=wanted_w, given_w=now_w, room_w=room_w, band_w=band_w)
        if made.ask_w:
            ask_w = made.ask_w if is_told else _in_bands(made.ask_w, band_w, room_w=room_w)
            return Seen(flow_w, is_told, homes, wanted_w, given_w, ask_w, (), moment, "")
        if wanted_w > now_w and moment == soonest:
            why = "over_contract" if hold is None else holding.HELD
    let_go = step(wanted_w=wanted_w, given_w=given_w, room_w=0, band_w=band_w).let_go_w
    chosen = _to_let_go(contract, under, let_go, is_all=not wanted_w, at=at)
    return Seen(flow_w, is_told, homes, wanted_w, given_w, 0, chosen, soonest, why)


def _in_bands(ask_w: int, band_w: int, *, room_w: int) -> int:
    """What is asked in whole bands, within the room: it tells of the flow which band it is in."""
    return min(room_w, -(-ask_w // band_w) * band_w) if band_w else ask_w


def _to_let_go(
    contract: ServicingContract, under: Sequence[Given], let_go_w: int, *, is_all: bool, at: datetime
) -> tuple[Campaign, ...]:
    """Whole campaigns of caps, newest first, of those that were held long enough or have not begun."""
    chosen: list[Campaign] = []
    for each in under:
        campaign = each.campaign
        has_begun = campaign.starts_at <= at and campaign.state not in running.WAITING
        is_held = has_begun and at - campaign.starts_at < contract.hold_minutes * MINUTE
        if not each.is_of_cap or is_held or campaign.ends_at <= at + LEAD:
            continue
        if is_all or 0 < each.given_w <= let_go_w:
            chosen.append(campaign)
            let_go_w -= each.given_w
    return tuple(chosen)


def _flow(
    contract: ServicingContract, kind: str, under: Sequence[Given], *, at: datetime
) -> tuple[int | None, int, bool]:
    """(W, homes it is known of, whether it may be told): what the zone's homes would take or export if
    nothing were asked.

    A cap that works brings homes near nothing, and those left over make up much of the rest: that is not
    told (`telling.minute_total`), but the cap goes by it all the same.
    """
    if kind == "import":
        zone = assets.queries.assets_in_zone(contract.zone_kind, contract.zone)
        stays = members.queries.stays_at({each.home_id for each in zone}, at)
        usual = habits.habits_of([stay for stay, _ in stays.values()], Interval(at, at + HALF_HOUR))
        known = [each.usual_w for each in usual.values() if each.usual_w != habits.UNKNOWN]
        return sum(known) if known else None, len(known), True
    minute = at.replace(second=0, microsecond=0)
    rows = telling.told_by_minute(contract, interval=Interval(minute - TOLD_WITHIN, minute), at=at)
    told = [(starts_at, watts) for starts_at, watts in rows if len(watts) >= LEAST_HOMES]
    if not told:
        return None, 0, True
    told_at, watts = told[-1]
    # Meters show what was asked only once it has begun everywhere.
    shown_w = sum(
        each.given_w
        for each in under
        if each.campaign.state not in running.WAITING
        and each.campaign.starts_at + timedelta(seconds=contract.stagger_seconds) <= told_at
    )
    net_w = telling.minute_total(watts)
    flow_w = max(0, shown_w - (telling.rounded(watts) if net_w is None else net_w))
    return flow_w, len(watts), net_w is not None


def _resting(contract: ServicingContract, starts_at: datetime) -> frozenset[UUID]:
    """Assets let go lately, and stays that said no, under the contract's caps."""
    of_caps = ServicingSignal.objects.filter(contract=contract, kind=Kind.CAP).exclude(campaign=None)
    parts = Participation.objects.filter(
        campaign__in=of_caps.values("campaign"), ends_at__gt=starts_at - NOT_ASKED_AGAIN
    )
    since = starts_at - contract.hold_minutes * MINUTE
    let_go = parts.filter(ends_at__gt=since, ends_at__lt=starts_at).values_list("asset_id", flat=True)
    said_no = parts.filter(state__in=SAID_NO).values_list("occupancy_id", flat=True)
    return frozenset([*let_go, *said_no])


def _is_halted(contract: ServicingContract, kind: str) -> bool:
    """Whether the operator's emergency stop is newer than its last cap: then caps ask nothing."""
    heard = running.newest_cap(contract, kind, is_heard=True)
    stops = ServicingSignal.objects.filter(
        client=contract.client_id,
        kind=Kind.EMERGENCY_STOP,
        state=State.STOPPED,
        received_at__gte=contract.starts_at if heard is None else heard.received_at,
        asked__zone__in=("", contract.zone),
    )
    if heard is not None:
        stops = stops.filter(received_wall_at__gt=heard.received_wall_at)
    return stops.exists()


def _ends_at(contract: ServicingContract, starts_at: datetime) -> datetime:
    ends_at = starts_at + contract.longest_minutes * MINUTE
    return ends_at if contract.ends_at is None else min(ends_at, contract.ends_at)
