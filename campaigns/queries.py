"""What pages and other rooms ask of campaigns; read only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import (
    Aggregate,
    BinaryField,
    Count,
    F,
    Func,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
)

from campaigns.changing import BEGUN
from campaigns.models import Campaign, OptRecord, Participation, PlanLine
from opendsr.kernel import keeping
from opendsr.kernel.interval import Interval
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date

INSTANT: Final = timedelta(microseconds=1)
HELD_KEPT: Final = "campaigns:held"
HELD_LASTS: Final = timedelta(days=1)
_SECONDS: Final = (
    "sent_at - approved_at",
    "delivered_at - sent_at",
    "responded_at - delivered_at",
    "responded_at - approved_at",
    f"changed_at - greatest({BEGUN}, delivered_at)",
)
"""Each leg in turn. `date_part` gives a plain number, sorted in a fraction of the time of `extract`'s."""
_LEGS: Final = ", ".join(f"({number}, date_part('epoch', {leg}))" for number, leg in enumerate(_SECONDS, 1))
_OF_LEG: Final = """count(leg_{0}) FILTER (WHERE leg_{0} >= 0),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY leg_{0}) FILTER (WHERE leg_{0} >= 0)"""
LEGS: Final = f"""
    SELECT {", ".join(_OF_LEG.format(number) for number in range(1, len(_SECONDS) + 1))}
    FROM (
        SELECT {", ".join(f"date_part('epoch', {leg}) AS leg_{n}" for n, leg in enumerate(_SECONDS, 1))}
        FROM campaigns_participation AS part JOIN campaigns_campaign AS campaign ON campaign.id = campaign_id
        WHERE campaign_id = %s OFFSET 0
    ) AS legs
"""  # noqa: S608
LEGS_BETWEEN: Final = f"""
    SELECT is_direct, leg, count(*), percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds),
           count(*) FILTER (WHERE seconds <= CASE WHEN is_direct THEN %(direct)s ELSE %(goal)s END
                                             + CASE WHEN leg = 5 AND start_delay_seconds IS NULL
                                               THEN spread_seconds ELSE 0 END)
    FROM (
        SELECT part.*, campaign.approved_at, programme.use_case = 'load_control' AS is_direct,
               coalesce(campaign.stagger_seconds, programme.start_tolerance_seconds) AS spread_seconds
        FROM campaigns_participation AS part
        JOIN campaigns_campaign AS campaign ON campaign.id = campaign_id
        JOIN campaigns_programme AS programme ON programme.code = campaign.programme_id
        WHERE campaign.starts_at >= %(since)s AND campaign.starts_at < %(until)s
    ) AS part,
    LATERAL (VALUES {_LEGS}
    ) AS leg (leg, seconds)
    WHERE seconds >= 0
    GROUP BY is_direct, leg ORDER BY is_direct, leg
"""  # noqa: S608
State = Participation.State
IN_FORCE: Final = (Campaign.State.APPROVED, Campaign.State.DISPATCHED, Campaign.State.COMPLETED)


@dataclass(frozen=True, slots=True)
class Held:
    """What a campaign holds: assets and homes not taken from it, their power, what they said."""

    assets: int
    homes: int
    expected_w: int
    opted_in: int
    opted_out: int


NOTHING_HELD: Final = Held(0, 0, 0, 0, 0)


def held_by(campaigns: Iterable[Campaign], *, at: datetime) -> dict[UUID, Held]:
    """What each of the campaigns holds, in their order, in one pass over their participations.

    Of what is completed that never changes: counted once, kept for a day.
    """
    asked = list(campaigns)
    over = [each.pk for each in asked if each.state == Campaign.State.COMPLETED]
    kept = keeping.kept_each(HELD_KEPT, over, at=at, lasts=HELD_LASTS, work=_held) if over else {}
    rest = [each.pk for each in asked if each.pk not in kept]
    counted = _held(rest) if rest else {}
    return {each.pk: kept[each.pk][0] if each.pk in kept else counted[each.pk] for each in asked}


def _held(campaign_ids: Sequence[UUID]) -> dict[UUID, Held]:
    parts = Participation.objects.filter(campaign__in=campaign_ids).exclude(state=State.CANCELLED).order_by()
    rows = parts.values_list("campaign").annotate(
        assets=Count("pk"),
        homes=Count("occupancy", distinct=True),
        power_w=Sum("expected_w"),
        agreed=Count("pk", filter=Q(state=State.OPTED_IN)),
        out=Count("pk", filter=Q(state__in=(State.OPTED_OUT, State.OVERRIDDEN))),
    )
    return dict.fromkeys(campaign_ids, NOTHING_HELD) | {pk: Held(*counts) for pk, *counts in rows}


def upcoming_participations(occupancy_ids: Iterable[UUID], at: datetime) -> QuerySet[Participation]:
    """What the households are asked for from `at` on, events under way included, soonest first."""
    return (
        _participations(occupancy_ids)
        .filter(ends_at__gt=at, campaign__state__in=(Campaign.State.APPROVED, Campaign.State.DISPATCHED))
        .exclude(state=State.CANCELLED)
        .order_by("starts_at", "asset__name", "id")
    )


def past_participations(occupancy_ids: Iterable[UUID], at: datetime) -> QuerySet[Participation]:
    """What the households were asked for and is over or called off by `at`, newest first."""
    return (
        _participations(occupancy_ids)
        .filter(
            Q(ends_at__lte=at) | Q(campaign__state__in=(Campaign.State.COMPLETED, Campaign.State.CANCELLED))
        )
        .order_by("-starts_at", "asset__name", "id")
    )


def first_event_of(household_id: UUID) -> datetime | None:
    """When the first event that the household was asked for was over; None before it."""
    asked = Participation.objects.filter(
        occupancy__household_id=household_id, sent_at__isnull=False, campaign__state=Campaign.State.COMPLETED
    )
    ended_at: datetime | None = asked.aggregate(first=Min("ends_at"))["first"]
    return ended_at


def asked_by_campaign(campaign_ids: Iterable[UUID]) -> Iterator[tuple[UUID, str, str, int, bytes]]:
    """Who was asked, parts called off left out: (campaign, state, outcome, expected W, occupancy ids).

    A row for all the parts that are alike; an occupancy is 16 bytes of `ids`, once for each asset.
    """
    parts = Participation.objects.filter(campaign__in=list(campaign_ids)).exclude(state=State.CANCELLED)
    alike = parts.order_by().values("campaign_id", "state", "outcome", "expected_w")
    alike = alike.annotate(homes=_homes_together())
    for campaign_id, state, outcome, expected_w, homes in alike.values_list(
        "campaign_id", "state", "outcome", "expected_w", "homes"
    ):
        yield campaign_id, state, outcome, expected_w, bytes(homes)


def held_out_by_campaign(campaign_ids: Iterable[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Occupancies held out of each campaign to compare with; campaigns that hold nobody out are absent."""
    lines = PlanLine.objects.filter(campaign__in=list(campaign_ids), left_out=PlanLine.LeftOut.HELD_OUT)
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for campaign_id, occupancy_id in lines.values_list("campaign", "occupancy"):
        found[campaign_id].add(occupancy_id)
    return {campaign_id: frozenset(homes) for campaign_id, homes in found.items()}


def turns_since_held_out(campaign: Campaign, *, at_most: int) -> dict[UUID, int]:
    """How many of the programme's campaigns with a hold-out ago an occupancy was last held out, 1 the latest.

    Looks at the latest `at_most` that were approved and not called off, the campaign itself left out.
    """
    if not at_most:
        return {}
    earlier = Campaign.objects.filter(
        programme_id=campaign.programme_id, hold_out_pct__gt=0, state__in=IN_FORCE
    ).exclude(pk=campaign.pk)
    latest = list(earlier.order_by("-starts_at", "-created_at").values_list("pk", flat=True)[:at_most])
    held_out = held_out_by_campaign(latest)
    turns: dict[UUID, int] = {}
    for turn, campaign_id in enumerate(latest, start=1):
        for occupancy_id in held_out.get(campaign_id, ()):
            turns.setdefault(occupancy_id, turn)
    return turns


def event_days(occupancy_ids: Iterable[UUID], direction: str | None = None) -> dict[UUID, frozenset[date]]:
    """Europe/London dates on which an event changed each household's use; those without any are absent.

    Both days of an event over midnight. An event counts when it was sent and still stood for the household at
    its start: not one skipped or called off before. With a `direction`, only events that way. Households with
    the same days share one set.
    """
    parts = _standing(occupancy_ids)
    if direction is not None:
        parts = parts.filter(campaign__direction=direction)
    at: dict[date, int] = {}
    masks: dict[bytes, int] = defaultdict(int)
    alike = parts.order_by().values("starts_at", "ends_at").annotate(homes=_homes_together())
    for starts_at, ends_at, homes in alike.values_list("starts_at", "ends_at", "homes"):
        mask = 0
        for day in (civil_date(starts_at), civil_date(ends_at - INSTANT)):
            mask |= 1 << at.setdefault(day, len(at))
        ids = bytes(homes)
        for place in range(0, len(ids), 16):
            masks[ids[place : place + 16]] |= mask
    days_of = {
        mask: frozenset(day for day, place in at.items() if mask >> place & 1) for mask in set(masks.values())
    }
    return {UUID(bytes=occupancy): days_of[mask] for occupancy, mask in masks.items()}


def leg_seconds(campaign: Campaign) -> list[tuple[int, int, float, float]]:
    """(leg, assets, median, 95th percentile) in world seconds, of the legs that any asset has come through.

    1: approval to published; 2: published to fetched; 3: fetched to the hub's answer; 4: 1 to 3 together;
    5: the start, or the fetching where that came later, to the device first seen changed (`changing.py`), of
    devices that tell; what the hub drew within the campaign's spread is in it only where it told none.
    """
    with connection.cursor() as cursor:
        cursor.execute(LEGS, [campaign.pk])
        told = cursor.fetchone()
    return [
        (leg, assets, *map(float, told[2 * leg - 1]))
        for leg in range(1, len(_SECONDS) + 1)
        if (assets := told[2 * leg - 2])
    ]


@dataclass(frozen=True, slots=True)
class Answers:
    """Assets that were asked, and those of them whose hub said yes and that stayed in."""

    asked: int
    responding: int


def answers_of(campaign_ids: Iterable[UUID]) -> Answers:
    """The assets asked in these campaigns, counted once in each; called off before it was sent counts not."""
    parts = Participation.objects.filter(campaign__in=list(campaign_ids))
    found = parts.exclude(state=State.CANCELLED, sent_at=None).aggregate(
        asked=Count("pk"), responding=Count("pk", filter=Q(state=State.OPTED_IN))
    )
    return Answers(**found)


def legs_between(
    since: datetime, until: datetime, *, goal_seconds: int, direct_goal_seconds: int
) -> list[tuple[bool, int, int, float, float, int]]:
    """(direct load control, leg, assets, median, 95th percentile, within the goal) of campaigns that begin in
    [since, until), as in `leg_seconds`. Leg 5 is held to the goal over the spread that its campaign allowed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            LEGS_BETWEEN,
            {"since": since, "until": until, "goal": goal_seconds, "direct": direct_goal_seconds},
        )
        return [
            (direct, leg, assets, round(float(half), 3), round(float(most), 3), within)
            for direct, leg, assets, (half, most), within in cursor.fetchall()
        ]


def left_out_by_staff(parts: Iterable[Participation]) -> frozenset[UUID]:
    """Those of the parts, by id, to which staff said no and nobody of the household anything since."""
    out = [part.pk for part in parts if part.state in (State.OPTED_OUT, State.OVERRIDDEN)]
    newest = (
        OptRecord.objects.filter(participation__in=out)
        .order_by("participation", "-received_at", "-pk")
        .distinct("participation")
    )
    return frozenset(
        part_id
        for part_id, source in newest.values_list("participation", "source")
        if source == OptRecord.Source.STAFF
    )


def _homes_together() -> Aggregate:
    """The occupancy ids of a group, 16 bytes each, one after the other."""
    id_bytes = Func(F("occupancy_id"), function="uuid_send", output_field=BinaryField())
    return Aggregate(id_bytes, Value(b""), function="string_agg", output_field=BinaryField())


def homes_by_stretch(occupancy_ids: Iterable[UUID], within: Interval) -> list[tuple[Interval, bytes]]:
    """When the events that count as in `event_days` and touch the interval asked for a change, and whom: the
    occupancy ids, 16 bytes each.
    """
    parts = _standing(occupancy_ids).filter(starts_at__lt=within.ends_at, ends_at__gt=within.starts_at)
    alike = parts.order_by("starts_at", "ends_at").values("starts_at", "ends_at")
    rows = alike.annotate(homes=_homes_together()).values_list("starts_at", "ends_at", "homes")
    return [(Interval(starts_at, ends_at), bytes(homes)) for starts_at, ends_at, homes in rows]


def _standing(occupancy_ids: Iterable[UUID]) -> QuerySet[Participation]:
    """Participations that were sent and still stood for the household at their start."""
    sent = Participation.objects.filter(occupancy__in=among(occupancy_ids), sent_at__isnull=False)
    stood = sent.filter(Q(dropped_at__isnull=True) | Q(dropped_at__gt=F("starts_at")))
    return stood.exclude(state=State.OPTED_OUT)


def _participations(occupancy_ids: Iterable[UUID]) -> QuerySet[Participation]:
    return Participation.objects.filter(occupancy__in=list(occupancy_ids)).select_related(
        "campaign__programme", "asset__kind", "occupancy__home"
    )
