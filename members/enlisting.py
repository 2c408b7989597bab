"""A co-op's register taken in from a file: members, their homes, since when they live there, how they pay.

A row is one member in one home; a member with two homes has two rows, people of one home a row each with its
MPAN. Offering the same file again changes nothing. Every row is taken or refused for itself; nothing is ever
changed that is on record: a row that says otherwise than the records is refused, with what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction

from members import entry, supplying
from members.joining import catch_up_numbers
from members.models import Home, Household, Member, MeterStream, Occupancy, User
from members.rows import Reject, RowsUnusable, read_rows, reject_lines
from members.supply_models import PaymentMethod, Supply
from opendsr.kernel import audit, encryption
from opendsr.kernel.periods import civil_date, day_interval

REQUIRED: Final = ("number", "full_name")
OPTIONAL: Final = (
    "email",
    "joined_on",
    "home",
    "address",
    "postcode",
    "mpan",
    "gsp_group",
    "primary_substation",
    "cmz",
    "moved_in_on",
    "payment_method",
)
COLUMNS: Final = (*REQUIRED, *OPTIONAL)
MOST_ROWS: Final = 50_000
BATCH: Final = 500
EARLIEST: Final = date(1900, 1, 1)

FIXES: Final = {
    "empty": "Write it: it cannot be left out.",
    "too_long": "Shorten it.",
    "control_character": "Type it anew: it holds a character that cannot be seen.",
    "not_a_postcode": "Write the postcode as in M15 5RF.",
    "not_13_digits": "Write the MPAN's 13 digits, as on the electricity bill; in a spreadsheet as text.",
    "not_a_gsp_group": "Write the GSP group's letter, A to P without I and O.",
    "not_an_email_address": "Write an address such as robin@example.org, or leave it empty.",
    "not_a_member_number": "Write the number as 7 or M-00007.",
    "not_a_date": "Write the date as 2026-01-31.",
    "in_the_future": "Write a day that has come.",
    "other_name": "This number is another person's in the records: correct the number or the name.",
    "other_email": "The records have no such address for this member: change it in the records, not here.",
    "email_taken": "This address signs in for somebody else: each person has their own, or none.",
    "other_household": "Another household lives at this meter on record: end its stay first.",
    "other_home": "This MPAN is recorded with another postcode or GSP group: correct the one that is wrong.",
    "twice": "The same member and home stand in the file twice: keep one row.",
    "not_a_payment_method": f"Write {', '.join(PaymentMethod.values)}, or leave it empty.",
    "other_payment_method": "This home pays otherwise by the records: change it on its household's page.",
    "home_incomplete": "A home needs mpan, postcode and gsp_group: write all three, or none of the home.",
    "not_stored": "The records changed while the file was read: offer this row again.",
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a file came to. `unchanged` rows were on record already; `payment_methods` counts those noted."""

    rows: int
    members: int
    homes: int
    stays: int
    payment_methods: int
    unchanged: int
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row made fit to store."""

    line: int
    cells: tuple[str, ...]
    number: str
    full_name: str
    email: str
    joined_at: datetime
    home: Home | None
    moved_in_at: datetime
    payment_method: str


class _Refused(Exception):
    def __init__(self, field: str, value: str, code: str) -> None:
        self.field, self.value, self.code = field, value, code
        super().__init__(code)


@dataclass(slots=True)
class _Records:
    """What is on record of the people and homes of some rows, kept up as rows are taken."""

    members: dict[str, Member] = field(default_factory=dict)
    emails: dict[str, str | None] = field(default_factory=dict)
    homes: dict[str, Home] = field(default_factory=dict)
    stays: dict[str, Occupancy] = field(default_factory=dict)
    payment_methods: dict[str, str] = field(default_factory=dict)


def enlist(
    text: str, *, at: datetime, by: str, dry_run: bool = False, progress: Progress | None = None
) -> Report:
    """Take in a register; `dry_run` stores nothing. Raises RowsUnusable when nothing can be read.

    `progress(done, of)` is called after each batch of rows. Each batch is a transaction of its own, so that
    what was taken stays taken; a batch that cannot be stored whole is stored row by row.
    """
    given = list(read_rows(text, required=REQUIRED, optional=OPTIONAL, most_rows=MOST_ROWS))
    if not given:
        raise RowsUnusable(found="a header and no row", expected="a row for each member")
    report = _Tally(rows=len(given))
    seen: set[tuple[str, str]] = set()
    rows: list[_Row] = []
    for line, cells in given:
        try:
            row = _read(line, cells, at)
            key = (row.number, row.home.mpan if row.home else "")
            if key in seen:
                raise _Refused("number", cells[0], "twice")
            seen.add(key)
        except _Refused as refused:
            report.refuse(line, cells, refused)
        else:
            rows.append(row)
    with encryption.remembering(), transaction.atomic() if dry_run else nullcontext():
        for first in range(0, len(rows), BATCH):
            _take(rows[first : first + BATCH], report, at, by)
            if progress is not None:
                progress(min(first + BATCH, len(rows)) + len(given) - len(rows), len(given))
        if dry_run:
            transaction.set_rollback(True)
        else:
            catch_up_numbers()
    report.rejects.sort(key=lambda each: each.line)
    return Report(
        report.rows,
        report.members,
        report.homes,
        report.stays,
        report.payment_methods,
        report.unchanged,
        tuple(report.rejects),
    )


def reject_file(report: Report) -> Iterator[str]:
    """The refused rows as a file, each with its reason and fix behind it, to correct and offer again."""
    return reject_lines(COLUMNS, report.rejects)


@dataclass(slots=True)
class _Tally:
    rows: int
    members: int = 0
    homes: int = 0
    stays: int = 0
    payment_methods: int = 0
    unchanged: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def refuse(self, line: int, cells: tuple[str, ...], refused: _Refused) -> None:
        fix = FIXES[refused.code]
        self.rejects.append(Reject(line, refused.field, refused.value, refused.code, fix, cells))


def _take(rows: Sequence[_Row], tally: _Tally, at: datetime, by: str) -> None:
    """Store a batch; should something else have been stored meanwhile, store its rows one by one."""
    before = (
        tally.members,
        tally.homes,
        tally.stays,
        tally.payment_methods,
        tally.unchanged,
        len(tally.rejects),
    )
    try:
        with transaction.atomic():
            _store(rows, tally, at, by)
        return
    except IntegrityError:
        tally.members, tally.homes, tally.stays, tally.payment_methods, tally.unchanged, rejects = before
        del tally.rejects[rejects:]
    if len(rows) == 1:
        tally.refuse(rows[0].line, rows[0].cells, _Refused("number", rows[0].number, "not_stored"))
        return
    for row in rows:
        _take([row], tally, at, by)


def _store(rows: Sequence[_Row], tally: _Tally, at: datetime, by: str) -> None:
    records = _on_record(rows)
    users: list[User] = []
    households: list[Household] = []
    members: list[Member] = []
    homes: list[Home] = []
    stays: list[Occupancy] = []
    begun: set[str] = set()
    supplies: list[Supply] = []
    paying: list[tuple[Occupancy, str]] = []
    for row in rows:
        try:
            _check(row, records)
        except _Refused as refused:
            tally.refuse(row.line, row.cells, refused)
            continue
        is_new = False
        mpan = row.home.mpan if row.home else ""
        stay = records.stays.get(mpan) if mpan else None
        member = records.members.get(row.number)
        if member is None:
            household = stay.household if stay else Household(name=row.full_name)
            if stay is None:
                households.append(household)
            user = None
            if row.email:
                user = User(email=row.email, password=make_password(None))
                users.append(user)
            member = Member(
                number=row.number,
                full_name=row.full_name,
                household=household,
                user=user,
                joined_at=row.joined_at,
            )
            members.append(member)
            records.members[row.number] = member
            if row.email:
                records.emails[row.email] = row.number
            is_new = True
        if row.home is not None and stay is None:
            home = records.homes.get(mpan)
            if home is None:
                home = row.home
                homes.append(home)
                records.homes[mpan] = home
            stay = Occupancy(home=home, household=member.household, starts_at=row.moved_in_at)
            stays.append(stay)
            records.stays[mpan] = stay
            begun.add(mpan)
            is_new = True
        if row.payment_method and stay is not None and mpan not in records.payment_methods:
            if mpan in begun:
                supplies.append(
                    Supply(
                        occupancy=stay, payment_method=row.payment_method,
                        starts_on=civil_date(stay.starts_at), noted_at=at, noted_by=by,
                    )
                )  # fmt: skip
            else:
                paying.append((stay, row.payment_method))
            records.payment_methods[mpan] = row.payment_method
            is_new = True
        tally.unchanged += not is_new
    User.objects.bulk_create(users)
    Household.objects.bulk_create(households)
    Member.objects.bulk_create(members)
    Home.objects.bulk_create(homes)
    Occupancy.objects.bulk_create(stays)
    MeterStream.objects.bulk_create(
        MeterStream(occupancy=stay, name="electricity", starts_at=stay.starts_at) for stay in stays
    )
    Supply.objects.bulk_create(supplies)
    for stay, payment_method in paying:
        supplying.note_supply(
            occupancy=stay, payment_method=payment_method, starts_on=civil_date(stay.starts_at), at=at, by=by
        )
    tally.members += len(members)
    tally.homes += len(homes)
    tally.stays += len(stays)
    tally.payment_methods += len(supplies) + len(paying)
    if members or homes or stays:
        detail = {"members": len(members), "homes": len(homes), "stays": len(stays)}
        if supplies:
            detail["payment_methods"] = len(supplies)
        audit.record(at=at, actor=by, verb="register.taken_in", target="register", detail=detail)


def _check(row: _Row, records: _Records) -> None:
    """Refuse a row that says otherwise than what is on record."""
    member = records.members.get(row.number)
    if member is not None and _plain(member.full_name) != _plain(row.full_name):
        raise _Refused("full_name", row.full_name, "other_name")
    if row.email:
        holder = records.emails.get(row.email, "")
        if member is None and holder != "":
            raise _Refused("email", row.email, "email_taken")
        if member is not None and holder != row.number:
            raise _Refused("email", row.email, "email_taken" if holder != "" else "other_email")
    if row.home is None:
        return
    home = records.homes.get(row.home.mpan)
    if home is not None and (home.postcode, home.gsp_group) != (row.home.postcode, row.home.gsp_group):
        raise _Refused("mpan", row.home.mpan, "other_home")
    stay = records.stays.get(row.home.mpan)
    if stay is not None and member is not None and stay.household != member.household:
        raise _Refused("mpan", row.home.mpan, "other_household")
    paid = records.payment_methods.get(row.home.mpan, row.payment_method)
    if row.payment_method and row.payment_method != paid:
        raise _Refused("payment_method", row.payment_method, "other_payment_method")


def _on_record(rows: Sequence[_Row]) -> _Records:
    """Read what is there of these rows' numbers, addresses and meters, locking the homes."""
    records = _Records()
    numbers = [row.number for row in rows]
    for member in Member.objects.filter(number__in=numbers).select_related("household", "user"):
        records.members[member.number] = member
    emails = [row.email for row in rows if row.email]
    for user in User.objects.filter(email__in=emails).select_related("member"):
        holder = getattr(user, "member", None)
        records.emails[user.email] = holder.number if holder else None
    mpans = [row.home.mpan for row in rows if row.home]
    for home in Home.objects.select_for_update(no_key=True).filter(mpan_index__in=mpans).order_by("pk"):
        records.homes[home.mpan] = home
    stays = Occupancy.objects.filter(home__mpan_index__in=mpans, ends_at=None)
    stays = stays.select_related("home", "household")
    for stay in stays:
        records.stays[stay.home.mpan] = stay
    mpan_of = {stay.pk: mpan for mpan, stay in records.stays.items()}
    told = Supply.objects.filter(occupancy__in=mpan_of).exclude(payment_method="").order_by("starts_on")
    for stay_id, payment_method in told.values_list("occupancy", "payment_method"):
        records.payment_methods[mpan_of[stay_id]] = payment_method
    return records


def _read(line: int, cells: tuple[str, ...], at: datetime) -> _Row:
    """Make a row fit to store; raises _Refused."""
    given = dict(zip(COLUMNS, cells, strict=True))

    def fit(name: str, make: Callable[[str], str]) -> str:
        try:
            return make(given[name])
        except entry.InvalidField as error:
            raise _Refused(name, given[name], str(error.data["problem"])) from error

    def text(name: str, longest: int, *, may_be_empty: bool = True) -> str:
        return fit(
            name,
            lambda value: entry.one_line(value, field=name, longest=longest, may_be_empty=may_be_empty),
        )

    number = fit("number", lambda value: entry.member_number(value))
    full_name = text("full_name", 120, may_be_empty=False)
    email = fit("email", entry.email) if given["email"] else ""
    joined_at = _day(given, "joined_on", at) or at
    home = None
    moved_in_at = joined_at
    if any(given[name] for name in ("mpan", "postcode", "gsp_group", "home", "address", "payment_method")):
        for name in ("mpan", "postcode", "gsp_group"):
            if not given[name]:
                raise _Refused(name, "", "home_incomplete")
        postcode = fit("postcode", entry.postcode)
        address = text("address", 200)
        home = Home(
            mpan=fit("mpan", lambda value: entry.mpan(value)),
            postcode=postcode,
            gsp_group=fit("gsp_group", entry.gsp_group),
            name=text("home", 80) or (address or postcode)[:80],
            address=address,
            primary_substation=text("primary_substation", 60),
            cmz=text("cmz", 60),
        )
        moved_in_at = _day(given, "moved_in_on", at) or joined_at
    return _Row(line, cells, number, full_name, email, joined_at, home, moved_in_at, _payment_method(given))


def _payment_method(given: dict[str, str]) -> str:
    """As it is stored, in whatever case and with whatever between its words; "" when none is given."""
    text = "_".join(given["payment_method"].casefold().replace("_", " ").replace("-", " ").split())
    if text and text not in PaymentMethod.values:
        raise _Refused("payment_method", given["payment_method"], "not_a_payment_method")
    return text


def _day(given: dict[str, str], name: str, at: datetime) -> datetime | None:
    """The start of a London day; None when none is given."""
    if not given[name]:
        return None
    try:
        day = date.fromisoformat(given[name])
    except ValueError:
        raise _Refused(name, given[name], "not_a_date") from None
    if day < EARLIEST:
        raise _Refused(name, given[name], "not_a_date")
    moment = day_interval(day).starts_at
    if moment > at:
        raise _Refused(name, given[name], "in_the_future")
    return moment


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
