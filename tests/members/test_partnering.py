"""Partners: made by staff, signed in for by people of theirs, their homes linked row by row."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members import consenting, partnering, policy, queries
from members.models import Granularity, Purpose, Role
from members.moving import move_out
from members.partner_models import Partner, PartnerAccount, PartnerHome
from members.partnering import AccountInUse, PartnerNameTaken, link_homes
from members.rows import RowsUnusable
from opendsr.kernel.models import AuditEntry
from tests.factories import JOINED_AT, Resident, make_consent_texts, make_home, make_resident, make_staff

pytestmark = pytest.mark.django_db
AT = datetime(2026, 1, 5, tzinfo=UTC)
FIRST, PAST = date(2026, 2, 1), date(2026, 3, 1)


@pytest.fixture
def partner(db: None) -> Partner:
    return partnering.make_partner(name="Calder Homes", by="staff:1", at=AT)


def link(partner: Partner, text: str, *, dry_run: bool = False) -> partnering.LinkReport:
    return link_homes(partner=partner, text=text, by="staff:1", at=AT, dry_run=dry_run)


def agree(resident: Resident, at: datetime = JOINED_AT) -> None:
    """The household agrees to be counted."""
    make_consent_texts()
    consenting.give_consent(
        member=resident.member, occupancy=resident.occupancy, purpose=Purpose.PARTNER_TOTALS,
        granularity=Granularity.DAILY, channel="web", at=at,
    )  # fmt: skip


def test_a_name_is_one_partners(partner):
    with pytest.raises(PartnerNameTaken):
        partnering.make_partner(name=" Calder  Homes ", by="staff:1", at=AT)
    assert AuditEntry.objects.get(verb="partner.made").target == f"partner:{partner.pk}"


def test_an_account_sees_its_partner_until_it_is_taken_away(partner, alice):
    user = partnering.open_account(partner=partner, email="Pat@Calder.example", by="staff:1", at=AT)
    again = partnering.open_account(partner=partner, email="pat@calder.example", by="staff:1", at=AT)

    assert again == user
    assert not user.has_usable_password()
    assert policy.own_partner(user) == partner
    with pytest.raises(partnering.PartnerNotFound):
        policy.own_partner(alice.user)

    partnering.close_account(partner=partner, user_id=user.pk, by="staff:1", at=AT)
    user = type(user).objects.get(pk=user.pk)
    with pytest.raises(partnering.PartnerNotFound):
        policy.own_partner(user)
    assert not policy.has_role(user, Role.PARTNER)


def test_staff_and_people_of_another_partner_do_not_sign_in_for_it(partner):
    other = partnering.make_partner(name="Other", by="staff:1", at=AT)
    partnering.open_account(partner=other, email="pat@other.example", by="staff:1", at=AT)
    make_staff("ada@example.org", Role.ADMINISTRATOR)

    for email in ("pat@other.example", "ada@example.org"):
        with pytest.raises(AccountInUse):
            partnering.open_account(partner=partner, email=email, by="staff:1", at=AT)
    assert PartnerAccount.objects.count() == 1


def test_only_member_services_and_administrators_look_after_partners(partner, sam):
    assert policy.access_partner(make_staff("mo@example.org", Role.MEMBER_SERVICES), partner.pk) == partner
    with pytest.raises(policy.Forbidden):
        policy.access_partner(sam, partner.pk)


def test_homes_are_linked_by_mpan_or_name_and_again_changes_nothing(partner):
    one, two = make_home(name="1 Mill Lane"), make_home(name="2 Mill Lane")
    spaced = f"{two.mpan[:2]} {two.mpan[2:6]} {two.mpan[6:]}"
    text = f"Home;starts_on;ends_on\r\n1 Mill Lane;2026-01-01;\r\n{spaced};2026-02-01;2026-06-01\r\n"

    tried = link(partner, text, dry_run=True)
    assert not PartnerHome.objects.exists()
    done, again = link(partner, text), link(partner, text)

    assert tried == done
    assert (done.rows, done.linked, done.rejects) == (2, 2, ())
    assert (again.linked, again.ended, again.unchanged) == (0, 0, 2)
    assert set(PartnerHome.objects.values_list("home", "starts_on", "ends_on")) == {
        (one.pk, date(2026, 1, 1), None), (two.pk, FIRST, date(2026, 6, 1)),
    }  # fmt: skip
    ended = link(partner, "home,starts_on,ends_on\n1 Mill Lane,2026-01-01,2026-05-01\n")
    assert (ended.ended, PartnerHome.objects.get(home=one).ends_on) == (1, date(2026, 5, 1))


def test_each_bad_row_is_named_and_costs_no_other(partner):
    home = make_home(name="1 Mill Lane")
    make_home(name="Twin"), make_home(name="Twin")
    other = partnering.make_partner(name="Other", by="staff:1", at=AT)
    taken = make_home(name="Taken")
    link(other, "home,starts_on\nTaken,2025-01-01\n")
    rows = [
        "nowhere,2026-01-01,", "Twin,2026-01-01,", ",2026-01-01,", "1 Mill Lane,1 January,",
        "1 Mill Lane,2026-01-01,soon", "1 Mill Lane,2026-01-01,2026-01-01", "Taken,2026-01-01,",
        "1 Mill Lane,2026-01-01,", "1 Mill Lane,2026-01-01,2027-01-01", "=cmd,2026-01-01,", "1 Mill Lane",
    ]  # fmt: skip

    done = link(partner, "home,starts_on,ends_on\n" + "\n".join(rows))

    assert done.linked == 1
    assert [(each.line, each.field, each.code) for each in done.rejects] == [
        (2, "home", "unknown_home"), (3, "home", "ambiguous_home"), (4, "home", "not_a_row"),
        (5, "starts_on", "not_a_date"), (6, "ends_on", "not_a_date"), (7, "ends_on", "runs_backwards"),
        (8, "home", "taken"), (10, "home", "twice"), (11, "home", "unknown_home"),
        (12, "starts_on", "not_a_date"),
    ]  # fmt: skip
    told = list(csv.DictReader(io.StringIO("".join(partnering.reject_file(done)))))
    assert [row["reject_line"] for row in told] == [str(each.line) for each in done.rejects]
    assert told[-2]["home"] == "'=cmd"
    assert all(row["reject_fix"] for row in told)
    assert PartnerHome.objects.get(partner=partner).home == home
    assert PartnerHome.objects.get(home=taken).partner == other


@pytest.mark.parametrize("text", ["", "\n\n", "name,from\na,b\n", 'home,starts_on\n"a' + "x" * 200_000])
def test_what_is_no_list_of_homes_says_what_is_expected(partner, text):
    with pytest.raises(RowsUnusable):
        link(partner, text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.text(alphabet="home,starts_on;\t\n\r\"'=2026-01\x00é", max_size=80))
def test_any_text_is_refused_row_by_row_or_as_a_whole(partner, text):
    for header in ("", "home,starts_on,ends_on\n"):
        try:
            done = link(partner, header + text, dry_run=True)
        except RowsUnusable:
            continue
        assert done.rows == len(done.rejects)


def test_only_homes_of_the_whole_month_that_agreed_are_counted(partner):
    whole = [make_resident(f"Whole {n}") for n in range(2)]
    silent, late, gone, joined, withdrawn = (make_resident(name) for name in "abcde")
    for resident in (*whole, late, gone, joined):
        agree(resident)
    agree(withdrawn)
    rows = [f"{each.home.mpan},2026-01-15" for each in (*whole, silent, gone, withdrawn)]
    rows += [f"{late.home.mpan},2026-02-02", f"{joined.home.mpan},2026-01-01,2026-02-28"]
    assert not link(partner, "home,starts_on,ends_on\n" + "\n".join(rows)).rejects
    middle = datetime(2026, 2, 20, tzinfo=UTC)
    move_out(occupancy=gone.occupancy, at=middle)
    consent = withdrawn.occupancy.consents.get(purpose=Purpose.PARTNER_TOTALS)
    consenting.withdraw_consent(consent_id=consent.pk, member=withdrawn.member, at=middle)

    assert queries.partner_streams(partner.pk, FIRST, PAST) == sorted(each.stream_id for each in whole)
    assert queries.partners_since() == {partner.pk: date(2026, 1, 1)}
    assert queries.partners_of_homes([late.home.pk], FIRST) == {}
    assert queries.partners_of_homes([late.home.pk], FIRST + timedelta(days=1)) == {late.home.pk: partner}
