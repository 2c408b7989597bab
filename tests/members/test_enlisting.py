"""A register from a file: every row taken or refused for itself, nothing changed that is on record."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members import enlisting, joining, supplying
from members.enlisting import COLUMNS, enlist
from members.models import Home, Household, Member, MeterStream, Occupancy, User
from members.mpan import check_digit
from members.rows import RowsUnusable
from members.supply_models import Supply
from opendsr.kernel.models import AuditEntry

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
BY = "staff:1"


def mpan(number: int) -> str:
    first = f"10{number:010}"
    return first + check_digit(first)


def row(number: int = 1, **changes: str) -> dict[str, str]:
    return {
        "number": str(number),
        "full_name": f"Robin Reed {number}",
        "email": f"robin{number}@example.org",
        "joined_on": "2024-05-01",
        "home": f"{number} Weir Lane",
        "address": f"{number} Weir Lane, Calder",
        "postcode": "M15 5RF",
        "mpan": mpan(number),
        "gsp_group": "G",
        "moved_in_on": "2024-06-01",
    } | changes


def text(*rows: dict[str, str], delimiter: str = ",") -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def counts() -> tuple[int, ...]:
    models = (Member, Household, Home, Occupancy, MeterStream, User)
    return tuple(model.objects.count() for model in models)


def refused(report: enlisting.Report) -> list[tuple[int, str, str]]:
    return [(each.line, each.field, each.code) for each in report.rejects]


def test_a_member_a_home_and_since_when():
    report = enlist(text(row()), at=AT, by=BY)

    assert (report.members, report.homes, report.stays, report.unchanged, report.rejects) == (1, 1, 1, 0, ())
    member = Member.objects.get()
    assert (member.number, member.full_name, member.user.email) == (
        "M-00001",
        "Robin Reed 1",
        "robin1@example.org",
    )
    assert member.joined_at == datetime(2024, 4, 30, 23, tzinfo=UTC)  # the London day begins in summer time
    assert not member.user.has_usable_password()
    stay = Occupancy.objects.get()
    assert (stay.household, stay.starts_at) == (member.household, datetime(2024, 5, 31, 23, tzinfo=UTC))
    assert MeterStream.objects.get().occupancy == stay
    [entry] = AuditEntry.objects.all()
    assert entry.detail == {"members": 1, "homes": 1, "stays": 1}


def test_the_same_file_again_changes_nothing():
    file = text(row(1), row(2), row(3, email="", mpan="", postcode="", gsp_group="", home="", address=""))
    enlist(file, at=AT, by=BY)
    before = counts()
    report = enlist(file, at=AT, by=BY)
    assert (report.unchanged, report.members, report.rejects) == (3, 0, ())
    assert counts() == before
    assert AuditEntry.objects.count() == 1


def test_people_of_one_home_are_one_household_and_one_person_may_have_two_homes():
    report = enlist(
        text(row(1), row(2, mpan=mpan(1)), row(1, mpan=mpan(9), home="The cottage")), at=AT, by=BY
    )
    assert refused(report) == []
    one, two = Member.objects.order_by("number")
    assert one.household == two.household
    assert Occupancy.objects.filter(household=one.household).count() == 2


def test_a_dry_run_stores_nothing_and_says_the_same():
    file = text(row(1), row(2, mpan=mpan(1)), row(3, email="x"))
    told = enlist(file, at=AT, by=BY, dry_run=True)
    assert counts() == (0, 0, 0, 0, 0, 0)
    assert enlist(file, at=AT, by=BY) == told


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"number": "x"}, "number", "not_a_member_number"),
        ({"full_name": " "}, "full_name", "empty"),
        ({"full_name": "R" * 121}, "full_name", "too_long"),
        ({"full_name": "Robin\u202e"}, "full_name", "control_character"),
        ({"email": "robin"}, "email", "not_an_email_address"),
        ({"postcode": "M15"}, "postcode", "not_a_postcode"),
        ({"mpan": "1.0E+12"}, "mpan", "not_13_digits"),
        ({"mpan": ""}, "mpan", "home_incomplete"),
        ({"gsp_group": "Z"}, "gsp_group", "not_a_gsp_group"),
        ({"joined_on": "01/05/2024"}, "joined_on", "not_a_date"),
        ({"joined_on": "0001-01-01"}, "joined_on", "not_a_date"),
        ({"joined_on": "2027-01-01"}, "joined_on", "in_the_future"),
        ({"moved_in_on": "soon"}, "moved_in_on", "not_a_date"),
        ({"payment_method": "cheque"}, "payment_method", "not_a_payment_method"),
        (
            {
                "payment_method": "prepayment",
                "mpan": "",
                "postcode": "",
                "gsp_group": "",
                "home": "",
                "address": "",
            },
            "mpan",
            "home_incomplete",
        ),
    ],
)
def test_a_bad_row_sinks_no_good_one(changes, field, code):
    report = enlist(text(row(1), row(2) | changes, row(3)), at=AT, by=BY)
    assert refused(report) == [(3, field, code)]
    assert report.rejects[0].fix == enlisting.FIXES[code]
    assert report.members == 2
    again = "".join(enlisting.reject_file(report))
    assert enlist(again, at=AT, by=BY).members == 0  # still wrong, and said again
    assert Member.objects.count() == 2


def test_how_homes_pay_is_noted_from_the_day_they_moved_in():
    rows = [
        row(1, payment_method="Direct debit"),
        row(2, mpan=mpan(1)),
        row(3, payment_method="PREPAYMENT"),
        row(4),
        row(5, mpan=mpan(3), payment_method="standard-credit"),
        row(6, mpan=mpan(4), payment_method=" not_said "),
    ]
    told = enlist(text(*rows), at=AT, by=BY, dry_run=True)
    assert not Supply.objects.exists()
    report = enlist(text(*rows), at=AT, by=BY)

    assert report == told
    assert refused(report) == [(6, "payment_method", "other_payment_method")]
    assert (report.stays, report.payment_methods) == (3, 3)
    kept = Supply.objects.order_by("payment_method").values_list("payment_method", "starts_on", "noted_by")
    day = date(2024, 6, 1)
    assert list(kept) == [("direct_debit", day, BY), ("not_said", day, BY), ("prepayment", day, BY)]
    [entry] = AuditEntry.objects.filter(verb="register.taken_in")
    assert entry.detail == {"members": 5, "homes": 3, "stays": 3, "payment_methods": 3}


def test_how_a_home_on_record_pays_is_added_once_and_never_changed():
    enlist(text(row(1), row(2)), at=AT, by=BY)
    stay = Occupancy.objects.get(household__members__number="M-00001")
    supplying.note_supply(occupancy=stay, supplier="Any", starts_on=date(2024, 6, 1), at=AT, by=BY)
    file = text(row(1, payment_method="prepayment"), row(2))

    first, again = (enlist(file, at=AT, by=BY) for _ in range(2))

    assert (first.payment_methods, first.unchanged) == (1, 1)
    assert (again.payment_methods, again.unchanged) == (0, 2)
    [supply] = Supply.objects.all()
    assert (supply.supplier, supply.payment_method) == ("Any", "prepayment")
    other = enlist(text(row(1, payment_method="direct_debit"), row(2)), at=AT, by=BY)
    assert refused(other) == [(2, "payment_method", "other_payment_method")]
    assert "household's page" in other.rejects[0].fix


class TestAgainstTheRecords:
    @pytest.fixture(autouse=True)
    def _known(self):
        enlist(text(row(1), row(2)), at=AT, by=BY)

    @pytest.mark.parametrize(
        ("changed", "field", "code"),
        [
            (row(1, full_name="Somebody Else"), "full_name", "other_name"),
            (row(3, email="robin1@example.org"), "email", "email_taken"),
            (row(1, email="robin2@example.org"), "email", "email_taken"),
            (row(1, email="other@example.org"), "email", "other_email"),
            (row(1, mpan=mpan(2)), "mpan", "other_household"),
            (row(3, mpan=mpan(2), postcode="M1 1AA"), "mpan", "other_home"),
        ],
    )
    def test_what_says_otherwise_is_refused_and_changes_nothing(self, changed, field, code):
        before = counts()
        report = enlist(text(changed), at=AT, by=BY)
        assert refused(report) == [(2, field, code)]
        assert counts() == before

    def test_a_name_written_otherwise_is_the_same_name(self):
        assert enlist(text(row(1, full_name="ROBIN  reed 1")), at=AT, by=BY).unchanged == 1

    def test_the_next_who_joins_gets_a_free_number(self):
        enlist(text(row(7_000)), at=AT, by=BY)
        assert joining.join_member(full_name="Next One", at=AT).number == "M-07001"

    def test_twice_in_a_file(self):
        assert refused(enlist(text(row(5), row(5)), at=AT, by=BY)) == [(3, "number", "twice")]
        assert refused(enlist(text(row(6), row(8, email="robin6@example.org")), at=AT, by=BY)) == [
            (3, "email", "email_taken")
        ]


@pytest.mark.parametrize("bad", ["", "\n\n", "name,mail\nx,y\n", "number,full_name\n", '"', "number\nx"])
def test_what_is_no_register_is_refused_whole(bad):
    with pytest.raises(RowsUnusable):
        enlist(bad, at=AT, by=BY)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_whatever_the_spreadsheet_writes(delimiter):
    file = "\ufeff" + text(row(1), row(2), delimiter=delimiter).replace("\n", "\r\n")
    assert enlist(file, at=AT, by=BY).members == 2


def test_progress_is_told(monkeypatch):
    monkeypatch.setattr(enlisting, "BATCH", 2)
    told: list[tuple[int, int]] = []
    file = text(*(row(number) for number in range(1, 6)), row(6, email="x"))
    enlist(file, at=AT, by=BY, progress=lambda done, of: told.append((done, of)))
    assert told == [(3, 6), (5, 6), (6, 6)]


USUAL = ["1", "M-00002", mpan(1), "M15 5RF", "G", "2024-05-01", "=1+1", "\x00"]
CELLS = st.text(max_size=12) | st.sampled_from(USUAL)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(COLUMNS), CELLS, max_size=12), max_size=6))
def test_any_rows_are_taken_or_refused_and_none_is_lost(rows):
    before = counts()
    try:
        report = enlist(text(row(1), *rows), at=AT, by=BY, dry_run=True)
    except RowsUnusable:
        return
    taken = report.rows - len(report.rejects)
    assert report.members + report.unchanged <= taken <= report.members + report.stays + report.unchanged
    assert counts() == before
    for line in enlisting.reject_file(report):
        assert not line.startswith(("=", "+", "-", "@"))
