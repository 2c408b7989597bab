"""Money when a household moves, changes its meter, leaves, or loses somebody: none is lost or paid twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assets import jobs
from members import leaving, moving
from members.models import Role
from settlement import bank_details, ledger, paying
from settlement.bank_details import Payee
from settlement.models import Payment
from settlement.paying import Held
from tests.factories import make_member, make_staff, new_mpan
from tests.settlement.staging import (
    State,
    assert_everything_sums,
    balance_of,
    delivery_of,
    make_measured,
    make_stage,
    make_terms,
    settle,
    store_event,
    store_history,
)
from tests.settlement.test_paying import ALICE, DUE, LATER, final, payable_of

pytestmark = pytest.mark.django_db
ESTATE = Payee("Estate of A Ash", "401234", "07654321")
SOON = LATER + timedelta(days=1)


@pytest.fixture
def fay(db):
    return make_staff("fay@example.org", Role.FINANCE)


@pytest.fixture
def ada(db):
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


@pytest.fixture
def stage(fay, ada):
    """Two homes with final balances of £14.14141 and £6.06061, the first with bank details."""
    made = make_measured(700, 300, published=make_terms(pence_per_kwh="3108", coop_share_pct="35"))
    final(made, fay, ada)
    bank_details.change(member=made.residents[0].member, payee=ALICE, at=LATER - timedelta(days=9), by=None)
    return made


def paid(fay, ada, at, **options):
    batch = paying.propose_batch(rail="bank_csv", processing_date=DUE, at=at, by=fay, **options)
    paying.approve_batch(batch_id=batch.pk, at=at, by=ada)
    assert ledger.trial_balance().total_mp == 0
    return {(payment.member_id, payment.gross_pence) for payment in Payment.objects.filter(batch=batch)}


def test_what_is_owed_to_an_estate_is_held_until_its_account_is_known(stage, fay, ada):
    alice = stage.residents[0]
    owed = balance_of(alice)
    assert payable_of(stage, 0).held is None

    parting = leaving.bereave(member=alice.member, at=LATER, by="staff:1")

    assert parting.is_household_over
    held = payable_of(stage, 0, at=SOON)
    assert (held.held, held.pence, held.balance_mp) == (Held.ESTATE, 0, owed)
    assert payable_of(stage, 0, at=SOON, rail="bill_credit").held == Held.ESTATE
    with pytest.raises(paying.BatchEmpty):
        paid(fay, ada, SOON)

    bank_details.change(member=alice.member, payee=ESTATE, at=SOON, by=fay)
    assert payable_of(stage, 0, at=SOON).held == Held.DETAILS_HELD
    week_later = SOON + timedelta(days=7)
    assert paid(fay, ada, week_later) == {(alice.member.pk, owed // 1_000)}
    assert balance_of(alice) == owed % 1_000
    assert_everything_sums()


def test_what_the_household_is_owed_passes_to_who_carries_it_on(stage, fay, ada):
    alice = stage.residents[0]
    bob = make_member("Bob Ash", household=alice.household)
    owed = balance_of(alice)

    parting = leaving.bereave(member=alice.member, at=LATER, by="staff:1", successor=bob)

    assert (parting.successor, parting.is_household_over) == (bob, False)
    alice.occupancy.refresh_from_db()
    assert alice.occupancy.ends_at is None
    found = payable_of(stage, 0, at=SOON)
    assert (found.member, found.held) == (bob, Held.NO_DETAILS), "never to the account of who died"
    bank_details.change(member=bob, payee=Payee("Bob Ash", "401234", "11111111"), at=SOON, by=None)
    assert paid(fay, ada, SOON + timedelta(days=7)) == {(bob.pk, owed // 1_000)}


def test_a_move_pays_out_the_old_stay_however_little_and_begins_a_new_account(stage, fay, ada):
    alice = stage.residents[0]
    threshold = 5_000
    assert payable_of(stage, 0, threshold_pence=threshold).held == Held.SMALL
    owed = balance_of(alice)

    stay = moving.move_house(
        member=alice.member, occupancy=alice.occupancy, moved_at=LATER, address="9 New Row",
        postcode="OL4 1AA", mpan=new_mpan(), purposes={"settlement": "half_hourly"}, at=LATER, by="staff:1",
    )  # fmt: skip

    assert paid(fay, ada, SOON, threshold_pence=threshold) == {(alice.member.pk, owed // 1_000)}
    assert stay.streams.get().stream_id != alice.stream_id
    moved = replace(alice, occupancy=stay, home=stay.home, stream_id=stay.streams.get().stream_id)
    assert ledger.household_accounts(occupancy_ids=[stay.pk], at=SOON)
    assert balance_of(moved) == 0
    assert balance_of(alice) == owed % 1_000
    assert_everything_sums()


def test_who_leaves_is_paid_out(stage, fay, ada):
    alice = stage.residents[0]
    owed = balance_of(alice)

    leaving.leave(member=alice.member, at=LATER, by="staff:1")

    assert paid(fay, ada, SOON, threshold_pence=5_000) == {(alice.member.pk, owed // 1_000)}


def test_a_new_meter_changes_nothing_about_what_an_event_earns():
    stage = make_stage(State.OPTED_IN, State.OPTED_IN, published=make_terms())
    changed, _same = stage.residents
    day = datetime(2026, 11, 24, tzinfo=UTC)
    for resident in stage.residents:
        store_history(resident)
    jobs.note_new_meter(home=changed.home, changed_at=day, at=day + timedelta(hours=1), by="staff:1")
    for resident in stage.residents:
        store_event(resident, 300, 1_000, 1_000, 1_000)

    run = settle(stage).run

    earned = [delivery_of(run, each).earned_mp for each in stage.residents]
    assert earned[0] == earned[1] > 0
