"""Paying: whole pence of final money, to held-checked accounts, by two people, once."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from members.models import Role
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import AuditEntry
from settlement import bacs, bank_details, ledger, paying, payment_files, remitting, rounds, voting
from settlement.bank_details import BankDetailInvalid, Payee
from settlement.models import (
    Account,
    BankDetail,
    BatchDecision,
    Dispute,
    Payment,
    PaymentEvent,
    SurplusDecision,
    SurplusResolution,
)
from settlement.paying import Held
from settlement.surplus import DividendNotAllowed, LegalForm, Resolution
from tests.factories import make_staff
from tests.settlement.staging import AFTER, balance_of, make_measured, make_terms, settle, store_event

pytestmark = pytest.mark.django_db
DUE = date(2026, 12, 3)
LATER = AFTER + timedelta(days=10)
ALICE = Payee("Alice Ash", "401234", "01234567", "BA123")


@pytest.fixture
def fay(db):
    return make_staff("fay@example.org", Role.FINANCE)


@pytest.fixture
def ada(db):
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


def final(stage, fay, ada, at=AFTER, kind="final"):
    round = rounds.propose_round(
        programme_code="winter", kind=kind, campaign_ids=[stage.campaign.pk], at=at, by=fay
    )
    rounds.compute_round(round_id=round.pk, at=at)
    rounds.approve_round(round_id=round.pk, at=at, by=ada)


@pytest.fixture
def stage(fay, ada):
    """Two homes with final balances of £14.14141 and £6.06061, the first with bank details."""
    made = make_measured(700, 300, published=make_terms(pence_per_kwh="3108", coop_share_pct="35"))
    final(made, fay, ada)
    bank_details.change(member=made.residents[0].member, payee=ALICE, at=AFTER, by=None)
    return made


def payable_of(stage, number, rail="bank_csv", at=LATER, **options):
    account = Account.objects.get(occupancy=stage.residents[number].occupancy)
    return next(
        each for each in paying.payables(rail=rail, at=at, **options) if each.account_id == account.pk
    )


def proposed(fay, rail="bank_csv", **options):
    return paying.propose_batch(rail=rail, processing_date=DUE, at=LATER, by=fay, **options)


def test_whole_pence_leave_and_the_rest_carries_forward(stage, fay, ada):
    before = balance_of(stage.residents[0])

    batch = proposed(fay)
    assert balance_of(stage.residents[0]) == before
    paying.approve_batch(batch_id=batch.pk, at=LATER, by=ada)

    payment = Payment.objects.get()
    assert payment.gross_pence == before // 1_000
    assert balance_of(stage.residents[0]) == before % 1_000
    assert ledger.trial_balance().balances_mp["bank"] == payment.gross_pence * 1_000
    assert ledger.trial_balance().total_mp == 0


def test_the_list_of_balances_is_kept_until_something_changes(stage, fay, ada):
    shown, worked_out_at = paying.waiting(at=LATER)
    wanted = sorted((each.balance_mp, each.pence, each.held) for each in payables_at(LATER))
    assert sorted((each.balance_mp, each.pence, each.held) for each in shown) == wanted
    assert paying.waiting(at=LATER + timedelta(minutes=4)) == (shown, worked_out_at)

    batch = proposed(fay)
    paying.approve_batch(batch_id=batch.pk, at=LATER, by=ada)
    paid, _ = paying.waiting(at=LATER + timedelta(minutes=4))
    assert sum(each.pence for each in paid) == 0 < sum(each.pence for each in shown)

    bank_details.change(member=stage.residents[1].member, payee=ALICE, at=LATER, by=None)
    assert paying.waiting(at=LATER)[0] != paid


def payables_at(at):
    return paying.payables(rail="bank_csv", at=at)


def test_provisional_money_waits(fay):
    stage = make_measured(700, published=make_terms(pence_per_kwh="3108"))
    settle(stage)
    bank_details.change(member=stage.residents[0].member, payee=ALICE, at=AFTER, by=None)

    each = payable_of(stage, 0)

    assert (each.pence, each.held, each.final_mp) == (0, Held.PROVISIONAL, 0)
    with pytest.raises(paying.BatchEmpty):
        proposed(fay)


def test_small_sums_carry_forward_unless_somebody_leaves(stage):
    assert payable_of(stage, 0, threshold_pence=10_000).held is Held.SMALL
    member = stage.residents[0].member
    member.left_at = LATER - timedelta(days=1)
    member.save()

    each = payable_of(stage, 0, threshold_pence=10_000)

    assert (each.held, each.is_leaving) == (None, True)
    assert each.pence > 0


def test_without_details_nothing_is_paid_but_a_bill_can_be_credited(stage):
    assert payable_of(stage, 1).held is Held.NO_DETAILS
    assert payable_of(stage, 1, rail="bill_credit").pence > 0


def test_a_change_of_details_is_held_for_seven_days(stage):
    member = stage.residents[0].member
    bank_details.change(member=member, payee=Payee("M Allory", "999999", "99999999"), at=LATER, by=None)

    held = payable_of(stage, 0, at=LATER + timedelta(days=7) - timedelta(seconds=1))
    free = payable_of(stage, 0, at=LATER + timedelta(days=7))

    assert (held.held, held.pence) == (Held.DETAILS_HELD, 0)
    assert free.held is None


def test_details_are_sealed_and_never_in_the_clear(stage):
    detail = BankDetail.objects.get()

    assert b"01234567" not in bytes(detail.sealed)
    assert b"Alice" not in bytes(detail.sealed)
    assert (bank_details.payee_of(detail), detail.ending) == (ALICE, "67")


@pytest.mark.parametrize(
    ("payee", "field"),
    [
        (Payee("", "401234", "01234567"), "name"),
        (Payee("Alice", "40-12-34", "01234567"), "sort_code"),
        (Payee("Alice", "401234", "1234567"), "account_number"),
    ],
)
def test_details_that_make_no_sense_are_refused(stage, payee, field):
    with pytest.raises(BankDetailInvalid) as refused:
        bank_details.change(member=stage.residents[0].member, payee=payee, at=LATER, by=None)

    assert refused.value.data["field"] == field


def test_whoever_proposed_cannot_approve_not_even_past_the_service(stage, fay):
    batch = proposed(fay)

    with pytest.raises(paying.SecondPersonNeeded):
        paying.approve_batch(batch_id=batch.pk, at=LATER, by=fay)
    with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
        BatchDecision.objects.create(batch=batch, verdict="approved", by=fay, at=LATER)


def test_one_batch_at_a_time_decided_once(stage, fay, ada):
    batch = proposed(fay)
    with pytest.raises(paying.BatchWaits):
        proposed(fay)
    paying.withdraw_batch(batch_id=batch.pk, at=LATER, by=ada)

    with pytest.raises(paying.BatchDecided):
        paying.approve_batch(batch_id=batch.pk, at=LATER, by=ada)
    assert proposed(fay).number == batch.number + 1


def test_a_batch_that_no_longer_fits_is_not_approved(stage, fay, ada):
    batch = proposed(fay)
    bank_details.change(member=stage.residents[0].member, payee=ALICE, at=LATER, by=None)

    with pytest.raises(paying.BalanceChanged):
        paying.approve_batch(batch_id=batch.pk, at=LATER, by=ada)


def approved(fay, ada, rail="bank_csv"):
    batch = proposed(fay, rail)
    paying.approve_batch(batch_id=batch.pk, at=LATER, by=ada)
    return batch


def status(*rows):
    names = ("reference", "status", "reason")
    return [(line, dict(zip(names, row, strict=True))) for line, row in enumerate(rows, start=2)]


def test_a_returned_payment_comes_back_once(stage, fay, ada):
    before = balance_of(stage.residents[0])
    approved(fay, ada)
    reference = Payment.objects.get().reference
    answer = status((reference, "Returned", "account closed"))

    first = paying.import_status(rows=answer, at=LATER, by=fay)
    again = paying.import_status(rows=answer, at=LATER, by=fay)

    assert (first.returned, again.returned, again.known) == (1, 0, 1)
    assert balance_of(stage.residents[0]) == before
    assert PaymentEvent.objects.get().reason == "account closed"
    assert ledger.trial_balance().total_mp == 0


def test_a_bad_status_line_never_sinks_the_good_ones(stage, fay, ada):
    approved(fay, ada)
    reference = Payment.objects.get().reference

    done = paying.import_status(
        rows=status(("nobody", "paid", ""), (reference, "perhaps", ""), (reference, "paid", "")),
        at=LATER,
        by=fay,
    )

    assert (done.paid, [error.data["line"] for error in done.refused]) == (1, [2, 3])


def test_a_clawback_nets_against_the_balance_and_never_bills(stage, fay, ada):
    approved(fay, ada)
    store_event(stage.residents[0], 1_000, 1_000, 1_000, 1_000, at=LATER)
    final(stage, fay, ada, at=LATER, kind="correction")

    each = payable_of(stage, 0)

    assert each.balance_mp < 0
    assert (each.pence, each.held) == (0, Held.NEGATIVE)
    with pytest.raises(paying.BatchEmpty):
        proposed(fay)


def test_the_bacs_file_of_a_batch(stage, fay, ada, monkeypatch):
    for name, value in (
        ("SUN", "123456"),
        ("NAME", "Co-op"),
        ("SORT_CODE", "200000"),
        ("ACCOUNT", "55779911"),
    ):
        monkeypatch.setenv(f"OPENDSR_BACS_{name}", value)
    batch = proposed(fay, "bacs18")
    with pytest.raises(payment_files.BatchNotApproved):
        payment_files.export(batch, created=DUE)
    paying.approve_batch(batch_id=batch.pk, at=LATER, by=ada)

    found = bacs.read(payment_files.export(batch, created=DUE).text)

    payment = Payment.objects.get()
    assert [(each.account_number, each.amount_pence) for each in found.credits] == [
        ("01234567", payment.gross_pence)
    ]
    assert found.credits[0].reference == payment.reference


def test_without_an_originator_the_variable_is_named(stage, fay, ada, monkeypatch):
    monkeypatch.delenv("OPENDSR_BACS_SUN", raising=False)
    batch = approved(fay, ada, "bacs18")

    with pytest.raises(payment_files.OriginatorMissing) as refused:
        payment_files.export(batch, created=DUE)
    assert refused.value.data["variable"] == "OPENDSR_BACS_SUN"


@pytest.mark.parametrize("rail", ["bank_csv", "bill_credit"])
def test_the_csv_files_have_vat_columns(stage, fay, ada, rail):
    batch = approved(fay, ada, rail)

    rows = list(csv.DictReader(io.StringIO(payment_files.export(batch, created=DUE).text, newline="")))

    pence = [payment.gross_pence for payment in Payment.objects.order_by("reference")]
    assert [round(Decimal(row["gross"]) * 100) for row in rows] == pence
    assert {(row["vat"], row["vat_treatment"]) for row in rows} == {("0.00", "outside_scope")}


def test_the_gocardless_file_has_a_request_a_payment(stage, fay, ada):
    batch = approved(fay, ada, "gocardless")

    (request,) = json.loads(payment_files.export(batch, created=DUE).text)

    payment = Payment.objects.get()
    assert request["idempotency_key"] == str(payment.pk)
    body = request["body"]["outbound_payments"]
    assert (body["amount"], body["scheme"]) == (payment.gross_pence, "faster_payments")
    assert body["links"] == {"recipient_bank_account": "BA123"}


def remit(stage, net_pence, reference="INV-1", **options):
    line = remitting.RemittedLine(stage.campaign.pk, net_pence, "short")
    return remitting.record_remittance(
        programme_code="winter", reference=reference, lines=[line], vat_pence=0, at=LATER, by=None, **options
    )


def test_a_remittance_that_fits_clears_the_buyer_and_rounds_the_rest(stage):
    _, disputes = remit(stage, 3_108)

    assert disputes == []
    assert ledger.trial_balance().balances_mp.get("buyer:winter", 0) == 0
    assert ledger.trial_balance().total_mp == 0


def test_what_differs_is_held_apart_until_it_is_agreed(stage, fay):
    members_mp = balance_of(stage.residents[0])
    _, (dispute,) = remit(stage, 3_000)
    assert ledger.trial_balance().balances_mp["disputed:winter"] == -(dispute.claimed_mp - 3_000_000)

    remitting.settle_dispute(dispute_id=dispute.pk, outcome="conceded", at=LATER, by=fay)

    balances = ledger.trial_balance().balances_mp
    assert balances["disputed:winter"] == 0
    assert balance_of(stage.residents[0]) == members_mp
    assert ledger.trial_balance().total_mp == 0
    with pytest.raises(remitting.DisputeDecided):
        remitting.settle_dispute(dispute_id=dispute.pk, outcome="paid", at=LATER, by=fay)


def test_a_remittance_is_taken_in_once_and_whole(stage):
    remit(stage, 3_000)
    with pytest.raises(remitting.RemittanceKnown):
        remit(stage, 3_000)
    lines = [remitting.RemittedLine(stage.campaign.pk, 1), remitting.RemittedLine(stage.parts[0].pk, 1)]
    with pytest.raises(remitting.RemittanceInvalid):
        remitting.record_remittance(
            programme_code="winter", reference="INV-2", lines=lines, vat_pence=0, at=LATER, by=None
        )
    assert Dispute.objects.count() == 1


VOTE = Resolution(Decimal(50), Decimal(20), Decimal(30), 40, 2)
YEAR = Interval(AFTER - timedelta(days=300), AFTER + timedelta(days=60))


def apply(resolution=VOTE, surplus_mp=500_000):
    return voting.apply_resolution(
        year="2026", period=YEAR, surplus_mp=surplus_mp, resolution=resolution, at=LATER, by=None
    )


def test_a_cooperatives_vote_is_applied_to_the_ledger(stage):
    voting.state_legal_form(form=LegalForm.COOPERATIVE, at=LATER, by=None)
    before = balance_of(stage.residents[0])

    apply()

    balances = ledger.trial_balance().balances_mp
    assert (balances["reserve"], balances["fund"]) == (250_000, 100_000)
    assert balance_of(stage.residents[0]) - before == 105_000
    assert ledger.trial_balance().total_mp == 0
    with pytest.raises(voting.YearDecided):
        apply()


def test_a_community_benefit_society_is_refused_a_dividend_twice(stage):
    voting.state_legal_form(form=LegalForm.COMMUNITY_BENEFIT, at=LATER, by=None)

    with pytest.raises(DividendNotAllowed):
        apply()
    with pytest.raises(IntegrityError, match="dividend_needs_a_cooperative"), transaction.atomic():
        SurplusResolution.objects.create(
            year="2026", legal_form="community_benefit", surplus_mp=1, reserves_pct=0, fund_pct=0,
            dividend_pct=100, votes_for=1, votes_against=0, applied_at=LATER,
        )  # fmt: skip


def test_a_surplus_that_is_not_there_is_not_shared(stage):
    with pytest.raises(voting.FormNotStated):
        apply()
    voting.state_legal_form(form=LegalForm.COOPERATIVE, at=LATER, by=None)
    with pytest.raises(voting.SurplusNotThere):
        apply(surplus_mp=10**9)


@pytest.fixture
def two_people(db):
    return make_staff("sue@example.org", Role.FINANCE), make_staff("tom@example.org", Role.ADMINISTRATOR)


def propose_vote(by, **changes):
    asked = {"year": "2026", "period": YEAR, "surplus_mp": 500_000, "resolution": VOTE} | changes
    return voting.propose_surplus(**asked, at=LATER, by=by)


def test_a_vote_moves_money_only_once_a_second_person_approves(stage, two_people):
    fay, ada = two_people
    voting.state_legal_form(form=LegalForm.COOPERATIVE, at=LATER, by=None)
    proposal = propose_vote(fay)
    assert "reserve" not in ledger.trial_balance().balances_mp
    with pytest.raises(voting.SurplusWaits):
        propose_vote(ada)

    with pytest.raises(voting.SecondSharerNeeded):
        voting.approve_surplus(proposal_id=proposal.pk, at=LATER, by=fay)
    for by in (fay, None):
        with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
            SurplusDecision.objects.create(proposal=proposal, verdict="approved", by=by, at=LATER)
    voting.approve_surplus(proposal_id=proposal.pk, at=LATER, by=ada)

    assert ledger.trial_balance().balances_mp["reserve"] == 250_000
    assert ledger.trial_balance().total_mp == 0
    for again in (voting.approve_surplus, voting.withdraw_surplus):
        with pytest.raises(voting.ProposalDecided):
            again(proposal_id=proposal.pk, at=LATER, by=ada)
    assert {entry.verb for entry in AuditEntry.objects.filter(target="surplus:2026")} == {
        "settlement.surplus_proposed",
        "settlement.surplus_shared",
    }


def test_a_withdrawn_vote_moves_nothing_and_lets_another_be_written_down(stage, two_people):
    fay, ada = two_people
    voting.state_legal_form(form=LegalForm.COOPERATIVE, at=LATER, by=None)

    voting.withdraw_surplus(proposal_id=propose_vote(fay).pk, at=LATER, by=fay)

    assert not SurplusResolution.objects.exists()
    assert propose_vote(ada).year == "2026"


def test_what_the_legal_form_forbids_by_the_time_of_approval_moves_nothing(stage, two_people):
    fay, ada = two_people
    voting.state_legal_form(form=LegalForm.COOPERATIVE, at=LATER, by=None)
    proposal = propose_vote(fay)
    voting.state_legal_form(form=LegalForm.COMMUNITY_BENEFIT, at=LATER + timedelta(hours=1), by=None)

    with pytest.raises(DividendNotAllowed):
        voting.approve_surplus(proposal_id=proposal.pk, at=LATER + timedelta(hours=2), by=ada)

    assert not SurplusResolution.objects.exists()
    assert not SurplusDecision.objects.exists()
