"""What others ask of members: who lives where, what is consented, who has opted out, which stream is whose.

Each answers for one home or for ten thousand in one SQL statement; intervals are half-open UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Min, Q, QuerySet, Value
from django.db.models.functions import Greatest, Least, NullIf

from members.models import (
    Consent,
    Granularity,
    Home,
    Member,
    MeterStream,
    Occupancy,
    Purpose,
    ReadingSource,
    StandingOptOut,
    User,
)
from members.partner_models import Partner, PartnerHome
from members.recurring import Recurrence
from members.rights_models import Restriction
from opendsr.kernel import encryption, lookups
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import day_interval

INSTANT: Final = timedelta(microseconds=1)
Window = tuple[datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class StreamHome:
    """Which stay and home a stream belongs to."""

    stream_id: UUID
    occupancy_id: UUID
    name: str


def stays_at(home_ids: Collection[UUID] | None, at: datetime) -> dict[UUID, tuple[UUID, datetime | None]]:
    """Which stay holds each home at `at`, and when it ends; empty homes are left out. None asks of all."""
    stays = Occupancy.objects.filter(_holds(at))
    if home_ids is not None:
        stays = stays.filter(home_id__in=lookups.among(home_ids))
    rows = stays.values_list("home_id", "pk", "ends_at")
    return {home_id: (occupancy_id, ends_at) for home_id, occupancy_id, ends_at in rows}


def current_occupancies(home_ids: Iterable[UUID], at: datetime) -> dict[UUID, Occupancy]:
    """Who lives in each home at `at`, with household and home; empty homes are left out."""
    stays = Occupancy.objects.filter(_holds(at), home_id__in=list(home_ids)).select_related(
        "household", "home"
    )
    return {stay.home_id: stay for stay in stays}


def occupancies_of(member: Member, at: datetime) -> list[Occupancy]:
    """The homes the member's household lives in at `at`, the longest stay before the others."""
    stays = Occupancy.objects.filter(_holds(at), household_id=member.household_id)
    return list(stays.select_related("home", "household").order_by("starts_at", "pk"))


def consenting_stays(purpose: str, at: datetime, granularity: str | None = None) -> QuerySet[Consent]:
    """The consents to the purpose in force at `at`, while their stay lasts, to look stays up in
    (`.values("occupancy")`).

    With a granularity, only consents that cover readings this fine count. A household that has restricted the
    use of what is held about it consents to nothing while that lasts.
    """
    consents = Consent.objects.filter(_holds(at), _holds(at, "occupancy__"), purpose=Purpose(purpose))
    consents = consents.exclude(occupancy__household__in=restricted_households()).order_by()
    if granularity is not None:
        consents = consents.filter(granularity__in=Granularity(granularity).or_finer())
    return consents


def consenting_occupancies(
    purpose: str,
    at: datetime,
    granularity: str | None = None,
    *,
    among: Collection[UUID] | None = None,
) -> set[UUID]:
    """The occupancies of `consenting_stays`. `among` limits who is asked about."""
    consents = consenting_stays(purpose, at, granularity)
    if among is not None:
        consents = consents.filter(occupancy_id__in=lookups.among(among))
    return set(consents.values_list("occupancy_id", flat=True))


@dataclass(frozen=True, slots=True)
class Residing:
    """Who lives in each home for all of an interval, and which of these stays do not consent."""

    occupancy_by_home: dict[UUID, UUID]
    without_consent: set[UUID]


def residing(purpose: str, interval: Interval, *, home_ids: Collection[UUID] | None = None) -> Residing:
    """Who lives in the homes from the first to the last moment of the interval, and whether they consent to
    the purpose at both (restricted households do not); empty homes are left out. None asks of all.
    """
    first, last = _holds(interval.starts_at), _holds(interval.ends_at - INSTANT)
    stays = Occupancy.objects.filter(first)
    stays = stays.filter(Q(ends_at__isnull=True) | Q(ends_at__gte=interval.ends_at))
    consents = Consent.objects.filter(purpose=Purpose(purpose)).order_by()
    if home_ids is not None:
        stays = stays.filter(home_id__in=lookups.among(home_ids))
        consents = consents.filter(occupancy__home_id__in=lookups.among(home_ids))

    def by(*holding: Q) -> Q:
        return Q(pk__in=consents.filter(*holding).values("occupancy"))

    # Lists that PostgreSQL hashes once each: nearly everybody is in the first, hardly anybody in the others.
    at_both_ends = by(first, last) | (by(first, ~last) & by(last, ~first))
    rows = stays.annotate(is_consenting=at_both_ends & ~Q(household__in=restricted_households()))
    living: dict[UUID, UUID] = {}
    without: set[UUID] = set()
    for home_id, occupancy_id, is_consenting in rows.values_list("home_id", "pk", "is_consenting"):
        living[home_id] = occupancy_id
        if not is_consenting:
            without.add(occupancy_id)
    return Residing(living, without)


def standing_opt_outs(interval: Interval, *, among: Collection[UUID] | None = None) -> set[UUID]:
    """Occupancies that asked to be left out during any part of the interval."""
    return standing_wishes(interval, among=among).left_out


@dataclass(frozen=True, slots=True)
class StandingWishes:
    """What stays have asked for once and for all: to be left out, or to keep a share of their power (%)."""

    left_out: set[UUID]
    least_pct: dict[UUID, int]


def standing_wishes(interval: Interval, *, among: Collection[UUID] | None = None) -> StandingWishes:
    """The standing wishes that hold at any moment of the interval."""
    wishes = StandingWishes(set(), {})
    for occupancy_id, least_pct in _standing(interval, among):
        if least_pct is None:
            wishes.left_out.add(occupancy_id)
        else:
            wishes.least_pct[occupancy_id] = max(least_pct, wishes.least_pct.get(occupancy_id, 0))
    return wishes


def _standing(interval: Interval, asked: Collection[UUID] | None) -> Iterator[tuple[UUID, int | None]]:
    """The standing wishes that hold at some moment of the interval: (occupancy, least_pct)."""
    ends_later = Q(ends_at__isnull=True) | (Q(ends_at__gt=interval.starts_at) & Q(ends_at__gt=F("starts_at")))
    opt_outs = StandingOptOut.objects.filter(ends_later, starts_at__lt=interval.ends_at)
    if asked is not None:
        opt_outs = opt_outs.filter(occupancy_id__in=lookups.among(asked))
    since, until = (
        NullIf(bound, Value(own))
        for bound, own in (
            (Greatest("starts_at", Value(interval.starts_at)), interval.starts_at),
            (Least("ends_at", Value(interval.ends_at)), interval.ends_at),
        )
    )
    rows = opt_outs.values_list(
        *("occupancy_id", "least_pct", since, until),
        *("weekdays", "from_time", "to_time", "season_from", "season_to"),
    )
    touching: dict[tuple[object, ...], bool] = {}
    for occupancy_id, least_pct, *when in rows:
        key = tuple(when)
        if key not in touching:
            opens, closes, *recurrence = when
            touching[key] = Recurrence(*recurrence).touches(
                opens or interval.starts_at, closes or interval.ends_at
            )
        if touching[key]:
            yield occupancy_id, least_pct


def streams_of(occupancy_ids: Iterable[UUID], at: datetime, *, name: str = "electricity") -> dict[UUID, UUID]:
    """The stream id that each occupancy's meter of this name fills at `at`; those without are left out."""
    streams = MeterStream.objects.filter(_holds(at), occupancy_id__in=list(occupancy_ids), name=name)
    return dict(streams.values_list("occupancy_id", "stream_id"))


def streams_at_each(
    occupancy_ids: Iterable[UUID], moments: Iterable[datetime], *, name: str = "electricity"
) -> dict[datetime, dict[UUID, UUID]]:
    """`streams_of` at each of the moments, from one statement."""
    rows = MeterStream.objects.filter(occupancy_id__in=lookups.among(occupancy_ids), name=name)
    streams = list(rows.values_list("occupancy_id", "stream_id", "starts_at", "ends_at"))
    return {
        at: {
            occupancy_id: stream_id
            for occupancy_id, stream_id, starts_at, ends_at in streams
            if starts_at <= at and (ends_at is None or at < ends_at)
        }
        for at in set(moments)
    }


def consent_windows(
    stream_ids: Iterable[UUID],
    *,
    purpose: str | None = Purpose.SETTLEMENT,
    granularity: str = Granularity.HALF_HOURLY,
    source: ReadingSource | None = None,
    to_store: bool = False,
) -> dict[UUID, list[Window]]:
    """When each stream may be stored and read for the purpose this finely: [(starts_at, ends_at or None)].

    A purpose of None is any: what may be kept at all, before it is asked what for. A household that has
    restricted use has no window for any purpose, unless it is `to_store` only.

    Windows are in order, never touch or overlap, and stay within the stream's and the household's own dates.
    Every asked stream has a key; an unknown one has no windows. `source` limits to consents for that source.
    """
    windows: dict[UUID, list[Window]] = {stream_id: [] for stream_id in stream_ids}
    streams = MeterStream.objects.filter(
        stream_id__in=list(windows),
        occupancy__consents__granularity__in=Granularity(granularity).or_finer(),
        **({} if purpose is None else {"occupancy__consents__purpose": Purpose(purpose)}),
        **({} if source is None else {"occupancy__consents__source": source}),
    )
    if purpose is not None and not to_store:
        streams = streams.exclude(occupancy__household__in=restricted_households())
    rows = streams.order_by("occupancy__consents__starts_at").values_list(
        "stream_id",
        "starts_at",
        "ends_at",
        "occupancy__starts_at",
        "occupancy__ends_at",
        "occupancy__consents__starts_at",
        "occupancy__consents__ends_at",
    )
    for stream_id, *bounds in rows:
        starts_at = max(start for start in bounds[0::2] if start is not None)
        ends_at = min((end for end in bounds[1::2] if end is not None), default=None)
        if ends_at is None or starts_at < ends_at:
            _add_window(windows[stream_id], starts_at, ends_at)
    return windows


def restricted_households() -> QuerySet[Restriction, UUID]:
    """Households of which somebody has restricted use and not lifted that, as a subquery of ids."""
    return Restriction.objects.filter(ends_at__isnull=True).values_list("member__household_id", flat=True)


def all_streams() -> list[UUID]:
    """Every stream there is or was."""
    return list(MeterStream.objects.values_list("stream_id", flat=True))


def streams_of_household(household_id: UUID) -> list[UUID]:
    """Every stream of a household, of all homes it lives or lived in, earliest first."""
    streams = MeterStream.objects.filter(occupancy__household_id=household_id)
    return list(streams.order_by("starts_at", "stream_id").values_list("stream_id", flat=True))


def streams_of_occupancy(occupancy_id: UUID) -> list[MeterStream]:
    """Every stream of one stay, earliest first."""
    return list(MeterStream.objects.filter(occupancy_id=occupancy_id).order_by("starts_at", "stream_id"))


def home_ids_of_streams(stream_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Which home each stream is in."""
    streams = MeterStream.objects.filter(stream_id__in=lookups.among(stream_ids))
    return dict(streams.values_list("stream_id", "occupancy__home_id"))


def substations(*, beside: Collection[UUID] | None = None) -> dict[UUID, str]:
    """The primary substation of each home; homes of none on record are left out.

    `beside`: of the homes that share a substation with one of these, and of no others.
    """
    homes = Home.objects.exclude(primary_substation="")
    if beside is not None:
        theirs = Home.objects.filter(pk__in=lookups.among(beside)).values("primary_substation")
        homes = homes.filter(primary_substation__in=theirs)
    return dict(homes.values_list("pk", "primary_substation"))


def homes_of_streams(stream_ids: Iterable[UUID]) -> list[StreamHome]:
    """Whose home each stream is in, by name; for staff who see homes."""
    streams = MeterStream.objects.filter(stream_id__in=list(stream_ids)).select_related("occupancy__home")
    with encryption.remembering():
        found = [
            StreamHome(stream.stream_id, stream.occupancy_id, stream.occupancy.home.name)
            for stream in list(streams)
        ]
    return sorted(found, key=lambda each: (each.name, each.stream_id))


def home_names(occupancy_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What staff call the home of each stay; for staff who see homes."""
    stays = Occupancy.objects.filter(pk__in=lookups.among(occupancy_ids)).select_related("home")
    with encryption.remembering():
        return {stay.pk: stay.home.name for stay in stays.only("pk", "home__id", "home__name")}


def substations_of(home_ids: Iterable[UUID] | None) -> dict[UUID, str]:
    """The primary substation of each home; those of which none is known are absent. None asks of all."""
    homes = Home.objects.exclude(primary_substation="")
    if home_ids is not None:
        homes = homes.filter(pk__in=lookups.among(home_ids))
    return dict(homes.values_list("pk", "primary_substation"))


def consents_in_force(occupancy_ids: Iterable[UUID], at: datetime) -> list[Consent]:
    """What the occupancies' households have agreed to at `at`, by purpose."""
    consents = Consent.objects.filter(_holds(at), occupancy_id__in=list(occupancy_ids))
    consents = consents.select_related("text", "member", "occupancy__home")
    return list(consents.order_by("purpose", "starts_at", "pk"))


def standing_opt_outs_to_come(occupancy_ids: Iterable[UUID], at: datetime) -> list[StandingOptOut]:
    """The occupancies' standing opt-outs that hold at `at` or later, by their start; none that was taken back
    before it began.
    """
    not_over = Q(ends_at__isnull=True) | Q(ends_at__gt=Greatest(F("starts_at"), Value(at)))
    opt_outs = StandingOptOut.objects.filter(not_over, occupancy_id__in=list(occupancy_ids))
    return list(opt_outs.select_related("occupancy__home").order_by("starts_at", "pk"))


def partner_of(user: User | AnonymousUser) -> Partner | None:
    """The partner that this account signs in for; None for everybody else."""
    if not user.is_authenticated:
        return None
    return Partner.objects.filter(accounts__user_id=user.pk).first()


def partners_of_homes(home_ids: Iterable[UUID], day: date) -> dict[UUID, Partner]:
    """Which partner each of the homes has on the Europe/London date; those of none are left out."""
    links = PartnerHome.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=day), home_id__in=list(home_ids), starts_on__lte=day
    )
    return {link.home_id: link.partner for link in links.select_related("partner")}


def partner_home_count(partner_id: UUID, day: date) -> int:
    """How many homes the partner has on the Europe/London date."""
    links = PartnerHome.objects.filter(partner_id=partner_id, starts_on__lte=day)
    return links.filter(Q(ends_on__isnull=True) | Q(ends_on__gt=day)).count()


def partners_since() -> dict[UUID, date]:
    """The first day on which each partner has a home, for those that ever had one."""
    rows = PartnerHome.objects.values("partner_id").annotate(since=Min("starts_on"))
    return {row["partner_id"]: row["since"] for row in rows}


def partner_streams(partner_id: UUID, first: date, past: date) -> list[UUID]:
    """Streams of the partner's homes that may be counted over all of the days [first, past).

    The home is the partner's, one household lives there, one meter is its, and it agrees to be counted, from
    the first moment to the last: whoever comes or goes in between is not among them.
    """
    links = PartnerHome.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gte=past), partner_id=partner_id, starts_on__lte=first
    )
    starts_at, ends_at = day_interval(first).starts_at, day_interval(past).starts_at
    streams = MeterStream.objects.filter(
        occupancy__home__in=links.values("home_id"), name="electricity", starts_at__lte=starts_at
    )
    windows = consent_windows(
        streams.values_list("stream_id", flat=True),
        purpose=Purpose.PARTNER_TOTALS,
        granularity=Granularity.DAILY,
    )
    return sorted(
        stream_id
        for stream_id, spans in windows.items()
        if any(opens <= starts_at and (closes is None or closes >= ends_at) for opens, closes in spans)
    )


def account_holder_of(household_id: UUID, at: datetime) -> Member | None:
    """Who answers for the household's money and homes: of its members, who has been one for longest.

    Where nobody is one any more, it is who left last: what is still owed is theirs.
    """
    people = Member.objects.filter(household_id=household_id, joined_at__lte=at)
    current = people.filter(Q(left_at=None) | Q(left_at__gt=at)).order_by("joined_at", "number").first()
    return current or people.order_by("-left_at", "joined_at", "number").first()


def member_of(user: User | AnonymousUser) -> Member | None:
    """The member who signs in with this account, with the household; None for staff and strangers."""
    if not user.is_authenticated:
        return None
    return Member.objects.select_related("household").filter(user_id=user.pk).first()


def _add_window(windows: list[Window], starts_at: datetime, ends_at: datetime | None) -> None:
    """Append in order of start, joined to the latest window when they touch."""
    if not windows or (windows[-1][1] is not None and windows[-1][1] < starts_at):
        windows.append((starts_at, ends_at))
        return
    first, latest = windows[-1]
    windows[-1] = (first, None if latest is None or ends_at is None else max(latest, ends_at))


def _holds(at: datetime, prefix: str = "") -> Q:
    return Q(**{f"{prefix}starts_at__lte": at}) & (
        Q(**{f"{prefix}ends_at__isnull": True}) | Q(**{f"{prefix}ends_at__gt": at})
    )
