"""Joining the co-op: a member, a home, a household's stay in it and the meter stream that stay fills.

Called by sign-up, staff pages and imports; what comes next (`consenting.py`, `assets.installing`) hangs on
the occupancy made here.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction
from django.db.models import BigIntegerField, Max
from django.db.models.functions import Cast, Substr

from members import entry
from members.constraints import refused_as
from members.models import Home, Household, Member, MeterStream, Occupancy, User
from members.sql import MEMBER_NUMBER_SEQUENCE
from opendsr.kernel.errors import DomainError


class EmailTaken(DomainError):
    """Somebody signs in with this address already."""

    field: str


class MemberNumberTaken(DomainError):
    """The number belongs to another member."""

    field: str
    number: str


class MpanTaken(DomainError):
    """The meter point is registered already; a household that moves in needs `move_in`, not another home."""

    field: str


class HomeOccupied(DomainError):
    """Another household's stay covers this moment; it has to move out first."""

    home_id: str


class NobodyLivesThere(DomainError):
    """The occupancy does not cover this moment."""

    occupancy_id: str


class StreamAlreadyOpen(DomainError):
    """The occupancy has a stream of this name at this moment."""

    occupancy_id: str
    name: str


@transaction.atomic
def join_member(
    *,
    full_name: str,
    at: datetime,
    household: Household | None = None,
    household_name: str | None = None,
    email: str | None = None,
    password: str | None = None,
    number: str | None = None,
) -> Member:
    """Make a member, in the household given or in a new one, with a sign-in account when an email is given.

    Without `number` the next free one is taken; two joins at once never share one. An account without a
    password cannot sign in until its owner sets one. Raises InvalidField, EmailTaken, MemberNumberTaken.
    """
    name = entry.one_line(full_name, field="full_name", longest=120)
    if household is None:
        household = Household.objects.create(
            name=entry.one_line(household_name or name, field="household_name", longest=120)
        )
    user = None
    if email:
        with refused_as(user_one_an_email=EmailTaken(field="email")):
            user = User.objects.create_user(entry.email(email), password)
    details = {"full_name": name, "household": household, "user": user, "joined_at": at}
    if number is None:
        return _with_next_number(details)
    return _with_number(entry.member_number(number), details)


@transaction.atomic
def register_home(
    *,
    name: str,
    postcode: str,
    mpan: str,
    gsp_group: str,
    at: datetime,
    address: str = "",
    primary_substation: str = "",
    cmz: str = "",
) -> Home:
    """Record premises by their meter point; a doubtful check digit is kept (`home.is_mpan_doubtful`).

    Raises InvalidField and MpanTaken.
    """
    home = Home(
        name=entry.one_line(name, field="name", longest=80),
        address=entry.one_line(address, field="address", longest=200, may_be_empty=True),
        postcode=entry.postcode(postcode),
        mpan=entry.mpan(mpan),
        gsp_group=entry.gsp_group(gsp_group),
        primary_substation=entry.one_line(
            primary_substation, field="primary_substation", longest=60, may_be_empty=True
        ),
        cmz=entry.one_line(cmz, field="cmz", longest=60, may_be_empty=True),
    )
    with refused_as(home_one_a_mpan=MpanTaken(field="mpan")):
        home.save(force_insert=True)
    return home


@transaction.atomic
def move_in(*, household: Household, home: Home, at: datetime) -> Occupancy:
    """Start the household's stay at `at`, open-ended; raises HomeOccupied when another stay runs into it."""
    # Two stays inserted at once would wait for each other in the exclusion constraint, until one is shot.
    Home.objects.select_for_update(no_key=True).get(pk=home.pk)
    with refused_as(occupancy_one_household_a_home=HomeOccupied(home_id=str(home.pk))):
        return Occupancy.objects.create(household=household, home=home, starts_at=at)


@transaction.atomic
def open_stream(*, occupancy: Occupancy, at: datetime, name: str = "electricity") -> MeterStream:
    """Give the stay a fresh random stream id from `at` on, until it ends.

    Raises StreamAlreadyOpen, and NobodyLivesThere when the stay does not cover `at`.
    """
    name = entry.one_line(name, field="name", longest=40)
    stay = Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    if not stay.is_current(at):
        raise NobodyLivesThere(occupancy_id=str(stay.pk))
    taken = StreamAlreadyOpen(occupancy_id=str(stay.pk), name=name)
    with refused_as(meterstream_one_at_a_time=taken):
        return MeterStream.objects.create(occupancy=stay, name=name, starts_at=at, ends_at=stay.ends_at)


def _with_next_number(details: dict[str, object]) -> Member:
    """Insert under the sequence's next number; past one that an import took, the sequence catches up."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(%s)", [MEMBER_NUMBER_SEQUENCE])
            number = entry.member_number(str(cursor.fetchone()[0]))
        try:
            return _with_number(number, details)
        except MemberNumberTaken:
            catch_up_numbers()


def _with_number(number: str, details: dict[str, object]) -> Member:
    taken = MemberNumberTaken(field="number", number=number)
    with refused_as(members_member_number_key=taken):
        return Member.objects.create(number=number, **details)


def catch_up_numbers() -> None:
    """Move the sequence of membership numbers past the highest in use; a race only costs another round."""
    highest = Member.objects.aggregate(highest=Max(Cast(Substr("number", 3), BigIntegerField())))["highest"]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT setval(%s, %s) FROM {MEMBER_NUMBER_SEQUENCE} WHERE last_value < %s",  # noqa: S608 a constant
            [MEMBER_NUMBER_SEQUENCE, highest, highest],
        )
